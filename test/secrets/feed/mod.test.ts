/**
 * The topics of the secrets: what they tell is what there is, to whom may know it, for as long as
 * he may, and nothing of what a secret holds.
 */
import t from 'tap'
import { systemRandom } from '../../../src/base/clock.ts'
import { limits } from '../../../src/base/limits.ts'
import { secretsTopics } from '../../../src/secrets/feed/mod.ts'
import { endLease, registerLease } from '../../../src/secrets/lease/lease.ts'
import { coldOf, mountAt } from '../../../src/secrets/mount/mount.ts'
import { tokenOfSecret } from '../../../src/secrets/token/target.ts'
import { openMemoryStore } from '../../../src/store/memory/engine.ts'
import { FakeClock } from '../../fake/clock.ts'
import { eventually, openWorld } from '../../feed/support.ts'
import { openSecrets, ROOT_TOKEN, tables } from '../harness.ts'

type Tap = Parameters<typeof openSecrets>[0]
const CANARY = 'canary-of-feeds-4711'

async function open(t: Tap) {
  const clock = new FakeClock()
  const store = openMemoryStore({ tables, clock, random: systemRandom })
  const test = await openSecrets(t, { open: () => store, clock })
  const { secrets } = test
  const barrier = () => test.barrier
  const topics = secretsTopics({ store, clock, random: systemRandom, secrets, barrier })
  const feeds = openWorld(t, { store, clock, topics })
  return { test, clock, feeds, store }
}
type Opened = Awaited<ReturnType<typeof open>>

async function tokenFor({ test }: Opened, policy: string, more: object = {}): Promise<string> {
  const name = `p${policy.length}`
  await test.post(`sys/policies/acl/${name}`, { policy })
  const made = await test.post('auth/token/create', { policies: [name], ...more })
  return made.body.auth.client_token as string
}

/** Gives a lease under a path, as an engine does. */
async function lease({ test }: Opened, path: string, ttlMs: number): Promise<string> {
  let id = ''
  await test.write(draft => {
    const mount = mountAt(draft, { id: 'root' }, 'secret', 'cubbyhole/')!
    const { token, place } = tokenOfSecret(draft, ROOT_TOKEN)!
    const who = { token, hash: place.hash }
    const data = { password: CANARY }
    id = registerLease(draft, { path, mount, who, data, ttlMs, renewable: true }).id
  })
  return id
}

t.test('leases: come, renewed, gone', async t => {
  const opened = await open(t)
  const { feeds, test, clock } = opened
  const first = await lease(opened, 'database/creds/app', 60_000)
  await lease(opened, 'other/creds/app', 60_000)
  const reader = feeds.read({ topic: 'leases', subject: 'database/', token: ROOT_TOKEN })
  await eventually(() => reader.isWhole)
  const told = (id: string, ms: number) =>
    JSON.stringify({ ID: id, ExpiresAt: new Date(ms).toISOString().replace(/\.?0+Z$/, 'Z') })
  const endMs = clock.wall() + 60_000
  t.same([...reader.state], [[first, told(first, endMs)]])
  const second = await lease(opened, 'database/creds/web', 30_000)
  t.ok(await eventually(() => reader.state.size === 2))
  await test.write(draft => {
    const rows = draft.area('root', 'leases')
    const row = rows.get<object>(second)!
    rows.put(second, row, { kind: 'lease', dueMs: endMs })
  })
  t.ok(await eventually(() => reader.state.get(second) === told(second, endMs)))
  await test.write(draft => endLease(draft, draft.area('root', 'leases').get(first)!))
  t.ok(await eventually(() => reader.state.size === 1 && reader.isWhole))
  t.same([...reader.state.keys()], [second])
  t.same(reader.faults, [])
  t.notOk(JSON.stringify(reader.frames).includes(CANARY))
  const again = feeds.read({
    ...{ topic: 'leases', subject: 'database/', token: ROOT_TOKEN, resume: reader.resume },
  })
  again.goOnFrom(reader)
  const third = await lease(opened, 'database/creds/x', 30_000)
  t.ok(await eventually(() => again.state.has(third)))
  t.notOk(
    again.frames.some(({ event }) => event === 'snapshot'),
    'it went on',
  )
})

