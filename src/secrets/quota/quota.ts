/**
 * Quotas: how many requests somebody may make, and how many leases there may be, by path.
 *
 * Owns the rows and which of them hold for a request: those of the most particular place alone (a
 * role, a path, a mount, a namespace, everything), and of that place all. Pure.
 */

import { Refusal } from '../../base/errors.ts'
import { OfGround } from '../ground.ts'
import { mountAt, route } from '../mount/mount.ts'
import { locate, type Namespace, namespaceAt, ROOT } from '../namespace/namespace.ts'
import type { Draft, Storage } from '../storage.ts'

export const groupings = [
  'ip',
  'none',
  'entity_then_ip',
  'entity_then_none',
  'token_accessor',
] as const
/** By what clients are told apart. */
export type Grouping = (typeof groupings)[number]

export interface QuotaRow {
  readonly kind: QuotaKind
  readonly name: string
  readonly namespacePath: string
  /** With `auth/` before it for a login's; '' for all of a namespace. */
  readonly mountPath: string
  /** Below the mount: '' for all of it; with `*` at its end for all that begins so. */
  readonly suffix: string
  /** The role of a login; '' for all. */
  readonly role: string
  /** Whether namespaces below have it too, unless one has its own. */
  readonly isInheritable: boolean
  /** Requests in each interval; of a rate limit. */
  readonly rate: number
  readonly intervalMs: number
  /** How long a client is refused that exceeded it; 0 until the interval is over. */
  readonly blockMs: number
  /** `entity`, of a lease count alone: each entity may have so many, of all that holds there. */
  readonly groupBy: Grouping | 'entity'
  /** The rate of those who are told apart by the second of two groupings; 0 for the same. */
  readonly secondaryRate: number
  /** Of a lease count. */
  readonly leasesMax: number
}

export type QuotaKind = 'rate-limit' | 'lease-count'

export interface QuotaConfig {
  /** Paths of the root namespace that no rate limit holds for; `*` at an end: all that begin so. */
  readonly exempt: readonly string[]
  /** The same, in all namespaces. */
  readonly exemptEverywhere: readonly string[]
  /** Whether a refusal is recorded. It always is: kept for clients that say it. */
  readonly isRecorded: boolean
  /** Whether answers say what is left. */
  readonly tellsInHeaders: boolean
}

/** What holds before anybody said anything, as in Vault. */
const INITIAL: QuotaConfig = {
  exempt: [
    'sys/generate-recovery-token/attempt',
    'sys/generate-recovery-token/update',
    'sys/generate-root/attempt',
    'sys/generate-root/update',
    'sys/health',
    'sys/seal-status',
    'sys/unseal',
  ],
  exemptEverywhere: [],
  isRecorded: false,
  tellsInHeaders: false,
}

const rowsOf = (draft: Draft): Storage => draft.area(ROOT.id, 'quotas')
const keyOf = (kind: QuotaKind, name: string): string => `${kind}/${name}`
const CONFIG = 'config'
/** Written with every quota, so that nobody looks for quotas who knows them. */
const STAMP = 'stamp'

export const quotaConfig = (draft: Draft): QuotaConfig =>
  rowsOf(draft).kept<QuotaConfig>(CONFIG) ?? INITIAL

export const putQuotaConfig = (draft: Draft, config: QuotaConfig): void =>
  rowsOf(draft).put(CONFIG, config)

export const quotaNamed = (draft: Draft, kind: QuotaKind, name: string): QuotaRow | undefined =>
  rowsOf(draft).kept<QuotaRow>(keyOf(kind, name))

export const quotaNames = (draft: Draft, kind: QuotaKind): string[] =>
  rowsOf(draft).keys(`${kind}/`)

function stamp(draft: Draft): void {
  rowsOf(draft).put(STAMP, { id: draft.random.uuid() })
}

/** Writes a quota. */
export function putQuota(draft: Draft, row: QuotaRow): void {
  rowsOf(draft).put(keyOf(row.kind, row.name), row)
  stamp(draft)
}

