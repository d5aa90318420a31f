/**
 * JSON whose whole numbers keep all of their digits: those beyond 2^53 are bigints.
 *
 * Owns finding them in a text. V8 hands a reviver the source of each number, but some bodies made
 * it read and write memory that is not its own (docs/hacking.md), so no reviver is used: such
 * numbers are parsed as strings that begin with a mark, and the mark is looked for. Pure.
 */

/** Fewer digits than this are exact as they are. */
const HAS_MANY_DIGITS = /\d{16}/
const WHOLE = /^-?\d+$/
const QUOTE = '"'.charCodeAt(0)
const BACKSLASH = '\\'.charCodeAt(0)

/** What a text says. Throws SyntaxError as JSON.parse does. */
export function parseExact(text: string): unknown {
  const parsed: unknown = JSON.parse(text)
  if (!HAS_MANY_DIGITS.test(text)) return parsed
  const mark = markUnlike(JSON.stringify(parsed))
  const marked = withMarks(text, mark)
  return marked === text ? parsed : unmarked(JSON.parse(marked), mark)
}

/** A text that begins no string in `plain`, where nothing printable is escaped. */
function markUnlike(plain: string): string {
  for (let number = 0; ; number++) {
    const mark = `#${number}#`
    if (!plain.includes(mark)) return mark
  }
}

/** Puts numbers that would lose digits into marked strings; the text is known to be JSON. */
function withMarks(text: string, mark: string): string {
  let marked = ''
  let taken = 0
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = afterString(text, at)
    else if (isOfNumber(code)) {
      let end = at + 1
      while (isOfNumber(text.charCodeAt(end))) end++
      const number = text.slice(at, end)
      if (WHOLE.test(number) && !Number.isSafeInteger(Number(number))) {
        marked += `${text.slice(taken, at)}"${mark}${number}"`
        taken = end
      }
      at = end
    } else at++
  }
  return marked + text.slice(taken)
}

/** Where a string that begins here is over. */
function afterString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text.charCodeAt(at) !== QUOTE) {
    at += text.charCodeAt(at) === BACKSLASH ? 2 : 1
  }
  return at + 1
}

/** Whether a character may stand in a number: a digit, a sign, a point or an exponent's letter. */
const isOfNumber = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) ||
  code === 0x2d ||
  code === 0x2b ||
  code === 0x2e ||
  code === 0x45 ||
  code === 0x65

/** The same with bigints for marked strings; lists and objects are changed in place. */
function unmarked(value: unknown, mark: string): unknown {
  if (typeof value === 'string') {
    return value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value
  }
  if (typeof value !== 'object' || value === null) return value
  const parts = value as Record<string, unknown>
  for (const key of Object.keys(parts)) {
    const part = unmarked(parts[key], mark)
    if (part === parts[key]) continue
    // By definition, not assignment: a body may name `__proto__`.
    const rest = { writable: true, enumerable: true, configurable: true }
    Object.defineProperty(parts, key, { value: part, ...rest })
  }
  return value
}

/** The same text again: whole numbers beyond 2^53 are written digit by digit. */
export function stringifyExact(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch {
    return JSON.stringify(value, (_key, part) =>
      typeof part === 'bigint' ? RAW.rawJSON(String(part)) : part,
    )
  }
}

/** What V8 has, and the types leave out. */
const RAW = JSON as unknown as { rawJSON(text: string): unknown }
