/**
 * Class 21: leases that outlive their time, or never end (CVE-2020-25816, CVE-2021-32923): the
 * clock at a second before, at, and after each maximum, with restarts and changes of who keeps the
 * time in between.
 */
import t from 'tap'
import type { Engine } from '../../src/secrets/declare.ts'
import { enginesOn } from '../../src/secrets/engine/mod.ts'
import { FakeClock } from '../fake/clock.ts'
import { openSecrets, type TestSecrets } from '../secrets/harness.ts'
import { openGiving } from '../secrets/lease/giving.ts'
import { testPorts } from '../secrets/ports.ts'
import { METHOD, trustingMethod } from '../secrets/token/method.ts'

const HOUR_MS = 3_600_000

const status = async (secrets: TestSecrets, token: string) =>
  (await secrets.read('auth/token/lookup-self', { token })).status

/** Each way to a maximum of two hours, with a period or renewals of one hour. */
const WAYS: readonly (readonly [string, object])[] = [
  ['an explicit maximum', { ttl: '1h', explicit_max_ttl: '2h' }],
  ['a period with an explicit maximum', { period: '1h', explicit_max_ttl: '2h' }],
  ['the time it was given for', { ttl: '2h', renewable: false }],
]

t.test('tokens end at their maximum, to the second', async t => {
  for (const [name, data] of WAYS) {
    const clock = new FakeClock()
    const secrets = await openSecrets(t, { clock })
    const made = await secrets.post('auth/token/create', { policies: 'default', ...data })
    const token = made.body.auth.client_token
    const renew = () => secrets.post('auth/token/renew-self', { increment: '9h' }, { token })
    await clock.advance(HOUR_MS - 1_000)
    await renew()
    await clock.advance(HOUR_MS / 2)
    await renew()
    await clock.advance(HOUR_MS / 2)
    t.equal(await status(secrets, token), 200, `${name}: a second before`)
    const { body } = await renew()
    if (body.auth !== undefined) t.equal(body.auth.lease_duration, 1, 'no more is given')
    await clock.advance(999)
    const late = await renew()
    t.equal(late.status, 400, 'within the last second nothing is given: 0 would be for ever')
    t.equal(await status(secrets, token), 200, `${name}: a millisecond before`)
    await clock.advance(1)
    t.equal(await status(secrets, token), 403, `${name}: at it`)
    t.equal((await renew()).status, 403)
    await clock.advance(1_000)
    t.equal(await status(secrets, token), 403, `${name}: a second after`)
  }
})

t.test('a login ends at the maximum of its role and of its mount, also if they shrink', async t => {
  const clock = new FakeClock()
  const engines = enginesOn(testPorts()) as Engine[]
  engines.push(trustingMethod)
  const secrets = await openSecrets(t, { clock, engines })
  const config = { defaultLeaseTtlMs: 0, maxLeaseTtlMs: 4 * HOUR_MS, forceNoCache: false }
  await secrets.mount(METHOD, 'trusting/', { kind: 'auth', config })
  const role = 'auth/trusting/role/ann'
  await secrets.post(role, { token_ttl: '1h', token_max_ttl: '3h' })
  const { auth } = (await secrets.post('auth/trusting/login/ann', {}, { token: '' })).body
  const asked = { token: auth.client_token }
  const renew = () => secrets.post('auth/token/renew-self', { increment: '9h' }, asked)
  t.equal((await renew()).body.auth.lease_duration, 3 * 3_600)
  await secrets.post(role, { token_max_ttl: '2h' })
  await clock.advance(HOUR_MS)
  t.equal((await renew()).body.auth.lease_duration, 3_600, 'what the role says by now')
  await secrets.post(role, { token_max_ttl: '9h' })
  t.equal((await renew()).body.auth.lease_duration, 3 * 3_600, 'no more than the mount allows')
  await secrets.remove(role)
  t.match(await renew(), { status: 400, text: 'the role is gone' })
})

t.test('what is over ends by itself, also where who keeps the time changed', async t => {
  const clock = new FakeClock()
  const giving = await openGiving(t, clock)
  const { secrets } = giving
  const before = secrets.rows()
  await secrets.post('auth/token/create', { policies: 'default', ttl: '10m' })
  const periodic = await secrets.post('auth/token/create', { policies: 'default', period: '10m' })
  const lease = (await secrets.read('giving/creds/app')).body
  t.ok(secrets.rows().length > before.length)
  await clock.advance(30_000)
  await giving.stop()
  // Nobody keeps the time now; what is over is refused all the same.
  await clock.advance(600_000)
  const token = periodic.body.auth.client_token
  t.equal(await status(secrets, token), 403)
  t.match(await secrets.post('sys/leases/renew', { lease_id: lease.lease_id }), {
    status: 400,
    text: 'lease expired',
  })
  t.strictSame(giving.taken, [])
  await giving.keepTime('two')
  await clock.advance(20_000)
  t.strictSame(giving.taken, [lease.data.name], 'taken back by who keeps it next')
  t.strictSame(secrets.rows(), before)
  await giving.stop()
})
