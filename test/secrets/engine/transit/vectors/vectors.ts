/**
 * What another server of the same interface made: its keys, and what it did with them.
 *
 * Owns the shape of the JSON files beside it. `make.ts` writes them.
 */

/** One key with all that was made by it. Bytes are base64 unless the name says otherwise. */
export interface KeyVector {
  readonly name: string
  readonly type: string
  readonly derived: boolean
  readonly convergent: boolean
  /** What an export gave: by kind of key (`encryption-key`), then by version. */
  readonly exported: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly ciphertexts: readonly {
    readonly version: number
    readonly context?: string
    readonly associated_data?: string
    readonly plaintext: string
    readonly ciphertext: string
  }[]
  readonly signatures: readonly SignatureVector[]
  readonly hmacs: readonly {
    readonly version: number
    readonly algorithm: string
    readonly input: string
    readonly hmac: string
  }[]
  readonly backup: string
}

export interface SignatureVector {
  readonly version: number
  readonly input: string
  /** What else the request said: the body of `sign` and of `verify`. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly signature: string
  /** Of a derived key. */
  readonly publicKey?: string
}

/** A key that was wrapped for an RSA key: ephemeral AES key in OAEP, then AES-KWP. */
export interface ByokVector {
  readonly type: string
  /** Of OAEP. */
  readonly hash: string
  /** Of whom it was wrapped for; empty: that of the first. */
  readonly privateKeyPem: string
  readonly wrapped: string
  /** The same key as an export gave it. */
  readonly key: string
}

/** A key that came of a key agreement. */
export interface AgreementVector {
  /** Name of the key in `keys.json`. */
  readonly baseKey: string
  readonly baseVersion: number
  readonly peerPublicKey: string
  readonly derivedType: string
  readonly key: string
  readonly plaintext: string
  readonly ciphertext: string
}
