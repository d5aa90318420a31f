/**
 * Protocol buffers, written and read by hand: for messages that are joined from parts which are
 * there already, and for those that come by the thousand.
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

const VARINT = 0
const FIXED_64 = 1
const FIXED_32 = 5

/** Larger pieces of memory are not kept for the next message. */
const KEPT_SIZE_BYTES = 65_536

/**
 * Writes one message after the other, each from its end to its beginning: so the length of what a
 * field holds is known when it is its turn. The last field of a message is written first.
 */
export class ProtoWriter {
  #bytes = Buffer.allocUnsafe(1_024)
  /** How much is written, at the end of `#bytes`. */
  #size = 0

  /** Where the writing is: what a message that begins here is closed by. */
  get size(): number {
    return this.#size
  }

  /** A field that is a number: whole, within 2^53 of zero, which is written too. */
  number(field: number, value: number): void {
    if (value < 0) {
      this.digits(field, String(value))
      return
    }
    this.#varint(value)
    this.#varint(field << 3)
  }

  /** A field that is a number of up to 64 bits, given by its decimal digits; with a sign or not. */
  digits(field: number, value: string): void {
    let left = BigInt.asUintN(64, BigInt(value))
    const groups: number[] = []
    for (; left >= 0x80n; left >>= 7n) groups.push(Number(left & 0x7fn) | 0x80)
    groups.push(Number(left))
    let at = this.#room(groups.length)
    for (const group of groups) this.#bytes[at++] = group
    this.#varint(field << 3)
  }

  /** A field of bytes. */
  bytes(field: number, value: Buffer): void {
    const at = this.#room(value.length)
    value.copy(this.#bytes, at)
    this.#varint(value.length)
    this.#varint((field << 3) | LENGTH_DELIMITED)
  }

  /** A field that holds what was written since the writing was at `size`. */
  message(field: number, size: number): void {
    this.#varint(this.#size - size)
    this.#varint((field << 3) | LENGTH_DELIMITED)
  }

  /** What was written, as bytes of its own; the next message begins. */
  finish(): Buffer {
    const whole = Buffer.from(this.#bytes.subarray(this.#bytes.length - this.#size))
    this.#size = 0
    if (this.#bytes.length > KEPT_SIZE_BYTES) this.#bytes = Buffer.allocUnsafe(KEPT_SIZE_BYTES)
    return whole
  }

  #varint(value: number): void {
    const at = this.#room(value < 0x80 ? 1 : varintSize(value))
    putVarint(this.#bytes, at, value)
  }

  /** Makes room before what is written, in other memory if need be; gives its place. */
  #room(sizeBytes: number): number {
    this.#size += sizeBytes
    const { length } = this.#bytes
    if (this.#size <= length) return length - this.#size
    const written = this.#size - sizeBytes
    const larger = Buffer.allocUnsafe(2 ** Math.ceil(Math.log2(this.#size + 1)))
    this.#bytes.copy(larger, larger.length - written, length - written)
    this.#bytes = larger
    return larger.length - this.#size
  }
}

/**
 * Reads the fields of a message, and of the messages in it, in the order in which they come. Every
 * method throws a RangeError where the bytes end too early.
 */
export class ProtoReader {
  readonly #bytes: Buffer
  /** Where the reading is. */
  at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Goes into a message (or the bytes) of a field; gives where it ends. */
  enter(): number {
    const end = this.number() + this.at
    if (end > this.#bytes.length) throw cut()
    return end
  }

  /** A number below 2^53, or the head of a field: its number times 8 and its wire type. */
  number(): number {
    const bytes = this.#bytes
    let byte = this.at < bytes.length ? bytes[this.at++]! : this.#ended()
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    for (let factor = 0x80; ; factor *= 0x80) {
      byte = this.at < bytes.length ? bytes[this.at++]! : this.#ended()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      if (factor > MOST_FACTOR) throw new RangeError('a number has more than 64 bits')
    }
  }

  /** A number of up to 64 bits, not negative, as its decimal digits. */
  digits(): string {
    const start = this.at
    const value = this.number()
    if (value <= Number.MAX_SAFE_INTEGER) return String(value)
    let whole = 0n
    for (let at = this.at - 1; at >= start; at--) {
      whole = (whole << 7n) | BigInt(this.#bytes[at]! & 0x7f)
    }
    return String(whole)
  }

  /** A field of bytes: a part of the message's own memory. */
  bytes(): Buffer {
    const end = this.enter()
    const value = this.#bytes.subarray(this.at, end)
    this.at = end
    return value
  }

  text(): string {
    const end = this.enter()
    const value = this.#bytes.toString('utf8', this.at, end)
    this.at = end
    return value
  }

  /** Passes over a field that nobody wants, by its head. */
  skip(head: number): void {
    const type = head & 7
    if (type === VARINT) this.number()
    else if (type === LENGTH_DELIMITED) this.at = this.enter()
    else if (type === FIXED_64) this.at += 8
    else if (type === FIXED_32) this.at += 4
    else throw new RangeError(`wire type ${type} is not known`)
    if (this.at > this.#bytes.length) throw cut()
  }

  #ended(): never {
    throw cut()
  }
}

/** That of the tenth byte of a varint; there is no eleventh. */
const MOST_FACTOR = 2 ** 56

const cut = (): RangeError => new RangeError('the message ends too early')
