/**
 * The parser of filter expressions: text in, tree or FilterError out.
 *
 * Owns the grammar and its bounds. It is Consul's (go-bexpr), with two things allowed beyond it:
 * a quote inside double quotes may be escaped, and no blank is needed beside parentheses. Time and
 * depth are bounded by the length of the text and by limits.ts.
 */
import { limits } from '../base/limits.ts'
import { type Expression, FilterError, type Match, type Operator, quote } from './expression.ts'

/** Parses an expression. Throws FilterError. */
export function parse(text: string): Expression {
  if (text.length > limits.filterChars) {
    throw new FilterError(`the expression is longer than ${limits.filterChars} characters`)
  }
  const parser = new Parser(text)
  const expression = parser.or(0)
  parser.end()
  return expression
}

/** What stands on the one or the other side of an operator. */
interface Term {
  /** The names, where it can be a selector. */
  readonly selector: readonly string[] | undefined
  /** What it says as a value. */
  readonly value: string
}

const SHOWN_CHARS = 32
const WORD = /[A-Za-z][A-Za-z0-9_]*/y
const DIGITS = /[0-9]+/y
const NUMBER = /-?(0|[1-9][0-9]*)(\.[0-9]+)?(?![^ \t\r\n)])/y
const BLANKS = /[ \t\r\n]*/y
const POINTER = /^(\/[\p{L}\p{N}_.~|:-]+)+$/u

class Parser {
  readonly #text: string
  #at = 0
  #matches = 0

  constructor(text: string) {
    this.#text = text
  }

  or(depth: number): Expression {
    return this.#joined('or', () => this.#and(depth))
  }

  end(): void {
    this.#blanks()
    if (this.#at < this.#text.length) throw this.#fault('an operator or the end')
  }

  #and(depth: number): Expression {
    return this.#joined('and', () => this.#not(depth))
  }

  #joined(kind: 'and' | 'or', next: () => Expression): Expression {
    const operands = [next()]
    while (this.#word(kind)) operands.push(next())
    return operands.length === 1 ? operands[0]! : { kind, operands }
  }

  #not(depth: number): Expression {
    if (depth > limits.filterDepth) {
      throw new FilterError(`the expression nests deeper than ${limits.filterDepth}`)
    }
    this.#blanks()
    if (this.#word('not')) {
      const operand = this.#not(depth + 1)
      // Twice no is yes.
      return operand.kind === 'not' ? operand.operand : { kind: 'not', operand }
    }
    if (!this.#taken('(')) return this.#match()
    const inside = this.or(depth + 1)
    this.#blanks()
    if (!this.#taken(')')) throw this.#fault('")"')
    return inside
  }

  #match(): Match {
    this.#matches++
    if (this.#matches > limits.filterMatches) {
      throw new FilterError(`the expression has more than ${limits.filterMatches} comparisons`)
    }
    const start = this.#at
    const left = this.#term()
    const operator = this.#operator()
    if (operator === 'in' || operator === 'not in') {
      this.#blanks()
      const { selector } = this.#term()
      if (selector === undefined) throw this.#fault('a selector', this.#at)
      return { kind: 'match', selector, operator, value: left.value }
    }
    if (left.selector === undefined) throw this.#fault('a selector', start)
    const { selector } = left
    if (operator === 'is empty' || operator === 'is not empty') {
      return { kind: 'match', selector, operator, value: '' }
    }
    this.#blanks()
    const { value } = this.#term()
    const plain = operator === 'contains' ? 'in' : operator === 'not contains' ? 'not in' : operator
    return { kind: 'match', selector, operator: plain, value }
  }

