/**
 * Large batches: encrypted or decrypted in one piece of memory, in a thread where that is quicker.
 *
 * Owns which batches those are: all of their items are alike, and nothing is wrong with any. All
 * others, and those that a lost thread had, are for the usual way, which tells what is wrong.
 * Nonces come of the system's entropy, one for each text.
 */
import type { Random } from '../../../../base/clock.ts'
import { after, type Eventually } from '../../../../base/eventually.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import { type CipherRun, NONCE_SIZE_BYTES, TAG_SIZE_BYTES } from '../../../../base/io/cipher-run.ts'
import { limits } from '../../../../base/limits.ts'
import type { JsonObject } from '../../../field.ts'
import type { Storage } from '../../../storage.ts'
import { decodedSizeMax, decodeInto } from '../key/base64.ts'
import { Fault } from '../key/fault.ts'
import { ciphertextWords, prefixOf, splitVersioned } from '../key/format.ts'
import { typeOf } from '../key/type.ts'
import type { KeyRow } from '../rows.ts'
import { textOf, versionIn } from './batch.ts'
import { readyVersion, versionFor } from './keys.ts'
import { plainScratch, type Scratch, scratchOf, sealedScratch } from './scratch.ts'

/** Texts of one request, and what they are encrypted or decrypted with. */
export interface Many {
  readonly items: readonly JsonObject[]
  readonly key: KeyRow
  readonly storage: Storage
  readonly arithmetic: Pick<Arithmetic, 'ciphers'>
}

/** What came of all items, as `batchAnswer` takes it; undefined where the usual way is to do it. */
export type ManyResults = Eventually<readonly string[] | undefined>

/** Encrypts the plaintexts of a batch. */
export function sealMany(many: Many, random: Random): ManyResults {
  const { items, key } = many
  if (!isLarge(many)) return undefined
  const asked = versionIn(items[0]!)
  const version = versionFor(key, asked, 'encryption')
  if (typeof version !== 'number') return undefined
  const texts: string[] = []
  for (const item of items) {
    if (!isBare(item) || versionIn(item) !== asked) return undefined
    texts.push(textOf(item.plaintext))
  }
  const filled = Filled.of(many, version, texts, 'seal')
  if (filled === undefined) return undefined
  filled.putNonces(random.bytes(items.length * NONCE_SIZE_BYTES))
  const head = `"ciphertext":"${prefixOf(version)}`
  const tail = `","key_version":${version},`
  return filled.run(many, (memory, at, sizeBytes) => {
    const end = at + NONCE_SIZE_BYTES + sizeBytes + TAG_SIZE_BYTES
    return head + memory.toString('base64', at, end) + tail
  })
}

/** Decrypts the ciphertexts of a batch. */
export function openMany(many: Many): ManyResults {
  const { items, key } = many
  if (!isLarge(many)) return undefined
  let version = 0
  const texts: string[] = []
  for (const item of items) {
    const split = splitVersioned(textOf(item.ciphertext), ciphertextWords)
    if (split instanceof Fault || !isBare(item)) return undefined
    if (version !== 0 && split.version !== version) return undefined
    version = split.version
    texts.push(split.payload)
  }
  if (version < Math.max(1, key.minDecryption) || version > key.latest) return undefined
  return Filled.of(many, version, texts, 'open')?.run(many, (memory, at, sizeBytes) => {
    const from = at + NONCE_SIZE_BYTES
    return `"plaintext":"${memory.toString('base64', from, from + sizeBytes)}",`
  })
}

/** Whether a batch is worth it, and holds nobody up; with keys of which one serves all texts. */
function isLarge({ items, key }: Many): boolean {
  const { length } = items
  if (length < limits.cipherLaneItems || length > limits.cipherLaneItemsMax) return false
  const { kind, cipher } = typeOf(key)
  return kind === 'aead' && cipher !== '' && !key.derived
}

/** Whether an item says nothing that is not the same for all. */
const isBare = ({ context, associated_data: associated, nonce }: JsonObject): boolean =>
  textOf(context) === '' && textOf(associated) === '' && textOf(nonce) === ''

