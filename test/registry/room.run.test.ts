/**
 * The registry on a store: what is joined here and nowhere else.
 */
import t, { type Test } from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { OperatingError, Refusal } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import type { Entry } from '../../src/registry/config-entry/kind.ts'
import { decodeEntry } from '../../src/registry/config-entry/mod.ts'
import { Registry } from '../../src/registry/room.run.ts'
import { registryTimers } from '../../src/registry/timers.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { put } from '../../src/store/store.ts'
import { checks } from '../../src/store/tables/check.ts'
import { configEntries } from '../../src/store/tables/config-entry.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { lockDelays, sessions } from '../../src/store/tables/session.ts'
import { ownRenewals, Timekeeper } from '../../src/store/timekeeper.ts'
import { Writer } from '../../src/store/writer.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { checkRow, everybody, nodeRow, only } from './rules.ts'

async function room(t: Test) {
  const clock = new FakeClock()
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock, random: systemRandom })
  const timekeeper = new Timekeeper(
    { store, clock, random: systemRandom, log: silentLog },
    { role: 'registry', holder: 'one', kinds: registryTimers(0) },
  )
  const registry = new Registry({
    store,
    writer: new Writer(store),
    renewals: ownRenewals(timekeeper),
    sessionTtlMinMs: 10_000,
    clock,
    metrics: new Metrics(clock),
    timeouts: new Timeouts(clock),
    log: silentLog,
  })
  t.teardown(async () => {
    await timekeeper.stop()
    await store.close()
  })
  const node = nodeRow('n')
  await registry.register(everybody, {
    node,
    skipNodeUpdate: false,
    service: undefined,
    checks: [],
  })
  const session = async (ttl: string, lockDelayMs = 0): Promise<string> => {
    const request = { name: '', node: 'n', behavior: '', nodeChecks: [], serviceChecks: [] }
    return (await registry.createSession(everybody, { ...request, ttl, lockDelayMs })) as string
  }
  const hold = async (): Promise<void> => {
    timekeeper.start()
    for (let i = 0; i < 100 && !timekeeper.holding; i++) await settled()
  }
  return { clock, store, timekeeper, registry, session, hold }
}

t.test(
  'a session lives as long as it is renewed, and its locks stay taken for the delay',
  async t => {
    const { clock, store, registry, session, hold } = await room(t)
    await hold()
    const id = await session('10s', 15_000)
    const lock = {
      key: 'k',
      value: Buffer.from('v'),
      flags: 0n,
      cas: undefined,
      release: undefined,
    }
    t.equal(await registry.putKv(everybody, { ...lock, acquire: id }), true)
    for (let i = 0; i < 5; i++) {
      await clock.advance(19_000)
      t.match(await registry.renewSession(everybody, id), { row: { id } })
    }
    await clock.advance(21_000)
    t.equal(store.view().count(sessions), 0)
    t.equal(store.view().get(kv, 'k')?.row.session, '')
    const other = await session('')
    t.equal(await registry.putKv(everybody, { ...lock, acquire: other }), false)
    await clock.advance(16_000)
    t.equal(store.view().count(lockDelays), 0)
    t.equal(await registry.putKv(everybody, { ...lock, acquire: other }), true)
  },
)

t.test('renewals are refused by who cannot keep them', async t => {
  const { registry, session, hold } = await room(t)
  const id = await session('10s')
  const ever = await session('')
  await t.rejects(registry.renewSession(everybody, id), OperatingError, 'not held yet')
  t.match(await registry.renewSession(everybody, ever), { row: { id: ever } }, 'no time to keep')
  await hold()
  t.match(await registry.renewSession(everybody, id), { row: { id } })
  t.match(await registry.renewSession(only(), id), { status: 403 })
  t.ok((await registry.renewSession(everybody, 'x')) instanceof Refusal)
})

