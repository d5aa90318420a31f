/**
 * The feed's ring: every reader sees every change once and in order, or is told to start again.
 */
import fc from 'fast-check'
import t from 'tap'
import { type Revision, revision } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import { FeedRing } from '../../src/store/feed.ts'
import type { Change, Cursor } from '../../src/store/store.ts'
import { settled } from '../fake/clock.ts'
import { propertyRuns } from '../run/budget.ts'

const never = new AbortController().signal
const change = (at: number): Change => ({ revision: revision(at), events: [] })
const noHistory = async (): Promise<undefined> => undefined

/** Reads until the cursor waits, or says something else than a change. */
async function readAll(cursor: Cursor, to: number): Promise<(number | string | undefined)[]> {
  const seen: (number | string | undefined)[] = []
  for (let at = -1; at < to; ) {
    const next = await cursor.next(never)
    seen.push(typeof next === 'object' ? next.revision : next)
    if (typeof next !== 'object') break
    at = next.revision
  }
  return seen
}

t.test('any reader, from any place, with any gaps between revisions', async t => {
  const gaps = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 40 })
  const property = fc.asyncProperty(gaps, fc.nat(), fc.nat(40), async (gaps, from, pushedLater) => {
    const ring = new FeedRing(revision(0), noHistory)
    const revisions: number[] = []
    for (const gap of gaps) revisions.push((revisions.at(-1) ?? 0) + gap)
    const newest = revisions.at(-1)!
    const after = from % (newest + 1)
    const later = revisions.slice(-Math.min(pushedLater, revisions.length))
    const first = revisions.slice(0, revisions.length - later.length)
    for (const at of first) ring.push(change(at))
    const reading = readAll(ring.open(revision(after), revision(0)), newest)
    for (const at of later) {
      ring.push(change(at))
      await Promise.resolve()
    }
    const wanted = revisions.filter(at => at > after)
    if (wanted.length === 0) {
      ring.close()
      return (await reading).join() === ''
    }
    return (await reading).join() === wanted.join()
  })
  await fc.assert(property, { numRuns: propertyRuns() })
  t.pass('equal')
})

t.test(
  'a reader behind the ring reads history, in pages, and not beyond what is published',
  async t => {
    const pages: [number, number][] = []
    const history = async (after: Revision, limit: number): Promise<Change[]> => {
      pages.push([after, limit])
      // The engine's disk is three changes ahead of what was published.
      return Array.from({ length: Math.min(limit, 203 - after) }, (_, i) => change(after + 1 + i))
    }
    const ring = new FeedRing(revision(150), history)
    for (let at = 151; at <= 200; at++) ring.push(change(at))
    const cursor = ring.open(revision(10), revision(5))
    const seen = await readAll(cursor, 200)
    t.same(
      seen,
      Array.from({ length: 190 }, (_, i) => 11 + i),
    )
    t.equal(pages.length, 1)
    const waiting = cursor.next(never)
    ring.push(change(204))
    t.equal(((await waiting) as Change).revision, 204)
    t.throws(() => ring.open(revision(4), revision(5)), { code: 'compacted' })
  },
)

t.test('a reader whose place is gone is told so', async t => {
  const lost = new FeedRing(revision(150), noHistory)
  t.equal(await lost.open(revision(10), revision(0)).next(never), 'resync')
  const empty = new FeedRing(revision(150), async () => [])
  t.equal(await empty.open(revision(10), revision(0)).next(never), 'resync')
  const broken = new FeedRing(revision(150), async () => {
    throw new Error('the disk is gone')
  })
  await t.rejects(
    async () => broken.open(revision(10), revision(0)).next(never),
    /the disk is gone/,
  )
})

t.test('memory is bounded whatever readers do', async t => {
  const ring = new FeedRing(revision(0), noHistory)
  const slow = ring.open(revision(0), revision(0))
  ring.push(change(1))
  t.equal(((await slow.next(never)) as Change).revision, 1)
  for (let at = 2; at <= 2 * limits.feedBacklogChanges + 1; at++) ring.push(change(at))
  t.equal(await slow.next(never), 'resync')
  const from = revision(limits.feedBacklogChanges + 1)
  const seen = await readAll(ring.open(from, revision(0)), 2 * limits.feedBacklogChanges + 1)
  t.equal(seen.length, limits.feedBacklogChanges)
})

t.test('restart, close and abort end every wait', async t => {
  const ring = new FeedRing(revision(5), noHistory)
  const old = ring.open(revision(5), revision(0))
  const waiting = old.next(never)
  ring.restart(revision(9))
  t.equal(await waiting, 'resync')
  t.equal(await old.next(never), 'resync', 'and for good')
  const abort = new AbortController()
  const fresh = ring.open(revision(9), revision(9))
  const aborted = fresh.next(abort.signal)
  abort.abort()
  t.equal(await aborted, undefined)
  t.equal(await fresh.next(abort.signal), undefined)
  const many = Array.from({ length: 100 }, () => ring.open(revision(9), revision(9)).next(never))
  await settled(1)
  ring.push(change(10))
  t.ok((await Promise.all(many)).every(one => typeof one === 'object' && one.revision === 10))
  const closing = fresh.next(never)
  t.equal(((await closing) as Change).revision, 10)
  const last = fresh.next(never)
  ring.close()
  t.equal(await last, undefined)
})

t.test('an abort ends the waits of its own signal alone', async t => {
  const ring = new FeedRing(revision(0), noHistory)
  const abort = new AbortController()
  const ended = [1, 2].map(() => ring.open(revision(0), revision(0)).next(abort.signal))
  const waiting = ring.open(revision(0), revision(0)).next(never)
  const other = ring.open(revision(0), revision(0)).next(new AbortController().signal)
  abort.abort()
  t.same(await Promise.all(ended), [undefined, undefined])
  ring.push(change(1))
  t.same(await Promise.all([waiting, other]), [change(1), change(1)])
})

t.test('forgetting drops what is older', async t => {
  const ring = new FeedRing(revision(0), noHistory)
  for (let at = 1; at <= 10; at++) ring.push(change(at))
  ring.forget(revision(4))
  ring.forget(revision(2))
  t.equal(await ring.open(revision(3), revision(0)).next(never), 'resync')
  t.same(await readAll(ring.open(revision(4), revision(0)), 10), [5, 6, 7, 8, 9, 10])
  ring.forget(revision(99))
  const waiting = ring.open(revision(10), revision(0)).next(never)
  ring.push(change(11))
  t.equal(((await waiting) as Change).revision, 11)
})
