/**
 * Identity tokens and the OIDC provider: all of `identity/oidc`.
 *
 * Owns the list of its paths, and what the timekeeper does for it.
 */
import type { RowEnd } from '../../../deadline.ts'
import type { DutyPorts, PathSpec } from '../../../declare.ts'
import { keyEnds, keyRotation } from '../../../oidc/key.ts'
import { rotationDuty } from '../../../rotation.run.ts'
import { configPath } from './config.ts'
import { keyPaths } from './key.ts'
import type { OidcPorts } from './ports.ts'
import { rolePaths } from './role.ts'
import { tokenPaths } from './token.run.ts'
import { wellKnownPaths } from './well-known.ts'

export const oidcPaths = (ports: OidcPorts): PathSpec[] => [
  configPath,
  ...keyPaths(ports.arithmetic),
  ...rolePaths(ports.arithmetic),
  ...tokenPaths(ports),
  ...wellKnownPaths(ports),
]

export const oidcEnds: readonly RowEnd[] = keyEnds

export const oidcDuties = ({ arithmetic }: OidcPorts, ports: DutyPorts) => [
  rotationDuty(keyRotation(arithmetic), ports),
]
