/**
 * The verbs `config list`, `config read`, `config write` and `config delete`.
 *
 * Owns their flags and texts. What an entry may hold is for the agent to judge: HCL is turned into
 * JSON as it stands.
 */
import { readFile } from 'node:fs/promises'
import { messageOf } from '../base/errors.ts'
import { type HclObject, parse } from '../hcl/hcl.ts'
import { asking, type Client, ClientError, formatFlag, queryFlags, wantsJson } from './client.ts'
import { type Call, countMistake, type Flag, fail } from './command.ts'
import { exactJson } from './json.ts'

interface Entry {
  readonly Kind: string
  readonly Name: string
}

const casFlags: readonly Flag[] = [
  { name: 'cas', kind: 'switch', doc: 'only while the entry has this -modify-index' },
  { name: 'modify-index', kind: 'number', doc: 'the ModifyIndex for -cas' },
]
const kindFlag: Flag = { name: 'kind', kind: 'text', doc: 'kind of the entry' }
const nameFlag: Flag = { name: 'name', kind: 'text', doc: 'name of the entry' }

const pathOf = (kind: string, name: string): string =>
  `/v1/config/${encodeURIComponent(kind)}/${encodeURIComponent(name)}`

export const configList = asking('Error listing config entries', {
  usage: '[options] -kind=KIND',
  flags: [
    kindFlag,
    { name: 'filter', kind: 'text', doc: 'filter expression' },
    formatFlag,
    ...queryFlags,
  ],
  examples: ['-kind=service-defaults'],
  async run(call, client) {
    const { flags, io } = call
    const kind = flags.text('kind')
    if (!kind) return fail(io, 'Must specify the -kind parameter')
    let entries: Entry[]
    try {
      const filter = flags.text('filter')
      entries = await client.read(`/v1/config/${encodeURIComponent(kind)}`, { filter })
    } catch (error) {
      return fail(io, `Error listing config entries for kind "${kind}": ${messageOf(error)}`)
    }
    if (wantsJson(call)) io.print(exactJson(entries))
    else for (const { Name } of entries) io.print(Name)
    return 0
  },
})

export const configRead = asking('Error reading config entry', {
  usage: '[options] -kind=KIND -name=NAME',
  flags: [kindFlag, nameFlag, formatFlag, ...queryFlags],
  examples: ['-kind=proxy-defaults -name=global'],
  async run(call, client) {
    const named = kindAndName(call)
    if (typeof named === 'number') return named
    const [kind, name] = named
    try {
      const entry = await client.read<Entry>(pathOf(kind, name))
      call.io.print(exactJson(entry, wantsJson(call) ? 2 : '\t'))
      return 0
    } catch (error) {
      return fail(call.io, `Error reading config entry ${kind}/${name}: ${messageOf(error)}`)
    }
  },
})

export const configWrite = asking('Error writing config entry', {
  usage: '[options] FILE   (HCL or JSON; - reads stdin)',
  flags: [...casFlags, ...queryFlags],
  examples: ['web.hcl', '-cas -modify-index=7 web.hcl', '-'],
  async run(call, client) {
    const { flags, args, io } = call
    if (countMistake(args, 1) !== undefined) {
      return fail(
        io,
        'Must provide exactly one positional argument to specify the config entry to write',
      )
    }
    let entry: HclObject
    try {
      entry = entryOf(await readText(call, args[0] ?? ''))
    } catch (error) {
      return fail(io, messageOf(error))
    }
    const title = `${entry.Kind ?? entry.kind}/${entry.Name ?? entry.name ?? ''}`
    try {
      const cas = flags.isOn('cas') ? (flags.text('modify-index') ?? '0') : undefined
      const body = Buffer.from(JSON.stringify(entry))
      const answer = await client.send('PUT', '/v1/config', { cas }, body)
      if (!answer.includes('true')) return fail(io, `Config entry not updated: ${title}`)
    } catch (error) {
      return fail(io, `Error writing config entry ${title}: ${messageOf(error)}`)
    }
    io.print(`Config entry written: ${title}`)
    return 0
  },
})

export const configDelete = asking('Error deleting config entry', {
  usage: '[options] -kind=KIND -name=NAME',
  flags: [
    kindFlag,
    nameFlag,
    { name: 'filename', kind: 'text', doc: 'a file of the entry, instead of kind and name' },
    ...casFlags,
    ...queryFlags,
  ],
  examples: ['-kind=service-defaults -name=web', '-filename=web.hcl'],
  async run(call, client) {
    const named = await deleted(call)
    if (typeof named === 'number') return named
    return deleteEntry(call, client, named)
  },
})

async function deleteEntry(
  { flags, io }: Call,
  client: Client,
  [kind, name]: readonly [string, string],
): Promise<number> {
  try {
    const cas = flags.isOn('cas') ? (flags.text('modify-index') ?? '0') : undefined
    const answer = await client.send('DELETE', pathOf(kind, name), { cas })
    if (cas !== undefined && !answer.includes('true')) {
      return fail(io, `Config entry not deleted: ${kind}/${name}`)
    }
  } catch (error) {
    return fail(io, `Error deleting config entry ${kind}/${name}: ${messageOf(error)}`)
  }
  io.print(`Config entry deleted: ${kind}/${name}`)
  return 0
}

/** A number is the exit code of a mistake. */
function kindAndName({ flags, io }: Call): readonly [string, string] | number {
  const [kind, name] = [flags.text('kind'), flags.text('name')]
  if (!kind) return fail(io, 'Must specify the -kind parameter')
  if (!name) return fail(io, 'Must specify the -name parameter')
  return [kind, name]
}

async function deleted(call: Call): Promise<readonly [string, string] | number> {
  const { flags, io } = call
  const file = flags.text('filename')
  if (!file) return kindAndName(call)
  if (flags.text('kind') || flags.text('name')) {
    return fail(io, "filename can't be used with kind or name")
  }
  try {
    const entry = entryOf(await readText(call, file))
    return [String(entry.Kind ?? entry.kind), String(entry.Name ?? entry.name ?? '')]
  } catch (error) {
    return fail(io, messageOf(error))
  }
}

async function readText({ io }: Call, path: string): Promise<string> {
  try {
    return (path === '-' ? await io.readStdin() : await readFile(path)).toString('utf8')
  } catch (error) {
    throw new ClientError(`Failed to load data: ${messageOf(error)}`)
  }
}

function entryOf(text: string): HclObject {
  let entry: HclObject
  try {
    entry = parse(text, { format: 'auto' })
  } catch (error) {
    throw new ClientError(`Failed to decode config entry input: ${messageOf(error)}`)
  }
  const kind = entry.Kind ?? entry.kind
  if (typeof kind === 'string') return entry
  const fault =
    kind === undefined
      ? 'Payload does not contain a kind/Kind key at the top level'
      : 'Kind value in payload is not a string'
  throw new ClientError(`Failed to decode config entry input: ${fault}`)
}
