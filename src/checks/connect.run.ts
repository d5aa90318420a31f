/**
 * How runs find the addresses of their targets and hand them to a socket.
 *
 * Owns the reading of `host:port`, the options that node:net takes, and the guard: an address that
 * checks may not reach is never connected to, whatever name led there. A name is looked up once a
 * run, so what was judged is what is connected to. Names go through our own resolver; the system's
 * `getaddrinfo` is never called, since it would wait in the thread pool that the disk needs.
 */
import { isIP, type LookupFunction } from 'node:net'
import type { CheckDefinition } from '../store/tables/check.ts'
import type { RunTools } from './define.ts'

/** Calls back with a host's addresses, at once for an address; an error says why there are none. */
export function withAddresses(
  { resolver, mayReach }: RunTools,
  host: string,
  found: (addresses: readonly string[]) => void,
  failed: (error: unknown) => void,
): void {
  const judge = (addresses: readonly string[]): void => {
    const allowed = addresses.filter(mayReach)
    if (allowed.length > 0) found(allowed)
    else failed(new Error(`checks may not reach ${addresses[0]} (check_targets.allow)`))
  }
  if (isIP(host) !== 0) judge([host])
  else resolver.addressesOf(host).then(judge, failed)
}

/** Where a check connects to. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** Reads `web:80`, `127.0.0.1:80`, `[::1]:80`; undefined where it is nothing of that form. */
export function parseTarget(text: string): Target | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port > 65_535) return undefined
  // No host is this one, as in Go.
  return { host: bracketed ?? (plain || 'localhost'), port }
}

/** Socket options that connect to these addresses in turn, within the time of the whole run. */
export function toAddresses(addresses: readonly string[], timeoutMs: number) {
  const all = addresses.map(address => ({ address, family: isIP(address) }))
  const answer: LookupFunction = (_host, options, done) => {
    if (options.all === true) done(null, all)
    else done(null, all[0]!.address, all[0]!.family)
  }
  return {
    lookup: answer,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: Math.max(10, Math.floor(timeoutMs / all.length)),
  }
}

/** Whose certificate is expected, whether it is looked at, and what is shown of ours. */
export function tlsOptions(
  { tlsServerName, tlsSkipVerify }: CheckDefinition,
  host: string,
  { agentTls }: RunTools,
) {
  const own = agentTls?.()
  return {
    servername: tlsServerName || (own?.serverName ?? (isIP(host) === 0 ? host : '')),
    rejectUnauthorized: tlsSkipVerify !== true,
    ...(own === undefined ? {} : { secureContext: own.context }),
  }
}
