/**
 * The timekeeper: nothing early, nothing by a holder that was replaced, nothing forgotten.
 */
import fc from 'fast-check'
import t from 'tap'
import type { Revision } from '../../src/base/brand.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { OperatingCode, OperatingError, Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { notHolder, roles, roleWishes, wishRole } from '../../src/store/role.ts'
import { type Cursor, del, put, type Store } from '../../src/store/store.ts'
import {
  type AnyDeadlineKind,
  type DeadlineKind,
  type Duty,
  Timekeeper,
} from '../../src/store/timekeeper.ts'
import type { Target, Woken } from '../../src/store/wait.ts'
import { blobs, type Thing, testTables, things } from '../conformance/store.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { propertyRuns, untilBudget } from '../run/budget.ts'

/** How late the wheel may fire: its tick, and the one before that was read a moment ago. */
const LATE_MS = 200

/** A thing lives `size` milliseconds after it was last heard of; 0 is for ever. */
const liveness: DeadlineKind<Thing> = {
  name: 'thing',
  table: things,
  due: ({ row }) => (row.size === 0 ? undefined : { afterMs: row.size }),
  expire: key => () => ({ txn: [del(things, key)], answer: undefined }),
}

/** A blob holds the wall time at which it ends. */
const lifetime: DeadlineKind<Buffer> = {
  name: 'blob',
  table: blobs,
  due: ({ row }) => ({ atWallMs: Number(row.toString()) }),
  expire: key => () => ({ txn: [del(blobs, key)], answer: undefined }),
}

const both = [liveness, lifetime]

interface World {
  readonly clock: FakeClock
  readonly store: Store
  /** A server of the store, with a clock, kinds or a sight of the store of its own. */
  server(
    holder: string,
    clock?: FakeClock,
    kinds?: readonly AnyDeadlineKind[],
    seen?: Store,
  ): Timekeeper
}

function world(): World {
  const clock = new FakeClock()
  const store = openMemoryStore({
    tables: withSystemTables(testTables),
    clock,
    random: systemRandom,
  })
  const server: World['server'] = (holder, own = clock, kinds = both, seen = store) =>
    new Timekeeper(
      { store: seen, clock: own, random: systemRandom, log: silentLog },
      { role: 'registry', holder, kinds },
    )
  return { clock, store, server }
}

async function putThing(store: Store, key: string, lifeMs: number): Promise<void> {
  const row: Thing = { group: 'g', tags: [], size: lifeMs }
  await store.write(() => ({ txn: [put(things, key, row)], answer: undefined }))
}

async function putBlob(store: Store, key: string, endsAtWallMs: number): Promise<void> {
  const row = Buffer.from(String(endsAtWallMs))
  await store.write(() => ({ txn: [put(blobs, key, row)], answer: undefined }))
}

const keysOf = (store: Store): string[] => [
  ...store
    .view()
    .prefix(things, '')
    .map(cell => cell.key),
  ...store
    .view()
    .prefix(blobs, '')
    .map(cell => cell.key),
]

const holderOf = (store: Store): string | undefined =>
  store.view().get(roles, 'registry')?.row.holder

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2_000 && !condition(); i++) await settled(1)
  if (!condition()) throw new Error('the condition did not come true')
}

t.test('takes a free role at once and ends what is overdue, not earlier', async t => {
  const { clock, store, server } = world()
  await putThing(store, 'a', 5_000)
  await putThing(store, 'ever', 0)
  const keeper = server('one')
  t.equal(keeper.holding, false)
  keeper.start()
  await until(() => keeper.holding)
  t.equal(holderOf(store), 'one')
  await putThing(store, 'b', 7_000)
  await clock.advance(4_999)
  t.same(keysOf(store), ['a', 'b', 'ever'])
  await clock.advance(LATE_MS)
  t.same(keysOf(store), ['b', 'ever'])
  await clock.advance(1_800)
  t.same(keysOf(store), ['b', 'ever'])
  await clock.advance(LATE_MS)
  t.same(keysOf(store), ['ever'])
  await keeper.stop()
  await store.close()
})

