/**
 * The one decision: may a principal with these policies do this?
 *
 * Owns the order of the questions: is it root, which rule covers the path, does it give the
 * capability, is the answer wrapped as it must be, do the fields keep to the rule, is the page
 * small enough. What is told of a decision comes from the same steps. Pure; runs on the way of
 * every request.
 */

import { allowed } from '../../base/allowed.ts'
import type { CompiledPolicies } from './compile.ts'
import { bits, type Capability, capabilityNames } from './document.ts'
import type { Placed, Rule, RuleShown } from './join.ts'
import { type KeyFilter, renderKeyFilter } from './key-filter.ts'
import { brokenParameter, type RequestData } from './parameters.ts'

export interface PolicyRequest extends PolicyContext {
  readonly operation: PolicyOperation
  /** Canonical, with its namespace, without a leading slash; of a list with a slash at the end. */
  readonly path: string
}

export type PolicyOperation = Exclude<Capability, 'sudo'> | 'help'

/** What besides operation and path a decision looks at. */
export interface PolicyContext {
  /** The fields: of the body, of a read or list those of the query. */
  readonly data?: RequestData | undefined
  /** How long the answer is to be kept for one reader, if it is. */
  readonly wrapTtlMs?: number | undefined
  readonly nowMs: number
}

/**
 * Why something is allowed (`root`, `help`, `granted`) or not: no rule covers the path, its rule
 * denies, lacks the capability, wants another wrapping, does not take a field, or a smaller page.
 */
export type Reason =
  | 'root'
  | 'help'
  | 'granted'
  | 'no rule'
  | 'deny'
  | 'capability'
  | 'wrapping'
  | 'parameter'
  | 'page'

export interface Decision {
  readonly allowed: boolean
  readonly isRoot: boolean
  /** Whether `sudo` is given, which root-protected paths ask for besides. */
  readonly sudo: boolean
  readonly reason: Reason
  /** The block that decided: the first that gives, denies, or has the pattern. */
  readonly rule?: RuleShown
  /** All blocks that give what was asked for. */
  readonly granting?: readonly RuleShown[]
  /** The field that was not taken, in lower case; '' for any field. */
  readonly parameter?: string
  /** What the list's `limit` is to be instead of what was asked; 0 for all. */
  readonly limit?: number
  /** Where each listed key must be readable to be shown. */
  readonly filter?: KeyFilter
}

const root: Decision = { allowed: true, isRoot: true, sudo: true, reason: 'root' }
const help: Decision = { allowed: true, isRoot: false, sudo: false, reason: 'help' }
const noRule: Decision = { allowed: false, isRoot: false, sudo: false, reason: 'no rule' }

/** Whether the principal may do what is asked for, and why. */
export const decide = (compiled: CompiledPolicies, request: PolicyRequest): Decision =>
  allowed(compiled, request.operation, request.path, request)

/** What policies say, for `CompiledPolicies.decide` alone. */
export function ruling(
  compiled: CompiledPolicies,
  operation: PolicyOperation,
  path: string,
  request: PolicyContext,
): Decision {
  const { nowMs } = request
  if (compiled.isRootAt(path)) return root
  if (operation === 'help') return help
  const isList = operation === 'list' || operation === 'scan'
  const rule = compiled.find(path, isList, nowMs)
  if (rule === undefined) return noRule
  if ((rule.set & bits.deny) !== 0) return refused(rule, 'deny', bits.deny)
  const need = bits[operation]
  if ((rule.set & need) === 0) return refused(rule, 'capability', need)
  if (!isWrappedAs(rule, request.wrapTtlMs)) return refused(rule, 'wrapping', need)
  if (isList) return ofList(rule, need, request.data)
  // Vault asks this of reads as well, whose fields are those of the query.
  const parameter = operation === 'delete' ? undefined : brokenParameter(rule, request.data)
  if (parameter !== undefined) return { ...refused(rule, 'parameter', need), parameter }
  return granted(rule, need)
}

/** What may be done at a path, with its namespace, sorted: `['root']`, `['deny']` or several. */
export function capabilitiesAt(
  compiled: CompiledPolicies,
  path: string,
  nowMs: number,
): readonly (Capability | 'deny' | 'root')[] {
  if (compiled.isRootAt(path)) return ['root']
  return capabilityNames(compiled.find(path, true, nowMs)?.set ?? 0)
}

