/**
 * The verbs below `operator`: raft, autopilot and usage.
 *
 * Owns their flags, tables and texts, which are those of Consul's command line.
 */

import { formatDuration } from '../base/duration.ts'
import { messageOf } from '../base/errors.ts'
import { asking, formatFlag, queryFlags, wantsJson } from './client.ts'
import { countMistake, type Flag, type Flags, fail } from './command.ts'
import { exactJson } from './json.ts'
import { columns } from './table.ts'

interface Peer {
  readonly ID: string
  readonly Node: string
  readonly Address: string
  readonly Leader: boolean
  readonly ProtocolVersion: string
  readonly Voter: boolean
}

interface Health {
  readonly Servers: readonly { readonly ID: string; readonly LastIndex: number }[]
}

export const raftListPeers = asking('Error getting peers', {
  usage: '[options]',
  flags: [formatFlag, ...queryFlags],
  examples: ['', '-stale'],
  async run(call, client) {
    const path = '/v1/operator/raft/configuration'
    const { Servers } = await client.read<{ Servers: Peer[] }>(path)
    if (wantsJson(call)) {
      call.io.print(exactJson(Servers))
      return 0
    }
    // An unhealthy cluster answers 429, with all that is asked for.
    const health = await client.ask('GET', '/v1/operator/autopilot/health')
    const isRead = health.status === 200 || health.status === 429
    const known: Health = isRead ? JSON.parse(health.body.toString('utf8')) : { Servers: [] }
    call.io.print(columns(peerRows(Servers, known)))
    return 0
  },
})

function peerRows(peers: readonly Peer[], health: Health): string[][] {
  const head = ['Node', 'ID', 'Address', 'State', 'Voter', 'RaftProtocol']
  const indexOf = (peer: Peer | undefined) =>
    health.Servers.find(({ ID }) => ID === peer?.ID)?.LastIndex
  const leaderIndex = indexOf(peers.find(({ Leader }) => Leader)) ?? 0
  const rows = peers.map(peer => {
    const { Node, ID, Address, Leader, Voter, ProtocolVersion } = peer
    const state = Leader ? 'leader' : 'follower'
    const row = [Node, ID, Address, state, String(Voter), ProtocolVersion || '<=1']
    const index = indexOf(peer)
    if (index === undefined) return [...row, '_', '']
    const trails = leaderIndex - index
    return [...row, String(index), Leader ? '_' : `${trails} Commit${trails <= 1 ? '' : 's'}`]
  })
  return [[...head, 'Commit Index', 'Trails Leader By'], ...rows]
}

export const raftRemovePeer = asking('Error removing peer', {
  usage: '[options]',
  flags: [
    { name: 'address', kind: 'text', doc: 'its address: ip:port' },
    { name: 'id', kind: 'text', doc: 'its id' },
    ...queryFlags,
  ],
  examples: ['-address=10.0.0.7:8300', '-id=f2f5a8e0-5f1c-4d4c-9b3d-2b8d2d3c5d11'],
  async run({ flags, args, io }, client) {
    const mistake = countMistake(args, 0)
    if (mistake !== undefined) return fail(io, mistake)
    const [address, id] = [flags.text('address'), flags.text('id')]
    if (!address && !id) {
      return fail(io, 'Error removing peer: an address or id is required for the peer to remove')
    }
    if (address && id) {
      return fail(io, 'Error removing peer: cannot use both id and address to remove a peer')
    }
    await client.send('DELETE', '/v1/operator/raft/peer', { address, id })
    io.print(address ? `Removed peer with address "${address}"` : `Removed peer with id "${id}"`)
    return 0
  },
})

export const raftTransferLeader = asking('Error transferring leadership', {
  usage: '[options]',
  flags: [
    { name: 'id', kind: 'text', doc: 'id of the server to lead; any unless given' },
    ...queryFlags,
  ],
  examples: ['', '-id=f2f5a8e0-5f1c-4d4c-9b3d-2b8d2d3c5d11'],
  async run({ flags, io }, client) {
    const id = flags.text('id') || undefined
    await client.send('POST', '/v1/operator/raft/transfer-leader', { id })
    io.print('Success')
    return 0
  },
})

type Settings = Readonly<Record<string, unknown>>

const AUTOPILOT = '/v1/operator/autopilot/configuration'