  #operator(): Operator | 'contains' | 'not contains' {
    this.#blanks()
    if (this.#taken('==')) return 'equal'
    if (this.#taken('!=')) return 'not equal'
    if (this.#word('is')) {
      const isNot = this.#word('not')
      if (this.#word('empty')) return isNot ? 'is not empty' : 'is empty'
      throw this.#fault('"empty"')
    }
    const isNot = this.#word('not')
    for (const name of ['in', 'contains', 'matches'] as const) {
      if (this.#word(name)) return isNot ? `not ${name}` : name
    }
    throw this.#fault('an operator')
  }

  #term(): Term {
    const first = this.#text[this.#at]
    if (first === '"' || first === '`') {
      const value = this.#string()
      const isPointer = first === '"' && POINTER.test(value)
      return { selector: isPointer ? pointerParts(value) : undefined, value }
    }
    const number = this.#lexeme(NUMBER)
    if (number !== undefined) return { selector: undefined, value: number }
    const name = this.#lexeme(WORD)
    if (name === undefined) throw this.#fault('a selector or a value')
    const selector = [name]
    for (let part = this.#part(); part !== undefined; part = this.#part()) selector.push(part)
    return { selector, value: selector.join('.') }
  }

  /** `.name`, `.1` or `["any text"]` behind a selector. */
  #part(): string | undefined {
    if (this.#taken('.')) {
      const name = this.#lexeme(WORD) ?? this.#lexeme(DIGITS)
      if (name === undefined) throw this.#fault('a name')
      return name
    }
    if (!this.#taken('[')) return undefined
    this.#blanks()
    const name = this.#string()
    this.#blanks()
    if (!this.#taken(']')) throw this.#fault('"]"')
    return name
  }

  #string(): string {
    const start = this.#at
    const mark = this.#text[start]
    if (mark !== '"' && mark !== '`') throw this.#fault('a string')
    for (let at = start + 1; at < this.#text.length; at++) {
      const character = this.#text[at]
      if (character === '\\' && mark === '"') at++
      else if (character === mark) {
        this.#at = at + 1
        const body = this.#text.slice(start + 1, at)
        return mark === '`' ? body.replaceAll('\r', '') : this.#unquoted(body, start)
      }
    }
    throw this.#fault('the end of the string', start)
  }

  #unquoted(body: string, start: number): string {
    if (body.includes('\n')) throw this.#fault('a string in one line', start)
    if (!body.includes('\\')) return body
    return body.replaceAll(ESCAPE, sequence => {
      const said = unescaped(sequence)
      if (said === undefined) throw this.#fault('a valid escape', start)
      return said
    })
  }

  /** A whole word, with the blanks before it. */
  #word(word: string): boolean {
    const before = this.#at
    this.#blanks()
    const found = this.#lexeme(WORD) === word
    if (!found) this.#at = before
    return found
  }

  #blanks(): void {
    this.#lexeme(BLANKS)
  }

  #taken(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }

  #lexeme(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  #fault(expected: string, at = this.#at): FilterError {
    const line = this.#text.slice(0, at).split('\n')
    const place = `${line.length}:${line.at(-1)!.length + 1} (${at})`
    const rest = this.#text.slice(at, at + SHOWN_CHARS)
    const found = rest === '' ? 'the end' : quote(rest)
    return new FilterError(`${place}: no match found, expected: ${expected}, found: ${found}`)
  }
}

/** `/A/B` names B in A; `~1` stands for a slash and `~0` for a tilde. */
const pointerParts = (pointer: string): string[] =>
  pointer
    .slice(1)
    .split('/')
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))

const ESCAPE = /\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[\s\S]?)/g
const SIMPLE: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
}
const CODE_POINT_MAX = 0x10_ff_ff

/** What an escape of Go's strings says; undefined where it is none. */
function unescaped(sequence: string): string | undefined {
  const simple = SIMPLE[sequence.slice(1)]
  if (simple !== undefined) return simple
  const digits = /^\\(?:[xuU]([0-9a-fA-F]+)|([0-7]{3}))$/.exec(sequence)
  if (digits === null) return undefined
  const [, hexadecimal, octal = ''] = digits
  const code =
    hexadecimal === undefined ? Number.parseInt(octal, 8) : Number.parseInt(hexadecimal, 16)
  const isHalf = code >= 0xd800 && code <= 0xdfff
  const isOne = code <= CODE_POINT_MAX && !isHalf && (octal === '' || code <= 0xff)
  return isOne ? String.fromCodePoint(code) : undefined
}
