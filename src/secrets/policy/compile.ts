/**
 * All policies of one principal, made ready for decisions.
 *
 * Owns the index: a map of the paths that are spelt out, and a tree of the others. Blocks that end
 * at some time are part of it until then; the index is made anew when the time of a question lies
 * beyond, so that what is decided follows from the policies and the time alone.
 */
import type { Rights } from '../../base/allowed.ts'
import { type Decision, type PolicyContext, type PolicyOperation, ruling } from './decide.ts'
import { type Block, bits, type PolicyDocument } from './document.ts'
import { joined, type Placed, type Rule } from './join.ts'
import { patternOf } from './pattern.ts'
import { fillPath, type PolicyIdentity } from './template.ts'
import { PatternTree } from './tree.ts'

/** One policy that a principal has. */
export interface PolicySource {
  readonly policy: string
  /** The path of its namespace: '' or `team/a/`. It says nothing of paths elsewhere. */
  readonly namespace: string
  readonly document: PolicyDocument
}

export interface CompileOptions {
  /** The namespace of a principal that may do everything in it and below. */
  readonly root?: string
  /** What templates stand for; without it they stand for nothing. */
  readonly identity?: PolicyIdentity | undefined
}

/** What decides while no block begins or ceases to hold. */
interface Index {
  readonly exact: ReadonlyMap<string, Rule>
  readonly open: PatternTree<Rule>
  /** Those that give something. */
  readonly giving: readonly Rule[]
  readonly rules: readonly Rule[]
  /** It holds after this moment, and at the last one. */
  readonly afterMs: number
  readonly untilMs: number
}

/** What a principal may do. Made by `compilePolicies`; never changes. */
export class CompiledPolicies implements Rights<PolicyOperation, string, PolicyContext, Decision> {
  readonly root: string | undefined
  readonly sources: readonly PolicySource[]
  readonly options: CompileOptions
  readonly #placed: readonly (readonly [string, readonly Placed[]])[]
  readonly #ends: readonly number[]
  #index: Index

  constructor(sources: readonly PolicySource[], options: CompileOptions) {
    this.root = options.root
    this.sources = sources
    this.options = options
    this.#placed = [...placedByPattern(sources, options.identity)]
    const blocks = this.#placed.flatMap(([, placed]) => placed.map(one => one.block))
    const ends = blocks.flatMap(({ expiresAtMs }) => expiresAtMs ?? [])
    this.#ends = [...new Set(ends)].sort((a, b) => a - b)
    this.#index = this.#indexAt(0)
  }

  /** The same principal with one more policy. */
  with(source: PolicySource): CompiledPolicies {
    return new CompiledPolicies([...this.sources, source], this.options)
  }

  /** What the policies say of an operation at a path, with its namespace. */
  decide(operation: PolicyOperation, path: string, context: PolicyContext): Decision {
    return ruling(this, operation, path, context)
  }

  /** Whether everything is allowed at a path, with its namespace. */
  isRootAt(path: string): boolean {
    return this.root !== undefined && path.startsWith(this.root)
  }

  /** The rule of the very pattern `text`, if there is one. */
  ruleOf(text: string, nowMs: number): Rule | undefined {
    return this.#at(nowMs).exact.get(text)
  }

  /** All rules, in the order in which their patterns were named first. */
  rulesAt(nowMs: number): readonly Rule[] {
    return this.#at(nowMs).rules
  }

  /** The rules that give something. */
  givingAt(nowMs: number): readonly Rule[] {
    return this.#at(nowMs).giving
  }

  /**
   * The rule that decides about a path, with its namespace. A list is asked for with a slash at the
   * end, and is covered by rules for the path without it too; those with it are the more specific
   * ones, so that a `deny` on `a/*` holds for the list of `a/`.
   */
  find(path: string, isList: boolean, nowMs: number): Rule | undefined {
    const { exact, open } = this.#at(nowMs)
    const bare = isList && path.endsWith('/') ? path.slice(0, -1) : undefined
    const spelt = exact.get(path) ?? (bare === undefined ? undefined : exact.get(bare))
    if (spelt !== undefined) return spelt
    return open.find(path) ?? (bare === undefined ? undefined : open.find(bare))
  }

  #at(nowMs: number): Index {
    const { afterMs, untilMs } = this.#index
    if (nowMs <= afterMs || nowMs > untilMs) this.#index = this.#indexAt(nowMs)
    return this.#index
  }

  #indexAt(nowMs: number): Index {
    const rules: Rule[] = []
    for (const [text, placed] of this.#placed) {
      const held = placed.filter(({ block }) => holdsAt(block, nowMs))
      if (held.length > 0) rules.push(joined(patternOf(text), held))
    }
    const exact = rules.filter(rule => rule.pattern.form === 'exact')
    return {
      exact: new Map(exact.map(rule => [rule.pattern.text, rule])),
      open: new PatternTree(rules.filter(rule => rule.pattern.form !== 'exact')),
      giving: rules.filter(rule => rule.set !== 0 && (rule.set & bits.deny) === 0),
      rules,
      afterMs: this.#ends.findLast(end => end < nowMs) ?? Number.NEGATIVE_INFINITY,
      untilMs: this.#ends.find(end => end >= nowMs) ?? Number.POSITIVE_INFINITY,
    }
  }
}

/** The policies of a principal. What is said first holds where only one thing can. */
export function compilePolicies(
  sources: readonly PolicySource[],
  options: CompileOptions = {},
): CompiledPolicies {
  return new CompiledPolicies(sources, options)
}

const holdsAt = ({ expiresAtMs }: Block, nowMs: number): boolean =>
  expiresAtMs === undefined || nowMs <= expiresAtMs

function placedByPattern(
  sources: readonly PolicySource[],
  identity: PolicyIdentity | undefined,
): Map<string, Placed[]> {
  const byPattern = new Map<string, Placed[]>()
  for (const { policy, namespace, document } of sources) {
    for (const block of document.blocks) {
      const { line, isTemplated } = block
      const path = isTemplated ? fillPath(block.path, identity, namespace) : block.path
      if (path === undefined) continue
      const pattern = namespace + path
      const placed = { block, shown: { policy, namespace, line, pattern } }
      const before = byPattern.get(pattern)
      if (before === undefined) byPattern.set(pattern, [placed])
      else before.push(placed)
    }
  }
  return byPattern
}
