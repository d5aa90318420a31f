/**
 * What a check probes, between its wire names and the row's own.
 *
 * Owns the one table of them: reading of bodies, rendering, and the shape of answers come from it.
 * Fields that say nothing are left out on both sides. The names are those of Consul's
 * HealthCheckDefinition, in its order.
 */
import { formatDuration } from '../../base/duration.ts'
import type { CheckDefinition } from '../../store/tables/check.ts'
import { bool, duration, int, isZero, list, map, optional, type Shape, text } from '../shape.ts'

const fields = {
  HTTP: ['http', text],
  TLSServerName: ['tlsServerName', text],
  TLSSkipVerify: ['tlsSkipVerify', bool],
  Header: ['header', map(list(text))],
  Method: ['method', text],
  Body: ['body', text],
  DisableRedirects: ['disableRedirects', bool],
  TCP: ['tcp', text],
  TCPUseTLS: ['tcpUseTls', bool],
  UDP: ['udp', text],
  H2PING: ['h2ping', text],
  OSService: ['osService', text],
  H2PingUseTLS: ['h2pingUseTls', bool],
  Interval: ['intervalMs', duration],
  OutputMaxSize: ['outputMaxSizeBytes', int],
  Timeout: ['timeoutMs', duration],
  DeregisterCriticalServiceAfter: ['deregisterCriticalServiceAfterMs', duration],
  ScriptArgs: ['scriptArgs', list(text)],
  DockerContainerID: ['dockerContainerId', text],
  Shell: ['shell', text],
  GRPC: ['grpc', text],
  GRPCUseTLS: ['grpcUseTls', bool],
  AliasNode: ['aliasNode', text],
  AliasService: ['aliasService', text],
  TTL: ['ttlMs', duration],
} satisfies Record<string, readonly [keyof CheckDefinition, Shape<unknown>]>

type WireName = keyof typeof fields
const wireNames = Object.keys(fields) as WireName[]

/** The shapes of the fields, each of which may be absent. */
export const definitionFields = Object.fromEntries(
  wireNames.map(name => [name, optional(fields[name][1] as Shape<unknown>)]),
) as Record<WireName, Shape<unknown>>

/** A definition out of a decoded body, whose other fields are left alone. */
export function readDefinition(
  body: Partial<Readonly<Record<WireName, unknown>>>,
): CheckDefinition {
  const definition: Record<string, unknown> = {}
  for (const name of wireNames) {
    const value = body[name]
    if (value !== undefined && !isZero(value)) definition[fields[name][0]] = value
  }
  return definition
}

/** A definition as plain JSON; durations as text. */
export function definitionJson(definition: CheckDefinition): Record<string, unknown> {
  const json: Record<string, unknown> = {}
  for (const name of wireNames) {
    const [key, shape] = fields[name]
    const value = definition[key as keyof CheckDefinition]
    if (value === undefined) continue
    json[name] = shape === duration ? formatDuration(value as number) : value
  }
  return json
}
