/**
 * The switches that make a server less safe than it is by itself: a closed list, each told at the
 * start and at each reload.
 *
 * Owns the list and the words. docs/threat-model.md has the same list (a test compares them). What
 * an exposed listener lacks is config-listen.ts's to say, what is weak in TLS is config-tls.ts's.
 * Pure.
 */
import { type Network, parseNetwork } from '../base/networks.ts'
import { isUuid } from '../base/uuid.ts'
import type { Config } from './config.ts'
import type { AclConfig } from './config-acl.ts'
import { isLoopback } from './config-listen.ts'
import type { SealBlock } from './config-seal.ts'

interface Switch {
  /** The key that is turned. */
  readonly key: string
  /** Whether it is turned to where it makes something less safe. */
  readonly isOn: (config: Config) => boolean
  /** What that means. */
  readonly means: string
}

/** Every switch of this kind. */
export const insecureSwitches: readonly Switch[] = [
  {
    key: 'acl',
    isOn: ({ acl }) => !acl.enabled && saysSomething(acl),
    means:
      ': what it says has no effect, since acl.enabled is not true: everybody may do everything',
  },
  {
    key: 'acl.tokens.initial_management',
    isOn: ({ acl: { enabled, initialManagement } }) =>
      enabled && initialManagement !== '' && !isUuid(initialManagement.toLowerCase()),
    means: 'is no UUID, and may be easy to guess',
  },
  {
    key: 'acl.default_policy',
    isOn: ({ acl }) => acl.enabled && acl.defaultPolicy === 'allow',
    means: '= "allow": what no policy forbids, everybody may do',
  },
  {
    key: 'audit.enabled',
    isOn: ({ acl, audit }) => acl.enabled && !audit.enabled,
    means: '= false: nobody will know who did what',
  },
  {
    key: 'enable_script_checks',
    isOn: ({ scriptChecks }) => scriptChecks.byAnybody,
    means:
      ': whoever reaches the HTTP API can run programs as this user; ' +
      'enable_local_script_checks allows only those of configuration files',
  },
  {
    key: 'enable_debug',
    isOn: ({ debug, isDev }) => debug && !isDev,
    means: ': profiles of the running program are served',
  },
  {
    key: 'check_targets.allow',
    isOn: ({ checkTargetsAllow }) => opensLinkLocal(checkTargetsAllow),
    means: 'opens link-local addresses: checks may ask the metadata service of a cloud',
  },
  {
    key: 'login_targets.allow',
    isOn: ({ loginTargetsAllow }) => opensLinkLocal(loginTargetsAllow),
    means: 'opens link-local addresses: logins may ask the metadata service of a cloud',
  },
  {
    key: 'seal',
    isOn: ({ seal: { current } }) => current?.type === 'transit' && isOpenTransit(current.values),
    means: '"transit": whoever is on the way to it reads the root key',
  },
  {
    key: 'secrets.disable_unauthed_rekey_endpoints',
    isOn: ({ seal }) => seal.isRekeyOpen,
    means: '= false: whoever reaches the secrets can begin a rekey, and hinder one',
  },
  {
    key: 'secrets.disable_unauthed_generate_root_endpoints',
    isOn: ({ seal }) => seal.isRootTokenOpen,
    means: '= false: whoever reaches the secrets can begin a root token, and hinder one',
  },
  {
    key: 'store.etcd.endpoints',
    isOn: ({ store: { engine, etcd } }) => engine === 'etcd' && etcd.endpoints.some(isInClear),
    means: 'of http://: whoever is on the way to etcd reads and writes the store',
  },
  {
    key: 'store.accept_revision',
    isOn: ({ store }) => store.acceptRevision !== undefined,
    means: ': damage of the store is passed over at this start; take it away again',
  },
  {
    key: 'limits.http_max_conns_per_client',
    isOn: ({ http }) => http.connectionsPerClient <= 0,
    means: ': one address may take all connections',
  },
  {
    key: 'disable_kv_key_validation',
    isOn: ({ http }) => http.takesAnyKey,
    means: ': keys are taken that proxies and browsers read as other paths',
  },
  {
    key: 'disable_http_unprintable_char_filter',
    isOn: ({ http }) => http.takesUnprintable,
    means: ': names may hold what terminals and logs obey',
  },
]

/** What the start says of those that are turned. */
export const switchWarnings = (config: Config): string[] =>
  insecureSwitches
    .filter(({ isOn }) => isOn(config))
    .map(({ key, means }) => (means.startsWith(':') ? `${key}${means}` : `${key} ${means}`))

const saysSomething = ({ initialManagement, tokens, defaultPolicy }: AclConfig): boolean =>
  defaultPolicy === 'deny' || [initialManagement, ...Object.values(tokens)].some(one => one !== '')

/** Where clouds serve metadata. */
const LINK_LOCAL = ['169.254.169.254', 'fd00:ec2::254', 'fe80::a9fe:a9fe']

function opensLinkLocal(ranges: readonly string[]): boolean {
  const networks = ranges.flatMap((range): Network[] => {
    const network = parseNetwork(range)
    return network === undefined ? [] : [network]
  })
  return networks.some(network => LINK_LOCAL.some(address => network.has(address)))
}

const isOpenTransit = ({ address = '', tls_skip_verify }: SealBlock['values']): boolean =>
  tls_skip_verify === 'true' || isInClear(address)

function isInClear(endpoint: string): boolean {
  if (!URL.canParse(endpoint)) return false
  const { protocol, hostname } = new URL(endpoint)
  const host = hostname.replace(/^\[|\]$/g, '')
  return protocol === 'http:' && host !== 'localhost' && !isLoopback(host)
}
