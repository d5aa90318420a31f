/**
 * The verb `members`: who is in the cluster.
 *
 * Owns the table, which is that of Consul's command line, and exit code 2 when nobody matches.
 */
import { messageOf } from '../base/errors.ts'
import { clientFlags, clientOf, formatFlag, wantsJson } from './client.ts'
import { type Command, fail } from './command.ts'
import { exactJson } from './json.ts'
import { columns, pairs } from './table.ts'

interface Member {
  readonly Name: string
  readonly Addr: string
  readonly Port: number
  readonly Tags: Readonly<Record<string, string>>
  /** Index into `statusNames`. */
  readonly Status: number
}

const statusNames = ['none', 'alive', 'leaving', 'left', 'failed'] as const

export const members: Command = {
  usage: '[options]',
  flags: [
    { name: 'detailed', kind: 'switch', doc: 'print all tags' },
    { name: 'wan', kind: 'switch', doc: 'list the servers of all datacenters' },
    { name: 'status', kind: 'text', doc: 'only members whose status matches this pattern' },
    { name: 'segment', kind: 'text', doc: 'only members of this segment' },
    { name: 'filter', kind: 'text', doc: 'filter expression' },
    formatFlag,
    ...clientFlags,
  ],
  examples: ['', '-detailed', '-status=alive -format=json'],
  async run(call) {
    const { flags, io } = call
    const pattern = flags.text('status') ?? ''
    if (!isPattern(pattern)) return fail(io, 'Failed to compile status regexp')
    let found: Member[]
    try {
      found = await (await clientOf(call)).read('/v1/agent/members', {
        wan: flags.isOn('wan') ? '1' : undefined,
        segment: flags.text('segment'),
        filter: flags.text('filter'),
      })
    } catch (error) {
      return fail(io, `Error retrieving members: ${messageOf(error)}`)
    }
    const listed = found
      .filter(member => new RegExp(pattern).test(statusOf(member)))
      .sort((a, b) => compare(orderOf(a), orderOf(b)))
    if (listed.length === 0) return 2
    if (wantsJson(call)) io.print(exactJson(listed))
    else io.print(columns(flags.isOn('detailed') ? detailedRows(listed) : rowsOf(listed)))
    return 0
  },
}

function isPattern(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp
  } catch {
    return false
  }
}

const isServer = ({ Tags }: Member): boolean => Tags.role === 'consul'
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Servers first, then by segment and name. */
const orderOf = (member: Member): string =>
  [isServer(member) ? '0' : '1', member.Tags.segment ?? '', member.Name].join('\0')

const statusOf = ({ Status }: Member): string => statusNames[Status] ?? 'none'
const addressOf = ({ Addr, Port }: Member): string =>
  Addr.includes(':') ? `[${Addr}]:${Port}` : `${Addr}:${Port}`

function rowsOf(list: readonly Member[]): string[][] {
  const head = 'Node Address Status Type Build Protocol DC Partition Segment'.split(' ')
  return [head, ...list.map(rowOf)]
}

function rowOf(member: Member): string[] {
  const { role, build = '', vsn = '', dc = '', ap, segment } = member.Tags
  const head = [member.Name, addressOf(member), statusOf(member)]
  if (role !== 'consul' && role !== 'node') return [...head, 'unknown', '', '', '', '', '']
  const shownSegment = isServer(member) ? '<all>' : segment || '<default>'
  const shownBuild = build.split(':')[0] || '< 0.3'
  const type = isServer(member) ? 'server' : 'client'
  return [...head, type, shownBuild, vsn, dc, ap || 'default', shownSegment]
}

function detailedRows(list: readonly Member[]): string[][] {
  const rows = list.map(member => [
    member.Name,
    addressOf(member),
    statusOf(member),
    pairs(member.Tags, ','),
  ])
  return [['Node', 'Address', 'Status', 'Tags'], ...rows]
}
