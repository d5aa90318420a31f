/**
 * Every key of the configuration, in one table: type, default, flag, what it does, and whether
 * it is served.
 *
 * Owns the names. The key is the dotted path in a file (`dns_config.node_ttl`). The merge rule
 * follows from the type: lists append, maps merge key by key, anything else is replaced by the
 * later source. Keys that Consul knows and we do not serve yet are listed with the values that
 * change nothing; any other value of theirs stops the start, so that no setting is ignored
 * silently. Names, defaults and flags are Consul's; what differs is said in the doc line.
 */
import type { SinkSettings } from '../audit/device.ts'
import { HOUR_MS, MINUTE_MS } from '../base/duration.ts'
import { limits } from '../base/limits.ts'
import type { TaskDefinition } from '../feed/sink/task-definition.ts'
import type { HclValue } from '../hcl/hcl.ts'
import type { Entry } from '../registry/config-entry/kind.ts'
import type { Entry as Declared } from '../secrets/declared/document.ts'
import type { Definition } from './config-definition.ts'
import type { LockoutBlock } from './config-lockout.ts'
import type { SealBlock } from './config-seal.ts'
import { tlsKeys } from './config-tls-keys.ts'
import type { Watch } from './watch-definition.ts'

/** What one DNS listener has otherwise than all. */
export interface ListenerOverrides {
  readonly udpAnswerLimit?: number
  readonly enableTruncate?: boolean
}

/** What a key holds once it is read. Durations are milliseconds. */
export interface KeyTypes {
  readonly string: string
  readonly bool: boolean
  readonly int: number
  readonly number: number
  readonly duration: number
  readonly strings: readonly string[]
  readonly stringMap: Readonly<Record<string, string>>
  readonly durationMap: Readonly<Record<string, number>>
  readonly listeners: Readonly<Record<string, ListenerOverrides>>
  readonly services: readonly Definition[]
  readonly checks: readonly Definition[]
  readonly watches: readonly Watch[]
  readonly configEntries: readonly Entry[]
  readonly sinks: readonly SinkSettings[]
  readonly seals: readonly SealBlock[]
  readonly lockouts: readonly LockoutBlock[]
  readonly declared: readonly Declared[]
  readonly tasks: readonly TaskDefinition[]
}
export type KeyType = keyof KeyTypes

/** A key that is served. */
export interface Key<T extends KeyType = KeyType> {
  readonly type: T
  readonly initial: KeyTypes[T]
  readonly doc: string
  /** Name of its flag, without the dash. */
  readonly flag?: string
  /** Smallest and largest value of an `int`. */
  readonly range?: readonly [min: number, max: number]
  /** The values that a `string` may have. */
  readonly oneOf?: readonly string[]
}

/** A key that Consul serves and we do not, or not yet. */
export interface LaterKey {
  /** What the key belongs to, for the error. */
  readonly what: string
  /** Values that change nothing, others stop the start; `any` is taken and told in the log. */
  readonly neutral: readonly HclValue[] | 'any'
  /** What the log says of a value that is taken. */
  readonly told: string
  readonly flag?: string
  /** Whether its flag stands without a value. */
  readonly isSwitch: boolean
}

type Extras = Pick<Key, 'flag' | 'range' | 'oneOf'>

function key<T extends KeyType>(
  type: T,
  initial: KeyTypes[T],
  doc: string,
  extras: Extras = {},
): Key<T> {
  return { type, initial, doc, ...extras }
}

const MIB = 1_048_576
const PORT = [-1, 65_535] as const
const COUNT = [0, 2 ** 31 - 1] as const
const SECONDS = [0, 2 ** 31 - 1] as const

function port(initial: number, doc: string, flag?: string): Key<'int'> {
  return key('int', initial, doc, { range: PORT, ...(flag === undefined ? {} : { flag }) })
}

