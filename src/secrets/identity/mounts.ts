/**
 * The mounts that logins come from, as identities know them: by accessor.
 *
 * Owns that lookup, and what of identities goes with a mount. Pure.
 */
import { type MountRow, mountsOf } from '../mount/mount.ts'
import type { Draft } from '../storage.ts'
import { deleteAlias } from './alias.ts'
import { deleteGroupAlias } from './group-alias.ts'
import { type AliasRow, aliasRows, type GroupAliasRow, groupAliasRows } from './rows.ts'

/** The auth mount of an accessor. */
export const mountByAccessor = (
  draft: Draft,
  namespaceId: string,
  accessor: string,
): MountRow | undefined =>
  mountsOf(draft, { id: namespaceId }, 'auth').find(mount => mount.accessor === accessor)

/** What is shown of mounts, by accessor. */
export type AccessorNames = ReadonlyMap<string, { readonly path: string; readonly type: string }>

/** Path and type of all auth mounts, as aliases show them. */
export const namesOf = (draft: Draft, namespaceId: string): AccessorNames =>
  new Map(
    mountsOf(draft, { id: namespaceId }, 'auth').map(({ accessor, path, type }) => [
      accessor,
      { path: `auth/${path}`, type },
    ]),
  )

/**
 * Ends what identities have of a mount that goes: at most so many aliases. Whether all are gone.
 * Their entities stay: they may have others, and who made them may want to keep them.
 */
export function forgetMount(
  draft: Draft,
  { namespaceId, accessor }: Pick<MountRow, 'namespaceId' | 'accessor'>,
  limit: number,
): boolean {
  const aliases = aliasRows(draft, namespaceId)
  const places = aliases.keys(`${accessor}/`, limit + 1)
  for (const key of places.slice(0, limit)) {
    const alias = aliases.kept<AliasRow>(`${accessor}/${key}`)
    if (alias !== undefined) deleteAlias(draft, namespaceId, alias)
  }
  const groupAliases = groupAliasRows(draft, namespaceId)
  for (const key of groupAliases.keys(`${accessor}/`)) {
    const alias = groupAliases.kept<GroupAliasRow>(`${accessor}/${key}`)
    if (alias !== undefined) deleteGroupAlias(draft, namespaceId, alias)
  }
  return places.length <= limit
}
