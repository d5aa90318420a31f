/**
 * Protocol buffers, written by hand: for messages that are joined from parts which are there
 * already.
 *
 * Owns the few wire forms that this takes (the encoding's specification, "Message Structure").
 * Knows no message; whatever is written once goes through the library.
 */

/** The size of a number as a varint. */
function varintSize(value: number): number {
  let size = 1
  for (let left = value; left >= 0x80; left = Math.floor(left / 0x80)) size++
  return size
}

function putVarint(bytes: Buffer, at: number, value: number): number {
  let left = value
  let next = at
  while (left >= 0x80) {
    bytes[next++] = (left % 0x80) | 0x80
    left = Math.floor(left / 0x80)
  }
  bytes[next++] = left
  return next
}

const LENGTH_DELIMITED = 2

/**
 * A field that is a number (below 2^53) or a yes; nothing where it is zero. Fields are below 16.
 */
export function numberField(field: number, value: number): Buffer {
  if (value === 0) return NOTHING
  const bytes = Buffer.allocUnsafe(1 + varintSize(value))
  bytes[0] = field << 3
  putVarint(bytes, 1, value)
  return bytes
}

/** A field of bytes: a message, or one of several items. */
export function bytesField(field: number, parts: readonly Buffer[]): Buffer {
  let length = 0
  for (const part of parts) length += part.length
  const bytes = Buffer.allocUnsafe(1 + varintSize(length) + length)
  bytes[0] = (field << 3) | LENGTH_DELIMITED
  let at = putVarint(bytes, 1, length)
  for (const part of parts) {
    part.copy(bytes, at)
    at += part.length
  }
  return bytes
}

/** A field of text; nothing where it is empty. */
export const textField = (field: number, text: string): Buffer =>
  text === '' ? NOTHING : bytesField(field, [Buffer.from(text, 'utf8')])

const NOTHING = Buffer.alloc(0)
