/**
 * The start of an agent that is no server: its way into the cluster, then all the rest.
 *
 * Owns what stands between agents on its side: the ways to servers and to other agents, its own
 * listener, by which others look after it, and that all of it ends with the agent.
 */
import { foregroundClock } from '../../base/clock.ts'
import { openRpcServer } from '../../base/io/grpc.ts'
import type { Coordinate } from '../../base/vivaldi.ts'
import { identityOf } from '../../cluster/names.ts'
import { openAgentChannel, openServerChannel } from '../../rpc/channels.ts'
import { enterCluster } from '../enter.ts'
import { ClientLiveness } from '../liveness.ts'
import { realWorld } from '../parts.ts'
import type { RunningAgent, StartAgent } from '../running.ts'
import { Belonging } from './belonging.ts'
import { startClient } from './lifecycle.ts'

/** Starts an agent by its configuration and resolves when every face answers. */
export const startAgent: StartAgent = async (config, tools): Promise<RunningAgent> => {
  const world = realWorld(tools.log)
  const { clock, random, log } = world
  const { membership } = await enterCluster(config, { ...world, waiting: foregroundClock })
  const channels = { material: () => membership.material('agents'), clock, random }
  const channel = openServerChannel(membership.servers, channels)
  const agents = openAgentChannel(channels)
  const belonging = new Belonging({ membership, channel, clock, random, log })
  let address = ''
  const liveness = new ClientLiveness({ servers: channel, agents, address: () => address }, world)
  const rpc = openRpcServer([liveness.service], {
    material: () => membership.material('agents'),
    identify: certificate => identityOf(certificate, membership.clusterId),
    isRefused: peer => belonging.isRefused(peer),
    clock,
    log,
  })
  const close = async (isLeaving: boolean): Promise<void> => {
    liveness.stop(isLeaving)
    await belonging.stop()
    await rpc.close()
    agents.close()
    channel.close()
  }
  const coordinate = (): Coordinate => liveness.coordinate
  try {
    const { host, port } = await rpc.listen(config.bindAddress, config.ports.server)
    address = addressText(config.advertiseAddress, port)
    const agent = await startClient(config, { channel, coordinate, close }, world, tools)
    belonging.start()
    liveness.start()
    return { ...agent, addresses: [...agent.addresses, { face: 'rpc', host, port }] }
  } catch (error) {
    await close(false)
    throw error
  }
}

/** `host:port`, IPv6 in brackets. */
const addressText = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
