/**
 * Conditions: expressions that must hold for what a request does, beside the rights to do it.
 *
 * Owns row, codec, key and scope. What an expression may say and when one is asked is the identity
 * room's (condition/).
 */
import { defineTable, jsonCodec } from '../table.ts'
import { fold, scope } from './names.ts'

/** What becomes of a request for which a condition does not hold. */
export const ConditionLevel = {
  /** It goes on, and is noted. */
  advisory: 'advisory',
  /** It is refused, unless somebody with `acl:write` asks that it be passed over. */
  softMandatory: 'soft-mandatory',
  /** It is refused, whoever asks. */
  hardMandatory: 'hard-mandatory',
} as const
export type ConditionLevel = (typeof ConditionLevel)[keyof typeof ConditionLevel]

/** What a condition governs: writes of a resource, by its names, or logins. */
export interface ConditionOperation {
  /** A resource of rules, or `login`. */
  readonly resource: string
  /** The one name that is governed; for logins that of the auth method. */
  readonly name: string | undefined
  /** The beginning of the names that are governed; with neither, all are. */
  readonly prefix: string | undefined
}

export interface ConditionRow {
  /** As it was written; the key is its folded form. */
  readonly name: string
  readonly description: string
  readonly expression: string
  readonly level: ConditionLevel
  readonly operations: readonly ConditionOperation[]
  readonly enabled: boolean
}

/** The key is the name without case. One guard stands for all, since every write reads them all. */
export const conditions = defineTable<ConditionRow>({
  name: 'acl-conditions',
  prefix: 'acl/condition/',
  codec: jsonCodec(),
  guard: () => '',
  scopes: () => [scope.conditions],
})

export const conditionKey = fold