/** The keys that are served. */
export const served = {
  // --- identity
  datacenter: key('string', 'dc1', 'name of the datacenter', { flag: 'datacenter' }),
  primary_datacenter: key('string', '', 'must be this datacenter: there is only one yet'),
  node_name: key('string', '', 'name of this node; the host name by default', { flag: 'node' }),
  node_id: key('string', '', 'UUID of this node; made once and kept by default', {
    flag: 'node-id',
  }),
  disable_host_node_id: key('bool', true, 'make the id by chance, not from the machine', {
    flag: 'disable-host-node-id',
  }),
  'locality.region': key('string', '', 'region of this node; shown by agent/self'),
  'locality.zone': key('string', '', 'zone of this node; shown by agent/self'),
  node_meta: key('stringMap', {}, 'metadata of this node (flag: key:value)', { flag: 'node-meta' }),
  domain: key('string', 'consul', 'domain that DNS answers for', { flag: 'domain' }),
  alt_domain: key('string', '', 'a second domain that DNS answers for', { flag: 'alt-domain' }),
  server: key('bool', true, 'run as a server; the default here, unlike Consul', { flag: 'server' }),
  bootstrap: key('bool', true, 'run as the only server', { flag: 'bootstrap' }),
  bootstrap_expect: key('int', 1, 'how many servers found the cluster together', {
    flag: 'bootstrap-expect',
    range: COUNT,
  }),
  data_dir: key('string', './data', 'folder of everything that survives a restart', {
    flag: 'data-dir',
  }),

  // --- network
  bind_addr: key('string', '127.0.0.1', 'address of this node among agents', { flag: 'bind' }),
  client_addr: key('string', '127.0.0.1', 'addresses for clients, between spaces', {
    flag: 'client',
  }),
  advertise_addr: key('string', '', 'address of this node in the catalog', { flag: 'advertise' }),
  advertise_addr_ipv4: key('string', '', 'its tagged address lan_ipv4'),
  advertise_addr_ipv6: key('string', '', 'its tagged address lan_ipv6'),
  advertise_addr_wan: key('string', '', 'its tagged address wan', { flag: 'advertise-wan' }),
  advertise_addr_wan_ipv4: key('string', '', 'its tagged address wan_ipv4'),
  advertise_addr_wan_ipv6: key('string', '', 'its tagged address wan_ipv6'),
  tagged_addresses: key('stringMap', {}, 'more tagged addresses of this node'),
  translate_wan_addrs: key('bool', false, 'said in a header; there is one datacenter yet'),
  'addresses.dns': key('string', '', 'addresses of DNS, between spaces; else client_addr'),
  'addresses.http': key('string', '', 'addresses of HTTP, between spaces; else client_addr'),
  'addresses.https': key('string', '', 'addresses of HTTPS, between spaces; else client_addr'),
  'addresses.grpc': key('string', '', 'addresses of gRPC, between spaces; else client_addr'),
  'addresses.grpc_tls': key('string', '', 'the same of gRPC with TLS; else client_addr'),
  'registry.enabled': key('bool', true, 'serve the registry: HTTP and DNS'),
  'secrets.enabled': key('bool', true, 'serve the secrets, on servers'),
  'secrets.auto_init': key(
    'bool',
    false,
    'initialise at the first start, sealed by a key file in data_dir; a root token is printed',
    { flag: 'secrets-auto-init' },
  ),
  'secrets.dev_root_token_id': key('string', '', 'the first token with -dev; drawn by default', {
    flag: 'dev-root-token-id',
  }),
  'secrets.dev_unseal_key': key(
    'bool',
    false,
    'with -dev: sealed by one share of a key, which is printed',
  ),
  'secrets.api_addr': key('string', '', 'the address that clients are told, as a URL'),
  'secrets.cluster_name': key('string', '', 'name of the cluster in answers; made by default'),
  'secrets.default_lease_ttl': key('duration', 768 * HOUR_MS, 'where no mount says otherwise'),
  'secrets.max_lease_ttl': key('duration', 768 * HOUR_MS, 'the longest where no mount says it'),
  'secrets.offline_max': key(
    'duration',
    30_000,
    'how long secrets are read while the store cannot say what is newest; 0 for not at all',
  ),
  'addresses.secrets': key('string', '127.0.0.1', 'addresses of the secrets, between spaces'),
  'unix_sockets.user': key('string', '', 'owner of sockets in files, by name or number'),
  'unix_sockets.group': key('string', '', 'their group, by name or number'),
  'unix_sockets.mode': key('string', '', 'their rights, in octal digits'),
  'ports.dns': port(8600, 'DNS over UDP and TCP; -1 is off, 0 any free port', 'dns-port'),
  'ports.http': port(8500, 'HTTP; -1 is off, 0 any free port', 'http-port'),
  'ports.https': port(-1, 'HTTPS; -1 is off, 0 any free port', 'https-port'),
  'ports.secrets': port(
    8200,
    "secrets, by Vault's API, of an agent that is no server only if this is stated; -1 is off, " +
      '0 any free port, as where ports.http is not 8500',
    'secrets-port',
  ),
  'ports.grpc': port(
    8502,
    'gRPC; -1 is off, as by default where others can reach client_addr; 0 any free port',
    'grpc-port',
  ),
  'ports.grpc_tls': port(
    8503,
    'gRPC with TLS; off without a certificate, and by default on agents that are no servers',
    'grpc-tls-port',
  ),
  'ports.server': port(8300, 'calls between agents; -1 is off, 0 any free port', 'server-port'),
  'ports.serf_lan': port(8301, 'shown in members; nothing listens on it yet', 'serf-lan-port'),
  'ports.serf_wan': port(8302, 'shown in members; nothing listens on it yet', 'serf-wan-port'),
  retry_join: key('strings', [], 'servers to join: host:port, or exec:program', {
    flag: 'retry-join',
  }),
  retry_interval: key('duration', 30_000, 'between two tries to join', { flag: 'retry-interval' }),
  retry_max: key('int', 0, 'tries to join; 0 for no end', { flag: 'retry-max', range: COUNT }),
  join_token: key('string', '', 'what lets this agent into the cluster; better in a file'),
  join_token_file: key('string', '', 'file of the join token; else GATEHOUSE_JOIN_TOKEN', {
    flag: 'join-token-file',
  }),
  start_join: key('strings', [], 'the same, by its older name', { flag: 'join' }),
  port_offset: key('int', 0, 'added to every port, to run beside another agent', {
    flag: 'port-offset',
    range: [0, 65_535],
  }),

  // --- access control
  'acl.enabled': key('bool', false, 'ask every request for a token with the rights that it needs'),
  'acl.default_policy': key('string', 'allow', 'what holds where no policy says anything', {
    oneOf: ['allow', 'deny'],
  }),
  'acl.down_policy': key('string', 'extend-cache', 'what holds while rights cannot be confirmed', {
    oneOf: ['allow', 'deny', 'extend-cache', 'async-cache'],
  }),
  'acl.token_ttl': key('duration', 30_000, 'how long an agent without servers trusts what it knew'),
  'acl.enable_key_list_policy': key('bool', false, 'listing keys needs `list`, not only `read`'),
  'acl.enable_token_persistence': key('bool', false, 'keep tokens set by the API over a restart'),
  'acl.tokens.initial_management': key('string', '', 'secret of a first token with all rights'),
  'acl.tokens.master': key('string', '', 'older name of acl.tokens.initial_management'),
  'acl.tokens.default': key('string', '', 'shown where a request shows none'),
  'acl.tokens.agent': key('string', '', 'shown for what the agent does itself'),
  'acl.tokens.agent_recovery': key('string', '', 'works on this agent without any server'),
  'acl.tokens.agent_master': key('string', '', 'older name of acl.tokens.agent_recovery'),
  'acl.tokens.replication': key('string', '', 'kept; there is one datacenter'),
  'acl.tokens.config_file_service_registration': key('string', '', 'for services of files'),
  'acl.tokens.dns': key('string', '', 'shown for what DNS is asked'),
  acl_default_policy: key('string', 'allow', 'older name of acl.default_policy', {
    oneOf: ['allow', 'deny'],
  }),
  acl_down_policy: key('string', 'extend-cache', 'older name of acl.down_policy', {
    oneOf: ['allow', 'deny', 'extend-cache', 'async-cache'],
  }),
  acl_enable_key_list_policy: key('bool', false, 'older name of acl.enable_key_list_policy'),
  acl_token: key('string', '', 'older name of acl.tokens.default'),
  acl_agent_token: key('string', '', 'older name of acl.tokens.agent'),
  acl_replication_token: key('string', '', 'older name of acl.tokens.replication'),

  // --- DNS
  'dns_config.node_ttl': key('duration', 0, 'TTL of node answers'),
  'dns_config.service_ttl': key('durationMap', {}, 'TTL by service: a name, a prefix*, or *'),
  'dns_config.only_passing': key('bool', false, 'leave out instances with a warning'),
  'dns_config.udp_answer_limit': key('int', limits.dnsUdpAnswerLimit, 'answers without EDNS', {
    range: COUNT,
  }),
  'dns_config.enable_truncate': key('bool', false, 'set TC when a UDP answer was cut'),
  'dns_config.a_record_limit': key('int', 0, 'largest number of A records; 0 is no limit', {
    range: COUNT,
  }),
  'dns_config.soa.refresh': key('int', 3600, 'seconds', { range: SECONDS }),
  'dns_config.soa.retry': key('int', 600, 'seconds', { range: SECONDS }),
  'dns_config.soa.expire': key('int', 86_400, 'seconds', { range: SECONDS }),
  'dns_config.soa.min_ttl': key('int', 0, 'seconds; TTL of negative answers', { range: SECONDS }),
  'dns_config.allow_stale': key('bool', true, 'answer from a view that may lag'),
  'dns_config.max_stale': key('duration', 87_600 * HOUR_MS, 'how much that view may lag'),
  'dns_config.use_cache': key('bool', false, 'let `cache_max_age` bound what DNS answers from'),
  'dns_config.cache_max_age': key('duration', 0, 'how old that may be; 0 for `max_stale` alone'),
  'dns_config.enable_additional_node_meta_txt': key('bool', true, 'TXT records beside answers'),
  'dns_config.disable_compression': key('bool', false, 'write every name out in full'),
  recursors: key('strings', [], 'addresses of DNS servers that are asked about other domains', {
    flag: 'recursor',
  }),
  'dns_config.recursor_strategy': key('string', 'sequential', 'which recursor is asked first', {
    oneOf: ['sequential', 'random'],
  }),
  'dns_config.recursor_timeout': key('duration', 2_000, 'how long one of them is waited for'),
  'dns_config.listener': key('listeners', {}, 'ours: udp_answer_limit, enable_truncate by address'),
  'dns_config.cookies': key('bool', false, 'ours: DNS cookies (RFC 7873)'),
  'dns_config.response_rate_limit': key(
    'int',
    0,
    'ours: answers a second over UDP to one network; 0 is no limit',
    { range: COUNT },
  ),

  // --- HTTP
  'http_config.response_headers': key('stringMap', {}, 'headers added to every answer'),
  'http_config.max_header_bytes': key('int', limits.httpHeaderSizeBytes, 'request headers', {
    range: [1024, 1_048_576],
  }),
  'http_config.use_cache': key('bool', true, 'whether ?cached tells what was there already'),
  'http_config.block_endpoints': key('strings', [], 'beginnings of paths that are refused'),
  'http_config.allow_write_http_from': key('strings', [], 'networks whose writes are taken', {
    flag: 'allow-write-http-from',
  }),
  'http_config.read_header_timeout': key(
    'duration',
    limits.httpHeaderReadTimeoutMs,
    'for the head of a request',
  ),
  'http_config.read_timeout': key(
    'duration',
    limits.httpRequestTimeoutMs,
    'for a whole request with its body',
  ),
  'http_config.write_timeout': key(
    'duration',
    0,
    'for its answer, above the longest wait; 0: none',
  ),
  'http_config.idle_timeout': key('duration', limits.httpIdleTimeoutMs, 'for the next request'),
  disable_http_unprintable_char_filter: key('bool', false, 'take paths that cannot be printed'),
  disable_kv_key_validation: key('bool', false, 'take keys with .. parts and spaces around them'),
  'limits.http_max_conns_per_client': key(
    'int',
    limits.httpConnectionsPerClient,
    'connections of one address; 0 and less is no limit',
    { range: [-1, COUNT[1]] },
  ),
  'limits.http_max_request_body_size': key(
    'int',
    limits.httpBodySizeBytes,
    'bytes of a body that has no limit of its own',
    { range: [1, 64 * 1024 * 1024] },
  ),
  'limits.request_limits.mode': key('string', 'disabled', 'disabled, permissive or enforcing', {
    oneOf: ['disabled', 'permissive', 'enforcing'],
  }),
  'limits.request_limits.read_rate': key('number', -1, 'reads a second; -1 is no limit'),
  'limits.request_limits.write_rate': key('number', -1, 'writes a second; -1 is no limit'),
  'limits.request_limits.client_read_rate': key('number', -1, 'the same of one client'),
  'limits.request_limits.client_write_rate': key('number', -1, 'the same of one client'),
  'limits.kv_max_value_size': key('int', limits.kvValueSizeBytes, 'bytes of one KV value', {
    range: [1, limits.rowSizeBytes - limits.keySizeBytes - 1024],
  }),
  'limits.txn_max_req_len': key('int', limits.httpBodySizeBytes, 'bytes of one transaction', {
    range: [1, 64 * 1024 * 1024],
  }),

  // --- gRPC
  'performance.grpc_keepalive_interval': key(
    'duration',
    limits.grpcKeepaliveMs,
    'after so much silence a connection of gRPC is asked for a sign of life',
  ),
  'performance.grpc_keepalive_timeout': key(
    'duration',
    limits.grpcKeepaliveTimeoutMs,
    'and cut after so much more',
  ),

  // --- TLS
  ...tlsKeys,

  // --- checks and queries
  check_update_interval: key('duration', 5 * MINUTE_MS, 'how often a mere output is synced'),
  check_output_max_size: key('int', limits.checkOutputSizeBytes, 'bytes kept of an output', {
    range: [1, limits.rowSizeBytes / 4],
    flag: 'check_output_max_size',
  }),
  discard_check_output: key('bool', false, 'keep no output of checks'),
  enable_script_checks: key('bool', false, 'run programs that checks name, of everybody', {
    flag: 'enable-script-checks',
  }),
  enable_local_script_checks: key('bool', false, 'run programs that checks of files name', {
    flag: 'enable-local-script-checks',
  }),
  reconnect_timeout: key(
    'duration',
    limits.reconnectTimeoutMs,
    'how long a dead agent stays in the catalog, and a server that is gone on the list',
  ),
  check_reap_interval: key('duration', limits.checkReapIntervalMs, 'how often reaping looks'),
  check_deregister_interval_min: key(
    'duration',
    limits.checkDeregisterMinMs,
    'least time for deregister_critical_service_after',
  ),
  'check_targets.allow': key('strings', [], 'ranges of addresses that checks may connect to'),
  'login_targets.allow': key(
    'strings',
    [],
    'ranges of addresses that logins may ask: keys of issuers, second factors',
  ),
  ae_interval: key('duration', limits.agentSyncIntervalMs, 'how often the catalog is compared'),
  default_query_time: key('duration', limits.queryWaitDefaultMs, 'wait of a blocking query', {
    flag: 'default-query-time',
  }),
  max_query_time: key('duration', limits.queryWaitMaxMs, 'longest wait of a blocking query', {
    flag: 'max-query-time',
  }),
  discovery_max_stale: key('duration', 0, 'how old catalog and health may be unless asked'),
  session_ttl_min: key('duration', limits.sessionTtlMinMs, 'shortest TTL of a session'),
  service: key('services', [], 'a service of this node'),
  services: key('services', [], 'services of this node'),
  check: key('checks', [], 'a check of this node'),
  checks: key('checks', [], 'checks of this node'),
  sink: key('tasks', [], 'what is kept right by the registry: sink "name" { kind, services … }'),
  watches: key('watches', [], 'what to tell whom of when it changes'),

  // --- configuration entries and intentions
  'config_entries.bootstrap': key('configEntries', [], 'entries that are written once'),
  default_intention_policy: key('string', '', 'allow or deny: of calls without an intention', {
    oneOf: ['', 'allow', 'deny'],
  }),

  // --- looking after servers: written once, where operators have said nothing yet
  'autopilot.cleanup_dead_servers': key('bool', true, 'take dead servers away'),
  'autopilot.last_contact_threshold': key('duration', 200, 'silence of a healthy server'),
  'autopilot.max_trailing_logs': key('int', 250, 'entries that one may be behind', {
    range: COUNT,
  }),
  'autopilot.min_quorum': key('int', 0, 'no dead one is taken away below it', { range: COUNT }),
  'autopilot.server_stabilization_time': key('duration', 10_000, 'until a new one has a vote'),

  // --- process
  log_level: key('string', 'info', 'trace, debug, info, warn or error', {
    flag: 'log-level',
    oneOf: ['trace', 'debug', 'info', 'warn', 'err', 'error'],
  }),
  log_json: key('bool', false, 'log JSON lines', { flag: 'log-json' }),
  log_file: key('string', '', 'log into this file instead of stderr', { flag: 'log-file' }),
  log_rotate_bytes: key('int', 0, 'a larger log file is renamed; 0 is no bound', {
    flag: 'log-rotate-bytes',
    range: COUNT,
  }),
  log_rotate_duration: key('duration', 24 * HOUR_MS, 'an older log file is renamed', {
    flag: 'log-rotate-duration',
  }),
  log_rotate_max_files: key('int', 0, 'old log files kept; 0 is all, -1 none', {
    flag: 'log-rotate-max-files',
    range: [-1, 100_000],
  }),
  enable_syslog: key('bool', false, 'log to syslog too, by the program logger', {
    flag: 'syslog',
  }),
  syslog_facility: key('string', 'LOCAL0', 'facility of syslog'),
  enable_debug: key('bool', false, 'serve /debug/pprof/profile; on with -dev'),
  auto_reload_config: key('bool', false, 'reload when a file of the configuration changed', {
    flag: 'auto-reload-config',
  }),
  leave_on_terminate: key('bool', false, 'SIGTERM takes the agent out of the cluster'),
  skip_leave_on_interrupt: key('bool', true, 'SIGINT does not'),
  'telemetry.prefix': key('string', 'consul', 'the same as telemetry.metrics_prefix'),
  'telemetry.metrics_prefix': key('string', 'consul', 'first part of the names of metrics'),
  'telemetry.prometheus_retention_time': key('duration', 0, 'how long idle series are shown'),
  'telemetry.disable_hostname': key('bool', false, 'no host name in the names of gauges'),
  'telemetry.prefix_filter': key('strings', [], 'metrics by begin of name: +shown or -hidden'),
  'telemetry.statsd_address': key('string', '', 'host:port of statsd (UDP)'),
  'telemetry.statsite_address': key('string', '', 'host:port of statsite (TCP)'),
  'telemetry.dogstatsd_addr': key('string', '', 'host:port of DogStatsD (UDP)'),
  'telemetry.dogstatsd_tags': key('strings', [], 'tags of all lines for DogStatsD'),
  'telemetry.enable_host_metrics': key('bool', false, 'gauges of memory, load and uptime too'),
  'telemetry.filter_default': key('bool', true, 'metrics that no prefix_filter fits are shown'),
  pid_file: key('string', '', 'file that holds the process id', { flag: 'pid-file' }),

  // --- audit (Consul's stanza; its other keys are ours)
  'audit.enabled': key('bool', false, 'record what is asked and done; on with access control'),
  'audit.sink': key('sinks', [], 'a device that records go to: sink "name" { type = … }'),
  'audit.reads': key('bool', false, 'ours: record reads that were answered, too'),
  'audit.require': key('int', 0, 'ours: sinks that must have a record before its answer', {
    range: [0, limits.auditSinks],
  }),
  'audit.max_size_mb': key(
    'int',
    limits.auditKeptSizeBytes / MIB,
    'ours: MiB of records that the journal keeps',
    { range: [1, 65_536] },
  ),
  'audit.unshipped_max_size_mb': key(
    'int',
    limits.auditUnshippedSizeBytes / MIB,
    'ours: MiB kept beyond that for sinks that lack them; -1: no bound',
    { range: [-1, 1_048_576] },
  ),
  'audit.retention_time': key('duration', limits.auditRetentionMs, 'ours: older records go'),
  'audit.allowed_folders': key('strings', [], 'ours: folders of file sinks, beside data_dir'),

  // --- the seal of the secrets (names are Vault's and OpenBao's)
  seal: key('seals', [], 'what opens the secrets without people: seal "static" { … }'),
  initialize: key('declared', [], 'what is there at the start: initialize "name" { … }'),
  user_lockout: key('lockouts', [], 'when failed logins lock out: user_lockout "all" { … }'),
  'secrets.peer_unseal': key('bool', true, 'ours: servers of a cluster open each other'),
  'secrets.disable_unauthed_rekey_endpoints': key(
    'bool',
    true,
    'whether sys/rekey asks for a token',
  ),
  'secrets.disable_unauthed_generate_root_endpoints': key(
    'bool',
    true,
    'whether sys/generate-root asks for a token',
  ),

  // --- store (ours)
  'store.engine': key('string', 'level', 'level (disk), memory, or etcd', {
    oneOf: ['level', 'memory', 'etcd'],
  }),
  'store.accept_revision': key(
    'int',
    -1,
    'goes on from this revision although the store was seen at a later one; -1 never does',
    { range: [-1, Number.MAX_SAFE_INTEGER], flag: 'store-accept-revision' },
  ),
  'store.managed': key('bool', false, 'run a member of etcd; so do several servers by default'),
  'store.member.program': key('string', '', 'path of etcd; looked for by default'),
  'store.member.peer_port': key('int', 2380, 'other members connect to it', { range: [1, 65_535] }),
  'store.member.client_port': key('int', 2379, 'servers connect to it', { range: [1, 65_535] }),
  'store.member.quota_size_mb': key('int', 8_192, 'MiB of its file; then it takes no writes', {
    range: [16, 1_048_576],
  }),
  'store.member.snapshot_interval': key(
    'duration',
    limits.snapshotIntervalMs,
    'archives are saved so often, whatever the engine; 0 is never, as unless managed',
  ),
  'store.member.snapshot_retain': key('int', limits.snapshotsKept, 'archives that are kept', {
    range: [1, 100_000],
  }),
  'store.member.snapshot_dir': key('string', '', 'folder of them; snapshots in data_dir'),
  'store.etcd.endpoints': key('strings', ['http://127.0.0.1:2379'], 'members of the etcd cluster'),
  'store.etcd.prefix': key('string', 'gatehouse', 'begin of all our keys in etcd'),
  'store.etcd.ca_file': key('string', '', 'who signs the certificates of etcd, for https'),
  'store.etcd.cert_file': key('string', '', 'certificate that etcd is shown'),
  'store.etcd.key_file': key('string', '', 'its key'),
  'store.etcd.quota_size_mb': key('int', 0, 'MiB that etcd may hold, before 3.6; 0 is unknown', {
    range: [0, 1_048_576],
  }),
  'store.etcd.username': key('string', '', 'user of etcd, where it has logins'),
  'store.etcd.password_file': key('string', '', 'file that holds the password of that user'),
} satisfies Record<string, Key>

