/**
 * The transit engine: bytes are encrypted, signed and hashed for who never sees a key.
 *
 * Owns the list of its paths alone.
 */
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import type { Engine, PathSpec } from '../../declare.ts'
import { rotationDuty } from '../../rotation.run.ts'
import { backupPaths } from './backup.run.ts'
import { certificatePaths } from './certificate.run.ts'
import { configPaths } from './config.ts'
import { exportPaths } from './export.run.ts'
import { importPaths } from './import.run.ts'
import { keyPaths } from './keys.ts'
import { operationPaths } from './operation/mod.ts'
import { transitEnds, transitRotation } from './rotation.ts'
import { settingPaths } from './settings.ts'
import { wrappingKeyPath } from './wrapping-key.ts'

/** What the engine asks of the server. */
export interface TransitPorts {
  readonly arithmetic: Arithmetic
}

/** The engine on a server with these ports. */
export function transitEngine({ arithmetic }: TransitPorts): Engine {
  const paths: readonly PathSpec[] = [
    ...keyPaths(arithmetic),
    ...configPaths(arithmetic),
    ...importPaths(arithmetic),
    wrappingKeyPath(arithmetic),
    ...certificatePaths(arithmetic),
    ...exportPaths,
    ...backupPaths(arithmetic),
    ...settingPaths,
    ...operationPaths({ arithmetic }),
  ]
  return {
    type: 'transit',
    kind: 'secret',
    help: 'Encrypts, signs and hashes with keys that never leave.',
    isMountable: true,
    paths: () => paths,
    ends: transitEnds,
    duties: ports => [rotationDuty(transitRotation(arithmetic), ports)],
  }
}
