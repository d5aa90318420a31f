/**
 * The cluster as faces see it: what is told of servers, and what may be asked of them.
 *
 * Owns the port and the words about its facts. Who is in is known by whoever implements it.
 */
import type { WallMs } from '../base/brand.ts'
import { refuse } from '../base/denied.ts'
import { Refusal } from '../base/errors.ts'
import { access, type Who } from '../base/who.ts'
import type { ServerRow } from '../store/tables/server.ts'

/** What is told of a server. */
export interface ServerFacts {
  readonly nodeId: string
  readonly name: string
  readonly address: string
  readonly ports: ServerRow['ports']
  readonly secretsUrl?: string | undefined
  readonly hasAcl: boolean
  readonly meta: Readonly<Record<string, string>>
  readonly status: 'alive' | 'leaving' | 'left' | 'failed'
  /** Whether it holds the timekeeper's role. */
  readonly isLeader: boolean
  /** Whether it counts where a majority decides. */
  readonly isVoter: boolean
  readonly isHealthy: boolean
  /** Since when it is as healthy as it is. */
  readonly stableSince: WallMs
  /** Since it was in touch with the others, as far as this server knows. */
  readonly lastContactMs: number
  readonly term: number
  readonly lastIndex: number
  /** The highest feature level that it speaks. */
  readonly level: number
}

/** An agent that is no server, as the catalog has it. */
export interface ClientFacts {
  readonly name: string
  readonly nodeId: string
  readonly address: string
  readonly isAlive: boolean
  readonly version: string
}

/** The cluster, as far as faces need it. */
export interface ClusterPort {
  /** Servers by name, also those that failed or left. */
  servers(): readonly ServerFacts[]
  /** The one that holds the timekeeper's role; undefined while none is known. */
  leader(): ServerFacts | undefined
  /** How many servers may fail before nothing can be written. */
  failureTolerance(): number
  /** Agents that are no servers, one after the other. */
  clients(): Iterable<ClientFacts | undefined>
  /** Moves the timekeeper's role, to any other server for ''. */
  transfer(who: Who, nodeId: string): Promise<true | Refusal>
  /** Takes a server that failed off the list of those who decide. */
  removePeer(who: Who, server: ServerFacts): Promise<true | Refusal>
  /** Takes whoever failed for one that left; with `prune` it is forgotten. Unknown: undefined. */
  forceLeave(who: Who, name: string, prune: boolean): Promise<true | Refusal | undefined>
}

/** The servers that somebody may know of. */
export const serversSeen = (
  cluster: Pick<ClusterPort, 'servers'>,
  who: Who,
): readonly ServerFacts[] => cluster.servers().filter(({ name }) => mayKnow(who, name))

/** Agents that are no servers of which somebody may know, as those come; undefined for others. */
export function* clientsSeen(
  cluster: Pick<ClusterPort, 'clients'>,
  who: Who,
): Iterable<ClientFacts | undefined> {
  for (const client of cluster.clients()) {
    yield client !== undefined && mayKnow(who, client.name) ? client : undefined
  }
}

const mayKnow = (who: Who, name: string): boolean => who.may(access('read', 'node', name))

/** `ip:port`, as Consul writes the address of a server. */
export const serverAddress = ({
  address,
  ports,
}: Pick<ServerFacts, 'address' | 'ports'>): string =>
  address.includes(':') ? `[${address}]:${ports.server}` : `${address}:${ports.server}`

/** The servers that count where a majority decides. */
export const peersOf = (cluster: Pick<ClusterPort, 'servers'>): ServerFacts[] =>
  cluster.servers().filter(({ status }) => status !== 'left')

/** A server by the id of its node, or by where other agents reach it: ip:port. */
export type PeerName = { readonly nodeId: string } | { readonly address: string }

/** The server that somebody who may write operator wants off the list of those who decide. */
export function peerToRemove(
  cluster: Pick<ClusterPort, 'servers'>,
  who: Who,
  name: PeerName,
): ServerFacts | Refusal {
  const lacking = refuse(who, [access('write', 'operator')])
  if (lacking !== undefined) return lacking
  const peers = peersOf(cluster)
  const server = peers.find(peer =>
    'nodeId' in name ? peer.nodeId === name.nodeId : serverAddress(peer) === name.address,
  )
  if (server === undefined) {
    const given = 'nodeId' in name ? `id ${quoted(name.nodeId)}` : `address ${quoted(name.address)}`
    return new Refusal(500, `${given} was not found in the Raft configuration`)
  }
  if (peers.length === 1) return new Refusal(500, 'need at least one voter in configuration')
  return server
}

const SHOWN_CHARS = 256
const quoted = (given: string): string => JSON.stringify(given.slice(0, SHOWN_CHARS))
