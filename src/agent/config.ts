/**
 * The configuration of an agent: one frozen object, made once at the start.
 *
 * Owns what the settings mean together: defaults that depend on others, and the combinations that
 * are refused. Pure; reading files is config-load.ts's work, addresses are config-listen.ts's.
 */
import { join, resolve } from 'node:path'
import type { LogFileOptions } from '../base/io/log-file.ts'
import type { Collector } from '../base/io/metrics-sink.ts'
import { limits } from '../base/limits.ts'
import { type LogLevel, logLevelOf, syslogFacility } from '../base/log.ts'
import { parseNetwork } from '../base/networks.ts'
import { isUuid } from '../base/uuid.ts'
import type { TaskDefinition } from '../feed/sink/task-definition.ts'
import type { RequestRates } from '../http/admission.ts'
import { autopilotDefaults } from '../registry/autopilot.ts'
import type { Entry } from '../registry/config-entry/kind.ts'
import type { AutopilotRow } from '../store/tables/autopilot.ts'
import type { MachineAddress } from './address-template.ts'
import { type AclConfig, buildAcl } from './config-acl.ts'
import { type AuditConfig, buildAudit } from './config-audit.ts'
import type { Definition } from './config-definition.ts'
import { buildDns, type DnsSettings } from './config-dns.ts'
import { buildEtcd, type EtcdSettings } from './config-etcd.ts'
import { buildJoin, type JoinSettings, refuseJoining } from './config-join.ts'
import { buildAddresses, refuseExposure, servesSecrets } from './config-listen.ts'
import { buildLockout } from './config-lockout.ts'
import {
  buildAutopilot,
  buildMember,
  buildSnapshots,
  engineOf,
  type MemberConfig,
} from './config-member.ts'
import { type ConfigFlag, type ConfigText, Settings } from './config-read.ts'
import { served } from './config-schema.ts'
import { buildSeal, type SealSettings } from './config-seal.ts'
import { buildSecrets, type SecretsSettings } from './config-secrets.ts'
import { buildSinks } from './config-sink.ts'
import { switchWarnings } from './config-switches.ts'
import { buildTls, listensWithTls, type TlsSettings } from './config-tls.ts'
import type { SnapshotSettings } from './snapshot-schedule.ts'
import type { Watch } from './watch-definition.ts'

