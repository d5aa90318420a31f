/** Leases: of tokens, and of what engines give. */
import tap, { type Test } from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { FakeClock } from '../../fake/clock.ts'
import { openSecrets, type TestSecrets } from '../harness.ts'
import { onEveryStore } from '../stores.ts'
import { type Giving, openGiving } from './giving.ts'

const LEASES = 'sys/leases'

async function make(secrets: TestSecrets, data: object = {}, path = 'auth/token/create') {
  const got = await secrets.post(path, { policies: 'default', ttl: '1h', ...data })
  if (got.status !== 200) throw new Error(got.text)
  return got.body.auth.client_token as string
}

const lives = async (secrets: TestSecrets, token: string) =>
  (await secrets.read('auth/token/lookup-self', { token })).status === 200

const keysUnder = async (secrets: TestSecrets, prefix: string): Promise<string[]> =>
  (await secrets.list(`${LEASES}/lookup/${prefix}`)).body.data?.keys ?? []

tap.test('every service token with an end has a lease', async t => {
  const clock = new FakeClock()
  const secrets = await openSecrets(t, { clock })
  const token = await make(secrets)
  await make(secrets, { type: 'batch' })
  await make(secrets, { policies: 'root', ttl: '' })
  t.strictSame(await keysUnder(secrets, ''), ['auth/'])
  t.strictSame(await keysUnder(secrets, 'auth/token'), ['create/'])
  const [key, ...others] = await keysUnder(secrets, 'auth/token/create')
  t.match(key, /^h[0-9a-f]{32}$/)
  t.strictSame(others, [], 'neither batch tokens nor those without an end')
  const lease_id = `auth/token/create/${key}`
  await clock.advance(60_000)
  const look = () => secrets.post(`${LEASES}/lookup`, { lease_id })
  t.strictSame((await look()).body.data, {
    id: lease_id,
    renewable: true,
    issue_time: '2023-11-14T22:13:20.000Z',
    expire_time: '2023-11-14T23:13:20.000Z',
    last_renewal: null,
    ttl: 3_540,
  })
  await secrets.post('auth/token/renew-self', { increment: '2h' }, { token })
  t.match((await look()).body.data, { last_renewal: '2023-11-14T22:14:20.000Z', ttl: 7_200 })
  t.match(await secrets.post(`${LEASES}/renew`, { lease_id }), {
    status: 400,
    text: 'tokens cannot be renewed through this endpoint',
  })
  t.equal((await secrets.post(`${LEASES}/revoke`, { lease_id })).status, 204)
  t.equal(await lives(secrets, token), false)
  t.match(await look(), { status: 400, text: 'invalid lease' })
})

tap.test('what is said of leases that are none', async t => {
  const secrets = await openSecrets(t)
  const lease_id = 'auth/token/create/none'
  const cases: [string, object, number, string][] = [
    ['lookup', { lease_id }, 400, 'invalid lease'],
    ['lookup', {}, 400, 'lease_id must be specified'],
    ['renew', { lease_id }, 400, 'lease not found'],
    ['renew', {}, 400, 'lease_id must be specified'],
    ['revoke', { lease_id }, 204, ''],
    ['revoke', { lease_id, sync: false }, 202, ''],
    ['revoke', {}, 400, 'lease_id must be specified'],
  ]
  for (const [path, data, status, text] of cases) {
    t.match(await secrets.post(`${LEASES}/${path}`, { ...data }), { status, text }, path)
  }
  t.equal((await secrets.list(`${LEASES}/lookup`)).status, 404)
  t.equal((await secrets.list(`${LEASES}/lookup/auth`)).status, 404)
  t.match(await secrets.post(`${LEASES}/tidy`), { status: 202, body: { warnings: [/nothing/] } })
})

