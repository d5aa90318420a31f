/** Services that are asked for second factors: which, when, by what name, and for how long. */
import t, { type Test } from 'tap'
import { limits } from '../../../src/base/limits.ts'
import type { FactorContext, FactorOutcome } from '../../../src/secrets/mfa/factor/factor.ts'
import { FakeClock } from '../../fake/clock.ts'
import { openWorld } from './world.ts'

const DUO = { secret_key: 'a', integration_key: 'b', api_hostname: 'c.example.com' }
const PINGID = { settings_file_base64: Buffer.from('token=a').toString('base64') }

interface Call {
  readonly kind: string
  readonly config: unknown
  readonly username: string
  readonly passcode: string | undefined
  readonly context: FactorContext
  answer(outcome: FactorOutcome): void
}

/** People with a phone, and services that a test answers for. */
async function withServices(t: Test) {
  const calls: Call[] = []
  const asked =
    (kind: string) =>
    (config: unknown, username: string, passcode: string | undefined, context: FactorContext) =>
      new Promise<FactorOutcome>(answer => {
        calls.push({ kind, config, username, passcode, context, answer })
      })
  const asks = { duo: asked('duo'), okta: asked('okta'), pingid: asked('pingid') }
  const clock = new FakeClock()
  const world = await openWorld(t, { ports: { factors: asks } }, clock)
  const add = async (type: string, data: object): Promise<string> => {
    const path = `identity/mfa/method/${type}`
    const { method_id } = await world.data(world.secrets.post(path, data as never))
    return method_id!
  }
  /** The next call, once there is one. */
  const next = async (): Promise<Call> => {
    for (let i = 0; i < 1_000 && calls.length === 0; i++) await new Promise(setImmediate)
    return calls.shift()!
  }
  return { world, calls, add, next, clock }
}

const passed: FactorOutcome = { passed: true }

t.test('a service that lets somebody by gives him his token', async t => {
  const { world, add, next } = await withServices(t)
  const format = { username_format: '{{alias.name}}@{{ identity.entity.metadata.domain }}' }
  const duo = await add('duo', { ...DUO, ...format, use_passcode: true })
  const ping = await add('pingid', { ...PINGID, method_name: 'ping' })
  const entity = await world.entityOf('ann')
  await world.data(
    world.secrets.post(`identity/entity/id/${entity}`, {
      ...{ name: 'Ann', metadata: { domain: 'example.com' } },
    }),
  )
  await world.enforce('all', [duo, ping])
  const { body } = await world.login('ann')
  const { mfa_request_id: id, mfa_constraints } = body.auth.mfa_requirement
  t.same(mfa_constraints.all.any, [
    { type: 'duo', id: duo, uses_passcode: true },
    { type: 'pingid', id: ping, uses_passcode: false, name: 'ping' },
  ])
  const refused = world.validate(id, { [duo]: ['123456'] }, { remote: '10.1.2.3' })
  const first = await next()
  t.match(first, { kind: 'duo', username: 'ann@example.com', passcode: '123456' })
  t.match(first.config, { apiHostname: 'c.example.com', secretKey: 'a' })
  t.equal(first.context.remoteAddress, '10.1.2.3')
  first.answer({ passed: false, reason: 'Duo: denied' })
  const got = await refused
  t.equal(got.status, 403)
  t.match(
    got.body.errors[0],
    /^failed to satisfy enforcement all\. error: 2 errors .*\n\t\* Duo: denied\n/,
  )
  const given = world.validate(id, { ping: [] })
  const second = await next()
  t.match(second, { kind: 'pingid', username: 'Ann', passcode: undefined })
  second.answer(passed)
  t.match((await given).body.auth, { client_token: /^hvs/ })
})

t.test('one request may show a service too', async t => {
  const { world, add, next } = await withServices(t)
  const okta = await add('okta', { org_name: 'a', api_token: 'b', method_name: 'okta' })
  await world.enforce('all', [okta])
  const given = world.login('ann', { headers: { 'x-vault-mfa': 'okta' } })
  const call = await next()
  t.match(call, { kind: 'okta', passcode: undefined })
  t.match(call.username, /^entity_/)
  call.answer(passed)
  t.match((await given).body.auth, { client_token: /^hvs/ })
})

