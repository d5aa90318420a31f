/**
 * The gate before every rule: who asks is who he was, and may still do so.
 *
 * Owns that a token and the policies that gave a right are among what a transaction stands on: a
 * right that ended while the write was under way gives nothing. Pure.
 */
import type { WallMs } from '../base/brand.ts'
import { Refusal } from '../base/errors.ts'
import { Caller, principalOf, type Who } from '../base/who.ts'
import type { Reader } from '../store/view.ts'
import type { Gate } from '../store/writer.ts'
import type { TokenFacts } from './condition/evaluate.ts'
import { type AclSettings, Principal, resolve } from './resolve.ts'
import { resolveAgain } from './resolve-other.ts'

/** The gate of a server with ACLs. `anonymous` is the key of the anonymous token's row. */
export const tokenGate = (settings: AclSettings, anonymous: string): Gate => ({
  admit(view: Reader, who: Who, now: WallMs): Who | Refusal {
    const principal = principalOf(who)
    if (!(principal instanceof Principal) || principal.holdsIn(view, now)) return who
    const renewed =
      principal.elsewhere === undefined
        ? resolve(view, principal.tokenKey, now, settings, anonymous)
        : resolveAgain(principal.elsewhere.token, view, now, settings)
    if (renewed instanceof Refusal || !(who instanceof Caller)) return renewed
    return new Caller(renewed, who.request, who.lacked, who.granted)
  },
  judge: () => undefined,
})

/** What conditions may know of the token that somebody shows. */
export function tokenFacts(who: Who): TokenFacts {
  const principal = principalOf(who)
  const { token, policyNames, roleNames } = principal instanceof Principal ? principal : NOBODY
  return {
    accessor: who.accessor,
    policies: policyNames,
    roles: roleNames,
    authMethod: token?.authMethod ?? '',
    metadata: token?.metadata ?? {},
  }
}

const NOBODY = { token: undefined, policyNames: [], roleNames: [] }
