/**
 * What a principal may do as a whole: for a user interface, and for what it is shown of mounts.
 *
 * Owns the form of `sys/internal/ui/resultant-acl`, and when a rule reaches below a path. Must
 * never decide about a request.
 */
import type { HclValue } from '../../hcl/hcl.ts'
import type { CompiledPolicies } from './compile.ts'
import { capabilitiesAt } from './decide.ts'
import { capabilityNames, type Parameters } from './document.ts'
import type { Rule } from './join.ts'
import { isPlus, type Pattern } from './pattern.ts'

/** One path of the answer; times in seconds. */
interface PathShown {
  readonly capabilities: readonly string[]
  readonly min_wrapping_ttl?: number
  readonly max_wrapping_ttl?: number
  readonly allowed_parameters?: Readonly<Record<string, readonly HclValue[]>>
  readonly denied_parameters?: Readonly<Record<string, readonly HclValue[]>>
  readonly required_parameters?: readonly string[]
}

export interface ResultantAcl {
  readonly root: boolean
  /** Absent for root, as are the others. */
  readonly exact_paths?: Readonly<Record<string, PathShown>>
  /** Without the `*`; patterns with `+` are not told, as in Vault. */
  readonly glob_paths?: Readonly<Record<string, PathShown>>
}

/** The answer of `sys/internal/ui/resultant-acl`. */
export function resultantAcl(compiled: CompiledPolicies, nowMs: number): ResultantAcl {
  if (compiled.root !== undefined) return { root: true }
  const rules = compiled.rulesAt(nowMs)
  return {
    root: false,
    exact_paths: pathsOf(rules.filter(rule => rule.pattern.form === 'exact')),
    glob_paths: pathsOf(rules.filter(rule => rule.pattern.form === 'prefix')),
  }
}

/**
 * Whether anything is given at a mount or below it. `path` is that of the mount, with its namespace
 * and the slash at its end. What denies a part of it is not looked at.
 */
export function reaches(compiled: CompiledPolicies, path: string, nowMs: number): boolean {
  if (capabilitiesAt(compiled, path, nowMs)[0] !== 'deny') return true
  const segments = path.split('/').slice(0, -1)
  return compiled.givingAt(nowMs).some(({ pattern }) => reachesBelow(pattern, path, segments))
}

function reachesBelow(pattern: Pattern, path: string, segments: readonly string[]): boolean {
  if (pattern.form !== 'segments') return pattern.stem.startsWith(path)
  for (const [at, segment] of segments.entries()) {
    const own = pattern.segments[at]
    if (own === undefined) return false
    if (isPlus(own) || own === segment) continue
    return pattern.isOpen && at === pattern.segments.length - 1 && segment.startsWith(own)
  }
  return true
}

function pathsOf(rules: readonly Rule[]): Readonly<Record<string, PathShown>> {
  return Object.fromEntries(rules.map(rule => [rule.pattern.stem, shown(rule)]))
}

function shown({ set, required, allowed, denied, minWrapTtlMs, maxWrapTtlMs }: Rule): PathShown {
  return {
    capabilities: capabilityNames(set),
    ...(minWrapTtlMs > 0 ? { min_wrapping_ttl: Math.floor(minWrapTtlMs / 1000) } : {}),
    ...(maxWrapTtlMs > 0 ? { max_wrapping_ttl: Math.floor(maxWrapTtlMs / 1000) } : {}),
    ...(allowed.size > 0 ? { allowed_parameters: plain(allowed) } : {}),
    ...(denied.size > 0 ? { denied_parameters: plain(denied) } : {}),
    ...(required.length > 0 ? { required_parameters: required } : {}),
  }
}

const plain = (parameters: Parameters): Readonly<Record<string, readonly HclValue[]>> =>
  Object.fromEntries(parameters)