t.test('a write starts over, a deletion cancels, no deadline is for ever', async t => {
  const { clock, store, server } = world()
  const keeper = server('one')
  keeper.start()
  for (const key of ['a', 'b', 'c']) await putThing(store, key, 5_000)
  await clock.advance(4_000)
  await putThing(store, 'a', 5_000)
  await putThing(store, 'b', 0)
  await store.write(() => ({ txn: [del(things, 'c')], answer: undefined }))
  await settled()
  t.equal(keeper.waiting, 1)
  await clock.advance(4_999)
  t.same(keysOf(store), ['a', 'b'])
  await clock.advance(LATE_MS)
  t.same(keysOf(store), ['b'])
  await keeper.stop()
  await store.close()
})

t.test('a renewal starts liveness over, and is refused where it would not hold', async t => {
  const { clock, store, server } = world()
  const keeper = server('one')
  const standby = server('two')
  await putThing(store, 'a', 5_000)
  t.equal(keeper.renew('thing', 'a'), false, 'not the holder yet')
  keeper.start()
  await until(() => keeper.holding)
  standby.start()
  for (let i = 0; i < 10; i++) {
    await clock.advance(4_000)
    t.equal(keeper.renew('thing', 'a'), true)
    t.equal(standby.renew('thing', 'a'), false)
  }
  t.equal(keeper.renew('thing', 'none'), false)
  const written = putThing(store, 'new', 5_000)
  t.equal(keeper.renew('thing', 'new'), false, 'not durable yet')
  await written
  t.equal(keeper.renew('thing', 'new'), true, 'just written')
  t.throws(() => keeper.renew('nothing', 'a'), /only kinds that were registered/)
  await putBlob(store, 'life', clock.wall() + 5_000)
  await settled()
  t.throws(() => keeper.renew('blob', 'life'), /lifetimes are renewed by a write/)
  await clock.advance(5_000 + LATE_MS)
  t.same(keysOf(store), [])
  t.equal(keeper.renew('thing', 'a'), false)
  await keeper.stop()
  await standby.stop()
  await store.close()
})

t.test('no renewal is acknowledged while its row is being ended', async t => {
  const { clock, store, server } = world()
  const asked: boolean[] = []
  const keeper: Timekeeper = server('one', clock, [
    {
      ...liveness,
      expire: key => view => {
        asked.push(keeper.renew('thing', key))
        return liveness.expire(key)(view, clock.wall(), systemRandom)
      },
    },
  ])
  keeper.start()
  await putThing(store, 'a', 1_000)
  await clock.advance(1_000 + LATE_MS)
  t.same(asked, [false])
  t.same(keysOf(store), [])
  await keeper.stop()
  await store.close()
})

t.test('a row that was written meanwhile is not ended', async t => {
  const { clock, store, server } = world()
  const keeper = server('one')
  keeper.start()
  await putThing(store, 'a', 1_000)
  await clock.advance(950)
  // The write and the end meet in one batch: the write is decided first, and not yet in the feed.
  const written = putThing(store, 'a', 3_000)
  clock.elapse(LATE_MS)
  clock.fire()
  await written
  await settled()
  t.same(keysOf(store), ['a'])
  await clock.advance(2_500)
  t.same(keysOf(store), ['a'])
  await clock.advance(1_000)
  t.same(keysOf(store), [])
  await keeper.stop()
  await store.close()
})

t.test('no renewal is acknowledged outside the own lease, nor in its margin', async t => {
  for (const [pauseMs, wanted] of [
    [limits.roleLeaseTtlMs - limits.roleLeaseMarginMs - 1, true],
    [limits.roleLeaseTtlMs - limits.roleLeaseMarginMs, false],
    [limits.roleLeaseTtlMs + 1, false],
  ] as const) {
    const { clock, store, server } = world()
    const keeper = server('one')
    keeper.start()
    await until(() => keeper.holding)
    await putThing(store, 'a', 60_000)
    await settled()
    // Nothing runs in this time: neither is the lease kept alive, nor is it found out.
    clock.elapse(pauseMs)
    t.equal(keeper.renew('thing', 'a'), wanted, `after ${pauseMs} ms`)
    await keeper.stop()
    await store.close()
  }
})

