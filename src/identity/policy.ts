/**
 * The rules of ACL policies: create, change, delete, and their reads.
 *
 * Owns names, ids and the two policies that every server has. Semantics and texts follow Consul's
 * API (/v1/acl/policy). Pure.
 */
import { type Bytes, fromText } from '../base/bytes.ts'
import { refuse } from '../base/denied.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { access, type Who } from '../base/who.ts'
import type { Question } from '../store/ask.ts'
import { type Decision, del, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { type PolicyRow, policies } from '../store/tables/acl.ts'
import { fold, scope } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import { globalRules, parseRules, printRules, RulesProblem } from './rules/mod.ts'

export type PolicyRequest = Omit<PolicyRow, 'id'>

/** The policies that every server has: what they give is not changed, and they stay. */
export const builtinPolicies: readonly PolicyRow[] = [
  {
    id: '00000000-0000-0000-0000-000000000001',
    name: 'global-management',
    description: 'Everything may be read and written',
    rules: printRules(globalRules('write')),
    datacenters: [],
  },
  {
    id: '00000000-0000-0000-0000-000000000002',
    name: 'builtin/global-read-only',
    description: 'Everything may be read',
    rules: printRules(globalRules('read')),
    datacenters: [],
  },
]

export const MANAGEMENT_POLICY_ID = builtinPolicies[0]!.id

const builtinOf = (id: string): PolicyRow | undefined =>
  builtinPolicies.find(policy => policy.id === id)

const NAME = /^[A-Za-z0-9_-]+(?:\/[A-Za-z0-9_-]*)?$/
const DATACENTER = /^[a-z0-9_-]{1,64}$/i

/** Creates a policy under a new id; the answer is the row. */
export function createPolicy(
  view: Reader,
  who: Who,
  id: string,
  request: PolicyRequest,
): Decision<PolicyRow> | Refusal {
  const refusal = refuse(who, [access('write', 'acl')]) ?? problemOf(view, id, request)
  return refusal ?? putPolicy({ id, ...request })
}

/** Puts another policy in the place of the one with this id. */
export function updatePolicy(
  view: Reader,
  who: Who,
  id: string,
  request: PolicyRequest,
): Decision<PolicyRow> | Refusal {
  const refusal = refuse(who, [access('write', 'acl')])
  if (refusal !== undefined) return refusal
  const existing = view.get(policies, fromText(id))
  if (existing === undefined) return new Refusal(500, `cannot find policy ${shown(id)}`)
  const builtin = builtinOf(id)
  if (builtin !== undefined) {
    const changed = (['rules', 'datacenters'] as const).find(
      field => JSON.stringify(request[field]) !== JSON.stringify(builtin[field]),
    )
    if (changed !== undefined) {
      const what = changed === 'rules' ? 'Rules for' : 'Datacenters of'
      return new Refusal(
        500,
        `Changing the ${what} the builtin ${builtin.name} policy is not permitted`,
      )
    }
  }
  return problemOf(view, id, request) ?? putPolicy({ id, ...request })
}

const putPolicy = (policy: PolicyRow): Decision<PolicyRow> => ({
  txn: [put(policies, fromText(policy.id), policy)],
  answer: policy,
})

/** Deletes a policy; links to it count for nothing from then on. The answer is whether it was. */
export function deletePolicy(view: Reader, who: Who, id: string): Decision<boolean> | Refusal {
  const refusal = refuse(who, [access('write', 'acl')])
  if (refusal !== undefined) return refusal
  const builtin = builtinOf(id)
  if (builtin !== undefined) {
    return new Refusal(500, `Delete operation not permitted on the builtin ${builtin.name} policy`)
  }
  if (view.get(policies, fromText(id)) === undefined) return { txn: [], answer: false }
  return { txn: [del(policies, fromText(id))], answer: true }
}

function problemOf(view: Reader, id: string, request: PolicyRequest): Refusal | undefined {
  const { name, rules, description, datacenters } = request
  if (name === '') return new Refusal(500, 'Invalid Policy: no Name is set')
  // The names of those that every server has begin with a word of their own.
  if (!NAME.test(name) || name.length > limits.aclNameChars) {
    return new Refusal(
      500,
      `Invalid Policy: invalid Name. Only alphanumeric characters, a single '/', '-' and '_' are allowed`,
    )
  }
  if (name.toLowerCase().startsWith(RESERVED)) {
    const why = `Names cannot be prefixed with '/' or '${RESERVED}'`
    return new Refusal(500, `Invalid Policy: invalid Name. ${why}`)
  }
  if (description.length > limits.aclDescriptionChars) {
    return new Refusal(500, 'Invalid Policy: the Description is too long')
  }
  if (datacenters.length > limits.aclLinks || !datacenters.every(dc => DATACENTER.test(dc))) {
    return new Refusal(500, 'Invalid Policy: Datacenters must be names of datacenters')
  }
  const parsed = parseRules(rules)
  if (parsed instanceof RulesProblem) return new Refusal(500, parsed.text)
  const [other] = view.find(policies, 'name', fold(name), 1)
  if (other !== undefined && other.row.id !== id) {
    return new Refusal(500, `Invalid Policy: A Policy with Name ${shown(name)} already exists`)
  }
  return undefined
}

/** Names that only policies of ours have. */
const RESERVED = 'builtin/'

export const shown = (text: string): string => JSON.stringify(text.slice(0, SHOWN_CHARS))
const SHOWN_CHARS = 128

// --- reads

/** All policies. */
export function allPolicies(who: Who): Question<Iterable<Cell<PolicyRow>>> | Refusal {
  return (
    refuse(who, [access('read', 'acl')]) ?? {
      key: 'acl-policies',
      target: { scope: scope.aclPolicies },
      newest: view => view.newest(policies),
      read: view => view.entries(policies),
    }
  )
}

/** The policy with an id. */
export function policyById(who: Who, id: string): Question<Cell<PolicyRow> | undefined> | Refusal {
  const key: Bytes = fromText(id)
  return (
    refuse(who, [access('read', 'acl')]) ?? {
      key: `acl-policy ${key}`,
      target: { scope: scope.aclPolicies },
      newest: view => view.newest(policies),
      read: view => view.get(policies, key),
    }
  )
}

/** The policy with a name, which is compared without case. */
export function policyByName(
  who: Who,
  name: string,
): Question<Cell<PolicyRow> | undefined> | Refusal {
  return (
    refuse(who, [access('read', 'acl')]) ?? {
      key: `acl-policy-name ${fold(name)}`,
      target: { scope: scope.aclPolicies },
      newest: view => view.newest(policies),
      read: view => view.find(policies, 'name', fold(name), 1)[0],
    }
  )
}
