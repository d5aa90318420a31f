/**
 * All paths of issuers and keys.
 *
 * Owns the list alone.
 */
import type { PathSpec } from '../../../declare.ts'
import type { PkiPorts } from '../ports.ts'
import { configPaths } from './config.ts'
import { fetchPaths } from './fetch.ts'
import { importPaths } from './import.ts'
import { intermediatePaths } from './intermediate.run.ts'
import { keyPaths } from './keys.run.ts'
import { issuerPaths } from './manage.ts'
import { rootPaths } from './root.run.ts'
import { signPaths } from './sign.run.ts'

/** The paths on a server with these ports. */
export const authorityPaths = (ports: PkiPorts): readonly PathSpec[] => [
  ...rootPaths(ports),
  ...intermediatePaths(ports),
  ...importPaths,
  ...signPaths(ports),
  ...issuerPaths,
  ...fetchPaths,
  ...keyPaths(ports),
  ...configPaths,
]
