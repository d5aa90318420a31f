/**
 * The audit room of an agent: on the journal of its store, with devices as the configuration says.
 *
 * Owns what devices are given: names are looked up by a resolver of ours, and addresses are held
 * against the guard that checks have.
 */
import { Audit } from '../audit/audit.run.ts'
import { createResolver } from '../base/io/dns2.ts'
import { targetGuard } from '../checks/guard.ts'
import type { Store } from '../store/store.ts'
import type { World } from './compose.ts'
import type { SettledConfig } from './config.ts'

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
  })
}
