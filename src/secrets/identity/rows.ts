/**
 * The rows of identities: entities, their aliases, groups and who is in them.
 *
 * Owns how they lie. An entity names its aliases and groups and a group those that it is in, all of
 * which are few, so that who asks is known by single rows; members of a group, which may be very
 * many, have a row each. Names are found by the hash of one spelling. Pure.
 */
import type { Draft, Storage } from '../storage.ts'

export type Texts = Readonly<Record<string, string>>

/** Whether two say the same. */
export function areEqual(some: Texts, others: Texts): boolean {
  const names = Object.keys(some)
  return (
    names.length === Object.keys(others).length &&
    names.every(name => Object.hasOwn(others, name) && others[name] === some[name])
  )
}

/** That an entity is in a group. */
export interface Membership {
  readonly id: string
  /** The namespace of the group, where it is not the entity's: one that is in it. */
  readonly namespaceId?: string
  /** The accessor of the mount whose logins say so; '' where somebody wrote it. */
  readonly via: string
}

/** What the row of a member says. */
export interface MemberRow {
  readonly via?: string
  /** The namespace of the entity, where it is not the group's. */
  readonly namespaceId?: string
}

export interface EntityRow {
  readonly id: string
  readonly name: string
  readonly metadata: Texts
  readonly policies: readonly string[]
  readonly disabled: boolean
  /** Where its aliases lie: no two are of one mount. */
  readonly aliases: readonly string[]
  /** Those that it is in itself. Some may be gone. */
  readonly groups: readonly Membership[]
  /** Entities that became part of it. */
  readonly mergedIds: readonly string[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
  /** When it last logged in, to a day; 0 for never. */
  readonly lastSeenMs: number
  /** Whether a login made it. */
  readonly isByLogin: boolean
}

export interface AliasRow {
  readonly id: string
  readonly name: string
  readonly mountAccessor: string
  readonly entityId: string
  /** What the last login said. */
  readonly metadata: Texts
  /** What somebody wrote. */
  readonly customMetadata: Texts
  readonly local: boolean
  readonly mergedFrom: readonly string[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export interface GroupAliasRow {
  readonly id: string
  readonly name: string
  readonly mountAccessor: string
  readonly groupId: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export type GroupType = 'internal' | 'external'

export interface GroupRow {
  readonly id: string
  readonly name: string
  readonly type: GroupType
  readonly metadata: Texts
  readonly policies: readonly string[]
  /** The groups that it is a member of. */
  readonly parents: readonly string[]
  /** Where its alias lies; '' for none. */
  readonly alias: string
  readonly namespaceId: string
  /** The path of its namespace. */
  readonly namespace: string
  readonly modifyIndex: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** Entities by id. */
export const entityRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'entities')

/** Ids of entities by the hash of their name. */
export const entityNames = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'entity-names')

/** Ids of entities by the ids of those that became part of them. */
export const mergedRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'merged-entities')

/** Aliases by place (`placeOf`). */
export const aliasRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'aliases')

/** Places of aliases by id. */
export const aliasIds = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'alias-ids')

/** Groups by id. */
export const groupRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'groups')

/** Ids of groups by the hash of their name. */
export const groupNames = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'group-names')

/** Members, by `<group>/entity/<id>` and `<group>/group/<id>`. */
export const memberRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'group-members')

/** Aliases of groups by place. */
export const groupAliasRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'group-aliases')

/** Places of aliases of groups by id. */
export const groupAliasIds = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'group-alias-ids')

/** The one spelling that all spellings of a name are looked up by. */
export const oneSpelling = (name: string): string => name.normalize('NFC').toLowerCase()

/** The name that a request looked up last: a login asks for the same one three times. */
const lastNames = new WeakMap<Draft, { readonly name: string; readonly key: string }>()

/** What a name is found by, however it is spelled. */
export function nameKey(draft: Draft, name: string): string {
  const last = lastNames.get(draft)
  if (last?.name === name) return last.key
  const key = draft.barrier.hashOf(`identity name\0${oneSpelling(name)}`)
  lastNames.set(draft, { name, key })
  return key
}

/** Where the alias of a name at a mount lies. */
export const placeOf = (draft: Draft, mountAccessor: string, name: string): string =>
  `${mountAccessor}/${nameKey(draft, name)}`

/** A value of rows that hold one id alone. */
export interface IdRow {
  readonly id: string
}

/** A value of rows that hold one place alone. */
export interface PlaceRow {
  readonly place: string
}
