/**
 * `service-resolver`: which instances stand for a service, and where its callers go instead.
 *
 * Owns its fields, what is wrong with them, and which other services one names. Field names and
 * texts are Consul's.
 */
import { parseDurationMs } from '../../base/duration.ts'
import { access } from '../../base/who.ts'
import { FilterError } from '../../filter/expression.ts'
import { parse } from '../../filter/parse.ts'
import { bool, duration, integer, list, map, nanoseconds, object, text } from './field.ts'
import {
  type EntryFields,
  type EntryKind,
  meta,
  metaProblem,
  serviceRights,
  WILDCARD,
} from './kind.ts'

/** A place to go: a service, a subset of it, another datacenter. */
export interface Place {
  readonly Service?: string
  readonly ServiceSubset?: string
  readonly Datacenter?: string
  readonly Peer?: string
}

interface Failover extends Place {
  readonly Datacenters?: readonly string[]
  readonly Targets?: readonly Place[]
  readonly Policy?: object
  readonly SamenessGroup?: string
}

interface LoadBalancer {
  readonly Policy?: string
  readonly RingHashConfig?: object
  readonly LeastRequestConfig?: object
  readonly HashPolicies?: readonly {
    readonly Field?: string
    readonly FieldValue?: string
    readonly SourceIP?: boolean
    readonly CookieConfig?: { readonly Session?: boolean; readonly TTL?: number }
  }[]
}

export interface ServiceResolver {
  readonly DefaultSubset?: string
  readonly Subsets?: Readonly<Record<string, { readonly Filter?: string }>>
  readonly Redirect?: Place & { readonly SamenessGroup?: string }
  readonly Failover?: Readonly<Record<string, Failover>>
  readonly ConnectTimeout?: string
  readonly RequestTimeout?: string
  readonly LoadBalancer?: LoadBalancer
  readonly PrioritizeByLocality?: object
  readonly Meta?: unknown
}

const place = { Service: text, ServiceSubset: text, Datacenter: text, Peer: text }

export const serviceResolver: EntryKind = {
  kind: 'service-resolver',
  ...serviceRights,
  // Who sends callers elsewhere must be able to see where.
  writeAccess: (name, fields) => [
    access('write', 'service', name),
    ...servicesAfter(name, fields).map(one => access('read', 'service', one)),
  ],
  leadsTo: servicesAfter,
  fields: {
    DefaultSubset: text,
    Subsets: map(object({ Filter: text, OnlyPassing: bool })),
    Redirect: object({ ...place, SamenessGroup: text }),
    Failover: map(
      object({
        Service: text,
        ServiceSubset: text,
        Datacenters: list(text),
        Targets: list(object(place)),
        Policy: object({ Mode: text, Regions: list(text) }),
        SamenessGroup: text,
      }),
    ),
    ConnectTimeout: duration,
    RequestTimeout: duration,
    LoadBalancer: object({
      Policy: text,
      RingHashConfig: object({ MinimumRingSize: integer, MaximumRingSize: integer }),
      LeastRequestConfig: object({ ChoiceCount: integer }),
      HashPolicies: list(
        object({
          Field: text,
          FieldValue: text,
          CookieConfig: object({ Session: bool, TTL: nanoseconds, Path: text }),
          SourceIP: bool,
          Terminal: bool,
        }),
      ),
    }),
    PrioritizeByLocality: object({ Mode: text }),
    Meta: meta,
  },
  problem(fields, name) {
    if (name === '') return 'Name is required'
    const entry: ServiceResolver = fields
    return (
      metaProblem(entry.Meta) ??
      subsetsProblem(entry) ??
      redirectProblem(entry, name) ??
      failoverProblem(entry, name) ??
      timeoutProblem('ConnectTimeout', entry.ConnectTimeout) ??
      timeoutProblem('RequestTimeout', entry.RequestTimeout) ??
      balancerProblem(entry.LoadBalancer) ??
      (entry.PrioritizeByLocality === undefined ? undefined : LOCALITY)
    )
  },
}

const LOCALITY = 'locality-aware routing requires Consul Enterprise'
const SAMENESS = 'sameness-groups are an enterprise-only feature'

const quoted = (text: string): string => JSON.stringify(text)

