/**
 * The stanza `secrets` of the configuration: how the secrets' half of a server begins.
 *
 * Owns what its keys mean together. Where it listens is config-listen.ts's work. Pure.
 */
import { limits } from '../base/limits.ts'
import type { Entry } from '../secrets/declared/document.ts'
import type { SystemTtls } from '../secrets/mount/ttl.ts'
import type { SettledConfig } from './config.ts'
import { buildInitialize } from './config-initialize.ts'
import type { Settings } from './config-read.ts'

/** What the secrets' half of a server is told. */
export interface SecretsSettings {
  /** Whether it initialises itself, by a key that it keeps beside its data. */
  readonly initialisesItself: boolean
  /** Whether that is by one share of a key instead, which is told: for trying things out. */
  readonly tellsKey: boolean
  /** The first token, where it is chosen; a secret of people who try things out. */
  readonly rootToken: string | undefined
  /** The URL that clients are told; undefined for the address that it listens on. */
  readonly apiAddress: string | undefined
  /** Undefined for a name that follows from the cluster's id. */
  readonly clusterName: string | undefined
  /** How long what a mount gives may live, where the mount does not say. */
  readonly leases: SystemTtls
  /** How long secrets are read while the store cannot say what is newest; 0 for not at all. */
  readonly offlineMaxMs: number
  /** What is to be there once it is unsealed. */
  readonly declared: readonly Entry[]
}

/** What the keys of the stanza mean together. */
export function buildSecrets(settings: Settings, isDev: boolean): SecretsSettings {
  const rootToken = settings.get('secrets.dev_root_token_id')
  const tellsKey = settings.get('secrets.dev_unseal_key')
  for (const path of ['secrets.dev_root_token_id', 'secrets.dev_unseal_key'] as const) {
    if (!isDev && settings.isSet(path)) settings.complain(path, 'is for -dev alone')
  }
  if (/[.\s]/.test(rootToken)) {
    settings.complain('secrets.dev_root_token_id', 'must hold neither dots nor spaces')
  }
  return {
    initialisesItself: isDev || settings.get('secrets.auto_init'),
    tellsKey,
    rootToken: rootToken || undefined,
    apiAddress: apiAddressOf(settings),
    clusterName: settings.get('secrets.cluster_name') || undefined,
    leases: leasesOf(settings),
    offlineMaxMs: settings.get('secrets.offline_max'),
    declared: buildInitialize(settings, isDev),
  }
}

function apiAddressOf(settings: Settings): string | undefined {
  const text = settings.get('secrets.api_addr')
  if (text === '') return undefined
  const protocol = URL.canParse(text) ? new URL(text).protocol : ''
  if (protocol !== 'http:' && protocol !== 'https:') {
    settings.complain('secrets.api_addr', 'must be a URL such as https://10.0.0.1:8200')
  }
  return text
}

/** Where clients reach the secrets of a server, as they are told. */
export function secretsUrlOf({
  tls,
  advertiseAddress,
  ports,
  secrets,
}: Pick<SettledConfig, 'tls' | 'advertiseAddress' | 'ports' | 'secrets'>): string {
  if (secrets.apiAddress !== undefined) return secrets.apiAddress
  const scheme = tls.secrets.certFile === undefined ? 'http' : 'https'
  const host = advertiseAddress.includes(':') ? `[${advertiseAddress}]` : advertiseAddress
  return `${scheme}://${host}:${ports.secrets}`
}

function leasesOf(settings: Settings): SystemTtls {
  const defaultMs = settings.get('secrets.default_lease_ttl')
  const maxMs = settings.get('secrets.max_lease_ttl')
  const isStated = settings.isSet('secrets.default_lease_ttl')
  if (maxMs === 0) settings.complain('secrets.max_lease_ttl', 'must be longer than nothing')
  if (isStated && defaultMs > maxMs) {
    settings.complain('secrets.default_lease_ttl', 'is longer than secrets.max_lease_ttl')
  }
  const loginMs = isStated ? defaultMs : Math.min(limits.loginTtlMs, maxMs)
  return { defaultMs: Math.min(defaultMs, maxMs), maxMs, loginMs }
}
