/**
 * What `sys/` of the secrets tells of the server: its cluster, its machine, its log, its numbers.
 *
 * Owns the translation between what this agent has and what src/secrets/engine/sys asks for. What
 * is made after the secrets' half (the cluster's view, the reloader) is handed in later.
 */
import { cpus } from 'node:os'
import { begun } from '../base/begun.ts'
import type { Clock, Random } from '../base/clock.ts'
import { DAY_MS, SECOND_MS } from '../base/duration.ts'
import { OperatingCode, OperatingError, Refusal } from '../base/errors.ts'
import { createProfiler } from '../base/io/profiler.ts'
import type { LogLevel } from '../base/log.ts'
import { Metrics } from '../base/metrics.ts'
import { vaultVersion } from '../base/version.ts'
import { everybody } from '../base/who.ts'
import { type ClusterPort as Cluster, peersOf, serverAddress } from '../cluster/port.ts'
import { InFlight } from '../http/secrets/in-flight.ts'
import type { Barrier } from '../secrets/barrier/keyring.ts'
import type {
  ClusterPort,
  HostShown,
  RuntimePort,
  ServerShown,
} from '../secrets/engine/sys/ports.ts'
import type { JsonObject } from '../secrets/field.ts'
import type { Snapshots } from '../store/snapshot.ts'
import type { SettledConfig } from './config.ts'
import { secretsUrlOf } from './config-secrets.ts'
import { hostFacts } from './host.ts'
import type { Live, World } from './parts.ts'

/** What there is only once the rest of the agent is made. */
export interface SecretsReached {
  readonly cluster: Cluster
  readonly live: Live
  readonly snapshots: Pick<Snapshots, 'confirm' | 'save'>
  reload(): Promise<readonly string[]>
}

/** What the sums of archives are sealed for; no row is at such a place. */
const SUMS_PLACE = 'archive/sums'

export class SecretsSystem {
  readonly cluster: ClusterPort
  readonly runtime: RuntimePort
  /** What the secrets' half counts, under Vault's names. */
  readonly metrics: Metrics
  readonly inFlight: InFlight
  readonly #config: SettledConfig
  readonly #clusterName: () => string
  readonly #barrier: () => Barrier | undefined
  readonly #random: Random
  #reached: SecretsReached | undefined
  #level: LogLevel | undefined

  constructor(
    config: SettledConfig,
    given: {
      readonly isShared: () => boolean
      readonly clusterName: () => string
      /** Undefined while this server is sealed. */
      readonly barrier: () => Barrier | undefined
    },
    world: World,
  ) {
    this.#config = config
    this.#clusterName = given.clusterName
    this.#barrier = given.barrier
    this.#random = world.random
    this.metrics = new Metrics(world.clock)
    this.inFlight = new InFlight(world.clock, this.metrics)
    this.cluster = {
      servers: () => this.#servers(),
      isShared: given.isShared,
      failureTolerance: () => this.#reached?.cluster.failureTolerance() ?? 0,
      stepDown: () => this.#stepDown(),
      archive: () => this.#archive(),
    }
    this.runtime = this.#runtimeOn(world)
  }

  /** Takes what was made after it. */
  reach(reached: SecretsReached): void {
    this.#reached = reached
  }

  #servers(): ServerShown[] {
    const { cluster } = this.#reached ?? {}
    if (cluster === undefined) return []
    return peersOf(cluster).map(each => {
      const isSelf = each.nodeId === this.#config.nodeId
      return {
        nodeId: each.nodeId,
        name: each.name,
        apiAddress: isSelf ? secretsUrlOf(this.#config) : (each.secretsUrl ?? ''),
        clusterAddress: each.ports.server < 0 ? '' : serverAddress(each),
        isSelf,
        isLeader: each.isLeader,
        isVoter: each.isVoter,
        isHealthy: each.isHealthy,
        stableSinceMs: each.stableSince,
        lastContactMs: each.lastContactMs,
        term: each.term,
        lastIndex: each.lastIndex,
      }
    })
  }

