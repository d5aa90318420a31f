/**
 * Byte strings: keys of the store are sequences of bytes, held as JavaScript strings in which
 * every character stands for one byte (0 to 255). They compare and sort by byte, work as Map
 * keys, and V8 keeps them at one byte a character.
 *
 * Owns the conversion between text and byte strings; nothing else may guess an encoding.
 */

/** A string in which each character is one byte. Plain ASCII text is its own byte string. */
export type Bytes = string

// biome-ignore lint/suspicious/noControlCharactersInRegex: the point is the whole ASCII range
const ASCII = /^[\x00-\x7f]*$/

/** Whether all characters are of ASCII: such a text is its own byte string, in UTF-8 too. */
export const isAscii = (text: string): boolean => ASCII.test(text)

/** Text (UTF-16) to the byte string of its UTF-8 form. */
export function fromText(text: string): Bytes {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** A byte string to text; bytes that are not UTF-8 become U+FFFD. */
export function toText(bytes: Bytes): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8')
}

export const toBuffer = (bytes: Bytes): Buffer => Buffer.from(bytes, 'latin1')
export const fromBuffer = (buffer: Uint8Array): Bytes =>
  Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString('latin1')

/**
 * The same bytes in memory of their own. Node cuts small buffers out of slabs of 64 KiB: one that
 * is kept for long keeps its whole slab. Whatever is kept goes through here.
 */
export function owned(buffer: Buffer): Buffer {
  if (buffer.buffer.byteLength === buffer.length) return buffer
  const copy = Buffer.allocUnsafeSlow(buffer.length)
  buffer.copy(copy)
  return copy
}

/**
 * The first byte string after all that begin with `prefix`; undefined when there is none
 * (an empty prefix, or only 0xff bytes): the range is then open to the end.
 */
export function afterPrefix(prefix: Bytes): Bytes | undefined {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const code = prefix.charCodeAt(i)
    if (code < 255) return prefix.slice(0, i) + String.fromCharCode(code + 1)
  }
  return undefined
}