/** What an agent runs by. Durations are milliseconds, sizes bytes, -1 as a port is off. */
export interface Config {
  readonly datacenter: string
  readonly nodeName: string
  /** Lower-case UUID, or undefined until `settleNodeId` found or made it. */
  readonly nodeId: string | undefined
  readonly nodeMeta: Readonly<Record<string, string>>
  /** Whether it keeps the catalog; else it is one of the agents that forward to those that do. */
  readonly isServer: boolean
  /** Lower case, without dots at its ends. */
  readonly domain: string
  readonly altDomain: string | undefined
  /** Started by `-dev`: nothing is kept, answers are pretty. */
  readonly isDev: boolean
  /** Absolute; undefined when nothing is kept on disk. */
  readonly dataDir: string | undefined
  readonly bindAddress: string
  readonly advertiseAddress: string
  /** Tagged addresses of the node that do not follow from its address. */
  readonly taggedAddresses: Readonly<Record<string, string>>
  readonly translateWanAddresses: boolean
  /** IP addresses; for HTTP, HTTPS and gRPC also sockets in files, as `unix:///path`. */
  readonly addresses: {
    readonly dns: readonly string[]
    readonly http: readonly string[]
    readonly https: readonly string[]
    readonly secrets: readonly string[]
    /** In clear, and with TLS. */
    readonly grpc: readonly string[]
    readonly grpcTls: readonly string[]
  }
  readonly unixSockets: {
    readonly user: string | undefined
    readonly group: string | undefined
    readonly modeBits: number | undefined
  }
  readonly locality: { readonly region: string; readonly zone: string }
  /** Whether the node's id is made from the machine's. */
  readonly usesHostNodeId: boolean
  /** With the offset added; 0 is any free port. */
  readonly ports: {
    readonly dns: number
    readonly http: number
    readonly https: number
    readonly secrets: number
    readonly grpc: number
    readonly grpcTls: number
    readonly server: number
    readonly serfLan: number
    readonly serfWan: number
  }
  readonly join: JoinSettings
  /** What was added to them. */
  readonly portOffset: number
  readonly dns: DnsSettings
  readonly tls: TlsSettings
  readonly acl: AclConfig
  readonly http: {
    readonly responseHeaders: Readonly<Record<string, string>>
    readonly maxHeaderSizeBytes: number
    readonly prettyJson: boolean
    readonly headerTimeoutMs: number
    /** Of TLS connections. */
    readonly handshakeTimeoutMs: number
    readonly requestTimeoutMs: number
    readonly idleTimeoutMs: number
    /** 0 is none; never shorter than the longest wait. */
    readonly writeTimeoutMs: number
    /** 0 and less is no limit. */
    readonly connectionsPerClient: number
    readonly bodySizeBytes: number
    readonly rates: RequestRates
    readonly usesCache: boolean
    readonly blockEndpoints: readonly string[]
    /** As address/bits. */
    readonly allowWriteFrom: readonly string[]
    readonly takesUnprintable: boolean
    readonly takesAnyKey: boolean
  }
  /** When a silent connection is asked for a sign of life, and when it is cut. */
  readonly grpc: { readonly keepaliveMs: number; readonly keepaliveTimeoutMs: number }
  readonly kvMaxValueSizeBytes: number
  readonly txnMaxBodySizeBytes: number
  readonly checkUpdateIntervalMs: number
  readonly checkOutputMaxSizeBytes: number
  readonly discardCheckOutput: boolean
  /** Whose definitions of checks may start programs. */
  readonly scriptChecks: { readonly byAnybody: boolean; readonly byFiles: boolean }
  readonly checkReapIntervalMs: number
  /** How long the node of a dead agent stays. */
  readonly reconnectTimeoutMs: number
  readonly checkDeregisterMinMs: number
  /** Ranges of addresses that checks may connect to; empty for all but guarded ones. */
  readonly checkTargetsAllow: readonly string[]
  /** The same for the keys of those whose tokens are taken for logins. */
  readonly loginTargetsAllow: readonly string[]
  /** How often the agent's entries are compared with the catalog. */
  readonly antiEntropyIntervalMs: number
  readonly defaultQueryTimeMs: number
  readonly maxQueryTimeMs: number
  readonly discoveryMaxStaleMs: number
  readonly sessionTtlMinMs: number
  readonly log: {
    readonly level: LogLevel
    readonly json: boolean
    /** Where lines go instead of stderr, and how that file is rotated. */
    readonly file: LogFileOptions | undefined
    /** The facility of syslog that gets the lines as well. */
    readonly syslogFacility: string | undefined
  }
  readonly telemetry: {
    readonly prefix: string
    /** Stands before the names of gauges; undefined for nothing. */
    readonly hostName: string | undefined
    readonly prefixFilter: readonly string[]
    readonly filterDefault: boolean
    /** 0: nothing for Prometheus. */
    readonly prometheusRetentionMs: number
    readonly statsd: Collector | undefined
    readonly statsite: Collector | undefined
    readonly dogstatsd: Collector | undefined
    readonly dogstatsdTags: readonly string[]
    readonly hostMetrics: boolean
  }
  readonly pidFile: string | undefined
  /** What holds for a call of which no intention says anything. */
  readonly defaultIntentionPolicy: 'allow' | 'deny'
  /** Files of the configuration are looked at now and then, and a change is taken over. */
  readonly autoReload: boolean
  /** Whether profiles of the running program are served. */
  readonly debug: boolean
  readonly secrets: SecretsSettings
  /** Which signals leave instead of only stopping. */
  readonly leaveOn: { readonly terminate: boolean; readonly interrupt: boolean }
  /** Bodies of the agent's register endpoints, in the order of the files. */
  readonly services: readonly Definition[]
  readonly checks: readonly Definition[]
  readonly watches: readonly Watch[]
  /** What this agent keeps right by the registry. */
  readonly sinks: readonly TaskDefinition[]
  /** Written at the start where there is none of the kind and name. */
  readonly configEntries: readonly Entry[]
  readonly audit: AuditConfig
  readonly seal: SealSettings
  /** When failed logins lock out, by the type of the method; `all` for every one. */
  readonly lockout: ReturnType<typeof buildLockout>
  readonly store: {
    readonly engine: 'level' | 'memory' | 'etcd'
    /** Damage that the operator accepts: the store is at this revision and was at a later one. */
    readonly acceptRevision: number | undefined
    readonly etcd: EtcdSettings
    readonly member: MemberConfig
    /** When archives are saved by themselves; undefined for never. */
    readonly snapshots: SnapshotSettings | undefined
  }
  /** What is written of the autopilot where operators have said nothing yet. */
  readonly autopilot: AutopilotRow
}

