/**
 * Whether somebody may do what he asks for.
 *
 * Owns the one place where a request is authorised: its canonical path, by the compiled policies of
 * its principal, before any handler is called. Pure.
 */
import { Refusal } from '../base/errors.ts'
import type { Call, Operation, PathAccess } from './declare.ts'
import type { Denial } from './denials.ts'
import type { JsonObject } from './field.ts'
import type { Namespace } from './namespace/namespace.ts'
import { type Decision, decide, type KeyFilter, reaches, visibleKeys } from './policy/mod.ts'
import { DENIED } from './refusals.ts'
import { type Rights, rightsOf } from './rights.ts'
import type { Draft } from './storage.ts'
import type { VaultPrincipal } from './token/principal.ts'

/** What is asked for. */
export interface Wanted {
  readonly operation: Operation
  readonly namespace: Pick<Namespace, 'path'>
  /** The whole path in its namespace, as it is executed. */
  readonly path: string
  readonly data: JsonObject
  readonly access: PathAccess
  readonly wrapTtlMs: number | undefined
}

/** What is allowed, and what of it alone. */
export interface Granted {
  readonly rights: Rights
  readonly decision: Decision
  /** What the list's `limit` is to be instead of what was asked. */
  readonly limit: number | undefined
  /** Which of a list's keys may be told, if not all. */
  readonly filter: KeyFilter | undefined
}

/** Leave for what a principal may do, or the refusal. */
export function authorize(draft: Draft, who: VaultPrincipal, wanted: Wanted): Granted | Refusal {
  const rights = rightsOf(draft, who.token)
  if (rights instanceof Refusal) return rights
  const decision = decide(rights.compiled, requestOf(draft, wanted))
  const needsSudo = wanted.access === 'privileged' && wanted.operation !== 'help'
  if (!decision.allowed || (needsSudo && !decision.sudo)) return DENIED
  return { rights, decision, limit: decision.limit, filter: decision.filter }
}

/** What there is to tell of a request that was refused; undefined for who has no rights at all. */
export function denialOf(draft: Draft, who: VaultPrincipal, wanted: Wanted): Denial | undefined {
  const rights = rightsOf(draft, who.token)
  if (rights instanceof Refusal) return undefined
  const { compiled } = rights
  const decision = decide(compiled, requestOf(draft, wanted))
  // Values of a request are nobody's to keep.
  return { who, wanted: { ...wanted, data: {} }, compiled, decision, nowMs: draft.now }
}

/** Whether who calls may do something else too: for handlers that touch more than one path. */
export const may = (
  {
    draft,
    namespace,
    who,
    data,
    request,
  }: Pick<Call, 'draft' | 'namespace' | 'who' | 'data' | 'request'>,
  operation: Operation,
  path: string,
): boolean =>
  who !== undefined &&
  !(
    authorize(draft, who, {
      ...{ operation, namespace, path, data, access: 'authorized' as const },
      wrapTtlMs: request.wrapTtlMs,
    }) instanceof Refusal
  )

/** Whether somebody may anything at a mount or below it; `path` has its namespace and its slash. */
export function mayReach(draft: Draft, who: VaultPrincipal | undefined, path: string): boolean {
  const rights = who && rightsOf(draft, who.token)
  if (rights === undefined || rights instanceof Refusal) return false
  return reaches(rights.compiled, path, draft.now)
}

/** The keys of a list that its asker may be told of. `path` is the list's, in its namespace. */
export function told(
  draft: Draft,
  { rights, filter }: Granted,
  namespace: Pick<Namespace, 'path'>,
  path: string,
  keys: readonly string[],
): readonly string[] {
  if (filter === undefined) return keys
  const list = { filter, namespace: namespace.path, path, keys, nowMs: draft.now }
  return visibleKeys(rights.compiled, list)
}

function requestOf(draft: Draft, { operation, namespace, path, data, wrapTtlMs }: Wanted) {
  return { operation, path: namespace.path + path, data, wrapTtlMs, nowMs: draft.now }
}