t.test('lifetimes are times of the wall clock, however it is set', async t => {
  const { clock, store, server } = world()
  const keeper = server('one')
  keeper.start()
  const startMs = clock.wall()
  await putBlob(store, 'hour', startMs + 3_600_000)
  await putBlob(store, 'day', startMs + 86_400_000)
  await putThing(store, 'alive', 8_000)
  await clock.advance(5_000)
  clock.setWall(3_700_000)
  await clock.advance(2 * LATE_MS)
  t.same(keysOf(store), ['alive', 'day'], 'forward: the hour is over, liveness is not')
  clock.setWall(-3_700_000 - 365 * 86_400_000)
  await clock.advance(2_000)
  t.same(keysOf(store), ['alive', 'day'], 'a year back: nothing ends')
  await clock.advance(1_000)
  t.same(keysOf(store), ['day'])
  // Set back in the very moment before it ends.
  await putBlob(store, 'soon', clock.wall() + 1_000)
  await clock.advance(990)
  clock.setWall(-600_000)
  await clock.advance(2 * LATE_MS)
  t.same(keysOf(store), ['day', 'soon'])
  clock.setWall(600_000)
  await clock.advance(2 * LATE_MS)
  t.same(keysOf(store), ['day'])
  clock.setWall(365 * 86_400_000)
  await clock.advance(60_000)
  t.same(keysOf(store), ['day'])
  clock.setWall(86_400_000)
  await clock.advance(2 * LATE_MS)
  t.same(keysOf(store), [])
  await keeper.stop()
  await store.close()
})

t.test('a pause of the process is not held against those it could not hear', async t => {
  const { clock, store, server } = world()
  const keeper = server('one')
  keeper.start()
  await putThing(store, 'short', 4_000)
  await putThing(store, 'a', 8_000)
  await clock.advance(2_000)
  await clock.pause(3_000)
  t.same(keysOf(store), ['a', 'short'], 'overdue, but nobody could have renewed it')
  await clock.advance(900)
  t.same(keysOf(store), ['a', 'short'])
  await clock.advance(1_000 + LATE_MS)
  t.same(keysOf(store), ['a'])
  t.equal(keeper.renew('thing', 'a'), true, 'inside the lease')
  await clock.advance(7_900)
  t.same(keysOf(store), ['a'])
  t.equal(keeper.renew('thing', 'a'), true)
  await putBlob(store, 'life', clock.wall() + 30_000)
  await putThing(store, 'brief', 2_400)
  await clock.advance(2_000)
  await clock.pause(60_000)
  t.ok(keysOf(store).includes('brief'), 'outside its lease it ends nothing')
  await until(() => keeper.holding)
  await clock.advance(LATE_MS)
  t.same(keysOf(store), ['a', 'brief'], 'what is overdue by the wall clock goes, silence stays')
  t.equal(keeper.renew('thing', 'a'), true, 'the role was taken anew')
  await clock.advance(7_900)
  t.same(keysOf(store), ['a'])
  await clock.advance(1_000)
  t.same(keysOf(store), [])
  await keeper.stop()
  await store.close()
})