/** A configuration whose node has its id. */
export type SettledConfig = Config & { readonly nodeId: string }

/** What the machine contributes. */
export interface ConfigSurroundings {
  readonly hostName: string
  /** Addresses of this machine's interfaces. */
  readonly interfaces: readonly MachineAddress[]
  /** Relative paths are resolved against it. */
  readonly workingDir: string
}

/** What the user gave: texts in order, then flags, which override them. */
export interface ConfigSources {
  readonly texts: readonly ConfigText[]
  readonly flags: readonly ConfigFlag[]
  readonly isDev: boolean
}

/** The configuration with its warnings, or every problem that was found, for people to read. */
export type ConfigResult =
  | { readonly config: Config; readonly warnings: readonly string[] }
  | { readonly problems: readonly string[] }

/** Joins what the user gave, checks it as a whole, and fills in the rest. */
export function resolveConfig(
  sources: ConfigSources,
  surroundings: ConfigSurroundings,
): ConfigResult {
  const settings = new Settings()
  for (const text of sources.texts) settings.readText(text)
  for (const flag of sources.flags) settings.readFlag(flag)
  const config = build(settings, sources.isDev, surroundings)
  refuseLaterModes(settings, config)
  refuseJoining(settings, config)
  const exposed = refuseExposure(settings, config)
  const raised = raisedTimeouts(settings, config)
  refuseContradictions(settings, config)
  if (settings.problems.length > 0) return { problems: settings.problems }
  const warnings = [
    ...settings.notes,
    ...exposed,
    ...raised,
    ...warningsOf(config),
    ...switchWarnings(config),
  ]
  return { config: freeze(config), warnings }
}

