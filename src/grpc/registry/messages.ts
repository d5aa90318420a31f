/**
 * The registry's rows as messages of gatehouse.v1, both ways (proto/gatehouse/v1/catalog.proto).
 *
 * Owns the names of fields, and what is read of a message that registers something. What a row may
 * be is the rooms'.
 */
import type { GivenLocalCheck } from '../../checks/given.ts'
import { completeCheck, type GivenService } from '../../registry/definition.ts'
import type { InstanceHealth } from '../../registry/health.ts'
import type { Cell } from '../../store/table.ts'
import { type CheckDefinition, type CheckRow, CheckStatus } from '../../store/tables/check.ts'
import type { KvRow } from '../../store/tables/kv.ts'
import type { NodeRow } from '../../store/tables/node.ts'
import type { ServiceRow } from '../../store/tables/service.ts'
import type { SessionRow } from '../../store/tables/session.ts'
import {
  type DurationMessage,
  durationOf,
  keyMessage,
  type Maybe,
  msOf,
  type StatusMessage,
  statusGiven,
  statusMessage,
} from './values.ts'

type Texts = Readonly<Record<string, string>>

interface Indexes {
  readonly createIndex: number
  readonly modifyIndex: number
}

export interface NodeMessage extends Indexes {
  readonly id: string
  readonly name: string
  readonly address: string
  readonly datacenter: string
  readonly taggedAddresses: Texts
  readonly meta: Texts
}

export interface ServiceMessage extends Indexes {
  readonly id: string
  readonly name: string
  readonly tags: readonly string[]
  readonly address: string
  readonly port: number
  readonly meta: Texts
  readonly taggedAddresses: Readonly<
    Record<string, { readonly address: string; readonly port: number }>
  >
  readonly ports: readonly {
    readonly name: string
    readonly port: number
    readonly default: boolean
  }[]
  readonly socketPath: string
  readonly weights: Maybe<{ readonly passing: number; readonly warning: number }>
  readonly enableTagOverride: boolean
  readonly kind: string
  readonly connectNative: boolean
}

export interface DefinitionMessage {
  readonly ttl: Maybe<DurationMessage>
  readonly deregisterCriticalServiceAfter: Maybe<DurationMessage>
  readonly interval: Maybe<DurationMessage>
  readonly timeout: Maybe<DurationMessage>
  readonly http: string
  readonly method: string
  readonly header: Readonly<Record<string, { readonly values: readonly string[] }>>
  readonly body: string
  readonly disableRedirects: boolean
  readonly tlsServerName: string
  readonly tlsSkipVerify: boolean
  readonly tcp: string
  readonly tcpUseTls: boolean
  readonly udp: string
  readonly grpc: string
  readonly grpcUseTls: boolean
  readonly h2ping: string
  readonly h2pingUseTls?: boolean | undefined
  readonly osService: string
  readonly scriptArgs: readonly string[]
  readonly dockerContainerId: string
  readonly shell: string
  readonly aliasNode: string
  readonly aliasService: string
  readonly outputMaxSize: number
}

export interface CheckMessage extends Indexes {
  readonly node: string
  readonly checkId: string
  readonly name: string
  readonly status: StatusMessage
  readonly notes: string
  readonly output: string
  readonly serviceId: string
  readonly serviceName: string
  readonly serviceTags: readonly string[]
  readonly type: string
  readonly interval: string
  readonly timeout: string
  readonly definition: Maybe<Partial<DefinitionMessage>>
}

export interface InstanceMessage {
  readonly node: NodeMessage
  readonly service: ServiceMessage
  readonly checks: readonly CheckMessage[]
  readonly status: StatusMessage
}

export interface KvMessage extends Indexes {
  readonly key: string
  readonly rawKey: Buffer
  readonly value: Buffer
  readonly flags: string
  readonly session: string
  readonly lockIndex: number
}

export interface SessionMessage extends Indexes {
  readonly id: string
  readonly name: string
  readonly node: string
  readonly lockDelay: DurationMessage
  readonly behavior: 'SESSION_BEHAVIOR_RELEASE' | 'SESSION_BEHAVIOR_DELETE'
  readonly ttl: DurationMessage | null
  readonly nodeChecks: readonly string[]
  readonly serviceChecks: readonly string[]
}

// --- rows as messages

const indexesOf = ({ createIndex, modifyIndex }: Cell<unknown>): Indexes => ({
  createIndex,
  modifyIndex,
})