/** In the order of Consul's output; the flag that sets each. */
const settings: readonly { key: string; flag: Flag }[] = [
  setting('CleanupDeadServers', 'cleanup-dead-servers', 'switch', 'remove dead servers'),
  setting('LastContactThreshold', 'last-contact-threshold', 'duration', 'silent for longer is ill'),
  setting('MaxTrailingLogs', 'max-trailing-logs', 'number', 'behind by more entries is ill'),
  setting('MinQuorum', 'min-quorum', 'number', 'never remove below so many servers'),
  setting('ServerStabilizationTime', 'server-stabilization-time', 'duration', 'well for so long'),
  setting('RedundancyZoneTag', 'redundancy-zone-tag', 'text', 'enterprise edition'),
  setting('DisableUpgradeMigration', 'disable-upgrade-migration', 'switch', 'enterprise edition'),
  setting('UpgradeVersionTag', 'upgrade-version-tag', 'text', 'enterprise edition'),
]

function setting(
  key: string,
  name: string,
  kind: Flag['kind'],
  doc: string,
): { key: string; flag: Flag } {
  return { key, flag: { name, kind, doc } }
}

export const autopilotGetConfig = asking('Error querying Autopilot configuration', {
  usage: '[options]',
  flags: [formatFlag, ...queryFlags],
  examples: [''],
  async run(call, client) {
    const found = await client.read<Settings>(AUTOPILOT)
    if (wantsJson(call)) {
      call.io.print(exactJson(found))
      return 0
    }
    for (const { key, flag } of settings) {
      const value = found[key] ?? ''
      call.io.print(`${key} = ${flag.kind === 'text' ? JSON.stringify(value) : value}`)
    }
    return 0
  },
})

export const autopilotSetConfig = asking('Error setting Autopilot configuration', {
  usage: '[options]',
  flags: [...settings.map(({ flag }) => flag), ...queryFlags],
  examples: ['-cleanup-dead-servers=false', '-max-trailing-logs=500 -last-contact-threshold=1s'],
  async run({ flags, io }, client) {
    let found: Settings
    try {
      found = await client.read<Settings>(AUTOPILOT)
    } catch (error) {
      return fail(io, `Error querying Autopilot configuration: ${messageOf(error)}`)
    }
    const body = Buffer.from(exactJson({ ...found, ...givenSettings(flags) }))
    const cas = String(found.ModifyIndex ?? 0)
    const answer = await client.send('PUT', AUTOPILOT, { cas }, body)
    if (!answer.includes('true')) {
      return fail(io, 'Configuration could not be atomically updated, please try again')
    }
    io.print('Configuration updated!')
    return 0
  },
})

function givenSettings(flags: Flags): Settings {
  const given = settings.flatMap(({ key, flag: { name, kind } }): [string, unknown][] => {
    const last = flags.given.findLast(flag => flag.name === name)
    if (last === undefined) return []
    return [[key, kind === 'number' ? Number(last.value) : last.value]]
  })
  return Object.fromEntries(given)
}

interface AutopilotServer extends Settings {
  readonly ID: string
  readonly Meta?: Readonly<Record<string, string>> | null
}

interface AutopilotState {
  readonly Healthy: boolean
  readonly FailureTolerance: number
  readonly OptimisticFailureTolerance?: number
  readonly Leader: string
  readonly Voters: readonly string[] | null
  readonly Servers: Readonly<Record<string, AutopilotServer>>
}

export const autopilotState = asking('Error retrieving Autopilot state', {
  usage: '[options]',
  flags: [formatFlag, ...queryFlags],
  examples: ['', '-format=json'],
  async run(call, client) {
    const state = await client.read<AutopilotState>('/v1/operator/autopilot/state')
    call.io.print(wantsJson(call) ? exactJson(state, 4) : stateText(state))
    return 0
  },
})

function stateText(state: AutopilotState): string {
  const servers = Object.keys(state.Servers).sort()
  const lines = [
    `Healthy:                      ${state.Healthy}`,
    `Failure Tolerance:            ${state.FailureTolerance}`,
    `Optimistic Failure Tolerance: ${state.OptimisticFailureTolerance ?? 0}`,
    `Leader:                       ${state.Leader}`,
    'Voters:',
    ...(state.Voters ?? []).map(id => `   ${id}`),
    'Servers:',
    ...servers.flatMap(id => serverLines(state.Servers[id])),
  ]
  return `${lines.join('\n')}\n`
}

