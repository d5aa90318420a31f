/**
 * The service that lets agents into the cluster and keeps them in it: the only one for those
 * without a certificate.
 *
 * Owns its methods and what they answer. The secret of a join token never goes over the wire: each
 * side shows that it knows it. Keys of servers are told to servers alone.
 */
import type { Refusal } from '../base/errors.ts'
import { type RpcCode, RpcFailure, type RpcOut, type RpcService } from '../base/rpc.ts'
import type { AgentsCa } from '../cluster/ca.run.ts'
import { isRefusal } from '../store/store.ts'
import type { ServerAddress } from './channels.ts'
import { defineStream, defineUnary, handleStream, handleUnary } from './define.ts'

const PROTO = 'gatehouse/agent/v1/join.proto'

/** Lets in an agent that shows that it knows a join token. */
export const enter = defineUnary<EnterRequest, EnterAnswer>(
  PROTO,
  'gatehouse.agent.v1.Join/Enter',
  'anybody',
)

/** A new certificate for the same key. */
export const renewLeaf = defineUnary<RenewRequest, RenewAnswer>(
  PROTO,
  'gatehouse.agent.v1.Join/Renew',
  'anybody',
)

/** Servers that found a cluster get to know each other. */
export const meet = defineUnary<MeetRequest, MeetAnswer>(
  PROTO,
  'gatehouse.agent.v1.Join/Meet',
  'anybody',
)

/** Proposes by whom the cluster is founded. */
export const agree = defineUnary<AgreeRequest, AgreeAnswer>(
  PROTO,
  'gatehouse.agent.v1.Join/Agree',
  'anybody',
)

/** Tells whom to trust, now and whenever that changes. */
export const followTrust = defineStream<object, TrustNews>(
  PROTO,
  'gatehouse.agent.v1.Join/Follow',
  'agents',
)

export interface EnterRequest {
  readonly tokenId: string
  readonly proof: Buffer
  readonly csr: Buffer
  readonly nodeId: string
  readonly nodeName: string
  readonly kind: string
}

export interface EnterAnswer extends RenewAnswer {
  readonly proof: Buffer
  readonly clusterId: string
  readonly keys?: ServerKeys | null
}

/** What a server gets besides. */
export interface ServerKeys {
  readonly clusterKey: Buffer
  readonly registryKey: Buffer
  readonly roots: Buffer
}

/** A server among those that found a cluster. */
export interface FounderPlace {
  readonly nodeId: string
  readonly name: string
  readonly address: string
}

/** By whom a cluster is founded. */
export interface PlanMessage {
  readonly clusterId: string
  readonly maker: string
  readonly founders: readonly FounderPlace[]
}

interface MeetRequest {
  readonly proof: Buffer
  readonly me: FounderPlace
  readonly expect: number
}

interface MeetAnswer {
  readonly proof: Buffer
  readonly known: readonly FounderPlace[]
  readonly proposed: string
}

interface AgreeRequest {
  readonly proof: Buffer
  readonly plan: PlanMessage
}

interface AgreeAnswer {
  readonly proof: Buffer
  readonly agrees: boolean
  readonly maker: string
}

interface RenewRequest {
  readonly nodeId: string
  readonly csr: Buffer
}

interface RenewAnswer {
  readonly chain: string
  readonly roots: readonly string[]
  readonly servers: readonly ServerAddress[]
}

export interface TrustNews {
  readonly roots: readonly string[]
  readonly revoked: readonly { readonly nodeId: string; readonly keyDigest: string }[]
  readonly servers: readonly ServerAddress[]
}

export interface JoinPorts {
  readonly ca: AgentsCa
  readonly clusterId: string
  /** SHA-256 of the certificate that this server shows now, in hexadecimal. */
  fingerprint(): string
  /** Where servers are. */
  servers(): readonly ServerAddress[]
  /** Calls once, when servers came or went. Gives what ends that. */
  onServers(changed: () => void): () => void
  keys(): ServerKeys
}

/** The handlers of the service. */
export function joinService(ports: JoinPorts): RpcService {
  const { ca, clusterId } = ports
  return [
    handleUnary(enter, async (request, { peer }) => {
      const ends = { server: ports.fingerprint(), client: peer.fingerprint }
      const entered = await ca.enter({ ...request, name: request.nodeName }, ends, peer)
      if (isRefusal(entered)) throw failureOf(entered)
      const { proof, chain, trust: roots } = entered
      const keys = request.kind === 'server' ? { keys: ports.keys() } : {}
      return { proof, clusterId, chain, roots, servers: ports.servers(), ...keys }
    }),
    handleUnary(renewLeaf, async ({ nodeId, csr }, { peer }) => {
      const granted = await ca.renew({ nodeId, csr }, peer)
      if (isRefusal(granted)) throw failureOf(granted)
      return { chain: granted.chain, roots: granted.trust, servers: ports.servers() }
    }),
    ...[meet, agree].map(method =>
      handleUnary<never, never>(method as never, async () => {
        throw new RpcFailure('FAILED_PRECONDITION', 'the cluster is founded: join it')
      }),
    ),
    handleStream(followTrust, (_call, out) => new Following(ports, out)),
  ]
}

/** One agent that is told whom to trust. */
class Following {
  readonly #ports: JoinPorts
  readonly #out: RpcOut<TrustNews>
  #told = ''
  #cancel = (): void => {}
  #isOver = false

  constructor(ports: JoinPorts, out: RpcOut<TrustNews>) {
    this.#ports = ports
    this.#out = out
    this.#tell()
  }

  onMessage(): void {}

  onEnd(): void {
    this.#isOver = true
    this.#cancel()
  }

  #tell(): void {
    this.#cancel()
    if (this.#isOver) return
    const { ca } = this.#ports
    const again = (): void => this.#tell()
    const ends = [ca.onTrust(again), this.#ports.onServers(again)]
    this.#cancel = () => {
      for (const end of ends) end()
    }
    const { roots, revoked } = ca.trust()
    const news = { roots, revoked, servers: this.#ports.servers() }
    const text = JSON.stringify(news)
    if (text === this.#told) return
    this.#told = text
    this.#out.send(news)
  }
}

const CODES = new Map<number, RpcCode>([
  [400, 'INVALID_ARGUMENT'],
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'NOT_FOUND'],
  [409, 'ALREADY_EXISTS'],
  [503, 'UNAVAILABLE'],
])

function failureOf({ status, text }: Refusal): RpcFailure {
  // Nothing was done: another server may be asked.
  return new RpcFailure(CODES.get(status) ?? 'INTERNAL', text, status === 503)
}
