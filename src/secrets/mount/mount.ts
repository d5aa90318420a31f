/**
 * Mounts: which engine answers under which path.
 *
 * Owns the row (one for each mount; nothing rewrites a table of them), how the mount of a path is
 * found, and what every namespace has from the beginning. Pure.
 */
import type { Random } from '../../base/clock.ts'
import type { ColdStorage } from '../cold-storage.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Draft, Storage } from '../storage.ts'

/** What is tuned of a mount; times in milliseconds, 0 for the system's. */
export interface MountConfig {
  readonly defaultLeaseTtlMs: number
  readonly maxLeaseTtlMs: number
  readonly forceNoCache: boolean
  readonly auditNonHmacRequestKeys?: readonly string[]
  readonly auditNonHmacResponseKeys?: readonly string[]
  readonly listingVisibility?: '' | 'unauth' | 'hidden'
  readonly passthroughRequestHeaders?: readonly string[]
  readonly allowedResponseHeaders?: readonly string[]
  readonly tokenType?: 'default-service' | 'default-batch' | 'service' | 'batch'
  readonly userLockout?: {
    readonly thresholdCount: number
    readonly durationMs: number
    readonly counterResetMs: number
    readonly isDisabled: boolean
  }
}

export interface MountRow {
  readonly kind: 'secret' | 'auth'
  /** With a slash at its end, without `auth/`. */
  readonly path: string
  readonly type: string
  readonly description: string
  /** Of this mount alone, for ever: the area of its rows. */
  readonly uuid: string
  readonly accessor: string
  readonly options: Readonly<Record<string, string>> | null
  readonly local: boolean
  readonly sealWrap: boolean
  readonly externalEntropyAccess: boolean
  readonly config: MountConfig
  readonly namespaceId: string
  /** Whether it is about to go: nothing under it is served any more. */
  readonly tainted: boolean
}

export type MountKind = MountRow['kind']

export const DEFAULT_CONFIG: MountConfig = {
  defaultLeaseTtlMs: 0,
  maxLeaseTtlMs: 0,
  forceNoCache: false,
}

const tableOf = (draft: Draft, namespaceId: string): Storage => draft.area(namespaceId, 'mounts')

const keyOf = (kind: MountKind, path: string): string => `${kind}/${path}`

/** The mount with this very path. */
export const mountAt = (
  draft: Draft,
  { id }: Pick<Namespace, 'id'>,
  kind: MountKind,
  path: string,
): MountRow | undefined => tableOf(draft, id).kept<MountRow>(keyOf(kind, path))

/** The path of a mount that is under a path or is it; undefined where there is none. */
export function mountUnder(
  draft: Draft,
  { id }: Pick<Namespace, 'id'>,
  kind: MountKind,
  path: string,
): string | undefined {
  const [below] = tableOf(draft, id).keys(keyOf(kind, path), 1)
  return below === undefined ? undefined : path + below
}

/** All mounts of a kind, by path. */
export function mountsOf(draft: Draft, { id }: Pick<Namespace, 'id'>, kind: MountKind): MountRow[] {
  const table = tableOf(draft, id)
  const folder = `${kind}/`
  return table.keys(folder).map(path => table.kept<MountRow>(folder + path)!)
}

/** Writes a mount. */
export function putMount(draft: Draft, mount: MountRow): void {
  tableOf(draft, mount.namespaceId).put(keyOf(mount.kind, mount.path), mount)
}

/** Takes a mount off the table; its rows are not touched. */
export function deleteMount(draft: Draft, { namespaceId, kind, path }: MountRow): void {
  tableOf(draft, namespaceId).delete(keyOf(kind, path))
}

/** The path of a mount in its namespace, `auth/` before those of logins. */
export const wholePathOf = ({ kind, path }: Pick<MountRow, 'kind' | 'path'>): string =>
  kind === 'auth' ? AUTH + path : path

/** The area that a mount's rows are in. */
export const areaOf = ({ uuid }: Pick<MountRow, 'uuid'>): string => `mount.${uuid}`

/** The rows of a mount. */
export const storageOf = (draft: Draft, mount: MountRow): Storage =>
  draft.area(mount.namespaceId, areaOf(mount))

/** Its rows that are not held in memory. */
export const coldOf = (draft: Draft, mount: Pick<MountRow, 'uuid'>): ColdStorage =>
  draft.cold(areaOf(mount))

/** A mount as it is by now; undefined where it is gone, or another one stands at its path. */
export function mountStill(draft: Draft, { namespaceId, kind, path, uuid }: MountRow) {
  const current = mountAt(draft, { id: namespaceId }, kind, path)
  return current?.uuid === uuid ? current : undefined
}

/** What a path leads to: the mount, and the path below it. */
export interface Routed {
  readonly mount: MountRow
  readonly path: string
}

const AUTH = 'auth/'

/** The mount that a path is under; mounts are never under each other. */
export function route(draft: Draft, namespace: Namespace, path: string): Routed | undefined {
  const kind = path.startsWith(AUTH) ? 'auth' : 'secret'
  const inKind = kind === 'auth' ? path.slice(AUTH.length) : path
  for (let at = inKind.indexOf('/'); at !== -1; at = inKind.indexOf('/', at + 1)) {
    const mount = mountAt(draft, namespace, kind, inKind.slice(0, at + 1))
    if (mount !== undefined) return { mount, path: inKind.slice(at + 1) }
  }
  // `sys` and `secret` alone mean their mounts too.
  const whole = mountAt(draft, namespace, kind, `${inKind}/`)
  return whole && { mount: whole, path: '' }
}

const ACCESSOR_HEX_CHARS = 8

/** A mount that is not there yet. */
export function newMount(
  random: Random,
  given: Pick<MountRow, 'kind' | 'path' | 'type' | 'namespaceId'> & Partial<MountRow>,
): MountRow {
  const prefix = given.kind === 'auth' ? `auth_${given.type}` : given.type
  const suffix = random.bytes(ACCESSOR_HEX_CHARS / 2).toString('hex')
  return {
    description: '',
    options: null,
    local: false,
    sealWrap: false,
    externalEntropyAccess: false,
    config: DEFAULT_CONFIG,
    tainted: false,
    uuid: random.uuid(),
    accessor: `${prefix}_${suffix}`,
    ...given,
  }
}

/** What every namespace has from the beginning, with the descriptions that Vault gives them. */
const BUILT_IN: readonly Pick<MountRow, 'kind' | 'path' | 'type' | 'description' | 'local'>[] = [
  {
    kind: 'secret',
    path: 'cubbyhole/',
    type: 'cubbyhole',
    description: 'per-token private secret storage',
    local: true,
  },
  {
    kind: 'secret',
    path: 'identity/',
    type: 'identity',
    description: 'identity store',
    local: false,
  },
  {
    kind: 'secret',
    path: 'sys/',
    type: 'system',
    description: 'system endpoints used for control, policy and debugging',
    local: false,
  },
  {
    kind: 'auth',
    path: 'token/',
    type: 'token',
    description: 'token based credentials',
    local: false,
  },
]

/** Mounts what every namespace has. */
export function mountBuiltIn(draft: Draft, namespaceId: string): void {
  for (const each of BUILT_IN) putMount(draft, newMount(draft.random, { ...each, namespaceId }))
}