/** The services that a resolver names besides its own, each once. */
function servicesAfter(name: string, fields: EntryFields): string[] {
  const { Redirect, Failover = {} }: ServiceResolver = fields
  const places: readonly Place[] = [
    Redirect ?? {},
    ...Object.values(Failover).flatMap(one => [one, ...(one.Targets ?? [])]),
  ]
  const named = places
    .filter(({ Peer = '' }) => Peer === '')
    .map(({ Service = '' }) => Service)
    .filter(service => service !== '' && service !== name)
  return [...new Set(named)]
}

const hasSubset = ({ Subsets = {} }: ServiceResolver, subset: string): boolean =>
  Object.hasOwn(Subsets, subset)

function subsetsProblem(entry: ServiceResolver): string | undefined {
  const { Subsets: subsets = {}, DefaultSubset = '' } = entry
  for (const [name, { Filter = '' }] of Object.entries(subsets)) {
    if (name === '') return 'Subset defined with empty name'
    const problem = subsetNameProblem(name)
    if (problem !== undefined) return `Subset ${quoted(name.slice(0, 64))} is invalid: ${problem}`
    const wrong = Filter === '' ? undefined : filterProblem(Filter)
    if (wrong !== undefined) {
      return `Filter for subset ${quoted(name)} is not a valid expression: ${wrong}`
    }
  }
  if (DefaultSubset !== '' && !hasSubset(entry, DefaultSubset)) {
    return `DefaultSubset ${quoted(DefaultSubset)} is not a valid subset`
  }
  return undefined
}

/** What is wrong with an expression as such: what it selects is looked at when it is used. */
function filterProblem(text: string): string | undefined {
  try {
    parse(text)
    return undefined
  } catch (error) {
    if (error instanceof FilterError) return error.message
    throw error
  }
}

function subsetNameProblem(name: string): string | undefined {
  if (name.length > 63) return 'must be non-empty and 63 characters or fewer'
  if (/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)) return undefined
  return (
    'must be 63 characters or fewer, begin or end with lower case alphanumeric characters, and ' +
    "contain lower case alphanumeric characters or '-' in between"
  )
}

function redirectProblem(entry: ServiceResolver, name: string): string | undefined {
  if (entry.Redirect === undefined) return undefined
  const { Service = '', ServiceSubset = '', Datacenter = '', Peer = '' } = entry.Redirect
  if ((entry.Redirect.SamenessGroup ?? '') !== '') return `Redirect: ${SAMENESS}`
  if (Object.keys(entry.Failover ?? {}).length > 0) {
    return 'Redirect and Failover cannot both be set'
  }
  if (Service === '' && ServiceSubset === '' && Datacenter === '' && Peer === '') {
    return 'Redirect is empty'
  }
  if (Peer !== '' && ServiceSubset !== '') {
    return 'Redirect.Peer cannot be set with Redirect.ServiceSubset'
  }
  if (Peer !== '' && Datacenter !== '') {
    return 'Redirect.Peer cannot be set with Redirect.Datacenter'
  }
  if (Service === '' && ServiceSubset !== '') {
    return 'Redirect.ServiceSubset defined without Redirect.Service'
  }
  if (Service === '' && Peer !== '') return 'Redirect.Peer defined without Redirect.Service'
  if (ServiceSubset !== '' && Service === name && !hasSubset(entry, ServiceSubset)) {
    const what = `Redirect.ServiceSubset ${quoted(ServiceSubset)}`
    return `${what} is not a valid subset of ${quoted(name)}`
  }
  return undefined
}

function failoverProblem(entry: ServiceResolver, name: string): string | undefined {
  for (const [subset, failover] of Object.entries(entry.Failover ?? {})) {
    const problem =
      subset !== WILDCARD && !hasSubset(entry, subset)
        ? 'not a valid subset subset'
        : oneFailoverProblem(entry, name, failover)
    if (problem !== undefined) return `Bad Failover[${quoted(subset)}]: ${problem}`
    for (const [i, target] of (failover.Targets ?? []).entries()) {
      const wrong = targetProblem(entry, name, target)
      if (wrong !== undefined) return `Bad Failover[${quoted(subset)}].Targets[${i}]: ${wrong}`
    }
  }
  return undefined
}

