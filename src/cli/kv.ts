/**
 * The verbs `kv get`, `kv put`, `kv delete`, `kv export` and `kv import`.
 *
 * Owns their flags, texts and exit codes, which are those of Consul's command line: scripts match
 * on them. Values are bytes from end to end.
 */
import { readFile } from 'node:fs/promises'
import { messageOf } from '../base/errors.ts'
import {
  type Answer,
  type Client,
  ClientError,
  clientOf,
  formatFlag,
  type Query,
  queryFlags,
  unexpected,
  wantsJson,
} from './client.ts'
import { type Call, type Command, type Flags, fail } from './command.ts'
import { exactJson, parseExact } from './json.ts'
import { columns } from './table.ts'

/** An entry as the API gives it; integers beyond 2^53 are bigint. */
interface Entry {
  readonly Key: string
  readonly Value: string | null
  readonly Flags: number | bigint
  readonly LockIndex: number
  readonly CreateIndex: number
  readonly ModifyIndex: number
  readonly Session?: string
}

export const kvGet: Command = {
  usage: '[options] [KEY_OR_PREFIX]',
  flags: [
    { name: 'base64', kind: 'switch', doc: 'print values in base64' },
    { name: 'detailed', kind: 'switch', doc: 'print indexes, flags and session too' },
    { name: 'keys', kind: 'switch', doc: 'list the keys that begin with the prefix' },
    { name: 'recurse', kind: 'switch', doc: 'print all entries that begin with the prefix' },
    { name: 'separator', kind: 'text', doc: 'with -keys, list only up to this ("/")' },
    formatFlag,
    ...queryFlags,
  ],
  examples: ['app/config', '-recurse app/', '-keys -separator= app/', '-detailed app/config'],
  async run(call) {
    const { flags, io } = call
    const key = prefixOf(call)
    if (typeof key === 'number') return key
    if (key === '' && !flags.isOn('recurse') && !flags.isOn('keys')) {
      return fail(io, 'Error! Missing KEY argument')
    }
    try {
      const client = await clientOf(call)
      if (flags.isOn('keys')) {
        const query = { keys: '', separator: flags.text('separator') ?? '/' }
        const keys = await readKv<string>(client, key, query)
        if (wantsJson(call)) io.print(exactJson(keys))
        else for (const each of keys) io.print(each)
        return 0
      }
      const isMany = flags.isOn('recurse')
      const entries = await readKv<Entry>(client, key, isMany ? { recurse: '' } : {})
      if (entries.length === 0 && !isMany) return fail(io, `Error! No key exists at: ${key}`)
      if (wantsJson(call)) io.print(exactJson(isMany ? entries : entries[0]))
      else printEntries(call, entries, isMany)
      return 0
    } catch (error) {
      return fail(io, `Error querying Consul agent: ${messageOf(error)}`)
    }
  },
}

export const kvPut: Command = {
  usage: '[options] KEY [DATA]   (@file reads a file, - reads stdin)',
  flags: [
    { name: 'acquire', kind: 'switch', doc: 'take the lock for -session' },
    { name: 'base64', kind: 'switch', doc: 'DATA is base64' },
    { name: 'cas', kind: 'switch', doc: 'write only while the key has this -modify-index' },
    { name: 'flags', kind: 'number', doc: 'a number to keep with the value' },
    { name: 'modify-index', kind: 'number', doc: 'the ModifyIndex for -cas; 0 only creates' },
    { name: 'release', kind: 'switch', doc: 'give back the lock of -session' },
    { name: 'session', kind: 'text', doc: 'id of a session, for -acquire and -release' },
    ...queryFlags,
  ],
  examples: ['app/config blue', 'app/config @config.json', '-cas -modify-index=0 app/leader n1'],
  async run(call) {
    const { flags, args, io } = call
    const [key] = args
    if (key === undefined) return fail(io, 'Error! Missing KEY argument')
    if (args.length > 2) {
      return fail(io, `Error! Too many arguments (expected 1 or 2, got ${args.length})`)
    }
    let value: Buffer
    try {
      value = await readData(call, args[1] ?? '')
    } catch (error) {
      return fail(io, `Error! ${messageOf(error)}`)
    }
    if ((flags.isOn('release') || flags.isOn('acquire')) && !flags.text('session')) {
      return fail(io, 'Error! Missing -session (required with -acquire and -release)')
    }
    if (flags.isOn('cas') && flags.text('modify-index') === undefined) {
      return fail(io, 'Must specify -modify-index with -cas!')
    }
    return putKey(call, key, value)
  },
}

