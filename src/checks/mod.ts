/**
 * The kinds of checks that there are, in the order in which a definition that names several is
 * taken.
 *
 * Owns the list, and the rule which kind a definition is of. Pure.
 */
import type { CheckDefinition } from '../store/tables/check.ts'
import type { CheckKind } from './define.ts'
import { httpCheck } from './http.ts'
import { tcpCheck } from './tcp.ts'
import { ttlCheck } from './ttl.ts'

export const checkKinds: readonly CheckKind[] = [ttlCheck, httpCheck, tcpCheck]

/** What every definition may say, whatever its kind. */
const COMMON: readonly (keyof CheckDefinition)[] = [
  'intervalMs',
  'timeoutMs',
  'outputMaxSizeBytes',
  'deregisterCriticalServiceAfterMs',
]

/**
 * The kind that a definition asks for, with the definition as that kind reads it; or why there is
 * none (the text after `Invalid check: `).
 */
export function kindOf(
  given: CheckDefinition,
): { readonly kind: string; readonly definition: CheckDefinition } | { readonly invalid: string } {
  const found = checkKinds.find(({ schema }) => Boolean(given[schema.field]))
  if (found === undefined) return { invalid: 'TTL must be > 0 for TTL checks' }
  if (found.run !== undefined && (given.intervalMs ?? 0) <= 0) {
    return {
      invalid: 'Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks',
    }
  }
  const { field, options } = found.schema
  const read = new Set<string>([field, ...options, ...COMMON])
  const definition = Object.fromEntries(Object.entries(given).filter(([key]) => read.has(key)))
  return { kind: found.kind, definition }
}
