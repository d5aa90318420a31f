/**
 * What Consul's web interface reads: `/v1/internal/ui/`, and `/v1/operator/usage`.
 *
 * Owns the names of the summaries on the wire. There are no gateways, no proxies and no exports
 * yet, so the lists of those are empty and their fields say so; what would need the mesh to be
 * answered at all is not served.
 */

import { refuse } from '../../base/denied.ts'
import { missing, Refusal } from '../../base/errors.ts'
import { finishInSlices } from '../../base/slices.ts'
import { access } from '../../base/who.ts'
import {
  type NodeInfo,
  nodeInfo,
  nodeInfos,
  type ServiceSummary,
  serviceSummaries,
  type Tally,
} from '../../registry/overview.ts'
import type { Registry } from '../../registry/room.run.ts'
import { contactFields, contactJson, contactOf } from '../contact.ts'
import {
  acting,
  anonymous,
  askEach,
  askOne,
  definePath,
  json,
  type PathDeclaration,
  reading,
} from '../declare.ts'
import { filtering, flag } from '../query.ts'
import { bool, int, list, map, nullable, object, optional, text } from '../shape.ts'
import { checkShape, nodeInfoShape, type Wire } from './wire.ts'

const tally = { Total: int, Passing: int, Warning: int, Critical: int }
const summaryShape = object({
  Kind: optional(text),
  Name: text,
  Datacenter: text,
  Tags: nullable(list(text)),
  Nodes: list(text),
  ExternalSources: nullable(list(text)),
  InstanceCount: int,
  ChecksPassing: int,
  ChecksWarning: int,
  ChecksCritical: int,
  GatewayConfig: object({}),
  TransparentProxy: bool,
  ConnectNative: bool,
  ConnectedWithProxy: bool,
  ConnectedWithGateway: bool,
})

/** The paths of the web interface. */
export function uiPaths(room: Registry, wire: Wire, datacenter: string): PathDeclaration[] {
  return [
    ...nodePaths(wire),
    servicesPath(wire, datacenter),
    overviewPath(room),
    usagePath(room, datacenter),
    ...emptyPaths(),
  ]
}

function nodePaths(wire: Wire): PathDeclaration[] {
  const rights = (node = '') => [access('read', 'node', node), access('read', 'service')]
  return [
    definePath({
      where: 'servers',
      path: '/v1/internal/ui/nodes',
      operations: {
        GET: reading({
          summary: 'All nodes with the services and checks on them.',
          query: { filter: filtering(wire.fields.nodeInfo) },
          answers: { 200: { json: list(nodeInfoShape), help: 'nodes' } },
          access: () => rights(),
          ask: ({ query, who }) => askEach<NodeInfo>(nodeInfos(who), wire.nodeInfo, query),
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/internal/ui/node/{node}',
      operations: {
        GET: reading({
          summary: 'A node with the services and checks on it.',
          query: {},
          answers: {
            200: { json: nodeInfoShape, help: 'the node' },
            404: { empty: 'It is not known.' },
          },
          access: rights,
          ask({ name, who }) {
            if (name === '') return missing('node name')
            return askOne(nodeInfo(who, name), found =>
              found === undefined
                ? { status: 404, body: '' }
                : { status: 200, body: wire.nodeInfo(found) },
            )
          },
        }),
      },
    }),
  ]
}

function servicesPath(wire: Wire, datacenter: string): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/internal/ui/services',
    operations: {
      GET: reading({
        summary: 'All services, each with its instances and checks summed up.',
        query: { filter: filtering(wire.fields.health) },
        answers: { 200: { json: list(summaryShape), help: 'by name' } },
        access: () => [access('read', 'service'), access('read', 'node')],
        ask({ query: { filter }, who }) {
          const question = serviceSummaries(who, filter?.keeps ?? (() => true))
          const asking = askEach(question, summary => summaryText(summary, datacenter))
          return filter === undefined
            ? asking
            : { ...asking, variant: filter.text, isPassing: true }
        },
      }),
    },
  })
}

const orNull = <T>(items: readonly T[]): readonly T[] | null => (items.length === 0 ? null : items)

const summaryText = (summary: ServiceSummary, datacenter: string): string =>
  JSON.stringify({
    ...(summary.kind === '' ? {} : { Kind: summary.kind }),
    Name: summary.name,
    Datacenter: datacenter,
    Tags: orNull(summary.tags),
    Nodes: summary.nodes,
    ExternalSources: orNull(summary.externalSources),
    InstanceCount: summary.instances,
    ChecksPassing: summary.checks.passing,
    ChecksWarning: summary.checks.warning,
    ChecksCritical: summary.checks.critical,
    GatewayConfig: {},
    TransparentProxy: false,
    ConnectNative: summary.connectNative,
    ConnectedWithProxy: false,
    ConnectedWithGateway: false,
  })

