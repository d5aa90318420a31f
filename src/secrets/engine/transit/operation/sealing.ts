/**
 * Encrypting and decrypting for one request: texts in, texts out.
 *
 * Owns which bytes of a key are used for a context, and nonces: they come of the system's entropy,
 * as many at once as a request needs, each is used once, and none is kept when the request is over.
 * Texts that are the same get the same nonce where a key is convergent, and there alone.
 */
import { constants, type KeyObject, publicEncrypt } from 'node:crypto'
import type { Random } from '../../../../base/clock.ts'
import type { Eventually } from '../../../../base/eventually.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import type { Storage } from '../../../storage.ts'
import { decode, decodedSizeMax, decodeInto, illegalBase64 } from '../key/base64.ts'
import {
  convergentNonce,
  open,
  partsOf,
  type SealedParts,
  sealedSizeMax,
  sealInto,
} from '../key/cipher.ts'
import { deriveBytes } from '../key/derive.ts'
import { Fault } from '../key/fault.ts'
import { ciphertextWords, prefixOf, splitVersioned } from '../key/format.ts'
import type { Material } from '../key/material.ts'
import { type KeyType, typeOf } from '../key/type.ts'
import type { KeyRow } from '../rows.ts'
import { readyVersion, TOO_OLD, versionFor } from './keys.ts'
import { plainScratch, type Scratch, scratchOf, sealedScratch } from './scratch.ts'

/** What a piece of work says beside its text. Texts are base64, '' for none. */
export interface Said {
  readonly context: string
  readonly associated: string
  /** Asked for by the first scheme of convergent encryption, and refused everywhere else. */
  readonly nonce: string
  /** 0 for the latest. */
  readonly version: number
  /** Of RSA: `oaep`, `pkcs1v15`, or '' for the usual one. */
  readonly padding: string
}

/** A version as it is used for one context. */
interface Ready {
  readonly material: Material
  readonly context: string
  readonly key: Buffer
  /** What convergent nonces come of; undefined for others. */
  readonly nonceKey: KeyObject | Buffer | undefined
}

const NONCE_KEY_SIZE_BYTES = 32
/** The scheme of convergent encryption whose nonces are the client's, and not in the ciphertext. */
const CLIENTS_NONCES = 1
const LATEST_SCHEME = 3

const NO_CONTEXT = new Fault(
  "missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key",
)
const NONCE_GIVEN = new Fault('nonce provided when not allowed')
const NO_PRIVATE_KEY = new Fault(
  'cannot decrypt ciphertext, key version does not have a private counterpart',
)
const NOT_RSA_DECRYPTED = new Fault('failed to RSA decrypt the ciphertext')
const RSA_TOO_LONG = new Fault(
  'failed to RSA encrypt the plaintext: message too long for RSA key size',
)
const NO_CIPHERTEXT_BASE64 = new Fault('invalid ciphertext: could not decode base64')
const TOO_NEW = new Fault('invalid ciphertext: version is too new')

/** A key in use by one request. */
export class Sealing {
  readonly #storage: Storage
  readonly #random: Random
  readonly #key: KeyRow
  readonly #type: KeyType
  #ready: Ready | undefined
  #nonces: Buffer = NOTHING
  #noncesUsedBytes = 0
  #noncesAhead: number
  /** What stands around a ciphertext of the version that was used last. */
  #toldVersion = 0
  #head = ''
  #tail = ''

  /** `items` is how many texts there are, about: nonces are drawn for so many. */
  constructor(call: { storage: Storage; random: Random }, key: KeyRow, items: number) {
    this.#storage = call.storage
    this.#random = call.random
    this.#key = key
    this.#type = typeOf(key)
    this.#noncesAhead = items
  }

  /** Encrypts bytes in base64. Gives the parts of a result. */
  sealText(plaintext: string, said: Said): string | Fault {
    const scratch = scratchOf(plainScratch, decodedSizeMax(plaintext.length))
    const sizeBytes = decodeInto(plaintext, scratch.bytes)
    if (sizeBytes === -1) return new Fault(illegalBase64(plaintext))
    const bytes = scratch.first(sizeBytes)
    const sealed = this.seal(bytes, said)
    // What was encrypted is not left lying where the next text may be shorter.
    bytes.fill(0)
    return sealed
  }

