/**
 * The verb `sync status`: how sinks stand, those of an agent, those that are stored, or those of a
 * running `sync run`.
 *
 * Owns what is printed. Exits with 1 where any sink is not as it should be.
 */
import { messageOf } from '../../base/errors.ts'
import { readFileIfExists } from '../../base/io/file.ts'
import { isWellIn } from '../../feed/sink/task-status.ts'
import { asking, type Client, ClientError, clientFlags, formatFlag, wantsJson } from '../client.ts'
import { type Call, fail } from '../command.ts'
import { exactJson, parseExact } from '../json.ts'
import { columns } from '../table.ts'

/** A sink, as far as it is printed. */
interface Sink {
  readonly Name: string
  readonly Kind: string
  readonly Server?: string
  readonly Status: {
    readonly Phase: string
    readonly Detail: string
    readonly Revision: number
    readonly AppliedRevision: number
    readonly AppliedAt: string
    readonly NextTryAt: string
    readonly Summary: string
    readonly Problems: readonly string[]
    readonly LastError: { readonly At: string; readonly Text: string }
    readonly Counts: Readonly<Record<string, number>>
    readonly Events: readonly {
      readonly At: string
      readonly What: string
      readonly Text: string
    }[]
  }
}

type Listed = Sink & { readonly Where: string }

export const syncStatus = asking('Error reading the sinks', {
  usage: '[options] [NAME]',
  flags: [
    { name: 'status-file', kind: 'text', doc: 'the file that a `sync run` writes, instead' },
    formatFlag,
    ...clientFlags,
  ],
  examples: ['', 'web', '-status-file=/run/gatehouse-sync.json'],
  async run(call, client) {
    const { args, io, flags } = call
    if (args.length > 1) return fail(io, 'Too many arguments (expected 0 or 1)')
    const file = flags.text('status-file')
    const all = file ? await ofFile(file) : await ofAgent(client)
    const [name] = args
    const sinks = name === undefined ? all : all.filter(({ Name }) => Name === name)
    if (name !== undefined && sinks.length === 0) return fail(io, `there is no sink ${name}`)
    print(call, sinks, name !== undefined)
    return sinks.every(isRight) ? 0 : 1
  },
})

const isRight = ({ Status }: Sink): boolean => isWellIn(Status.Phase)

async function ofFile(path: string): Promise<readonly Listed[]> {
  const bytes = await readFileIfExists(path)
  if (bytes === undefined) throw new ClientError(`there is no file ${path}`)
  try {
    const sinks = parseExact(bytes.toString('utf8')) as readonly Sink[]
    return sinks.map(sink => ({ Where: 'sync run', ...sink }))
  } catch (error) {
    throw new ClientError(`${path} tells of no sinks: ${messageOf(error)}`)
  }
}

async function ofAgent(client: Client): Promise<readonly Listed[]> {
  const own = await client.read<readonly Sink[]>('/v1/agent/sinks')
  const stored = await client.read<readonly Sink[]>('/v1/sinks')
  return [
    ...own.map(sink => ({ Where: 'agent', ...sink })),
    ...stored.map(sink => ({ Where: `stored, run by ${sink.Server || 'nobody yet'}`, ...sink })),
  ]
}

function print(call: Call, sinks: readonly Listed[], isOne: boolean): void {
  const { io } = call
  if (wantsJson(call)) io.print(exactJson(sinks, 2))
  else if (isOne) io.print(sinks.map(details).join('\n\n'))
  else {
    const rows = sinks.map(({ Name, Kind, Where, Status }) => {
      const what = Status.Detail || Status.Summary
      return [Name, Kind, Status.Phase, String(Status.AppliedRevision), Where, what]
    })
    io.print(columns([['Name', 'Kind', 'Phase', 'Revision', 'Where', 'Detail'], ...rows]))
  }
}

function details({ Name, Kind, Where, Status }: Listed): string {
  const { Phase, Detail, Summary, Problems, LastError, Counts, Events } = Status
  const rows = [
    ['Name', Name],
    ['Kind', Kind],
    ['Where', Where],
    ['Phase', Phase],
    ['Detail', Detail],
    ['Revision', `${Status.Revision}, applied ${Status.AppliedRevision} ${Status.AppliedAt}`],
    ['Next look', Status.NextTryAt],
    ['Applied', Summary],
    ...Problems.map(problem => ['Note', problem]),
    ['Last error', LastError.Text === '' ? '' : `${LastError.At} ${LastError.Text}`],
    [
      'Counts',
      Object.entries(Counts)
        .map(pair => pair.join(' '))
        .join(', ')
        .toLowerCase(),
    ],
    ...Events.map(({ At, What, Text }) => ['Event', `${At} ${What} ${Text}`.trim()]),
  ]
  return columns(rows.filter(([, value]) => value !== ''))
}