export const kvDelete: Command = {
  usage: '[options] KEY_OR_PREFIX',
  flags: [
    { name: 'cas', kind: 'switch', doc: 'delete only while the key has this -modify-index' },
    { name: 'modify-index', kind: 'number', doc: 'the ModifyIndex for -cas' },
    { name: 'recurse', kind: 'switch', doc: 'delete all keys that begin with the prefix' },
    ...queryFlags,
  ],
  examples: ['app/config', '-recurse app/'],
  async run(call) {
    const { flags, io } = call
    const key = prefixOf(call)
    if (typeof key === 'number') return key
    const mistake = deleteMistake(flags, key)
    if (mistake !== undefined) return fail(io, mistake)
    const isMany = flags.isOn('recurse')
    try {
      const query = {
        recurse: isMany ? '' : undefined,
        cas: flags.isOn('cas') ? flags.text('modify-index') : undefined,
      }
      const isDone = isTrue(await (await clientOf(call)).ask('DELETE', pathOf(key), query))
      if (!isDone) return fail(io, `Error! Did not delete key ${key}: CAS failed`)
    } catch (error) {
      const what = isMany ? 'Error! Did not delete prefix' : 'Error deleting key'
      return fail(io, `${what} ${key}: ${messageOf(error)}`)
    }
    io.print(isMany ? `Success! Deleted keys with prefix: ${key}` : `Success! Deleted key: ${key}`)
    return 0
  },
}

export const kvExport: Command = {
  usage: '[options] [KEY_OR_PREFIX]',
  flags: queryFlags,
  examples: ['', 'app/'],
  async run(call) {
    const key = prefixOf(call)
    if (typeof key === 'number') return key
    try {
      const entries = await readKv<Entry>(await clientOf(call), key, { recurse: '' })
      const exported = entries.map(entry => ({
        key: entry.Key,
        flags: entry.Flags,
        value: entry.Value ?? '',
      }))
      call.io.print(exactJson(exported, '\t'))
      return 0
    } catch (error) {
      return fail(call.io, `Error querying Consul agent: ${messageOf(error)}`)
    }
  },
}

export const kvImport: Command = {
  usage: '[options] DATA   (@file reads a file, - reads stdin)',
  flags: [...queryFlags, { name: 'prefix', kind: 'text', doc: 'put before every key' }],
  examples: ['@export.json', '-prefix=copy/ -'],
  async run(call) {
    const { args, io } = call
    if (args.length !== 1 || args[0] === '') {
      const counted = `Too many arguments (expected 1, got ${args.length})`
      const missing = args.length === 0 ? 'Missing DATA argument' : 'Empty DATA argument'
      return fail(io, `Error! ${args.length > 1 ? counted : missing}`)
    }
    let text: string
    try {
      text = (await readText(call, args[0] ?? '')).toString('utf8')
    } catch (error) {
      return fail(io, `Error! ${messageOf(error)}`)
    }
    const entries = parseExport(text)
    if (entries === undefined) {
      return fail(io, 'Cannot unmarshal data: expected a list of {"key", "flags", "value"}')
    }
    const client = await clientOf(call)
    const keyPrefix = call.flags.text('prefix') ?? ''
    for (const { key: name, flags, value } of entries) {
      const key = keyPrefix + name
      try {
        await putKv(client, key, Buffer.from(value, 'base64'), { flags: String(flags) })
      } catch (error) {
        return fail(io, `Error! Failed writing data for key ${key}: ${messageOf(error)}`)
      }
      io.print(`Imported: ${key}`)
    }
    return 0
  },
}

