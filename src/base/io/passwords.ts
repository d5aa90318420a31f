/**
 * Passwords' hashes, in threads of their own: tens of milliseconds each.
 *
 * Owns how many threads there are for them, and that each hash has a salt of its own.
 */
import type { Random } from '../clock.ts'
import { limits } from '../limits.ts'
import { PASSWORD_SALT_SIZE_BYTES } from '../password-hash.ts'
import { Threads } from './threads.ts'

/** What hashes passwords, and looks whether one is right. */
export interface PasswordHasher {
  /** Rejects with an OperatingError where too many wait. */
  hash(password: string): Promise<string>
  verify(password: string, hash: string): Promise<boolean>
}

export class Passwords implements PasswordHasher {
  readonly #random: Random
  readonly #threads = new Threads({
    threads: limits.passwordThreads,
    waiting: limits.passwordsWaiting,
    busy: 'too many passwords wait to be looked at: try again',
  })

  constructor(random: Random) {
    this.#random = random
  }

  hash(password: string): Promise<string> {
    const salt = this.#random.bytes(PASSWORD_SALT_SIZE_BYTES)
    return this.#threads.do('hashPassword', { password, salt })
  }

  verify(password: string, hash: string): Promise<boolean> {
    return this.#threads.do('isPassword', { password, hash })
  }

  close(): Promise<void> {
    return this.#threads.close()
  }
}
