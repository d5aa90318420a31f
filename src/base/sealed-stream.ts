/**
 * Large data sealed as a stream of chunks that is one authenticated whole (docs/transit.md).
 *
 * Owns the format and its arithmetic: STREAM of Hoang, Reyhanitabar, Rogaway and Vizár over
 * AES-256-GCM. A chunk's nonce says its place and whether it is the last one, its associated data
 * is the digest of the head and of what the client bound to it: chunks that were changed, moved,
 * left out, repeated or added do not open, nor does a stream that was cut. The wrapped key is not
 * part of that digest, so that it can be wrapped anew; another key opens nothing. Draws nothing:
 * the key must be of one stream alone. Pure.
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import { deriveKey, NONCE_SIZE_BYTES } from './aead.ts'

const TAG_SIZE_BYTES = 16
const PREFIX_SIZE_BYTES = 7
const MAGIC = Buffer.from('GHSTREAM')
const VERSION = 1
/** Magic, version, exponent of the chunk size, prefix of nonces: what chunks stand on. */
const BOUND_SIZE_BYTES = MAGIC.length + 1 + 1 + PREFIX_SIZE_BYTES
/** The same with the length of the wrapped key. */
const FIXED_SIZE_BYTES = BOUND_SIZE_BYTES + 2
/** Chunks of 4 KiB to 1 MiB of plaintext. */
const CHUNK_EXPONENTS = { smallest: 12, usual: 16, largest: 20 } as const
/** So many chunks have places. */
const CHUNKS_MAX = 2 ** 32
/** Of a wrapped key; RSA-4096 in base64 is 684. */
const WRAPPED_SIZE_BYTES = 2_048

export const STREAM_KEY_SIZE_BYTES = 32
export const STREAM_PREFIX_SIZE_BYTES = PREFIX_SIZE_BYTES
export const usualChunkSizeBytes = 2 ** CHUNK_EXPONENTS.usual

/** What is wrong with a stream. Texts quote nothing of it. */
export class StreamFault extends Error {
  override readonly name = 'StreamFault'
}

/** What stands before the chunks. */
export interface StreamHead {
  readonly chunkSizeBytes: number
  /** Of the nonces: PREFIX_SIZE_BYTES. */
  readonly prefix: Buffer
  /** The stream's key, encrypted: text in ASCII. */
  readonly wrappedKey: string
}

/** Whether chunks may have this size: a power of two from 4 KiB to 1 MiB. */
export const isChunkSize = (sizeBytes: number): boolean => exponentOf(sizeBytes) !== undefined

function exponentOf(sizeBytes: number): number | undefined {
  const exponent = Math.log2(sizeBytes)
  const { smallest, largest } = CHUNK_EXPONENTS
  return Number.isInteger(exponent) && exponent >= smallest && exponent <= largest
    ? exponent
    : undefined
}

/** The bytes of a head. Throws StreamFault for one that cannot be. */
export function headBytes({ chunkSizeBytes, prefix, wrappedKey }: StreamHead): Buffer {
  const exponent = exponentOf(chunkSizeBytes)
  const wrapped = Buffer.from(wrappedKey, 'latin1')
  if (exponent === undefined || wrapped.length > WRAPPED_SIZE_BYTES) {
    throw new StreamFault('such a stream cannot be made')
  }
  const bytes = Buffer.alloc(FIXED_SIZE_BYTES + wrapped.length)
  let at = MAGIC.copy(bytes)
  at = bytes.writeUInt8(VERSION, at)
  at = bytes.writeUInt8(exponent, at)
  at += prefix.copy(bytes, at, 0, PREFIX_SIZE_BYTES)
  at = bytes.writeUInt16BE(wrapped.length, at)
  wrapped.copy(bytes, at)
  return bytes
}

/**
 * The head at the beginning of these bytes, with how many of them it is; undefined where they are
 * too few to tell. Throws StreamFault where there is none.
 */
export function readHead(
  bytes: Buffer,
): { readonly head: StreamHead; readonly sizeBytes: number } | undefined {
  const known = Math.min(bytes.length, MAGIC.length)
  if (!bytes.subarray(0, known).equals(MAGIC.subarray(0, known))) throw new StreamFault(NO_STREAM)
  if (bytes.length < FIXED_SIZE_BYTES) return undefined
  let at = MAGIC.length
  const version = bytes.readUInt8(at++)
  if (version !== VERSION) throw new StreamFault(`the stream has format ${version}, not ${VERSION}`)
  const chunkSizeBytes = 2 ** bytes.readUInt8(at++)
  const prefix = Buffer.from(bytes.subarray(at, at + PREFIX_SIZE_BYTES))
  const wrappedSizeBytes = bytes.readUInt16BE(at + PREFIX_SIZE_BYTES)
  if (!isChunkSize(chunkSizeBytes) || wrappedSizeBytes > WRAPPED_SIZE_BYTES) {
    throw new StreamFault(NO_STREAM)
  }
  const sizeBytes = FIXED_SIZE_BYTES + wrappedSizeBytes
  if (bytes.length < sizeBytes) return undefined
  const wrappedKey = bytes.toString('latin1', FIXED_SIZE_BYTES, sizeBytes)
  return { head: { chunkSizeBytes, prefix, wrappedKey }, sizeBytes }
}

const NO_STREAM = 'these are not the bytes of a stream'

/** What both directions have in common: the key of the chunks, and their places. */
class Chunks {
  readonly #key: Buffer
  readonly #digest: Buffer
  readonly #nonce: Buffer
  /** Those that were sealed or opened. */
  count = 0

