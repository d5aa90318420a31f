/**
 * The topics of the secrets: what they tell is what there is, to whom may know it, for as long as
 * he may, and nothing of what a secret holds.
 */
import t from 'tap'
import { monotonicMs } from '../../../src/base/brand.ts'
import { type Clock, systemRandom } from '../../../src/base/clock.ts'
import { limits } from '../../../src/base/limits.ts'
import type { RequestFacts } from '../../../src/base/who.ts'
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

async function open(t: Tap, seenBy: (clock: FakeClock) => Clock = clock => clock) {
  const clock = new FakeClock()
  const store = openMemoryStore({ tables, clock, random: systemRandom })
  const test = await openSecrets(t, { open: () => store, clock })
  const { secrets } = test
  const barrier = () => test.barrier
  const topics = secretsTopics({
    ...{ store, random: systemRandom, secrets, barrier },
    clock: seenBy(clock),
  })
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
async function lease({ test }: Opened, path: string, ttlMs: number, namespaceId = 'root') {
  let id = ''
  await test.write(draft => {
    const mount = mountAt(draft, { id: namespaceId }, 'secret', 'cubbyhole/')!
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

t.test('leases of a namespace are named by its path, as in requests', async t => {
  const opened = await open(t)
  const { feeds, test } = opened
  await test.post('sys/namespaces/team')
  const { id } = (await test.read('sys/namespaces/team')).body.data
  const first = await lease(opened, 'database/creds/app', 60_000, id)
  await lease(opened, 'other/creds/app', 60_000, id)
  await lease(opened, 'database/creds/app', 60_000)
  const follow = (subject: string, token = ROOT_TOKEN) =>
    feeds.read({ topic: 'leases', subject, token })
  const reader = follow('team/database/')
  t.ok(await eventually(() => reader.isWhole))
  t.same([...reader.state.keys()], [`${first}.${id}`], 'its id is that of clients')
  const second = await lease(opened, 'database/creds/web', 60_000, id)
  t.ok(await eventually(() => reader.state.has(`${second}.${id}`)))
  await test.write(draft => endLease(draft, draft.area(id, 'leases').get(first)!))
  t.ok(await eventually(() => reader.state.size === 1))
  const ofRoot = follow('database/')
  t.ok(await eventually(() => ofRoot.isWhole))
  t.equal(ofRoot.state.size, 1, 'no namespace tells of those in another')
  t.same([...reader.faults, ...ofRoot.faults], [])
  const lists = 'path "sys/leases/lookup/database/*" { capabilities = ["list", "sudo"] }'
  const outside = await tokenFor(opened, lists)
  t.throws(() => follow('team/database/', outside), /permission denied/)
  const inside = await tokenFor(opened, lists.replace('sys', 'team/sys'))
  const allowed = follow('team/database/', inside)
  t.ok(await eventually(() => allowed.isWhole && allowed.state.size === 1))
  t.throws(() => follow('database/', inside), /permission denied/)
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
  const facts = {} as RequestFacts
  const reader = feeds.read({ topic: 'leases', subject: 'database/', token, facts })
  await eventually(() => reader.isWhole)
  const { accessor } = (await test.read('auth/token/lookup-self', { token })).body.data
  t.equal(facts.detail?.(), JSON.stringify({ accessor }), 'its record says who it is')
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

const AT_ONCE = 2_000

/** Keeps so many copies of a certificate, from one number on. */
async function keepCopies({ test }: Opened, row: object, from: number, count: number) {
  for (let next = from; next < from + count; next += AT_ONCE) {
    await test.write(draft => {
      const cold = coldOf(draft, mountAt(draft, { id: 'root' }, 'secret', 'pki/')!)
      for (let at = next; at < Math.min(next + AT_ONCE, from + count); at++) {
        cold.put(at.toString(16).padStart(40, '0'), row)
      }
    })
  }
}

/** A certificate in DER, as rows have it. */
async function someCertificate({ test }: Opened): Promise<string> {
  const root = { common_name: 'Root', key_type: 'ec', format: 'der' }
  return (await test.post('pki/root/generate/internal', root)).body.data.certificate as string
}

t.test('a mount with more certificates that are due than a feed has', async t => {
  const opened = await open(t)
  const { feeds, test, clock } = opened
  await test.mount('pki', 'pki/')
  const der = await someCertificate(opened)
  const common = { der, issuerId: '', role: '', issuedAtMs: 0 }
  const later = { ...common, notAfterMs: clock.wall() * 2 }
  await keepCopies(opened, later, 0, limits.certificateFeedRows + 1)
  const follow = () => feeds.read({ topic: 'certificates', subject: 'pki', token: ROOT_TOKEN })
  const reader = follow()
  t.ok(await eventually(() => reader.isWhole))
  t.equal(reader.state.size, 0, 'none is due, however many there are')
  reader.close()
  const due = { ...common, notAfterMs: clock.wall() + 60_000 }
  await keepCopies(opened, due, 0, limits.certificateFeedRows + 1)
  const other = follow()
  await clock.advance(60_001)
  t.ok(await eventually(() => other.ended !== undefined))
  t.match(other.ended, { status: 501, text: /^not served yet: / })
})

t.test('a mount that takes long to read is read seldom, and told of in time', async t => {
  let seenMs = 0
  // Each look at the clock is ten seconds after the one before: so reading takes ten of them.
  const opened = await open(t, clock => ({
    wall: () => clock.wall(),
    after: (ms, call) => clock.after(ms, call),
    monotonic() {
      seenMs += 10_000
      return monotonicMs(seenMs)
    },
  }))
  const { feeds, test, clock } = opened
  await test.mount('pki', 'pki/')
  const der = await someCertificate(opened)
  const nowMs = clock.wall()
  // Due after four minutes.
  const row = { der, issuerId: '', role: '', issuedAtMs: nowMs, notAfterMs: nowMs + 360_000 }
  await keepCopies(opened, row, 1, 1)
  const reader = feeds.read({ topic: 'certificates', subject: 'pki', token: ROOT_TOKEN })
  t.ok(await eventually(() => reader.isWhole))
  t.equal(reader.state.size, 0)
  await keepCopies(opened, row, 2, 1)
  await clock.advance(300_000)
  t.ok(
    await eventually(() => reader.state.size === 1),
    'what was read before is told when it is due',
  )
  await keepCopies(opened, { ...row, notAfterMs: nowMs + 900_000, issuedAtMs: 0 }, 3, 1)
  await clock.advance(240_000)
  const third = '3'.padStart(40, '0')
  t.ok(await eventually(() => reader.state.size === 1 && reader.state.has(third)), 'read again')
})