  async #stepDown(): Promise<true | Refusal> {
    const { cluster } = this.#reached ?? {}
    if (cluster === undefined) return new Refusal(503, 'the server is not started yet')
    const isAlone = peersOf(cluster).length < 2
    return isAlone ? true : cluster.transfer(everybody, '')
  }

  async #archive(): Promise<AsyncIterable<Uint8Array>> {
    const { snapshots } = this.#reached ?? {}
    if (snapshots === undefined) {
      throw new OperatingError(OperatingCode.unavailable, 'the server is not started yet')
    }
    await snapshots.confirm()
    const seal = (sums: string): Buffer => {
      const barrier = this.#barrier()
      if (barrier === undefined)
        throw new OperatingError(OperatingCode.unavailable, 'it was sealed')
      return barrier.seal(SUMS_PLACE, sums, this.#random)
    }
    return begun(snapshots.save(seal))
  }

  #runtimeOn({ clock, log }: World): RuntimePort {
    const config = (): SettledConfig => this.#reached?.live.config ?? this.#config
    return {
      log: {
        follow: tap => log.follow(tap),
        level: () => this.#level ?? config().log.level,
        setLevel: level => {
          this.#level = level
          log.setLevel(level ?? config().log.level)
        },
      },
      metrics: this.metrics,
      naming: () => ({ ...config().telemetry, prefix: 'vault' }),
      // Vault shows them unless told otherwise, Consul does not.
      prometheusRetentionMs: () => config().telemetry.prometheusRetentionMs || DAY_MS,
      profiler: createProfiler(clock),
      host: () => hostShown(clock),
      inFlight: () => this.inFlight.all(),
      settings: () => this.#settings(config()),
      reload: async () => (await this.#reached?.reload()) ?? ['the server is not started yet'],
      auditDevices: () =>
        config().audit.sinks.map(({ name, type }) => ({ name, type, options: {} })),
    }
  }

  /** The configuration in the words of Vault's; nothing of it is secret. */
  #settings(config: SettledConfig): JsonObject {
    const { addresses, ports, tls } = config
    const listener = (host: string) => ({
      type: 'tcp',
      config: {
        address: `${host}:${ports.secrets}`,
        tls_disable: tls.secrets.certFile === undefined,
      },
    })
    return {
      api_addr: secretsUrlOf(this.#config),
      cache_size: 0,
      cluster_addr: '',
      cluster_cipher_suites: '',
      cluster_name: this.#clusterName(),
      default_lease_ttl: this.#config.secrets.leases.defaultMs / 1_000,
      default_max_request_duration: 90,
      disable_cache: false,
      disable_clustering: false,
      disable_indexing: false,
      disable_mlock: true,
      disable_performance_standby: true,
      disable_printable_check: false,
      disable_sealwrap: true,
      enable_ui: false,
      introspection_endpoint: false,
      listeners: addresses.secrets.map(listener),
      log_format: config.log.json ? 'json' : 'standard',
      log_level: config.log.level,
      max_lease_ttl: this.#config.secrets.leases.maxMs / 1_000,
      pid_file: '',
      plugin_directory: '',
      raw_storage_endpoint: false,
      seals: [],
      storage: {
        type: config.store.engine,
        cluster_addr: '',
        disable_clustering: false,
        redirect_addr: secretsUrlOf(this.#config),
      },
      version: vaultVersion,
    }
  }
}

/** The machine, under the names that Vault's answer has. */
async function hostShown(clock: Clock): Promise<HostShown> {
  const { Memory, CPU, Host, Disk } = (await hostFacts(clock)) as {
    readonly Memory: unknown
    readonly CPU: readonly unknown[]
    readonly Host: unknown
    readonly Disk: unknown
  }
  const times = cpus().map(({ times }, i) => ({
    cpu: `cpu${i}`,
    user: times.user / SECOND_MS,
    system: times.sys / SECOND_MS,
    idle: times.idle / SECOND_MS,
    nice: times.nice / SECOND_MS,
    irq: times.irq / SECOND_MS,
    ...{ iowait: 0, softirq: 0, steal: 0, guest: 0, guestNice: 0 },
  }))
  return { cpu: CPU, cpu_times: times, disk: [Disk], host: Host, memory: Memory }
}
