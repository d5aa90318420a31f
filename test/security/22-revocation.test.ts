/**
 * Class 22: secrets that are revoked by the wrong owner, and revocations that are lost as a mount
 * or a namespace goes (CVE-2023-24999, CVE-2020-7220, GHSA-vv66-6rp4-wr4f).
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { FakeClock } from '../fake/clock.ts'
import { openGiving } from '../secrets/lease/giving.ts'

t.test('a mount that goes takes back all that it gave, and nothing of another', async t => {
  const clock = new FakeClock()
  const giving = await openGiving(t, clock)
  const { secrets } = giving
  await secrets.mount('giving', 'giving2/')
  const of = async (mount: string) => (await secrets.read(`${mount}/creds/app`)).body.data.name
  const mine = [await of('giving'), await of('giving'), await of('giving')]
  const other = await of('giving2')
  giving.stuck.add('giving')
  t.equal((await secrets.remove('sys/mounts/giving')).status, 204)
  await clock.advance(5_000)
  t.strictSame(giving.taken, [], 'its engine does not answer')
  const shown = await secrets.read('sys/leases', { data: { type: 'irrevocable' } })
  t.equal(shown.body.data.lease_count, 3, 'nothing is forgotten')
  giving.stuck.clear()
  await clock.advance(limits.revocationRetryMaxMs)
  t.strictSame([...giving.taken].sort(), [...mine, other].sort(), 'the other one was over by then')
  const uuids = secrets.rows().filter(key => key.includes('/mount.') || key.includes('/removals/'))
  t.strictSame(uuids, [], 'and then its rows go')
  await giving.stop()
})

t.test('a login that goes ends its tokens', async t => {
  const clock = new FakeClock()
  const giving = await openGiving(t, clock)
  const { secrets } = giving
  await secrets.post('sys/auth/userpass', { type: 'userpass' })
  await secrets.post('sys/auth/userpass2', { type: 'userpass' })
  const tokens: string[] = []
  for (const mount of ['userpass', 'userpass2']) {
    await secrets.post(`auth/${mount}/users/ann`, { password: 'correct horse' })
    const data = { password: 'correct horse' }
    const got = await secrets.post(`auth/${mount}/login/ann`, data, { token: '' })
    tokens.push(got.body.auth.client_token)
  }
  const statuses = async () => {
    const asked = tokens.map(token => secrets.read('auth/token/lookup-self', { token }))
    return (await Promise.all(asked)).map(({ status }) => status)
  }
  t.strictSame(await statuses(), [200, 200])
  t.equal((await secrets.remove('sys/auth/userpass')).status, 204)
  t.strictSame(await statuses(), [403, 200])
  await giving.stop()
})

t.test('a namespace that goes takes back what was given in it', async t => {
  const clock = new FakeClock()
  const giving = await openGiving(t, clock)
  const { secrets } = giving
  const made = await secrets.post('sys/namespaces/east')
  const { id } = made.body.data
  await secrets.mount('giving', 'giving/', { namespaceId: id })
  const given = await secrets.read('giving/creds/app', { namespace: 'east' })
  t.match(given.body.lease_id, new RegExp(`^giving/creds/app/\\w{24}\\.${id}$`))
  t.ok((await secrets.remove('sys/namespaces/east')).status < 300)
  await clock.advance(5_000)
  t.strictSame(giving.taken, [given.body.data.name])
  await clock.advance(5_000)
  t.strictSame(
    secrets.rows().filter(key => key.startsWith(`${id}/`)),
    [],
  )
  await giving.stop()
})

t.test('only who may ends what another has', async t => {
  const clock = new FakeClock()
  const giving = await openGiving(t, clock)
  const { secrets } = giving
  const policy = 'path "giving/*" { capabilities = ["read"] }'
  await secrets.post('sys/policies/acl/taker', { policy })
  const user = async () => {
    const got = await secrets.post('auth/token/create', { policies: 'taker', ttl: '1h' })
    return { token: got.body.auth.client_token, accessor: got.body.auth.accessor }
  }
  const [ann, bob] = [await user(), await user()]
  const lease_id = (await secrets.read('giving/creds/app', { token: ann.token })).body.lease_id
  const tries: [string, object][] = [
    ['sys/leases/revoke', { lease_id }],
    ['sys/revoke', { lease_id }],
    ['sys/leases/revoke-prefix/giving', {}],
    ['sys/leases/revoke-force/giving', {}],
    ['auth/token/revoke', { token: ann.token }],
    ['auth/token/revoke-accessor', { accessor: ann.accessor }],
    ['auth/token/revoke-orphan', { token: ann.token }],
  ]
  for (const [path, data] of tries) {
    t.equal((await secrets.post(path, { ...data }, { token: bob.token })).status, 403, path)
  }
  await secrets.post('auth/token/revoke-self', {}, { token: bob.token })
  await clock.advance(3_000)
  t.strictSame(giving.taken, [])
  await secrets.post('auth/token/revoke-self', {}, { token: ann.token })
  await clock.advance(3_000)
  t.equal(giving.taken.length, 1)
  await giving.stop()
})
