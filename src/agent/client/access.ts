/**
 * Access control of an agent that is no server: the key that seals what others leave with it, and
 * its own tokens.
 *
 * Owns how these are loaded. Who its clients are is told by the servers (views.ts).
 */
import { loadRegistryKey } from '../../identity/registry-key.run.ts'
import { sealerFor } from '../../identity/registry-key.ts'
import type { SettledConfig } from '../config.ts'
import type { World } from '../parts.ts'
import { OwnTokens } from '../tokens.ts'
import type { ClientAccess } from './compose.ts'

/** Loads what access control stands on. Throws OperatingError with the way out. */
export async function openClientAccess(
  { dataDir, acl }: SettledConfig,
  { random, log }: World,
): Promise<ClientAccess> {
  const key = await loadRegistryKey(dataDir, random)
  const sealer = sealerFor(key, 'agent/token')
  const keptIn = acl.keepsTokens ? dataDir : undefined
  const tokens = new OwnTokens({ configured: acl.tokens, dataDir: keptIn, sealer, log })
  if (acl.enabled) await tokens.load()
  return { key, tokens, isOn: acl.enabled }
}
