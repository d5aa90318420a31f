/**
 * A policy as data: blocks for paths, and what each gives.
 *
 * Owns the types and the closed list of capabilities. Must never know how a policy is written
 * (parse.ts) nor how blocks are joined and found (join.ts, tree.ts). Follows the policy language of
 * Vault and OpenBao (docs: concepts/policies).
 */
import { Refusal } from '../../base/errors.ts'
import type { HclValue } from '../../hcl/hcl.ts'
import type { KeyFilter } from './key-filter.ts'

/** What a block can give, in the order of the alphabet, as lists of capabilities are told. */
export const capabilities = [
  'create',
  'delete',
  'list',
  'patch',
  'read',
  'scan',
  'sudo',
  'update',
] as const
export type Capability = (typeof capabilities)[number]

/** A bit for each capability; `deny` stands alone. */
export const bits: Readonly<Record<Capability | 'deny', number>> = {
  create: 1,
  delete: 2,
  list: 4,
  patch: 8,
  read: 16,
  scan: 32,
  sudo: 64,
  update: 128,
  deny: 256,
}

/** The capabilities of a set of bits, sorted; `deny` where it denies or gives nothing. */
export function capabilityNames(set: number): readonly (Capability | 'deny')[] {
  const given = capabilities.filter(one => (set & bits[one]) !== 0)
  return (set & bits.deny) !== 0 || given.length === 0 ? ['deny'] : given
}

/** Values by the name of a parameter, in lower case; an empty list stands for any value. */
export type Parameters = ReadonlyMap<string, readonly HclValue[]>

/** One `path` block. Times are in ms; 0 and '' stand for what is not said. */
export interface Block {
  /** As it is written, without a leading slash; it may hold templates. */
  readonly path: string
  readonly isTemplated: boolean
  /** Where it begins in its text, from 1. */
  readonly line: number
  /** Bits; that of `deny` excludes the others. */
  readonly set: number
  /** Names in lower case. */
  readonly required: readonly string[]
  readonly allowed: Parameters
  readonly denied: Parameters
  readonly minWrapTtlMs: number
  readonly maxWrapTtlMs: number
  readonly mfaMethods: readonly string[]
  /** The last moment at which the block holds. */
  readonly expiresAtMs: number | undefined
  readonly pageLimit: number
  readonly keyFilter: KeyFilter | undefined
  readonly comment: string
}

export interface PolicyDocument {
  readonly blocks: readonly Block[]
  /** Whether what it gives depends on the entity. */
  readonly isTemplated: boolean
}

/** Why a text is no policy: 400, or 501 where it asks for what is not served yet. */
export class PolicyProblem extends Refusal {
  readonly line: number

  constructor(status: 400 | 501, text: string, line: number) {
    super(status, text)
    this.line = line
  }
}
