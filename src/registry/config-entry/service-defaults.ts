/**
 * `service-defaults`: how all instances of a service, and its callers, are to be set up.
 *
 * Owns its fields and what is wrong with them. Field names and texts are Consul's.
 */
import { isIP } from 'node:net'
import { always, bool, free, integer, list, nanoseconds, object, text, zeroable } from './field.ts'
import {
  type EntryFields,
  type EntryKind,
  expose,
  gatewayProblem,
  meshGateway,
  meta,
  metaProblem,
  proxyProblem,
  serviceRights,
  transparentProxy,
  WILDCARD,
} from './kind.ts'

interface Upstream {
  readonly Name?: string
  readonly Protocol?: string
  readonly ConnectTimeoutMs?: number
  readonly Limits?: Readonly<Record<string, number>>
  readonly PassiveHealthCheck?: Readonly<Record<string, number>>
  readonly MeshGateway: object
  readonly BalanceOutboundConnections?: string
}

interface ServiceDefaults {
  readonly Protocol: string
  readonly BalanceInboundConnections?: string
  readonly UpstreamConfig?: {
    readonly Overrides?: readonly Upstream[]
    readonly Defaults?: Upstream
  }
  readonly Destination?: { readonly Addresses?: readonly string[]; readonly Port?: number }
  readonly Meta?: unknown
}

const upstream = object({
  Name: text,
  Peer: text,
  EnvoyListenerJSON: text,
  EnvoyClusterJSON: text,
  Protocol: text,
  ConnectTimeoutMs: integer,
  Limits: object({
    MaxConnections: zeroable(integer),
    MaxPendingRequests: zeroable(integer),
    MaxConcurrentRequests: zeroable(integer),
  }),
  PassiveHealthCheck: object({
    Interval: nanoseconds,
    MaxFailures: integer,
    EnforcingConsecutive5xx: zeroable(integer),
    MaxEjectionPercent: zeroable(integer),
    BaseEjectionTime: zeroable(nanoseconds),
  }),
  MeshGateway: meshGateway,
  BalanceOutboundConnections: text,
})

/** The extensions of proxies: named, with arguments of any content. */
export const envoyExtensions = list(
  object({ Name: text, Required: bool, Arguments: free, ConsulVersion: text, EnvoyVersion: text }),
)

export const serviceDefaults: EntryKind = {
  kind: 'service-defaults',
  ...serviceRights,
  fields: {
    Protocol: always(text, ''),
    Mode: text,
    TransparentProxy: transparentProxy,
    MutualTLSMode: text,
    MeshGateway: meshGateway,
    Expose: expose,
    ExternalSNI: text,
    UpstreamConfig: object({ Overrides: list(upstream), Defaults: upstream }),
    Destination: object({ Addresses: list(text), Port: integer }),
    MaxInboundConnections: integer,
    LocalConnectTimeoutMs: integer,
    LocalRequestTimeoutMs: integer,
    BalanceInboundConnections: text,
    RateLimits: free,
    EnvoyExtensions: envoyExtensions,
    Meta: meta,
  },
  normalise(fields) {
    const { Protocol, UpstreamConfig: config } = fields as unknown as ServiceDefaults
    const normal: EntryFields = { ...fields, Protocol: Protocol.toLowerCase() }
    if (config === undefined) return normal
    const { Overrides, Defaults } = config
    const UpstreamConfig = {
      ...(Overrides === undefined ? {} : { Overrides: Overrides.map(normalUpstream) }),
      ...(Defaults === undefined ? {} : { Defaults: normalUpstream(Defaults) }),
    }
    return { ...normal, UpstreamConfig }
  },
  problem(fields, name) {
    if (name === '') return 'Name is required'
    if (name === WILDCARD) {
      return 'service-defaults name must be the name of a service, and not a wildcard'
    }
    const entry = fields as unknown as ServiceDefaults
    return (
      metaProblem(entry.Meta) ??
      balanceProblem('balance_inbound_connections', entry.BalanceInboundConnections) ??
      (fields.RateLimits === undefined
        ? undefined
        : 'rate limits are an enterprise-only feature') ??
      proxyProblem(fields) ??
      upstreamsProblem(entry) ??
      destinationProblem(entry)
    )
  },
}

