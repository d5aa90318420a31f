/**
 * What ACME asks of the server that it runs on.
 *
 * Owns the types. Sockets and settings stay outside of the room.
 */
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import type { TextResolver } from '../../../../base/io/dns2.ts'

export interface AcmePorts {
  readonly arithmetic: Arithmetic
  /**
   * Whether the environment of this server says that nobody without an external account is
   * served.
   */
  readonly needsExternalAccount: boolean
  /**
   * Where this server is reached, such as `http://127.0.0.1:8200`, for mounts that say nothing of
   * it; '' where a mount alone may say that.
   */
  baseUrl(): string
  /** Whether challenges may be looked for on this machine. */
  readonly mayReachItself: boolean
  /** The addresses of names, where a mount names no server of its own. */
  readonly resolver: TextResolver
  /** The outbound guard, by ranges that are allowed. */
  readonly guard: (allow: readonly string[]) => (address: string) => boolean
  /** Where challenges are looked for: 80 and 443 but in tests. */
  readonly httpPort: number
  readonly tlsPort: number
}
