/**
 * What the services of the registry ask of their server.
 *
 * Owns the types of the ports alone.
 */
import type { Clock, Random } from '../../base/clock.ts'
import type { Authority, Who } from '../../base/who.ts'
import type { ClusterPort } from '../../cluster/port.ts'
import type { Identity } from '../../identity/room.run.ts'
import type { KvBounds } from '../../registry/kv.ts'
import type { AgentPort } from '../../registry/local.ts'
import type { Registry } from '../../registry/room.run.ts'
import type { Asker } from '../../store/ask.ts'
import type { Snapshots } from '../../store/snapshot.ts'

/** How long reads may block, as the configuration has it. */
export interface ReadWaits {
  readonly queryWaitDefaultMs: number
  readonly queryWaitMaxMs: number
}

export interface RegistryGrpcPorts {
  readonly registry: Registry
  readonly asker: Asker
  readonly authority: Authority
  readonly clock: Clock
  readonly random: Random
  readonly identity: { readonly datacenter: string; readonly nodeName: string }
  readonly bounds: KvBounds
  readonly waits: () => ReadWaits
  /** What this server's own agent keeps registered. */
  readonly agent: AgentPort
  readonly cluster: ClusterPort
  readonly snapshots: Snapshots
  /** Undefined where ACLs are off. */
  readonly acl: { readonly room: Identity } | undefined
  /**
   * Answers a message of the DNS as it would be over this transport, by the agent's own rights or
   * those of `seer`; undefined where it does not.
   */
  readonly dns: (
    query: Buffer,
    transport: 'udp' | 'tcp',
    address: string,
    seer?: Who,
  ) => Promise<Buffer | undefined>
  /** Reads the configuration anew; gives what is wrong with it, in which case nothing changed. */
  readonly reload: () => Promise<readonly string[]>
}
