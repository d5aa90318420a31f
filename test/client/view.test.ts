/** What frames do to a local view, and what waits for a slow reader. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { assert as check, property } from 'fast-check'
import t from 'tap'
import { type Change, type Frame, LocalView, Waiting } from '../../src/client/view.ts'
import { propertyRuns } from '../run/budget.ts'

const read = (wire: string): string | undefined => (wire.startsWith('-') ? undefined : wire)
const item = (key: string, revision: number, value = `${key}${revision}`) => ({
  key,
  revision,
  value,
})

const snapshot = (revision: number, ...items: ReturnType<typeof item>[]): Frame<string> => ({
  kind: 'snapshot',
  items,
  revision,
  resume: `at ${revision}`,
})

function delta(
  since: number,
  revision: number,
  items: ReturnType<typeof item>[],
  deletes: string[] = [],
): Frame<string> {
  return { kind: 'delta', since, revision, items, deletes, resume: `at ${revision}` }
}

/** What each frame tells, in short: `added a 1 a1`. */
function told(view: LocalView<string, string>, frame: Frame<string>): string[] {
  const applied = view.apply(frame)
  if (applied.kind === 'gap') return [`gap: ${applied.problem}`]
  return applied.changes.map(textOf)
}

const textOf = ({ kind, key, revision, value }: Change<string>): string =>
  `${kind} ${key} ${revision} ${value ?? ''}`.trimEnd()

t.test('a snapshot in parts is told when it is whole', async t => {
  const view = new LocalView(read)
  t.same(told(view, { ...snapshot(5, item('a', 1)), resume: '' } as Frame<string>), [])
  t.equal(view.items.size, 0)
  t.same(told(view, snapshot(5, item('b', 2))), ['added a 1 a1', 'added b 2 b2'])
  t.equal(view.revision, 5)
  t.equal(view.resume, 'at 5')
})

t.test('a delta in parts is told as one', async t => {
  const view = new LocalView(read)
  view.apply(snapshot(5, item('a', 1), item('b', 2)))
  t.same(told(view, { ...delta(5, 7, [item('a', 6)], ['b']), resume: '' } as Frame<string>), [])
  t.equal(view.items.get('a')?.value, 'a1')
  t.same(told(view, delta(5, 7, [item('c', 7)])), ['removed b 7', 'changed a 6 a6', 'added c 7 c7'])
  t.equal(view.resume, 'at 7')
})

t.test('after a resync only what is different is told', async t => {
  const view = new LocalView(read)
  view.apply(snapshot(5, item('a', 1), item('b', 2), item('c', 3)))
  t.same(told(view, { kind: 'resync', reason: 'compacted' }), [])
  t.same(told(view, { ...snapshot(9, item('a', 1)), resume: '' } as Frame<string>), [])
  t.equal(view.items.size, 3, 'what was known stays until the snapshot is whole')
  t.same(told(view, snapshot(9, item('d', 9), item('c', 8))), [
    'removed b 9',
    'changed c 8 c8',
    'added d 9 d9',
  ])
})

t.test('a snapshot that was cut is forgotten', async t => {
  const view = new LocalView(read)
  view.apply(snapshot(5, item('a', 1)))
  view.apply({ kind: 'resync', reason: 'behind' })
  view.apply({ ...snapshot(6, item('x', 6)), resume: '' } as Frame<string>)
  view.begin()
  t.equal(view.resume, 'at 5')
  t.same(told(view, delta(5, 7, [item('b', 7)])), ['added b 7 b7'])
  t.strictSame([...view.items.keys()], ['a', 'b'])
})

