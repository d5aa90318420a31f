/**
 * Keys ready to work with: what a version is made of, opened once as long as its key's row stands.
 *
 * Owns the way from rows to node:crypto's keys, and that nothing is parsed twice. Decides nothing
 * about who may use which version.
 */
import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { Storage } from '../../../storage.ts'
import { type KeyRow, type VersionRow, versionAt } from '../rows.ts'
import { typeOf } from './type.ts'

/** A version of a key. Its parts are made when they are first asked for. */
export class Material {
  readonly version: number
  readonly #key: KeyRow
  readonly #row: VersionRow
  #raw: Buffer | undefined
  #secret: KeyObject | undefined
  #hmac: KeyObject | undefined
  #privateKey: KeyObject | undefined
  #publicKey: KeyObject | undefined
  #root: KeyObject | undefined

  constructor(key: KeyRow, version: number, row: VersionRow) {
    this.version = version
    this.#key = key
    this.#row = row
  }

  get createdAtMs(): number {
    return this.#row.createdAtMs
  }

  /** What the version itself says of the scheme of its nonces; 0 for nothing. */
  get ownConvergentVersion(): number {
    return this.#row.convergentVersion
  }

  /** 0 for none, else of the scheme that its nonces come by. */
  get convergentVersion(): number {
    const { convergent, convergentVersion } = this.#key
    if (!convergent) return 0
    return this.#row.convergentVersion || convergentVersion || 1
  }

  /**
   * The bytes of a symmetric key, or those that keys are derived from: for Ed25519, the seed and
   * the public key. Undefined for all other keys, and where the private part is not there.
   */
  get raw(): Buffer | undefined {
    if (this.#raw !== undefined) return this.#raw
    const { bytes } = this.#row
    if (bytes !== undefined) this.#raw = Buffer.from(bytes, 'base64')
    else if (typeOf(this.#key).kind === 'ed25519') this.#raw = pairBytes(this.privateKey)
    return this.#raw
  }

  get secret(): KeyObject | undefined {
    const { raw } = this
    if (raw !== undefined) this.#secret ??= createSecretKey(raw)
    return this.#secret
  }

  /** For HMACs; undefined for keys that make CMACs. */
  get hmac(): KeyObject | undefined {
    const { hmacKey } = this.#row
    if (hmacKey === undefined) return typeOf(this.#key).kind === 'hmac' ? this.secret : undefined
    this.#hmac ??= createSecretKey(Buffer.from(hmacKey, 'base64'))
    return this.#hmac
  }

  /** Undefined for symmetric keys, and where only the public part is there. */
  get privateKey(): KeyObject | undefined {
    const { privateKey } = this.#row
    if (privateKey === undefined) return undefined
    this.#privateKey ??= createPrivateKey({
      ...{ key: Buffer.from(privateKey, 'base64'), format: 'der', type: 'pkcs8' },
    })
    return this.#privateKey
  }

  /** Undefined for symmetric keys. */
  get publicKey(): KeyObject | undefined {
    const { publicKey } = this.#row
    if (publicKey === undefined) return undefined
    this.#publicKey ??= createPublicKey({
      ...{ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' },
    })
    return this.#publicKey
  }

  /** SubjectPublicKeyInfo in DER, as base64; undefined for symmetric keys. */
  get publicText(): string | undefined {
    return this.#row.publicKey
  }

  /** Certificates in DER, as base64, the leaf first; none for most keys. */
  get certificates(): readonly string[] {
    return this.#row.certificates ?? []
  }

  /** What is drawn from `raw` once, for all keys that are derived of it. */
  root(draw: (raw: KeyObject) => KeyObject): KeyObject | undefined {
    const { secret } = this
    if (secret !== undefined) this.#root ??= draw(secret)
    return this.#root
  }
}

/** Seed and public key, as other implementations keep a pair. */
function pairBytes(pair: KeyObject | undefined): Buffer | undefined {
  if (pair === undefined) return undefined
  const { d, x } = pair.export({ format: 'jwk' })
  return Buffer.concat([Buffer.from(d!, 'base64url'), Buffer.from(x!, 'base64url')])
}

/** By the row of the key: the quick way, as long as nothing of it changes. */
const known = new WeakMap<KeyRow, Map<number, Material>>()
/** By the version's own row, which outlives changes of its key: its type and its ways do not. */
const opened = new WeakMap<VersionRow, Material>()

/** A version of a key that is kept; undefined where it is not there. */
export function materialOf(storage: Storage, key: KeyRow, version: number): Material | undefined {
  const ready = known.get(key)
  const found = ready?.get(version)
  if (found !== undefined) return found
  if (version > key.latest) return undefined
  const row = versionAt(storage, key, version)
  if (row === undefined) return undefined
  const material = opened.get(row) ?? new Material(key, version, row)
  opened.set(row, material)
  if (ready === undefined) known.set(key, new Map([[version, material]]))
  else ready.set(version, material)
  return material
}
