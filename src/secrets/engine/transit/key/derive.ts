/**
 * Keys that are derived from a context, and keys that two parties agree on.
 *
 * Owns the two ways that keys are derived: HKDF (RFC 5869), with the version's key as input, the
 * context as info and no salt; and counter mode (NIST SP 800-108) of keys that were made long ago.
 * Node's own HKDF takes no context of more than 1,024 bytes. Nothing derived is kept. Pure.
 */
import {
  createHmac,
  createPrivateKey,
  createSecretKey,
  diffieHellman,
  type KeyObject,
} from 'node:crypto'
import type { KeyRow } from '../rows.ts'
import type { Material } from './material.ts'

const HASH = 'sha256'
const HASH_SIZE_BYTES = 32
const NO_SALT = Buffer.alloc(HASH_SIZE_BYTES)
const NO_INFO = Buffer.alloc(0)

/** HKDF's first step: a key of even randomness. */
const extract = (input: KeyObject | Buffer): KeyObject =>
  createSecretKey(
    createHmac(HASH, NO_SALT)
      .update(Buffer.isBuffer(input) ? input : input.export())
      .digest(),
  )

/** Its second: bytes for one context, at most 255 blocks. */
function expand(root: KeyObject, info: Uint8Array, sizeBytes: number): Buffer {
  const blocks: Buffer[] = []
  let block = NO_INFO
  for (let count = 1; (count - 1) * HASH_SIZE_BYTES < sizeBytes; count++) {
    block = createHmac(HASH, root)
      .update(block)
      .update(info)
      .update(Buffer.from([count]))
      .digest()
    blocks.push(block)
  }
  const bytes = blocks.length === 1 ? block : Buffer.concat(blocks)
  return bytes.length === sizeBytes ? bytes : bytes.subarray(0, sizeBytes)
}

/** What is derived from a version for a context; the version must have its own bytes. */
export function deriveBytes(
  { kdf }: Pick<KeyRow, 'kdf'>,
  material: Pick<Material, 'root' | 'secret'>,
  context: Uint8Array,
  sizeBytes: number,
): Buffer {
  return kdf === 'hkdf_sha256'
    ? expand(material.root(extract)!, context, sizeBytes)
    : counted(material.secret!, context).subarray(0, sizeBytes)
}

/** Counter mode, which is used for 256 bits alone: one block. */
function counted(key: KeyObject, context: Uint8Array): Buffer {
  const counter = Buffer.alloc(4)
  const bits = Buffer.from([0, 0, 1, 0])
  return createHmac(HASH, key).update(counter).update(context).update(bits).digest()
}

/** What stands before the seed of an Ed25519 key in PKCS #8 (RFC 8410). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SEED_SIZE_BYTES = 32

/** The Ed25519 key of one context: the derived bytes are its seed. */
export function deriveEd25519(
  key: Pick<KeyRow, 'kdf'>,
  material: Pick<Material, 'root' | 'secret'>,
  context: Uint8Array,
): KeyObject {
  const seed = deriveBytes(key, material, context, SEED_SIZE_BYTES)
  return createPrivateKey({
    ...{ key: Buffer.concat([ED25519_PKCS8, seed]), format: 'der', type: 'pkcs8' },
  })
}

/** What two parties agree on (ECDH), as a key of so many bytes. */
export const agreedBytes = (own: KeyObject, peer: KeyObject, sizeBytes: number): Buffer =>
  expand(extract(diffieHellman({ privateKey: own, publicKey: peer })), NO_INFO, sizeBytes)
