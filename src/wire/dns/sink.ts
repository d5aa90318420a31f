/**
 * A growing buffer that DNS values are written into, with name compression (RFC 1035 §4.1.4).
 *
 * Owns the compression: which suffixes of names can be pointed at, and where they stand. Must
 * never write a pointer beyond the 14 bits that one has, nor more than it was allowed to.
 */
import { type Bytes, owned } from '../../base/bytes.ts'
import { lowerName, nameFromText, POINTER_REACH_BYTES } from './names.ts'

/** The largest message: its length must fit the 16 bits in front of it on TCP. */
export const MESSAGE_SIZE_BYTES = 65_535

/** Fewer characters than this are written faster one by one than by a call. */
const WRITE_CALL_CHARS = 48

/** What cannot be read from, or written to, the wire. `reason` quotes nothing of the message. */
export class Malformed {
  readonly reason: string

  constructor(reason: string) {
    this.reason = reason
  }
}

/** A name's wire form, as written and for comparing. */
export interface WireName {
  readonly bytes: Bytes
  readonly lower: Bytes
}

/** How a sink treats names: in full, or shortened by pointing at earlier ones. */
export interface Compression {
  /** Offsets in the message of the suffixes that can be pointed at, by lower-case wire form. */
  readonly suffixes: Map<Bytes, number>
  /**
   * Whether names that are written become targets too. Not for a fragment: what is not told its
   * place in the message may only point at what is (the question).
   */
  readonly learns: boolean
}

/** Where values are written one after the other. Methods throw Malformed. */
export class Sink {
  #buffer: Buffer
  #offset = 0
  readonly #compression: Compression | undefined
  readonly #maxSizeBytes: number
  /** Names that were given, by their text: most come more than once. */
  readonly #names = new Map<string, WireName>()

  /** `compression` undefined writes every name in full. */
  constructor(compression: Compression | undefined, maxSizeBytes: number) {
    this.#buffer = Buffer.allocUnsafe(Math.min(512, maxSizeBytes))
    this.#compression = compression
    this.#maxSizeBytes = maxSizeBytes
  }

  /** Bytes written so far, which is where the next one goes. */
  get offset(): number {
    return this.#offset
  }

  u8(value: number): void {
    this.#claim(1, value, 0xff)
    this.#buffer[this.#offset++] = value
  }

  u16(value: number): void {
    this.#claim(2, value, 0xffff)
    this.#offset = this.#buffer.writeUInt16BE(value, this.#offset)
  }

  u32(value: number): void {
    this.#claim(4, value, 0xffffffff)
    this.#offset = this.#buffer.writeUInt32BE(value, this.#offset)
  }

  bytes(value: Bytes): void {
    this.#claim(value.length, 0, 0)
    if (value.length >= WRITE_CALL_CHARS) {
      this.#offset += this.#buffer.write(value, this.#offset, 'latin1')
    } else {
      for (let i = 0; i < value.length; i++) this.#buffer[this.#offset++] = value.charCodeAt(i)
    }
  }

  /** Overwrites two bytes that were written before. */
  patchU16(offset: number, value: number): void {
    if (value > 0xffff) throw new Malformed('the data of a record is too long')
    this.#buffer.writeUInt16BE(value, offset)
  }

  /**
   * Writes a name given as text, ending in a pointer where `mayPoint` and a suffix of it is
   * known. Suffixes are found whatever their case: the reader then sees the case of the first.
   * Gives the number of bytes written.
   */
  name(text: string, mayPoint: boolean): number {
    const start = this.#offset
    const { bytes, lower } = this.wire(text)
    const suffixes = this.#compression?.suffixes
    const learns = this.#compression?.learns === true
    let at = 0
    while (suffixes !== undefined && (mayPoint || learns) && bytes.charCodeAt(at) !== 0) {
      const suffix = lower.slice(at)
      const known = suffixes.get(suffix)
      if (known !== undefined && mayPoint) {
        this.bytes(bytes.slice(0, at))
        this.u16(0xc000 | known)
        return at + 2
      }
      if (learns && known === undefined && start + at < POINTER_REACH_BYTES) {
        suffixes.set(suffix, start + at)
      }
      at += 1 + bytes.charCodeAt(at)
    }
    this.bytes(bytes)
    return bytes.length
  }

  /** The wire form of a name in text. */
  wire(text: string): WireName {
    const known = this.#names.get(text)
    if (known !== undefined) return known
    const bytes = nameFromText(text)
    if (bytes === undefined) throw new Malformed('a name cannot be written')
    const name = { bytes, lower: lowerName(bytes) }
    this.#names.set(text, name)
    return name
  }

  /** Forgets what was written from `offset` on; only for a sink that does not learn names. */
  rewind(offset: number): void {
    this.#offset = offset
  }

  /** What was written from `offset` on. */
  bytesFrom(offset: number): Bytes {
    return this.#buffer.toString('latin1', offset, this.#offset)
  }

  /** A copy of what was written. */
  take(): Buffer {
    return owned(this.#buffer.subarray(0, this.#offset))
  }

  #claim(sizeBytes: number, value: number, max: number): void {
    if (!(Number.isInteger(value) && value >= 0 && value <= max)) {
      throw new Malformed('a number is out of range')
    }
    const need = this.#offset + sizeBytes
    if (need <= this.#buffer.length) return
    if (need > this.#maxSizeBytes) throw new Malformed('the message is too long')
    const grown = Buffer.allocUnsafe(Math.min(this.#maxSizeBytes, Math.max(need, need * 2)))
    this.#buffer.copy(grown, 0, 0, this.#offset)
    this.#buffer = grown
  }
}
