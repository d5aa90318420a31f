/**
 * Starting and stopping an agent that is no server, whether servers are there or not.
 *
 * Owns the order: the own store first and last, then what is registered here and its checks, then
 * the faces; servers are told as soon as they are there. Whoever stops it says whether its node
 * leaves the catalog. Creates nothing itself: compose.ts does.
 */
import { sleep } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Coordinate } from '../../base/vivaldi.ts'
import type { ServerChannel } from '../../rpc/channels.ts'
import type { SettledConfig } from '../config.ts'
import { listenGrpc } from '../grpc.ts'
import { listenHttp, type World } from '../parts.ts'
import { Reloader } from '../reload.ts'
import type { RunningAgent, StartTools } from '../running.ts'
import { openClientAccess } from './access.ts'
import { type ClientAgent, composeClient, openClientStore } from './compose.ts'
import { listenRelay } from './secrets.ts'

/** The way to the cluster, and where the agent stands in it. */
export interface ClusterWay {
  readonly channel: ServerChannel
  readonly coordinate: () => Coordinate
  /** The agent is stopped; `isLeaving`: for good. */
  close(isLeaving: boolean): Promise<void>
}

/** Starts an agent whose way to the servers is given, and resolves when every face answers. */
export async function startClient(
  config: SettledConfig,
  cluster: ClusterWay,
  world: World,
  tools: Pick<StartTools, 'load' | 'leave'>,
): Promise<RunningAgent> {
  const { log, metrics } = world
  const { channel, coordinate } = cluster
  const store = await openClientStore(config, world)
  const access = await openClientAccess(config, world).catch(async error => {
    await store.close()
    throw error
  })
  const ending = { isLeaving: false }
  const agent = composeClient(config, { store, channel, access, coordinate }, world, {
    reload: () => reloader.reload(),
    async leave() {
      ending.isLeaving = true
      tools.leave()
      return true
    },
    drain: () => tools.leave(),
  })
  const reloader = new Reloader(config, agent.reloadables, { ...tools, log })
  const stop = async (isLeaving = false): Promise<void> => {
    const leaves = isLeaving || ending.isLeaving
    await stopClient(agent, world, leaves)
    await cluster.close(leaves)
  }
  try {
    metrics.start()
    await agent.local.start()
    agent.upstream.start()
    agent.views.start()
    const addresses = await listenHttp(agent.http, config)
    addresses.push(...(await listenGrpc(agent.grpc, config)))
    addresses.push(...(await listenRelay(agent.secrets, config)))
    for (const host of config.addresses.dns) {
      addresses.push({ face: 'dns', ...(await agent.dns.listen(host, config.ports.dns)) })
    }
    await agent.sinks.configure(config.sinks)
    log.info('started', { servers: channel.servers.length, revision: store.status().revision })
    return { addresses, awaitsBootstrap: false, reload: () => reloader.reload(), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Answers who still waits, tells the servers that it leaves where it does, closes the store. */
async function stopClient(
  agent: ClientAgent,
  { clock, log, metrics }: World,
  isLeaving: boolean,
): Promise<void> {
  const { http, grpc, secrets, dns, local, sinks, upstream, views, store } = agent
  await sinks.stop()
  const answered = Promise.all([http.close(), grpc.close(), secrets?.close()])
  store.scopes.wakeEverybody()
  views.replica.scopes.wakeEverybody()
  await Promise.race([answered, sleep(clock, limits.drainTimeoutMs)])
  http.cut()
  grpc.cut()
  secrets?.cut()
  await answered
  await dns.close()
  await views.close()
  await local.stop().catch((error: unknown) => log.warn('stopping', { error: messageOf(error) }))
  if (isLeaving) await upstream.leave()
  else await upstream.stop()
  metrics.stop()
  agent.stopGauges()
  agent.stopSinks()
  await store.close()
}
