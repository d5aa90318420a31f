/**
 * The engine of identities, mounted at `identity/` in every namespace.
 *
 * Owns which paths it has, and that those which are not served say so. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { type Engine, path } from '../../declare.ts'
import { str } from '../../field.ts'
import { aliasPaths } from './alias.ts'
import { entityPaths } from './entity.ts'
import { groupAliasPaths, groupPaths } from './group.ts'
import { lookupPaths } from './lookup.ts'
import { oidcDuties, oidcEnds, oidcPaths } from './oidc/mod.ts'
import type { OidcPorts } from './oidc/ports.ts'

/** What Vault has under a word and we have not. */
function unserved(word: string, what: string) {
  const refusal = new Refusal(501, `not served yet: ${what}`)
  const run = () => refusal
  const operation = { summary: `Not served yet: ${what}.`, effect: 'reads' as const, run }
  return path({
    pattern: `${word}/{rest*}`,
    help: { synopsis: `Not served yet: ${what}.`, description: 'Every request is refused.' },
    fields: { rest: str('Whatever is asked for.') },
    access: 'authorized',
    takesAnyField: true,
    operations: { read: operation, update: operation, delete: operation, list: operation },
  })
}

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
    unserved('mfa', 'multi-factor logins (identity/mfa)'),
  ]
  return {
    type: 'identity',
    kind: 'system',
    help: 'Entities, their aliases, groups, and tokens that say who somebody is.',
    isMountable: false,
    paths: () => paths,
    ends: oidcEnds,
    duties: duty => oidcDuties(ports, duty),
  }
}
