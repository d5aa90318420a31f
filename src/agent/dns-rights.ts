/**
 * Whose rights decide about the answers of DNS: those of the agent's token for it.
 *
 * Owns noticing that these are others now: the token was set anew, made or deleted, its policies
 * changed, its time is over. A token that is nobody's may do nothing.
 */
import { type Authority, principalOf, type Who } from '../base/who.ts'
import type { DnsRights } from '../dns/rights.ts'
import { isRefusal, type Store } from '../store/store.ts'
import { scope } from '../store/tables/names.ts'
import type { AgentTokens } from './publishers.ts'
import type { OwnTokens } from './tokens.ts'

export interface DnsRightsPorts extends Pick<DnsRights, 'seerOf'> {
  readonly store: Store
  readonly authority: Authority
  readonly own: OwnTokens
  readonly tokens: AgentTokens
}

/** Whoever shows a token that is nobody's. */
const NOBODY: Who = { accessor: 'none', rights: 'none', may: () => false }

/** The rights of DNS on an agent with ACLs. They are followed until the store closes. */
export function dnsRights({ store, authority, own, tokens, seerOf }: DnsRightsPorts): DnsRights {
  const watching = new Set<() => void>()
  let now = NOBODY
  let unwatch = (): void => {}
  const look = (): void => {
    const found = tokens.whoOf('dns')
    const next = isRefusal(found) ? NOBODY : found
    if (principalOf(next) === principalOf(now)) return
    const isOther = next.rights !== now.rights
    now = next
    unwatch()
    unwatch = authority.watch(now, look)
    if (isOther) for (const changed of watching) changed()
  }
  const follow = (): void => {
    look()
    store.scopes.wait({ scope: scope.acl }, why => {
      if (why !== 'closed') follow()
    })
  }
  follow()
  own.onChange(look)
  return {
    who: () => now,
    watch(changed) {
      watching.add(changed)
      return () => void watching.delete(changed)
    },
    seerOf,
    note: lack => authority.note(lack),
  }
}
