/**
 * Bodies of requests, JSON or a form, within bounds that are looked at before anything is made.
 *
 * Owns the count over the bytes: how deep, how many, how long, about how much memory. What keeps
 * within the bounds is parsed with all digits of its whole numbers. Keys such as `__proto__` become
 * plain own properties. Must never quote a body in its texts: there are secrets in it. Pure.
 */
import { isAscii } from 'node:buffer'
import { parseExact } from './exact-json.ts'
import { limits } from './limits.ts'

export interface JsonBounds {
  /** Lists and objects within each other; 1 is a list of plain values. */
  readonly depth: number
  /** Values in all lists and objects together. */
  readonly entries: number
  /** Texts, keys included. */
  readonly strings: number
  /** One text as it is sent, without its quotes. */
  readonly stringSizeBytes: number
  readonly numberChars: number
  /** What the parsed value takes, about. */
  readonly memorySizeBytes: number
}

/** Those of requests to the secrets half. */
export const secretsBounds: JsonBounds = {
  depth: limits.jsonDepth,
  entries: limits.secretsJsonEntries,
  strings: limits.secretsJsonStrings,
  stringSizeBytes: limits.secretsJsonStringSizeBytes,
  numberChars: limits.secretsJsonNumberChars,
  memorySizeBytes: limits.secretsJsonMemorySizeBytes,
}

/** Why there is no value: which bound is broken, or that it is no JSON (or form) at all. */
export interface BodyFault {
  readonly what: keyof JsonBounds | 'syntax' | 'range'
  /** For whoever sent it; quotes nothing of the body. */
  readonly text: string
}

export type ParsedBody = { readonly value: unknown } | { readonly fault: BodyFault }

/** What a body says by its type and first character; `undefined` for an empty one. */
export function parseBody(
  contentType: string | undefined,
  body: Buffer,
  bounds: JsonBounds = secretsBounds,
): ParsedBody {
  let start = 0
  while (isSpace(body[start])) start++
  const first = body[start]
  if (first === undefined) return { value: undefined }
  // What `curl -d '{…}'` sends says that it is a form.
  const isForm = first !== BRACE && first !== BRACKET && FORM_TYPE.test(contentType ?? '')
  return isForm ? parseForm(body, bounds) : parseBounded(body, bounds)
}

/**
 * What a text of JSON says. Whole numbers beyond 2^53 are bigints; others are the nearest double,
 * and refused ('range') where that is infinite, or zero for what is not.
 */
export function parseBounded(body: Buffer, bounds: JsonBounds = secretsBounds): ParsedBody {
  const count = new Count(body, bounds)
  const fault = count.fault()
  if (fault !== undefined) return { fault }
  const text = body.toString()
  try {
    return { value: count.hasLongNumber ? parseExact(text) : JSON.parse(text) }
  } catch (error) {
    if (error instanceof SyntaxError) return { fault: NO_JSON }
    throw error
  }
}

/** A form: several values of a name are joined by commas, as lists are written. */
function parseForm(body: Buffer, bounds: JsonBounds): ParsedBody {
  const values = new Map<string, string>()
  let pairs = 0
  for (let start = 0; start <= body.length; ) {
    const found = body.indexOf(AMPERSAND, start)
    const end = found === -1 ? body.length : found
    const pair = body.subarray(start, end)
    start = end + 1
    if (pair.length === 0) continue
    if (++pairs > bounds.entries) return { fault: broken('entries', bounds) }
    const equals = pair.indexOf(EQUALS)
    const name = unescaped(equals === -1 ? pair : pair.subarray(0, equals))
    const value = equals === -1 ? '' : unescaped(pair.subarray(equals + 1))
    if (name === undefined || value === undefined) return { fault: NO_FORM }
    if (pair.length > bounds.stringSizeBytes) return { fault: broken('stringSizeBytes', bounds) }
    const before = values.get(name)
    values.set(name, before === undefined ? value : `${before},${value}`)
  }
  return { value: Object.fromEntries(values) }
}

