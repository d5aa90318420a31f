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

const paths = [
  ...entityPaths,
  ...aliasPaths,
  ...groupPaths,
  ...groupAliasPaths,
  ...lookupPaths,
  unserved('oidc', 'identity tokens and the OIDC provider (identity/oidc)'),
  unserved('mfa', 'multi-factor logins (identity/mfa)'),
]

export const identityEngine: Engine = {
  type: 'identity',
  kind: 'system',
  help: 'Entities, their aliases, and groups.',
  isMountable: false,
  paths: () => paths,
}