function build(settings: Settings, isDev: boolean, surroundings: ConfigSurroundings): Config {
  const { hostName, workingDir } = surroundings
  const { engine, isManaged } = engineOf(settings, isDev)
  const keepsNothing = engine === 'memory' && !settings.isSet('data_dir')
  const path = (name: 'data_dir' | 'log_file' | 'pid_file'): string | undefined =>
    settings.get(name) === '' ? undefined : resolve(workingDir, settings.get(name))
  const dataDir = keepsNothing ? undefined : path('data_dir')
  const addresses = buildAddresses(settings, surroundings, isDev)
  const nodeName = settings.get('node_name') || hostName
  const ports = buildPorts(settings, addresses.addresses)
  return {
    datacenter: settings.get('datacenter').toLowerCase(),
    nodeName,
    nodeId: settings.get('node_id').toLowerCase() || undefined,
    nodeMeta: settings.get('node_meta'),
    isServer: settings.get('server'),
    domain: domainOf(settings.get('domain')),
    altDomain: domainOf(settings.get('alt_domain')) || undefined,
    isDev,
    dataDir,
    ...addresses,
    translateWanAddresses: settings.get('translate_wan_addrs'),
    locality: { region: settings.get('locality.region'), zone: settings.get('locality.zone') },
    usesHostNodeId: !settings.get('disable_host_node_id'),
    ports,
    join: buildJoin(settings, { ...addresses, nodeName, ports }, surroundings),
    portOffset: settings.get('port_offset'),
    dns: buildDns(settings),
    tls: buildTls(settings, workingDir),
    acl: buildAcl(settings),
    http: buildHttp(settings, isDev),
    grpc: buildGrpc(settings),
    kvMaxValueSizeBytes: settings.get('limits.kv_max_value_size'),
    txnMaxBodySizeBytes: settings.get('limits.txn_max_req_len'),
    checkUpdateIntervalMs: settings.get('check_update_interval'),
    checkOutputMaxSizeBytes: settings.get('check_output_max_size'),
    discardCheckOutput: settings.get('discard_check_output'),
    scriptChecks: buildScriptChecks(settings),
    checkReapIntervalMs: Math.max(settings.get('check_reap_interval'), limits.checkReapMinMs),
    reconnectTimeoutMs: Math.max(settings.get('reconnect_timeout'), limits.reconnectTimeoutMinMs),
    checkDeregisterMinMs: settings.get('check_deregister_interval_min'),
    checkTargetsAllow: settings.get('check_targets.allow'),
    loginTargetsAllow: settings.get('login_targets.allow'),
    antiEntropyIntervalMs: Math.max(settings.get('ae_interval'), limits.agentSyncMinMs),
    defaultQueryTimeMs: settings.get('default_query_time'),
    maxQueryTimeMs: settings.get('max_query_time'),
    discoveryMaxStaleMs: settings.get('discovery_max_stale'),
    sessionTtlMinMs: settings.get('session_ttl_min'),
    log: buildLog(settings, path('log_file')),
    telemetry: buildTelemetry(settings, hostName),
    pidFile: path('pid_file'),
    defaultIntentionPolicy: intentionPolicyOf(settings),
    autoReload: settings.get('auto_reload_config'),
    debug: settings.isSet('enable_debug') ? settings.get('enable_debug') : isDev,
    secrets: buildSecrets(settings, isDev),
    leaveOn: buildLeaving(settings),
    services: [...settings.get('service'), ...settings.get('services')],
    checks: [...settings.get('check'), ...settings.get('checks')],
    watches: settings.get('watches'),
    sinks: buildSinks(settings),
    configEntries: settings.get('config_entries.bootstrap'),
    audit: buildAudit(settings, { isAclOn: settings.get('acl.enabled'), dataDir }),
    seal: buildSeal(settings, workingDir),
    lockout: buildLockout(settings),
    store: {
      engine: engine as Config['store']['engine'],
      acceptRevision: acceptedRevision(settings.get('store.accept_revision')),
      etcd: buildEtcd(settings, workingDir),
      member: buildMember(settings, isManaged, workingDir),
      snapshots: buildSnapshots(settings, isManaged, workingDir, dataDir),
    },
    autopilot: buildAutopilot(settings, autopilotDefaults),
  }
}

const KEEPALIVE_MIN_MS = 1_000

const buildGrpc = (settings: Settings): Config['grpc'] => {
  const [everyMs, timeoutMs] = (['interval', 'timeout'] as const).map(name =>
    Math.max(settings.get(`performance.grpc_keepalive_${name}`), KEEPALIVE_MIN_MS),
  )
  return { keepaliveMs: everyMs!, keepaliveTimeoutMs: timeoutMs! }
}

/** Client agents leave when they are stopped, servers only when they are told to. */
function buildLeaving(settings: Settings): Config['leaveOn'] {
  const isClient = !settings.get('server')
  const terminate = settings.isSet('leave_on_terminate')
  const interrupt = settings.isSet('skip_leave_on_interrupt')
  return {
    terminate: terminate ? settings.get('leave_on_terminate') : isClient,
    interrupt: interrupt ? !settings.get('skip_leave_on_interrupt') : isClient,
  }
}

function buildScriptChecks(settings: Settings): Config['scriptChecks'] {
  const byAnybody = settings.get('enable_script_checks')
  return { byAnybody, byFiles: settings.get('enable_local_script_checks') || byAnybody }
}

