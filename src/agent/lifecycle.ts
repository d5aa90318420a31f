/**
 * Starting and stopping an agent, in order, whatever fails on the way.
 *
 * Owns the order: the cluster that it is in, then the store first and last, then time, local
 * state, faces; what was started is stopped again when a later part cannot start. Creates nothing
 * itself: compose.ts does.
 */
import { foregroundClock, sleep } from '../base/clock.ts'
import { messageOf, type Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { prepareConditions } from '../identity/condition/evaluate.ts'
import { firstAutopilot } from '../registry/autopilot.ts'
import { Freshness } from '../store/freshness.ts'
import type { Store } from '../store/store.ts'
import { type AccessControl, openAccess } from './access.ts'
import { type AgentsGround, type AgentsRpc, composeAgentsRpc } from './agents-rpc.ts'
import { openAudit } from './audit.ts'
import { type Agent, composeAgent, openStore } from './compose.ts'
import type { SettledConfig } from './config.ts'
import { type Entered, enterCluster } from './enter.ts'
import { listenGrpc } from './grpc.ts'
import type { Membership } from './membership.ts'
import { listenHttp, realWorld, type World } from './parts.ts'
import { Reloader } from './reload.ts'
import type { FaceAddress, RunningAgent, StartAgent } from './running.ts'
import type { SecretsGround, SecretsHalf } from './secrets.ts'
import type { FirstKeys } from './secrets-begin.ts'
import { noMembers } from './servers.ts'

/** Starts an agent by its configuration and resolves when every face answers. */
export const startAgent: StartAgent = async (config, tools): Promise<RunningAgent> => {
  const { log } = tools
  const world = realWorld(log)
  const entered = await enterIfOn(config, world)
  const own = entered && (await ownMember(config, entered.membership, world))
  const giveUp = async (error: unknown, opened?: Store): Promise<never> => {
    await opened?.close()
    await own?.member.stop()
    await entered?.stopFounding()
    throw error
  }
  const store = await openStore(config, world, own?.member).catch(error => giveUp(error))
  const members = own?.membersOn(store)
  const audit = openAudit(config, store, world)
  const age = new Freshness(store, world.clock)
  const refuseIssuing = (): Refusal | undefined => agent.servers.refuseIssuing()
  // The secrets stand on access control, which asks for their tokens once both are there.
  let half: SecretsHalf | undefined
  const ports = { recordOf: audit.recordOf, age, refuseIssuing, others: () => half?.tokens }
  const orGiveUp = <T>(opening: Promise<T>): Promise<T> =>
    opening.catch(error => giveUp(error, store))
  const access = await orGiveUp(openAccess(config, store, world, ports))
  const ending = { isLeaving: false }
  const agents = agentsRpcOf(config, { store, access, entered, audit, refuseIssuing }, world)
  const ground = {
    ...{ store, access, audit, age, members: members ?? noMembers },
    ...{ channel: agents?.channel, agents, levels: tools.levels },
  }
  const mayKeepTime = (): boolean => agent.servers.mayKeepTime
  const secrets = await orGiveUp(secretsOf(config, { ...ground, mayKeepTime }, world))
  half = secrets
  const agent = composeAgent(config, { ...ground, secrets }, world, {
    reload: () => reloader.reload(),
    async leave(force) {
      const refusal = force ? undefined : agent.servers.refuseLeaving()
      if (refusal !== undefined) return refusal
      ending.isLeaving = true
      tools.leave()
      return true
    },
    drain: () => tools.leave(),
  })
  const stop = async (isLeaving = false): Promise<void> => {
    age.stop()
    const refusal = isLeaving ? agent.servers.refuseLeaving() : undefined
    if (refusal !== undefined) log.warn('it does not leave', { reason: refusal.text })
    else if (isLeaving) ending.isLeaving = true
    // Timers hold no process open, and what waits for one to stop may have nothing else that does.
    const held = foregroundClock.after(limits.timeoutMaxMs, () => {})
    try {
      await stopAgent(agent, world, ending, () => members?.stop())
      await own?.member.stop()
    } finally {
      held.clear()
    }
  }
  void own?.member.removed.then(() => tools.leave())
  const reloader = new Reloader(config, agent.reloadables, { ...tools, log })
  try {
    world.metrics.start()
    age.start()
    members?.start()
    const { addresses, first } = await startParts(agent, config, access, store)
    log.info('started', { engine: store.status().engine, revision: store.status().revision })
    return {
      addresses,
      awaitsBootstrap: access.acl?.room.awaitsBootstrap() ?? false,
      ...first,
      reload: () => reloader.reload(),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Starts the parts in their order; gives where they answer, and what a first start made. */
async function startParts(
  agent: Agent,
  config: SettledConfig,
  { acl }: AccessControl,
  store: Store,
): Promise<Pick<RunningAgent, 'addresses'> & { readonly first: FirstKeys | undefined }> {
  const { agents, secrets } = agent
  await agent.servers.start()
  agent.liveness.start()
  await agents?.start()
  await acl?.room.initialise(config.acl.initialManagement)
  if (acl !== undefined) prepareConditions(store.view())
  await agent.timekeeper.start()
  agent.events.start()
  agent.sync.start()
  await agent.audit.start()
  const first = await secrets?.start()
  await bootstrap(agent, config)
  await agent.local.start()
  await agent.schedule?.start()
  const addresses = await listenAll(agent, config, agents)
  agent.watches.configure(config.watches)
  await agent.sinks.configure(config.sinks)
  return { addresses, first }
}

/** The secrets' half, loaded only where it is on. */
async function secretsOf(
  config: SettledConfig,
  ground: SecretsGround,
  world: World,
): Promise<SecretsHalf | undefined> {
  if (config.ports.secrets === -1) return undefined
  const { composeSecrets } = await import('./secrets.ts')
  return composeSecrets(config, ground, world)
}

/** The cluster that this agent is in; undefined where it speaks with no others. */
async function enterIfOn(config: SettledConfig, world: World): Promise<Entered | undefined> {
  if (config.ports.server < 0) return undefined
  return enterCluster(config, { ...world, waiting: foregroundClock })
}

/** This server's own member of the store, where it runs one; loaded only then. */
async function ownMember(config: SettledConfig, membership: Membership, world: World) {
  if (!config.store.member.isManaged) return undefined
  const { Members, startOwnMember } = await import('./members.ts')
  const member = await startOwnMember(config, membership, world)
  return { member, membersOn: (store: Store) => new Members(member, store, config, world) }
}

/** What speaks with other agents, where this one does. */
function agentsRpcOf(
  config: SettledConfig,
  ground: Pick<AgentsGround, 'store' | 'audit' | 'refuseIssuing'> & {
    readonly access: AccessControl
    readonly entered: Entered | undefined
  },
  world: World,
): AgentsRpc | undefined {
  if (ground.entered === undefined) return undefined
  const { store, access, audit, refuseIssuing } = ground
  const { membership, joinToken, stopFounding } = ground.entered
  const { writer, key } = access
  const registryKey = (): Buffer => key.bytes()
  const parts = { store, writer, membership, registryKey, joinToken, stopFounding }
  return composeAgentsRpc(config, { ...parts, audit, refuseIssuing }, world)
}

/** Writes the entries of the configuration that are not there yet. */
async function bootstrap({ registry, store }: Agent, config: SettledConfig): Promise<void> {
  await store.write(view => firstAutopilot(view, config.autopilot))
  const refused = await registry.bootstrapEntries(config.configEntries, config.datacenter)
  const [first] = refused
  if (first !== undefined) throw new Error(`config_entries.bootstrap: ${first.text}`)
}

/** Opens every listener; gives where each is. */
async function listenAll(
  agent: Agent,
  config: SettledConfig,
  agents: AgentsRpc | undefined,
): Promise<FaceAddress[]> {
  const addresses = await listenHttp(agent.http, config)
  addresses.push(...(await listenGrpc(agent.grpc, config)))
  for (const host of config.addresses.dns) {
    const bound = await agent.dns.listen(host, config.ports.dns)
    addresses.push({ face: 'dns', ...bound })
  }
  if (agents !== undefined) {
    const bound = await agents.listen(agent.rpc, config.bindAddress, config.ports.server)
    addresses.push({ face: 'rpc', ...bound })
  }
  addresses.push(...((await agent.secrets?.listen()) ?? []))
  return addresses
}

/** Answers who still waits, lets requests finish for a bounded time, then closes the store. */
async function stopAgent(
  agent: Agent,
  { clock, log, metrics }: World,
  { isLeaving }: { readonly isLeaving: boolean },
  stopMembers: () => Promise<void> | undefined,
): Promise<void> {
  const { http, grpc, dns, store, local, timekeeper, events, watches, servers, sync, schedule } =
    agent
  watches.stop()
  await agent.sinks.tasks.stop()
  agent.views.close()
  agent.feeds.close()
  if (store.supports.shared) {
    // Others take over while this one still answers.
    await servers.drain(local)
    const handedOver = timekeeper.stop().catch(() => {
      // It is waited for, and told of, below.
    })
    await Promise.race([handedOver, sleep(clock, limits.agentStopMs)])
  }
  const answered = Promise.all([http.close(), grpc.close(), agent.secrets?.close()])
  store.scopes.wakeEverybody()
  await Promise.race([answered, sleep(clock, limits.drainTimeoutMs)])
  http.cut()
  grpc.cut()
  agent.secrets?.cut()
  await answered
  const rpc = agent.agents?.stop()
  const stops = [
    agent.secrets?.stop(),
    local.stop(),
    events.stop(),
    sync.stop(),
    timekeeper.stop(),
    schedule?.stop(),
    agent.sinks.stop(),
  ]
  for (const part of [rpc, dns.close(), ...stops]) {
    await part?.catch((error: unknown) => log.warn('stopping', { error: messageOf(error) }))
  }
  if (isLeaving) await servers.leave()
  await agent.liveness.stop()
  await servers.stop()
  await agent.audit.stop().catch(error => log.warn('stopping', { error: messageOf(error) }))
  metrics.stop()
  agent.stopGauges()
  agent.stopSinks()
  await stopMembers()
  await store.close()
}