  /** Encrypts bytes. Gives the parts of a result. */
  seal(plaintext: Uint8Array, said: Said): string | Fault {
    const type = this.#type
    if (!type.encrypts) {
      return new Fault(`message encryption not supported for key type ${type.name}`)
    }
    const version = versionFor(this.#key, said.version, 'encryption')
    if (typeof version !== 'number') return version
    const sealed =
      type.kind === 'rsa'
        ? this.#sealRsa(plaintext, version, said)
        : this.#sealSymmetric(plaintext, version, said)
    if (typeof sealed !== 'string') return sealed
    if (this.#toldVersion !== version) {
      this.#toldVersion = version
      this.#head = `"ciphertext":"${prefixOf(version)}`
      this.#tail = `","key_version":${version},`
    }
    return this.#head + sealed + this.#tail
  }

  #sealSymmetric(plaintext: Uint8Array, version: number, said: Said): string | Fault {
    const type = this.#type
    const ready = this.#readyFor(version, said.context)
    if (ready instanceof Fault) return ready
    const associated = this.#associated(said)
    if (associated instanceof Fault) return associated
    const nonce = this.#nonceFor(ready, plaintext, said)
    if (nonce instanceof Fault) return nonce
    const { bytes } = scratchOf(sealedScratch, sealedSizeMax(type, plaintext.length))
    const sizeBytes = sealInto(bytes, type, ready.key, nonce, plaintext, associated)
    const from = ready.material.convergentVersion === CLIENTS_NONCES ? nonce.length : 0
    return bytes.toString('base64', from, sizeBytes)
  }

  /** A nonce that no other text under this key has, or the same for the same text. */
  #nonceFor(ready: Ready, plaintext: Uint8Array, { nonce: given }: Said): Buffer | Fault {
    const { nonceSizeBytes } = this.#type
    if (ready.material.convergentVersion === CLIENTS_NONCES) {
      return clientsNonce(given, nonceSizeBytes)
    }
    if (given !== '') return NONCE_GIVEN
    if (ready.nonceKey !== undefined) {
      return convergentNonce(ready.nonceKey, plaintext, this.#type)
    }
    if (this.#noncesUsedBytes === this.#nonces.length) {
      this.#nonces = this.#random.bytes(Math.max(1, this.#noncesAhead) * nonceSizeBytes)
      this.#noncesUsedBytes = 0
      this.#noncesAhead = 0
    }
    const from = this.#noncesUsedBytes
    this.#noncesUsedBytes += nonceSizeBytes
    return this.#nonces.subarray(from, this.#noncesUsedBytes)
  }

  /** The bytes to use of a version for a context; those of the last item are at hand. */
  #readyFor(version: number, context: string): Ready | Fault {
    const known = this.#ready
    if (known !== undefined && known.material.version === version && known.context === context) {
      return known
    }
    const material = readyVersion(this.#storage, this.#key, version)
    if (material instanceof Fault) return material
    // What is no context is refused, whether or not the key needs one.
    const bytes = contextBytes(context)
    if (bytes instanceof Fault) return bytes
    const ready = this.#key.derived
      ? this.#derived(material, context, bytes)
      : // Ciphers take plain bytes for a tenth less than a key object.
        { material, context, key: material.raw!, nonceKey: undefined }
    if (!(ready instanceof Fault)) this.#ready = ready
    return ready
  }

  #derived(material: Material, context: string, bytes: Buffer): Ready | Fault {
    if (bytes.length === 0) return NO_CONTEXT
    const { sizeBytes } = this.#type
    const scheme = material.convergentVersion
    const more = scheme >= LATEST_SCHEME ? NONCE_KEY_SIZE_BYTES : 0
    const all = deriveBytes(this.#key, material, bytes, sizeBytes + more)
    const nonceKey =
      scheme >= LATEST_SCHEME
        ? all.subarray(sizeBytes)
        : scheme > CLIENTS_NONCES
          ? bytes
          : undefined
    return { ...{ material, context, nonceKey }, key: all.subarray(0, sizeBytes) }
  }

  #associated({ associated }: Said): Buffer | undefined | Fault {
    if (associated === '') return undefined
    if (!this.#type.takesAssociatedData) return this.#noAssociated()
    return (
      decode(associated) ??
      new Fault(`failed to base64-decode associated_data: ${illegalBase64(associated)}`)
    )
  }

  #noAssociated = (): Fault =>
    new Fault(`'associated_data' provided for non-AEAD cipher suite ${this.#type.name}`)

