/**
 * Fields: what a filter may select of an item, declared once for each kind of item.
 *
 * Owns which operators a type takes and what they mean, as Consul's filters have them. Everything
 * that can be refused is refused when an expression is compiled; the tests that come out of it
 * cannot fail on an item, but for a regular expression that takes too long.
 */
import { Automaton } from './automaton.ts'
import { type Expression, FilterError, type Match, printSelector, quote } from './expression.ts'
import { programOf, type StepBudget } from './pattern.ts'

export type Test<T> = (item: T) => boolean

/** One field of an item of type T. */
export interface Field<T> {
  /**
   * The test of a comparison whose selector's first `depth` names lead to this field.
   * Throws FilterError.
   */
  compile(match: Match, depth: number, budget: StepBudget): Test<T>
}

export type Fields<T> = Readonly<Record<string, Field<T>>>

/** The test of an expression. Throws FilterError. */
export function compile<T>(expression: Expression, fields: Fields<T>, budget: StepBudget): Test<T> {
  if (expression.kind === 'match') return below(expression, fields, 0, budget)
  if (expression.kind === 'not') {
    const operand = compile(expression.operand, fields, budget)
    return item => !operand(item)
  }
  const tests = expression.operands.map(one => compile(one, fields, budget))
  return expression.kind === 'and'
    ? item => tests.every(test => test(item))
    : item => tests.some(test => test(item))
}

/** A text: compared, searched for a part, matched. */
export function text<T>(get: (item: T) => string): Field<T> {
  return {
    compile(match, depth, budget) {
      const test = textTest(atEnd(match, depth), budget)
      return item => test(get(item))
    },
  }
}

/** The text that an item is: the values of a map of texts. */
export const itself: Field<string> = text(value => value)

function textTest(match: Match, budget: StepBudget): Test<string> {
  const { operator, value } = match
  switch (operator) {
    case 'equal':
      return given => given === value
    case 'not equal':
      return given => given !== value
    case 'in':
      return given => given.includes(value)
    case 'not in':
      return given => !given.includes(value)
    case 'matches':
    case 'not matches': {
      const automaton = new Automaton(programOf(value, budget), budget.work)
      const wanted = operator === 'matches'
      return given => automaton.matches(given) === wanted
    }
    default:
      throw wrongOperator(match)
  }
}

/** A whole number: compared. */
export function int<T>(get: (item: T) => number): Field<T> {
  return compared(get, value =>
    /^[-+]?(0x[0-9a-f]+|0b[01]+|0o?[0-7]+|[1-9][0-9]*|0)$/i.test(value)
      ? goNumber(value)
      : undefined,
  )
}

/** Go takes a leading 0 for octal, as it does 0x for hexadecimal. */
function goNumber(value: string): number {
  const [, sign, digits = ''] = /^([-+]?)(.*)$/.exec(value) ?? []
  const number = Number(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits)
  return sign === '-' ? 0 - number : number
}

/** A yes or no: compared. */
export function bool<T>(get: (item: T) => boolean): Field<T> {
  return compared(get, value => {
    if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true
    return /^(0|f|F|FALSE|false|False)$/.test(value) ? false : undefined
  })
}

function compared<T, V>(get: (item: T) => V, read: (value: string) => V | undefined): Field<T> {
  return {
    compile(given, depth) {
      const match = atEnd(given, depth)
      const { operator, value } = match
      if (operator !== 'equal' && operator !== 'not equal') throw wrongOperator(match)
      const wanted = read(value)
      if (wanted === undefined) {
        const selector = quote(printSelector(match.selector))
        const what = `Failed to coerce value ${quote(value.slice(0, SHOWN_CHARS))}`
        throw new FilterError(`${what} for selector ${selector}: invalid syntax`)
      }
      return operator === 'equal' ? item => get(item) === wanted : item => get(item) !== wanted
    },
  }
}

/** A list of texts: searched for one, and looked at whether there are any. */
export function texts<T>(get: (item: T) => readonly string[]): Field<T> {
  return {
    compile(given, depth) {
      const match = atEnd(given, depth)
      return contained(
        match,
        get,
        list => list.includes(match.value),
        list => list.length,
      )
    },
  }
}

/** A map: searched for a key, and each of its values a field of its own. */
export function record<T, V>(
  get: (item: T) => Readonly<Record<string, V>>,
  value: Field<V>,
): Field<T> {
  return {
    compile(match, depth, budget) {
      if (match.selector.length === depth) {
        const has = (map: object): boolean => Object.hasOwn(map, match.value)
        return contained(match, get, has, map => Object.keys(map).length)
      }
      const key = match.selector[depth]!
      const test = value.compile(match, depth + 1, budget)
      const missing = MISSING[match.operator]
      return item => {
        const map = get(item)
        return Object.hasOwn(map, key) ? test(map[key]!) : missing
      }
    },
  }
}

/** What is said of a value that is not there: it is empty, and nothing. */
const MISSING: Readonly<Record<Match['operator'], boolean>> = {
  equal: false,
  'not equal': true,
  in: false,
  'not in': true,
  'is empty': true,
  'is not empty': false,
  matches: false,
  'not matches': true,
}

/** Fields inside a field. */
export function struct<T, U>(get: (item: T) => U, fields: Fields<U>): Field<T> {
  return {
    compile(match, depth, budget) {
      if (match.selector.length === depth) throw wrongOperator(match)
      const test = below(match, fields, depth, budget)
      return item => test(get(item))
    },
  }
}

/** A list of things with fields: a comparison holds where it holds for any of them. */
export function each<T, U>(get: (item: T) => readonly U[], fields: Fields<U>): Field<T> {
  return {
    compile(match, depth, budget) {
      if (match.selector.length === depth) {
        if (match.operator !== 'is empty' && match.operator !== 'is not empty') {
          throw wrongOperator(match)
        }
        const wanted = match.operator === 'is empty'
        return item => (get(item).length === 0) === wanted
      }
      const test = below(match, fields, depth, budget)
      return item => get(item).some(test)
    },
  }
}

const SHOWN_CHARS = 64

function below<T>(match: Match, fields: Fields<T>, depth: number, budget: StepBudget): Test<T> {
  const name = match.selector[depth]!
  if (!Object.hasOwn(fields, name)) throw wrongSelector(match, depth)
  return fields[name]!.compile(match, depth + 1, budget)
}

/** The comparison, where its selector goes no further than the field. */
function atEnd(match: Match, depth: number): Match {
  if (match.selector.length > depth) throw wrongSelector(match, depth)
  return match
}

function contained<T, C>(
  match: Match,
  get: (item: T) => C,
  has: (given: C) => boolean,
  count: (given: C) => number,
): Test<T> {
  switch (match.operator) {
    case 'in':
      return item => has(get(item))
    case 'not in':
      return item => !has(get(item))
    case 'is empty':
      return item => count(get(item)) === 0
    case 'is not empty':
      return item => count(get(item)) > 0
    default:
      throw wrongOperator(match)
  }
}

function wrongSelector({ selector }: Match, depth: number): FilterError {
  const given = printSelector(selector.slice(0, depth + 1)).slice(0, SHOWN_CHARS)
  return new FilterError(`Selector ${quote(given)} is not valid`)
}

function wrongOperator({ operator, selector }: Match): FilterError {
  const name = operator.replaceAll(/\b[a-z]/g, letter => letter.toUpperCase())
  const given = printSelector(selector).slice(0, SHOWN_CHARS)
  return new FilterError(`Invalid match operator ${quote(name)} for selector ${quote(given)}`)
}
