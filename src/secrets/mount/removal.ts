/**
 * The end of mounts and namespaces: all that they keep goes, in portions where it is much.
 *
 * Owns the order. What goes is out of reach with the answer: its mount is off the table, or its
 * namespace tainted. Then what it gave ends: tokens of its logins, and secrets that its engine has to
 * take back, for which its own rows are kept until that is done. Rows that one transaction does not hold are left to the timekeeper, by a row
 * that says what is to go and is written again until nothing is left. Pure.
 */
import { limits } from '../../base/limits.ts'
import type { RowEnd } from '../deadline.ts'
import type { Engine } from '../declare.ts'
import { forgetMount } from '../identity/mounts.ts'
import { endUnder, isOwed } from '../lease/prefix.ts'
import {
  deleteNamespaceRow,
  type Namespace,
  namespaceAt,
  putNamespace,
  ROOT,
} from '../namespace/namespace.ts'
import type { Draft, Storage } from '../storage.ts'
import { areaOf, deleteMount, type MountRow, mountsOf } from './mount.ts'

/** What is to go: an area of a namespace, or (with its path) a namespace as a whole. */
interface RemovalRow {
  readonly namespaceId: string
  readonly area: string
  /** Of the mount: what identities have of it goes too. '' for a namespace. */
  readonly accessor: string
  readonly namespacePath: string
  /** What the leases that it gave begin with. */
  readonly leases: string
}

const REMOVAL_KIND = 'removal'

const removalRows = (draft: Draft): Storage => draft.area(ROOT.id, 'removals')

/** Takes a mount away. */
export function removeMount(draft: Draft, engines: readonly Engine[], mount: MountRow): void {
  unhook(draft, engines, mount)
  const { namespaceId, accessor, kind, path } = mount
  const leases = kind === 'auth' ? `auth/${path}` : path
  begin(draft, engines, {
    ...{ namespaceId, area: areaOf(mount), accessor, namespacePath: '', leases },
  })
}

function unhook(draft: Draft, engines: readonly Engine[], mount: MountRow): void {
  engines
    .find(each => each.kind === mount.kind && each.type === mount.type)
    ?.unmount?.(draft, mount)
  deleteMount(draft, mount)
}

/** Takes a namespace away, with all that is in it. No other may be under it. */
export function removeNamespace(
  draft: Draft,
  engines: readonly Engine[],
  namespace: Namespace,
): void {
  putNamespace(draft, { ...namespace, tainted: true })
  const { id: namespaceId, path: namespacePath } = namespace
  begin(draft, engines, { namespaceId, area: '', accessor: '', namespacePath, leases: '' })
}

function begin(draft: Draft, engines: readonly Engine[], row: RemovalRow): void {
  if (!goOn(draft, engines, row)) later(draft, draft.random.uuid(), row)
}

function later(draft: Draft, id: string, row: RemovalRow): void {
  // Its engine takes its time: nothing is gained by asking without a pause.
  const waitMs = isOwed(draft, row.namespaceId, row.leases) ? limits.revocationTickMs : 0
  removalRows(draft).put(id, row, { kind: REMOVAL_KIND, dueMs: draft.now + waitMs })
}

/** Takes the next portion away; whether nothing is left. */
function goOn(draft: Draft, engines: readonly Engine[], row: RemovalRow): boolean {
  const { namespaceId, area, namespacePath, leases } = row
  if (!endUnder(draft, namespaceId, leases) || isOwed(draft, namespaceId, leases)) return false
  if (namespacePath === '') {
    return forgetMount(draft, row, limits.forgottenAliases) && clear(draft.area(namespaceId, area))
  }
  const mounts = [
    ...mountsOf(draft, { id: namespaceId }, 'secret'),
    ...mountsOf(draft, { id: namespaceId }, 'auth'),
  ]
  for (const mount of mounts.slice(0, limits.removedMounts)) unhook(draft, engines, mount)
  if (mounts.length > limits.removedMounts) return false
  if (!clear(draft.whole(namespaceId))) return false
  const namespace = namespaceAt(draft, namespacePath)
  if (namespace?.id === namespaceId) deleteNamespaceRow(draft, namespace)
  return true
}

function clear(rows: Storage): boolean {
  const keys = rows.keys('', limits.removedRows + 1)
  for (const key of keys.slice(0, limits.removedRows)) rows.delete(key)
  return keys.length <= limits.removedRows
}

/** What goes on with removals. */
export const removalEnd = (engines: readonly Engine[]): RowEnd => ({
  kind: REMOVAL_KIND,
  end(draft, { path: id }) {
    const row = removalRows(draft).get<RemovalRow>(id)
    if (row === undefined) return
    if (goOn(draft, engines, row)) removalRows(draft).delete(id)
    else later(draft, id, row)
  },
})