/** A node; rows do not know the name of their datacenter. */
export const nodeMessage = (cell: Cell<NodeRow>, datacenter: string): NodeMessage => ({
  id: cell.row.id,
  name: cell.row.node,
  address: cell.row.address,
  datacenter,
  taggedAddresses: cell.row.taggedAddresses,
  meta: cell.row.meta,
  ...indexesOf(cell),
})

/** A service on its node. */
export const serviceMessage = (cell: Cell<ServiceRow>): ServiceMessage => ({
  id: cell.row.id,
  name: cell.row.name,
  tags: cell.row.tags,
  address: cell.row.address,
  port: cell.row.port,
  meta: cell.row.meta,
  taggedAddresses: cell.row.taggedAddresses,
  ports: cell.row.ports.map(({ name, port, isDefault }) => ({ name, port, default: isDefault })),
  socketPath: cell.row.socketPath,
  weights: cell.row.weights,
  enableTagOverride: cell.row.enableTagOverride,
  kind: cell.row.kind,
  connectNative: cell.row.connectNative,
  ...indexesOf(cell),
})

/** A check. */
export const checkMessage = (cell: Cell<CheckRow>): CheckMessage => ({
  node: cell.row.node,
  checkId: cell.row.checkId,
  name: cell.row.name,
  status: statusMessage(cell.row.status),
  notes: cell.row.notes,
  output: cell.row.output,
  serviceId: cell.row.serviceId,
  serviceName: cell.row.serviceName,
  serviceTags: cell.row.serviceTags,
  type: cell.row.type,
  interval: cell.row.interval,
  timeout: cell.row.timeout,
  definition: definitionMessage(cell.row.definition),
  ...indexesOf(cell),
})

/** An instance with the checks that decide about it. */
export const instanceMessage = (found: InstanceHealth, datacenter: string): InstanceMessage => ({
  node: nodeMessage(found.node, datacenter),
  service: serviceMessage(found.service),
  checks: found.checks.map(checkMessage),
  status: statusMessage(worstOf(found.checks)),
})

const worstLast = [CheckStatus.passing, CheckStatus.warning, CheckStatus.critical]

/** The worst that checks say; passing where there is none. */
export function worstOf(cells: readonly Cell<CheckRow>[]): CheckStatus {
  let worst = 0
  for (const { row } of cells) worst = Math.max(worst, worstLast.indexOf(row.status))
  return worstLast[worst]!
}

/** An entry of the key/value store. */
export const kvMessage = (cell: Pick<Cell<KvRow>, 'key' | 'row' | keyof Indexes>): KvMessage => ({
  ...keyMessage(cell.key),
  value: cell.row.value,
  flags: String(cell.row.flags),
  session: cell.row.session,
  lockIndex: cell.row.lockIndex,
  createIndex: cell.createIndex,
  modifyIndex: cell.modifyIndex,
})

/** A session. */
export const sessionMessage = (cell: Cell<SessionRow>): SessionMessage => ({
  id: cell.row.id,
  name: cell.row.name,
  node: cell.row.node,
  lockDelay: durationOf(cell.row.lockDelayMs),
  behavior: cell.row.behavior === 'delete' ? 'SESSION_BEHAVIOR_DELETE' : 'SESSION_BEHAVIOR_RELEASE',
  ttl: cell.row.ttlMs === 0 ? null : durationOf(cell.row.ttlMs),
  nodeChecks: cell.row.nodeChecks,
  serviceChecks: cell.row.serviceChecks.map(({ id }) => id),
  ...indexesOf(cell),
})

// --- messages as rows

/** A node that is to be registered. */
export const nodeGiven = (given: NodeMessage): NodeRow => ({
  node: given.name,
  id: given.id,
  address: given.address,
  taggedAddresses: given.taggedAddresses,
  meta: given.meta,
})

/** A service that is to be registered on a node. */
export const serviceGiven = (node: string, given: ServiceMessage): GivenService => ({
  node,
  id: given.id,
  name: given.name,
  kind: given.kind,
  tags: given.tags,
  address: given.address,
  taggedAddresses: Object.fromEntries(
    Object.entries(given.taggedAddresses).map(([family, { address, port }]) => [
      family,
      { address, port },
    ]),
  ),
  meta: given.meta,
  port: given.port,
  ports: given.ports.map(one => ({ name: one.name, port: one.port, isDefault: one.default })),
  socketPath: given.socketPath,
  weights: given.weights
    ? { passing: given.weights.passing, warning: given.weights.warning }
    : undefined,
  enableTagOverride: given.enableTagOverride,
  connectNative: given.connectNative,
})