t.test('no phone rings for a wrong password, a wrong passcode or a stranger', async t => {
  const { world, calls, add, next } = await withServices(t)
  const duo = await add('duo', DUO)
  const totp = await world.addTotp('phone')
  await world.enforce('one', [duo])
  await world.enforce('two', [totp])
  const phone = await world.phoneOf('ann', totp)
  await world.login('ann', { data: { password: 'wrong' }, headers: { 'x-vault-mfa': duo } })
  await world.validate('no-such-login', { [duo]: [] })
  const id = await world.begin('ann')
  await world.validate(id, { [duo]: [], [totp]: ['000000'] })
  await world.validate(id, { [totp]: [phone.at(world.now)] })
  await world.validate(id, { [duo]: ['a=b'], [totp]: [phone.at(world.now)] })
  t.strictSame(calls, [])
  const given = world.validate(id, { [duo]: [], [totp]: [phone.at(world.now)] })
  ;(await next()).answer(passed)
  t.equal((await given).status, 200)
})

t.test('a login asks once at a time', async t => {
  const { world, calls, add, next } = await withServices(t)
  const duo = await add('duo', DUO)
  await world.enforce('all', [duo])
  const id = await world.begin('ann')
  const given = world.validate(id, { [duo]: [] })
  const call = await next()
  const beside = await world.validate(id, { [duo]: [] })
  t.match(beside.body.errors[0], /this login waits for its second factor already/)
  t.equal(calls.length, 0)
  call.answer({ passed: false, reason: 'Duo: nobody is there' })
  t.match((await given).body.errors[0], /Duo: nobody is there/)
  const again = world.validate(id, { [duo]: [] })
  ;(await next()).answer(passed)
  t.equal((await again).status, 200)
})

t.test('a login that ended meanwhile gives nothing', async t => {
  const { world, add, next, clock } = await withServices(t)
  const duo = await add('duo', DUO)
  const totp = await world.addTotp('phone')
  await world.enforce('all', [duo, totp])
  const phone = await world.phoneOf('ann', totp)
  const id = await world.begin('ann')
  const slow = world.validate(id, { [duo]: [] })
  const call = await next()
  const quick = await world.validate(id, { [totp]: [phone.at(world.now)] })
  t.match(quick.body.auth, { client_token: /^hvs/ })
  call.answer(passed)
  t.same((await slow).body.errors, ['invalid request ID'], 'it was finished')
  const other = await world.begin('ann')
  await clock.advance(limits.mfaLoginMs - 1)
  const over = world.validate(other, { [duo]: [] })
  const last = await next()
  await clock.advance(1)
  last.answer(passed)
  t.same((await over).body.errors, ['invalid request ID'], 'it was over')
})

t.test('a format that has no name for somebody lets nobody by', async t => {
  const { world, calls, add } = await withServices(t)
  for (const username_format of ['{{identity.entity.metadata.mail}}', '{{entity.id.x}}', '{{}}']) {
    const duo = await add('duo', { ...DUO, method_name: 'd', username_format })
    await world.enforce('all', [duo])
    const { body } = await world.validate(await world.begin('ann'), { [duo]: [] })
    t.match(body.errors[0], /username_format gives no name for this entity/)
  }
  t.strictSame(calls, [])
})

t.test('who does not answer is left in peace for a while', async t => {
  const { world, calls, add, next, clock } = await withServices(t)
  const duo = await add('duo', { ...DUO, method_name: 'duo' })
  await world.enforce('all', [duo])
  const ask = async (outcome: FactorOutcome) => {
    const given = world.login('ann', { headers: { 'x-vault-mfa': 'duo' } })
    ;(await next()).answer(outcome)
    return given
  }
  const denied: FactorOutcome = { passed: false, reason: 'Duo: denied' }
  for (let i = 1; i < limits.mfaAsks; i++) await ask(denied)
  t.equal((await ask(passed)).status, 200, 'whoever answers is counted anew')
  for (let i = 0; i < limits.mfaAsks; i++) t.match((await ask(denied)).text, /Duo: denied/)
  for (let i = 0; i < 3; i++) {
    const got = await world.validate(await world.begin('ann'), { [duo]: [] })
    t.match(got, { status: 403, text: /the service was asked in vain too often/ })
  }
  t.strictSame(calls, [])
  await clock.advance(limits.mfaAsksMs)
  t.equal((await ask(passed)).status, 200)
})
