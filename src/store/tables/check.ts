/**
 * Checks as the catalog knows them: the last status of each.
 *
 * Owns row, codec, indexes and scopes. A check of a node counts for all services on it, one of a
 * service for that instance alone; who may write it is the rules' business.
 */
import { internList, internRecord, internText } from '../../base/intern.ts'
import { defineTable, jsonCodec } from '../table.ts'
import { nodeGuard, onNode, scope } from './names.ts'
import { servicesOn } from './node.ts'

export const CheckStatus = {
  passing: 'passing',
  warning: 'warning',
  critical: 'critical',
} as const
export type CheckStatus = (typeof CheckStatus)[keyof typeof CheckStatus]

/** What a check probes; as it was given, for those who read it back. Durations in milliseconds. */
export interface CheckDefinition {
  readonly http?: string
  readonly method?: string
  readonly header?: Readonly<Record<string, readonly string[]>>
  readonly body?: string
  readonly disableRedirects?: boolean
  readonly tlsServerName?: string
  readonly tlsSkipVerify?: boolean
  readonly tcp?: string
  readonly tcpUseTls?: boolean
  readonly udp?: string
  readonly grpc?: string
  readonly grpcUseTls?: boolean
  readonly h2ping?: string
  readonly h2pingUseTls?: boolean
  readonly osService?: string
  readonly scriptArgs?: readonly string[]
  readonly dockerContainerId?: string
  readonly shell?: string
  readonly aliasNode?: string
  readonly aliasService?: string
  readonly intervalMs?: number
  readonly timeoutMs?: number
  readonly ttlMs?: number
  readonly deregisterCriticalServiceAfterMs?: number
  readonly outputMaxSizeBytes?: number
}

export interface CheckRow {
  readonly node: string
  readonly checkId: string
  readonly name: string
  readonly status: CheckStatus
  readonly notes: string
  readonly output: string
  /** '' for a check of the node itself. */
  readonly serviceId: string
  readonly serviceName: string
  readonly serviceTags: readonly string[]
  /** 'http', 'ttl', …; '' for a check that somebody else runs. */
  readonly type: string
  /** As printed: '10s', '' where there is none. */
  readonly interval: string
  readonly timeout: string
  readonly definition: CheckDefinition
  readonly agentOwned: boolean
}

/** The key is `onNode(node, checkId)`. */
export const checks = defineTable<CheckRow>({
  name: 'checks',
  // A change of health.
  need: (_row, before) => (before === undefined ? 'data' : 'upkeep'),
  prefix: 'registry/check/',
  codec: jsonCodec(),
  indexes: {
    /** The checks of one instance, and (under the id '') of the node itself. */
    instance: {
      guarded: true,
      fields: ['node', 'serviceId'],
      values: row => [onNode(row.node, row.serviceId)],
    },
    /** Checks that do not pass: most do, and a list of those is the whole table anyway. */
    failing: {
      guarded: false,
      fields: ['status'],
      values: row => (row.status === CheckStatus.passing ? [] : [row.status]),
    },
  },
  guard: nodeGuard,
  intern: (row, before) => ({
    ...row,
    node: internText(row.node, before?.node),
    name: internText(row.name, before?.name),
    serviceName: internText(row.serviceName, before?.serviceName),
    serviceTags: internList(row.serviceTags, before?.serviceTags),
    definition: internRecord(row.definition, before?.definition),
  }),
  scopeFields: ['node', 'serviceId', 'serviceName'],
  scopes: (row, _key, reader) => {
    const names = [scope.catalog, scope.checks, scope.nodeChecks(row.node)]
    if (row.serviceId === '') names.push(...servicesOn(row.node, reader).map(scope.health))
    else names.push(scope.health(row.serviceName), scope.serviceChecks(row.serviceName))
    return names
  },
})
