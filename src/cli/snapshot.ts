/**
 * The verbs `snapshot save`, `snapshot restore`, `snapshot inspect` and `snapshot verify`.
 *
 * Owns that a file under the given name is a whole archive: it is written beside, read back and
 * checked, then renamed. An archive holds secrets, so nobody but its owner may read the file.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { access, constants, rename, rm, stat } from 'node:fs/promises'
import { parse as parsePath } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { toBuffer } from '../base/bytes.ts'
import { messageOf, Refusal } from '../base/errors.ts'
import { inspectSnapshot, type Meta, type SeenRow } from '../store/snapshot.ts'
import { registryTables } from '../store/tables/mod.ts'
import {
  asking,
  type Client,
  ClientError,
  formatFlag,
  queryFlags,
  unexpected,
  wantsJson,
} from './client.ts'
import { type Call, type Command, fail } from './command.ts'
import { collect } from './exchange.ts'
import { exactJson } from './json.ts'
import { columns } from './table.ts'

export const snapshotSave = asking('Error saving snapshot', {
  usage: '[options] FILE',
  flags: [
    {
      name: 'append-filename',
      kind: 'text',
      doc: 'put into the name: any of version,dc,node,status',
    },
    ...queryFlags,
  ],
  examples: ['backup.snap', '-append-filename=dc,node backup.snap'],
  async run(call, client) {
    const { args, io } = call
    const mistake = fileMistake(args)
    if (mistake !== undefined) return fail(io, mistake)
    const file = await namedFile(call, client, args[0] ?? '')
    const answer = await client.open('GET', '/v1/snapshot')
    if (answer.status !== 200) {
      throw unexpected({ status: answer.status, body: await collect(answer.body) })
    }
    const beside = `${file}.unverified`
    try {
      await pipeline(answer.body, createWriteStream(beside, { mode: 0o600, flush: true }))
      const meta = await inspect(beside, () => {})
      await rename(beside, file)
      const index = answer.headers['x-consul-index'] ?? String(meta.Index)
      io.print(`Saved and verified snapshot to index ${index}`)
      return 0
    } catch (error) {
      await rm(beside, { force: true })
      throw error
    }
  },
})

export const snapshotRestore = asking('Error restoring snapshot', {
  usage: '[options] FILE   (- reads stdin)',
  flags: queryFlags,
  examples: ['backup.snap'],
  async run({ args, io }, client) {
    const mistake = fileMistake(args) ?? (await openFault(args[0] ?? ''))
    if (mistake !== undefined) return fail(io, mistake)
    const answer = await client.open('PUT', '/v1/snapshot', {}, { body: await bodyOf(args[0], io) })
    const text = await collect(answer.body)
    if (answer.status !== 200) throw unexpected({ status: answer.status, body: text })
    io.print('Restored snapshot')
    return 0
  },
})

export const snapshotInspect: Command = {
  usage: '[options] FILE',
  flags: [
    { name: 'kvdetails', kind: 'switch', doc: 'how much the keys take, prefix by prefix' },
    { name: 'kvdepth', kind: 'number', doc: 'how many segments of a key make a prefix (2)' },
    { name: 'kvfilter', kind: 'text', doc: 'only keys that begin so' },
    formatFlag,
  ],
  examples: ['backup.snap', '-kvdetails -kvdepth=1 backup.snap', '-format=json backup.snap'],
  async run(call) {
    const { args, io } = call
    const mistake = fileMistake(args) ?? (await openFault(args[0] ?? ''))
    if (mistake !== undefined) return fail(io, mistake)
    const counts = new Counts(call)
    let meta: Meta
    try {
      meta = await inspect(args[0] ?? '', row => counts.see(row))
    } catch (error) {
      return fail(io, `Error reading snapshot: ${messageOf(error)}`)
    }
    io.print(wantsJson(call) ? exactJson(jsonOf(meta, counts), 3) : textOf(meta, counts))
    return 0
  },
}

export const snapshotVerify: Command = {
  usage: 'FILE...',
  flags: [],
  examples: ['backup.snap', 'data/snapshots/*.snap'],
  async run({ args, io }) {
    if (args.length === 0) return fail(io, 'Missing FILE argument')
    let isWhole = true
    for (const file of args) {
      let rows = 0
      try {
        const { Index } = await inspect(file, () => {
          rows++
        })
        io.print(`${file}: whole, ${rows} rows to index ${Index}`)
      } catch (error) {
        isWhole = false
        io.printError(`${file}: ${messageOf(error)}`)
      }
    }
    return isWhole ? 0 : 1
  },
}

function fileMistake(args: readonly string[]): string | undefined {
  if (args.length === 0) return 'Missing FILE argument'
  return args.length > 1 ? `Too many arguments (expected 1, got ${args.length})` : undefined
}

async function bodyOf(path = '', io: Call['io']): Promise<{ stream: Readable; sizeBytes: number }> {
  if (path === '-') {
    const bytes = await io.readStdin()
    return { stream: Readable.from([bytes]), sizeBytes: bytes.length }
  }
  const { size } = await stat(path)
  return { stream: createReadStream(path), sizeBytes: size }
}

async function openFault(path: string): Promise<string | undefined> {
  if (path === '-') return undefined
  try {
    await access(path, constants.R_OK)
    return undefined
  } catch (error) {
    return `Error opening snapshot file: ${messageOf(error)}`
  }
}

/** `backup.snap` with `-append-filename=dc,node` is `backup-dc1-n1.snap`. */
async function namedFile({ flags }: Call, client: Client, file: string): Promise<string> {
  const wanted = flags.text('append-filename')?.split(',') ?? []
  if (wanted.length === 0) return file
  interface Self {
    readonly Config: Readonly<Record<string, string>>
    readonly Stats: { readonly consul?: { readonly leader?: string } }
  }
  const { Config, Stats } = await client.read<Self>('/v1/agent/self')
  const parts: Readonly<Record<string, string | undefined>> = {
    version: Config.Version,
    dc: Config.Datacenter,
    node: Config.NodeName,
    status: Stats.consul?.leader === 'false' ? 'follower' : 'leader',
  }
  const added = wanted.map(name => {
    if (Object.hasOwn(parts, name)) return parts[name] ?? ''
    throw new ClientError('-append-filename takes version, dc, node and status')
  })
  const { dir, name, ext } = parsePath(file)
  return `${dir === '' ? '' : `${dir}/`}${[name, ...added].join('-')}${ext}`
}

