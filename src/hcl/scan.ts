/**
 * The tokens of HCL 1.
 *
 * Owns comments, names, numbers, quoted strings with their escapes, and heredocs. A `${…}` in a
 * quoted string is kept as it stands: nothing is ever interpolated here.
 */
import type { Cursor } from './cursor.ts'
import type { Position } from './hcl.ts'

/** A token and the offset where it begins. */
export type Token = { readonly start: number } & (
  | { readonly kind: 'name' | 'string' | 'heredoc'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: '{' | '}' | '[' | ']' | ',' | '=' | 'end' }
)

const SKIPPED = /[ \t\r\n]+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\//y
const NAME = /[\p{L}_][\p{L}\p{Nd}_.-]*/uy
const NUMBER = /-?(?:0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)/y

/** Tokens of one text, with one of look-ahead. */
export class Scanner {
  readonly #cursor: Cursor
  #peeked: Token | undefined

  constructor(cursor: Cursor) {
    this.#cursor = cursor
  }

  /** The next token, taken. */
  next(): Token {
    const token = this.peek()
    this.#peeked = undefined
    return token
  }

  /** The next token, left in place. */
  peek(): Token {
    this.#peeked ??= scanToken(this.#cursor)
    return this.#peeked
  }

  positionOf(token: Token): Position {
    return this.#cursor.positionAt(token.start)
  }

  nested<T>(parse: () => T): T {
    return this.#cursor.nested(parse)
  }

  fail(token: Token, reason: string): never {
    this.#cursor.at = token.start
    return this.#cursor.fail(token.kind === 'end' ? `${reason}, the text ends here` : reason)
  }
}

function scanToken(cursor: Cursor): Token {
  SKIPPED.lastIndex = cursor.at
  while (SKIPPED.test(cursor.text)) cursor.at = SKIPPED.lastIndex
  const start = cursor.at
  const character = cursor.text[start]
  switch (character) {
    case undefined:
      return { kind: 'end', start }
    case '{':
    case '}':
    case '[':
    case ']':
    case ',':
    case '=':
      cursor.at++
      return { kind: character, start }
    case '"':
      return { kind: 'string', value: scanString(cursor), start }
    case '<':
      return { kind: 'heredoc', value: scanHeredoc(cursor), start }
    case '/':
      return cursor.fail('comment is not terminated')
    default:
      return scanWord(cursor, start)
  }
}

function scanWord(cursor: Cursor, start: number): Token {
  NUMBER.lastIndex = start
  const digits = NUMBER.exec(cursor.text)?.[0]
  if (digits !== undefined) {
    const value = numberOf(digits)
    NAME.lastIndex = start + digits.length
    if (value === undefined || NAME.test(cursor.text)) cursor.fail('not a number')
    cursor.at += digits.length
    return { kind: 'number', value, start }
  }
  NAME.lastIndex = start
  const word = NAME.exec(cursor.text)?.[0]
  if (word === undefined) return cursor.fail('unexpected character')
  cursor.at += word.length
  if (word === 'true' || word === 'false') return { kind: 'bool', value: word === 'true', start }
  return { kind: 'name', value: word, start }
}

/** Go's reading: 0x is hexadecimal, a leading zero octal; undefined when out of range. */
function numberOf(digits: string): number | undefined {
  const sign = digits.startsWith('-') ? -1 : 1
  const body = sign === -1 ? digits.slice(1) : digits
  if (/^0\d+$/.test(body)) {
    return /[89]/.test(body) ? undefined : sign * Number.parseInt(body, 8)
  }
  const value = sign * Number(body)
  return Number.isFinite(value) ? value : undefined
}

const PLAIN = /[^"\\\n$]+/y

function scanString(cursor: Cursor): string {
  const { text } = cursor
  const parts: string[] = []
  cursor.at++
  for (;;) {
    PLAIN.lastIndex = cursor.at
    const plain = PLAIN.exec(text)?.[0]
    if (plain !== undefined) {
      parts.push(plain)
      cursor.at += plain.length
    }
    const character = text[cursor.at]
    if (character === '"') {
      cursor.at++
      return parts.join('')
    }
    if (character === '\\') parts.push(scanEscape(cursor))
    else if (character === '$') parts.push(scanDollar(cursor))
    else cursor.fail('string is not terminated')
  }
}

/** A dollar sign, with all of `${…}` when a brace follows: braces nest, quotes mean nothing. */
function scanDollar(cursor: Cursor): string {
  const { text } = cursor
  const start = cursor.at
  if (text[start + 1] !== '{') {
    cursor.at++
    return '$'
  }
  let depth = 0
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '{') depth++
    else if (text[at] === '}') depth--
    if (depth > 0) continue
    cursor.at = at + 1
    return text.slice(start, cursor.at)
  }
  return cursor.fail('"${" is not closed')
}

const ESCAPED: Record<string, string> = {
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
const CODE = /\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y

function scanEscape(cursor: Cursor): string {
  const single = ESCAPED[cursor.text[cursor.at + 1] ?? '']
  if (single !== undefined) {
    cursor.at += 2
    return single
  }
  CODE.lastIndex = cursor.at
  const match = CODE.exec(cursor.text)
  if (match === null) return cursor.fail('unknown escape')
  const octal = match[1]
  const code =
    octal === undefined
      ? Number.parseInt(match[2] ?? match[3] ?? match[4] ?? '', 16)
      : Number.parseInt(octal, 8)
  if (code > 0x10ffff) cursor.fail('escape beyond the last character of Unicode')
  cursor.at += match[0].length
  return String.fromCodePoint(code)
}

const ANCHOR = /<<(-?)([\p{L}\p{Nd}_]+)\r?\n/uy

/**
 * The text between `<<NAME` and a line of only NAME, line ends kept. With `<<-NAME` the
 * indentation of the closing line is taken off each line, if all lines have it.
 */
function scanHeredoc(cursor: Cursor): string {
  ANCHOR.lastIndex = cursor.at
  const anchor = ANCHOR.exec(cursor.text)
  if (anchor === null) return cursor.fail('expected a heredoc such as <<EOF and a line end')
  const lines: string[] = []
  for (let at = ANCHOR.lastIndex; at < cursor.text.length; ) {
    const newline = cursor.text.indexOf('\n', at)
    const end = newline === -1 ? cursor.text.length : newline
    const line = cursor.text.slice(at, end)
    if (line.trim() === anchor[2]) {
      cursor.at = end
      const indentation = anchor[1] === '-' ? line.slice(0, line.indexOf(anchor[2])) : ''
      const indented = lines.every(each => each.startsWith(indentation))
      return lines.map(each => `${indented ? each.slice(indentation.length) : each}\n`).join('')
    }
    lines.push(line)
    at = end + 1
  }
  return cursor.fail('heredoc is not terminated')
}