/** Where nothing is said, calls are as requests are. */
function intentionPolicyOf(settings: Settings): 'allow' | 'deny' {
  const { enabled, defaultPolicy } = buildAcl(settings)
  const stated = settings.get('default_intention_policy').toLowerCase()
  if (stated !== '') return stated === 'deny' ? 'deny' : 'allow'
  return enabled ? defaultPolicy : 'allow'
}

const acceptedRevision = (given: number): number | undefined => (given < 0 ? undefined : given)

function buildPorts(settings: Settings, addresses: Config['addresses']): Config['ports'] {
  const offset = settings.get('port_offset')
  const hasRegistry = settings.get('registry.enabled')
  const shifted = (path: PortName): number => {
    const port = settings.get(`ports.${path}`)
    if (port <= 0) return port
    if (port + offset > 65_535) {
      settings.complain(`ports.${path}`, `${port} and the offset ${offset} go beyond 65535`)
    }
    return port + offset
  }
  return {
    dns: hasRegistry ? shifted('dns') : -1,
    http: hasRegistry ? shifted('http') : -1,
    https: hasRegistry && listensWithTls(settings) ? shifted('https') : -1,
    secrets: secretsPort(settings, shifted),
    grpc: addresses.grpc.length === 0 ? -1 : besideHttp(settings, 'grpc', shifted),
    grpcTls: addresses.grpcTls.length === 0 ? -1 : besideHttp(settings, 'grpc_tls', shifted),
    server: shifted('server'),
    serfLan: shifted('serf_lan'),
    serfWan: shifted('serf_wan'),
  }
}

type PortName =
  | ('dns' | 'http' | 'https' | 'secrets' | 'grpc' | 'grpc_tls')
  | ('server' | 'serf_lan' | 'serf_wan')

/**
 * Whoever has HTTP elsewhere than usual runs beside others, and means the other half too: it is on
 * any free port then, unless its own is stated. An agent that is no server has it only if it is.
 */
function secretsPort(settings: Settings, shifted: (path: PortName) => number): number {
  if (!servesSecrets(settings)) return -1
  return besideHttp(settings, 'secrets', shifted)
}

/** Any free port where HTTP is elsewhere than usual, and the port itself is not stated. */
function besideHttp(
  settings: Settings,
  path: 'secrets' | 'grpc' | 'grpc_tls',
  shifted: (path: PortName) => number,
): number {
  const http = settings.get('ports.http')
  const https = settings.get('ports.https')
  const isMoved = http >= 0 && http !== served['ports.http'].initial
  // Where there is no HTTP, gRPC goes by HTTPS.
  const isHttpsMoved = path !== 'secrets' && http < 0 && https >= 0 && https !== HTTPS_PORT
  return (isMoved || isHttpsMoved) && !settings.isSet(`ports.${path}`) ? 0 : shifted(path)
}

/** The usual one, which is off by default. */
const HTTPS_PORT = 8501

function buildHttp(settings: Settings, isDev: boolean): Config['http'] {
  const LONGEST_JITTER = 17 / 16
  const longestMs = settings.get('max_query_time') * LONGEST_JITTER + limits.httpHeaderReadTimeoutMs
  const writeTimeoutMs = settings.get('http_config.write_timeout')
  const orDefault = (path: TimeoutPath): number =>
    settings.get(path) === 0 ? served[path].initial : settings.get(path)
  return {
    responseHeaders: settings.get('http_config.response_headers'),
    maxHeaderSizeBytes: settings.get('http_config.max_header_bytes'),
    prettyJson: isDev,
    headerTimeoutMs: orDefault('http_config.read_header_timeout'),
    handshakeTimeoutMs:
      settings.get('limits.https_handshake_timeout') || limits.httpsHandshakeTimeoutMs,
    requestTimeoutMs: orDefault('http_config.read_timeout'),
    idleTimeoutMs: orDefault('http_config.idle_timeout'),
    writeTimeoutMs: writeTimeoutMs === 0 ? 0 : Math.max(writeTimeoutMs, longestMs),
    connectionsPerClient: settings.get('limits.http_max_conns_per_client'),
    bodySizeBytes: settings.get('limits.http_max_request_body_size'),
    rates: {
      mode: settings.get('limits.request_limits.mode').toLowerCase() as RequestRates['mode'],
      readPerSecond: settings.get('limits.request_limits.read_rate'),
      writePerSecond: settings.get('limits.request_limits.write_rate'),
      clientReadPerSecond: settings.get('limits.request_limits.client_read_rate'),
      clientWritePerSecond: settings.get('limits.request_limits.client_write_rate'),
    },
    usesCache: settings.get('http_config.use_cache'),
    blockEndpoints: settings.get('http_config.block_endpoints'),
    allowWriteFrom: settings.get('http_config.allow_write_http_from'),
    takesUnprintable: settings.get('disable_http_unprintable_char_filter'),
    takesAnyKey: settings.get('disable_kv_key_validation'),
  }
}

