/**
 * The transit engine: bytes are encrypted, signed and hashed for who never sees a key.
 *
 * Owns the list of its paths alone.
 */
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import type { Engine, PathSpec } from '../../declare.ts'

/** What the engine asks of the server. */
export interface TransitPorts {
  readonly arithmetic: Arithmetic
}

/** The engine on a server with these ports. */
export function transitEngine(_ports: TransitPorts): Engine {
  const paths: readonly PathSpec[] = []
  return {
    type: 'transit',
    kind: 'secret',
    help: 'Encrypts, signs and hashes with keys that never leave.',
    isMountable: true,
    paths: () => paths,
    ends: [],
  }
}
