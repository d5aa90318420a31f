/**
 * The people who log in by way of this server: whom a client may have, and what it is told.
 *
 * Owns assignments and scopes, and that no two scopes say the same claim. Pure.
 */
import { groupsOf, identityOf } from '../identity/context.ts'
import { entityById } from '../identity/entity.ts'
import type { PolicyIdentity } from '../policy/mod.ts'
import type { Draft } from '../storage.ts'
import {
  type AssignmentRow,
  assignmentRows,
  isName,
  type ProviderRow,
  type ScopeRow,
  scopeRows,
} from './rows.ts'
import { type Claims, fillClaims } from './template.ts'

/** The scope that every request names, and that has no template. */
export const OPENID = 'openid'

/** The assignment of everybody, which is always there. */
export const ALLOW_ALL = 'allow_all'
const EVERYBODY: AssignmentRow = { entityIds: ['*'], groupIds: ['*'] }

/** The assignment of a name, which may be anything. */
export const assignmentAt = (
  draft: Draft,
  namespaceId: string,
  name: string,
): AssignmentRow | undefined => {
  if (name === ALLOW_ALL) return EVERYBODY
  return isName(name) ? assignmentRows(draft, namespaceId).kept<AssignmentRow>(name) : undefined
}

/** The scope of a name, which may be anything. */
export const scopeAt = (draft: Draft, namespaceId: string, name: string): ScopeRow | undefined =>
  isName(name) ? scopeRows(draft, namespaceId).kept<ScopeRow>(name) : undefined

/** Whether somebody is among those of one of some assignments; nobody who is disabled is. */
export function isAssigned(
  draft: Draft,
  namespaceId: string,
  entityId: string,
  assignments: readonly string[],
): boolean {
  const entity = entityById(draft, namespaceId, entityId)
  if (entity === undefined || entity.disabled) return false
  if (assignments.includes(ALLOW_ALL)) return true
  const { direct, inherited } = groupsOf(draft, namespaceId, entity)
  const groups = new Set([...direct, ...inherited].map(({ id }) => id))
  return assignments.some(name => {
    const row = assignmentAt(draft, namespaceId, name)
    if (row === undefined) return false
    return row.entityIds.includes(entity.id) || row.groupIds.some(id => groups.has(id))
  })
}

/** Whom claims are about; undefined for nobody but the client itself. */
export const factsOf = (
  draft: Draft,
  namespaceId: string,
  entityId: string,
): PolicyIdentity | undefined => identityOf(draft, namespaceId, entityId)?.facts

/** The scopes of a request that a provider has; undefined where it is none of OpenID Connect. */
export function scopesIn(
  said: string,
  { scopesSupported }: ProviderRow,
): readonly string[] | undefined {
  const names = [...new Set(said.split(' '))].sort()
  if (!names.includes(OPENID)) return undefined
  return names.filter(name => name !== OPENID && scopesSupported.includes(name))
}

/**
 * What scopes say of somebody, or which two say the same. One that cannot be filled for him says
 * nothing.
 */
export function claimsOfScopes(
  draft: Draft,
  namespaceId: string,
  names: readonly string[],
  identity: PolicyIdentity | undefined,
): Claims | string {
  const from = new Map<string, string>()
  const all: [string, unknown][] = []
  for (const name of names) {
    const row = scopeAt(draft, namespaceId, name)
    const claims = fillClaims(row?.template ?? '', { identity, nowMs: draft.now })
    if (typeof claims === 'string') continue
    for (const [claim, value] of Object.entries(claims)) {
      const other = from.get(claim)
      if (other !== undefined) return conflict(claim, name, other)
      from.set(claim, name)
      all.push([claim, value])
    }
  }
  return Object.fromEntries(all)
}

const conflict = (claim: string, scope: string, other: string): string =>
  `found scopes with conflicting top-level claim: claim ${JSON.stringify(claim)} in scopes ${JSON.stringify(scope)}, ${JSON.stringify(other)}`