async function inspect(file: string, see: (row: SeenRow) => void): Promise<Meta> {
  const found = await inspectSnapshot(createReadStream(file), see)
  if (found instanceof Refusal) throw new ClientError(found.text)
  return found
}

interface Count {
  readonly Name: string
  Sum: number
  Count: number
}

/** What the rows of an archive add up to, by table and by prefix of key. */
class Counts {
  readonly #call: Call
  readonly #tables = new Map<string, Count>()
  readonly #keys = new Map<string, Count>()

  constructor(call: Call) {
    this.#call = call
  }

  see({ key, sizeBytes }: SeenRow): void {
    const table = registryTables.find(({ prefix }) => key.startsWith(prefix))
    add(this.#tables, table?.name ?? 'unknown', sizeBytes)
    const { flags } = this.#call
    if (table?.name !== 'kv' || !flags.isOn('kvdetails')) return
    const name = toBuffer(key.slice(table.prefix.length)).toString('utf8')
    if (!name.startsWith(flags.text('kvfilter') ?? '')) return
    const DEPTH = 2
    add(
      this.#keys,
      name
        .split('/')
        .slice(0, flags.number('kvdepth') ?? DEPTH)
        .join('/'),
      sizeBytes,
    )
  }

  /** The largest first. */
  get tables(): Count[] {
    return sorted(this.#tables)
  }

  get keys(): Count[] {
    return sorted(this.#keys)
  }
}

function add(counts: Map<string, Count>, name: string, sizeBytes: number): void {
  const count = counts.get(name) ?? { Name: name, Sum: 0, Count: 0 }
  count.Sum += sizeBytes
  count.Count++
  counts.set(name, count)
}

const sorted = (counts: ReadonlyMap<string, Count>): Count[] =>
  [...counts.values()].sort((a, b) => b.Sum - a.Sum || (a.Name < b.Name ? -1 : 1))

const total = (counts: readonly Count[]): number => counts.reduce((sum, { Sum }) => sum + Sum, 0)

function jsonOf({ ID, Size, Index, Term, Version }: Meta, { tables, keys }: Counts): object {
  return {
    Meta: { ID, Size, Index, Term, Version },
    Stats: tables,
    ...(keys.length === 0 ? {} : { StatsKV: keys }),
    TotalSize: total(tables),
    ...(keys.length === 0 ? {} : { TotalSizeKV: total(keys) }),
  }
}

function textOf({ ID, Size, Index, Term, Version }: Meta, { tables, keys }: Counts): string {
  const GAP = 11
  const head = Object.entries({ ID, Size, Index, Term, Version })
  const rows = head.map(([name, value]) => [` ${name}`, String(value)])
  const parts = [columns(rows, GAP - 'Version'.length + 2), tableOf('Type', tables)]
  return [...parts, ...(keys.length === 0 ? [] : [tableOf('Key Name', keys)])].join('\n\n')
}

function tableOf(title: string, counts: readonly Count[]): string {
  const GAP = 6
  const rule = ' ----'
  const rows = [
    [` ${title}`, 'Count', 'Size'],
    [rule, rule.trim(), rule.trim()],
    ...counts.map(({ Name, Count, Sum }) => [` ${Name}`, String(Count), sizeText(Sum)]),
    [rule, rule.trim(), rule.trim()],
    [' Total', '', sizeText(total(counts))],
  ]
  return columns(rows, GAP)
}

/** `12.3KB`, `285B`, `2KB`: one digit behind the point, none when it is zero. */
function sizeText(sizeBytes: number): string {
  const UNIT = 1_024
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let size = sizeBytes
  let at = 0
  while (size >= UNIT && at < units.length - 1) {
    size /= UNIT
    at++
  }
  return `${size.toFixed(1).replace(/\.0$/, '')}${units[at]}`
}
