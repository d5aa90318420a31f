/**
 * Conditions on paths: expressions that must hold for a request, beside the rights to make it.
 *
 * Owns the row, which requests a condition governs, and what becomes of one that does not hold. How
 * an expression is compiled and run is handed in. Pure.
 */

import type { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Operation } from '../declare.ts'
import type { JsonObject } from '../field.ts'
import { OfGround } from '../ground.ts'
import type { Namespace } from '../namespace/namespace.ts'
import { asSeveral } from '../refusals.ts'
import type { Draft, Storage } from '../storage.ts'
import type { VaultPrincipal } from '../token/principal.ts'

/** What becomes of a request for which a condition does not hold; the words of the registry's. */
export const conditionLevels = ['advisory', 'soft-mandatory', 'hard-mandatory'] as const
export type ConditionLevel = (typeof conditionLevels)[number]

export interface PathCondition {
  readonly description: string
  readonly expression: string
  readonly level: ConditionLevel
  /** Paths in the namespace; one that ends in `*` means all that begin so. */
  readonly paths: readonly string[]
  /** Empty for all operations. */
  readonly operations: readonly Operation[]
  readonly isEnabled: boolean
}

/** What an expression may look at. */
export interface ConditionAsked {
  readonly who: VaultPrincipal | undefined
  readonly operation: Operation
  readonly path: string
  readonly data: JsonObject
  readonly remote: string
  readonly id: string
  readonly nowMs: number
}

/** An expression that can be asked. */
export interface CompiledCondition {
  /** False also where it fails, and where it takes too many steps. */
  holds(asked: ConditionAsked): boolean
}

/** Makes expressions askable; a text says what is wrong with one, and where. */
export interface ConditionCompiler {
  compile(expression: string): CompiledCondition | string
}

export const conditionRows = (draft: Draft, { id }: Pick<Namespace, 'id'>): Storage =>
  draft.area(id, 'conditions')

/** What came of the conditions on a request. */
export interface Judged {
  readonly refusal: Refusal | undefined
  /** Names of those that do not hold and let it pass. */
  readonly advised: readonly string[]
}

const NOTHING: Judged = { refusal: undefined, advised: [] }

/** Compiled once for each row; a row is never changed in place. */
const compiled = new WeakMap<PathCondition, CompiledCondition | string>()

/** Names of conditions, by the id of their namespace. */
const known = new OfGround(() => new Map<string, readonly string[]>())

function namesOf(draft: Draft, namespace: Namespace): readonly string[] {
  const byId = known.known(draft)
  const names = byId?.get(namespace.id) ?? conditionRows(draft, namespace).keys()
  byId?.set(namespace.id, names)
  return names
}

/** Whether there are any in a namespace. */
export const hasConditions = (draft: Draft, namespace: Namespace): boolean =>
  namesOf(draft, namespace).length > 0

/** Judges a request that its asker has the right to make. */
export function judge(
  draft: Draft,
  namespace: Namespace,
  asked: ConditionAsked,
  { compiler, overrides }: { compiler: ConditionCompiler; overrides: boolean },
): Judged {
  const names = namesOf(draft, namespace)
  if (names.length === 0 || WAY_OUT.test(asked.path)) return NOTHING
  const rows = conditionRows(draft, namespace)
  const advised: string[] = []
  for (const name of names) {
    const row = rows.kept<PathCondition>(name)!
    if (!row.isEnabled || !governs(row, asked)) continue
    const program = compiled.get(row) ?? compiler.compile(row.expression)
    compiled.set(row, program)
    if (typeof program !== 'string' && program.holds(asked)) continue
    const isPassed = row.level === 'advisory' || (row.level === 'soft-mandatory' && overrides)
    if (!isPassed) {
      const text = `permission denied: condition "${name}" (${row.level}) does not hold`
      return { refusal: asSeveral(403, text), advised }
    }
    advised.push(name)
  }
  return { refusal: undefined, advised }
}

/** Whoever locked himself out by a condition can still take it away. */
const WAY_OUT = /^sys\/policies\/conditions(\/|$)/

function governs(
  { paths, operations }: PathCondition,
  { path, operation }: ConditionAsked,
): boolean {
  if (operations.length > 0 && !operations.includes(operation)) return false
  return paths.some(one => (one.endsWith('*') ? path.startsWith(one.slice(0, -1)) : path === one))
}

const NAME = /^[A-Za-z0-9_-]{1,128}$/

/** What is wrong with a condition; undefined where nothing is. */
export function conditionProblem(
  draft: Draft,
  namespace: Namespace,
  name: string,
  row: PathCondition,
  compiler: ConditionCompiler,
): string | undefined {
  if (!NAME.test(name)) return "a name has only alphanumeric characters, '-' and '_'"
  const rows = conditionRows(draft, namespace)
  if (!rows.has(name) && rows.keys().length >= limits.conditions) {
    return `there are ${limits.conditions} conditions already`
  }
  if (row.paths.length === 0) return 'paths must say what is governed'
  if (row.paths.length > limits.conditionOperations) {
    return `there are more than ${limits.conditionOperations} paths`
  }
  const odd = row.paths.find(path => path.slice(0, -1).includes('*') || path.startsWith('/'))
  if (odd !== undefined) return 'a path has `*` at its end alone, and no slash before it'
  if (row.description.length > limits.conditionTextChars) return 'the description is too long'
  const program = compiler.compile(row.expression)
  return typeof program === 'string' ? `expression, ${program}` : undefined
}
