/**
 * The verbs `operator raft …`: what Vault's command line calls its cluster and its backups.
 *
 * Owns their flags, texts and exit codes. There is no Raft here; the server maps what it is asked
 * to its own members and archives. An archive gets its name only once it is whole.
 */
import { createWriteStream } from 'node:fs'
import { readFile, rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { snapshotInspect } from '../snapshot.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { fieldFlag, formatFlag, httpFlags } from './flags.ts'
import { complain, formatOf, isTable, printData, printSecret } from './output.ts'
import { type Data, isData, valueIn } from './secret.ts'
import { headedTable } from './table.ts'
import { goText } from './values.ts'

const textIn = (data: Data, key: string): string => goText(valueIn(data, key) ?? '')

export const raftListPeers = secretsVerb({
  usage: '[options]',
  flags: [formatFlag, ...httpFlags],
  examples: [''],
  args: [0, 0],
  async run(call, client) {
    const work = client.read('sys/storage/raft/configuration')
    const secret = await saying('Error reading the raft cluster configuration', work)
    if (secret === undefined) return complain(call, 'No raft cluster configuration found')
    if (!isTable(call)) return printSecret(call, secret)
    const config = valueIn(secret.data, 'config')
    const servers = isData(config) ? valueIn(config, 'servers') : undefined
    const rows = (Array.isArray(servers) ? servers : []).filter(isData).map(server => {
      const state = valueIn(server, 'leader') === true ? 'leader' : 'follower'
      return [textIn(server, 'node_id'), textIn(server, 'address'), state, textIn(server, 'voter')]
    })
    call.io.print(headedTable(['Node', 'Address', 'State', 'Voter'], rows))
    return 0
  },
})

export const raftRemovePeer = secretsVerb({
  usage: '[options] SERVER',
  flags: httpFlags,
  examples: ['n3'],
  args: [1, 1],
  async run(call, client) {
    const body = { server_id: (call.args[0] ?? '').trim() }
    const work = client.write('sys/storage/raft/remove-peer', body, 'POST')
    await saying('Error removing the peer from raft cluster', work)
    call.io.print('Peer removed successfully!')
    return 0
  },
})

export const raftAutopilotState = secretsVerb({
  usage: '[options]   (-format=pretty says it in lines)',
  flags: [formatFlag, ...httpFlags],
  examples: ['', '-format=pretty'],
  args: [0, 0],
  async run(call, client) {
    const ask = { method: 'GET', path: 'sys/storage/raft/autopilot/state' } as const
    const state = await saying('Error checking autopilot state', client.data(ask))
    const isPretty = formatOf(call) === 'pretty' || isTable(call)
    if (!isPretty) return printData(call, state)
    call.io.print(stateText(state))
    return 0
  },
})

function stateText(state: Data): string {
  const WIDTH = 33
  const row = (head: string, key: string): string => `${head}:`.padEnd(WIDTH) + textIn(state, key)
  const voters = valueIn(state, 'voters')
  const servers = valueIn(state, 'servers')
  const parts = isData(servers) ? Object.keys(servers).sort() : []
  return [
    row('Healthy', 'healthy'),
    row('Failure Tolerance', 'failure_tolerance'),
    row('Leader', 'leader'),
    'Voters:',
    ...(Array.isArray(voters) ? voters.map(each => `   ${goText(each)}`) : []),
    'Servers:',
    ...parts.flatMap(id => serverLines(id, valueIn(servers as Data, id))),
  ].join('\n')
}

function serverLines(id: string, server: unknown): string[] {
  if (!isData(server)) return []
  const WIDTH = 19
  const row = (head: string, key: string): string =>
    `      ${`${head}:`.padEnd(WIDTH)}${textIn(server, key)}`
  return [
    `   ${id}`,
    row('Name', 'name'),
    row('Address', 'address'),
    row('Status', 'status'),
    row('Node Status', 'node_status'),
    row('Healthy', 'healthy'),
    row('Last Contact', 'last_contact'),
    row('Last Index', 'last_index'),
    row('Version', 'version'),
  ]
}

export const raftSnapshotSave = secretsVerb({
  usage: '[options] FILE',
  flags: httpFlags,
  examples: ['backup.snap'],
  args: [1, 1],
  async run(call, client) {
    const file = (call.args[0] ?? '').trim()
    if (file === '') throw new Failure('Output file name is required', 1)
    const fault = 'Error taking the snapshot'
    const ask = { method: 'GET', path: 'sys/storage/raft/snapshot', isEndless: true } as const
    const answer = await saying(fault, client.open(ask))
    const beside = `${file}.unfinished`
    try {
      const bytes = Readable.from(answer.body)
      await pipeline(bytes, createWriteStream(beside, { mode: 0o600, flush: true }))
      await rename(beside, file)
    } catch (error) {
      await rm(beside, { force: true })
      throw new Failure(`${fault}: ${error instanceof Error ? error.message : 'failed'}`, 2)
    }
    return 0
  },
})

export const raftSnapshotRestore = secretsVerb({
  usage: '[options] FILE',
  flags: [
    { name: 'force', kind: 'switch', doc: 'take an archive of another seal too' },
    ...httpFlags,
  ],
  examples: ['backup.snap'],
  args: [1, 1],
  async run(call, client) {
    const file = (call.args[0] ?? '').trim()
    let body: Buffer
    try {
      body = await readFile(file)
    } catch (error) {
      const { code = 'unreadable' } = error as { code?: string }
      throw new Failure(`Error opening snapshot file: ${file}: ${code}`, 2)
    }
    const name = call.flags.isOn('force') ? 'snapshot-force' : 'snapshot'
    const ask = { method: 'POST', path: `sys/storage/raft/${name}`, body, isEndless: true } as const
    await saying('Error installing the snapshot', client.ask(ask))
    return 0
  },
})

export const raftSnapshotInspect = snapshotInspect

export const raftAutopilotGetConfig = secretsVerb({
  usage: '[options]',
  flags: [fieldFlag, formatFlag, ...httpFlags],
  examples: [''],
  args: [0, 0],
  async run(call, client) {
    const work = client.read('sys/storage/raft/autopilot/configuration')
    const secret = await saying('Error getting autopilot configuration', work)
    if (secret === undefined) return complain(call, 'No autopilot configuration found')
    return printSecret(call, secret)
  },
})