function oneFailoverProblem(
  entry: ServiceResolver,
  name: string,
  failover: Failover,
): string | undefined {
  const { Service = '', ServiceSubset = '', Datacenters = [], Targets = [] } = failover
  if ((failover.SamenessGroup ?? '') !== '') return SAMENESS
  if (failover.Policy !== undefined) return LOCALITY
  if (Service === '' && ServiceSubset === '' && Datacenters.length + Targets.length === 0) {
    return 'one of Service, ServiceSubset, Namespace, Targets, or Datacenters is required'
  }
  if (ServiceSubset !== '' && isOwn(Service, name) && !hasSubset(entry, ServiceSubset)) {
    return `ServiceSubset ${quoted(ServiceSubset)} is not a valid subset of ${quoted(Service)}`
  }
  if (Targets.length > 0) {
    if (Datacenters.length > 0) return 'Targets cannot be set with Datacenters'
    if (ServiceSubset !== '') return 'Targets cannot be set with ServiceSubset'
    if (Service !== '') return 'Targets cannot be set with Service'
  }
  return Datacenters.includes('') ? 'Datacenters: found empty datacenter' : undefined
}

const isOwn = (service: string, name: string): boolean => service === '' || service === name

function targetProblem(entry: ServiceResolver, name: string, target: Place): string | undefined {
  const { Service = '', ServiceSubset = '', Datacenter = '', Peer = '' } = target
  if (Peer !== '' && ServiceSubset !== '') return 'Peer cannot be set with ServiceSubset'
  if (Peer !== '' && Datacenter !== '') return 'Peer cannot be set with Datacenter'
  if (ServiceSubset !== '' && isOwn(Service, name) && !hasSubset(entry, ServiceSubset)) {
    return `ServiceSubset ${quoted(ServiceSubset)} is not a valid subset of ${quoted(name)}`
  }
  return undefined
}

const timeoutProblem = (field: string, value = ''): string | undefined =>
  (parseDurationMs(value) ?? 0) < 0 ? `Bad ${field} '${value}', must be >= 0` : undefined

const POLICIES = ['', 'least_request', 'maglev', 'random', 'ring_hash', 'round_robin']
const HASH_FIELDS = ['', 'header', 'cookie', 'query_parameter']

function balancerProblem(balancer: LoadBalancer | undefined): string | undefined {
  if (balancer === undefined) return undefined
  const { Policy: policy = '', RingHashConfig, LeastRequestConfig, HashPolicies = [] } = balancer
  if (!POLICIES.includes(policy)) {
    return `Bad LoadBalancer policy: ${quoted(policy)} is not supported`
  }
  const wrong =
    policy !== 'ring_hash' && RingHashConfig !== undefined
      ? 'RingHashConfig'
      : policy !== 'least_request' && LeastRequestConfig !== undefined && 'LeastRequestConfig'
  if (wrong) {
    const what = `${wrong} specified for incompatible load balancing policy ${quoted(policy)}`
    return `Bad LoadBalancer configuration. ${what}`
  }
  if (!['ring_hash', 'maglev'].includes(policy) && HashPolicies.length > 0) {
    const what = `HashPolicies specified for non-hash-based Policy: ${quoted(policy)}`
    return `Bad LoadBalancer configuration: ${what}`
  }
  for (const [i, one] of HashPolicies.entries()) {
    const problem = hashPolicyProblem(one)
    if (problem !== undefined) return `Bad LoadBalancer HashPolicy[${i}]: ${problem}`
  }
  return undefined
}

function hashPolicyProblem(
  policy: NonNullable<LoadBalancer['HashPolicies']>[number],
): string | undefined {
  const { Field: field = '', FieldValue = '', SourceIP = false, CookieConfig } = policy
  if (!HASH_FIELDS.includes(field)) return `${quoted(field)} is not a supported field`
  if (SourceIP && field !== '') {
    return `A single hash policy cannot hash both a source address and a ${quoted(field)}`
  }
  if (SourceIP && FieldValue !== '') return 'A FieldValue cannot be specified when hashing SourceIP'
  if (field !== '' && FieldValue === '') {
    return `Field ${quoted(field)} was specified without a FieldValue`
  }
  if (field === '' && FieldValue !== '') return 'FieldValue requires a Field to apply to'
  if (CookieConfig === undefined) return undefined
  if (field !== 'cookie') return `cookie_config provided for ${quoted(field)}`
  return CookieConfig.Session === true && (CookieConfig.TTL ?? 0) !== 0
    ? 'a session cookie cannot have an associated TTL'
    : undefined
}
