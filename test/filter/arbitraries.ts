/** Expressions and items, for the tests of filters. */
import fc from 'fast-check'
import type { Expression, Match, Operator } from '../../src/filter/expression.ts'
import {
  bool,
  each,
  type Fields,
  int,
  itself,
  record,
  struct,
  text,
  texts,
} from '../../src/filter/fields.ts'

/** An item with a field of every type. */
export interface Thing {
  readonly name: string
  readonly port: number
  readonly on: boolean
  readonly tags: readonly string[]
  readonly meta: Readonly<Record<string, string>>
  readonly inner: { readonly name: string }
  readonly parts: readonly { readonly name: string; readonly size: number }[]
}

const partFields: Fields<Thing['parts'][number]> = {
  Name: text(part => part.name),
  Size: int(part => part.size),
}

const innerFields: Fields<Thing['inner']> = { Name: text(inner => inner.name) }

export const thingFields: Fields<Thing> = {
  Name: text(thing => thing.name),
  Port: int(thing => thing.port),
  On: bool(thing => thing.on),
  Tags: texts(thing => thing.tags),
  Meta: record(thing => thing.meta, itself),
  Inner: struct(thing => thing.inner, innerFields),
  Parts: each(thing => thing.parts, partFields),
}

const words = fc.constantFrom(
  '',
  'a',
  'b',
  'ab',
  'c d',
  'x"y',
  '`',
  '\\',
  '\n',
  'é',
  '😀',
  '__proto__',
)

export const things: fc.Arbitrary<Thing> = fc.record({
  name: words,
  port: fc.constantFrom(0, 1, 80),
  on: fc.boolean(),
  tags: fc.array(words, { maxLength: 3 }),
  meta: fc.dictionary(words, words, { maxKeys: 3 }),
  inner: fc.record({ name: words }),
  parts: fc.array(fc.record({ name: words, size: fc.constantFrom(0, 1) }), { maxLength: 3 }),
})

const operators = (...names: Operator[]) => fc.constantFrom(...names)
const ofText = operators('equal', 'not equal', 'in', 'not in')
const ofList = operators('in', 'not in', 'is empty', 'is not empty')
const compared = operators('equal', 'not equal')

const matchOf = (
  selector: fc.Arbitrary<readonly string[]>,
  operator: fc.Arbitrary<Operator>,
  value: fc.Arbitrary<string>,
): fc.Arbitrary<Match> =>
  fc.record({ selector, operator, value }).map(given => ({
    kind: 'match',
    ...given,
    value: given.operator.endsWith('empty') ? '' : given.value,
  }))

const at = (...selector: string[]) => fc.constant<readonly string[]>(selector)

/** Comparisons that fit the fields of a Thing. */
const matches = fc.oneof(
  matchOf(at('Name'), ofText, words),
  matchOf(at('Port'), compared, fc.constantFrom('0', '1', '80')),
  matchOf(at('On'), compared, fc.constantFrom('true', 'false')),
  matchOf(fc.oneof(at('Tags'), at('Meta')), ofList, words),
  matchOf(
    words.map(key => ['Meta', key]),
    ofText,
    words,
  ),
  matchOf(at('Inner', 'Name'), ofText, words),
  matchOf(at('Parts'), operators('is empty', 'is not empty'), fc.constant('')),
  matchOf(at('Parts', 'Name'), ofText, words),
  matchOf(at('Parts', 'Size'), compared, fc.constantFrom('0', '1')),
)

/** Expressions that fit the fields of a Thing. */
export const expressions: fc.Arbitrary<Expression> = fc.letrec<{ expression: Expression }>(tie => ({
  expression: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    matches,
    tie('expression')
      .filter(operand => operand.kind !== 'not')
      .map((operand): Expression => ({ kind: 'not', operand })),
    fc
      .tuple(
        fc.constantFrom('and' as const, 'or' as const),
        fc.array(tie('expression'), { minLength: 2, maxLength: 3 }),
      )
      .map(([kind, operands]): Expression => ({ kind, operands })),
  ),
})).expression
