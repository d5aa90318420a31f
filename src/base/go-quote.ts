/**
 * Values as Go prints them, since the errors that clients know are made that way.
 *
 * Owns the escapes of a quoted text. Long texts are cut: an error is for a reader.
 */

/** Characters of a text that an error quotes at most. */
const QUOTED_CHARS = 256

/** A text in double quotes (`%q`); what does not print stands as an escape. */
export function goQuote(text: string): string {
  return `"${text.slice(0, QUOTED_CHARS).toWellFormed().replace(ESCAPED, goEscape)}"`
}

const ESCAPED = /["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu

const named = new Map([
  ['\u0007', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['"', '\\"'],
  ['\\', '\\\\'],
])

function goEscape(character: string): string {
  const known = named.get(character)
  if (known !== undefined) return known
  const code = character.codePointAt(0)!
  const hex = code.toString(16)
  if (code < 0x80) return `\\x${hex.padStart(2, '0')}`
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}
