/**
 * Fields of configuration entries: whatever is decoded decodes to itself again, and answers are
 * checked for what they must and must not have.
 */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import {
  always,
  bool,
  duration,
  type Field,
  float,
  free,
  integer,
  list,
  map,
  nanoseconds,
  object,
  part,
  text,
  time,
  zeroable,
} from '../../../src/registry/config-entry/field.ts'

function decoded(field: Field, value: unknown): unknown {
  const problems: string[] = []
  const found = field.decode(value, 'at', problems)
  return problems.length > 0 ? problems : found
}

const every = object({
  Text: text,
  Always: always(text, ''),
  Bool: bool,
  Integer: integer,
  Float: float,
  Zeroable: zeroable(integer),
  Nanoseconds: nanoseconds,
  Duration: duration,
  Time: time,
  Free: free,
  List: list(object({ Text: text })),
  Map: map(text),
  Part: part({ Inner: text }),
})

t.test('values in any of the forms that people write', async t => {
  const forms: [Field, unknown, unknown][] = [
    [text, 5, '5'],
    [text, true, '1'],
    [text, '', undefined],
    [text, null, undefined],
    [text, {}, ["'at' expected type 'string'"]],
    [bool, 'true', true],
    [bool, 0, undefined],
    [bool, 'x', ["'at' expected type 'boolean'"]],
    [integer, '12', 12],
    [integer, true, 1],
    [integer, 1.5, ["'at' expected type 'integer'"]],
    [float, '1.5', 1.5],
    [zeroable(integer), 0, 0],
    [zeroable(integer), null, undefined],
    [nanoseconds, '1m', 60e9],
    [nanoseconds, 5, 5],
    [nanoseconds, 'x', ["'at' expected type 'integer'"]],
    [duration, 15e9, '15s'],
    [duration, '90s', '1m30s'],
    [duration, '0s', undefined],
    [time, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'],
    [time, 'x', ["'at' expected type 'string'"]],
    [list(text), 'a', ['a']],
    [list(text), [], undefined],
    [list(text), ['', 'a'], ['', 'a']],
    [map(text), [{ a: '1' }, { b: '2' }], { a: '1', b: '2' }],
    [map(text), 5, ["'at' expected a map"]],
    [object({ A: text }), [{ a: 'x' }], { A: 'x' }],
    [object({ A: text }), undefined, undefined],
    [part({ A: text }), undefined, {}],
    [object({ A: text }), { b: 1 }, ['invalid config key "at.b"']],
    [object({ A: text }), { default: 1 }, ['invalid config key "at.default"']],
    [object({ A: text }), { namespace: 'Default' }, {}],
    [always(text, ''), undefined, ''],
  ]
  for (const [field, value, gives] of forms) t.strictSame(decoded(field, value), gives)
})

t.test('lists and maps have a bound', async t => {
  const many = Array.from({ length: limits.configEntryItems + 1 }, (_, i) => `a${i}`)
  t.equal((decoded(list(text), many.slice(1)) as unknown[]).length, limits.configEntryItems)
  t.match(decoded(list(text), many), [/'at' has more than 4096 items/])
  const pairs = Object.fromEntries(many.map(one => [one, one]))
  t.match(decoded(map(text), pairs), [/'at' has more than 4096 items/])
})

t.test('what was decoded decodes to itself, and passes as an answer', async t => {
  const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
  const word = fc.string({ maxLength: 5 })
  const given = fc.record(
    {
      Text: some(word),
      bool: some(fc.boolean()),
      INTEGER: some(fc.maxSafeInteger()),
      Float: some(fc.double({ noNaN: true, noDefaultInfinity: true })),
      zeroable: some(fc.constantFrom(0, 1)),
      nanoseconds: some(fc.nat()),
      duration: some(fc.constantFrom('1s', '1h30m', 1, 1_500_000)),
      free: some(fc.dictionary(word, fc.jsonValue({ maxDepth: 2 }))),
      list: some(fc.array(fc.record({ text: word }), { maxLength: 3 })),
      map: some(fc.dictionary(word, word, { maxKeys: 3 })),
      part: some(fc.record({ inner: word })),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(given, one => {
      const found = decoded(every, JSON.parse(JSON.stringify(one)))
      const again = JSON.parse(JSON.stringify(found))
      t.strictSame(every.check(again, '$'), [])
      t.strictSame(decoded(every, again), found)
    }),
    { numRuns: 200 },
  )
})

t.test('answers that are not as declared', async t => {
  t.strictSame(every.check({ Always: '', Part: {} }, '$'), [])
  t.match(every.check({ Part: {} }, '$'), ['$.Always: missing'])
  t.match(every.check({ Always: '', Part: {}, Other: 1 }, '$'), ['$.Other: not declared'])
  t.match(every.check({ Always: '', Part: {}, List: [{ Text: 1 }] }, '$'), ['$.List[0].Text'])
  t.match(every.check({ Always: '', Part: {}, Map: { a: 1 } }, '$'), ['$.Map[a]'])
})