t.test('whoever may list leases follows them, and nobody else', async t => {
  const opened = await open(t)
  const { feeds, test, clock } = opened
  const follow = (token: string, subject: string) => feeds.read({ topic: 'leases', subject, token })
  const lists = 'path "sys/leases/lookup/database/*" { capabilities = ["list", "sudo"] }'
  const token = await tokenFor(opened, lists)
  const none = await tokenFor(opened, 'path "database/*" { capabilities = ["read"] }')
  t.throws(() => follow('', 'database/'), /403/)
  t.throws(() => follow('hvs.nobody', 'database/'), /invalid token/)
  t.throws(() => follow(none, 'database/'), /permission denied/)
  t.throws(() => follow(token, 'other/'), /permission denied/)
  t.throws(() => follow(token, 'database'), /permission denied/, 'a prefix of more than its folder')
  const counted = await tokenFor(opened, lists, { num_uses: 5 })
  t.throws(() => follow(counted, 'database/'), /uses are counted/)
  const reader = follow(token, 'database/')
  await eventually(() => reader.isWhole)
  await test.post('auth/token/revoke', { token })
  await clock.advance(1_001)
  t.match(reader.ended, { status: 403 })
  const another = follow(await tokenFor(opened, lists), 'database/')
  await eventually(() => another.isWhole)
  await test.post(`sys/policies/acl/p${lists.length}`, {
    policy: 'path "other" { capabilities = ["read"] }',
  })
  await clock.advance(1_001)
  t.match(another.ended, { status: 403 }, 'its policy is another one')
  const rooted = follow(ROOT_TOKEN, 'database/')
  await eventually(() => rooted.isWhole)
  test.barrier = undefined
  await clock.advance(1_001)
  t.match(rooted.ended, { status: 503, text: 'Vault is sealed' })
  t.throws(() => follow(ROOT_TOKEN, 'database/'), /503 Vault is sealed/)
})

t.test('roots: of the mounts that one may reach, as they come and go', async t => {
  const opened = await open(t)
  const { feeds, test, clock } = opened
  await test.mount('pki', 'pki/')
  await test.mount('pki', 'hidden/')
  const root = { common_name: 'Root', key_type: 'ec' }
  const made = (await test.post('pki/root/generate/internal', root)).body.data
  await test.post('hidden/root/generate/internal', root)
  const token = await tokenFor(opened, 'path "pki/issue/*" { capabilities = ["update"] }')
  const reader = feeds.read({ topic: 'roots', token })
  t.ok(await eventually(() => reader.isWhole))
  const key = `pki/${made.issuer_id}`
  t.same([...reader.state.keys()], [key])
  t.match(JSON.parse(reader.state.get(key)!), {
    ...{ Mount: 'pki/', IsDefault: true, IsRoot: true, SerialNumber: made.serial_number },
    Certificate: made.certificate,
  })
  const all = feeds.read({ topic: 'roots', token: ROOT_TOKEN })
  t.ok(await eventually(() => all.isWhole && all.state.size === 2))
  const next = (await test.post('pki/root/generate/internal', { ...root, issuer_name: 'next' }))
    .body
  await clock.advance(1_001)
  t.ok(await eventually(() => reader.state.size === 2))
  t.match(JSON.parse(reader.state.get(`pki/${next.data.issuer_id}`)!), { IssuerName: 'next' })
  await test.remove(`pki/issuer/${made.issuer_id}`)
  await clock.advance(2_002)
  t.ok(await eventually(() => !reader.state.has(key)))
  t.same(reader.faults, [])
  await test.post(
    `sys/policies/acl/p${'path "pki/issue/*" { capabilities = ["update"] }'.length}`,
    {
      policy: 'path "hidden/issue/*" { capabilities = ["update"] }',
    },
  )
  await clock.advance(1_001)
  const first = (): string => [...reader.state.keys()][0] ?? ''
  t.ok(await eventually(() => reader.isWhole && first().startsWith('hidden/')))
  t.ok(reader.frames.some(({ event, reason }) => event === 'resync' && reason === 'rights'))
  t.notOk(JSON.stringify([...reader.frames, ...all.frames]).includes('PRIVATE'))
})

