/**
 * All paths of revocation.
 *
 * Owns the list alone.
 */
import type { PathSpec } from '../../../declare.ts'
import type { PkiPorts } from '../ports.ts'
import { certificatePaths } from './certificates.run.ts'
import { crlConfigPath } from './config.ts'
import { revokeIssuerPath } from './issuer.ts'
import { listPaths } from './list-paths.run.ts'
import { Lists } from './lists.run.ts'
import { ocspPaths } from './ocsp.run.ts'
import { revokePaths } from './paths.run.ts'
import { signListPaths } from './sign.run.ts'

/** The paths on a server with these ports. */
export const revocationPaths = (ports: PkiPorts): readonly PathSpec[] => [
  ...revokePaths,
  revokeIssuerPath,
  crlConfigPath,
  ...listPaths(new Lists(ports.arithmetic)),
  ...ocspPaths(ports),
  ...certificatePaths,
  ...signListPaths(ports),
]