/** The keys of a list that may be read, or listed where they end in a slash. */
export function visibleKeys(
  compiled: CompiledPolicies,
  list: {
    readonly filter: KeyFilter
    /** Of the request: '' or `team/a/`. */
    readonly namespace: string
    /** In the namespace, with a slash at the end. */
    readonly path: string
    readonly keys: readonly string[]
    readonly nowMs: number
    /** Whether a path in the namespace is root-protected. */
    isProtected?(path: string): boolean
  },
): readonly string[] {
  const { filter, namespace, path, keys, nowMs } = list
  return keys.filter(key => {
    const local = renderKeyFilter(filter, path, key)
    const isProtected = list.isProtected?.(local) === true
    const decision = readDecision(compiled, namespace + local, nowMs)
    return decision.allowed && (!isProtected || decision.sudo)
  })
}

/** Whether what stands at a path, with its namespace, may be read, or listed if it is a folder. */
export function mayRead(compiled: CompiledPolicies, path: string, nowMs: number): boolean {
  return readDecision(compiled, path, nowMs).allowed
}

function readDecision(compiled: CompiledPolicies, path: string, nowMs: number): Decision {
  return decide(compiled, { operation: path.endsWith('/') ? 'list' : 'read', path, nowMs })
}

function isWrappedAs({ minWrapTtlMs, maxWrapTtlMs }: Rule, ttlMs: number | undefined): boolean {
  if (minWrapTtlMs === 0 && maxWrapTtlMs === 0) return true
  if (ttlMs === undefined || ttlMs < minWrapTtlMs) return false
  return maxWrapTtlMs === 0 || ttlMs <= maxWrapTtlMs
}

function ofList(rule: Rule, need: number, data: RequestData | undefined): Decision {
  const page = pageOf(rule, data)
  if (page === 'refused') return refused(rule, 'page', need)
  const limit = page === undefined ? {} : { limit: page }
  const filter = rule.keyFilter === undefined ? {} : { filter: rule.keyFilter }
  return { ...granted(rule, need), ...limit, ...filter }
}

/** What the limit is to be; undefined where what is asked stands, or nothing is. */
function pageOf(
  { pageLimit, required }: Rule,
  data: RequestData | undefined,
): number | undefined | 'refused' {
  const asked = data !== undefined && Object.hasOwn(data, 'limit') ? data.limit : undefined
  if (pageLimit === 0) return asked === 'max' ? 0 : undefined
  if (asked === 'max') return pageLimit
  // Who must name a limit knows of pages, and is told so by the refusal.
  if (asked === undefined) return required.includes('limit') ? 'refused' : pageLimit
  const number = wholeOf(asked)
  if (number === undefined || number < 0 || number > pageLimit) return 'refused'
  return number === 0 ? pageLimit : undefined
}

function wholeOf(value: unknown): number | undefined {
  if (value === '') return 0
  const number = typeof value === 'string' && /^[-+]?\d{1,15}$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined
}

/** By rule and capability: told once, since rules never change. */
const grants = new WeakMap<Rule, Map<number, Decision>>()

function granted(rule: Rule, need: number): Decision {
  const byNeed = grants.get(rule)
  const known = byNeed?.get(need)
  if (known !== undefined) return known
  const granting = shownOf(rule, need)
  const made: Decision = { ...told(rule, granting), allowed: true, reason: 'granted', granting }
  if (byNeed === undefined) grants.set(rule, new Map([[need, made]]))
  else byNeed.set(need, made)
  return made
}

function refused(rule: Rule, reason: Reason, need: number): Decision {
  return { ...told(rule, shownOf(rule, need)), allowed: false, reason }
}

function told(rule: Rule, shown: readonly RuleShown[]): Pick<Decision, 'isRoot' | 'sudo' | 'rule'> {
  const sudo = (rule.set & bits.sudo) !== 0
  return { isRoot: false, sudo, rule: shown[0] ?? rule.placed[0]!.shown }
}

function shownOf({ placed }: Rule, need: number): readonly RuleShown[] {
  const giving = (one: Placed): boolean => (one.block.set & need) !== 0
  return placed.filter(giving).map(one => one.shown)
}
