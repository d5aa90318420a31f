/**
 * The PKI engine: an authority that gives certificates, and takes them back.
 *
 * Owns the list of its paths alone.
 */
import type { Engine, PathSpec } from '../../declare.ts'
import { authorityPaths } from './issuer/paths.ts'
import type { PkiPorts } from './ports.ts'

/** The engine on a server with these ports. */
export function pkiEngine(ports: PkiPorts): Engine {
  const paths: readonly PathSpec[] = [...authorityPaths(ports)]
  return {
    type: 'pki',
    kind: 'secret',
    help: 'Gives certificates, and takes them back.',
    isMountable: true,
    paths: () => paths,
    ends: [],
  }
}
