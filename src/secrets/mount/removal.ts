/**
 * The end of mounts and namespaces: all that they gave and keep goes, in portions where it is much.
 *
 * Owns the order. What goes is out of reach with the answer: it is tainted. Then all that was given
 * under it ends, then its mounts go, then their rows. What one transaction does not hold is left to
 * further ones, by a row that says what is to go: whoever asked does them before he answers, and
 * the timekeeper where nobody does. Pure.
 */
import { limits } from '../../base/limits.ts'
import type { RowEnd } from '../deadline.ts'
import type { Engine } from '../declare.ts'
import { forgetMount } from '../identity/mounts.ts'
import { endUnder, type HowToEnd, isOwed } from '../lease/prefix.ts'
import {
  deleteNamespaceRow,
  type Namespace,
  namespaceAt,
  putNamespace,
  ROOT,
} from '../namespace/namespace.ts'
import { dropQuotas } from '../quota/quota.ts'
import type { Draft, Storage } from '../storage.ts'
import {
  areaOf,
  coldOf,
  deleteMount,
  type MountKind,
  type MountRow,
  mountAt,
  mountsOf,
  putMount,
  wholePathOf,
} from './mount.ts'

/** What is to go. */
type RemovalRow = MountRemoval | NamespaceRemoval

interface MountRemoval {
  readonly what: 'mount'
  readonly namespaceId: string
  readonly namespacePath: string
  readonly kind: MountKind
  readonly path: string
  readonly area: string
  /** What identities have of it goes too. */
  readonly accessor: string
  readonly how: HowToEnd
}

interface NamespaceRemoval {
  readonly what: 'namespace'
  readonly namespaceId: string
  readonly namespacePath: string
}

/** How far a removal came. `waiting` is for engines that take back what they gave. */
type Came = 'whole' | 'further' | 'waiting'

const REMOVAL_KIND = 'removal'

const removalRows = (draft: Draft): Storage => draft.area(ROOT.id, 'removals')

/** Does a further step of a removal; whether nothing is left to do now. */
export type FurtherStep = (draft: Draft) => boolean

/** Takes a mount away; gives what does the rest, where there is one. */
export function removeMount(
  draft: Draft,
  engines: readonly Engine[],
  namespace: Pick<Namespace, 'path'>,
  mount: MountRow,
  how: HowToEnd = 'revoke',
): FurtherStep | undefined {
  putMount(draft, { ...mount, tainted: true })
  const { namespaceId, kind, path, accessor } = mount
  const place = { namespaceId, namespacePath: namespace.path, kind, path, area: areaOf(mount) }
  return begin(draft, engines, { what: 'mount', ...place, accessor, how })
}

/** Takes a namespace away, with all that is in it. No other may be under it. */
export function removeNamespace(
  draft: Draft,
  engines: readonly Engine[],
  namespace: Namespace,
): FurtherStep | undefined {
  putNamespace(draft, { ...namespace, tainted: true })
  const { id: namespaceId, path: namespacePath } = namespace
  return begin(draft, engines, { what: 'namespace', namespaceId, namespacePath })
}

function begin(draft: Draft, engines: readonly Engine[], row: RemovalRow): FurtherStep | undefined {
  if (goOn(draft, engines, row) === 'whole') return undefined
  const id = draft.random.uuid()
  later(draft, id, row, limits.endingTakeoverMs)
  return inside => step(inside, engines, id, limits.endingTakeoverMs) !== 'further'
}

const later = (draft: Draft, id: string, row: RemovalRow, afterMs: number): void =>
  removalRows(draft).put(id, row, { kind: REMOVAL_KIND, dueMs: draft.now + afterMs })

function step(draft: Draft, engines: readonly Engine[], id: string, afterMs: number): Came {
  const row = removalRows(draft).get<RemovalRow>(id)
  if (row === undefined) return 'whole'
  const came = goOn(draft, engines, row)
  if (came === 'whole') removalRows(draft).delete(id)
  else later(draft, id, row, came === 'waiting' ? limits.revocationTickMs : afterMs)
  return came
}

const goOn = (draft: Draft, engines: readonly Engine[], row: RemovalRow): Came =>
  row.what === 'mount' ? endMount(draft, engines, row) : endNamespace(draft, engines, row)

function endMount(draft: Draft, engines: readonly Engine[], row: MountRemoval): Came {
  const { namespaceId, kind, path, area, how } = row
  const mount = mountAt(draft, { id: namespaceId }, kind, path)
  if (mount !== undefined && areaOf(mount) === area) {
    const given = endGiven(draft, namespaceId, wholePathOf(mount), how)
    if (given !== 'whole') return given
    unhook(draft, engines, mount)
    dropQuotas(
      draft,
      at => at.namespacePath === row.namespacePath && at.mountPath === wholePathOf(mount),
    )
  }
  if (!forgetMount(draft, row, limits.forgottenAliases)) return 'further'
  return clear(draft.area(namespaceId, area)) ? 'whole' : 'further'
}

/** Ends what was given under a path; its engine is needed until it took all of it back. */
function endGiven(draft: Draft, namespaceId: string, folder: string, how: HowToEnd): Came {
  if (!endUnder(draft, namespaceId, folder, how)) return 'further'
  return isOwed(draft, namespaceId, folder) ? 'waiting' : 'whole'
}

function unhook(draft: Draft, engines: readonly Engine[], mount: MountRow): void {
  engines
    .find(each => each.kind === mount.kind && each.type === mount.type)
    ?.unmount?.(draft, mount)
  // However many these are: the store takes them away by and by.
  coldOf(draft, mount).clear()
  deleteMount(draft, mount)
}

function endNamespace(
  draft: Draft,
  engines: readonly Engine[],
  { namespaceId, namespacePath }: NamespaceRemoval,
): Came {
  const given = endGiven(draft, namespaceId, '', 'revoke')
  if (given !== 'whole') return given
  const mounts = [
    ...mountsOf(draft, { id: namespaceId }, 'secret'),
    ...mountsOf(draft, { id: namespaceId }, 'auth'),
  ]
  for (const mount of mounts.slice(0, limits.removedMounts)) unhook(draft, engines, mount)
  if (mounts.length > limits.removedMounts) return 'further'
  if (!clear(draft.whole(namespaceId))) return 'further'
  dropQuotas(draft, at => at.namespacePath === namespacePath)
  const namespace = namespaceAt(draft, namespacePath)
  if (namespace?.id === namespaceId) deleteNamespaceRow(draft, namespace)
  return 'whole'
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
    step(draft, engines, id, 0)
  },
})