function serverLines(server: AutopilotServer | undefined): string[] {
  if (server === undefined) return []
  const NS_MS = 1e6
  const contact = server.LastContact
  const rows: [string, unknown][] = [
    ['Name:', server.Name],
    ['Address:', server.Address],
    ['Version:', server.Version],
    ['Status:', server.Status],
    ['Node Type:', server.NodeType],
    ['Node Status:', server.NodeStatus],
    ['Healthy:', server.Healthy],
    ['Last Contact:', typeof contact === 'number' ? formatDuration(contact / NS_MS) : contact],
    ['Last Term:', server.LastTerm],
    ['Last Index:', server.LastIndex],
  ]
  const meta = Object.entries(server.Meta ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const WIDTH = 16
  return [
    `   ${server.ID}`,
    ...rows.map(([name, value]) => `      ${name.padEnd(WIDTH)} ${value}`),
    ...(meta.length === 0 ? [] : ['      Meta']),
    ...meta.map(([key, value]) => `         ${JSON.stringify(key)}: ${JSON.stringify(value)}`),
  ]
}

interface Usage {
  readonly Services: number
  readonly ServiceInstances: number
  readonly ConnectServiceInstances: Readonly<Record<string, number>>
  readonly BillableServiceInstances: number
  readonly Nodes?: number
}

type Usages = readonly (readonly [string, Usage])[]

export const usageInstances = asking('Error fetching usage information', {
  usage: '[options]',
  flags: [
    { name: 'billable', kind: 'switch', doc: 'only the services' },
    { name: 'connect', kind: 'switch', doc: "only the mesh's instances" },
    { name: 'all-datacenters', kind: 'switch', doc: 'of all datacenters' },
    formatFlag,
    ...queryFlags,
  ],
  examples: ['', '-billable', '-all-datacenters'],
  async run(call, client) {
    const { flags, args, io } = call
    const mistake = countMistake(args, 0)
    if (mistake !== undefined) return fail(io, mistake)
    if (flags.isOn('billable') && flags.isOn('connect')) {
      return fail(io, 'Cannot specify both -billable and -connect flags')
    }
    const isAll = flags.isOn('all-datacenters')
    const query = { global: isAll ? '' : undefined }
    const answer = await client.read<{ Usage: Record<string, Usage> }>('/v1/operator/usage', query)
    if (wantsJson(call)) {
      io.print(exactJson(answer.Usage))
      return 0
    }
    const usages = Object.entries(answer.Usage).sort(([a], [b]) => (a < b ? -1 : 1))
    if (!flags.isOn('connect')) io.print(`${billableText(usages, isAll)}\n`)
    if (!flags.isOn('billable')) io.print(`Connect Services\n${connectTable(usages, isAll)}`)
    return 0
  },
})

const sumOf = (usages: Usages, value: (usage: Usage) => number): number =>
  usages.reduce((sum, [, usage]) => sum + value(usage), 0)

function billableText(usages: Usages, isAll: boolean): string {
  const billable = (usage: Usage) => usage.BillableServiceInstances
  const rows = usages.map(([dc, usage]) => [dc, String(usage.Services), String(billable(usage))])
  const sums = [sumOf(usages, ({ Services }) => Services), sumOf(usages, billable)].map(String)
  const nodes = usages.map(([dc, { Nodes = 0 }]) => [dc, String(Nodes)])
  const allNodes = String(sumOf(usages, ({ Nodes = 0 }) => Nodes))
  return [
    `Billable Service Instances Total: ${sums[1]}`,
    ...usages.map(([dc, usage]) => `${dc} Billable Service Instances: ${billable(usage)}`),
    '',
    'Billable Services',
    table(['Datacenter', 'Services', 'Service instances'], rows, ['Total', ...sums], isAll),
    '',
    'Nodes',
    table(['Datacenter', 'Count'], nodes, ['Total', allNodes], true),
  ].join('\n')
}

function connectTable(usages: Usages, isAll: boolean): string {
  const rows = usages.flatMap(([dc, { ConnectServiceInstances }]) =>
    Object.keys(ConnectServiceInstances)
      .sort()
      .map(kind => [dc, kind, String(ConnectServiceInstances[kind])]),
  )
  const instances = rows.reduce((sum, [, , count]) => sum + Number(count), 0)
  const total = ['Total', '', String(instances)]
  return table(['Datacenter', 'Type', 'Service instances'], rows, total, isAll)
}

/** With the datacenter as its first column, and sums, where several may be shown. */
function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  total: readonly string[],
  isAll: boolean,
): string {
  const GAP = 6
  const all = isAll ? [head, ...rows, head.map(() => ''), total] : [head, ...rows]
  const shown = isAll ? all : all.map(row => row.slice(1))
  return columns(shown, GAP)
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n')
}
