import t from 'tap'
import { ExpressionSpace, type Planned } from '../../../src/identity/condition/space.ts'

const space = new ExpressionSpace({
  package: 'some.place',
  messages: {
    Outer: { name: [1, 'string'], inner: [2, 'Outer.Inner'], at: [3, 'google.protobuf.Timestamp'] },
    'Outer.Inner': { many_counts: [1, 'int64', 'many'], color: [2, 'Color'], raw: [3, 'bytes'] },
  },
  enums: { Color: ['None', 'Red'] },
})

function planned(text: string): Planned {
  const made = space.plan(text)
  if ('problem' in made) throw new Error(made.problem)
  return made
}

const run = (text: string, given: Record<string, unknown> = {}, budget = 1_000) =>
  space.run([['it', planned(text)]], given, budget)

t.test('messages that are declared', async t => {
  const text =
    "Outer{name: who.name, inner: Outer.Inner{many_counts: [1, 2], color: Color.Red, raw: b'x'}, at: now}"
  const outcome = run(text, { who: { name: 'ann' }, now: new Date(5_000) })
  if (!('value' in outcome)) throw new Error(outcome.fault)
  t.match(outcome.value, {
    $typeName: 'some.place.Outer',
    name: 'ann',
    inner: { manyCounts: [1n, 2n], color: 1 },
    at: { seconds: 5n },
  })
})

t.test('one expression stands on those before it', async t => {
  const steps = [
    ['a', planned("who + 'b'")],
    ['b', planned("a + 'c'")],
  ] as const
  t.strictSame(space.run(steps, { who: 'a' }, 100), { value: 'abc' })
  const early = [['a', planned('nobody')], steps[1]] as const
  t.match(space.run(early, {}, 100), { fault: /^a: / })
})

t.test('what is given, and what comes of it', async t => {
  const given = {
    n: 1,
    f: 0.5,
    s: 's',
    l: [1, 'a'],
    o: { k: { d: true } },
    z: null,
    u: Buffer.of(7),
  }
  const all = "n == 1 && f == 0.5 && s == 's' && l[1] == 'a' && o.k.d && z == null && u == b'\\x07'"
  t.strictSame(run(all, given), { value: true })
  t.strictSame(run('1'), { value: undefined }, 'a number is of no use to anybody')
})

t.test('bounds', async t => {
  t.match(run("'a' + 'b'", {}, 1), { fault: 'it takes too many steps' })
  t.match(run('l.map(a, l.map(b, b))', { l: Array(50).fill(1) }, 1_000), {
    fault: 'it takes too many steps',
  })
  const wide = `[${Array(600).fill('1').join(',')}]`
  t.match(space.plan(wide), { problem: 'it has too many parts' })
  t.match(space.plan(''), { problem: 'it is empty' })
  t.match(space.plan('1 +'), { line: 1, column: 3 })
  const text = 'x'.repeat(60_000)
  t.match(run("t.replace('x', 'xx')", { t: text }, 100_000), { fault: /too long/ })
  t.match(run("'x'.replace('', 'y')"), { value: 'x' })
})
