/** Whole state for sinks: each time it changed, and after a loss again. */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { everybody } from '../../src/base/who.ts'
import type { Feeds } from '../../src/feed/feed.run.ts'
import { followAs } from '../../src/feed/follow.run.ts'
import { NOTHING_SEEN } from '../../src/feed/follow.ts'
import { del, put } from '../../src/store/store.ts'
import { type KvRow, kv } from '../../src/store/tables/kv.ts'
import { eventually, openWorld } from './support.ts'

const entry = (key: string, value: string) =>
  put<KvRow>(kv, key, { value: Buffer.from(value), flags: 0n, session: '', lockIndex: 0 })

t.test('state, again and again, until it is stopped', async t => {
  const world = openWorld(t)
  const { feeds, clock } = world
  let refused: Refusal | undefined = new Refusal(403, 'ACL not found')
  const authority = { authenticate: () => refused ?? everybody }
  const texts = { kv: ({ row }: { row: KvRow }) => JSON.stringify(row.value.toString()) }
  const states: [object, number][] = []
  const problems: string[] = []
  const port = followAs({ feeds, authority, clock, texts }, 'secret')
  const { stop } = port.follow(
    { topic: 'kv', subject: 'a/', filter: '' },
    {
      state: (items, revision) => states.push([Object.fromEntries(items), revision]),
      lost: problem => problems.push(problem),
    },
  )
  t.strictSame([states, problems], [[], []], 'nothing is told before it returns')
  await clock.advance(10)
  t.strictSame(problems, ['ACL not found'])
  refused = undefined
  await world.write(entry('a/1', 'one'), entry('b/1', 'other'))
  await clock.advance(1_000)
  t.ok(await eventually(() => states.length === 1))
  t.strictSame(states[0]![0], { 'a/1': 'one' })
  await world.write(entry('a/2', 'two'))
  t.ok(await eventually(() => states.length === 2))
  await world.write(del(kv, 'a/1'))
  t.ok(await eventually(() => states.length === 3))
  t.strictSame(states[2]![0], { 'a/2': 'two' })
  t.ok(states[2]![1] > states[1]![1])
  stop()
  await world.write(entry('a/3', 'three'))
  await clock.advance(2_000)
  t.equal(states.length, 3)
  t.equal(feeds.stats.readers, 0)
})

t.test('what looks empty only to who lacks rights is no state', async t => {
  const { clock } = openWorld(t)
  const frames: [items: readonly string[], isFiltered: boolean][] = [
    [[], true],
    [['["a",1]'], true],
    [[], false],
  ]
  const follow: Feeds['follow'] = (_request, _caller, form, outlet) => {
    for (const [items, isFiltered] of frames) {
      outlet.send(form.resync('rights'))
      outlet.send(form.snapshot('kv', items, { revision: 1, resume: 'x', isFiltered }))
    }
    return { drained() {}, close() {} }
  }
  const told: unknown[] = []
  const authority = { authenticate: () => everybody }
  followAs({ feeds: { follow }, authority, clock, texts: {} }, '').follow(
    { topic: 'kv', subject: '', filter: '' },
    {
      state: items => told.push(Object.fromEntries(items)),
      lost: problem => told.push(problem),
    },
  )
  await clock.advance(10)
  t.strictSame(told, [NOTHING_SEEN, { a: 1 }, {}])
})