  #sealRsa(plaintext: Uint8Array, version: number, said: Said): string | Fault {
    if (said.associated !== '') return this.#noAssociated()
    if (said.nonce !== '') return NONCE_GIVEN
    const context = contextBytes(said.context)
    if (context instanceof Fault) return context
    const material = readyVersion(this.#storage, this.#key, version)
    if (material instanceof Fault) return material
    const padding = rsaPadding(said.padding)
    if (padding instanceof Fault) return padding
    try {
      return publicEncrypt({ key: material.publicKey!, ...padding }, plaintext).toString('base64')
    } catch {
      return RSA_TOO_LONG
    }
  }

  /** Decrypts a ciphertext; later where that takes long. */
  open(ciphertext: string, said: Said, arithmetic: Arithmetic): Eventually<Buffer | Fault> {
    const type = this.#type
    if (!type.encrypts) {
      return new Fault(`message decryption not supported for key type ${type.name}`)
    }
    const split = splitVersioned(ciphertext, ciphertextWords)
    if (split instanceof Fault) return split
    // Keys of the first releases began at 0.
    const version = split.version || 1
    if (version > this.#key.latest) return TOO_NEW
    if (version < this.#key.minDecryption) return TOO_OLD
    const { payload } = split
    const scratch = scratchOf(sealedScratch, decodedSizeMax(payload.length))
    const sizeBytes = decodeInto(payload, scratch.bytes)
    if (sizeBytes === -1) return NO_CIPHERTEXT_BASE64
    return type.kind === 'rsa'
      ? this.#openRsa(scratch.first(sizeBytes), version, said, arithmetic)
      : this.#openSymmetric(scratch, sizeBytes, version, said)
  }

  #openSymmetric(scratch: Scratch, sizeBytes: number, version: number, said: Said): Buffer | Fault {
    const ready = this.#readyFor(version, said.context)
    if (ready instanceof Fault) return ready
    const associated = this.#associated(said)
    if (associated instanceof Fault) return associated
    const parts =
      ready.material.convergentVersion === CLIENTS_NONCES
        ? this.#partsOf(scratch.first(sizeBytes), said)
        : scratch.parts(this.#type, sizeBytes)
    return parts instanceof Fault ? parts : open(this.#type, ready.key, parts, associated)
  }

  /** What came without its nonce. */
  #partsOf(sealed: Buffer, { nonce: given }: Said): SealedParts | Fault {
    const nonce = clientsNonce(given, this.#type.nonceSizeBytes)
    return nonce instanceof Fault ? nonce : partsOf(this.#type, sealed, nonce)
  }

  #openRsa(
    sealed: Buffer,
    version: number,
    said: Said,
    arithmetic: Arithmetic,
  ): Eventually<Buffer | Fault> {
    if (said.associated !== '') return this.#noAssociated()
    const material = readyVersion(this.#storage, this.#key, version)
    if (material instanceof Fault) return material
    const { privateKey: key } = material
    if (key === undefined) return NO_PRIVATE_KEY
    const padding = rsaPadding(said.padding)
    if (padding instanceof Fault) return padding
    const data = Buffer.from(sealed)
    return arithmetic.decrypt({ key, data, ...padding }).catch(notDecrypted)
  }
}

const NOTHING = Buffer.alloc(0)

/** OpenSSL's own errors are the ciphertext's fault; that there are too many jobs is not. */
function notDecrypted(error: unknown): Fault {
  const { code } = error as { code?: string }
  if (code?.startsWith('ERR_OSSL') || code === 'ERR_CRYPTO_OPERATION_FAILED') {
    return NOT_RSA_DECRYPTED
  }
  throw error
}

function rsaPadding(padding: string) {
  if (padding === '' || padding === 'oaep') {
    return { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
  }
  return padding === 'pkcs1v15'
    ? { padding: constants.RSA_PKCS1_PADDING }
    : new Fault(`unsupported padding scheme ${padding}; must be "oaep" or "pkcs1v15"`)
}

/** The bytes of a context; none for ''. */
const contextBytes = (context: string): Buffer | Fault =>
  decode(context) ?? new Fault(illegalBase64(context))

/** The nonce that a client chose, which the first scheme of convergent encryption asks for. */
function clientsNonce(text: string, sizeBytes: number): Buffer | Fault {
  const nonce = decode(text)
  if (nonce === undefined) return new Fault(illegalBase64(text))
  return nonce.length === sizeBytes
    ? nonce
    : new Fault(
        `base64-decoded nonce must be ${sizeBytes} bytes long but given ${nonce.length} bytes`,
      )
}
