/**
 * The verbs `audit search` and `audit verify`.
 *
 * Owns how records are shown: as the lines that devices get, or as a table for people. Files are
 * proven here, without any agent: what a file device wrote carries its own chain.
 */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { LineProof, type Proof } from '../audit/line.ts'
import { messageOf } from '../base/errors.ts'
import { asking, type Client, clientFlags, formatFlag, wantsJson } from './client.ts'
import { type Call, type Command, type Flag, fail } from './command.ts'
import { exactJson } from './json.ts'
import { columns } from './table.ts'

const searchFlags: readonly Flag[] = [
  { name: 'request', kind: 'text', doc: 'the id of the request (X-Request-Id)' },
  { name: 'accessor', kind: 'text', doc: 'the accessor of the token' },
  { name: 'path', kind: 'text', doc: 'the begin of the path' },
  { name: 'operation', kind: 'text', doc: 'the declared operation, or its method' },
  { name: 'outcome', kind: 'text', doc: 'written, unchanged, answered, refused or failed' },
  { name: 'from', kind: 'text', doc: 'not before this time, such as 2026-01-31T12:00:00Z' },
  { name: 'to', kind: 'text', doc: 'not after this time' },
]

interface Found {
  readonly Enabled: boolean
  readonly Records: readonly Readonly<Record<string, unknown>>[]
  readonly Before: number
}

const PAGE = 1_000
const LIMIT = 100

export const auditSearch = asking('Error searching the audit journal', {
  usage: '[options]',
  flags: [
    ...searchFlags,
    { name: 'limit', kind: 'number', doc: 'so many records at most (100)' },
    formatFlag,
    ...clientFlags,
  ],
  examples: ['-request=0f3c7a52-1111-4', '-path=/v1/kv/app/ -outcome=refused -limit=20'],
  async run(call, client) {
    const { args, flags, io } = call
    if (args.length > 0) return fail(io, `Too many arguments (expected 0, got ${args.length})`)
    const records = await search(call, client, flags.number('limit') ?? LIMIT)
    if (wantsJson(call)) io.print(exactJson(records))
    else io.print(records.length === 0 ? 'No records found' : columns([HEAD, ...records.map(row)]))
    return 0
  },
})

async function search(call: Call, client: Client, limit: number): Promise<Found['Records']> {
  const query = Object.fromEntries(searchFlags.map(({ name }) => [name, call.flags.text(name)]))
  const records: Found['Records'][number][] = []
  let before: string | undefined
  while (records.length < limit) {
    const page = { ...query, before, limit: String(Math.min(PAGE, limit - records.length)) }
    const found = await client.read<Found>('/v1/operator/audit', page)
    records.push(...found.Records)
    if (found.Before === 0) break
    before = String(found.Before)
  }
  return records
}

const HEAD = ['Seq', 'Time', 'Outcome', 'Status', 'Accessor', 'Operation', 'Path', 'Request']

function row(record: Found['Records'][number]): string[] {
  const shown = ['seq', 'time', 'outcome', 'status', 'accessor']
  const cells = shown.map(name => cellOf(record[name]))
  const operation = cellOf(record.operation).split(' ', 1)[0] ?? ''
  // What the server did by itself has no path.
  const path = record.path === undefined ? cellOf(record.event) : cellOf(record.path)
  return [...cells, operation, path, cellOf(record.request)]
}

/** A cell is one line, whatever a client sent. */
const cellOf = (value: unknown): string =>
  value === undefined ? '-' : String(value).replace(/\p{C}/gu, '\ufffd')

interface Verified {
  readonly Enabled: boolean
  readonly Whole: boolean
  readonly Fault: string
  readonly Count: number
  readonly First: number
  readonly Last: number
  readonly Anchor: string
  readonly Chain: string
  readonly Sinks: readonly {
    readonly Name: string
    readonly Type: string
    readonly Sequence: number
    readonly Lag: number
    readonly Fault: string
  }[]
}

