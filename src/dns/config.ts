/**
 * What the DNS face must know of the agent's configuration, and the TTLs that follow from it.
 *
 * Owns the rule which key of `service_ttl` is a service's. Pure.
 */
import type { Bytes } from '../base/bytes.ts'
import { fold } from '../store/tables/names.ts'

/** What a listener may have otherwise than the face. */
export interface ListenerSettings {
  readonly udpAnswerLimit?: number
  readonly enableTruncate?: boolean
}

/** The part of the agent's configuration that the face reads. Durations are milliseconds. */
export interface DnsConfig {
  readonly datacenter: string
  readonly nodeName: string
  /** Lower case, without dots at its ends. */
  readonly domain: string
  readonly altDomain: string | undefined
  readonly dns: {
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
    /** Where questions about other domains go; IP addresses. */
    readonly recursors: readonly { readonly host: string; readonly port: number }[]
    readonly recursorStrategy: 'sequential' | 'random'
    /** How long one of them is waited for. */
    readonly recursorTimeoutMs: number
    /** What is otherwise on the listener of one address. */
    readonly listeners: Readonly<Record<string, ListenerSettings>>
    /** Whether askers that send cookies (RFC 7873) get ours. */
    readonly cookies: boolean
    /** Answers a second to one network over UDP; 0 is no limit. */
    readonly responseRate: number
  }
}

/** The TTL of answers about nodes, in seconds. */
export function nodeTtlS(config: DnsConfig): number {
  return Math.floor(config.dns.nodeTtlMs / 1_000)
}

/**
 * The TTL of answers about a service, in seconds: that of its own name, else of the longest
 * prefix (`web*`, at last `*`), else 0. Names are compared without case.
 */
export function serviceTtlS(config: DnsConfig, service: string): number {
  const name = fold(service)
  let best: Bytes | undefined
  let ttlMs = 0
  for (const [key, valueMs] of Object.entries(config.dns.serviceTtlMs)) {
    const wanted = fold(key)
    if (wanted === name) return Math.floor(valueMs / 1_000)
    const prefix = wanted.endsWith('*') ? wanted.slice(0, -1) : undefined
    if (prefix === undefined || !name.startsWith(prefix)) continue
    if (best !== undefined && best.length > prefix.length) continue
    best = prefix
    ttlMs = valueMs
  }
  return Math.floor(ttlMs / 1_000)
}
