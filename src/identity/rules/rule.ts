/**
 * Consul's rule language as data: what a rule is, which kinds there are, which levels it gives.
 *
 * Owns the types and the closed lists of words; must never know how rules are written (parse.ts,
 * print.ts) nor what they decide (consul.ts). Names are data here, never pieces of text.
 */

/** What a rule gives. `list` implies `read`, `write` implies both; `list` exists for keys only. */
export const levels = ['deny', 'read', 'list', 'write'] as const
export type Level = (typeof levels)[number]

/** Kinds whose rules are plain assignments: `operator = "read"`. */
export const scalarKinds = ['acl', 'keyring', 'mesh', 'operator', 'peering'] as const
export type ScalarKind = (typeof scalarKinds)[number]

/** Kinds whose rules are blocks, exact (`key "a"`) or of a prefix (`key_prefix "a"`). */
export const namedKinds = [
  'agent',
  'event',
  'identity',
  'key',
  'node',
  'query',
  'service',
  'session',
] as const
export type NamedKind = (typeof namedKinds)[number]

export interface ScalarRule {
  readonly form: 'scalar'
  readonly kind: ScalarKind
  readonly level: Level
  /** Where the rule stands in its text, from 1; 0 for a rule that was never text. */
  readonly line: number
}

export interface NamedRule {
  readonly form: 'exact' | 'prefix'
  readonly kind: NamedKind
  readonly name: string
  readonly level: Level
  /** Of services and identities only; undefined follows the level. */
  readonly intentions: Level | undefined
  readonly line: number
}

export type Rule = ScalarRule | NamedRule

/** The rules of one text, in its order. */
export type Rules = readonly Rule[]

/** Why a text is no set of rules; `text` is what clients are told. */
export class RulesProblem {
  readonly text: string
  readonly line: number

  constructor(text: string, line: number) {
    this.text = text
    this.line = line
  }
}

/** A rule that was never text: `key_prefix "a"` is `named('prefix', 'key', 'a', …)`. */
export function named(
  form: NamedRule['form'],
  kind: NamedKind,
  name: string,
  level: Level,
  intentions?: Level,
): NamedRule {
  return { form, kind, name, level, intentions, line: 0 }
}

/** As `named`, for the kinds without names. */
export function scalar(kind: ScalarKind, level: Level): ScalarRule {
  return { form: 'scalar', kind, level, line: 0 }
}
