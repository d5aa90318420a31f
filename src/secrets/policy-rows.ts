/**
 * Policies as they are kept: by namespace and name.
 *
 * Owns the row, which names mean what is always there, and that a policy is gone once its time is
 * over. What a policy says is read by policy/. Pure.
 */
import { OperatingCode, OperatingError } from '../base/errors.ts'
import {
  defaultPolicy,
  type PolicyDocument,
  PolicyProblem,
  parsePolicy,
  responseWrappingPolicy,
} from './policy/mod.ts'
import type { Draft, Storage } from './storage.ts'

export interface PolicyRow {
  readonly text: string
  /** How often it was written. */
  readonly version: number
  /** Whether whoever writes it must say which version it stands on. */
  readonly casRequired: boolean
  /** 0 where it was never written. */
  readonly modifiedAtMs: number
  /** From then on it is as if it were not there; 0 for never. */
  readonly expiresAtMs: number
}

/** Policies that nobody may write, nor delete. */
export const immutablePolicies: readonly string[] = ['root', 'response-wrapping']

/** Policies by name, but those that were never written. */
export const aclPolicyRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'policies')

/** The name that a policy is kept by, however it is written. */
export const policyName = (name: string): string => name.trim().toLowerCase()

const builtIn = (text: string): PolicyRow => ({
  ...{ text, version: 0, casRequired: false, modifiedAtMs: 0, expiresAtMs: 0 },
})

/** What every namespace has, whether it was ever written there or not. */
const builtIns: ReadonlyMap<string, PolicyRow> = new Map([
  ['default', builtIn(defaultPolicy)],
  ['response-wrapping', builtIn(responseWrappingPolicy)],
])

/** The policy of a name in its form; the same object as long as nobody writes it. */
export function policyAt(draft: Draft, namespaceId: string, name: string): PolicyRow | undefined {
  const row = aclPolicyRows(draft, namespaceId).kept<PolicyRow>(name) ?? builtIns.get(name)
  return row === undefined || isOver(row, draft.now) ? undefined : row
}

/** Whether a policy, if there is one of that name, holds until somebody changes it. */
export const isPolicyForGood = (draft: Draft, namespaceId: string, name: string): boolean =>
  (aclPolicyRows(draft, namespaceId).kept<PolicyRow>(name)?.expiresAtMs ?? 0) === 0

/** Names of all policies of a namespace that can be given to somebody, but `root`. */
export function policyNames(draft: Draft, namespaceId: string): readonly string[] {
  const rows = aclPolicyRows(draft, namespaceId)
  const names = new Set(['default', ...rows.keys()])
  return [...names].filter(name => policyAt(draft, namespaceId, name) !== undefined).sort()
}

const isOver = ({ expiresAtMs }: PolicyRow, nowMs: number): boolean =>
  expiresAtMs > 0 && expiresAtMs <= nowMs

const documents = new WeakMap<PolicyRow, PolicyDocument>()

/** What a policy says. It was read when it was written, so that it can be read now. */
export function documentOf(row: PolicyRow): PolicyDocument {
  const known = documents.get(row)
  if (known !== undefined) return known
  const document = parsePolicy(row.text)
  if (document instanceof PolicyProblem) {
    throw new OperatingError(OperatingCode.damaged, 'a policy that is kept cannot be read')
  }
  documents.set(row, document)
  return document
}