type TimeoutPath = `http_config.${'read_header' | 'read' | 'idle'}_timeout`

/** A blocking query waits for its answer as long as it may, whatever the time-out. */
function raisedTimeouts(settings: Settings, { http }: Config): string[] {
  const given = settings.get('http_config.write_timeout')
  return given < http.writeTimeoutMs
    ? [`http_config.write_timeout: raised to ${http.writeTimeoutMs / 1000} s, above max_query_time`]
    : []
}

function buildTelemetry(settings: Settings, hostName: string): Config['telemetry'] {
  const name = settings.isSet('telemetry.metrics_prefix') ? 'metrics_prefix' : 'prefix'
  const prefixFilter = settings.get('telemetry.prefix_filter')
  if (!prefixFilter.every(rule => /^[+-]./.test(rule))) {
    settings.complain('telemetry.prefix_filter', 'each must begin with + or -')
  }
  return {
    prefix: settings.get(`telemetry.${name}`),
    hostName: settings.get('telemetry.disable_hostname') ? undefined : hostName,
    prefixFilter,
    filterDefault: settings.get('telemetry.filter_default'),
    prometheusRetentionMs: settings.get('telemetry.prometheus_retention_time'),
    statsd: collectorOf(settings, 'telemetry.statsd_address'),
    statsite: collectorOf(settings, 'telemetry.statsite_address'),
    dogstatsd: collectorOf(settings, 'telemetry.dogstatsd_addr'),
    dogstatsdTags: settings.get('telemetry.dogstatsd_tags'),
    hostMetrics: settings.get('telemetry.enable_host_metrics'),
  }
}

