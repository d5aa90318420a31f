/**
 * The verbs `kv get`, `put`, `patch`, `delete`, `undelete`, `destroy`, `list`, `scan`, `rollback`
 * and `enable-versioning`: keys of a KV engine, with versions or without.
 *
 * Owns their flags, texts and exit codes, which are those of Vault's command line.
 */
import type { Call, Flag } from '../command.ts'
import { sourceOf } from './ask.ts'
import { ApiError, type SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { readData } from './data.ts'
import { Failure, saying } from './failure.ts'
import { fieldFlag, formatFlag, httpFlags, itemsOf } from './flags.ts'
import { type KvKind, type KvPlace, kvPlaceOf, mountFlag, versionedPlaceOf } from './kv-place.ts'
import { withRefusal } from './logical.ts'
import {
  complain,
  isTable,
  printAnswer,
  printData,
  printDone,
  printField,
  printListing,
  printSecret,
  printWarnings,
} from './output.ts'
import { barePath, mountPath } from './paths.ts'
import { type Data, isData, isWrapped, type Secret, valueIn } from './secret.ts'
import { titleOf, titleOfMap } from './table.ts'

const printFlags = [mountFlag, fieldFlag, formatFlag, ...httpFlags]
const versionsFlag = (what: string): Flag => ({
  name: 'versions',
  kind: 'list',
  doc: `numbers of the versions to ${what}, with commas between; may be repeated`,
})

export const kvGet = secretsVerb({
  usage: '[options] KEY',
  flags: [{ name: 'version', kind: 'number', doc: 'this version (the newest)' }, ...printFlags],
  examples: ['secret/web', '-mount=secret web', '-field=password -version=2 secret/web'],
  args: [1, 1],
  async run(call, client) {
    const { flags } = call
    const place = await kvPlaceOf(call, client, call.args[0] ?? '')
    const path = place.isVersioned ? place.pathOf('data') : place.path
    const isOld = place.isVersioned && (flags.number('version') ?? 0) > 0
    const query = isOld ? { version: flags.text('version') } : {}
    const secret = await saying(`Error reading ${path}`, client.read(path, query))
    if (secret === undefined) return complain(call, `No value found at ${path}`)
    const field = flags.text('field')
    if (field && place.isVersioned) return printVersionField(call, secret, path, field)
    if (field || secret.wrap_info || !isTable(call)) return printSecret(call, secret)
    printWarnings(call, secret)
    if (place.isVersioned) printPath(call, 'Secret Path', path)
    const metadata = valueIn(secret.data, 'metadata')
    if (place.isVersioned && isData(metadata)) {
      printMap(call, 'Metadata', metadata)
      call.io.print('')
    }
    const data = place.isVersioned ? valueIn(secret.data, 'data') : secret.data
    if (isData(data)) printMap(call, 'Data', data)
    return 0
  },
})

/** A field is one of the key's own data; `data` is all of it, unless there is one of that name. */
function printVersionField(call: Call, secret: Secret, path: string, field: string): number {
  const data = valueIn(secret.data, 'data')
  if (!isData(data)) return complain(call, `No data found at ${path}`)
  const isAll = field === 'data' && !Object.hasOwn(data, 'data')
  return printField(call, isAll ? secret : data, field)
}

function printPath({ io }: Call, title: string, path: string): void {
  io.print(titleOf(title, path.length))
  io.print(path)
  io.print('')
}

function printMap(call: Call, title: string, data: Data): void {
  call.io.print(titleOfMap(title, Object.keys(data)))
  printData(call, data)
}

export const kvPut = secretsVerb({
  usage: '[options] KEY [K=V...]   (@file and - read a file and stdin)',
  flags: [
    {
      name: 'cas',
      kind: 'number',
      doc: 'write only while this is the newest version; 0 only creates',
    },
    ...printFlags,
  ],
  examples: ['secret/web user=ada password=-', '-cas=3 secret/web @web.json'],
  args: [1, undefined],
  async run(call, client) {
    const { args } = call
    if (args.length === 1) throw new Failure('Must supply data', 1)
    const data = await readData(args.slice(1), sourceOf(call))
    const place = await kvPlaceOf(call, client, args[0] ?? '')
    const path = place.isVersioned ? place.pathOf('data') : place.path
    const body = place.isVersioned ? { data, options: casOf(call, -1) } : data
    const work = client.write(path, body)
    const secret = await withRefusal(call, `Error writing data to ${path}`, work)
    return printWritten(call, secret, path)
  },
})

/** A version to compare with, where the flag gives one above the one that means none. */
function casOf({ flags }: Call, none: number): Data {
  const cas = flags.number('cas') ?? none
  return cas > none ? { cas } : {}
}

function printWritten(call: Call, secret: Secret | undefined, path: string): number {
  if (secret === undefined) return printDone(call, `Success! Data written to: ${path}`)
  const isPlain = isTable(call) && !call.flags.text('field') && !isWrapped(secret)
  if (!isPlain) return printSecret(call, secret)
  printPath(call, 'Secret Path', path)
  printMap(call, 'Metadata', secret.data ?? {})
  return 0
}

export const kvPatch = secretsVerb({
  usage: '[options] KEY [K=V...]   (@file and - read a file and stdin)',
  flags: [
    { name: 'cas', kind: 'number', doc: 'patch only while this is the newest version' },
    {
      name: 'method',
      kind: 'text',
      doc: 'patch (one request) or rw (read, then write); patch, then rw where it is not allowed',
    },
    { name: 'remove-data', kind: 'list', doc: 'a key to remove; may be repeated' },
    ...printFlags,
  ],
  examples: ['secret/web password=-', '-remove-data=old secret/web'],
  args: [1, undefined],
  async run(call, client) {
    const { args, flags } = call
    const removed = flags.list('remove-data')
    if (args.length === 1 && removed.length === 0) throw new Failure('Must supply data', 1)
    const method = flags.text('method') ?? ''
    if (!['', 'patch', 'rw'].includes(method)) {
      throw new Failure(`Unsupported method provided to -method flag: ${method}`, 2)
    }
    const given = await readData(args.slice(1), sourceOf(call))
    const data = { ...given, ...Object.fromEntries(removed.map(key => [key, null])) }
    const refusal = 'K/V engine mount must be version 2 for patch support'
    const place = await versionedPlaceOf(call, client, args[0] ?? '', refusal, 2)
    const path = place.pathOf('data')
    const secret =
      method === 'rw'
        ? await readAndWrite(client, path, data)
        : await mergePatch(call, client, { path, data, mayFallBack: method === '' })
    return printWritten(call, secret, path)
  },
})

async function mergePatch(
  call: Call,
  client: SecretsClient,
  { path, data, mayFallBack }: { path: string; data: Data; mayFallBack: boolean },
): Promise<Secret | undefined> {
  try {
    return await client.patch(path, { data, options: casOf(call, 0) })
  } catch (error) {
    const isRefused = error instanceof ApiError && [403, 405].includes(error.status ?? 0)
    if (!isRefused || !mayFallBack) {
      return saying(`Error writing data to ${path}`, Promise.reject(error))
    }
    const secret = await readAndWrite(client, path, data)
    if (error.status === 403) {
      call.io.printError(
        `Data was read from and written to ${path}: with the capability "patch" it would be one request`,
      )
    }
    return secret
  }
}

/** The old way: nothing that others write in between is lost, as the write compares versions. */
async function readAndWrite(client: SecretsClient, path: string, changes: Data) {
  const { data, version } = await currentOf(client, path, 'patch')
  const merged = Object.entries({ ...data, ...changes }).filter(([, value]) => value !== null)
  const body = { data: Object.fromEntries(merged), options: { cas: version } }
  return saying(`Error writing data to ${path}`, client.write(path, body))
}

interface Version {
  readonly data: Data
  readonly version: unknown
}

/** A version of a key that has data. Throws Failure. */
async function currentOf(
  client: SecretsClient,
  path: string,
  verb: string,
  query: { readonly version?: string } = {},
): Promise<Version> {
  const secret = await saying(`Error doing pre-read at ${path}`, client.read(path, query, true))
  if (secret?.data === undefined || secret.data === null) {
    throw new Failure(`No value found at ${path}`, 2)
  }
  const metadata = valueIn(secret.data, 'metadata')
  if (!isData(metadata)) {
    throw new Failure(`No metadata found at ${path}; ${verb} only works on existing data`, 2)
  }
  if (query.version !== undefined) {
    const what = 'Cannot roll back to a version that has been'
    if (valueIn(metadata, 'destroyed') === true) throw new Failure(`${what} destroyed`, 2)
    if (valueIn(metadata, 'deletion_time')) throw new Failure(`${what} deleted`, 2)
  }
  const data = valueIn(secret.data, 'data')
  if (!isData(data)) {
    throw new Failure(`No data found at ${path}; ${verb} only works on existing data`, 2)
  }
  return { data, version: valueIn(metadata, 'version') }
}

export const kvRollback = secretsVerb({
  usage: '[options] -version=N KEY',
  flags: [
    { name: 'version', kind: 'number', doc: 'the version to write again as the newest' },
    ...printFlags,
  ],
  examples: ['-version=2 secret/web'],
  args: [1, 1],
  async run(call, client) {
    const version = call.flags.number('version')
    if (version === undefined) throw new Failure('Version flag must be specified', 1)
    if (version <= 0) throw new Failure(`Invalid value ${version} for the version flag`, 1)
    const refusal = 'K/V engine mount must be version 2 for rollback support'
    const place = await versionedPlaceOf(call, client, call.args[0] ?? '', refusal, 2)
    const path = place.pathOf('data')
    const newest = await newestOf(client, path)
    const { data } = await currentOf(client, path, 'rollback', { version: String(version) })
    const work = client.write(path, { data, options: { cas: newest } })
    const secret = await saying(`Error writing data to ${path}`, work)
    return printAnswer(call, secret, `Success! Data written to: ${path}`)
  },
})

/** The number of the newest version, which may itself be deleted. */
async function newestOf(client: SecretsClient, path: string): Promise<unknown> {
  const secret = await saying(`Error doing pre-read at ${path}`, client.read(path, {}, true))
  const metadata = valueIn(secret?.data, 'metadata')
  if (secret === undefined) throw new Failure(`No value found at ${path}`, 2)
  if (isData(metadata)) return valueIn(metadata, 'version')
  throw new Failure(`No metadata found at ${path}; rollback only works on existing data`, 2)
}

export const kvDelete = secretsVerb({
  usage: '[options] KEY   (versions can be undeleted)',
  flags: [versionsFlag('delete'), ...printFlags],
  examples: ['secret/web', '-versions=1,2 secret/web'],
  args: [1, 1],
  async run(call, client) {
    const place = await kvPlaceOf(call, client, call.args[0] ?? '')
    const versions = itemsOf(call, 'versions')
    const path = place.isVersioned ? place.pathOf('data') : place.path
    const isChosen = place.isVersioned && versions.length > 0
    const work = isChosen ? client.write(place.pathOf('delete'), { versions }) : client.remove(path)
    const secret = await withRefusal(call, `Error deleting ${path}`, work)
    return printAnswer(call, secret, `Success! Data deleted (if it existed) at: ${path}`)
  },
})

export const kvUndelete = versionsVerb('undelete', 'Undelete')
export const kvDestroy = versionsVerb('destroy', 'Destroy')

/** The two verbs that only say which versions. */
function versionsVerb(kind: KvKind & ('undelete' | 'destroy'), title: string) {
  return secretsVerb({
    usage: '[options] -versions=N,... KEY',
    flags: [versionsFlag(kind), mountFlag, formatFlag, ...httpFlags],
    examples: ['-versions=3 secret/web'],
    args: [1, 1],
    async run(call, client) {
      const versions = itemsOf(call, 'versions')
      if (versions.length === 0) {
        const flag = `use the "-versions" flag to specify the version to ${kind}.`
        throw new Failure(`No versions provided, ${flag}`, 1)
      }
      const refusal = `${title} not supported on KV Version 1`
      const place = await versionedPlaceOf(call, client, call.args[0] ?? '', refusal)
      const path = place.pathOf(kind)
      const work = client.write(path, { versions })
      const secret = await withRefusal(call, `Error writing data to ${path}`, work)
      return printAnswer(call, secret, `Success! Data written to: ${path}`)
    },
  })
}

export const kvList = listingVerb('list')
export const kvScan = listingVerb('scan')

/** The names below a path: the next ones, or all. */
function listingVerb(verb: 'list' | 'scan') {
  return secretsVerb({
    usage: '[options] PATH   (with -mount it may be left out)',
    flags: [mountFlag, formatFlag, ...httpFlags],
    examples: ['secret/', '-mount=secret team'],
    args: [0, 1],
    async run(call, client) {
      const { args, flags } = call
      if (args.length === 0 && !flags.text('mount')) {
        throw new Failure('Not enough arguments (expected 1, got 0)', 1)
      }
      const place: KvPlace = await kvPlaceOf(call, client, args[0] ?? '')
      const path = place.isVersioned ? place.pathOf('metadata') : place.path
      const fault = verb === 'list' ? 'Error listing' : 'Error scanning'
      return printListing(call, await saying(`${fault} ${path}`, client[verb](path)), path)
    },
  })
}

export const kvEnableVersioning = secretsVerb({
  usage: '[options] MOUNT',
  flags: [...httpFlags],
  examples: ['secret/'],
  args: [1, 1],
  async run(call, client) {
    const path = mountPath(barePath(call.args[0] ?? ''))
    const body = { options: { version: '2' } }
    const work = client.write(`sys/mounts/${path}tune`, body, 'POST')
    await saying(`Error tuning secrets engine ${path}`, work)
    call.io.print(`Success! Tuned the secrets engine at: ${path}`)
    return 0
  },
})
