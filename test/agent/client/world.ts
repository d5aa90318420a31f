/**
 * A server's face behind remote calls over loopback TLS, and agents that are no servers before it.
 *
 * The parts are joined as the program does; nothing is faked.
 */
import type { Test } from 'tap'
import { startClient } from '../../../src/agent/client/lifecycle.ts'
import { viewKinds } from '../../../src/agent/client/views.ts'
import { resolveConfig, type SettledConfig } from '../../../src/agent/config.ts'
import { realWorld } from '../../../src/agent/parts.ts'
import type { RunningAgent } from '../../../src/agent/running.ts'
import { foregroundClock, systemClock } from '../../../src/base/clock.ts'
import type { TakeForwarded } from '../../../src/base/forwarding.ts'
import { openRpcServer } from '../../../src/base/io/grpc.ts'
import { type LiveLog, type LogFields, silentLog } from '../../../src/base/log.ts'
import type { Metrics } from '../../../src/base/metrics.ts'
import { ORIGIN } from '../../../src/base/vivaldi.ts'
import { openAuthority } from '../../../src/base/who.ts'
import { identityOf } from '../../../src/cluster/names.ts'
import { AgentSync } from '../../../src/registry/agent-sync.run.ts'
import { openServerChannel, type ServerChannel } from '../../../src/rpc/channels.ts'
import { forwardService } from '../../../src/rpc/forward.ts'
import { syncService } from '../../../src/rpc/sync.ts'
import { viewService } from '../../../src/rpc/view.ts'
import { Writer } from '../../../src/store/writer.ts'
import { Client } from '../../http/client.ts'
import { type Face, type FaceOptions, startFace } from '../../http/harness.ts'
import {
  CLIENT_ID,
  CLUSTER,
  channelWorld,
  clientPair,
  materialOf,
  type Running,
  serverPair,
  startService,
} from '../../rpc/trial.ts'
import { publish } from '../../store/replica/world.ts'

export { CLIENT_ID } from '../../rpc/trial.ts'
export const EDGE = 'edge-1'

/** A server that agents can reach. */
export interface ServerWorld {
  readonly face: Face
  readonly rpc: Running
  /** Its RPC goes, as with the process; the rest stays. */
  cut(): Promise<void>
  /** Its RPC is there again, at this address. */
  serve(): Promise<string>
}

export async function startServer(
  t: Test,
  options: FaceOptions & { readonly takeSecrets?: TakeForwarded } = {},
): Promise<ServerWorld> {
  const face = await startFace(t, options)
  const { store } = face
  const room = new AgentSync({
    ...{ store, writer: new Writer(store), clock: systemClock, log: silentLog },
    authority: { ...openAuthority, ...options.authority },
  })
  room.start()
  t.teardown(() => room.stop())
  const kinds = viewKinds({ defaultPolicy: 'deny', keyListPolicy: false })
  const publisher = publish(store, systemClock, face.authority, kinds)
  t.teardown(() => publisher.close())
  const views = viewService(publisher)
  const services = [
    forwardService(face.http.takeForwarded, options.takeSecrets),
    syncService(room),
    views,
  ]
  const rpc = await startService(t, services.flat())
  const serve = async (): Promise<string> => {
    const material = materialOf(rpc.ca, serverPair(rpc.ca))
    const again = openRpcServer(services, {
      ...{ material: () => material, isRefused: () => false, clock: foregroundClock },
      ...{ identify: certificate => identityOf(certificate, CLUSTER), log: silentLog },
    })
    t.teardown(() => again.close())
    const { port } = await again.listen('127.0.0.1', 0)
    return `127.0.0.1:${port}`
  }
  return { face, rpc, cut: () => rpc.server.close(), serve }
}

export interface Edge {
  readonly agent: RunningAgent
  readonly port: number
  readonly client: Client
  readonly metrics: Metrics
  readonly channel: ServerChannel
  readonly lines: readonly string[]
  stop(isLeaving?: boolean): Promise<void>
}

export interface EdgeOptions {
  /** Where it keeps what it is asked; in memory unless given. */
  readonly dataDir?: string
  /** More of its configuration. */
  readonly hcl?: string
  readonly nodeId?: string
  readonly name?: string
}

function configOf({ dataDir, hcl = '', nodeId = CLIENT_ID, name = EDGE }: EdgeOptions) {
  const folder = dataDir === undefined ? '' : `data_dir = "${dataDir}"`
  const result = resolveConfig(
    {
      texts: [
        {
          name: 'edge',
          text: `server = false\nnode_name = "${name}"\n${folder}\n${hcl}\n`,
          format: 'hcl',
        },
      ],
      flags: [
        { name: 'http-port', value: '0' },
        { name: 'dns-port', value: '0' },
      ],
      isDev: dataDir === undefined,
    },
    { hostName: 'host', interfaces: [], workingDir: '/' },
  )
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  return { ...result.config, nodeId } satisfies SettledConfig
}

/** Starts an agent in front of servers; it stops with the test, without leaving. */
export async function startEdge(
  t: Test,
  servers: readonly Pick<ServerWorld, 'rpc'>[],
  options: EdgeOptions = {},
): Promise<Edge> {
  const config = configOf(options)
  const lines: string[] = []
  const log: LiveLog = {
    ...silentLog,
    info: (text: string, fields?: LogFields) => lines.push(`${text} ${JSON.stringify(fields)}`),
    warn: (text: string, fields?: LogFields) => lines.push(`${text} ${JSON.stringify(fields)}`),
    error: (text: string, fields?: LogFields) => lines.push(`${text} ${JSON.stringify(fields)}`),
  }
  const world = realWorld(log)
  const [first] = servers
  const { ca } = first!.rpc
  const material = materialOf(
    ca,
    clientPair(ca, config.nodeId),
    ...servers.slice(1).map(({ rpc }) => rpc.ca),
  )
  const channel = openServerChannel(
    servers.map(({ rpc }, at) => ({ nodeId: `server-${at}`, address: rpc.address })),
    channelWorld(() => material),
  )
  const way = { channel, coordinate: () => ORIGIN, close: async () => channel.close() }
  const load = async () => ({ problems: ['no file'] })
  const agent = await startClient(config, way, world, { load, leave: () => {} })
  const { port } = agent.addresses[0]!
  const client = new Client({
    ...{
      t,
      host: '127.0.0.1',
      port,
      paths: (first as Partial<ServerWorld> | undefined)?.face?.paths ?? [],
    },
    defaultPolicy: 'allow',
  })
  let stopped: Promise<void> | undefined
  const stop = (isLeaving = false): Promise<void> => {
    client.close()
    stopped ??= agent.stop(isLeaving)
    return stopped
  }
  t.teardown(() => stop())
  return { agent, port, client, metrics: world.metrics, channel, lines, stop }
}