/** `host:port`, an IPv6 address in brackets; undefined when it is not set. */
function collectorOf(
  settings: Settings,
  path: 'telemetry.statsd_address' | 'telemetry.statsite_address' | 'telemetry.dogstatsd_addr',
): Collector | undefined {
  const text = settings.get(path)
  if (text === '') return undefined
  const [, bracketed, plain = '', port] = /^(?:\[(.+)\]|([^:\s]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === '' || Number(port) < 1 || Number(port) > 65_535) {
    settings.complain(path, 'must be host:port')
  }
  return { host, port: Number(port) }
}

const domainOf = (text: string): string => text.toLowerCase().replace(/^\.+|\.+$/g, '')

function buildLog(settings: Settings, file: string | undefined): Config['log'] {
  const facility = settings.get('syslog_facility')
  if (syslogFacility(facility) === undefined) {
    settings.complain('syslog_facility', 'is no facility of syslog')
  }
  // A folder gets a file of our name in it.
  const isFolder = settings.get('log_file').endsWith('/')
  const path = file !== undefined && isFolder ? join(file, 'gatehouse.log') : file
  const rotation = {
    rotateSizeBytes: settings.get('log_rotate_bytes'),
    rotateAfterMs: settings.get('log_rotate_duration'),
    keptFiles: settings.get('log_rotate_max_files'),
  }
  return {
    level: logLevelOf(settings.get('log_level')) as LogLevel,
    json: settings.get('log_json'),
    file: path === undefined ? undefined : { path, ...rotation },
    syslogFacility: settings.get('enable_syslog') ? facility : undefined,
  }
}

function refuseLaterModes(settings: Settings, config: Config): void {
  const { problems } = settings
  if (!config.isServer) {
    refuseLaterOfClients(config, problems)
    return
  }
  const primary = settings.get('primary_datacenter').toLowerCase()
  if (primary !== '' && primary !== config.datacenter) {
    problems.push('not served yet: primary_datacenter (more than one datacenter)')
  }
}

/** What agents that are no servers do not do yet. */
function refuseLaterOfClients({ watches }: Config, problems: string[]): void {
  const and = 'on an agent that is no server'
  if (watches.length > 0) problems.push(`not served yet: watches ${and}`)
}

const LABELS = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/

function refuseContradictions(settings: Settings, config: Config): void {
  if (!/^[a-z0-9_-]{1,63}$/.test(config.datacenter)) {
    settings.complain('datacenter', 'must be 1 to 63 of the characters a-z, 0-9, - and _')
  }
  if (config.nodeId !== undefined && !isUuid(config.nodeId)) {
    settings.complain('node_id', 'must be a UUID')
  }
  if (!LABELS.test(config.domain)) settings.complain('domain', 'must be a domain name')
  if (config.altDomain !== undefined && !LABELS.test(config.altDomain)) {
    settings.complain('alt_domain', 'must be a domain name')
  }
  if (config.dataDir === undefined && config.store.engine !== 'memory') {
    settings.complain('data_dir', `engine ${config.store.engine} needs a folder`)
  }
  const { dns, http, https, secrets } = config.ports
  if (secrets > 0 && [dns, http, https].includes(secrets)) {
    settings.complain('ports.secrets', `is the port of another face too: ${secrets}`)
  }
  const { grpc, grpcTls } = config.ports
  for (const [path, port, others] of [
    ['ports.grpc', grpc, [dns, http, https, secrets]],
    ['ports.grpc_tls', grpcTls, [dns, http, https, secrets, grpc]],
  ] as const) {
    if (port > 0 && others.includes(port)) {
      settings.complain(path, `is the port of another face too: ${port}`)
    }
  }
  if (dns > 0 && dns === http) settings.complain('ports.http', `is the port of DNS too: ${dns}`)
  if (https > 0 && (https === dns || https === http)) {
    settings.complain(
      'ports.https',
      `is the port of ${https === dns ? 'DNS' : 'HTTP'} too: ${https}`,
    )
  }
  for (const { host, port } of config.dns.recursors) {
    if (port === config.ports.dns && config.addresses.dns.includes(host)) {
      settings.complain('recursors', 'name this DNS server itself')
    }
  }
  if (config.defaultQueryTimeMs > config.maxQueryTimeMs) {
    settings.complain('default_query_time', 'is longer than max_query_time')
  }
  const targets = {
    'check_targets.allow': config.checkTargetsAllow,
    'login_targets.allow': config.loginTargetsAllow,
  } as const
  for (const name of ['check_targets.allow', 'login_targets.allow'] as const) {
    if (targets[name].every(range => parseNetwork(range) !== undefined)) continue
    settings.complain(name, 'must be ranges such as 10.0.0.0/8, or IP addresses')
  }
  for (const network of config.http.allowWriteFrom) {
    if (parseNetwork(network) === undefined) {
      settings.complain('http_config.allow_write_http_from', 'must be networks such as 10.0.0.0/8')
    }
  }
  if (config.http.blockEndpoints.some(each => !each.startsWith('/'))) {
    settings.complain('http_config.block_endpoints', 'must be paths, which begin with /')
  }
  for (const { body, where } of config.services) {
    if (typeof body.Name !== 'string' || body.Name === '') {
      settings.problems.push(`${where}: services: a service needs a name`)
    }
  }
}

const warningsOf = ({ nodeName }: Config): string[] =>
  /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$/.test(nodeName)
    ? []
    : [`node name "${nodeName}" is no DNS label: DNS cannot find this node by name`]

function freeze<T extends object>(value: T): T {
  for (const each of Object.values(value)) {
    if (typeof each === 'object' && each !== null) freeze(each)
  }
  return Object.freeze(value)
}