t.test('frames that do not join on are gaps', async t => {
  const view = new LocalView(read)
  const gap = (frame: Frame<string>): void => void t.match(told(view, frame), [/^gap: /])
  gap(delta(0, 1, []))
  gap({ kind: 'heartbeat', revision: 1, resume: 'at 1' })
  view.apply(snapshot(5, item('a', 1)))
  gap(delta(4, 6, [item('a', 6)]))
  gap(delta(6, 7, [item('a', 7)]))
  gap(delta(5, 4, []))
  gap({ kind: 'heartbeat', revision: 4, resume: 'at 4' })
  t.equal(view.items.get('a')?.value, 'a1', 'nothing was taken from them')
  t.equal(view.resume, 'at 5')
  view.apply({ kind: 'resync', reason: 'behind' })
  gap(delta(5, 6, []))
  gap({ kind: 'heartbeat', revision: 6, resume: 'at 6' })
  view.begin()
  view.apply({ ...delta(5, 6, [item('a', 6)]), resume: '' } as Frame<string>)
  gap({ kind: 'heartbeat', revision: 6, resume: 'at 6' })
})

t.test('what is told twice, or is older, is no change', async t => {
  const view = new LocalView(read)
  view.apply(snapshot(5, item('a', 5)))
  t.same(told(view, delta(5, 6, [item('a', 5)])), [])
  t.same(told(view, delta(6, 7, [item('a', 3, 'old')])), [])
  t.same(told(view, delta(7, 8, [item('a', 8, 'a5')])), [], 'nobody could tell the difference')
  t.same(told(view, delta(8, 9, [], ['x'])), [])
  t.same(told(view, { kind: 'heartbeat', revision: 12, resume: 'at 12' }), [])
  t.equal(view.resume, 'at 12')
})

t.test('what is left out when it is read is not there', async t => {
  const view = new LocalView(read)
  t.same(told(view, snapshot(5, item('a', 1), item('b', 2, '-'))), ['added a 1 a1'])
  t.same(told(view, delta(5, 6, [item('a', 6, '-'), item('b', 6, 'now')])), [
    'removed a 6',
    'added b 6 now',
  ])
})

t.test('waiting changes of one key are one', async t => {
  const joined = (...changes: Change<string>[]): string[] => {
    const waiting = new Waiting<string>()
    for (const change of changes) waiting.add(change)
    const texts: string[] = []
    for (let one = waiting.take(); one !== undefined; one = waiting.take()) texts.push(textOf(one))
    return texts
  }
  const added = { kind: 'added', ...item('a', 1), before: undefined } as const
  const changed = { kind: 'changed', ...item('a', 2), before: 'a1' } as const
  const removed = {
    kind: 'removed',
    key: 'a',
    revision: 3,
    value: undefined,
    before: 'a2',
  } as const
  const again = { kind: 'added', ...item('a', 4), before: undefined } as const
  t.same(joined(added, changed), ['added a 2 a2'])
  t.same(joined(added, changed, removed), [])
  t.same(joined(changed, removed), ['removed a 3'])
  t.same(joined(changed, removed, again), ['changed a 4 a4'])
  t.same(joined(changed, removed, { ...again, value: 'a1' }), [], 'it is as it was')
  t.same(joined(added, { ...added, key: 'b' }, changed), ['added b 1 a1', 'added a 2 a2'])
})

const step = fc.record({
  key: fc.constantFrom('a', 'b', 'c'),
  value: fc.constantFrom('x', 'y', undefined),
  takes: fc.nat(3),
})

t.test('property: a slow reader that replays what he is told has what is there', async () => {
  await check(
    property(fc.array(step, { maxLength: 60 }), steps => {
      const waiting = new Waiting<string>()
      const there = new Map<string, string>()
      const replayed = new Map<string, string>()
      const take = (): boolean => {
        const change = waiting.take()
        if (change === undefined) return false
        assert.equal(change.before, replayed.get(change.key))
        assert.equal(change.kind === 'added', !replayed.has(change.key))
        if (change.kind === 'removed') replayed.delete(change.key)
        else replayed.set(change.key, change.value)
        return true
      }
      for (const [revision, { key, value, takes }] of steps.entries()) {
        const before = there.get(key)
        if (value === before) continue
        const kind = before === undefined ? 'added' : value === undefined ? 'removed' : 'changed'
        if (value === undefined) there.delete(key)
        else there.set(key, value)
        waiting.add({ kind, key, revision, value, before } as Change<string>)
        assert.ok(waiting.size <= 3)
        for (let i = 0; i < takes; i++) take()
      }
      while (take());
      assert.deepEqual(replayed, there)
    }),
    { numRuns: propertyRuns() },
  )
})
