/**
 * How runs find the addresses of their targets and hand them to a socket.
 *
 * Owns the options that node:net takes for it. Names go through our own resolver; the system's
 * `getaddrinfo` is never called, since it would wait in the thread pool that the disk needs.
 */
import { isIP, type LookupFunction } from 'node:net'
import type { Resolver } from '../base/io/dns2.ts'
import type { CheckDefinition } from '../store/tables/check.ts'

/** Calls back with a host's addresses, at once for an address; an error says why there are none. */
export function withAddresses(
  resolver: Resolver,
  host: string,
  found: (addresses: readonly string[]) => void,
  failed: (error: unknown) => void,
): void {
  if (isIP(host) !== 0) found([host])
  else resolver.addressesOf(host).then(found, failed)
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

/** Whose certificate is expected, and whether it is looked at. */
export function tlsOptions({ tlsServerName, tlsSkipVerify }: CheckDefinition, host: string) {
  return {
    servername: tlsServerName || (isIP(host) === 0 ? host : ''),
    rejectUnauthorized: tlsSkipVerify !== true,
  }
}
