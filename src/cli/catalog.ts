/**
 * The verbs `catalog datacenters`, `catalog nodes` and `catalog services`.
 *
 * Owns their tables, which are those of Consul's command line.
 */
import { messageOf } from '../base/errors.ts'
import { clientOf, formatFlag, type Query, queryFlags, wantsJson } from './client.ts'
import { type Call, type Command, countMistake, type Flag, fail } from './command.ts'
import { exactJson } from './json.ts'
import { columns, pairs } from './table.ts'

interface Node {
  readonly ID: string
  readonly Node: string
  readonly Address: string
  readonly Datacenter: string
  readonly TaggedAddresses: Readonly<Record<string, string>> | null
  readonly Meta?: Readonly<Record<string, string>> | null
  /** Where a ServiceNode has its node's metadata. */
  readonly NodeMeta?: Readonly<Record<string, string>> | null
}

const nodeMetaFlag: Flag = {
  name: 'node-meta',
  kind: 'list',
  doc: 'only nodes with this metadata: key=value; may be repeated',
}

export const catalogDatacenters: Command = {
  usage: '[options]',
  flags: [formatFlag, ...queryFlags],
  examples: ['', '-format=json'],
  run: call =>
    listing(call, 'Error listing datacenters', async () => {
      const names = await (await clientOf(call)).read<string[]>('/v1/catalog/datacenters')
      return { data: names, text: names.join('\n') }
    }),
}

export const catalogNodes: Command = {
  usage: '[options]',
  flags: [
    { name: 'detailed', kind: 'switch', doc: 'print full ids, tagged addresses and metadata' },
    { name: 'near', kind: 'text', doc: 'sort by distance from this node, or from _agent' },
    { name: 'service', kind: 'text', doc: 'only nodes that run this service' },
    { name: 'filter', kind: 'text', doc: 'filter expression' },
    nodeMetaFlag,
    formatFlag,
    ...queryFlags,
  ],
  examples: ['', '-service=web -near=_agent', '-node-meta=rack=r1 -detailed'],
  run: call =>
    listing(call, 'Error listing nodes', async () => {
      const { flags } = call
      const service = flags.text('service')
      const path = service ? `service/${encodeURIComponent(service)}` : 'nodes'
      const nodes = await (await clientOf(call)).read<Node[]>(`/v1/catalog/${path}`, {
        ...nodeMetaQuery(call),
        near: flags.text('near'),
        filter: flags.text('filter'),
      })
      if (nodes.length === 0) return { data: nodes, text: undefined, none: 'nodes' }
      return { data: nodes, text: columns(nodeRows(nodes, flags.isOn('detailed'))) }
    }),
}

export const catalogServices: Command = {
  usage: '[options]',
  flags: [
    { name: 'node', kind: 'text', doc: 'only services of this node' },
    { name: 'tags', kind: 'switch', doc: 'print the tags beside each service' },
    { name: 'filter', kind: 'text', doc: 'filter expression' },
    nodeMetaFlag,
    formatFlag,
    ...queryFlags,
  ],
  examples: ['-tags', '-node=n1'],
  run: call =>
    listing(call, 'Error listing services', async () => {
      const services = await readServices(call)
      const names = Object.keys(services).sort()
      if (names.length === 0) return { data: services, text: undefined, none: 'services' }
      const GAP = 6
      const rows = names.map(name => [name, (services[name] ?? []).toSorted().join(',')])
      const withTags = columns(rows, GAP).trim()
      return { data: services, text: call.flags.isOn('tags') ? withTags : names.join('\n') }
    }),
}

interface Listing {
  readonly data: unknown
  /** undefined when nothing matched. */
  readonly text: string | undefined
  readonly none?: string
}

async function listing(call: Call, fault: string, read: () => Promise<Listing>): Promise<number> {
  const { args, io } = call
  const mistake = countMistake(args, 0)
  if (mistake !== undefined) return fail(io, mistake)
  try {
    const { data, text, none } = await read()
    if (wantsJson(call)) io.print(exactJson(data))
    else if (text !== undefined) io.print(text)
    else io.printError(`No ${none} match the given query - try expanding your search.`)
    return 0
  } catch (error) {
    return fail(io, `${fault}: ${messageOf(error)}`)
  }
}

/** The flag has `key=value`, the API `key:value`. */
const nodeMetaQuery = ({ flags }: Call): Query => ({
  'node-meta': flags.list('node-meta').map(pair => pair.replace('=', ':')),
})

async function readServices(call: Call): Promise<Record<string, string[]>> {
  const client = await clientOf(call)
  const node = call.flags.text('node')
  const query = { ...nodeMetaQuery(call), filter: call.flags.text('filter') }
  if (!node) return client.read('/v1/catalog/services', query)
  interface NodeServices {
    readonly Services: Readonly<Record<string, { Service: string; Tags: string[] | null }>>
  }
  const path = `/v1/catalog/node/${encodeURIComponent(node)}`
  const answer = await client.read<NodeServices | null>(path, query)
  const services: Record<string, string[]> = {}
  for (const { Service, Tags } of Object.values(answer?.Services ?? {})) {
    services[Service] = [...(services[Service] ?? []), ...(Tags ?? [])]
  }
  return services
}

function nodeRows(nodes: readonly Node[], isDetailed: boolean): string[][] {
  if (isDetailed) {
    const rows = nodes.map(node => [
      ...[node.Node, node.ID, node.Address, node.Datacenter],
      pairs(node.TaggedAddresses ?? {}, ', '),
      pairs(node.Meta ?? node.NodeMeta ?? {}, ', '),
    ])
    return [['Node', 'ID', 'Address', 'DC', 'TaggedAddresses', 'Meta'], ...rows]
  }
  const rows = nodes.map(node => [
    ...[node.Node, node.ID.split('-')[0] ?? '', node.Address, node.Datacenter],
  ])
  return [['Node', 'ID', 'Address', 'DC'], ...rows]
}