function normalUpstream(given: Upstream): Upstream {
  const { Protocol, ConnectTimeoutMs = 0, ...rest } = given
  // Made anew in the order of the fields, so that equal entries are equal texts.
  const { Name, ...others } = rest
  return {
    ...(Name === undefined ? {} : { Name }),
    ...(Protocol === undefined ? {} : { Protocol: Protocol.toLowerCase() }),
    ...(ConnectTimeoutMs > 0 ? { ConnectTimeoutMs } : {}),
    ...others,
  }
}

const balanceProblem = (key: string, value = ''): string | undefined =>
  ['', 'exact_balance'].includes(value) ? undefined : `invalid value for ${key}: ${value}`

function upstreamsProblem({ UpstreamConfig, Destination }: ServiceDefaults): string | undefined {
  if (UpstreamConfig === undefined) return undefined
  if (Destination !== undefined) {
    return 'UpstreamConfig and Destination are mutually exclusive for service defaults'
  }
  for (const override of UpstreamConfig.Overrides ?? []) {
    const { Name = '' } = override
    const named =
      Name === '' ? 'Name is required' : Name === WILDCARD && 'Wildcard name is not supported'
    const problem = named || upstreamProblem(override)
    if (problem !== undefined) return `error in upstream override for ${Name}: ${problem}`
  }
  const { Defaults: defaults } = UpstreamConfig
  if (defaults === undefined) return undefined
  const problem = defaults.Name === undefined ? upstreamProblem(defaults) : 'Name must be empty'
  return problem === undefined ? undefined : `error in upstream defaults: ${problem}`
}

function upstreamProblem(given: Upstream): string | undefined {
  const { PassiveHealthCheck: check = {}, Limits: limits = {} } = given
  if ((check.Interval ?? 0) < 0) return 'passive health check interval cannot be negative'
  if ((check.BaseEjectionTime ?? 0) < 0) {
    return 'passive health check base_ejection_time cannot be negative'
  }
  if ((check.MaxFailures ?? 0) < 0) return 'passive health check max_failures cannot be negative'
  const percents = {
    enforcing_consecutive_5xx: check.EnforcingConsecutive5xx ?? 0,
    max_ejection_percent: check.MaxEjectionPercent ?? 0,
  }
  for (const [key, value] of Object.entries(percents)) {
    if (value >= 0 && value <= 100) continue
    return `passive health check ${key} must be a percentage between 0 and 100`
  }
  const negative = Object.entries(limits).find(([, value]) => value < 0)
  if (negative !== undefined) return `${negative[0]} cannot be negative`
  return (
    balanceProblem('balance_outbound_connections', given.BalanceOutboundConnections) ??
    gatewayProblem(given.MeshGateway)
  )
}

function destinationProblem({ Destination }: ServiceDefaults): string | undefined {
  if (Destination === undefined) return undefined
  const { Addresses: addresses = [], Port: port = 0 } = Destination
  if (addresses.length === 0) return 'Destination must contain at least one valid address'
  const seen = new Set<string>()
  for (const address of addresses) {
    if (seen.has(address)) return `Duplicate address '${address}' is not allowed`
    seen.add(address)
    if (isIP(address) !== 0 || isHostName(address)) continue
    const problem = `Could not validate address ${address} as an IP or Hostname`
    return `Destination address '${address}' is invalid ${problem}`
  }
  return port < 1 || port > 65_535 ? `Invalid Port number ${port}` : undefined
}

const isHostName = (name: string): boolean =>
  name !== '' && name.length <= 254 && /^([^.*\s]{1,63}\.)*[^.*\s]{1,63}\.?$/.test(name)
