/**
 * The auth method `approle`: applications log in by a role and a secret id.
 *
 * Owns which paths it has. Pure.
 */
import type { Engine } from '../../declare.ts'
import type { LockoutSettings } from '../../lockout/lockout.ts'
import { loginPath, renew } from './login.ts'
import { rolePaths } from './role.ts'
import { secretIdEnd } from './rows.ts'
import { secretIdPaths } from './secret-id.ts'

/** The method, with what the server was told of lockout. */
export function approleEngine(lockout: LockoutSettings): Engine {
  const paths = [loginPath(lockout), ...rolePaths, ...secretIdPaths]
  return {
    type: 'approle',
    kind: 'auth',
    help: 'Applications log in by the id of a role and a secret id.',
    isMountable: true,
    paths: () => paths,
    renew,
    ends: [secretIdEnd],
  }
}
