/**
 * The verbs `intention create`, `get`, `check`, `match`, `list` and `delete`.
 *
 * Owns their flags, texts and the exit code of a denial (2), which are those of Consul's command
 * line. Intentions are named by source and destination; an id is taken where there is one.
 */
import { readFile } from 'node:fs/promises'
import { messageOf } from '../base/errors.ts'
import {
  asking,
  type Client,
  ClientError,
  formatFlag,
  queryFlags,
  unexpected,
  wantsJson,
} from './client.ts'
import { type Call, type Flags, fail } from './command.ts'
import { exactJson, parseExact } from './json.ts'
import { columns } from './table.ts'

interface Intention {
  readonly ID?: string
  readonly SourceName: string
  readonly DestinationName: string
  readonly Action?: string
  readonly Permissions?: readonly unknown[] | null
  readonly Description?: string
  readonly Meta?: Readonly<Record<string, string>> | null
  readonly Precedence?: number
  readonly CreatedAt?: string
}

const EXACT = '/v1/connect/intentions/exact'

export const intentionCreate = asking('Error', {
  usage: '[options] SRC DST   (or -file FILE...)',
  flags: [
    { name: 'allow', kind: 'switch', doc: 'allow what matches (default)' },
    { name: 'deny', kind: 'switch', doc: 'deny what matches' },
    { name: 'file', kind: 'switch', doc: 'the arguments are files, an intention in JSON each' },
    { name: 'meta', kind: 'list', doc: 'metadata: key=value; may be repeated' },
    { name: 'replace', kind: 'switch', doc: 'replace one that is there' },
    ...queryFlags,
  ],
  examples: ['web db', '-deny "*" db', '-file one.json two.json'],
  async run(call, client) {
    const { flags, io } = call
    if (flags.isOn('allow') && flags.isOn('deny')) {
      return fail(io, 'Only one of -allow or -deny may be specified.')
    }
    for (const intention of await wanted(call)) {
      const text = describe(intention)
      try {
        const isThere = (await find(client, intention)) !== undefined
        if (isThere && !flags.isOn('replace')) throw new ClientError('it is there already')
        await write(client, intention, isThere)
        if (!isThere) io.print(`Created: ${text}`)
      } catch (error) {
        return fail(io, `Error creating intention "${text}": ${messageOf(error)}`)
      }
    }
    return 0
  },
})

export const intentionGet = asking('Error', {
  usage: '[options] SRC DST   (or ID)',
  flags: [formatFlag, ...queryFlags],
  examples: ['web db'],
  async run(call, client) {
    const intention = await read(client, call.args)
    call.io.print(wantsJson(call) ? exactJson(intention) : columns(detailRows(intention)))
    return 0
  },
})

export const intentionCheck = asking('Error checking the connection', {
  usage: '[options] SRC DST',
  flags: [formatFlag, ...queryFlags],
  examples: ['web db'],
  async run(call, client) {
    const { args, io } = call
    const [source = '', destination = ''] = args
    if (args.length !== 2) {
      return fail(io, 'Error: command requires exactly two arguments: src and dst')
    }
    const query = { source, destination, 'source-type': 'consul' }
    const path = '/v1/connect/intentions/check'
    const answer = await client.read<{ Allowed: boolean }>(path, query)
    if (wantsJson(call)) io.print(exactJson(answer))
    else io.print(answer.Allowed ? 'Allowed' : 'Denied')
    const DENIED_CODE = 2
    return answer.Allowed ? 0 : DENIED_CODE
  },
})

export const intentionMatch = asking('Error matching the connection', {
  usage: '[options] SERVICE',
  flags: [
    { name: 'source', kind: 'switch', doc: 'those with this source' },
    { name: 'destination', kind: 'switch', doc: 'those with this destination (default)' },
    formatFlag,
    ...queryFlags,
  ],
  examples: ['db', '-source web'],
  async run(call, client) {
    const { flags, args, io } = call
    const [name = ''] = args
    if (args.length !== 1) return fail(io, 'Error: command requires exactly one argument')
    if (flags.isOn('source') && flags.isOn('destination')) {
      return fail(io, 'Error: only one of -source and -destination')
    }
    const by = flags.isOn('source') ? 'source' : 'destination'
    const path = '/v1/connect/intentions/match'
    const found = await client.read<Record<string, Intention[]>>(path, { by, name })
    const list = found[name] ?? []
    if (wantsJson(call)) io.print(exactJson(list))
    else for (const intention of list) io.print(describe(intention))
    return 0
  },
})

