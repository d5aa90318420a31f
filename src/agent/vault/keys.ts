/**
 * Every key of a server's configuration in Vault's and OpenBao's form, in one table: which of our
 * keys it stands for, or what becomes of it.
 *
 * Owns the names, as dotted paths with the type of a block in them: `listener.tcp.address`,
 * `storage.raft.path`. A key that is not served is listed with the values
 * that change nothing; any other value of it stops the start, so that no setting is ignored
 * silently. What served keys mean together is translate.ts's work.
 */
import type { HclValue } from '../../hcl/hcl.ts'

/** What a value may look like: numbers and switches may be texts, durations and sizes numbers. */
export type VaultKind = 'text' | 'switch' | 'number' | 'duration' | 'size' | 'texts'

interface VaultKey {
  readonly kind: VaultKind
  /** The key of ours that gets the value as it is. */
  readonly to?: string
  /** The variables that stand for it where no file does, the first one first. */
  readonly variables?: readonly string[]
}

const text = (to?: string): VaultKey => (to === undefined ? { kind: 'text' } : { kind: 'text', to })
const of = (kind: VaultKind, to?: string): VaultKey => (to === undefined ? { kind } : { kind, to })

const below = <T>(prefix: string, keys: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(keys).map(([name, key]) => [`${prefix}.${name}`, key]))

/** The keys that are served. */
export const vaultServed: Readonly<Record<string, VaultKey>> = {
  api_addr: { ...text('secrets.api_addr'), variables: ['VAULT_API_ADDR', 'VAULT_REDIRECT_ADDR'] },
  cluster_name: text('secrets.cluster_name'),
  default_lease_ttl: of('duration', 'secrets.default_lease_ttl'),
  max_lease_ttl: of('duration', 'secrets.max_lease_ttl'),
  log_level: { ...text(), variables: ['VAULT_LOG_LEVEL'] },
  log_format: { ...text(), variables: ['VAULT_LOG_FORMAT'] },
  log_file: text('log_file'),
  log_rotate_bytes: of('number', 'log_rotate_bytes'),
  log_rotate_duration: of('duration', 'log_rotate_duration'),
  log_rotate_max_files: of('number', 'log_rotate_max_files'),
  pid_file: text('pid_file'),
  'storage.inmem': of('switch'),
  ...below('storage.file', { path: text() }),
  ...below('storage.raft', { path: { ...text(), variables: ['VAULT_RAFT_PATH'] } }),
  ...below('listener.tcp', {
    address: text(),
    tls_disable: of('switch'),
    tls_cert_file: text('tls.secrets.cert_file'),
    tls_key_file: text('tls.secrets.key_file'),
    tls_client_ca_file: text('tls.secrets.ca_file'),
    tls_min_version: text('tls.secrets.tls_min_version'),
    tls_cipher_suites: text('tls.secrets.tls_cipher_suites'),
    tls_require_and_verify_client_cert: of('switch', 'tls.secrets.verify_incoming'),
    http_idle_timeout: of('duration', 'http_config.idle_timeout'),
    http_read_header_timeout: of('duration', 'http_config.read_header_timeout'),
    http_read_timeout: of('duration', 'http_config.read_timeout'),
    disable_unauthed_rekey_endpoints: of('switch', 'secrets.disable_unauthed_rekey_endpoints'),
    disable_unauthed_generate_root_endpoints: of(
      'switch',
      'secrets.disable_unauthed_generate_root_endpoints',
    ),
  }),
  ...below('telemetry', {
    prometheus_retention_time: of('duration', 'telemetry.prometheus_retention_time'),
    disable_hostname: of('switch', 'telemetry.disable_hostname'),
    metrics_prefix: text('telemetry.metrics_prefix'),
    statsite_address: text('telemetry.statsite_address'),
    statsd_address: text('telemetry.statsd_address'),
    dogstatsd_addr: text('telemetry.dogstatsd_addr'),
    dogstatsd_tags: of('texts', 'telemetry.dogstatsd_tags'),
    prefix_filter: of('texts', 'telemetry.prefix_filter'),
    filter_default: of('switch', 'telemetry.filter_default'),
  }),
}

/** Blocks with a type that are handed to the part of ours that has the same. */
export const vaultBlocks = ['seal', 'user_lockout', 'initialize'] as const

/** A key that is not served, or means nothing here. */
export interface VaultLater {
  /** What it belongs to, for the error. */
  readonly what: string
  /** Values that change nothing, others stop the start; `any` is taken and told in the log. */
  readonly neutral: readonly HclValue[] | 'any'
  readonly told: string
}

const MEANINGLESS = 'taken, and means nothing here'

function group(
  what: string,
  keys: Readonly<Record<string, VaultLater['neutral']>>,
  told = MEANINGLESS,
): Record<string, VaultLater> {
  return Object.fromEntries(
    Object.entries(keys).map(([path, neutral]) => [path, { what, neutral, told }]),
  )
}

const each = (
  prefix: string,
  names: readonly string[],
  neutral: VaultLater['neutral'],
): Record<string, VaultLater['neutral']> =>
  Object.fromEntries(names.map(name => [`${prefix}${name}`, neutral]))