  constructor(dataKey: Buffer, head: Buffer, prefix: Buffer, associated: Uint8Array) {
    const bound = head.subarray(0, BOUND_SIZE_BYTES)
    this.#digest = createHash('sha256').update(bound).update(associated).digest()
    this.#key = deriveKey(dataKey, `gatehouse transit stream ${this.#digest.toString('hex')}`)
    this.#nonce = Buffer.alloc(NONCE_SIZE_BYTES)
    prefix.copy(this.#nonce)
  }

  #nextNonce(isLast: boolean): Buffer {
    if (this.count >= CHUNKS_MAX) throw new StreamFault('the stream has too many chunks')
    this.#nonce.writeUInt32BE(this.count++, PREFIX_SIZE_BYTES)
    this.#nonce.writeUInt8(isLast ? 1 : 0, PREFIX_SIZE_BYTES + 4)
    return this.#nonce
  }

  seal(plaintext: Buffer, isLast: boolean): Buffer {
    const cipher = createCipheriv('aes-256-gcm', this.#key, this.#nextNonce(isLast))
    cipher.setAAD(this.#digest)
    const body = cipher.update(plaintext)
    return Buffer.concat([body, cipher.final(), cipher.getAuthTag()])
  }

  open(sealed: Buffer, isLast: boolean): Buffer {
    const place = this.count
    const nonce = this.#nextNonce(isLast)
    const options = { authTagLength: TAG_SIZE_BYTES }
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, options)
    decipher.setAAD(this.#digest)
    decipher.setAuthTag(sealed.subarray(-TAG_SIZE_BYTES))
    const plaintext = decipher.update(sealed.subarray(0, -TAG_SIZE_BYTES))
    try {
      decipher.final()
    } catch {
      plaintext.fill(0)
      throw new StreamFault(
        `the stream is not what was encrypted: chunk ${place} was changed, moved or cut off, or ` +
          'key, context or associated data are others',
      )
    }
    return plaintext
  }

  wipe(): void {
    this.#key.fill(0)
  }
}

/** Gathers bytes until there is a chunk, and something behind it: it is not the last one then. */
class Gathering {
  readonly #held: Buffer
  #sizeBytes = 0

  constructor(sizeBytes: number) {
    this.#held = Buffer.alloc(sizeBytes)
  }

  /** The chunks that are full and not the last. Each is to be used before the next is asked for. */
  *take(piece: Buffer): Generator<Buffer> {
    for (let at = 0; at < piece.length; ) {
      if (this.#sizeBytes === this.#held.length) {
        yield this.#held
        this.#sizeBytes = 0
      }
      const copied = piece.copy(this.#held, this.#sizeBytes, at)
      this.#sizeBytes += copied
      at += copied
    }
  }

  /** What is left, which is the last chunk. */
  get rest(): Buffer {
    return this.#held.subarray(0, this.#sizeBytes)
  }

  wipe(): void {
    this.#held.fill(0)
  }
}

/** Seals one stream. `dataKey` is for this one alone; it may be wiped once this is made. */
export class StreamSealer {
  /** What stands before the chunks. */
  readonly head: Buffer
  readonly #chunks: Chunks
  readonly #gathering: Gathering

  constructor(dataKey: Buffer, head: StreamHead, associated: Uint8Array) {
    this.head = headBytes(head)
    this.#chunks = new Chunks(dataKey, this.head, head.prefix, associated)
    this.#gathering = new Gathering(head.chunkSizeBytes)
  }

  get chunks(): number {
    return this.#chunks.count
  }

  /** Takes plaintext; gives the chunks that are sealed by that, one for each step. */
  *push(piece: Buffer): Generator<Buffer> {
    for (const full of this.#gathering.take(piece)) yield this.#chunks.seal(full, false)
  }

  /** The last chunk: without it, it is no stream. Nothing is to be pushed any more. */
  end(): Buffer {
    return this.#chunks.seal(this.#gathering.rest, true)
  }

  /** Forgets key and plaintext. */
  wipe(): void {
    this.#chunks.wipe()
    this.#gathering.wipe()
  }
}

/** Opens one stream, behind its head. Everything throws StreamFault where it is not authentic. */
export class StreamOpener {
  readonly #chunks: Chunks
  readonly #gathering: Gathering

  constructor(dataKey: Buffer, head: StreamHead, associated: Uint8Array) {
    this.#chunks = new Chunks(dataKey, headBytes(head), head.prefix, associated)
    this.#gathering = new Gathering(head.chunkSizeBytes + TAG_SIZE_BYTES)
  }

  get chunks(): number {
    return this.#chunks.count
  }

  /** Takes bytes of the stream; gives the plaintext that is authentic and in its place. */
  *push(piece: Buffer): Generator<Buffer> {
    for (const full of this.#gathering.take(piece)) yield this.#chunks.open(full, false)
  }

  /** The plaintext of the last chunk: with it the whole is authentic. */
  end(): Buffer {
    const { rest } = this.#gathering
    const isWhole =
      rest.length > TAG_SIZE_BYTES || (rest.length === TAG_SIZE_BYTES && this.chunks === 0)
    if (!isWhole) throw new StreamFault('the stream was cut off')
    return this.#chunks.open(rest, true)
  }

  /** Forgets the key, and what was not opened. */
  wipe(): void {
    this.#chunks.wipe()
    this.#gathering.wipe()
  }
}
