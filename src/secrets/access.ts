/**
 * Whether somebody may do what he asks for.
 *
 * Owns the one place where a request is authorised: its canonical path, by the compiled policies of
 * its principal, before any handler is called. Pure.
 */
import type { Refusal } from '../base/errors.ts'
import type { Call, Operation, PathAccess } from './declare.ts'
import type { JsonObject } from './field.ts'
import { DENIED, type VaultPrincipal } from './token/principal.ts'

/** What is asked for. */
export interface Wanted {
  readonly operation: Operation
  /** The whole path in its namespace, as it is executed. */
  readonly path: string
  readonly data: JsonObject
  readonly access: PathAccess
  readonly wrapTtlMs: number | undefined
}

/** The refusal of what a principal may not do; undefined where it may. */
export function authorize(who: VaultPrincipal, _wanted: Wanted): Refusal | undefined {
  return who.isRoot ? undefined : DENIED
}

/** Whether who calls may do something else too: for handlers that touch more than one path. */
export const may = (
  { who, data, request }: Pick<Call, 'who' | 'data' | 'request'>,
  operation: Operation,
  path: string,
): boolean =>
  who !== undefined &&
  authorize(who, {
    ...{ operation, path, data, access: 'authorized' as const },
    wrapTtlMs: request.wrapTtlMs,
  }) === undefined

/** Whether somebody may anything at a mount or below it; `path` has its namespace and its slash. */
export const mayReach = (who: VaultPrincipal | undefined, _path: string): boolean =>
  who?.isRoot === true
