/**
 * The audit room of an agent: on the journal of its store, with devices as the configuration says.
 *
 * Owns what devices are given: names are looked up by a resolver of ours, and addresses are held
 * against the guard that checks have.
 */
import { Audit } from '../audit/audit.run.ts'
import type { RuleOf } from '../audit/record.ts'
import { createResolver } from '../base/io/dns2.ts'
import { targetGuard } from '../checks/guard.ts'
import { Principal } from '../identity/resolve.ts'
import type { Store } from '../store/store.ts'
import type { SettledConfig } from './config.ts'
import type { World } from './parts.ts'

/** Makes the room; nothing is fed before it is started. */
export function openAudit(
  { audit, nodeId, dataDir, checkTargetsAllow }: SettledConfig,
  { journal }: Store,
  { clock, random, log, metrics }: World,
): Audit {
  const resolver = createResolver({ clock })
  return new Audit(audit, {
    ...{ journal, clock, random, log, metrics, dataDir, server: nodeId },
    addressesOf: name => resolver.addressesOf(name),
    mayReach: targetGuard(checkTargetsAllow),
    folders: audit.folders,
    ruleOf,
  })
}

/** What decides about a right of a token. */
export const ruleOf: RuleOf = (principal, wanted) => {
  if (!(principal instanceof Principal)) return undefined
  const { reason, rule } = principal.authorizer.explain(wanted)
  const { text = '', policyName: policy = '', line = 0 } = rule ?? {}
  return { reason, text, policy, line }
}
