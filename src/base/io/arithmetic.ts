/**
 * Arithmetic with keys that must not hold the loop: RSA and SLH-DSA go to threads of our own.
 *
 * Owns which keys are cheap enough to be used at once. Keeps no key.
 */
import { createSign, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { drawNamed } from '../draw-key.ts'
import type { Eventually } from '../eventually.ts'
import { limits } from '../limits.ts'
import { inSlices } from '../slices.ts'
import { CipherLane } from './cipher-lane.ts'
import type { CipherRun } from './cipher-run.ts'
import { type DecryptInput, type SignInput, Threads } from './threads.ts'

/** Kinds of keys that can be drawn. */
export type KeyKind =
  | { readonly type: 'rsa'; readonly bits: number }
  /** By the name that OpenSSL has for the curve, such as `prime256v1`. */
  | { readonly type: 'ec'; readonly curve: string }
  | { readonly type: 'ed25519' }
  /** By the name that node:crypto has for it, such as `ml-dsa-65` or `slh-dsa-sha2-128s`. */
  | { readonly type: 'named'; readonly name: string }

/** What works with private keys. All reject as node:crypto throws, and `busy`, `closed`. */
export interface Arithmetic {
  /** Draws a key; it is a private one. */
  generateKey(kind: KeyKind): Promise<KeyObject>
  /** A signature, as node:crypto's `sign` makes it. */
  sign(input: SignInput): Promise<Buffer>
  /** What was encrypted to an RSA key, as node:crypto's `privateDecrypt` gives it. */
  decrypt(input: DecryptInput): Promise<Buffer>
  /**
   * Encrypts or decrypts many short texts under one symmetric key, whose memory is handed over and
   * back: at once, or in a thread. Undefined where that was lost.
   */
  ciphers(run: CipherRun): Eventually<CipherRun | undefined>
}

/** Whether working with a key takes so long that threads do it. */
export const isSlow = (key: KeyObject): boolean => SLOW.test(key.asymmetricKeyType ?? '')

const SLOW = /^(rsa|rsa-pss|slh-dsa-.*)$/

/**
 * Signs what is long by a key that hashes it first. To start a thread and to copy it there would
 * hold the loop for longer than any of the pieces.
 */
async function inPieces(
  hash: string,
  data: Uint8Array,
  how: Omit<SignInput, 'hash' | 'data'>,
): Promise<Buffer> {
  const signing = createSign(hash)
  const pieces = Array.from({ length: Math.ceil(data.length / PIECE_SIZE_BYTES) }, (_, at) => at)
  const add = (at: number): void => {
    signing.update(data.subarray(at * PIECE_SIZE_BYTES, (at + 1) * PIECE_SIZE_BYTES))
  }
  await inSlices(pieces, add, 1)
  return signing.sign(how)
}

const PIECE_SIZE_BYTES = 65_536

/** Draws a key at once. */
function drawNow(kind: Exclude<KeyKind, { type: 'rsa' }>): KeyObject {
  if (kind.type === 'ec') return generateKeyPairSync('ec', { namedCurve: kind.curve }).privateKey
  return drawNamed(kind.type === 'named' ? kind.name : kind.type)
}

export class KeyThreads implements Arithmetic {
  readonly #threads = new Threads({
    threads: limits.keyThreads,
    waiting: limits.keyJobsWaiting,
    busy: 'too many keys are worked with: try again',
  })
  readonly #lane = new CipherLane()

  async generateKey(kind: KeyKind): Promise<KeyObject> {
    if (kind.type === 'rsa') return this.#threads.do('generateRsa', { bits: kind.bits })
    if (kind.type !== 'named' || !SLOW.test(kind.name)) return drawNow(kind)
    return this.#threads.do('generateNamed', { name: kind.name })
  }

  async sign(input: SignInput): Promise<Buffer> {
    const { hash, data, ...how } = input
    const isLong = data.length > limits.signedHereSizeBytes
    if (!isSlow(input.key)) {
      if (!isLong) return sign(hash, data, how)
      if (hash !== null && input.key.asymmetricKeyType === 'ec') return inPieces(hash, data, how)
    }
    // Hashing much takes as long as what is slow, where it cannot be done piece by piece.
    return Buffer.from(await this.#threads.do('sign', input))
  }

  async decrypt(input: DecryptInput): Promise<Buffer> {
    return Buffer.from(await this.#threads.do('decrypt', input))
  }

  ciphers(run: CipherRun): Eventually<CipherRun | undefined> {
    return this.#lane.run(run)
  }

  async close(): Promise<void> {
    await Promise.all([this.#threads.close(), this.#lane.close()])
  }
}
