/**
 * What identity tokens ask of the server that they are issued by.
 *
 * Owns the type alone.
 */
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'

export interface OidcPorts {
  /** What works with private keys. */
  readonly arithmetic: Arithmetic
  /** Where clients reach this server, as a URL. */
  readonly address: () => string
  /** The same of all servers, as far as they are known. */
  readonly addresses: () => readonly string[]
}
