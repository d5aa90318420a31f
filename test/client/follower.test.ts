/** A live local view over connections that come and go: nothing lost, nothing told twice. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { asyncProperty, assert as check } from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { GatehouseError } from '../../src/client/errors.ts'
import { Follower } from '../../src/client/follower.ts'
import type { Change } from '../../src/client/view.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { propertyRuns } from '../run/budget.ts'
import { FakeFeed } from './feed-fake.ts'

const unavailable = new GatehouseError('UNAVAILABLE', 'the server is gone')

function follow(feed: FakeFeed, clock = new FakeClock()) {
  const closed = new AbortController()
  const follower = new Follower<string, string>(feed.open, wire => wire, {
    clock,
    closed: closed.signal,
  })
  const changes: Change<string>[] = []
  follower.on('change', change => changes.push(change))
  return { follower, changes, clock, closed }
}

const texts = (changes: readonly Change<string>[]): string[] =>
  changes.map(({ kind, key, value }) => `${kind} ${key} ${value ?? ''}`.trimEnd())

t.test('is ready with the first whole state, and live from then on', async t => {
  const feed = new FakeFeed()
  feed.truth.put('a', '1')
  const { follower, changes, clock } = follow(feed)
  await settled()
  t.equal(follower.isLive, false)
  t.equal(follower.ageMs, Number.POSITIVE_INFINITY)
  feed.stream.tell()
  t.equal(await follower.ready(), follower)
  t.same(texts(changes), ['added a 1'])
  t.equal(follower.isLive, true)
  t.equal(follower.server, 'server-0')
  t.equal(follower.get('a'), '1')
  await clock.advance(5_000)
  t.equal(follower.ageMs, 5_000)
  feed.truth.other()
  feed.stream.tell()
  t.equal(follower.ageMs, 0)
  t.equal(follower.revision, feed.truth.revision)
})

t.test('keeps what it knows while no server is there, and goes on where it was', async t => {
  const feed = new FakeFeed()
  const { follower, changes, clock } = follow(feed)
  const told: string[] = []
  follower.on('stale', error => told.push(`stale ${error?.code}`))
  follower.on('live', () => told.push('live'))
  feed.truth.put('a', '1')
  await settled()
  feed.stream.tell()
  feed.stream.end(unavailable)
  feed.truth.put('b', '2')
  feed.truth.put('a', '3')
  await settled()
  t.equal(follower.isLive, false)
  t.equal(follower.problem, unavailable)
  t.equal(follower.get('a'), '1')
  await clock.advance(1_000)
  t.equal(follower.ageMs, 1_000)
  t.match(feed.stream.resume, /^at \d+$/)
  feed.stream.tell()
  t.same(texts(changes), ['added a 1', 'added b 2', 'changed a 3'])
  t.same(told, ['live', 'stale UNAVAILABLE', 'live'])
  t.equal(follower.problem, undefined)
})

t.test('tells after a resync only what is different', async t => {
  const feed = new FakeFeed()
  const { changes } = follow(feed)
  for (const key of ['a', 'b', 'c']) feed.truth.put(key, '1')
  await settled()
  feed.stream.tell()
  feed.stream.end()
  feed.truth.put('b', '2')
  feed.truth.delete('c')
  feed.truth.put('d', '1')
  feed.truth.compact()
  await settled()
  feed.stream.tell(1)
  t.same(texts(changes.slice(3)), ['removed c', 'changed b 2', 'added d 1'])
})

t.test('a gap: another server is asked, and if it has it too, for everything', async t => {
  const feed = new FakeFeed()
  const { follower, changes } = follow(feed)
  feed.truth.put('a', '1')
  await settled()
  feed.stream.tell()
  const gap = {
    kind: 'delta',
    since: 1,
    revision: 99,
    items: [],
    deletes: [],
    resume: 'x',
  } as const
  feed.stream.frame(gap)
  await settled()
  t.equal(follower.problem?.code, 'DATA_LOSS')
  t.equal(feed.streams[0]?.isCancelled, true)
  t.equal(feed.streams.length, 2)
  t.match(feed.stream.resume, /^at /)
  feed.stream.frame(gap)
  await settled()
  t.equal(feed.stream.resume, '', 'it begins anew')
  feed.truth.put('a', '2')
  feed.stream.tell()
  t.same(texts(changes), ['added a 1', 'changed a 2'])
})

t.test('a server that says nothing for too long is left', async t => {
  const feed = new FakeFeed()
  const { follower, clock } = follow(feed)
  await settled()
  feed.stream.tell()
  await clock.advance(limits.clientSilenceMs - 1)
  feed.stream.tell()
  await clock.advance(limits.clientSilenceMs - 1)
  t.equal(feed.streams.length, 1)
  await clock.advance(1)
  t.equal(feed.streams[0]?.isCancelled, true)
  t.equal(feed.streams.length, 2)
  t.equal(follower.isLive, false)
})

t.test('so is one whose delta comes to no end', async t => {
  const feed = new FakeFeed()
  const { follower, clock } = follow(feed)
  await settled()
  feed.stream.tell()
  const part = { kind: 'delta', since: undefined, revision: 99, items: [], deletes: [] } as const
  for (let spent = 0; spent < limits.clientSilenceMs; spent += 1_000) {
    feed.stream.frame({ ...part, resume: '' })
    await clock.advance(1_000)
  }
  t.equal(feed.streams.length, 2)
  t.equal(follower.isLive, false)
})

t.test('what a server will not tell is said at once, before the first state alone', async t => {
  for (const code of ['PERMISSION_DENIED', 'INVALID_ARGUMENT', 'UNIMPLEMENTED'] as const) {
    const feed = new FakeFeed()
    const { follower } = follow(feed)
    await settled()
    feed.stream.end(new GatehouseError(code, 'no'))
    await t.rejects(follower.ready(), { code })
    t.same(await follower.changes().next(), { value: undefined, done: true })
  }
  const feed = new FakeFeed()
  const { follower, clock } = follow(feed)
  await settled()
  feed.stream.tell()
  feed.stream.end(new GatehouseError('PERMISSION_DENIED', 'the rights changed'))
  await clock.advance(limits.clientRetryMaxMs - 1)
  t.equal(follower.problem?.code, 'PERMISSION_DENIED')
  t.equal(feed.streams.length, 1, 'it is not asked again and again')
  await clock.advance(1)
  feed.stream.tell()
  t.equal(follower.isLive, true, 'rights may come back')
})

t.test('a refused token: the stream is opened again where there is another one', async t => {
  const feed = new FakeFeed()
  const { follower } = follow(feed)
  await settled()
  feed.stream.tokens.isRenewed = true
  feed.stream.end(new GatehouseError('UNAUTHENTICATED', 'no such token'))
  await settled()
  t.equal(feed.streams.length, 2)
  feed.stream.tokens.isRenewed = true
  feed.stream.end(new GatehouseError('UNAUTHENTICATED', 'no such token'))
  await t.rejects(follower.ready(), { code: 'UNAUTHENTICATED' })
})

t.test('iterators begin with what is there, and end with the follower', async t => {
  const feed = new FakeFeed()
  const { follower } = follow(feed)
  feed.truth.put('a', '1')
  await settled()
  feed.stream.tell()
  const slow = follower.changes()
  const left = follower.changes()
  feed.truth.put('a', '2')
  feed.truth.put('b', '1')
  feed.stream.tell()
  const read: string[] = []
  for await (const change of left) {
    read.push(...texts([change]))
    if (read.length === 1) break
  }
  t.same(read, ['added a 2'])
  t.same(await left.next(), { value: undefined, done: true })
  const waiting = slow
    .next()
    .then(() => slow.next())
    .then(() => slow.next())
  await settled()
  follower.close()
  t.same(await waiting, { value: undefined, done: true })
  t.same(await slow.return?.(), { value: undefined, done: true })
  t.equal(feed.stream.isCancelled, true)
})

t.test('a reader that rests costs one waiting change for each item', async t => {
  const feed = new FakeFeed()
  const { follower } = follow(feed)
  await settled()
  feed.stream.tell()
  const reader = follower.changes()
  for (let i = 0; i < 5_000; i++) {
    feed.truth.put(`k${i % 3}`, `${i}`)
    feed.stream.tell()
  }
  const values: (string | undefined)[] = []
  for (let i = 0; i < 3; i++) values.push((await reader.next()).value?.value)
  t.same(values, ['4997', '4998', '4999'])
  let isOver = false
  void reader.next().then(() => {
    isOver = true
  })
  await settled()
  t.equal(isOver, false, 'there were no more')
})

t.test('a listener that throws harms no other, and is told as a fault of the process', async t => {
  const feed = new FakeFeed()
  const { follower, changes } = follow(feed)
  const faults: unknown[] = []
  const caught = new Promise<void>(resolve => {
    process.once('uncaughtException', error => {
      faults.push(error.message)
      resolve()
    })
  })
  const off = follower.on('change', () => {
    off()
    throw new Error('mine')
  })
  follower.on('change', change => changes.push(change))
  await settled()
  feed.truth.put('a', '1')
  feed.stream.tell()
  await caught
  t.same(faults, ['mine'])
  t.equal(changes.length, 2)
  t.equal(follower.isLive, true)
})

t.test('ends with the client, and leaves no timer behind', async t => {
  const feed = new FakeFeed()
  const { follower, closed, clock } = follow(feed)
  await settled()
  feed.stream.tell()
  closed.abort()
  t.equal(feed.stream.isCancelled, true)
  await settled()
  t.equal(clock.timers, 0)
  t.equal(follower.isLive, false)
  const late = follow(feed, clock)
  closed.abort()
  late.follower.close()
  await t.rejects(late.follower.ready(), { code: 'CANCELLED' })
})

type Step =
  | { kind: 'put'; key: string; value: string }
  | { kind: 'delete'; key: string }
  | { kind: 'other' | 'compact' | 'tell' | 'end' | 'read' | 'gap' | 'half' }

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('put' as const),
        key: fc.constantFrom('a', 'b', 'c', 'd'),
        value: fc.constantFrom('x', 'y', 'z'),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('delete' as const),
        key: fc.constantFrom('a', 'b', 'c', 'd'),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constantFrom('tell' as const, 'read' as const) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          'other' as const,
          'compact' as const,
          'end' as const,
          'gap' as const,
          'half' as const,
        ),
      }),
    },
  ),
  { maxLength: 60 },
) as fc.Arbitrary<Step[]>

t.test(
  'property: frames and disconnects in any order lose nothing and repeat nothing',
  async () => {
    await check(
      asyncProperty(steps, fc.integer({ min: 1, max: 3 }), (all, parts) => replay(all, parts)),
      { numRuns: propertyRuns() },
    )
  },
)

async function replay(all: readonly Step[], parts: number): Promise<void> {
  const feed = new FakeFeed()
  const { follower, changes } = follow(feed)
  const reader = follower.changes()
  const read: Change<string>[] = []
  const ledger = new Map<string, string>()
  await turn()
  for (const step of all) {
    switch (step.kind) {
      case 'put':
        ledger.set(`${step.key} ${feed.truth.put(step.key, step.value)}`, step.value)
        break
      case 'delete':
        feed.truth.delete(step.key)
        break
      case 'other':
        feed.truth.other()
        break
      case 'compact':
        feed.truth.compact()
        break
      case 'tell':
        feed.stream.tell(parts)
        break
      case 'half':
        // The connection is cut between two frames, or before the last of them.
        for (const frame of feed.stream.frames(parts).slice(0, -1)) feed.stream.frame(frame)
        feed.stream.end(unavailable)
        break
      case 'end':
        feed.stream.end(unavailable)
        break
      case 'gap':
        feed.stream.frame({
          kind: 'delta',
          since: -1,
          revision: 1e9,
          items: [],
          deletes: [],
          resume: 'x',
        })
        break
      case 'read':
        await readOne(reader, read)
        break
    }
    if (step.kind !== 'put' && step.kind !== 'delete') await turn()
  }
  feed.stream.tell(parts)
  await turn()
  await follower.ready()
  while (await readOne(reader, read));
  for (const told of [changes, read]) {
    assert.deepEqual(replayed(told, ledger), valuesOf(feed))
  }
  assert.deepEqual(
    new Map([...follower.items].map(([key, { value }]) => [key, value])),
    valuesOf(feed),
  )
  follower.close()
}

const turn = (): Promise<void> => settled(2)

const valuesOf = (feed: FakeFeed): Map<string, string> =>
  new Map([...feed.truth.items].map(([key, { value }]) => [key, value]))

/** Reads a change if one waits. */
async function readOne(
  reader: AsyncIterator<Change<string>>,
  into: Change<string>[],
): Promise<boolean> {
  const waiting = (reader as unknown as { waiting: number }).waiting
  if (waiting === 0) return false
  const { value } = await reader.next()
  into.push(value)
  return true
}

/** What somebody has who takes each change in; each must fit what he had. */
function replayed(
  changes: readonly Change<string>[],
  ledger: ReadonlyMap<string, string>,
): Map<string, string> {
  const state = new Map<string, string>()
  const newest = new Map<string, number>()
  for (const { kind, key, revision, value, before } of changes) {
    assert.equal(before, state.get(key), 'it joins on to what was told of the key before')
    assert.equal(kind === 'added', !state.has(key))
    assert.ok(revision > (newest.get(key) ?? 0), 'revisions of a key rise')
    newest.set(key, revision)
    if (value === undefined) state.delete(key)
    else {
      assert.equal(ledger.get(`${key} ${revision}`), value, 'it was written so')
      state.set(key, value)
    }
  }
  return state
}
