/**
 * Parts that agents of every kind are made of in the same way.
 *
 * Owns how they are made out of the configuration, and what of it is taken over while an agent
 * runs. Who gets them: compose.ts for servers, client/compose.ts for the others.
 */
import { assert } from '../base/assert.ts'
import { type Clock, type Random, systemClock, systemRandom } from '../base/clock.ts'
import type { Refusal } from '../base/errors.ts'
import type { Resolver } from '../base/io/dns2.ts'
import { clientContext } from '../base/io/tls.ts'
import type { LiveLog } from '../base/log.ts'
import { Metrics } from '../base/metrics.ts'
import type { SecureOptions } from '../base/tls.ts'
import type { AgentTls, RunTools } from '../checks/define.ts'
import { targetGuard } from '../checks/guard.ts'
import { programEnvironment } from '../checks/program.ts'
import { ProgramHost } from '../checks/program-host.run.ts'
import type { HttpSettings } from '../http/pipeline.ts'
import { checkFromFile, serviceFromFile } from '../http/registry/agent-body.ts'
import type { MetricsSource } from '../http/registry/metrics.ts'
import type { HttpFace } from '../http/server.ts'
import { certificatesOf } from './certificates.ts'
import type { SettledConfig } from './config.ts'
import { socketPathOf } from './config-listen.ts'
import { secureOptionsOf } from './config-tls.ts'
import type { LocalPorts, LocalState } from './local-state.ts'
import type { Reloadable } from './reload.ts'
import type { FaceAddress } from './running.ts'
import type { OwnTokens } from './tokens.ts'

