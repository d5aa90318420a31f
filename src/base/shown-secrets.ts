/**
 * Secrets that are shown again: whoever asks a hundred times on a connection is hashed once.
 *
 * Owns the last secret of each connection with its keyed hash. Both go with the connection, and no
 * other one is compared with them. Must never give out a secret, or keep one that came without a
 * connection.
 */
import { limits } from './limits.ts'
import { isSameText } from './same-secret.ts'

interface Shown {
  readonly secret: string
  readonly key: string
}

export class ShownSecrets {
  readonly #hashOf: (secret: string) => string
  readonly #last = new WeakMap<object, Shown>()

  /** `hashOf` gives the keyed hash by which rows are found. */
  constructor(hashOf: (secret: string) => string) {
    this.#hashOf = hashOf
  }

  /** The keyed hash of a secret that came on a connection, or without one. */
  keyOf(secret: string, connection: object | undefined): string {
    if (connection === undefined || secret.length > limits.shownSecretChars)
      return this.#hashOf(secret)
    const last = this.#last.get(connection)
    if (last !== undefined && isSameText(last.secret, secret)) return last.key
    const key = this.#hashOf(secret)
    this.#last.set(connection, { secret, key })
    return key
  }
}