const verifyOfAgent = asking('Error verifying the audit journal', {
  usage: '[options] [FILE…]',
  flags: [
    {
      name: 'anchor',
      kind: 'text',
      doc: 'the chain before the first record, as NUMBER:HEX; proves that record too',
    },
    formatFlag,
    ...clientFlags,
  ],
  examples: ['', '/var/log/gatehouse/audit.log', 'audit.log.1 audit.log'],
  run: verifyJournal,
})

/** Files are proven without any agent. */
export const auditVerify: Command = {
  ...verifyOfAgent,
  run: call => (call.args.length > 0 ? verifyFiles(call) : verifyOfAgent.run(call)),
}

async function verifyJournal(call: Call, client: Client): Promise<number> {
  const { io } = call
  const verified = await client.read<Verified>('/v1/operator/audit/verify')
  if (wantsJson(call)) io.print(exactJson(verified))
  else io.print(journalText(verified))
  return verified.Whole ? 0 : 1
}

function journalText({
  Enabled,
  Whole,
  Fault,
  Count,
  First,
  Last,
  Chain,
  Sinks,
}: Verified): string {
  const lines = [
    Whole ? 'The journal is whole.' : `The journal is not whole: ${Fault}.`,
    '',
    `Recording  ${Enabled ? 'on' : 'off'}`,
    `Records    ${Count}${Count === 0 ? '' : ` (${First} to ${Last})`}`,
    `Chain      ${Chain}`,
  ]
  const rows = Sinks.map(({ Name, Type, Sequence, Lag, Fault: why }) => [
    ...[Name, Type, String(Sequence), String(Lag), why || 'none'],
  ])
  if (rows.length > 0) lines.push('', columns([['Sink', 'Type', 'Has', 'Lacks', 'Fault'], ...rows]))
  return lines.join('\n')
}

/** Proves files, one after the other, as parts of one journal. */
async function verifyFiles(call: Call): Promise<number> {
  const { args, flags, io } = call
  const anchor = anchorOf(flags.text('anchor'))
  if (anchor === 'wrong') return fail(io, '-anchor must be a number, a colon and a chain')
  const proof = new LineProof(anchor)
  for (const path of args) {
    try {
      await proveFile(path, proof)
    } catch (error) {
      return fail(io, `${path}: ${messageOf(error)}`)
    }
  }
  const result = proof.result()
  if (wantsJson(call)) io.print(exactJson(result))
  else io.print(proofText(result))
  return result.faults.length === 0 ? 0 : 1
}

function anchorOf(text: string | undefined) {
  if (text === undefined) return undefined
  const [, sequence, chain] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? []
  if (sequence === undefined || chain === undefined) return 'wrong'
  return { sequence: Number(sequence), chain: Buffer.from(chain, 'hex') }
}

async function proveFile(path: string, proof: LineProof): Promise<void> {
  const input = createReadStream(path)
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
  let at = 0
  // Faults of the file itself do not reach whoever reads its lines.
  const failed = new Promise<never>((_, reject) => input.once('error', reject))
  failed.catch(() => {})
  const reading = (async () => {
    for await (const line of lines) proof.take(line, `${path}:${++at}`)
  })()
  await Promise.race([reading, failed])
}

function proofText({ count, first, last, faults, isAnchored, repeated, chain }: Proof): string {
  if (count === 0 && faults.length === 0) return 'There are no records.'
  const lines = [
    faults.length === 0 ? 'Every record is there and as it was written.' : 'Not whole:',
    ...faults.map(fault => `  ${fault}`),
    '',
    `Records  ${count} (${first} to ${last})`,
    `Chain    ${chain}`,
  ]
  if (repeated > 0) lines.push(`Repeated ${repeated}, as after a crash of the sender`)
  if (!isAnchored) {
    lines.push(`Record ${first} is taken as it stands: what came before is not here (-anchor).`)
  }
  return lines.join('\n')
}