t.test('a tree larger than a transaction goes in several', async t => {
  const { store, registry } = await room(t)
  const limit = store.supports.transactionOps
  const row = { value: Buffer.from(''), flags: 0n, session: '', lockIndex: 0 }
  for (const part of ['a', 'b']) {
    const txn = Array.from({ length: limit - 1 }, (_, i) => put(kv, `p/${part}${i}`, row))
    await store.write(() => ({ txn, answer: undefined }))
  }
  t.equal(await registry.deleteKvTree(everybody, 'p/'), true)
  t.equal(store.view().count(kv), 0)
  t.match(await registry.deleteKvTree(only(), 'p/'), { status: 403 })
})

t.test('entries of the configuration are written once, in an order in which they fit', async t => {
  const { registry, store } = await room(t)
  const entryOf = (body: object): Entry => {
    const entry = decodeEntry(body)
    if (entry instanceof Refusal) throw new Error(entry.text)
    return entry
  }
  const HTTP = { PathPrefix: '/' }
  const Sources = [{ Name: 'api', Permissions: [{ Action: 'allow', HTTP }] }]
  const needing = entryOf({ Kind: 'service-intentions', Name: 'web', Sources })
  const needed = entryOf({ Kind: 'service-defaults', Name: 'web', Protocol: 'http' })
  t.strictSame(await registry.bootstrapEntries([needing, needed], 'dc1'), [])
  t.equal(store.view().count(configEntries), 2)
  await registry.putEntry(everybody, {
    entry: entryOf({ Kind: 'service-defaults', Name: 'web', Protocol: 'grpc' }),
    cas: undefined,
    datacenter: 'dc1',
  })
  const { revision } = store.status()
  t.strictSame(await registry.bootstrapEntries([needing, needed], 'dc1'), [])
  t.equal(store.status().revision, revision, 'what was written since stays')
  const lone = entryOf({ Kind: 'service-intentions', Name: 'other', Sources })
  t.match(await registry.bootstrapEntries([lone], 'dc1'), [{ status: 500, text: /L7 intentions/ }])
})

t.test('a registration with a TTL lives as long as it is repeated, without a write', async t => {
  const { clock, store, registry, hold } = await room(t)
  await hold()
  const given = checkRow('n', 'c', { definition: { ttlMs: 10_000 } })
  const registration = {
    node: nodeRow('n'),
    skipNodeUpdate: false,
    service: undefined,
    checks: [given],
  }
  const row = () => store.view().get(checks, onNode('n', 'c'))?.row
  t.equal(await registry.register(everybody, registration), true)
  const at = store.view().newest(checks)
  const op = { kind: 'Check', verb: 'set', check: given, index: 0 } as const
  for (let i = 0; i < 3; i++) {
    await clock.advance(9_000)
    t.equal(await registry.register(everybody, registration), true)
    await clock.advance(9_000)
    t.match(await registry.transact(everybody, [op]), { answer: { results: [{}] } })
  }
  const get = { ...op, verb: 'get' } as const
  await clock.advance(9_000)
  t.equal(store.view().newest(checks), at, 'no renewal was written')
  t.match(row(), { status: 'passing' })
  await registry.transact(everybody, [get])
  await clock.advance(1_500)
  t.match(row(), { status: 'critical', output: 'TTL expired' }, 'who reads does not renew')
  t.equal(await registry.register(everybody, registration), true)
  t.match(row(), { status: 'passing', output: '' })
})

t.test('a server that does not keep the time renews registrations by a write', async t => {
  const { clock, store, registry, hold } = await room(t)
  const check = checkRow('n', 'c', { definition: { ttlMs: 10_000 } })
  const registration = {
    node: nodeRow('n'),
    skipNodeUpdate: false,
    service: undefined,
    checks: [check, checkRow('n', 'other')],
  }
  const at = () => store.view().newest(checks)
  await registry.register(everybody, registration)
  const first = at()
  await registry.register(everybody, registration)
  t.ok(at() > first, 'whoever keeps it sees that')
  const second = at()
  await hold()
  await registry.register(everybody, registration)
  t.equal(at(), second)
  const refused = await registry.register(only(), registration)
  t.match(refused, { status: 403 })
  await clock.advance(11_000)
  t.match(store.view().get(checks, onNode('n', 'c'))?.row, { status: 'critical' })
})