tap.test('all under a path end, and nothing beside it', t => {
  onEveryStore(t, async (t, newStore) => {
    const secrets = await openSecrets(t, { open: () => newStore(t) })
    await secrets.post('auth/token/roles/app', { allowed_policies: 'default' })
    const byRole = await make(secrets, {}, 'auth/token/create/app')
    const child = await make(secrets)
    const orphan = await make(secrets, {}, 'auth/token/create-orphan')
    const at = (path: string) => secrets.post(`${LEASES}/revoke-prefix/${path}`)
    t.equal((await at('auth/token/create/app')).status, 204)
    t.strictSame(
      [await lives(secrets, byRole), await lives(secrets, child), await lives(secrets, orphan)],
      [false, true, true],
    )
    t.equal((await at('auth/token/create')).status, 204)
    t.strictSame([await lives(secrets, child), await lives(secrets, orphan)], [false, true])
    t.equal((await secrets.post('sys/revoke-prefix/auth/')).status, 204, 'the older name')
    t.equal(await lives(secrets, orphan), false)
  })
  t.end()
})

tap.test('what asks for sudo, and what default allows', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/policies/acl/l', {
    policy: 'path "sys/*" { capabilities = ["update", "list", "read"] }',
  })
  const token = await make(secrets, { policies: 'l' })
  for (const path of ['revoke-prefix/a', 'revoke-force/a']) {
    for (const folder of ['sys/leases/', 'sys/']) {
      t.equal((await secrets.post(folder + path, {}, { token })).status, 403, folder + path)
    }
  }
  t.equal((await secrets.list(`${LEASES}/lookup/auth`, { token })).status, 403)
  t.equal((await secrets.list(`${LEASES}/lookup`, { token })).status, 403)
  t.equal((await secrets.read(LEASES, { token, data: { type: 'irrevocable' } })).status, 403)
  const plain = await make(secrets)
  t.match(await secrets.post(`${LEASES}/lookup`, { lease_id: 'x' }, { token: plain }), {
    status: 400,
    text: 'invalid lease',
  })
})

// --- leases of engines

const RETRIED_MS = limits.revocationRetryMs + 3 * limits.revocationTickMs

/** Gets a secret with a lease. */
async function get(giving: Giving, mount = 'giving', asked: object = {}) {
  const { status, body, text } = await giving.secrets.read(`${mount}/creds/app`, asked)
  if (status !== 200) throw new Error(text)
  return { id: body.lease_id as string, name: body.data.name as string, body }
}

const open = (t: Test, clock = new FakeClock()) => openGiving(t, clock)

tap.test('a secret is given with a lease, and taken back at its end', async t => {
  const giving = await open(t)
  const { clock, secrets } = giving
  const { id, name, body } = await get(giving)
  t.match(id, /^giving\/creds\/app\/\w{24}$/)
  t.match(body, { renewable: true, lease_duration: 60 })
  t.strictSame(await keysUnder(secrets, 'giving/creds/app'), [id.split('/').at(-1)])
  await clock.advance(59_000)
  t.strictSame(giving.taken, [])
  await clock.advance(3_000)
  t.strictSame(giving.taken, [name])
  t.match(await secrets.post(`${LEASES}/lookup`, { lease_id: id }), { status: 400 })
  await giving.stop()
})

tap.test('a lease is renewed within its maximum', async t => {
  const giving = await open(t)
  const { clock, secrets } = giving
  const { id } = await get(giving)
  const renew = (data: object = {}, path = `${LEASES}/renew`) =>
    secrets.post(path, { lease_id: id, ...data })
  t.match((await renew()).body, { lease_id: id, renewable: true, lease_duration: 60, data: null })
  t.equal((await renew({ increment: 90 })).body.lease_duration, 90)
  const capped = (await renew({ increment: '5m' })).body
  t.equal(capped.lease_duration, 120)
  t.match(capped.warnings, [/^TTL of "5m0s" exceeded the effective max_ttl of "2m0s"/])
  t.equal((await renew({}, 'sys/renew')).body.lease_duration, 60, 'the older name')
  t.equal((await secrets.post(`${LEASES}/renew/${id}`)).body.lease_duration, 60, 'by the path')
  await clock.advance(59_000)
  t.equal((await renew()).body.lease_duration, 60)
  await clock.advance(59_000)
  t.match((await renew()).body, { lease_duration: 2 }, 'up to the maximum')
  await clock.advance(1_001)
  t.match(await renew(), { status: 400, text: 'past the max TTL, cannot renew' })
  await giving.stop()
})

