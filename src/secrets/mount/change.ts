/**
 * Mounting and tuning.
 *
 * Owns what may be mounted where, and what may be changed of it afterwards. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import type { Engine } from '../declare.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Draft } from '../storage.ts'
import { configured, type GivenConfig } from './config.ts'
import {
  DEFAULT_CONFIG,
  type MountKind,
  type MountRow,
  mountAt,
  newMount,
  putMount,
} from './mount.ts'
import { conflictOf, isProtected, mountPathOf, refuseForm } from './path.ts'

/** What is to be mounted. */
export interface MountRequest {
  readonly kind: MountKind
  readonly path: string
  readonly type: string
  readonly description: string
  readonly options: Readonly<Record<string, string>> | null
  readonly local: boolean
  readonly sealWrap: boolean
  readonly externalEntropyAccess: boolean
  readonly config: GivenConfig
}

type Options = MountRow['options']

/** What types are called besides: clients write the version of `kv` into its name. */
const ALIASES: Readonly<Record<string, { readonly type: string; readonly version: string }>> = {
  'kv-v1': { type: 'kv', version: '1' },
  'kv-v2': { type: 'kv', version: '2' },
  generic: { type: 'kv', version: '1' },
}

interface Typed {
  readonly type: string
  readonly options: Options
}

function typed({ kind, type, options }: MountRequest): Typed | Refusal {
  if (type === '') return new Refusal(400, 'backend type must be specified as a string')
  const alias = kind === 'secret' && Object.hasOwn(ALIASES, type) ? ALIASES[type] : undefined
  if (alias !== undefined) {
    return { type: alias.type, options: { ...options, version: alias.version } }
  }
  if (kind === 'secret' && type === 'kv') return { type, options }
  if (options?.version !== undefined && options.version !== '') {
    const what = kind === 'auth' ? 'auth method' : 'secrets engine'
    return new Refusal(400, `${what} ${JSON.stringify(type)} does not allow setting a version`)
  }
  return { type, options }
}

/** Mounts an engine; gives the mount. */
export function enableMount(
  draft: Draft,
  namespace: Namespace,
  engines: readonly Engine[],
  request: MountRequest,
): MountRow | Refusal {
  const { kind } = request
  const path = mountPathOf(request.path)
  const as = typed(request)
  if (as instanceof Refusal) return as
  const { type, options } = as
  const engine = engineFor(engines, kind, type)
  if (engine instanceof Refusal) return engine
  const refused = refuseForm(path) ?? refuseProtected(kind, path)
  if (refused !== undefined) return refused
  const config = configured(draft, { kind, type, config: DEFAULT_CONFIG }, request.config)
  if (config instanceof Refusal) return config
  const unfit = options === null ? undefined : engine.checkOptions?.(options)
  if (unfit !== undefined) return unfit
  const conflict = conflictOf(draft, namespace, kind, path)
  if (conflict !== undefined) return new Refusal(400, conflict.text)
  const { description, local, sealWrap, externalEntropyAccess } = request
  const mount = newMount(draft.random, {
    ...{ kind, path, type, description, options, local, sealWrap, externalEntropyAccess, config },
    namespaceId: namespace.id,
  })
  putMount(draft, mount)
  return mount
}

function engineFor(engines: readonly Engine[], kind: MountKind, type: string): Engine | Refusal {
  const engine =
    engines.find(each => each.kind === kind && each.type === type) ??
    (kind === 'secret' ? engines.find(each => each.type === type) : undefined)
  if (engine === undefined || (engine.kind !== kind && engine.isMountable)) {
    return new Refusal(400, `plugin not found in the catalog: ${type}`)
  }
  if (engine.isMountable) return engine
  return new Refusal(
    400,
    kind === 'auth'
      ? `${type} credential backend cannot be instantiated`
      : `mount type of ${JSON.stringify(type)} is not mountable`,
  )
}

const refuseProtected = (kind: MountKind, path: string): Refusal | undefined =>
  kind === 'secret' && isProtected(kind, path)
    ? new Refusal(400, `cannot mount ${JSON.stringify(path)}`)
    : undefined

/** What is to be changed of a mount. */
export interface Tuning {
  readonly description: string | undefined
  readonly options: Readonly<Record<string, string>> | undefined
  readonly config: GivenConfig
}

/** What may be tuned of what every namespace has from the beginning. */
const ALWAYS_TUNABLE = ['path', 'audit_non_hmac_request_keys', 'audit_non_hmac_response_keys']
const UNTUNABLE = ['cubbyhole/', 'sys/', 'audit/', 'identity/']

/** The refusal of what is said of a mount that is not to be tuned; `said` are names of fields. */
export function refuseTuning(
  kind: MountKind,
  path: string,
  said: readonly string[],
): Refusal | undefined {
  if (kind === 'auth' || !UNTUNABLE.some(each => path.startsWith(each))) return undefined
  const field = said.find(name => !ALWAYS_TUNABLE.includes(name))
  return field === undefined
    ? undefined
    : new Refusal(400, `cannot tune parameter ${field} of ${path}`)
}

export interface Tuned {
  readonly before: MountRow
  readonly after: MountRow
}

/** Changes a mount. */
export function tuneMount(
  draft: Draft,
  before: MountRow,
  engine: Engine | undefined,
  { description, options, config: given }: Tuning,
): Tuned | Refusal {
  const config = configured(draft, before, given)
  if (config instanceof Refusal) return config
  const merged = options === undefined ? before.options : mergedOptions(before, options)
  if (merged instanceof Refusal) return merged
  const unfit = merged === null ? undefined : engine?.checkOptions?.(merged)
  if (unfit !== undefined) return unfit
  const after = {
    ...before,
    config,
    options: merged,
    description: description ?? before.description,
  }
  const refused = engine?.tuned?.(draft, before, after)
  if (refused !== undefined) return refused
  putMount(draft, after)
  return { before, after }
}

const versionOf = (options: Options): number => Number(options?.version ?? 1) || 1

function mergedOptions(
  { type, options: before }: MountRow,
  given: Readonly<Record<string, string>>,
): Options | Refusal {
  if (given.version !== undefined) {
    const version = /^\d+$/.test(given.version) ? Number(given.version) : Number.NaN
    if (Number.isNaN(version)) return new Refusal(400, 'unable to parse options: not a number')
    if (type !== 'kv' || (version !== 1 && version !== 2)) {
      return new Refusal(400, `invalid version provided: ${version}`)
    }
    const current = versionOf(before)
    if (version < current) {
      return new Refusal(400, `cannot downgrade mount from version ${current}`)
    }
  }
  const kept = Object.entries({ ...before, ...given }).filter(
    ([name, value]) => value !== '' || name === 'version',
  )
  return kept.length === 0 ? before && {} : (Object.fromEntries(kept) as Options)
}

/** Whether a tuning made a newer engine of it. */
export const isUpgrade = ({ before, after }: Tuned): boolean =>
  versionOf(before.options) < versionOf(after.options)

/** The mount that a path of a request is exactly. */
export const mountNamed = (
  draft: Draft,
  namespace: Namespace,
  kind: MountKind,
  said: string,
): MountRow | undefined => mountAt(draft, namespace, kind, mountPathOf(said))