/** The keys that are known and not served. */
export const vaultLater: Readonly<Record<string, VaultLater>> = {
  ...group("Vault's own machinery", {
    ...each('', ['cache_size', 'disable_cache', 'disable_mlock', 'disable_clustering'], 'any'),
    ...each('', ['disable_sealwrap', 'disable_performance_standby', 'detect_deadlocks'], 'any'),
    ...each('', ['imprecise_lease_role_tracking', 'enable_post_unseal_trace'], 'any'),
    ...each('', ['license_path', 'reporting', 'disable_ssct', 'disable_standby_reads'], 'any'),
    ...each('', ['default_max_request_duration', 'cluster_addr', 'ha_storage'], 'any'),
    allow_audit_log_prefixing: 'any',
    enable_response_header_hostname: [false],
    enable_response_header_raft_node_id: [false],
    log_requests_level: ['', 'off'],
    unsafe_cross_namespace_identity: [false],
    administrative_namespace_path: [],
    experiments: [],
    entropy: [],
    sentinel: [],
    kms_library: [],
  }),
  ...group('audit devices by this file', { audit: [] }),
  ...group('the web interface', { ui: 'any' }, 'taken; the web interface is not served yet'),
  ...group(
    'plugins',
    {
      ...each('plugin_', ['directory', 'tmpdir', 'file_uid', 'file_permissions'], 'any'),
      plugin: [],
    },
    'taken; nothing is loaded from it: plugins are not served yet',
  ),
  ...group('what lies below the barrier', {
    raw_storage_endpoint: [false],
    introspection_endpoint: [false],
  }),
  ...group('audit devices by the API', { unsafe_allow_api_audit_creation: [false] }),
  ...group('registration with others', { service_registration: [] }),
  ...group('more servers by this file', {
    'storage.raft.retry_join': [],
    'storage.raft.retry_join_as_non_voter': [false],
  }),
  ...group("Raft's own machinery", {
    ...each(
      'storage.raft.',
      [
        ...['node_id', 'performance_multiplier', 'trailing_logs', 'snapshot_threshold'],
        ...['snapshot_interval', 'max_entry_size', 'max_transaction_size'],
        ...['max_mount_and_namespace_table_entry_size', 'autopilot_reconcile_interval'],
        'autopilot_update_interval',
      ],
      'any',
    ),
  }),
  ...group('stores of others', {
    ...each(
      'storage.',
      [
        ...['postgresql', 'consul', 'aerospike', 'alicloudoss', 'azure', 'cassandra'],
        ...['cockroachdb', 'couchdb', 'dynamodb', 'etcd', 'foundationdb', 'gcs', 'manta'],
        ...['mssql', 'mysql', 'oci', 's3', 'spanner', 'swift', 'zookeeper', 'inmem_ha'],
        ...['inmem_transactional', 'inmem_transactional_ha', 'raw'],
      ],
      [],
    ),
  }),
  ...group('listeners', {
    ...each(
      'listener.tcp.',
      [
        ...['cluster_address', 'purpose', 'tls_disable_client_certs', 'http_write_timeout'],
        ...['max_request_duration', 'max_request_json_memory', 'max_request_json_strings'],
        ...['max_request_size', 'disable_replication_status_endpoints'],
      ],
      'any',
    ),
    ...each(
      'listener.tcp.',
      [
        ...['redact_addresses', 'redact_cluster_name', 'redact_version', 'cors_enabled'],
        ...['require_request_header', 'telemetry.unauthenticated_metrics_access'],
        ...['telemetry.disallow_metrics', 'telemetry.metrics_only'],
        ...['profiling.unauthenticated_pprof_access'],
        'inflight_requests_logging.unauthenticated_in_flight_requests_access',
      ],
      [false],
    ),
    'listener.tcp.tls_max_version': ['', 'tls13'],
    'listener.tcp.telemetry.metrics_path': [],
    ...each(
      'listener.tcp.',
      [
        ...['tls_acme_ca_directory', 'tls_acme_ca_root', 'tls_acme_cache_path', 'tls_acme_domains'],
        ...['tls_acme_eab_key_id', 'tls_acme_eab_mac_key', 'tls_acme_email'],
        ...['tls_acme_disable_http_challenge', 'tls_acme_disable_alpn_challenge'],
        ...['tls_acme_test_ca_directory', 'tls_acme_test_ca_root'],
        ...['proxy_protocol_behavior', 'proxy_protocol_authorized_addrs'],
        ...['x_forwarded_for_authorized_addrs', 'x_forwarded_for_client_cert_header'],
        ...['chroot_namespace', 'cors_allowed_origins', 'cors_allowed_headers'],
        'custom_response_headers',
      ],
      [],
    ),
    'listener.tcp.x_forwarded_for_hop_skips': [0],
    'listener.tcp.x_forwarded_for_reject_not_authorized': [true],
    'listener.tcp.x_forwarded_for_reject_not_present': [true],
    'listener.unix': [],
  }),
  ...group('telemetry', {
    ...each(
      'telemetry.',
      [
        ...['usage_gauge_period', 'maximum_gauge_cardinality', 'lease_metrics_epsilon'],
        ...['num_lease_metrics_buckets', 'add_lease_metrics_namespace_labels'],
      ],
      'any',
    ),
    'telemetry.enable_hostname_label': [false],
    ...each(
      'telemetry.',
      [
        ...['circonus_api_token', 'circonus_api_app', 'circonus_api_url'],
        ...['circonus_submission_interval', 'circonus_submission_url', 'circonus_check_id'],
        ...['circonus_check_force_metric_activation', 'circonus_check_instance_id'],
        ...['circonus_check_search_tag', 'circonus_check_display_name', 'circonus_check_tags'],
        ...['circonus_broker_id', 'circonus_broker_select_tag', 'stackdriver_project_id'],
        ...['stackdriver_location', 'stackdriver_namespace', 'stackdriver_debug_logs'],
      ],
      [],
    ),
  }),
}
