/**
 * Moving mounts, also from one namespace to another.
 *
 * Owns the order: what was given under the old path ends, then the rows go along (where the
 * namespace is another one; else they stay where they are), then the mount answers at its new path.
 * Until then it answers at neither. Pure.
 */
import { DAY_MS } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { RowEnd } from '../deadline.ts'
import { endUnder, isOwed } from '../lease/prefix.ts'
import { locate, type Namespace, ROOT } from '../namespace/namespace.ts'
import { moveQuotas } from '../quota/quota.ts'
import type { Draft, Storage } from '../storage.ts'
import {
  areaOf,
  deleteMount,
  type MountKind,
  type MountRow,
  mountAt,
  putMount,
  wholePathOf,
} from './mount.ts'
import { conflictOf, isProtected, mountPathOf, refuseForm } from './path.ts'

/** A move: what it is, and how far it came. It is shown for a while after it is over. */
export interface MoveRow {
  readonly id: string
  readonly from: MovePlace
  readonly to: MovePlace
  readonly area: string
  readonly status: 'in-progress' | 'success' | 'failure'
}

interface MovePlace {
  readonly namespaceId: string
  readonly namespacePath: string
  readonly kind: MountKind
  readonly path: string
}

const MOVE_KIND = 'move'

const moveRows = (draft: Draft): Storage => draft.area(ROOT.id, 'moves')

/** The move with an id. */
export const moveNamed = (draft: Draft, id: string): MoveRow | undefined =>
  moveRows(draft).kept<MoveRow>(id)

/** A place as it is shown, and as requests say it. */
export const placeShown = (place: MovePlace): string => place.namespacePath + wholePathOf(place)

interface Said {
  readonly namespace: Namespace
  readonly kind: MountKind
  readonly path: string
}

function placeSaid(draft: Draft, asked: Namespace, said: string): Said | Refusal {
  const located = locate(draft, asked.path, mountPathOf(said))
  if (located instanceof Refusal) return located
  const { namespace, path } = located
  return path.startsWith(AUTH)
    ? { namespace, kind: 'auth', path: path.slice(AUTH.length) }
    : { namespace, kind: 'secret', path }
}

const AUTH = 'auth/'
const bad = (text: string): Refusal => new Refusal(400, text)
const named = (place: Pick<Said, 'kind' | 'path'>): string => JSON.stringify(wholePathOf(place))

/** Begins to move a mount; gives the move's id, and what does the rest, where there is one. */
export function beginMove(
  draft: Draft,
  asked: Namespace,
  fromSaid: string,
  toSaid: string,
): { readonly id: string; readonly rest?: (draft: Draft) => boolean } | Refusal {
  const places = placesOf(draft, asked, fromSaid, toSaid)
  if (places instanceof Refusal) return places
  const { mount, from, to } = places
  const taken = conflictOf(draft, to.namespace, to.kind, to.path)
  if (taken !== undefined) {
    return bad(`path already in use at ${JSON.stringify(to.namespace.path + taken.at)}`)
  }
  putMount(draft, { ...mount, tainted: true })
  // Nobody mounts anything there meanwhile.
  putMount(draft, { ...mount, ...placeIn(to), tainted: true })
  const id = draft.random.uuid()
  const row: MoveRow = {
    ...{ id, area: areaOf(mount), status: 'in-progress' },
    from: { ...placeIn(from), namespacePath: from.namespace.path },
    to: { ...placeIn(to), namespacePath: to.namespace.path },
  }
  const came = goOn(draft, row)
  if (came === 'whole') return { id }
  return { id, rest: inside => step(inside, id, limits.endingTakeoverMs) !== 'further' }
}

const placeIn = ({ namespace, kind, path }: Said) => ({ namespaceId: namespace.id, kind, path })

interface Places {
  readonly mount: MountRow
  readonly from: Said
  readonly to: Said
}