export const intentionList = asking('Failed to retrieve the intentions list', {
  usage: '[options]',
  flags: [{ name: 'filter', kind: 'text', doc: 'filter expression' }, formatFlag, ...queryFlags],
  examples: ['', '-format=json'],
  async run(call, client) {
    const { io } = call
    const query = { filter: call.flags.text('filter') }
    const list = (await client.read<Intention[] | null>('/v1/connect/intentions', query)) ?? []
    if (wantsJson(call)) io.print(exactJson(list))
    else if (list.length === 0) io.printError('There are no intentions.')
    else
      io.print(
        columns([['ID', 'Source', 'Action', 'Destination', 'Precedence'], ...list.map(rowOf)]),
      )
    return 0
  },
})

export const intentionDelete = asking('Error', {
  usage: '[options] SRC DST   (or ID)',
  flags: queryFlags,
  examples: ['web db'],
  async run({ args, io }, client) {
    const { SourceName, DestinationName } = await read(client, args)
    await client.send('DELETE', EXACT, { source: SourceName, destination: DestinationName })
    io.print('Intention deleted.')
    return 0
  },
})

/** Metadata can be given to a new one alone, by the older endpoint. */
async function write(client: Client, intention: Intention, isThere: boolean): Promise<void> {
  if (intention.Meta !== undefined && !isThere) {
    const body = Buffer.from(exactJson({ SourceType: 'consul', ...intention }))
    await client.send('POST', '/v1/connect/intentions', {}, body)
    return
  }
  const { SourceName, DestinationName, ...body } = intention
  const query = { source: SourceName, destination: DestinationName }
  await client.send('PUT', EXACT, query, Buffer.from(exactJson(body)))
}

async function wanted({ flags, args, io }: Call): Promise<Intention[]> {
  if (flags.isOn('file')) {
    if (args.length === 0) throw new ClientError('-file needs files')
    return Promise.all(
      args.map(async path => {
        const bytes = path === '-' ? await io.readStdin() : await readFile(path)
        return parseExact<Intention>(bytes.toString('utf8'))
      }),
    )
  }
  const [SourceName = '', DestinationName = ''] = args
  if (args.length !== 2) {
    throw new ClientError('Must specify two arguments: source and destination')
  }
  const Action = flags.isOn('deny') ? 'deny' : 'allow'
  return [{ SourceName, DestinationName, Action, ...metaOf(flags) }]
}

function metaOf(flags: Flags): { Meta?: Record<string, string> } {
  const pairs = flags.list('meta').map((text): [string, string] => {
    const at = text.indexOf('=')
    if (at <= 0) throw new ClientError('-meta must be key=value')
    return [text.slice(0, at), text.slice(at + 1)]
  })
  return pairs.length === 0 ? {} : { Meta: Object.fromEntries(pairs) }
}

async function find(client: Client, named: Intention): Promise<Intention | undefined> {
  const query = { source: named.SourceName, destination: named.DestinationName }
  const answer = await client.ask('GET', EXACT, query)
  if (answer.status === 404) return undefined
  if (answer.status !== 200) throw unexpected(answer)
  return parseExact(answer.body.toString('utf8'))
}

/** The intention that the arguments name: source and destination, or an id. */
async function read(client: Client, args: readonly string[]): Promise<Intention> {
  const [SourceName = '', DestinationName = ''] = args
  if (args.length === 1) {
    return client.read(`/v1/connect/intentions/${encodeURIComponent(SourceName)}`)
  }
  if (args.length !== 2) throw new ClientError('command requires exactly 1 or 2 arguments')
  const found = await find(client, { SourceName, DestinationName })
  if (found === undefined) {
    throw new ClientError(
      `Intention with source "${SourceName}" and destination "${DestinationName}" not found.`,
    )
  }
  return found
}

function actionOf({ Action, Permissions }: Intention): string {
  const count = Permissions?.length ?? 0
  return count === 0 ? (Action ?? '') : `${count} permission${count === 1 ? '' : 's'}`
}

const describe = (intention: Intention): string =>
  `${intention.SourceName} => ${intention.DestinationName} (${actionOf(intention)})`

const rowOf = (intention: Intention): string[] => [
  intention.ID ?? '',
  intention.SourceName,
  intention.Action || 'L7 rules',
  intention.DestinationName,
  String(intention.Precedence ?? ''),
]

function detailRows(intention: Intention): string[][] {
  const { SourceName, DestinationName, ID = '', Description, Meta, CreatedAt } = intention
  const meta = Object.entries(Meta ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    ['Source:', SourceName],
    ['Destination:', DestinationName],
    ['Action:', actionOf(intention)],
    ...(ID === '' ? [] : [['ID:', ID]]),
    ...(Description ? [['Description:', Description]] : []),
    ...meta.map(([key, value]) => [`Meta[${key}]:`, value]),
    ...(CreatedAt ? [['Created At:', CreatedAt]] : []),
  ]
}
