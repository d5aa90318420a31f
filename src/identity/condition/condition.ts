/**
 * The rules of conditions: put, delete, and their reads.
 *
 * Owns what a condition may say. One that could never be evaluated is refused when it is written,
 * with the place of what is wrong. Our own addition beside Consul's ACL system. Pure.
 */
import { refuse } from '../../base/denied.ts'
import { same } from '../../base/equal.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { access, type Who } from '../../base/who.ts'
import type { Question } from '../../store/ask.ts'
import { type Decision, del, put } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import {
  ConditionLevel,
  type ConditionOperation,
  type ConditionRow,
  conditionKey,
  conditions,
} from '../../store/tables/acl-condition.ts'
import { scope } from '../../store/tables/names.ts'
import type { Reader } from '../../store/view.ts'
import { compileCondition, isProgram } from './program.ts'

/**
 * Writes a condition; an equal one changes nothing. With `cas` only if its ModifyIndex is that,
 * with 0 only if there is none; false where that is not so.
 */
export function putCondition(
  view: Reader,
  who: Who,
  row: ConditionRow,
  cas?: number,
): Decision<ConditionRow | false> | Refusal {
  const refusal = refuseAcl(who, 'write') ?? refuseCondition(row)
  if (refusal !== undefined) return refusal
  const key = conditionKey(row.name)
  const existing = view.get(conditions, key)
  if (cas !== undefined && (existing?.modifyIndex ?? 0) !== cas) return { txn: [], answer: false }
  if (existing !== undefined && same(existing.row, row)) return { txn: [], answer: row }
  if (existing === undefined && view.prefix(conditions, '').length >= limits.conditions) {
    return invalid(`there are ${limits.conditions} conditions already`)
  }
  return { txn: [put(conditions, key, row)], answer: row }
}

/**
 * Deletes a condition, whether or not conditions hold: by `acl:write` alone. With `cas` only at
 * that ModifyIndex; false where it has another.
 */
export function deleteCondition(
  view: Reader,
  who: Who,
  name: string,
  cas?: number,
): Decision<boolean> | Refusal {
  const refusal = refuseAcl(who, 'write')
  if (refusal !== undefined) return refusal
  const key = conditionKey(name)
  const existing = view.get(conditions, key)
  if (existing === undefined) return new Refusal(404, 'Cannot find condition to delete')
  if (cas !== undefined && existing.modifyIndex !== cas) return { txn: [], answer: false }
  return { txn: [del(conditions, key)], answer: true }
}

/** All conditions, by name. */
export function allConditions(who: Who): Question<Iterable<Cell<ConditionRow>>> | Refusal {
  return (
    refuseAcl(who, 'read') ?? {
      key: 'acl-conditions',
      target: { scope: scope.conditions },
      newest: view => view.newest(conditions),
      read: view => view.entries(conditions),
    }
  )
}

/** One condition, or undefined. An absent one has the whole table's index. */
export function conditionByName(
  who: Who,
  name: string,
): Question<Cell<ConditionRow> | undefined> | Refusal {
  const key = conditionKey(name)
  return (
    refuseAcl(who, 'read') ?? {
      key: `acl-condition ${key}`,
      target: { table: conditions.name, key },
      newest: view => view.get(conditions, key)?.modRevision ?? view.newest(conditions),
      read: view => view.get(conditions, key),
    }
  )
}

const refuseAcl = (who: Who, capability: 'read' | 'write'): Refusal | undefined =>
  refuse(who, [access(capability, 'acl')])

const invalid = (text: string): Refusal => new Refusal(400, `Invalid condition: ${text}`)

const NAME = /^[A-Za-z0-9_-]{1,128}$/
const LEVELS: readonly string[] = Object.values(ConditionLevel)

/** Resources whose rights are on names, and those that are one thing. */
const NAMED = [
  ...['agent', 'event', 'identity', 'intention', 'key', 'login', 'node', 'query', 'service'],
  'session',
]
const SINGLE = ['acl', 'keyring', 'mesh', 'operator', 'peering']

function refuseCondition(row: ConditionRow): Refusal | undefined {
  if (!NAME.test(row.name)) {
    return invalid("invalid Name. Only alphanumeric characters, '-' and '_' are allowed")
  }
  if (row.description.length > limits.conditionTextChars) {
    return invalid(`Description is longer than ${limits.conditionTextChars} characters`)
  }
  if (!LEVELS.includes(row.level)) return invalid(`Level should be one of: ${LEVELS.join(', ')}`)
  if (row.operations.length === 0) return invalid('Operations must say what is governed')
  if (row.operations.length > limits.conditionOperations) {
    return invalid(`Operations are more than ${limits.conditionOperations}`)
  }
  for (const operation of row.operations) {
    const problem = operationProblem(operation)
    if (problem !== undefined) return invalid(problem)
  }
  const compiled = compileCondition(row.expression)
  if (isProgram(compiled)) return undefined
  const { line, column, problem } = compiled
  return invalid(`Expression, line ${line}, column ${column}: ${problem}`)
}

function operationProblem({ resource, name, prefix }: ConditionOperation): string | undefined {
  if (![...NAMED, ...SINGLE].includes(resource)) {
    const all = [...NAMED, ...SINGLE].sort().join(', ')
    return `Resource of an operation should be one of: ${all}`
  }
  if (name !== undefined && prefix !== undefined) {
    return 'an operation cannot have both a Name and a Prefix'
  }
  const given = name ?? prefix
  if (given === undefined) return undefined
  if (SINGLE.includes(resource)) return `the resource ${resource} has no names`
  if (given === '') return 'a Name or Prefix of an operation is empty'
  return given.length > limits.conditionTextChars
    ? `a Name or Prefix is longer than ${limits.conditionTextChars} characters`
    : undefined
}