tap.test('what is not renewable is not renewed', async t => {
  const giving = await open(t)
  const policy = 'path "giving/*" { capabilities = ["read"] }'
  await giving.secrets.post('sys/policies/acl/taker', { policy })
  const batch = await make(giving.secrets, { type: 'batch', policies: 'taker', ttl: 30 })
  const { body, id } = await get(giving, 'giving', { token: batch })
  t.match(body, { renewable: false, lease_duration: 30 }, 'no longer than a batch token')
  t.match(await giving.secrets.post(`${LEASES}/renew`, { lease_id: id }), {
    status: 400,
    text: 'lease is not renewable',
  })
  await giving.stop()
})

tap.test('leases end with the token that they were given to', async t => {
  const giving = await open(t)
  const { secrets, clock } = giving
  const token = await make(secrets, { policies: 'root' })
  const { name } = await get(giving, 'giving', { token })
  const other = await get(giving)
  await secrets.post('auth/token/revoke', { token })
  await clock.advance(2_000)
  t.strictSame(giving.taken, [name])
  await secrets.post(`sys/revoke/${other.id}`)
  await clock.advance(2_000)
  t.strictSame(giving.taken, [name, other.name])
  await giving.stop()
})

tap.test('the last use of a token gives nothing that would have to be taken back', async t => {
  const giving = await open(t)
  const token = await make(giving.secrets, { policies: 'root', num_uses: 1 })
  const got = await giving.secrets.read('giving/creds/app', { token })
  t.match(got, { status: 400, text: /^Secret cannot be returned; token had one use left/ })
  t.strictSame(await keysUnder(giving.secrets, 'giving'), [])
  await giving.stop()
})

tap.test('a stuck one is tried for ever, is shown, and never holds up another', async t => {
  const giving = await open(t)
  const { secrets, clock } = giving
  giving.stuck.add('broken')
  await secrets.mount('giving', 'broken/')
  const stuck = [await get(giving, 'broken'), await get(giving, 'broken')]
  const fine = await get(giving)
  await secrets.post('sys/leases/revoke-prefix/broken')
  await secrets.post('sys/leases/revoke', { lease_id: fine.id })
  await clock.advance(2_000)
  t.strictSame(giving.taken, [fine.name])
  const data = { type: 'irrevocable' }
  const { lease_count, counts } = (await secrets.read(`${LEASES}/count`, { data })).body.data
  t.equal(lease_count, 2)
  t.strictSame(Object.values(counts), [2])
  const shown = (await secrets.read(LEASES, { data })).body.data
  t.strictSame(
    shown.leases.map((one: { error: string }) => one.error),
    ['no answer', 'no answer'],
  )
  t.strictSame(
    shown.leases.map((one: { lease_id: string }) => one.lease_id).sort(),
    stuck.map(({ id }) => id).sort(),
  )
  t.equal(
    (await secrets.read(LEASES, { data: { ...data, limit: '1' } })).body.data.leases.length,
    1,
  )
  t.match(await secrets.read(LEASES), { status: 400, text: /only "irrevocable"/ })
  const tries = giving.tries
  for (let i = 0; i < 3; i++) await clock.advance(RETRIED_MS * 2 ** i)
  t.ok(giving.tries >= tries + 6, 'tried again, each of them')
  giving.stuck.clear()
  await clock.advance(limits.revocationRetryMaxMs)
  t.strictSame([...giving.taken].sort(), [fine, ...stuck].map(({ name }) => name).sort())
  t.equal((await secrets.read(LEASES, { data })).body.data.lease_count, 0)
  await giving.stop()
})

tap.test('forced, what cannot be taken back is forgotten', async t => {
  const giving = await open(t)
  const { secrets, clock } = giving
  giving.stuck.add('giving')
  const first = await get(giving)
  await secrets.post(`${LEASES}/revoke`, { lease_id: first.id })
  await clock.advance(2_000)
  await get(giving)
  t.equal((await secrets.post(`${LEASES}/revoke-force/giving`)).status, 204)
  t.equal((await secrets.read(LEASES, { data: { type: 'irrevocable' } })).body.data.lease_count, 0)
  t.strictSame(await keysUnder(secrets, 'giving'), [])
  giving.stuck.clear()
  await clock.advance(limits.revocationRetryMaxMs)
  t.strictSame(giving.taken, [])
  await giving.stop()
})
