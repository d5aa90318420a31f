/**
 * The verb `rtt`: the round trip between two nodes, estimated from their coordinates.
 *
 * Owns the arithmetic of that estimate, which is that of Vivaldi with height and adjustment.
 */
import { SECOND_MS } from '../base/duration.ts'
import { asking, type Client, clientFlags, formatFlag, wantsJson } from './client.ts'
import { fail } from './command.ts'
import { exactJson } from './json.ts'

interface Coordinate {
  readonly Vec: readonly number[]
  readonly Height: number
  readonly Adjustment: number
}

interface Entry {
  readonly Node: string
  readonly Segment?: string
  readonly Coord: Coordinate
}

interface Area {
  readonly Datacenter: string
  readonly AreaID: string
  readonly Coordinates: readonly Entry[]
}

/** Everywhere that a node has a coordinate: coordinates of one place can be compared. */
type Places = ReadonlyMap<string, Coordinate>

export const rtt = asking('Error getting coordinates', {
  usage: '[options] NODE [NODE]   (the agent itself unless two are named)',
  flags: [
    { name: 'wan', kind: 'switch', doc: 'between servers: NODE.DATACENTER' },
    formatFlag,
    ...clientFlags,
  ],
  examples: ['n1', 'n1 n2', '-wan n1.dc1 n2.dc2'],
  async run(call, client) {
    const { flags, args, io } = call
    const isWan = flags.isOn('wan')
    if (args.length === 0 || args.length > 2) {
      return fail(io, 'One or two node names must be specified')
    }
    if (isWan && args.some(name => !name.includes('.'))) {
      return fail(io, 'Node names must be specified as <node name>.<datacenter> with -wan')
    }
    const [first = '', second = await ownName(client, isWan)] = args
    const placesOf = isWan ? await wanPlaces(client) : await lanPlaces(client)
    const [from, to] = [placesOf(first), placesOf(second)]
    for (const [name, places] of [[first, from] as const, [second, to] as const]) {
      if (places.size === 0) return fail(io, `Could not find a coordinate for node "${name}"`)
    }
    const place = [...from.keys()].find(each => to.has(each))
    const [a, b] = [from.get(place ?? ''), to.get(place ?? '')]
    if (a === undefined || b === undefined) {
      return fail(io, 'The two nodes have no coordinates in the same place')
    }
    const roundTripMs = distanceMs(a, b)
    const source = isWan ? 'WAN' : 'LAN'
    const shown = roundTripMs.toFixed(3)
    const text = `Estimated ${first} <-> ${second} rtt: ${shown} ms (using ${source} coordinates)`
    io.print(
      wantsJson(call)
        ? exactJson({ From: first, To: second, RTTMs: roundTripMs, Source: source })
        : text,
    )
    return 0
  },
})

async function ownName(client: Client, isWan: boolean): Promise<string> {
  interface Self {
    readonly Config: { readonly NodeName: string; readonly Datacenter: string }
  }
  const { Config } = await client.read<Self>('/v1/agent/self')
  return isWan ? `${Config.NodeName}.${Config.Datacenter}` : Config.NodeName
}

async function lanPlaces(client: Client): Promise<(node: string) => Places> {
  const entries = await client.read<Entry[]>('/v1/coordinate/nodes')
  return node =>
    new Map(
      entries
        .filter(entry => entry.Node === node)
        .map(({ Segment = '', Coord }) => [Segment, Coord] as const),
    )
}

async function wanPlaces(client: Client): Promise<(node: string) => Places> {
  const areas = await client.read<Area[]>('/v1/coordinate/datacenters')
  return name => {
    const at = name.lastIndexOf('.')
    const [node, datacenter] = [name.slice(0, at), name.slice(at + 1)]
    const found = areas
      .filter(({ Datacenter }) => Datacenter === datacenter)
      .flatMap(({ AreaID, Coordinates }) =>
        Coordinates.filter(({ Node }) => Node === node || Node === name).map(
          ({ Coord }) => [AreaID, Coord] as const,
        ),
      )
    return new Map(found)
  }
}

/** Heights add up; adjustments count unless they would make the whole negative. */
function distanceMs(a: Coordinate, b: Coordinate): number {
  const squares = a.Vec.map((each, i) => (each - (b.Vec[i] ?? 0)) ** 2)
  const raw = Math.sqrt(squares.reduce((sum, each) => sum + each, 0)) + a.Height + b.Height
  const adjusted = raw + a.Adjustment + b.Adjustment
  return (adjusted > 0 ? adjusted : raw) * SECOND_MS
}