/** What an agent runs with: the world as ports, so that tests can bring another. */
export interface World {
  readonly clock: Clock
  readonly random: Random
  readonly log: LiveLog
  readonly metrics: Metrics
  /** The variables of this process. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

export const realWorld = (log: LiveLog): World => ({
  clock: systemClock,
  random: systemRandom,
  log,
  metrics: new Metrics(systemClock),
  environment: process.env,
})

/** What clients may ask of the process as a whole. */
export interface ProcessPort {
  reload(): Promise<readonly string[]>
  /** Has it leave the cluster, drain and end; a refusal where the others need it. */
  leave(force: boolean): Promise<true | Refusal>
  /** Has it drain and end; it stays a member. */
  drain(): void
}

/** The configuration as it is now: what is asked for at each use follows a reload. */
export interface Live {
  config: SettledConfig
}

/** How definitions of files are read: as the bodies of the agent's endpoints are. */
export const definitionsOf = ({ nodeName }: SettledConfig): LocalPorts['read'] => ({
  service: body => serviceFromFile(nodeName, body),
  check: checkFromFile,
})

/** What the runs of checks share. */
export function checkTools(live: Live, world: World, resolver: Resolver): RunTools {
  const { config } = live
  const environment = programEnvironment(world.environment)
  return {
    resolver,
    mayReach: targetGuard(config.checkTargetsAllow),
    programs: new ProgramHost(environment),
    environment,
    dockerHost: world.environment.DOCKER_HOST ?? '',
    agentTls: agentTlsOf(live),
  }
}

/** What checks show and trust with `enable_agent_tls_for_checks`; a context for each material. */
function agentTlsOf(live: Live): () => AgentTls | undefined {
  let made: { readonly digest: string; readonly context: AgentTls['context'] } | undefined
  return () => {
    const { tls, nodeName } = live.config
    const { material } = tls.internalRpc
    if (!tls.forChecks || material === undefined) return undefined
    if (made?.digest !== material.digest) {
      made = { digest: material.digest, context: clientContext(material) }
    }
    const serverName = tls.serverName ?? nodeName
    return { context: made.context, pems: material.pems(), serverName }
  }
}

/** What the metrics' paths tell of. */
export const metricsSource = (live: Live, metrics: Metrics, clock: Clock): MetricsSource => ({
  metrics,
  nodeName: live.config.nodeName,
  naming: () => live.config.telemetry,
  prometheusRetentionMs: () => live.config.telemetry.prometheusRetentionMs,
  certificates: () => certificatesOf(live.config.tls),
  now: () => clock.wall(),
})

/** What of the HTTP face may change while it runs. */
export const httpSettings = (config: SettledConfig): HttpSettings => ({
  pretty: config.http.prettyJson,
  queryWaitDefaultMs: config.defaultQueryTimeMs,
  queryWaitMaxMs: config.maxQueryTimeMs,
  usesCache: config.http.usesCache,
  discoveryMaxStaleMs: config.discoveryMaxStaleMs,
  responseHeaders: headersOf(config),
})

/** What takes over settings that every agent has, in the order in which they are told. */
export function commonReloadables(
  live: Live,
  log: LiveLog,
  http: HttpFace,
  tokens: OwnTokens,
): Reloadable[] {
  return [
    {
      takes: [
        ...['prefix', 'hostName', 'prefixFilter', 'filterDefault', 'prometheusRetentionMs'].map(
          name => `telemetry.${name}`,
        ),
      ],
      always: true,
      apply(next) {
        live.config = next
      },
    },
    { takes: ['log.level'], apply: next => log.setLevel(next.log.level) },
    {
      takes: [
        'http.responseHeaders',
        'http.usesCache',
        'defaultQueryTimeMs',
        'maxQueryTimeMs',
        'discoveryMaxStaleMs',
      ],
      apply: next => http.configure(httpSettings(next)),
    },
    {
      takes: ['http.rates', 'http.connectionsPerClient'],
      apply: next => http.setLimits(next.http),
    },
    {
      takes: ['tls'],
      apply(next) {
        const secure = secureOptionsOf(next.tls.https)
        // Without a certificate there is no listener, or it waits for a restart to go.
        if (secure !== undefined) http.secure(secure)
      },
    },
    { takes: ['acl.tokens'], apply: next => tokens.configure(next.acl.tokens) },
  ]
}

/** What takes over the definitions of files, last of all. */
export const definitionsReloadable = (local: LocalState): Reloadable => ({
  // Also what was deregistered meanwhile comes back, as long as a file holds it.
  takes: ['services', 'checks', 'nodeMeta'],
  always: true,
  check: next => local.problemOf(next),
  apply: next => local.configure(next),
})

/** Headers that the configuration adds to every answer. */
const headersOf = ({ http, translateWanAddresses }: SettledConfig): Record<string, string> => ({
  ...http.responseHeaders,
  ...(translateWanAddresses ? { 'X-Consul-Translate-Addresses': 'true' } : {}),
})

/** Has the face listen wherever the configuration says; gives where that is. */
export async function listenHttp(http: HttpFace, config: SettledConfig): Promise<FaceAddress[]> {
  const addresses: FaceAddress[] = []
  for (const host of config.addresses.http) {
    addresses.push({ face: 'http', ...(await listenOn(http, config, host)) })
  }
  const secure = secureOptionsOf(config.tls.https)
  for (const host of config.addresses.https) {
    assert(secure !== undefined, 'the configuration has a certificate for HTTPS')
    addresses.push({ face: 'https', ...(await listenOn(http, config, host, secure)) })
  }
  return addresses
}

async function listenOn(
  http: HttpFace,
  { ports, unixSockets }: SettledConfig,
  host: string,
  secure?: SecureOptions,
): Promise<{ host: string; port: number }> {
  const path = socketPathOf(host)
  const port = secure === undefined ? ports.http : ports.https
  if (path === undefined) return http.listen(host, port, secure)
  await http.listenFile({ path, ...unixSockets }, secure)
  return { host, port: 0 }
}

/** What clients may send. */
export const boundsOf = ({ kvMaxValueSizeBytes, txnMaxBodySizeBytes, http }: SettledConfig) => ({
  kvValueSizeBytes: kvMaxValueSizeBytes,
  txnBodySizeBytes: txnMaxBodySizeBytes,
  takesAnyKey: http.takesAnyKey,
})
