/**
 * The PKI engine: an authority that gives certificates, and takes them back.
 *
 * Owns the list of its paths alone.
 */
import type { Engine, PathSpec } from '../../declare.ts'
import { validationDuty } from './acme/duty.run.ts'
import { acmePaths } from './acme/mod.ts'
import { acmeEnd } from './acme/nonce.ts'
import { celPaths } from './cel/paths.run.ts'
import { givingPaths } from './issue/paths.run.ts'
import { authorityPaths } from './issuer/paths.ts'
import type { PkiPorts } from './ports.ts'
import { revokeLeased } from './revoke/lease.run.ts'
import { listEnd } from './revoke/list.ts'
import { revocationPaths } from './revoke/mod.ts'
import { rolePaths } from './role/paths.ts'
import { tidyDuty } from './tidy/duty.run.ts'
import { autoTidyEnd, tidyPaths } from './tidy/paths.ts'
import { unservedPaths } from './unserved.ts'

/** The engine on a server with these ports. */
export function pkiEngine(ports: PkiPorts): Engine {
  const paths: readonly PathSpec[] = [
    ...authorityPaths(ports),
    ...rolePaths,
    ...givingPaths(ports.arithmetic),
    ...celPaths(ports),
    ...acmePaths(ports.acme),
    ...revocationPaths(ports),
    ...tidyPaths,
    ...unservedPaths,
  ]
  return {
    type: 'pki',
    kind: 'secret',
    help: 'Gives certificates, and takes them back.',
    isMountable: true,
    paths: () => paths,
    revoke: revokeLeased,
    ends: [acmeEnd, listEnd, autoTidyEnd],
    duties: duties => [validationDuty(ports.acme, duties), tidyDuty(duties)],
  }
}