/** A store as a process sees it that stands still: nothing new reaches it, its writes still go. */
function frozen(store: Store): { readonly seen: Store; freeze(): void; thaw(): void } {
  let view: ReturnType<Store['view']> | undefined
  const held: (() => void)[] = []
  const hold = (run: () => void): void => {
    if (view === undefined) run()
    else held.push(run)
  }
  const scopes = {
    waiting: 0,
    wait: (target: Target, wake: (why: Woken) => void) =>
      store.scopes.wait(target, why => hold(() => wake(why))),
  }
  const feed = (after: Revision): Cursor => {
    const cursor = store.feed(after)
    return {
      async next(signal) {
        const change = await cursor.next(signal)
        await new Promise<void>(resolve => hold(resolve))
        return change
      },
      isAtEnd: () => cursor.isAtEnd(),
    }
  }
  const seen = new Proxy(store, {
    get(target, name) {
      if (name === 'view') return () => view ?? store.view()
      if (name === 'scopes') return scopes
      if (name === 'feed') return feed
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const freeze = (): void => {
    view = store.view()
  }
  const thaw = (): void => {
    view = undefined
    for (const run of held.splice(0)) run()
  }
  return { seen, freeze, thaw }
}

t.test('the role is handed to whom it is wished for, or to any other', async t => {
  const { clock, store, server } = world()
  const keepers = new Map(['one', 'two', 'three'].map(name => [name, server(name)]))
  for (const keeper of keepers.values()) {
    keeper.start()
    await settled()
  }
  t.equal(holderOf(store), 'one')
  const wish = (to: string) => store.write(view => wishRole(view, 'registry', to))
  await wish('three')
  for (let i = 0; i < 20 && holderOf(store) !== 'three'; i++) await clock.advance(100)
  t.equal(holderOf(store), 'three')
  t.equal(keepers.get('one')!.holding, false)
  await wish('')
  for (let i = 0; i < 20 && [undefined, 'three'].includes(holderOf(store)); i++) {
    await clock.advance(100)
  }
  const next = holderOf(store)!
  t.not(next, 'three')
  t.equal(store.view().get(roleWishes, 'registry'), undefined, 'the wish is over')
  // Whom it is wished for may be gone: then it is left to nobody for ever.
  await wish('nobody')
  for (let i = 0; i < 100 && holderOf(store) !== undefined; i++) await clock.advance(10)
  await clock.advance(limits.roleHandoverMs / 2)
  t.equal(holderOf(store), undefined)
  await clock.advance(limits.roleHandoverMs + 2 * limits.roleRetryMs)
  t.ok(holderOf(store) !== undefined)
  for (const keeper of keepers.values()) await keeper.stop()
  await store.close()
})

t.test('who may not hold a role gives it up, and takes none', async t => {
  const { clock, store } = world()
  let mayHold = false
  const keeper = new Timekeeper(
    { store, clock, random: systemRandom, log: silentLog },
    { role: 'registry', holder: 'one', kinds: both, mayHold: () => mayHold },
  )
  keeper.start()
  await clock.advance(10_000)
  t.equal(holderOf(store), undefined)
  mayHold = true
  await clock.advance(2 * limits.roleRetryMs)
  t.equal(keeper.holding, true)
  mayHold = false
  await clock.advance(limits.roleLeaseTtlMs / 4)
  t.equal(keeper.holding, false)
  t.equal(holderOf(store), undefined)
  await keeper.stop()
  await store.close()
})

t.test('fencing: a holder that was paused and replaced ends nothing', async t => {
  const { clock, store, server } = world()
  const slow = new FakeClock()
  const { seen, freeze, thaw } = frozen(store)
  const paused = server('paused', slow, both, seen)
  const fresh = server('fresh')
  paused.start()
  await until(() => paused.holding)
  await putThing(store, 'a', 1_000)
  await until(() => paused.waiting === 1)
  fresh.start()
  freeze()
  // Time passes for everybody but the first holder.
  for (let i = 0; i < 200 && !fresh.holding; i++) await clock.advance(100)
  t.equal(holderOf(store), 'fresh')
  t.equal(fresh.renew('thing', 'a'), true)
  // It wakes, and by what it knows all is well: the role, its lease, and the deadline is over.
  const written: unknown[] = []
  const { write } = store
  store.write = async decide => {
    const result = await write.call(store, decide)
    written.push(result)
    return result as never
  }
  t.equal(paused.holding, true)
  await slow.advance(1_000 + LATE_MS)
  t.same(written, [notHolder], 'it tried, and was refused')
  t.same(keysOf(store), ['a'])
  store.write = write
  thaw()
  await settled()
  t.equal(paused.holding, false, 'it knows by now')
  t.equal(holderOf(store), 'fresh')
  await clock.advance(900)
  t.same(keysOf(store), ['a'])
  await clock.advance(100 + LATE_MS)
  t.same(keysOf(store), [])
  await paused.stop()
  await fresh.stop()
  await store.close()
})

t.test('moves: a deadline starts over with the role and never fires early', async t => {
  const count = await untilBudget('moves of the timekeeper', 1_000, async index => {
    const { clock, store, server } = world()
    const lifeMs = 3_000 + (index % 7) * 1_000
    const keepers = [server('zero'), server('one'), server('two')]
    let holder = index % 3
    keepers[holder]!.start()
    await until(() => keepers[holder]!.holding)
    await putThing(store, 'a', lifeMs)
    for (let move = 0; move < 3; move++) {
      await clock.advance(lifeMs - 500)
      const next = (holder + 1 + (index % 2)) % 3
      const old = keepers[holder]!
      await old.stop()
      keepers[holder] = server(`again-${move}`)
      keepers[next]!.start()
      await until(() => keepers[next]!.holding)
      holder = next
    }
    await clock.advance(lifeMs - 1)
    if (keysOf(store).length !== 1) throw new Error(`ended early after a move, case ${index}`)
    await clock.advance(2 * LATE_MS)
    if (keysOf(store).length !== 0) throw new Error(`not ended, case ${index}`)
    await keepers[holder]!.stop()
    await store.close()
  })
  t.ok(count > 0)
})

t.test('a rule that fails is tried again, later and later; others go on', async t => {
  const { clock, store, server } = world()
  const triedAtMs: number[] = []
  let mode: 'throws' | 'refuses' | 'works' = 'throws'
  const keeper = server('one', clock, [
    {
      ...liveness,
      expire: key => (view, now, random) => {
        if (key !== 'bad') return liveness.expire(key)(view, now, random)
        triedAtMs.push(clock.monotonic())
        if (mode === 'throws') throw new OperatingError(OperatingCode.busy, 'no room')
        if (mode === 'refuses') return new Refusal(500, 'not now')
        return liveness.expire(key)(view, now, random)
      },
    },
  ])
  keeper.start()
  await putThing(store, 'bad', 1_000)
  await putThing(store, 'good', 1_000)
  await clock.advance(1_000 + LATE_MS)
  t.same(keysOf(store), ['bad'])
  await clock.advance(4_000)
  mode = 'refuses'
  await clock.advance(30_000)
  const gaps = triedAtMs.slice(1).map((at, i) => at - triedAtMs[i]!)
  t.ok(gaps.length >= 4)
  t.ok(
    gaps.every((gap, i) => i === 0 || gap > gaps[i - 1]!),
    'each gap is longer',
  )
  t.equal(keeper.renew('thing', 'bad'), true, 'and until then a renewal saves it')
  mode = 'works'
  await clock.advance(1_000 + LATE_MS)
  t.same(keysOf(store), [])
  await keeper.stop()
  await store.close()
})

t.test('a flood is ended a bounded number at a time', async t => {
  const { clock, store, server } = world()
  const count = 2_000
  const keys = Array.from({ length: count }, (_, i) => `k${i}`)
  const row: Thing = { group: 'g', tags: [], size: 1_000 }
  await store.write(() => ({ txn: keys.map(key => put(things, key, row)), answer: undefined }))
  let begun = 0
  let most = 0
  const done = (): number => count - store.view().count(things)
  const keeper = server('one', clock, [
    {
      ...liveness,
      expire: key => (view, now, random) => {
        begun++
        most = Math.max(most, begun - done())
        return liveness.expire(key)(view, now, random)
      },
    },
  ])
  keeper.start()
  await until(() => keeper.waiting === count)
  await clock.advance(1_000 + LATE_MS)
  await until(() => store.view().count(things) === 0)
  t.equal(begun, count)
  t.ok(most <= limits.expiriesInFlight, `${most} at a time`)
  await keeper.stop()
  await store.close()
})

t.test('a restored store is armed anew, under a new lease', async t => {
  const { clock, store, server } = world()
  const keeper = server('one')
  keeper.start()
  await putThing(store, 'old', 5_000)
  await settled()
  const lease = store.view().get(roles, 'registry')!.lease
  const body = Buffer.from(JSON.stringify({ group: 'g', tags: [], size: 3_000 }))
  const row = { key: `${things.prefix}new`, body, createIndex: 1, modifyIndex: 1 }
  await store.restore({ rows: [row], index: 10, verify: () => {} })
  await clock.advance(100)
  await until(() => keeper.holding && store.view().get(roles, 'registry') !== undefined)
  t.not(store.view().get(roles, 'registry')!.lease, lease)
  t.equal(keeper.waiting, 1)
  await clock.advance(2_800)
  t.same(keysOf(store), ['new'])
  await clock.advance(300 + LATE_MS)
  t.same(keysOf(store), [])
  await keeper.stop()
  await store.close()
})

t.test('a row of our own, left from before a restart, is no obstacle', async t => {
  const { clock, store, server } = world()
  const { seen, freeze, thaw } = frozen(store)
  const killed = server('same', new FakeClock(), both, seen)
  killed.start()
  await until(() => killed.holding)
  freeze()
  const keeper = server('same')
  keeper.start()
  await until(() => keeper.holding)
  const lease = store.view().get(roles, 'registry')!.lease
  // The old lease ends in its time, the new one does not.
  for (let i = 0; i < 20; i++) await clock.advance(1_000)
  t.equal(store.view().get(roles, 'registry')?.lease, lease)
  t.equal(keeper.holding, true)
  await keeper.stop()
  const killedStops = killed.stop()
  thaw()
  await killedStops
  await store.close()
})

t.test('stop gives the role back and leaves no timer', async t => {
  const { clock, store, server } = world()
  const keeper = server('one')
  const next = server('two')
  keeper.start()
  await until(() => keeper.holding)
  next.start()
  await putThing(store, 'a', 1_000)
  await keeper.stop()
  t.equal(keeper.holding, false)
  await until(() => next.holding)
  await next.stop()
  t.equal(holderOf(store), undefined)
  t.equal(store.scopes.waiting, 0)
  await clock.advance(10_000)
  t.equal(clock.timers, 0)
  t.same(keysOf(store), ['a'])
  await store.close()
})

t.test('stops although the store was closed before it', async t => {
  const { clock, store, server } = world()
  const keeper = server('one')
  keeper.start()
  await until(() => keeper.holding)
  await store.close()
  await clock.advance(20_000)
  await keeper.stop()
  t.equal(keeper.holding, false)
})

const step = fc.oneof(
  fc.record({ put: fc.constantFrom('a', 'b', 'c'), lifeMs: fc.integer({ min: 300, max: 9_000 }) }),
  fc.record({ del: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ renew: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ wait: fc.integer({ min: 0, max: 6_000 }) }),
)

t.test('model: any sequence of writes, renewals and waits', async t => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 15 }), async steps => {
    const { clock, store, server } = world()
    const keeper = server('one')
    keeper.start()
    await until(() => keeper.holding)
    const dueAt = new Map<string, { lifeMs: number; atMs: number }>()
    for (const one of steps) {
      const nowMs = clock.monotonic()
      if ('put' in one) {
        await putThing(store, one.put, one.lifeMs)
        await settled()
        dueAt.set(one.put, { lifeMs: one.lifeMs, atMs: nowMs + one.lifeMs })
      } else if ('del' in one) {
        await store.write(() => ({ txn: [del(things, one.del)], answer: undefined }))
        await settled()
        dueAt.delete(one.del)
      } else if ('renew' in one) {
        const armed = dueAt.get(one.renew)
        const renewed = keeper.renew('thing', one.renew)
        if (renewed !== keysOf(store).includes(one.renew)) return false
        if (armed !== undefined && renewed) armed.atMs = nowMs + armed.lifeMs
      } else await clock.advance(one.wait)
      const present = new Set(keysOf(store))
      for (const [key, { atMs }] of dueAt) {
        if (clock.monotonic() < atMs && !present.has(key)) return false
        if (clock.monotonic() >= atMs + LATE_MS && present.has(key)) return false
        if (!present.has(key)) dueAt.delete(key)
      }
      if (present.size !== dueAt.size) return false
    }
    await keeper.stop()
    await store.close()
    return true
  })
  await fc.assert(property, { numRuns: propertyRuns() })
  t.pass('equal')
})

