/**
 * ACME (RFC 8555) on a mount of PKI: all its paths.
 *
 * Owns the list.
 */
import type { PathSpec } from '../../../declare.ts'
import { accountPaths } from './account.ts'
import { authorizationPaths } from './authorization.ts'
import { baseUrlOf } from './base-url.ts'
import { acmeConfigPath } from './config.ts'
import { openPaths } from './directory.ts'
import { externalPaths } from './external.ts'
import { orderPaths } from './order.run.ts'
import type { AcmePorts } from './ports.ts'
import { revokePaths } from './revoke.ts'

export const acmePaths = (ports: AcmePorts): readonly PathSpec[] => [
  acmeConfigPath(ports, call => baseUrlOf(call, ports) !== undefined),
  ...openPaths(ports),
  ...accountPaths(ports),
  ...orderPaths(ports),
  ...authorizationPaths(ports),
  ...revokePaths(ports),
  ...externalPaths(ports),
]