export type ServedPath = keyof typeof served

/** Keys of one theme: by path after `prefix`, the values that change nothing. */
interface LaterGroup {
  readonly what: string
  /** What the log says of a value that is taken, where it is not that it means nothing here. */
  readonly told?: string
  readonly prefix?: string
  readonly keys: Readonly<Record<string, LaterKey['neutral']>>
  /** Flags by name, with the path they set. */
  readonly flags?: Readonly<Record<string, string>>
  /** The paths whose values are true or false. */
  readonly switches?: readonly string[]
}

const laterGroups: readonly LaterGroup[] = [
  {
    what: 'gossip',
    told: 'taken; agents find out about each other over mutual TLS, and do not gossip',
    keys: {
      serf_lan: 'any',
      serf_wan: 'any',
      serf_lan_allowed_cidrs: 'any',
      serf_wan_allowed_cidrs: 'any',
      encrypt: 'any',
      encrypt_verify_incoming: 'any',
      encrypt_verify_outgoing: 'any',
      disable_keyring_file: 'any',
      advertise_reconnect_timeout: 'any',
      server_rejoin_age_max: 'any',
      rejoin_after_leave: 'any',
    },
    flags: {
      'serf-lan-bind': 'serf_lan',
      'serf-wan-bind': 'serf_wan',
      'serf-lan-allowed-cidrs': 'serf_lan_allowed_cidrs',
      'serf-wan-allowed-cidrs': 'serf_wan_allowed_cidrs',
      encrypt: 'encrypt',
      'disable-keyring-file': 'disable_keyring_file',
      rejoin: 'rejoin_after_leave',
    },
    switches: ['rejoin_after_leave', 'disable_keyring_file'],
  },
  {
    what: 'several datacenters',
    told: 'taken; there is one datacenter',
    keys: {
      retry_join_wan: [],
      retry_interval_wan: 'any',
      retry_max_wan: 'any',
      start_join_wan: [],
      primary_gateways: [],
      primary_gateways_interval: 'any',
      reconnect_timeout_wan: 'any',
    },
    flags: {
      'join-wan': 'start_join_wan',
      'retry-join-wan': 'retry_join_wan',
      'retry-interval-wan': 'retry_interval_wan',
      'retry-max-wan': 'retry_max_wan',
      'primary-gateway': 'primary_gateways',
    },
  },
  {
    what: 'ways in that join tokens stand for',
    keys: {
      auto_config: [],
      'auto_encrypt.tls': [false],
      'auto_encrypt.allow_tls': [false],
      'auto_encrypt.dns_san': [],
      'auto_encrypt.ip_san': [],
    },
  },
  {
    what: 'servers that do not vote',
    keys: {
      non_voting_server: [false],
      read_replica: [false],
      'autopilot.disable_upgrade_migration': [true],
      'autopilot.redundancy_zone_tag': [],
      'autopilot.upgrade_version_tag': [],
    },
    flags: { 'non-voting-server': 'non_voting_server', 'read-replica': 'read_replica' },
  },
  {
    what: 'access control',
    told: 'taken; a server knows of every change at once',
    keys: {
      'acl.enable_token_replication': 'any',
      'acl.policy_ttl': 'any',
      'acl.role_ttl': 'any',
      'acl.disabled_ttl': 'any',
      'acl.msp_disable_bootstrap': 'any',
      'acl.tokens.managed_service_provider': [],
      // It switched access control on in older versions.
      acl_datacenter: [],
      acl_ttl: 'any',
      acl_enforce_version_8: 'any',
      acl_master_token: [],
      acl_agent_master_token: [],
      enable_acl_replication: 'any',
    },
  },
  {
    what: 'the service mesh',
    told: 'taken; the service mesh and peering are not served yet: their endpoints answer 501',
    keys: {
      'connect.enabled': 'any',
      'connect.ca_provider': 'any',
      'connect.ca_config': 'any',
      'connect.enable_mesh_gateway_wan_federation': [false],
      'connect.enable_serverless_plugin': 'any',
      'connect.test_ca_leaf_root_change_spread': 'any',
      'peering.enabled': 'any',
      'peering.test_allow_peer_registrations': 'any',
      'xds.update_max_per_second': 'any',
      enable_central_service_config: 'any',
      'ports.proxy_min_port': 'any',
      'ports.proxy_max_port': 'any',
      'ports.sidecar_min_port': 'any',
      'ports.sidecar_max_port': 'any',
      'ports.expose_min_port': 'any',
      'ports.expose_max_port': 'any',
    },
  },
  {
    what: 'the web interface',
    told: 'taken; the web interface is not served yet',
    keys: {
      ui: 'any',
      ui_dir: [],
      ui_content_path: 'any',
      'ui_config.enabled': 'any',
      'ui_config.dir': [],
      'ui_config.content_path': 'any',
      'ui_config.metrics_provider': 'any',
      'ui_config.metrics_provider_files': [],
      'ui_config.metrics_provider_options_json': 'any',
      'ui_config.metrics_proxy': 'any',
      'ui_config.dashboard_url_templates': 'any',
    },
    flags: { ui: 'ui', 'ui-dir': 'ui_dir', 'ui-content-path': 'ui_content_path' },
    switches: ['ui'],
  },
  {
    what: "Consul's own machinery",
    keys: {
      disable_remote_exec: [true],
      // Newer Go ignores it too: the server's order counts, always.
      tls_prefer_server_cipher_suites: 'any',
      'tls.defaults.tls_prefer_server_cipher_suites': 'any',
      'tls.https.tls_prefer_server_cipher_suites': 'any',
      'tls.grpc.tls_prefer_server_cipher_suites': 'any',
      'tls.internal_rpc.tls_prefer_server_cipher_suites': 'any',
      version: 'any',
      version_prerelease: 'any',
      version_metadata: 'any',
      revision: 'any',
      build_date: 'any',
      sync_coordinate_interval_min: 'any',
      sync_coordinate_rate_target: 'any',
      'limits.rpc_handshake_timeout': 'any',
      'limits.rpc_client_timeout': 'any',
      'limits.rpc_max_burst': 'any',
      'limits.rpc_max_conns_per_client': 'any',
      'limits.rpc_rate': 'any',
      rpc_hold_timeout: 'any',
      'cache.entry_fetch_max_burst': 'any',
      'cache.entry_fetch_rate': 'any',
      use_streaming_backend: 'any',
      'dns_config.prefer_namespace': 'any',
      'rpc.enable_streaming': 'any',
      'reporting.license.enabled': 'any',
      cloud: [],
      disable_coordinates: 'any',
      disable_update_check: 'any',
      disable_anonymous_signature: 'any',
      protocol: 'any',
      raft_protocol: 'any',
      raft_snapshot_threshold: 'any',
      raft_snapshot_interval: 'any',
      raft_trailing_logs: 'any',
      raft_logstore: 'any',
      raft_boltdb: 'any',
      'performance.raft_multiplier': 'any',
      'performance.leave_drain_time': 'any',
      'performance.rpc_hold_timeout': 'any',
      gossip_lan: 'any',
      gossip_wan: 'any',
      snapshot_agent: 'any',
      experiments: [],
      segment: [],
      segments: [],
      partition: ['default'],
      license_path: [],
    },
    flags: { protocol: 'protocol', 'raft-protocol': 'raft_protocol', segment: 'segment' },
  },
]

