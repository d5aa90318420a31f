/**
 * What the settings of DNS mean together.
 *
 * Owns the addresses of recursors. Pure, as all of the configuration.
 */
import { isIP, isIPv6 } from 'node:net'
import { limits } from '../base/limits.ts'
import type { Settings } from './config-read.ts'
import type { ListenerOverrides } from './config-schema.ts'

/** The settings of DNS. Durations are milliseconds. */
export interface DnsSettings {
  readonly nodeTtlMs: number
  /** By service name, `prefix*`, or `*`. */
  readonly serviceTtlMs: Readonly<Record<string, number>>
  readonly onlyPassing: boolean
  readonly udpAnswerLimit: number
  readonly enableTruncate: boolean
  /** 0 is no limit. */
  readonly aRecordLimit: number
  readonly soa: {
    readonly refreshSeconds: number
    readonly retrySeconds: number
    readonly expireSeconds: number
    readonly minTtlSeconds: number
  }
  readonly allowStale: boolean
  readonly maxStaleMs: number
  readonly nodeMetaTxt: boolean
  readonly disableCompression: boolean
  readonly recursors: readonly { readonly host: string; readonly port: number }[]
  readonly recursorStrategy: 'sequential' | 'random'
  readonly recursorTimeoutMs: number
  /** By the address that a listener is on. */
  readonly listeners: Readonly<Record<string, ListenerOverrides>>
  readonly cookies: boolean
  /** 0 is no limit. */
  readonly responseRate: number
}

/** The settings of DNS as they were given, or by default. */
export function buildDns(settings: Settings): DnsSettings {
  return {
    nodeTtlMs: settings.get('dns_config.node_ttl'),
    serviceTtlMs: settings.get('dns_config.service_ttl'),
    onlyPassing: settings.get('dns_config.only_passing'),
    udpAnswerLimit: settings.get('dns_config.udp_answer_limit'),
    enableTruncate: settings.get('dns_config.enable_truncate'),
    aRecordLimit: settings.get('dns_config.a_record_limit'),
    soa: {
      refreshSeconds: settings.get('dns_config.soa.refresh'),
      retrySeconds: settings.get('dns_config.soa.retry'),
      expireSeconds: settings.get('dns_config.soa.expire'),
      minTtlSeconds: settings.get('dns_config.soa.min_ttl'),
    },
    allowStale: settings.get('dns_config.allow_stale'),
    maxStaleMs: maxStaleOf(settings),
    nodeMetaTxt: settings.get('dns_config.enable_additional_node_meta_txt'),
    disableCompression: settings.get('dns_config.disable_compression'),
    recursors: recursorsOf(settings),
    recursorStrategy:
      settings.get('dns_config.recursor_strategy') === 'random' ? 'random' : 'sequential',
    recursorTimeoutMs: settings.get('dns_config.recursor_timeout') || DEFAULT_TIMEOUT_MS,
    listeners: listenersOf(settings),
    cookies: settings.get('dns_config.cookies'),
    responseRate: settings.get('dns_config.response_rate_limit'),
  }
}

/** How old what DNS answers from may be: the smaller of two bounds, where both are given. */
function maxStaleOf(settings: Settings): number {
  const maxStaleMs = settings.get('dns_config.max_stale')
  const cacheMaxAgeMs = settings.get('dns_config.cache_max_age')
  const isBounded = settings.get('dns_config.use_cache') && cacheMaxAgeMs > 0
  return isBounded ? Math.min(maxStaleMs, cacheMaxAgeMs) : maxStaleMs
}

/** What Consul takes a time-out of 0 for. */
const DEFAULT_TIMEOUT_MS = 2_000
const DNS_PORT = 53

function recursorsOf(settings: Settings): DnsSettings['recursors'] {
  const given = [...new Set(settings.get('recursors'))]
  if (given.length > limits.dnsRecursors) {
    settings.complain('recursors', `more than ${limits.dnsRecursors}`)
  }
  return given.flatMap(text => {
    const recursor = recursorOf(text)
    if (recursor !== undefined) return [recursor]
    settings.complain(
      'recursors',
      'must be IP addresses of single machines, with or without a port',
    )
    return []
  })
}

/** `10.0.0.1`, `10.0.0.1:5353`, `fd00::1`, `[fd00::1]:5353`; undefined for anything else. */
function recursorOf(text: string): { host: string; port: number } | undefined {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text)
  const plain = /^([^:]+)(?::(\d{1,5}))?$/.exec(text)
  const [, host, digits] = bracketed ?? plain ?? ['', text, undefined]
  const port = digits === undefined ? DNS_PORT : Number(digits)
  if (host === undefined || isIP(host) === 0 || /^(0\.0\.0\.0|::)$/.test(host)) return undefined
  if (bracketed !== null && !isIPv6(host)) return undefined
  return port >= 1 && port <= 65_535 ? { host, port } : undefined
}

function listenersOf(settings: Settings): DnsSettings['listeners'] {
  const listeners = settings.get('dns_config.listener')
  for (const address of Object.keys(listeners)) {
    if (isIP(address) === 0)
      settings.complain('dns_config.listener', 'must be named by IP addresses')
  }
  return listeners
}
