/**
 * The engine of identities, mounted at `identity/` in every namespace.
 *
 * Owns which paths it has. Pure.
 */
import type { Engine } from '../../declare.ts'
import { mfaEnd } from '../../mfa/attempt.ts'
import { aliasPaths } from './alias.ts'
import { entityPaths } from './entity.ts'
import { groupAliasPaths, groupPaths } from './group.ts'
import { lookupPaths } from './lookup.ts'
import { enforcementPaths } from './mfa/enforcement.ts'
import { methodPaths } from './mfa/method.ts'
import { totpPaths } from './mfa/totp.ts'
import { oidcDuties, oidcEnds, oidcPaths } from './oidc/mod.ts'
import type { OidcPorts } from './oidc/ports.ts'

/** What the engine asks of the server. */
export type IdentityPorts = OidcPorts

/** The engine on a server with these ports. */
export function identityEngine(ports: IdentityPorts): Engine {
  const paths = [
    ...entityPaths,
    ...aliasPaths,
    ...groupPaths,
    ...groupAliasPaths,
    ...lookupPaths,
    ...oidcPaths(ports),
    ...methodPaths,
    ...totpPaths,
    ...enforcementPaths,
  ]
  return {
    type: 'identity',
    kind: 'system',
    help: 'Entities, their aliases, groups, second factors, and tokens that say who one is.',
    isMountable: false,
    paths: () => paths,
    ends: [...oidcEnds, mfaEnd],
    duties: duty => oidcDuties(ports, duty),
  }
}