const MEANINGLESS = 'taken, and means nothing here'

/** The keys that are known and not served yet, by path. */
export const later: ReadonlyMap<string, LaterKey> = new Map(
  laterGroups.flatMap(group => {
    const { what, told = MEANINGLESS, prefix = '', keys, flags = {}, switches = [] } = group
    const flagOf = new Map(Object.entries(flags).map(([flag, path]) => [path, flag]))
    return Object.entries(keys).map(([path, neutral]): [string, LaterKey] => {
      const flag = flagOf.get(path)
      const isSwitch = switches.includes(path) || typeof neutral[0] === 'boolean'
      const key = { what, told, neutral, isSwitch, ...(flag === undefined ? {} : { flag }) }
      return [prefix + path, key]
    })
  }),
)

/** The keys and stanzas that a dotted name may be short for or a misspelling of. */
export const knownPaths = (): Iterable<string> =>
  new Set([...Object.keys(served), ...later.keys(), ...stanzas])

/** Whether a dotted path is a stanza: other keys stand below it. */
export const isStanza = (path: string): boolean => stanzas.has(path)

const stanzas = new Set(
  [...Object.keys(served), ...later.keys()].flatMap(path => {
    const parts = path.split('.')
    return parts.slice(1).map((_, depth) => parts.slice(0, depth + 1).join('.'))
  }),
)
