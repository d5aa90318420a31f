/**
 * Blocks of one pattern, from whatever policies, as one rule.
 *
 * Owns how they are joined: capabilities add up unless one denies; lists of values add up by the
 * name of a parameter, required names add up, and of limits the lesser one holds. A block that says
 * nothing of parameters takes nothing from what another one says.
 */
import type { HclValue } from '../../hcl/hcl.ts'
import { type Block, bits, type Parameters } from './document.ts'
import type { KeyFilter } from './key-filter.ts'
import type { Pattern } from './pattern.ts'

/** Where a rule comes from, for explanations and the audit. */
export interface RuleShown {
  readonly policy: string
  /** The path of the policy's namespace. */
  readonly namespace: string
  /** Of the policy's text, from 1. */
  readonly line: number
  /** With the namespace, and with the values of templates. */
  readonly pattern: string
}

/** A block in its place. */
export interface Placed {
  readonly block: Block
  readonly shown: RuleShown
}

/** What holds for what a pattern covers. Times are in ms; 0 stands for no limit. */
export interface Rule {
  readonly pattern: Pattern
  readonly set: number
  readonly placed: readonly Placed[]
  readonly required: readonly string[]
  readonly allowed: Parameters
  readonly denied: Parameters
  readonly minWrapTtlMs: number
  readonly maxWrapTtlMs: number
  readonly pageLimit: number
  readonly keyFilter: KeyFilter | undefined
}

/** The rule of blocks that have this pattern; there is at least one. */
export function joined(pattern: Pattern, placed: readonly Placed[]): Rule {
  const blocks = placed.map(one => one.block)
  const set = blocks.reduce((all, block) => all | block.set, 0)
  if ((set & bits.deny) !== 0) return { ...bare, pattern, placed, set: bits.deny }
  return {
    ...{ pattern, set, placed },
    required: unique(blocks.flatMap(block => block.required)),
    allowed: blocks.map(block => block.allowed).reduce(addParameters),
    denied: blocks.map(block => block.denied).reduce(addParameters),
    minWrapTtlMs: blocks.map(block => block.minWrapTtlMs).reduce(lesser),
    maxWrapTtlMs: blocks.map(block => block.maxWrapTtlMs).reduce(lesser),
    pageLimit: blocks.map(block => block.pageLimit).reduce(lesser),
    keyFilter: blocks.find(block => block.keyFilter !== undefined)?.keyFilter,
  }
}

const bare = {
  ...{ required: [], allowed: new Map(), denied: new Map(), minWrapTtlMs: 0, maxWrapTtlMs: 0 },
  ...{ pageLimit: 0, keyFilter: undefined },
}

function addParameters(a: Parameters, b: Parameters): Parameters {
  if (a.size === 0 || b.size === 0) return a.size === 0 ? b : a
  const sum = new Map<string, readonly HclValue[]>(a)
  for (const [name, values] of b) {
    const before = sum.get(name)
    const isAny = values.length === 0 || before?.length === 0
    sum.set(name, isAny ? [] : [...(before ?? []), ...values])
  }
  return sum
}

/** Of two limits the one that holds. */
const lesser = (a: number, b: number): number => (a === 0 ? b : b === 0 ? a : Math.min(a, b))

const unique = (names: readonly string[]): readonly string[] => [...new Set(names)]
