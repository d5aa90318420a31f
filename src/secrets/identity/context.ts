/**
 * Who a token's entity is when it asks: its policies, and what templates may say of it.
 *
 * Owns the way from an entity over its groups to theirs, and that what was worked out is kept as
 * long as no row that it stands on changed. Pure.
 */
import { limits } from '../../base/limits.ts'
import { Recent } from '../../base/recent.ts'
import type { Ground } from '../ground.ts'
import type { PolicyIdentity } from '../policy/mod.ts'
import type { Draft } from '../storage.ts'
import { entityById } from './entity.ts'
import {
  type AliasRow,
  aliasRows,
  areEqual,
  type EntityRow,
  type GroupRow,
  groupRows,
  type Texts,
} from './rows.ts'

/** The identity of who asks. The same object comes back as long as nothing changed. */
export interface Identity {
  readonly isDisabled: boolean
  /** Of the entity and of its namespace's groups; in order, `root` never among them. */
  readonly policies: readonly string[]
  /** Of groups of other namespaces, which are in that of the entity: these hold in there. */
  readonly elsewhere: readonly GroupRow[]
  /** What templates are filled with. */
  readonly facts: PolicyIdentity
}

interface Known {
  readonly rows: readonly object[]
  readonly identity: Identity
}

/** By the row of the entity: what was worked out goes with it. */
const known = new WeakMap<EntityRow, Known>()

/** By namespace and entity, as long as nothing of anybody's identity changes. */
const kept = new WeakMap<Ground, Recent<string, Identity>>()

/** The identity of an entity; undefined where it is gone, and its tokens with it. */
export function identityOf(
  draft: Draft,
  namespaceId: string,
  entityId: string,
): Identity | undefined {
  const people = draft.ground('identity')
  if (people === undefined) return identityAnew(draft, namespaceId, entityId)
  const all = kept.get(people) ?? new Recent<string, Identity>(limits.compiledPolicies)
  kept.set(people, all)
  const key = `${namespaceId}/${entityId}`
  const identity = all.get(key) ?? identityAnew(draft, namespaceId, entityId)
  if (identity !== undefined) all.set(key, identity)
  return identity
}

function identityAnew(draft: Draft, namespaceId: string, entityId: string): Identity | undefined {
  const entity = entityById(draft, namespaceId, entityId)
  if (entity === undefined) return undefined
  const aliases = aliasesOf(draft, namespaceId, entity)
  const { direct, inherited } = groupsOf(draft, namespaceId, entity)
  const groups = [...direct, ...inherited]
  const rows = [...aliases, ...groups]
  const last = known.get(entity)
  if (last !== undefined && areSame(last.rows, rows)) return last.identity
  const here = groups.filter(group => group.namespaceId === namespaceId)
  const policies = [...new Set([entity, ...here].flatMap(one => one.policies))]
  const identity: Identity = {
    isDisabled: entity.disabled,
    policies: policies.filter(name => name !== 'root').sort(),
    elsewhere: groups.filter(group => group.namespaceId !== namespaceId),
    facts: {
      ...{ id: entity.id, name: entity.name, metadata: entity.metadata, aliases },
      groups,
    },
  }
  known.set(entity, { rows, identity })
  return identity
}

const areSame = (some: readonly object[], others: readonly object[]): boolean =>
  some.length === others.length && some.every((one, i) => one === others[i])

/** Names of policies that an entity has in other namespaces by their groups, by namespace id. */
export function policiesElsewhere(
  draft: Draft,
  namespaceId: string,
  entityId: string,
): Readonly<Record<string, readonly string[]>> {
  const identity = entityId === '' ? undefined : identityOf(draft, namespaceId, entityId)
  const groups = Map.groupBy(identity?.elsewhere ?? [], group => group.namespaceId)
  return Object.fromEntries(
    [...groups].map(([id, rows]) => [id, [...new Set(rows.flatMap(row => row.policies))].sort()]),
  )
}

/** What a token says of the login that gave it. */
export interface LoginFacts {
  readonly mountAccessor: string
  readonly meta: Texts | null
}

/** By the token's row: the same object comes back as long as nothing changed. */
const ofLogins = new WeakMap<LoginFacts, { readonly from: PolicyIdentity; own: PolicyIdentity }>()

/**
 * What templates are filled with for a token. What a login says of its alias holds for the token
 * that it gave: another login with the same alias says it of its own token alone.
 */
export function factsFor({ facts }: Identity, token: LoginFacts): PolicyIdentity {
  const alias = facts.aliases.find(one => one.mountAccessor === token.mountAccessor)
  const isSaid = alias !== undefined && Object.keys(alias.metadata).length > 0
  if (!isSaid || areEqual(alias.metadata, token.meta ?? {})) return facts
  const known = ofLogins.get(token)
  if (known?.from === facts) return known.own
  const aliases = facts.aliases.map(one =>
    one === alias ? { ...one, metadata: token.meta ?? {} } : one,
  )
  const own = { ...facts, aliases }
  ofLogins.set(token, { from: facts, own })
  return own
}

/** Names of the policies of an entity and of its groups; none where it is gone or disabled. */
export function identityPolicies(
  draft: Draft,
  namespaceId: string,
  entityId: string,
): readonly string[] {
  const identity = entityId === '' ? undefined : identityOf(draft, namespaceId, entityId)
  return identity === undefined || identity.isDisabled ? [] : identity.policies
}

/** The aliases of an entity. */
export const aliasesOf = (
  draft: Draft,
  namespaceId: string,
  { aliases }: EntityRow,
): readonly AliasRow[] => {
  const rows = aliasRows(draft, namespaceId)
  return aliases.map(place => rows.kept<AliasRow>(place)).filter(alias => alias !== undefined)
}

/** The groups that an entity is in: itself, and by being in those. */
export function groupsOf(
  draft: Draft,
  namespaceId: string,
  { groups }: EntityRow,
): { direct: readonly GroupRow[]; inherited: readonly GroupRow[] } {
  if (groups.length === 0) return NO_GROUPS
  const find = (home: string, ids: readonly string[]): readonly GroupRow[] => {
    const rows = groupRows(draft, home)
    return [...new Set(ids)].map(id => rows.kept<GroupRow>(id)).filter(row => row !== undefined)
  }
  const direct = groups.flatMap(one => find(one.namespaceId ?? namespaceId, [one.id]))
  const seen = new Set(direct.map(({ id }) => id))
  const inherited: GroupRow[] = []
  const waiting = [...direct]
  for (let group = waiting.pop(); group !== undefined; group = waiting.pop()) {
    const parents = group.parents.filter(id => !seen.has(id))
    for (const id of parents) seen.add(id)
    const found = find(group.namespaceId, parents)
    inherited.push(...found)
    waiting.push(...found)
  }
  return { direct, inherited }
}

const NO_GROUPS = { direct: [], inherited: [] }