t.test('certificates: those that are due for renewal, until they end', async t => {
  const opened = await open(t)
  const { feeds, test, clock } = opened
  await test.mount('pki', 'pki/')
  await test.post('pki/root/generate/internal', { common_name: 'Root', key_type: 'ec' })
  await test.post('pki/roles/web', {
    ...{ allow_any_name: true, key_type: 'ec', max_ttl: '10h', not_before_duration: '1s' },
  })
  const give = async (name: string, ttl: string) =>
    (await test.post('pki/issue/web', { common_name: name, ttl })).body.data.serial_number as string
  const short = await give('short.example.com', '600s')
  const revoked = await give('revoked.example.com', '600s')
  await give('long.example.com', '10h')
  await test.post('pki/revoke', { serial_number: revoked })
  const token = await tokenFor(opened, 'path "pki/certs/" { capabilities = ["list"] }')
  const reader = feeds.read({ topic: 'certificates', subject: 'pki', token })
  t.ok(await eventually(() => reader.isWhole))
  t.equal(reader.state.size, 0, 'none is due')
  await clock.advance(480_000)
  t.ok(await eventually(() => reader.state.size === 1))
  t.match(JSON.parse([...reader.state.values()][0]!), {
    ...{ SerialNumber: short, CommonName: 'short.example.com', DNSNames: ['short.example.com'] },
    Role: 'web',
  })
  const filtered = feeds.read({
    ...{ topic: 'certificates', subject: 'pki/', token, filter: 'CommonName == "other"' },
  })
  t.ok(await eventually(() => filtered.isWhole))
  t.equal(filtered.state.size, 0)
  await clock.advance(180_000)
  t.ok(await eventually(() => reader.state.size === 0 && reader.isWhole), 'it is over')
  t.same(reader.faults, [])
  const none = await tokenFor(opened, 'path "other" { capabilities = ["read"] }')
  t.throws(() => feeds.read({ topic: 'certificates', subject: 'pki', token: none }), /permission/)
  t.throws(() => feeds.read({ topic: 'certificates', subject: '', token }), /400/)
  const at = (subject: string) => feeds.read({ topic: 'certificates', subject, token: ROOT_TOKEN })
  t.throws(() => at('nowhere'), /404/)
  const plain = at('cubbyhole')
  t.ok(await eventually(() => plain.ended !== undefined))
  t.match(plain.ended, { status: 404, text: 'there is no PKI mount at this path' })
})

t.test('a mount that keeps more certificates than are read again and again', async t => {
  const opened = await open(t)
  const { feeds, test, clock } = opened
  await test.mount('pki', 'pki/')
  const row = { der: '', issuerId: '', role: '', issuedAtMs: 0, notAfterMs: clock.wall() * 2 }
  const AT_ONCE = 2_000
  for (let from = 0; from <= limits.certificateFeedRows; from += AT_ONCE) {
    await test.write(draft => {
      const cold = coldOf(draft, mountAt(draft, { id: 'root' }, 'secret', 'pki/')!)
      for (let at = from; at < from + AT_ONCE; at++) {
        cold.put(at.toString(16).padStart(40, '0'), row)
      }
    })
  }
  const reader = feeds.read({ topic: 'certificates', subject: 'pki', token: ROOT_TOKEN })
  t.ok(await eventually(() => reader.ended !== undefined))
  t.match(reader.ended, { status: 501, text: /^not served yet: / })
})
