/**
 * What the agent's recovery token may do: see to this agent, whatever became of all policies.
 *
 * Owns those rights alone. Pure.
 */
import type { Who } from '../base/who.ts'
import { compile, named } from './rules/mod.ts'

/** Whoever shows the recovery token of the agent on a node. */
export function recoveryPrincipal(node: string): Who {
  const rules = [named('exact', 'agent', node, 'write'), named('prefix', 'node', '', 'write')]
  const source = { policyId: '', policyName: 'agent-recovery', rules }
  const authorizer = compile([source], { defaultPolicy: 'deny', keyListPolicy: false })
  const rights = `recovery ${authorizer.fingerprint}`
  return { accessor: 'agent-recovery', rights, may: wanted => authorizer.may(wanted) }
}