const mayOperate = () => [access('read', 'operator')]

function overviewPath(room: Registry): PathDeclaration {
  const named = list(object({ Name: text, ...tally }))
  const shape = object({ Nodes: list(object(tally)), Services: named, Checks: named })
  const listed = (tallies: ReadonlyMap<string, Tally>) =>
    [...tallies].map(([Name, one]) => ({ Name, ...tallyJson(one) }))
  return definePath({
    where: 'servers',
    path: '/v1/internal/ui/catalog-overview',
    operations: {
      GET: acting({
        summary: 'How many nodes, instances and checks are in which state.',
        query: {},
        body: undefined,
        answers: { 200: { json: shape, help: 'the catalog summed up' } },
        access: mayOperate,
        async run({ who }) {
          const refusal = refuse(who, mayOperate())
          if (refusal !== undefined) return refusal
          const { nodes, services, checks } = await finishInSlices(room.overview())
          const Nodes = [tallyJson(nodes)]
          return json({ Nodes, Services: listed(services), Checks: listed(checks) })
        },
      }),
    },
  })
}

const tallyJson = ({ passing, warning, critical }: Tally) => ({
  Total: passing + warning + critical,
  Passing: passing,
  Warning: warning,
  Critical: critical,
})

/** Kinds of instances of the mesh; there are none of them yet but native ones. */
const MESH_KINDS = [
  'connect-proxy',
  'mesh-gateway',
  'terminating-gateway',
  'ingress-gateway',
  'api-gateway',
]

function usagePath(room: Registry, datacenter: string): PathDeclaration {
  const ofDatacenter = object({
    Services: int,
    ServiceInstances: int,
    ConnectServiceInstances: map(int),
    BillableServiceInstances: int,
    Nodes: int,
  })
  const shape = object({
    Usage: map(ofDatacenter),
    Index: int,
    ...contactFields,
    ConsistencyLevel: text,
    NotModified: bool,
    Backend: int,
    ResultsFilteredByACLs: bool,
  })
  return definePath({
    where: 'servers',
    path: '/v1/operator/usage',
    operations: {
      GET: acting({
        summary: 'How much is registered.',
        query: {
          stale: flag('From this server at once, however old its view.'),
          consistent: flag('After the store has confirmed that the view is current.'),
        },
        body: undefined,
        answers: { 200: { json: shape, help: 'by datacenter' } },
        access: mayOperate,
        async run({ who, query, age }) {
          const refusal = refuse(who, mayOperate())
          if (refusal !== undefined) return refusal
          if (query.stale && query.consistent) return bothModes
          const contact = contactOf(age, query.stale)
          const { index, counts } = await room.usage(query.stale)
          const used = await finishInSlices(counts)
          const none = MESH_KINDS.map(kind => [kind, 0] as const)
          const Usage = {
            [datacenter]: {
              Services: used.services,
              ServiceInstances: used.instances,
              ConnectServiceInstances: {
                'connect-native': used.connectNative,
                ...Object.fromEntries(none),
              },
              BillableServiceInstances: used.billable,
              Nodes: used.nodes,
            },
          }
          const level = query.stale ? 'stale' : query.consistent ? 'consistent' : 'leader'
          const meta = { Index: index, ...contactJson(contact), ConsistencyLevel: level }
          const more = { NotModified: false, Backend: 0, ResultsFilteredByACLs: false }
          return json({ Usage, ...meta, ...more })
        },
      }),
    },
  })
}

const bothModes = new Refusal(400, 'Cannot specify ?stale with ?consistent, conflicting semantics.')

/** Lists of what there cannot be yet. */
function emptyPaths(): PathDeclaration[] {
  const empty = (path: string, summary: string, needed?: string): PathDeclaration => {
    const rights = (gateway: string) => [access('read', 'service', gateway)]
    return definePath({
      where: 'servers',
      path,
      operations: {
        GET: acting({
          summary,
          query: {},
          body: undefined,
          answers: { 200: { json: list(checkShape), help: 'always empty' } },
          access: needed === undefined ? anonymous : rights,
          run({ name, who }) {
            if (needed === undefined) return json([])
            return name === '' ? missing(needed) : (refuse(who, rights(name)) ?? json([]))
          },
        }),
      },
    })
  }
  const gateways = 'gateway name'
  return [
    empty('/v1/internal/ui/exported-services', 'Services exported to a peer: there are none.'),
    empty(
      '/v1/internal/ui/gateway-services-nodes/{gateway}',
      'Services behind a gateway: there are no gateways.',
      gateways,
    ),
    empty(
      '/v1/internal/ui/gateway-intentions/{gateway}',
      'Intentions of the services behind a gateway: there are no gateways.',
      gateways,
    ),
  ]
}