/** A check that is to be registered in the catalog, on this node unless it names one. */
export const checkGiven = (node: string, given: CheckMessage): CheckRow =>
  completeCheck(node, {
    node: given.node,
    checkId: given.checkId,
    name: given.name,
    status: statusGiven(given.status),
    notes: given.notes,
    output: given.output,
    serviceId: given.serviceId,
    type: given.type,
    interval: given.interval,
    timeout: given.timeout,
    definition: definitionGiven(given.definition),
  })

/** A check as an agent is asked to run it. */
export interface LocalCheckMessage {
  readonly checkId: string
  readonly name: string
  readonly notes: string
  readonly status: StatusMessage
  readonly definition: Maybe<DefinitionMessage>
  readonly successBeforePassing: number
  readonly failuresBeforeWarning: number
  readonly failuresBeforeCritical: number
}

/** A check of a service of the agent's. */
export const localCheckGiven = (serviceId: string, given: LocalCheckMessage): GivenLocalCheck => ({
  checkId: given.checkId,
  name: given.name,
  notes: given.notes,
  serviceId,
  definition: probeGiven(given.definition),
  successBeforePassing: given.successBeforePassing,
  failuresBeforeWarning: given.failuresBeforeWarning,
  failuresBeforeCritical: given.failuresBeforeCritical,
})

// --- what checks probe

/** Fields that have the same name and form on both sides. */
const PLAIN = [
  'http',
  'method',
  'body',
  'disableRedirects',
  'tlsServerName',
  'tlsSkipVerify',
  'tcp',
  'tcpUseTls',
  'udp',
  'grpc',
  'grpcUseTls',
  'h2ping',
  'osService',
  'scriptArgs',
  'dockerContainerId',
  'shell',
  'aliasNode',
  'aliasService',
] as const satisfies readonly (keyof CheckDefinition & keyof DefinitionMessage)[]

/** Durations, by their names here and in messages. */
const TIMES = {
  ttlMs: 'ttl',
  deregisterCriticalServiceAfterMs: 'deregisterCriticalServiceAfter',
  intervalMs: 'interval',
  timeoutMs: 'timeout',
} as const

function definitionMessage(definition: CheckDefinition): Partial<DefinitionMessage> | null {
  const { header, h2pingUseTls, outputMaxSizeBytes } = definition
  const plain = PLAIN.map(name => [name, definition[name]] as const)
  const times = Object.entries(TIMES).map(([name, field]) => {
    const ms = definition[name as keyof typeof TIMES]
    return [field, ms === undefined ? undefined : durationOf(ms)] as const
  })
  const headers = Object.entries(header ?? {}).map(([name, values]) => [name, { values }])
  const rest = {
    header: header === undefined ? undefined : Object.fromEntries(headers),
    h2pingUseTls,
    outputMaxSize: outputMaxSizeBytes,
  }
  const fields = [...plain, ...times, ...Object.entries(rest)]
  const said = fields.filter(([, value]) => value !== undefined)
  return said.length === 0 ? null : Object.fromEntries(said)
}

/** Whether a field says nothing. */
const isZero = (value: unknown): boolean =>
  [undefined, '', false, 0].includes(value as never) || (Array.isArray(value) && value.length === 0)

/** An agent asks HTTP/2 with TLS where nothing is said. */
function probeGiven(given: Maybe<Partial<DefinitionMessage>>): CheckDefinition {
  const definition = definitionGiven(given)
  if (!definition.h2ping || given?.h2pingUseTls === false) return definition
  return { ...definition, h2pingUseTls: true }
}

function definitionGiven(given: Maybe<Partial<DefinitionMessage>>): CheckDefinition {
  if (!given) return {}
  const plain = PLAIN.map(name => [name, given[name]] as const)
  const times = Object.entries(TIMES).map(([name, field]) => [name, msOf(given[field])] as const)
  const headers = Object.entries(given.header ?? {}).map(([name, { values }]) => [name, values])
  const rest = {
    header: headers.length === 0 ? undefined : Object.fromEntries(headers),
    h2pingUseTls: given.h2pingUseTls,
    outputMaxSizeBytes: given.outputMaxSize,
  }
  const fields = [...plain, ...times, ...Object.entries(rest)]
  return Object.fromEntries(fields.filter(([, value]) => !isZero(value)))
}