/** The one argument, without a slash at its begin; a number is the exit code of a mistake. */
function prefixOf({ args, io }: Call): string | number {
  if (args.length > 1) return fail(io, `Too many arguments (expected 1, got ${args.length})`)
  return (args[0] ?? '').replace(/^\//, '')
}

/** The path of a key: slashes stay, unless the server would tidy the path up and change the key. */
export function pathOf(key: string): string {
  const isTidied = /\/\/|(^|\/)\.\.?(\/|$)/.test(key)
  const encoded = encodeURIComponent(key)
  return `/v1/kv/${isTidied ? encoded : encoded.replaceAll('%2F', '/')}`
}

async function readKv<T>(client: Client, key: string, query: Query): Promise<T[]> {
  const answer = await client.ask('GET', pathOf(key), query)
  if (answer.status === 404) return []
  if (answer.status !== 200) throw unexpected(answer)
  return parseExact<T[]>(answer.body.toString('utf8'))
}

async function putKv(client: Client, key: string, value: Buffer, query: Query): Promise<boolean> {
  if (key.startsWith('/')) {
    throw new ClientError(`Invalid key. Key must not begin with a '/': ${key}`)
  }
  return isTrue(await client.ask('PUT', pathOf(key), query, value))
}

function isTrue(answer: Answer): boolean {
  if (answer.status !== 200) throw unexpected(answer)
  return answer.body.toString('utf8').includes('true')
}

async function putKey(call: Call, key: string, value: Buffer): Promise<number> {
  const { flags, io } = call
  const session = flags.text('session')
  const isCas = flags.isOn('cas')
  const isAcquire = !isCas && flags.isOn('acquire')
  const isRelease = !isCas && !isAcquire && flags.isOn('release')
  let isDone: boolean
  try {
    isDone = await putKv(await clientOf(call), key, value, {
      flags: flags.text('flags'),
      cas: isCas ? flags.text('modify-index') : undefined,
      acquire: isAcquire ? session : undefined,
      release: isRelease ? session : undefined,
    })
  } catch (error) {
    const what = isCas ? `Error! Did not write to ${key}` : 'Error! Failed writing data'
    return fail(io, `${what}: ${messageOf(error)}`)
  }
  if (isDone) {
    const done = isAcquire ? 'Lock acquired on' : isRelease ? 'Lock released on' : 'Data written to'
    io.print(`Success! ${done}: ${key}`)
    return 0
  }
  if (isAcquire) return fail(io, 'Error! Did not acquire lock')
  if (isRelease) return fail(io, 'Error! Did not release lock')
  return fail(io, `Error! Did not write to ${key}: CAS failed`)
}

function deleteMistake(flags: Flags, key: string): string | undefined {
  const isCas = flags.isOn('cas')
  const index = flags.text('modify-index') ?? '0'
  if (key === '' && !flags.isOn('recurse')) return 'Error! Missing KEY argument'
  if (isCas && Number(index) === 0) {
    return 'Cannot delete a key that does not exist. Provide a -modify-index greater than 0.'
  }
  if (!isCas && Number(index) !== 0) return 'Cannot specify -modify-index without -cas!'
  return isCas && flags.isOn('recurse') ? 'Cannot specify both -cas and -recurse!' : undefined
}

/** An argument as it stands, a file after `@`, or stdin for `-`. */
async function readText({ io }: Call, data: string): Promise<Buffer> {
  if (data === '-') return io.readStdin()
  if (!data.startsWith('@')) return Buffer.from(data, 'utf8')
  try {
    return await readFile(data.slice(1))
  } catch (error) {
    throw new ClientError(`Failed to read file: ${messageOf(error)}`)
  }
}

async function readData(call: Call, data: string): Promise<Buffer> {
  const bytes = await readText(call, data)
  if (!call.flags.isOn('base64')) return bytes
  const text = bytes.toString('latin1').replace(/[\r\n]/g, '')
  if (!BASE64.test(text)) throw new ClientError('Cannot base 64 decode data')
  return Buffer.from(text, 'base64')
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function printEntries({ flags, io }: Call, entries: readonly Entry[], isMany: boolean): void {
  entries.forEach((entry, i) => {
    const value = Buffer.from(entry.Value ?? '', 'base64')
    const shown = flags.isOn('base64') ? Buffer.from(entry.Value ?? '') : value
    if (flags.isOn('detailed')) {
      io.print(Buffer.concat([Buffer.from(`${detailsOf(entry)}\nValue            `), shown]))
      if (i < entries.length - 1) io.print('')
    } else if (isMany) io.print(Buffer.concat([Buffer.from(`${entry.Key}:`), shown]))
    else io.print(shown)
  })
}

function detailsOf(entry: Entry): string {
  const GAP = 6
  return columns(
    [
      ['CreateIndex', String(entry.CreateIndex)],
      ['Flags', String(entry.Flags)],
      ['Key', entry.Key],
      ['LockIndex', String(entry.LockIndex)],
      ['ModifyIndex', String(entry.ModifyIndex)],
      ['Session', entry.Session || '-'],
    ],
    GAP,
  )
}

interface Exported {
  readonly key: string
  readonly flags: number | bigint
  readonly value: string
}

/** The entries of an export; undefined when the text is none. */
function parseExport(text: string): Exported[] | undefined {
  try {
    const entries = parseExact<Partial<Exported>[] | null>(text) ?? []
    const read = entries.map(({ key, flags = 0, value = '' }) => ({ key, flags, value }))
    return read.every(isExported) ? read : undefined
  } catch {
    return undefined
  }
}

function isExported(entry: { key?: unknown; flags: unknown; value: unknown }): entry is Exported {
  return (
    typeof entry.key === 'string' &&
    (typeof entry.flags === 'bigint' || Number.isSafeInteger(entry.flags)) &&
    typeof entry.value === 'string' &&
    BASE64.test(entry.value)
  )
}