/** Takes a quota off; one that is not there may be named. */
export function deleteQuota(draft: Draft, kind: QuotaKind, name: string): void {
  if (quotaNamed(draft, kind, name) === undefined) return
  rowsOf(draft).delete(keyOf(kind, name))
  stamp(draft)
}

/** All quotas, by place. */
class QuotaIndex {
  readonly #byPlace = new Map<string, QuotaRow[]>()
  readonly isEmpty: boolean
  /** Whether leases are counted by the role or the entity of who has them. */
  readonly countsHolders: boolean

  constructor(rows: readonly QuotaRow[]) {
    this.isEmpty = rows.length === 0
    this.countsHolders = rows.some(row => row.kind === 'lease-count' && isOfHolder(row))
    for (const row of rows) {
      const place = placeOf(row.kind, row.namespacePath, row.mountPath)
      const known = this.#byPlace.get(place)
      if (known === undefined) this.#byPlace.set(place, [row])
      else known.push(row)
    }
  }

  at(kind: QuotaKind, namespacePath: string, mountPath: string): readonly QuotaRow[] {
    return this.#byPlace.get(placeOf(kind, namespacePath, mountPath)) ?? []
  }
}

const isOfHolder = ({ role, groupBy }: QuotaRow): boolean => role !== '' || groupBy === 'entity'

const placeOf = (kind: QuotaKind, namespacePath: string, mountPath: string): string =>
  `${kind}\n${namespacePath}\n${mountPath}`

const indexes = new WeakMap<object, QuotaIndex>()
const NO_QUOTAS = new QuotaIndex([])

const kept = new OfGround(indexIn)
const indexOf = (draft: Draft): QuotaIndex => kept.known(draft) ?? indexIn(draft)

function indexIn(draft: Draft): QuotaIndex {
  const rows = rowsOf(draft)
  const known = rows.kept<object>(STAMP)
  if (known === undefined) return NO_QUOTAS
  let index = indexes.get(known)
  if (index === undefined) {
    const kinds: readonly QuotaKind[] = ['rate-limit', 'lease-count']
    index = new QuotaIndex(
      kinds.flatMap(kind => quotaNames(draft, kind).map(name => quotaNamed(draft, kind, name)!)),
    )
    indexes.set(known, index)
  }
  return index
}

/** Whether there is any quota. */
export const hasQuotas = (draft: Draft): boolean => !indexOf(draft).isEmpty

/**
 * Whether leases are counted by the role or the entity of who has them: only then it is noted
 * where they are given.
 */
export const countsHolders = (draft: Draft): boolean => indexOf(draft).countsHolders

/** What a request is about. */
export interface QuotaPlace {
  readonly namespace: Pick<Namespace, 'path'>
  /** With `auth/` before a login's; '' where no mount is. */
  readonly mountPath: string
  readonly below: string
  /** '' where it is no login, or nothing says as which role. */
  readonly role: string
}

/** The quotas that hold for a request. */
export function quotasFor(draft: Draft, kind: QuotaKind, place: QuotaPlace): readonly QuotaRow[] {
  const index = indexOf(draft)
  if (index.isEmpty) return []
  const { namespace, mountPath, below, role } = place
  const ofMount = mountPath === '' ? [] : index.at(kind, namespace.path, mountPath)
  const ofRole = role === '' ? [] : ofMount.filter(row => row.role === role)
  if (ofRole.length > 0) return ofRole
  const ofPath = mostParticular(ofMount.filter(row => row.suffix !== '' && covers(row, below)))
  if (ofPath.length > 0) return ofPath
  const ofAll = ofMount.filter(row => row.suffix === '' && row.role === '')
  return ofAll.length > 0 ? ofAll : ofNamespace(index, kind, namespace.path, isOfPlace)
}

/** The caps of what each entity may have: they hold beside those of any place. */
export const entityQuotasFor = (draft: Draft, { path }: Pick<Namespace, 'path'>) =>
  ofNamespace(indexOf(draft), 'lease-count', path, row => !isOfPlace(row))

const isOfPlace = ({ groupBy }: QuotaRow): boolean => groupBy !== 'entity'

