/**
 * The PKI engine: an authority that gives certificates, and takes them back.
 *
 * Owns the list of its paths alone.
 */
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import type { Engine, PathSpec } from '../../declare.ts'

/** What the engine asks of the server. */
export interface PkiPorts {
  readonly arithmetic: Arithmetic
}

/** The engine on a server with these ports. */
export function pkiEngine(_ports: PkiPorts): Engine {
  const paths: readonly PathSpec[] = []
  return {
    type: 'pki',
    kind: 'secret',
    help: 'Gives certificates, and takes them back.',
    isMountable: true,
    paths: () => paths,
    ends: [],
  }
}
