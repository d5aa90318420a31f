/**
 * The secrets' half of a server: its seal, its room and its face.
 *
 * Owns how these are joined and in which order they start and stop, and what a server does that
 * initialises itself. Loaded only where the half is switched on. Holds no rule.
 */
import type { Audit } from '../audit/audit.run.ts'
import type { TakeForwarded } from '../base/forwarding.ts'
import { type Arithmetic, KeyThreads } from '../base/io/arithmetic.ts'
import { Passwords } from '../base/io/passwords.ts'
import type { RpcService } from '../base/rpc.ts'
import { vaultVersion } from '../base/version.ts'
import type { SecretsGrpcPorts } from '../grpc/secrets/door.ts'
import { Admission } from '../http/admission.ts'
import { createSecretsFace, type SecretsFace } from '../http/secrets/server.ts'
import type { OtherTokens } from '../identity/other-token.ts'
import type { AgentChannel } from '../rpc/channels.ts'
import type { SealKind } from '../secrets/barrier/kind/kind.run.ts'
import { SealOperator } from '../secrets/barrier/operator.run.ts'
import { SealRoom } from '../secrets/barrier/seal.run.ts'
import { endsOf, sealedRowDeadline } from '../secrets/deadline.ts'
import { Engines } from '../secrets/decide.ts'
import type { Engine } from '../secrets/declare.ts'
import { Denials } from '../secrets/denials.ts'
import { enginesOn } from '../secrets/engine/mod.ts'
import { pathsWhileSealed } from '../secrets/engine/sys/engine.ts'
import type { SystemPorts } from '../secrets/engine/sys/ports.ts'
import { secretsTopics } from '../secrets/feed/mod.ts'
import type { RegistryTokens } from '../secrets/grant/grant.ts'
import { leaseEnd, tokenEnd } from '../secrets/lease/ends.ts'
import { revocationDuty } from '../secrets/lease/revoke.run.ts'
import { lockoutEnd, lockoutFrom } from '../secrets/lockout/lockout.ts'
import { moveEnd } from '../secrets/mount/remount.ts'
import { removalEnd } from '../secrets/mount/removal.ts'
import type { QuotaKind } from '../secrets/quota/quota.ts'
import { Secrets } from '../secrets/room.run.ts'
import type { Age } from '../store/freshness.ts'
import type { Store } from '../store/store.ts'
import { Timekeeper } from '../store/timekeeper.ts'
import type { AnyTopic } from '../store/topic.ts'
import type { AccessControl } from './access.ts'
import type { SettledConfig } from './config.ts'
import type { SealBlock } from './config-seal.ts'
import { secretsUrlOf } from './config-secrets.ts'
import { secureOptionsOf } from './config-tls.ts'
import type { World } from './parts.ts'
import type { FaceAddress } from './running.ts'
import { acmePorts } from './secrets-acme.ts'
import { type FirstKeys, ownSeal } from './secrets-begin.ts'
import { conditionCompiler } from './secrets-conditions.ts'
import { firstKeys } from './secrets-declare.ts'
import { factorsOf } from './secrets-factors.ts'
import { programCompiler } from './secrets-programs.ts'
import { openSeal, sealPeerService, sealPeers } from './secrets-seal.ts'
import { type SecretsReached, SecretsSystem } from './secrets-system.ts'
import { tokensForRegistry, tokensForSecrets } from './secrets-tokens.ts'

/** The half, as lifecycle.ts starts and stops it. */
export interface SecretsHalf {
  /** Takes what of the agent was made after it. */
  reach(reached: SecretsReached): void
  /** Begins to follow the seal; gives the first keys, where they were made now. */
  start(): Promise<FirstKeys | undefined>
  listen(): Promise<FaceAddress[]>
  /** Takes over certificates for new connections. */
  secure(config: SettledConfig): void
  /** Takes over how many requests and connections are let in. */
  setLimits(config: SettledConfig): void
  /** Somebody asks the other half: less is done in one turn of the loop for a while. */
  makeWay(): void
  /** Stops listening, and resolves when the last request was answered. */
  close(): Promise<void>
  cut(): void
  /** Seals this server for good. */
  stop(): Promise<void>
  /** Answers requests that clients sent to agents that are no servers. */
  readonly takeForwarded: TakeForwarded
  /** What its services of gRPC are made of. */
  readonly grpc: SecretsGrpcPorts
  /** Whether it is unsealed, and what tells of that. */
  readonly seal: Pick<SealRoom, 'barrier' | 'onChange'>
  /** What can be followed of it. */
  readonly topics: readonly AnyTopic[]
  /** What other servers may call here. */
  readonly rpc: readonly RpcService[]
  /** Its tokens, for the registry. */
  readonly tokens: OtherTokens
}

