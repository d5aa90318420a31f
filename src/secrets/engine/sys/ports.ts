/**
 * What `sys/` asks of the server that it runs on: handed in when the parts are joined.
 *
 * Owns the types. Whatever is behind them (clocks, files, the cluster) stays outside of the room.
 */

import type { Refusal } from '../../../base/errors.ts'
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import type { LiveLog, LogLevel } from '../../../base/log.ts'
import type { Metrics } from '../../../base/metrics.ts'
import type { MetricNaming } from '../../../base/metrics-forms.ts'
import type { ConditionCompiler } from '../../condition/condition.ts'
import type { Denials } from '../../denials.ts'
import type { JsonObject } from '../../field.ts'
import type { RegistryTokens } from '../../grant/grant.ts'
import type { FactorAsks } from '../../mfa/factor/factor.ts'
import type { AcmePorts } from '../pki/acme/ports.ts'
import type { ProgramCompiler } from '../pki/cel/row.ts'
import type { LoginPorts } from '../userpass/ports.ts'
import type { SealAccess, SealOperatorPort } from './seal.run.ts'

/** All ports of the system engine: each file of paths takes what it needs. */
export interface SystemPorts {
  readonly server: ServerPort
  readonly seal: SealOperatorPort
  readonly sealAccess: SealAccess
  /** The language of conditions on paths. */
  readonly conditions: ConditionCompiler
  /** The same, of roles that are programs. */
  readonly programs: ProgramCompiler
  /** Why requests were refused. */
  readonly denials: Pick<Denials, 'explain'>
  readonly logins: LoginPorts
  /** How second factors of others are asked. */
  readonly factors: FactorAsks
  /** What works with private keys. */
  readonly arithmetic: Arithmetic
  /** What ACME stands on. */
  readonly acme: AcmePorts
  readonly cluster: ClusterPort
  readonly runtime: RuntimePort
  /** Of the registry's tokens; undefined where it has none. */
  readonly registry?: RegistryTokens | undefined
}

/** What this server knows of itself without a look into rows. */
export interface ServerPort {
  /** Whether there is a barrier at all. */
  isInitialized(): boolean
  isSealed(): boolean
  /** The name of the cluster, and its id; '' while they are not known. */
  clusterName(): string
  clusterId(): string
  /** The wall clock's milliseconds. */
  nowMs(): number
  /** Where clients reach it, as a URL. */
  apiAddress(): string
}

/** A server of the cluster, as clients of Vault are told of it. */
export interface ServerShown {
  readonly nodeId: string
  readonly name: string
  /** Where its API is; '' where that is not known of another server. */
  readonly apiAddress: string
  /** `host:port` that other servers reach it at; '' where it speaks with none. */
  readonly clusterAddress: string
  readonly isSelf: boolean
  /** Whether it keeps the time for all: there is nothing else that one server does alone. */
  readonly isLeader: boolean
  readonly isVoter: boolean
  readonly isHealthy: boolean
  readonly stableSinceMs: number
  readonly lastContactMs: number
  readonly term: number
  readonly lastIndex: number
}

/** The servers that decide together. */
export interface ClusterPort {
  servers(): readonly ServerShown[]
  /** Whether there can be more than one. */
  isShared(): boolean
  /** How many may fail before nothing can be written. */
  failureTolerance(): number
  /** Hands what this server does alone to another one. */
  stepDown(): Promise<true | Refusal>
  /** An archive of the whole store, as new as the store is now, in pieces; it has begun. */
  archive(): Promise<AsyncIterable<Uint8Array>>
}

/** A request that is being answered. */
export interface RequestInFlight {
  readonly id: string
  readonly startedMs: number
  readonly remote: string
  readonly method: string
  /** Without its query: secrets may stand there. */
  readonly path: string
}

/** The running process. */
export interface RuntimePort {
  readonly log: Pick<LiveLog, 'follow'> & {
    level(): LogLevel
    /** Sets the level; undefined for the configured one. */
    setLevel(level: LogLevel | undefined): void
  }
  readonly metrics: Metrics
  naming(): MetricNaming
  /** How long series of which nothing is heard are shown to Prometheus; 0: nothing is. */
  prometheusRetentionMs(): number
  /** A profile of the processor in pprof's form, compressed; one at a time. */
  readonly profiler: {
    readonly isRunning: boolean
    profile(durationMs: number, signal: AbortSignal): Promise<Buffer>
  }
  /** The machine, under the names of gopsutil. */
  host(): Promise<HostShown>
  inFlight(): Iterable<RequestInFlight>
  /** The configuration, without what is secret in it. */
  settings(): JsonObject
  /** Reads the configuration anew; gives what is wrong with it, in which case nothing changed. */
  reload(): Promise<readonly string[]>
  /** The devices that the audit is sent to: there is none but what is configured. */
  auditDevices(): readonly AuditDeviceShown[]
}

export interface HostShown {
  readonly cpu: readonly unknown[]
  readonly cpu_times: readonly unknown[]
  readonly disk: readonly unknown[]
  readonly host: unknown
  readonly memory: unknown
}

export interface AuditDeviceShown {
  readonly name: string
  readonly type: string
  readonly options: Readonly<Record<string, string>>
}
