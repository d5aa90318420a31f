/**
 * The service by which a server that is unsealed opens another one of its cluster.
 *
 * Owns its method, and whom the root key goes to: a server by its certificate that the list of
 * servers has, over mutual TLS between these two. It is asked for by nobody else, and never logged.
 */
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { RpcFailure, type RpcService } from '../base/rpc.ts'
import type { AgentChannel, ServerAddress } from './channels.ts'
import { defineUnary, handleUnary } from './define.ts'

/** Hands the root key to another server of the cluster. */
export const handOver = defineUnary<{ halts?: number }, { rootKey?: Buffer }>(
  'gatehouse/agent/v1/seal.proto',
  'gatehouse.agent.v1.Seal/HandOver',
  'servers',
)

/** What the service stands on. */
export interface SealServicePorts {
  /** Whether a node is one of the servers, and was not told to go. */
  isServer(nodeId: string): boolean
  /** A copy of the root key, or why there is none for whoever knows of so many halts. */
  handOver(halts: number): Buffer | Refusal
  /** Tells that the root key went to a server. */
  handed(nodeId: string): void
}

/** The handler. */
export const sealService = (ports: SealServicePorts): RpcService => [
  handleUnary(handOver, async ({ halts = 0 }, { peer }) => {
    if (!ports.isServer(peer.nodeId)) {
      throw new RpcFailure('PERMISSION_DENIED', 'not a server of this cluster', true)
    }
    const rootKey = ports.handOver(halts)
    if (rootKey instanceof Refusal) throw new RpcFailure('FAILED_PRECONDITION', rootKey.text, true)
    ports.handed(peer.nodeId)
    return { rootKey }
  }),
]

/**
 * The root key of the first server that gives it; undefined where none does. One is asked after the
 * other, so that no more copies of it are under way than are needed.
 */
export async function askForRootKey(
  channel: Pick<AgentChannel, 'call'>,
  others: readonly ServerAddress[],
  halts: number,
): Promise<Buffer | undefined> {
  for (const to of others) {
    try {
      const { rootKey } = await channel.call(to, handOver, { halts }, limits.serverBeatTimeoutMs)
      if (rootKey !== undefined && rootKey.length > 0) return rootKey
    } catch {
      // Sealed too, or away: the next one may do it, and all are asked again soon.
    }
  }
  return undefined
}