export interface SecretsGround {
  readonly store: Store
  readonly access: Pick<AccessControl, 'key' | 'acl'>
  readonly audit: Audit
  /** How old the view is. */
  readonly age: Age
  /** The way to other servers; undefined where servers do not talk to each other. */
  readonly channel: AgentChannel | undefined
  /** Whether this server's clock is good enough to end what is over. */
  readonly mayKeepTime: () => boolean
}

/** Makes the half; nothing listens or runs yet. Rejects with OperatingError with the way out. */
export async function composeSecrets(
  config: SettledConfig,
  { store, access, audit, age, channel, mayKeepTime }: SecretsGround,
  world: World,
): Promise<SecretsHalf> {
  const { clock, random, log, metrics } = world
  const { current, former, isPeerOpened } = config.seal
  const { nodeId: serverId } = config
  const hasPeers = isPeerOpened && store.supports.shared && channel !== undefined
  const seal = new SealRoom({
    ...{ store, clock, random, log, serverId },
    kind: await kindOf(current, config, world),
    formerKind: former && (await openSeal(former, world)),
    peers: hasPeers ? sealPeers(store, serverId, channel) : undefined,
  })
  metrics.gauge('secrets.unsealed', 'Whether this server is unsealed: 1 or 0.', () =>
    seal.barrier() === undefined ? 0 : 1,
  )
  const facts = factsOf(config, store)
  const isShared = (): boolean => store.supports.shared
  const { clusterName } = facts
  const barrier = () => seal.barrier()
  const system = new SecretsSystem(config, { isShared, clusterName, barrier }, world)
  const denials = new Denials()
  const passwords = new Passwords(random)
  const arithmetic = new KeyThreads()
  const logins = { lockout: lockoutFrom(world.environment, config.lockout), passwords }
  const registry = access.acl && tokensForSecrets(access.key)
  const ground = { store, seal, facts, denials, logins, arithmetic, registry }
  const engines = enginesOn(systemPorts(config, ground, system, world))
  const secrets = new Secrets({
    ...{ store, seal, clock, random, denials, ttls: config.secrets.leases },
    conditions: conditionCompiler,
    offline: { age, maxMs: config.secrets.offlineMaxMs },
    address: secretsUrlOf(config),
    exceeded: countingExceeded(metrics),
    registry,
    engines: new Engines(engines),
    recordOf: audit.recordOf,
    sealedPaths: pathsWhileSealed(engines),
  })
  const timekeeper = keeperOf(serverId, engines, { store, seal, mayKeepTime }, world)
  const face = createSecretsFace({
    ...config.http,
    ...{ secrets, random, log, denials, inFlight: system.inFlight },
    ...(audit.isOn ? { audit } : {}),
    admission: new Admission({ ...config.http, clock, log, metrics }),
  })
  system.metrics.gauge('core.unsealed', 'Whether this server is unsealed.', () =>
    Number(seal.barrier() !== undefined),
  )
  return {
    reach: reached => system.reach(reached),
    async start() {
      system.metrics.start()
      await seal.start()
      timekeeper.start()
      return firstKeys(config, { store, seal, secrets, audit }, world)
    },
    listen: () => listenOn(face, config),
    secure(next) {
      const secure = secureOptionsOf(next.tls.secrets)
      if (secure !== undefined) face.secure(secure)
    },
    setLimits: next => face.setLimits(next.http),
    makeWay: () => face.makeWay(),
    close: () => face.close(),
    cut: () => face.cut(),
    takeForwarded: face.takeForwarded,
    async stop() {
      system.metrics.stop()
      await timekeeper.stop()
      await Promise.all([passwords.close(), arithmetic.close()])
      await seal.stop()
    },
    grpc: { secrets, clock, random, log, ...(audit.isOn ? { audit } : {}) },
    seal,
    topics: secretsTopics({ store, clock, random, secrets, barrier }),
    tokens: tokensForRegistry({ store, seal, random }),
    rpc: hasPeers ? [sealPeerService(store, serverId, seal, log)] : [],
  }
}

