/**
 * A server of remote calls with a service to try it with, and the certificates of a small cluster.
 */
import path from 'node:path'
import type { Test } from 'tap'
import { foregroundClock, systemClock, systemRandom } from '../../src/base/clock.ts'
import { openRpcServer, type RpcServer } from '../../src/base/io/grpc.ts'
import type {
  AgentIdentity,
  RpcCall,
  RpcHandler,
  RpcIn,
  RpcOut,
  RpcPeer,
  RpcService,
} from '../../src/base/rpc.ts'
import { TlsMaterial } from '../../src/base/tls.ts'
import { agentUri, identityOf, nodeName, SERVER_NAME } from '../../src/cluster/names.ts'
import { defineStream, defineUnary, handleStream, handleUnary } from '../../src/rpc/define.ts'
import { type Authority, makeAuthority, type Pair } from '../x509/pki.ts'

const PROTO = path.join(import.meta.dirname, 'proto/gatehouse/agent/v1/trial.proto')

export interface Question {
  text?: string
  number?: number
  load?: Buffer
}

export interface Answer {
  text?: string
  number?: number
  more?: 'word' | 'load'
  word?: string
  load?: Buffer
}

export const open = defineUnary<Question, Answer>(PROTO, 'gatehouse.agent.v1.Trial/Open', 'anybody')
export const agents = defineUnary<Question, Answer>(
  PROTO,
  'gatehouse.agent.v1.Trial/Agents',
  'agents',
)
export const servers = defineUnary<Question, Answer>(
  PROTO,
  'gatehouse.agent.v1.Trial/Servers',
  'servers',
)
export const talk = defineStream<Question, Answer>(PROTO, 'gatehouse.agent.v1.Trial/Talk', 'agents')

export const CLUSTER = '11111111-2222-3333-4444-555555555555'
export const SERVER_ID = 'aaaaaaaa-0000-4000-8000-000000000001'
export const CLIENT_ID = 'cccccccc-0000-4000-8000-000000000001'

/** What a handler of the trial does. */
export interface Trial {
  unary(request: Question, call: RpcCall): Promise<Answer>
  talk(call: RpcCall, out: RpcOut<Answer>): RpcIn<Question>
}

export const echo: Trial = {
  unary: async ({ text = '' }, { peer }) => ({ text: `${text} ${peer.kind} ${peer.nodeId}` }),
  talk: (_call, out) => ({
    onMessage: ({ text = '' }) => void out.send({ text }),
    onEnd: () => {},
  }),
}

export interface Running {
  readonly server: RpcServer
  readonly address: string
  readonly ca: Authority
  /** What it shows from now on. */
  show(material: TlsMaterial): void
  refuse(isRefused: (peer: RpcPeer) => boolean): void
}

const trialHandlers = (trial: Trial): readonly RpcHandler[] => [
  ...[open, agents, servers].map(method => handleUnary(method, trial.unary)),
  handleStream(talk, trial.talk),
]

/** Starts a server with the trial; it stops with the test. */
export const startTrial = (t: Test, trial: Trial = echo): Promise<Running> =>
  startService(t, trialHandlers(trial))

/** Starts a server with any service, in the cluster of `ca`; it stops with the test. */
export async function startService(
  t: Test,
  service: RpcService,
  ca = makeAuthority(t.testdir()),
): Promise<Running> {
  let material = materialOf(ca, serverPair(ca))
  let isRefused = (_peer: RpcPeer): boolean => false
  const server = openRpcServer([service], {
    material: () => material,
    identify: certificate => identityOf(certificate, CLUSTER),
    isRefused: peer => isRefused(peer),
    clock: foregroundClock,
    log: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  })
  t.teardown(() => server.close())
  const { port } = await server.listen('127.0.0.1', 0)
  return {
    server,
    address: `127.0.0.1:${port}`,
    ca,
    show: next => {
      material = next
    },
    refuse: next => {
      isRefused = next
    },
  }
}

/** A certificate of an agent. */
function agentPair(ca: Authority, identity: AgentIdentity, untilDays = 3): Pair {
  const name = nodeName(identity.nodeId)
  return ca.issue(`${identity.kind}-${identity.nodeId}-${serial++}`, {
    dnsNames: identity.kind === 'server' ? [name, SERVER_NAME] : [name],
    uris: [agentUri(CLUSTER, identity)],
    untilDays,
  })
}

let serial = 0

export const serverPair = (ca: Authority, nodeId = SERVER_ID): Pair =>
  agentPair(ca, { kind: 'server', nodeId })
export const clientPair = (ca: Authority, nodeId = CLIENT_ID): Pair =>
  agentPair(ca, { kind: 'client', nodeId })

/** A certificate, and trust in these authorities. */
export const materialOf = (ca: Authority, pair?: Pair, ...others: Authority[]): TlsMaterial =>
  new TlsMaterial({
    ...(pair === undefined ? {} : { cert: Buffer.from(pair.cert), key: Buffer.from(pair.key) }),
    ca: [ca, ...others].map(({ cert }) => Buffer.from(cert)),
  })

/** What channels need besides a certificate. */
export const channelWorld = (material: () => TlsMaterial) => ({
  material,
  clock: systemClock,
  random: systemRandom,
})
