/** What is refused when etcd fills up. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Usage } from '../../../src/store/etcd/client.ts'
import { Space } from '../../../src/store/etcd/space.ts'
import { put } from '../../../src/store/store.ts'
import type { Need } from '../../../src/store/table.ts'
import { registryTables } from '../../../src/store/tables/mod.ts'
import { blobs } from '../../conformance/store.ts'
import { FakeClock, settled } from '../../fake/clock.ts'
import { absent } from '../../run/clients.ts'
import { startEtcd } from './member.ts'
import { openOn, openRaw, until } from './stores.ts'

const usageOf = (sizeBytes: number, more: Partial<Usage> = {}): Usage => ({
  ...{ sizeBytes, quotaSizeBytes: 1_000 },
  ...{ isFull: false, isCorrupt: false },
  ...more,
})

async function taken(usage: Usage): Promise<Need[]> {
  const space = new Space({ usage: async () => usage }, new FakeClock(), 1_000)
  await space.look()
  space.stop()
  return (['extra', 'data', 'upkeep'] as const).filter(need => space.refusal(need) === undefined)
}

t.test('space: by the share of the quota', async t => {
  t.same(await taken(usageOf(799)), ['extra', 'data', 'upkeep'])
  t.same(await taken(usageOf(800)), ['data', 'upkeep'])
  t.same(await taken(usageOf(949)), ['data', 'upkeep'])
  t.same(await taken(usageOf(950)), ['upkeep'])
  t.same(await taken(usageOf(10, { isFull: true })), ['upkeep'])
  t.same(await taken(usageOf(800, { quotaSizeBytes: 0 })), ['data', 'upkeep'], 'it does not say')
  const scarce = new Space({ usage: async () => usageOf(961) }, new FakeClock(), 0)
  await scarce.look()
  scarce.stop()
  t.match(scarce.refusal('data'), { code: 'disk', outcome: 'none', message: /holds 96 % of/ })
})

t.test('space: what was known last holds, and more is asked the fuller it is', async t => {
  const clock = new FakeClock()
  let usage: Usage | undefined = usageOf(100)
  let asked = 0
  const space = new Space(
    {
      usage: async () => {
        asked++
        if (usage === undefined) throw new Error('unreachable')
        return usage
      },
    },
    clock,
    0,
  )
  space.start()
  await settled()
  await clock.advance(5_000)
  await settled()
  t.equal(asked, 1)
  usage = usageOf(970)
  await clock.advance(5_000)
  await settled()
  t.equal(asked, 2)
  t.ok(space.refusal('data'))
  usage = undefined
  for (let i = 0; i < 3; i++) {
    await clock.advance(1_000)
    await settled()
  }
  t.equal(asked, 5)
  t.ok(space.refusal('data'))
  usage = usageOf(10)
  await clock.advance(1_000)
  await settled()
  t.equal(space.refusal('data'), undefined)
  space.stop()
  await clock.advance(60_000)
  await settled()
  t.equal(asked, 6)
})

t.test('space: every kind of row says what it is then', async t => {
  const need = (name: string, row: unknown, before?: unknown): Need =>
    registryTables.find(table => table.name === name)!.need(row, before)
  t.equal(need('acl-tokens', { authMethod: 'm' }), 'extra', 'a login')
  t.equal(need('acl-tokens', { authMethod: '' }), 'data')
  t.equal(need('acl-tokens', { authMethod: 'm' }, { authMethod: 'm' }), 'upkeep')
  t.equal(need('checks', {}), 'data')
  t.equal(need('checks', {}, {}), 'upkeep', 'a change of health')
  t.equal(need('kv', { session: 's' }), 'data')
  t.equal(need('kv', { session: '' }, { session: 's' }), 'upkeep', 'a lock is freed')
  t.equal(need('kv', { session: '' }, { session: '' }), 'data')
  t.equal(need('lock-delays', {}), 'upkeep')
  t.equal(need('sessions', {}), 'data')
  t.equal(need('sessions', { ending: 'marked' }, {}), 'upkeep')
  t.equal(need('nodes', { ending: 'marked' }, {}), 'upkeep')
  t.equal(need('endings', {}), 'upkeep')
  t.equal(need('nodes', {}, {}), 'data')
})

t.test('space: an etcd that is nearly full', { skip: absent('etcd') }, async t => {
  const quotaSizeBytes = 24 << 20
  const member = await startEtcd(t, '--quota-backend-bytes', String(quotaSizeBytes))
  const raw = await openRaw(t, member)
  const big = Buffer.alloc(100_000)
  let share = 0
  for (let at = 0; share < 0.955; at++) {
    await raw.txn({ success: [{ requestPut: { key: Buffer.from(`others/${at}`), value: big } }] })
    // etcd says what it holds ten times a second: nearer to the end each put is waited for.
    if (share > 0.8) await sleep(120)
    share = (await raw.usage()).sizeBytes / quotaSizeBytes
  }
  const store = await openOn(t, member, { prefix: 'near', serverId: 'one', quotaSizeBytes })
  const add = (key: string) =>
    store.write(() => ({ txn: [put(blobs, key, Buffer.from('1'))], answer: null }))
  await until(() =>
    add('k').then(
      () => false,
      (error: Error) => /only deletions/.test(error.message),
    ),
  )
  await t.rejects(add('l'), { code: 'disk', outcome: 'none', message: /only deletions/ })
  t.ok((await store.readIndex()) >= 0, 'reads go on')
  t.match(await store.write(() => ({ txn: [], answer: 1 })), { answer: 1 })
})
