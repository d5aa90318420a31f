/**
 * The cluster key: what the keys of roots and of join tokens are sealed with.
 *
 * Owns the form of what is sealed. The key lies in a file on each server, never in the store:
 * whoever reads the rows, or an archive, has nothing. Must never give out a key, log or quote what
 * it opens.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'

export const CLUSTER_KEY_SIZE_BYTES = 32

const NONCE_SIZE_BYTES = 12
const TAG_SIZE_BYTES = 16

export class ClusterKey {
  readonly #bytes: Buffer
  readonly #sealing: Buffer

  /** `bytes` is CLUSTER_KEY_SIZE_BYTES of randomness. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#sealing = derive(bytes, 'gatehouse cluster sealing')
  }

  /** The key itself, for its file and for a server that joins. */
  bytes(): Buffer {
    return this.#bytes
  }

  /**
   * Seals bytes for a place by AES-256-GCM, in base64. The place is authenticated, so that rows
   * cannot be swapped. `nonce` is 12 bytes of randomness.
   */
  seal(bytes: Buffer, place: string, nonce: Buffer): string {
    const cipher = createCipheriv('aes-256-gcm', this.#sealing, nonce)
    cipher.setAAD(Buffer.from(place))
    const body = Buffer.concat([cipher.update(bytes), cipher.final()])
    return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64')
  }

  /** What was sealed for the same place; undefined where it was not, or not by this key. */
  open(sealed: string, place: string): Buffer | undefined {
    const bytes = Buffer.from(sealed, 'base64')
    if (bytes.length < NONCE_SIZE_BYTES + TAG_SIZE_BYTES) return undefined
    const nonce = bytes.subarray(0, NONCE_SIZE_BYTES)
    const body = bytes.subarray(NONCE_SIZE_BYTES, -TAG_SIZE_BYTES)
    const decipher = createDecipheriv('aes-256-gcm', this.#sealing, nonce, {
      authTagLength: TAG_SIZE_BYTES,
    })
    decipher.setAAD(Buffer.from(place))
    decipher.setAuthTag(bytes.subarray(-TAG_SIZE_BYTES))
    try {
      return Buffer.concat([decipher.update(body), decipher.final()])
    } catch {
      // Another key, another place, or not what was sealed: they cannot be told apart.
      return undefined
    }
  }
}

/** How many bytes of randomness a seal takes. */
export const SEAL_NONCE_SIZE_BYTES = NONCE_SIZE_BYTES

const derive = (key: Buffer, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), purpose, CLUSTER_KEY_SIZE_BYTES))