/** What ends what is over, and does what one server does for all. */
function keeperOf(
  holder: string,
  engines: readonly Engine[],
  { store, seal, mayKeepTime }: Pick<SecretsGround, 'store' | 'mayKeepTime'> & { seal: SealRoom },
  { clock, random, log }: World,
): Timekeeper {
  const barrier = () => seal.barrier()
  const dutyPorts = { store, clock, random, log, barrier }
  // Whoever ends what is over must be able to open it.
  const mayHold = (): boolean => barrier() !== undefined && mayKeepTime()
  const ends = [removalEnd(engines), moveEnd, lockoutEnd, tokenEnd, leaseEnd, ...endsOf(engines)]
  return new Timekeeper(
    { store, clock, random, log },
    {
      ...{ role: 'secrets', holder, mayHold },
      kinds: [sealedRowDeadline(ends, barrier)],
      duties: [
        revocationDuty({ ...dutyPorts, engines }),
        ...engines.flatMap(engine => engine.duties?.(dutyPorts) ?? []),
      ],
    },
  )
}

/** Counts what quotas have refused. */
function countingExceeded(metrics: World['metrics']): (kind: QuotaKind) => void {
  const refused = {
    'rate-limit': metrics.counter(
      'quota.rate_limit.violation',
      'Requests to the secrets that a rate limit refused.',
    ),
    'lease-count': metrics.counter(
      'quota.lease_count.violation',
      'Requests to the secrets that would have made one lease too many.',
    ),
  }
  return kind => refused[kind].add()
}

/** The automatic seal: what is configured, or the own one of a server that initialises itself. */
async function kindOf(
  current: SealBlock | undefined,
  config: SettledConfig,
  world: World,
): Promise<SealKind | undefined> {
  if (current !== undefined) return openSeal(current, world)
  const { initialisesItself, tellsKey } = config.secrets
  return initialisesItself && !tellsKey ? ownSeal(config, world) : undefined
}

/** What is told of the cluster and of this server, in more than one place. */
function factsOf(
  { store: { engine }, secrets: { clusterName: named } }: SettledConfig,
  store: Store,
) {
  const clusterId = (): string => store.status().clusterId
  const clusterName = (): string => named ?? `gatehouse-cluster-${clusterId().slice(0, 8)}`
  return {
    ...{ clusterName, clusterId, storageType: engine },
    version: vaultVersion,
    buildDate: '',
  }
}

interface SystemGround {
  readonly store: Store
  readonly seal: SealRoom
  readonly facts: ReturnType<typeof factsOf>
  readonly denials: Denials
  readonly logins: SystemPorts['logins']
  readonly arithmetic: Arithmetic
  readonly registry: RegistryTokens | undefined
}

function systemPorts(
  config: SettledConfig,
  { store, seal, facts, denials, logins, arithmetic, registry }: SystemGround,
  { cluster, runtime }: SecretsSystem,
  world: World,
): SystemPorts {
  const { clock, random } = world
  const { isRekeyOpen, isRootTokenOpen } = config.seal
  return {
    acme: acmePorts(config, { cluster, arithmetic }, world),
    factors: factorsOf(config, world),
    ...{ cluster, runtime, denials, logins, arithmetic, registry },
    conditions: conditionCompiler,
    programs: programCompiler,
    seal: new SealOperator({ room: seal, store, clock, random, facts }),
    sealAccess: { isRekeyOpen, isRootTokenOpen },
    server: {
      isInitialized: () => seal.state().isInitialised,
      isSealed: () => seal.barrier() === undefined,
      clusterName: facts.clusterName,
      clusterId: facts.clusterId,
      nowMs: () => clock.wall(),
      apiAddress: () => secretsUrlOf(config),
    },
  }
}

async function listenOn(face: SecretsFace, config: SettledConfig): Promise<FaceAddress[]> {
  const secure = secureOptionsOf(config.tls.secrets)
  const addresses: FaceAddress[] = []
  for (const host of config.addresses.secrets) {
    const bound = await face.listen(host, config.ports.secrets, secure)
    addresses.push({ face: 'secrets', ...bound })
  }
  return addresses
}