t.test('what else one server does goes on as long as it holds the role', async t => {
  const { clock, store } = world()
  const told: string[] = []
  const fences: Parameters<Duty>[1][] = []
  const server = (holder: string): Timekeeper => {
    const working: Duty = async (signal, fenced) => {
      told.push(`${holder} begins`)
      fences.push(fenced)
      await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
      told.push(`${holder} ends`)
    }
    const broken: Duty = () => Promise.reject(new Error('broken'))
    const ports = { store, clock, random: systemRandom, log: silentLog }
    const options = { role: 'registry', holder, kinds: both, duties: [broken, working] }
    return new Timekeeper(ports, options)
  }
  const [one, two] = [server('one'), server('two')]
  one.start()
  await until(() => one.holding)
  two.start()
  await putThing(store, 'a', 1_000)
  await clock.advance(1_000 + LATE_MS)
  t.same(keysOf(store), [], 'a duty that fails takes nothing else with it')
  t.same(told, ['one begins'])
  const rule = () => ({ txn: [], answer: 'done' })
  t.match(await store.write(fences[0]!(rule)), { answer: 'done' })
  await one.stop()
  t.same(told, ['one begins', 'one ends'])
  await clock.advance(limits.roleRetryMs * 2)
  await until(() => two.holding)
  t.same(told.slice(2), ['two begins'])
  t.equal(await store.write(fences[0]!(rule)), notHolder, 'nothing by who lost it')
  await two.stop()
  await store.close()
})
