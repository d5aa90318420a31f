/**
 * The cluster key: what the keys of roots and of join tokens are sealed with.
 *
 * Owns the form of what is sealed. The key lies in a file on each server, never in the store:
 * whoever reads the rows, or an archive, has nothing. Must never give out a key, log or quote what
 * it opens.
 */
import { deriveKey, openFor, sealFor } from '../base/aead.ts'

export const CLUSTER_KEY_SIZE_BYTES = 32

export class ClusterKey {
  readonly #bytes: Buffer
  readonly #sealing: Buffer

  /** `bytes` is CLUSTER_KEY_SIZE_BYTES of randomness. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#sealing = deriveKey(bytes, 'gatehouse cluster sealing')
  }

  /** The key itself, for its file and for a server that joins. */
  bytes(): Buffer {
    return this.#bytes
  }

  /** Seals bytes for a place, in base64. `nonce` is 12 bytes of randomness. */
  seal(bytes: Buffer, place: string, nonce: Buffer): string {
    return sealFor(place, bytes, this.#sealing, nonce)
  }

  /** What was sealed for the same place; undefined where it was not, or not by this key. */
  open(sealed: string, place: string): Buffer | undefined {
    return openFor(place, sealed, this.#sealing)
  }
}