type Way = 'seal' | 'open'
/** What stands around a body. */
const AROUND_SIZE_BYTES = NONCE_SIZE_BYTES + TAG_SIZE_BYTES

/** The memory of a batch, filled. */
class Filled {
  readonly #run: CipherRun
  readonly #memory: Buffer<ArrayBuffer>

  private constructor(run: CipherRun, memory: Buffer<ArrayBuffer>) {
    this.#run = run
    this.#memory = memory
  }

  /** Decodes base64; undefined where it is too much, or not all of it is what it should be. */
  static of(
    { key, storage }: Many,
    version: number,
    texts: readonly string[],
    way: Way,
  ): Filled | undefined {
    const secret = readyVersion(storage, key, version)
    if (secret instanceof Fault || secret.raw === undefined) return undefined
    const { raw } = secret
    let [chars, sizeBytes] = [0, raw.length]
    for (const { length } of texts) {
      chars += length
      sizeBytes += decodedSizeMax(length) + AROUND_SIZE_BYTES
    }
    if (chars > limits.cipherLaneChars) return undefined
    const memory = Buffer.from(new ArrayBuffer(sizeBytes))
    const sizesBytes = new Uint32Array(texts.length)
    const shared = way === 'seal' ? plainScratch : sealedScratch
    if (!fill(memory, sizesBytes, { texts, from: raw.length, way, shared })) {
      memory.fill(0)
      return undefined
    }
    memory.set(raw)
    const facts = { cipher: typeOf(key).cipher, keySizeBytes: raw.length, isWhole: true }
    return new Filled({ ...facts, isSealing: way === 'seal', memory, sizesBytes }, memory)
  }

  putNonces(nonces: Buffer): void {
    let at = this.#run.keySizeBytes
    let next = 0
    for (const sizeBytes of this.#run.sizesBytes) {
      nonces.copy(this.#memory, at, next, next + NONCE_SIZE_BYTES)
      next += NONCE_SIZE_BYTES
      at += sizeBytes + AROUND_SIZE_BYTES
    }
  }

  /** Hands it over, and tells what came of each text. Nothing is left in the memory. */
  run({ arithmetic }: Many, tell: Tell): ManyResults {
    return after(arithmetic.ciphers(this.#run), done =>
      done?.isWhole === true ? told(done, tell) : undefined,
    )
  }
}

/** The text of a result, by where it lies. */
type Tell = (memory: Buffer, at: number, sizeBytes: number) => string

function told(
  { memory: bytes, keySizeBytes, sizesBytes }: CipherRun,
  tell: Tell,
): readonly string[] {
  const memory = Buffer.from(bytes.buffer)
  const results: string[] = []
  let at = keySizeBytes
  for (const sizeBytes of sizesBytes) {
    results.push(tell(memory, at, sizeBytes))
    at += sizeBytes + AROUND_SIZE_BYTES
  }
  memory.fill(0)
  return results
}

interface Filling {
  readonly texts: readonly string[]
  readonly from: number
  readonly way: Way
  readonly shared: Scratch
}

/** Puts texts one behind the other, plain ones with room around. False where one is none. */
function fill(memory: Buffer, sizesBytes: Uint32Array, filling: Filling): boolean {
  const { texts, from, way, shared } = filling
  let at = from
  for (let i = 0; i < texts.length; i++) {
    const text = texts[i]!
    const scratch = scratchOf(shared, decodedSizeMax(text.length))
    const sizeBytes = decodeInto(text, scratch.bytes)
    const bodySizeBytes = way === 'seal' ? sizeBytes : sizeBytes - AROUND_SIZE_BYTES
    if (bodySizeBytes < 0) return false
    const decoded = scratch.first(sizeBytes)
    memory.set(decoded, way === 'seal' ? at + NONCE_SIZE_BYTES : at)
    if (way === 'seal') decoded.fill(0)
    sizesBytes[i] = bodySizeBytes
    at += bodySizeBytes + AROUND_SIZE_BYTES
  }
  return true
}