function placesOf(
  draft: Draft,
  asked: Namespace,
  fromSaid: string,
  toSaid: string,
): Places | Refusal {
  if (fromSaid === '' || toSaid === '') {
    return bad("both 'from' and 'to' path must be specified as a string")
  }
  if (fromSaid.trim() !== fromSaid) return bad("'from' path cannot contain trailing whitespace")
  if (toSaid.trim() !== toSaid) return bad("'to' path cannot contain trailing whitespace")
  const from = placeSaid(draft, asked, fromSaid)
  if (from instanceof Refusal) return from
  const to = placeSaid(draft, asked, toSaid)
  if (to instanceof Refusal) return to
  if (to.path === '' || to.path === '/') {
    return bad(`invalid destination mount path ${JSON.stringify(toSaid)}`)
  }
  const form = refuseForm(to.path)
  if (form !== undefined) return bad(`invalid destination mount: ${form.text}`)
  if (from.kind === 'auth' && to.kind !== 'auth') {
    return bad(`cannot remount auth mount to non-auth mount ${named(to)}`)
  }
  if (isProtected(from.kind, from.path)) return bad(`cannot remount ${named(from)}`)
  if (to.kind !== from.kind || isProtected(to.kind, to.path)) {
    return bad(`cannot remount to destination ${named(to)}`)
  }
  const mount = mountAt(draft, from.namespace, from.kind, from.path)
  return mount === undefined || mount.tainted
    ? bad(`no matching mount at ${JSON.stringify(mountPathOf(fromSaid))}`)
    : { mount, from, to }
}

type Came = 'whole' | 'further' | 'waiting'

function step(draft: Draft, id: string, afterMs: number): Came {
  const row = moveNamed(draft, id)
  return row === undefined || row.status !== 'in-progress' ? 'whole' : goOn(draft, row, afterMs)
}

function goOn(draft: Draft, row: MoveRow, afterMs: number = limits.endingTakeoverMs): Came {
  const came = moveOn(draft, row)
  const isOver = came === 'whole'
  const waitMs = isOver ? DAY_MS : came === 'waiting' ? limits.revocationTickMs : afterMs
  const header = { kind: MOVE_KIND, dueMs: draft.now + waitMs }
  moveRows(draft).put(row.id, { ...row, status: isOver ? 'success' : row.status }, header)
  return came
}

function moveOn(draft: Draft, { from, to, area }: MoveRow): Came {
  const source = mountAt(draft, { id: from.namespaceId }, from.kind, from.path)
  if (source === undefined || areaOf(source) !== area) return 'whole'
  const folder = wholePathOf(from)
  if (!endUnder(draft, from.namespaceId, folder)) return 'further'
  if (isOwed(draft, from.namespaceId, folder)) return 'waiting'
  const isElsewhere = from.namespaceId !== to.namespaceId
  if (isElsewhere && !takeAlong(draft, from.namespaceId, to.namespaceId, area)) return 'further'
  deleteMount(draft, source)
  const { namespaceId, kind, path } = to
  putMount(draft, { ...source, namespaceId, kind, path, tainted: false })
  moveQuotas(
    draft,
    { namespacePath: from.namespacePath, mountPath: folder },
    { namespacePath: to.namespacePath, mountPath: wholePathOf(to) },
  )
  return 'whole'
}

/** Moves a portion of rows; they are sealed for their new place. Whether none is left. */
function takeAlong(draft: Draft, fromId: string, toId: string, area: string): boolean {
  const [from, to] = [draft.area(fromId, area), draft.area(toId, area)]
  const keys = from.keys('', limits.movedRows + 1)
  for (const key of keys.slice(0, limits.movedRows)) {
    to.put(key, from.get(key), from.header(key))
    from.delete(key)
  }
  return keys.length <= limits.movedRows
}

/** What goes on with moves, and forgets them a day after they are over. */
export const moveEnd: RowEnd = {
  kind: MOVE_KIND,
  end(draft, { path: id }) {
    const row = moveNamed(draft, id)
    if (row === undefined) return
    if (row.status === 'in-progress') step(draft, id, 0)
    else moveRows(draft).delete(id)
  },
}