/** A name or value of a form; undefined where an escape is none, or a semicolon separates. */
function unescaped(part: Buffer): string | undefined {
  const text = part.toString('latin1')
  if (BAD_ESCAPE.test(text) || text.includes(';')) return undefined
  if (!text.includes('%')) return part.toString().replaceAll('+', ' ')
  const bytes = text
    .replaceAll('+', ' ')
    .replaceAll(/%(..)/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}

const FORM_TYPE = /^\s*application\/x-www-form-urlencoded\s*(;|$)/i
const BAD_ESCAPE = /%(?![\da-f]{2})/i

const NO_JSON: BodyFault = { what: 'syntax', text: 'invalid JSON' }
const NO_FORM: BodyFault = { what: 'syntax', text: 'invalid form' }
const OUT_OF_RANGE: BodyFault = { what: 'range', text: 'number out of range' }

const WORDS: Readonly<Record<keyof JsonBounds, (bound: number) => string>> = {
  depth: bound => `more than ${bound} lists and objects within each other`,
  entries: bound => `more than ${bound} values`,
  strings: bound => `more than ${bound} strings`,
  stringSizeBytes: bound => `a string of more than ${bound} bytes`,
  numberChars: bound => `a number of more than ${bound} characters`,
  memorySizeBytes: bound => `values of more than about ${bound} bytes of memory`,
}

const broken = (what: keyof JsonBounds, bounds: JsonBounds): BodyFault => ({
  what,
  text: `${WORDS[what](bounds[what])}. See docs/limits.md.`,
})

/** What values take, about: a list or object, a place in one, a text without its letters. */
const CONTAINER_SIZE_BYTES = 56
const ENTRY_SIZE_BYTES = 24
const STRING_SIZE_BYTES = 24

/**
 * Goes over the bytes once. Sees no more than the tokens: what passes need not be JSON, but holds
 * no more than was counted should it be.
 */
class Count {
  readonly #body: Buffer
  readonly #bounds: JsonBounds
  #at = 0
  #depth = 0
  #entries = 0
  #strings = 0
  #memorySizeBytes = 0
  /** Whether no string says anything but what it looks like: known once a long one is met. */
  #isPlain: boolean | undefined
  /** Whether there is a number that may have more digits than a double. */
  hasLongNumber = false

  constructor(body: Buffer, bounds: JsonBounds) {
    this.#body = body
    this.#bounds = bounds
  }

  fault(): BodyFault | undefined {
    const body = this.#body
    while (this.#at < body.length) {
      const fault = this.#token(body[this.#at]!)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  #token(code: number): BodyFault | undefined {
    if (code === QUOTE) return this.#string()
    if (code === MINUS || isDigit(code)) return this.#number()
    this.#at++
    if (code === COMMA) return this.#entry()
    if (code === BRACE || code === BRACKET) return this.#open()
    if (code === BRACE_END || code === BRACKET_END) this.#depth--
    return undefined
  }

  /** A list or object has one entry more than commas, if it has any. */
  #open(): BodyFault | undefined {
    if (++this.#depth > this.#bounds.depth) return broken('depth', this.#bounds)
    let next = this.#at
    while (isSpace(this.#body[next])) next++
    const isEmpty = this.#body[next] === BRACE_END || this.#body[next] === BRACKET_END
    return this.#take(CONTAINER_SIZE_BYTES) ?? (isEmpty ? undefined : this.#entry())
  }

  #entry(): BodyFault | undefined {
    if (++this.#entries > this.#bounds.entries) return broken('entries', this.#bounds)
    return this.#take(ENTRY_SIZE_BYTES)
  }

  #string(): BodyFault | undefined {
    if (++this.#strings > this.#bounds.strings) return broken('strings', this.#bounds)
    const body = this.#body
    const start = this.#at + 1
    let end = start
    let isWide = false
    const looked = start + LOOKED_AT_BYTES
    for (let code = body[end]; code !== undefined && code !== QUOTE; code = body[end]) {
      if (end >= looked && this.#isAllPlain()) {
        end = body.indexOf(QUOTE, end)
        if (end === -1) end = body.length
        break
      }
      if (code === BACKSLASH) end++
      // One letter beyond Latin has all of them take two bytes.
      if (code === BACKSLASH || code > ASCII_MAX) isWide = true
      end++
    }
    this.#at = end + 1
    const sizeBytes = end - start
    if (sizeBytes > this.#bounds.stringSizeBytes) return broken('stringSizeBytes', this.#bounds)
    return this.#take(STRING_SIZE_BYTES + sizeBytes * (isWide ? 2 : 1))
  }

  #number(): BodyFault | undefined {
    const start = this.#at
    while (isOfNumber(this.#body[this.#at])) this.#at++
    const chars = this.#at - start
    if (chars >= LONG_NUMBER_CHARS) this.hasLongNumber = true
    if (chars > this.#bounds.numberChars) return broken('numberChars', this.#bounds)
    if (chars > SHORT_NUMBER_CHARS || this.#hasExponent(start)) {
      const number = this.#body.toString('latin1', start, this.#at)
      if (isLost(number)) return OUT_OF_RANGE
    }
    return this.#take(chars)
  }

  /** Whether the body has neither escapes nor letters of several bytes. */
  #isAllPlain(): boolean {
    this.#isPlain ??= isAscii(this.#body) && this.#body.indexOf(BACKSLASH) === -1
    return this.#isPlain
  }

  #hasExponent(start: number): boolean {
    for (let at = start; at < this.#at; at++) if (isExponent(this.#body[at])) return true
    return false
  }

  #take(sizeBytes: number): BodyFault | undefined {
    this.#memorySizeBytes += sizeBytes
    const { memorySizeBytes } = this.#bounds
    return this.#memorySizeBytes > memorySizeBytes
      ? broken('memorySizeBytes', this.#bounds)
      : undefined
  }
}

/** Whether a double is another number altogether. Whole numbers are no doubles. */
function isLost(number: string): boolean {
  if (/^-?\d+$/.test(number)) return false
  const double = Number(number)
  if (double === 0) return /^-?[0.]*[1-9]/.test(number)
  return !Number.isFinite(double) && !Number.isNaN(double)
}

/** A string that is longer is looked for its end as a whole, where nothing in it is special. */
const LOOKED_AT_BYTES = 32
/** Fewer digits than these are exact as doubles. */
const LONG_NUMBER_CHARS = 16
/** Shorter numbers without an exponent are in range. */
const SHORT_NUMBER_CHARS = 300
const ASCII_MAX = 0x7f

const [QUOTE, BACKSLASH, COMMA, BRACE, BRACE_END, BRACKET, BRACKET_END] = Buffer.from(
  '"\\,{}[]',
) as unknown as [number, number, number, number, number, number, number]
const MINUS = 0x2d
const AMPERSAND = 0x26
const EQUALS = 0x3d

const isSpace = (code: number | undefined): boolean =>
  code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
const isDigit = (code: number | undefined): boolean =>
  code !== undefined && code >= 0x30 && code <= 0x39
const isExponent = (code: number | undefined): boolean => code === 0x45 || code === 0x65
const isOfNumber = (code: number | undefined): boolean =>
  isDigit(code) || isExponent(code) || code === MINUS || code === 0x2b || code === 0x2e
