/**
 * The auth method `token`, which every namespace has: tokens that make tokens.
 *
 * Owns the joining of its paths alone.
 */
import type { Engine } from '../../declare.ts'
import { createPaths } from './create.ts'
import { lookupPaths } from './lookup.ts'
import { renewPaths } from './renew.ts'
import { revokePaths } from './revoke.ts'
import { rolePaths } from './roles.ts'

/** The token engine; `engines` are all that there are: logins are asked as tokens are renewed. */
export function tokenEngine(engines: readonly Engine[]): Engine {
  const paths = [
    ...createPaths,
    ...lookupPaths,
    ...renewPaths(engines),
    ...revokePaths,
    ...rolePaths,
  ]
  return {
    type: 'token',
    kind: 'auth',
    help: 'Makes tokens by tokens, and looks after them.',
    isMountable: false,
    paths: () => paths,
  }
}
