/**
 * The sinks of a server: those of its configuration, and those that are stored.
 *
 * Owns with whose rights each follows: those of the configuration with their own token, else the
 * agent's default one; stored ones with their own, else as anybody. Decides nothing.
 */
import type { Feeds } from '../feed/feed.run.ts'
import { followAs } from '../feed/follow.run.ts'
import { sinkKinds } from '../feed/sink/mod.ts'
import { StoredSinks } from '../feed/sink/stored.run.ts'
import { feedTexts } from '../http/registry/feed.ts'
import { createWire } from '../http/registry/wire.ts'
import { sealerFor } from '../identity/registry-key.ts'
import type { Store } from '../store/store.ts'
import type { AccessControl } from './access.ts'
import type { SettledConfig } from './config.ts'
import type { World } from './parts.ts'
import { AgentSinks } from './sinks.ts'

/** The sinks of a server: those of its configuration, and those that are stored. */
export function serverSinks(
  { checkTargetsAllow: allow, datacenter, nodeName }: SettledConfig,
  { store, access, feeds }: { store: Store; access: AccessControl; feeds: Feeds },
  { clock, random, log, metrics, environment }: World,
): { readonly sinks: AgentSinks; readonly storedSinks: StoredSinks } {
  const { authority, writer, key } = access
  const ports = { feeds, authority, clock, texts: feedTexts(createWire(datacenter)) }
  const sinks = new AgentSinks({
    ...{ clock, random, log, metrics, environment, allow },
    // Who shows none has the agent's default one.
    followAs: token => followAs(ports, token),
  })
  const storedSinks = new StoredSinks({
    ...{ clock, random, log, portsOf: sinks.portsOf, kinds: sinkKinds },
    ...{ store, writer, nodeName, sealer: sealerFor(key, 'feed/sink') },
    followAs: token => followAs(ports, token || ANONYMOUS),
  })
  sinks.count(() => storedSinks.running)
  return { sinks, storedSinks }
}

/** The secret of the anonymous token: what others store is not followed as the server itself. */
const ANONYMOUS = 'anonymous'