/** Whether a path below a mount is one that a quota is about. */
function covers({ suffix }: QuotaRow, below: string): boolean {
  const bare = below.replace(/\/+$/, '')
  return suffix.endsWith('*') ? bare.startsWith(suffix.slice(0, -1)) : bare === suffix
}

/** Those with the longest text, and of equally long ones those without a `*`. */
function mostParticular(rows: readonly QuotaRow[]): readonly QuotaRow[] {
  const weight = ({ suffix }: QuotaRow): number =>
    2 * suffix.length - (suffix.endsWith('*') ? 3 : 0)
  const heaviest = Math.max(...rows.map(weight))
  return rows.filter(row => weight(row) === heaviest)
}

function ofNamespace(
  index: QuotaIndex,
  kind: QuotaKind,
  path: string,
  isMeant: (row: QuotaRow) => boolean,
): readonly QuotaRow[] {
  let at = path
  for (;;) {
    const rows = index
      .at(kind, at, '')
      .filter(row => isMeant(row) && (at === path || row.isInheritable))
    if (rows.length > 0 || at === '') return rows
    at = at.slice(0, at.lastIndexOf('/', at.length - 2) + 1)
  }
}

/** Where a quota holds, from the path that a request says. */
export interface SaidPlace {
  readonly namespacePath: string
  readonly mountPath: string
  readonly suffix: string
}

/** Takes the path of a quota apart; the mount must be there. */
export function placeSaid(draft: Draft, said: string): SaidPlace | Refusal {
  const path = said.replace(/^\/+/, '')
  if (path === '' || path === 'root' || path === 'root/') {
    return { namespacePath: '', mountPath: '', suffix: '' }
  }
  const located = locate(draft, '', path.endsWith('/') ? path : `${path}/`)
  if (located instanceof Refusal) return located
  const { namespace, path: inside } = located
  if (inside === '') return { namespacePath: namespace.path, mountPath: '', suffix: '' }
  const routed = route(draft, namespace, inside)
  if (routed === undefined) {
    return new Refusal(400, `invalid mount path ${JSON.stringify(inside)}`)
  }
  const { mount, path: below } = routed
  return {
    namespacePath: namespace.path,
    mountPath: mount.kind === 'auth' ? `auth/${mount.path}` : mount.path,
    suffix: below.replace(/\/+$/, ''),
  }
}

/** The path of a quota as it is shown. */
export const pathShown = ({ namespacePath, mountPath, suffix }: SaidPlace): string =>
  namespacePath + mountPath + suffix

/** Lets quotas follow a mount that moves. */
export function moveQuotas(
  draft: Draft,
  from: Pick<SaidPlace, 'namespacePath' | 'mountPath'>,
  to: Pick<SaidPlace, 'namespacePath' | 'mountPath'>,
): void {
  for (const kind of ['rate-limit', 'lease-count'] as const) {
    for (const row of indexOf(draft).at(kind, from.namespacePath, from.mountPath)) {
      putQuota(draft, { ...row, namespacePath: to.namespacePath, mountPath: to.mountPath })
    }
  }
}

/** Takes off quotas of what is no more: a mount, or a namespace with all in it. */
export function dropQuotas(
  draft: Draft,
  isGone: (place: Pick<SaidPlace, 'namespacePath' | 'mountPath'>) => boolean,
): void {
  if (!hasQuotas(draft)) return
  for (const kind of ['rate-limit', 'lease-count'] as const) {
    for (const name of quotaNames(draft, kind)) {
      if (isGone(quotaNamed(draft, kind, name)!)) deleteQuota(draft, kind, name)
    }
  }
}

/** Whether the mount of a quota is a login's. */
export const isLogin = (draft: Draft, { namespacePath, mountPath }: SaidPlace): boolean => {
  const namespace = namespaceAt(draft, namespacePath)
  return (
    namespace !== undefined &&
    mountPath.startsWith('auth/') &&
    mountAt(draft, namespace, 'auth', mountPath.slice('auth/'.length)) !== undefined
  )
}
