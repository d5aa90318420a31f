/**
 * Identity tokens and the OIDC provider: all of `identity/oidc`.
 *
 * Owns the list of its paths, and what the timekeeper does for it.
 */
import type { RowEnd } from '../../../deadline.ts'
import type { DutyPorts, PathSpec } from '../../../declare.ts'
import { codeEnds } from '../../../oidc/code.ts'
import { keyEnds, keyRotation } from '../../../oidc/key.ts'
import { rotationDuty } from '../../../rotation.run.ts'
import { assignmentPaths } from './assignment.ts'
import { authorizePath } from './authorize.ts'
import { clientPaths } from './client.ts'
import { configPath } from './config.ts'
import { exchangePath } from './exchange.run.ts'
import { keyPaths } from './key.ts'
import type { OidcPorts } from './ports.ts'
import { providerPaths } from './provider.ts'
import { rolePaths } from './role.ts'
import { scopePaths } from './scope.ts'
import { tokenPaths } from './token.run.ts'
import { userinfoPath } from './userinfo.ts'
import { wellKnownPaths } from './well-known.ts'

export const oidcPaths = (ports: OidcPorts): PathSpec[] => [
  configPath(ports),
  ...keyPaths(ports.arithmetic),
  ...rolePaths(ports),
  ...tokenPaths(ports),
  ...wellKnownPaths(ports),
  ...scopePaths,
  ...assignmentPaths,
  ...clientPaths(ports.arithmetic),
  ...providerPaths(ports),
  authorizePath,
  exchangePath(ports),
  userinfoPath,
]

export const oidcEnds: readonly RowEnd[] = [...keyEnds, ...codeEnds]

export const oidcDuties = ({ arithmetic }: OidcPorts, ports: DutyPorts) => [
  rotationDuty(keyRotation(arithmetic), ports),
]
