/**
 * Filter expressions: what one says, as a tree, and its text.
 *
 * Owns the types and the canonical text. The language is that of Consul's `filter` parameter
 * (go-bexpr). Knows no fields and evaluates nothing.
 */

/** `contains` says the same as `in`, the other way round. */
export type Operator =
  | 'equal'
  | 'not equal'
  | 'in'
  | 'not in'
  | 'is empty'
  | 'is not empty'
  | 'matches'
  | 'not matches'

export interface Match {
  readonly kind: 'match'
  /** The names from the outermost field inwards: at least one. */
  readonly selector: readonly string[]
  readonly operator: Operator
  /** '' for the two operators that take none. */
  readonly value: string
}

export type Expression =
  | Match
  | { readonly kind: 'not'; readonly operand: Expression }
  /** At least two operands. */
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Expression[] }

/** An expression that is none, does not fit the fields, or is beyond a bound; the text says why. */
export class FilterError extends Error {
  override readonly name = 'FilterError'
}

const RANK = { or: 0, and: 1, not: 2, match: 3 } as const

/** The text of an expression: parsed, it gives the same expression again. */
export function print(expression: Expression): string {
  if (expression.kind === 'match') return printMatch(expression)
  if (expression.kind === 'not') return `not ${printInside(expression.operand, RANK.not)}`
  const { kind, operands } = expression
  return operands.map(one => printInside(one, RANK[kind] + 1)).join(` ${kind} `)
}

function printInside(expression: Expression, rank: number): string {
  const text = print(expression)
  return RANK[expression.kind] < rank ? `(${text})` : text
}

function printMatch({ selector, operator, value }: Match): string {
  const name = printSelector(selector)
  switch (operator) {
    case 'equal':
      return `${name} == ${quote(value)}`
    case 'not equal':
      return `${name} != ${quote(value)}`
    case 'in':
    case 'not in':
      return `${quote(value)} ${operator} ${name}`
    case 'is empty':
    case 'is not empty':
      return `${name} ${operator}`
    default:
      return `${name} ${operator} ${quote(value)}`
  }
}

/** As people write it: `A.B["c d"]`. */
export function printSelector([first = '', ...rest]: readonly string[]): string {
  const parts = rest.map(part =>
    /^([A-Za-z][A-Za-z0-9_]*|[0-9]+)$/.test(part) ? `.${part}` : `[${quote(part)}]`,
  )
  return first + parts.join('')
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }

/** Between double quotes, as Go writes it. */
export function quote(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to escape
  const escaped = text.replaceAll(/[\\"\x00-\x1f\x7f]/g, character => {
    const code = character.charCodeAt(0)
    return ESCAPES[character] ?? `\\x${code.toString(16).padStart(2, '0')}`
  })
  return `"${escaped}"`
}
