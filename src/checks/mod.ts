/**
 * The kinds of checks that there are, in the order in which a definition that names several is
 * taken.
 *
 * Owns the list, and the rule which kind a definition is of. Pure.
 */
import type { CheckDefinition } from '../store/tables/check.ts'
import { aliasCheck } from './alias.ts'
import type { CheckKind } from './define.ts'
import { dockerCheck } from './docker.ts'
import { grpcCheck } from './grpc.ts'
import { h2pingCheck } from './h2ping.ts'
import { httpCheck } from './http.ts'
import { osServiceCheck } from './os-service.ts'
import { scriptCheck } from './script.ts'
import { tcpCheck } from './tcp.ts'
import { ttlCheck } from './ttl.ts'
import { udpCheck } from './udp.ts'

export const checkKinds: readonly CheckKind[] = [
  ttlCheck,
  httpCheck,
  tcpCheck,
  udpCheck,
  grpcCheck,
  dockerCheck,
  osServiceCheck,
  scriptCheck,
  h2pingCheck,
  aliasCheck,
]

/** The kinds that ask a target over the network, whatever machine they are run on. */
export const networkKinds: readonly CheckKind[] = [
  httpCheck,
  tcpCheck,
  udpCheck,
  grpcCheck,
  h2pingCheck,
]

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
  const asked = checkKinds.filter(({ schema }) => schema.isAskedBy(given))
  const invalid = contradiction(given, asked)
  if (invalid !== undefined) return { invalid }
  const found = asked[0]
  if (found === undefined) return { invalid: 'TTL must be > 0 for TTL checks' }
  const read = new Set<string>([...found.schema.fields, ...COMMON])
  const definition = Object.fromEntries(Object.entries(given).filter(([key]) => read.has(key)))
  return { kind: found.kind, definition }
}

function contradiction(given: CheckDefinition, asked: readonly CheckKind[]): string | undefined {
  const { intervalMs = 0, ttlMs = 0 } = given
  const isRun = asked.some(({ run }) => run !== undefined)
  const isMirror = asked.some(({ mirror }) => mirror !== undefined)
  if (intervalMs > 0 && ttlMs > 0) return 'Interval and TTL cannot both be specified'
  if (isRun && intervalMs <= 0) {
    return 'Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks'
  }
  if (isRun && isMirror) return 'Interval cannot be set for Alias checks'
  if (isMirror && ttlMs > 0) return 'TTL must be not be set for Alias checks'
  return undefined
}

/** Whether checks of this kind start programs that their definitions name. */
export function startsPrograms(kind: string): boolean {
  const found = checkKinds.find(one => one.kind === kind)
  return found?.run !== undefined && found.startsPrograms
}
