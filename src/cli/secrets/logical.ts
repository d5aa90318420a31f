/**
 * The verbs `read`, `write`, `patch`, `delete`, `list`, `scan` and `unwrap`: any path, as it is.
 *
 * Owns their flags, texts and exit codes, which are those of Vault's command line.
 */
import type { Call, Flag } from '../command.ts'
import type { Query } from '../exchange.ts'
import { readStdin, sourceOf } from './ask.ts'
import { ApiError } from './client.ts'
import { secretsVerb } from './command.ts'
import { readData, readQuery } from './data.ts'
import { Failure, saying } from './failure.ts'
import { detailedFlag, fieldFlag, formatFlag, httpFlags } from './flags.ts'
import {
  complain,
  formatOf,
  isTable,
  printAnswer,
  printKeys,
  printListing,
  printSecret,
} from './output.ts'
import { barePath } from './paths.ts'
import { withSecondFactor } from './second-factor.ts'
import { type Data, keysOf, type Secret } from './secret.ts'

const printFlags = [fieldFlag, formatFlag, ...httpFlags]
const forceFlags: readonly Flag[] = [
  { name: 'force', kind: 'switch', doc: 'go on without data' },
  { name: 'f', kind: 'switch', doc: 'the same as -force' },
]
const pageFlags: readonly Flag[] = [
  { name: 'after', kind: 'text', doc: 'begin behind this name' },
  { name: 'limit', kind: 'number', doc: 'print no more than so many' },
]

export const read = secretsVerb({
  usage: '[options] PATH [K=V...]   (-format=raw prints the answer as it came)',
  flags: printFlags,
  examples: ['sys/mounts', '-field=password database/creds/app', 'secret/data/web version=2'],
  args: [1, undefined],
  async run(call, client) {
    const path = barePath(call.args[0] ?? '')
    const query = await readQuery(call.args.slice(1), sourceOf(call))
    const fault = `Error reading ${path}`
    if (formatOf(call) === 'raw') {
      const { body } = await saying(fault, client.ask({ method: 'GET', path, query }))
      call.io.print(body)
      return 0
    }
    const secret = await saying(fault, client.read(path, query))
    if (secret === undefined) return complain(call, `No value found at ${path}`)
    return printSecret(call, secret)
  },
})

export const write = secretsVerb({
  usage: '[options] PATH [K=V...]   (@file and - read a file and stdin)',
  flags: [...forceFlags, ...printFlags],
  examples: [
    'cubbyhole/git login=ada',
    'auth/userpass/users/ada password=-',
    'sys/policies/password/strong policy=@strong.hcl',
    '-force auth/approle/role/web/secret-id',
  ],
  args: [1, undefined],
  run: (call, client) =>
    writing(call, async (path, data) =>
      withSecondFactor(call, client, await client.write(path, data)),
    ),
})

export const patch = secretsVerb({
  usage: '[options] PATH [K=V...]   (@file and - read a file and stdin)',
  flags: [...forceFlags, ...printFlags],
  examples: ['secret/metadata/web max_versions=5', 'sys/namespaces/team @team.json'],
  args: [1, undefined],
  run: (call, client) => writing(call, (path, data) => client.patch(path, data)),
})

async function writing(
  call: Call,
  send: (path: string, data: Data) => Promise<Secret | undefined>,
): Promise<number> {
  const { args, flags } = call
  if (args.length === 1 && !flags.isOn('force') && !flags.isOn('f')) {
    throw new Failure('Must supply data or use -force', 1)
  }
  const path = barePath(args[0] ?? '')
  const data = await readData(args.slice(1), sourceOf(call))
  const secret = await withRefusal(call, `Error writing data to ${path}`, send(path, data))
  return printAnswer(call, secret, `Success! Data written to: ${path}`)
}

/** Waits for a write; of a refusal that carries data, the data is printed too. */
export async function withRefusal<T>(call: Call, fault: string, work: Promise<T>): Promise<T> {
  try {
    return await saying(fault, keptRefusal(work))
  } catch (error) {
    const refusal = refusals.get(work)
    if (refusal?.secret && Object.keys(refusal.secret.data ?? {}).some(key => key !== 'errors')) {
      printSecret(call, refusal.secret)
    }
    throw error
  }
}

const refusals = new WeakMap<Promise<unknown>, ApiError>()

function keptRefusal<T>(work: Promise<T>): Promise<T> {
  return work.catch(error => {
    if (error instanceof ApiError) refusals.set(work, error)
    throw error
  })
}

export const remove = secretsVerb({
  usage: '[options] PATH [K=V...]',
  flags: printFlags,
  examples: ['cubbyhole/git', 'auth/userpass/users/ada'],
  args: [1, undefined],
  async run(call, client) {
    const path = barePath(call.args[0] ?? '')
    const query = await readQuery(
      call.args.slice(1),
      sourceOf(call),
      'Failed to parse string list data',
    )
    const work = client.remove(path, query)
    const secret = await withRefusal(call, `Error deleting ${path}`, work)
    return printAnswer(call, secret, `Success! Data deleted (if it existed) at: ${path}`)
  },
})

export const list = secretsVerb({
  usage: '[options] PATH',
  flags: [...pageFlags, detailedFlag, formatFlag, ...httpFlags],
  examples: ['auth/userpass/users', '-format=json sys/policies/acl'],
  args: [1, 1],
  async run(call, client) {
    const path = barePath(call.args[0] ?? '')
    const secret = await saying(`Error listing ${path}`, client.list(path, pageOf(call)))
    return printListing(call, secret, path)
  },
})

export const scan = secretsVerb({
  usage: '[options] PATH   (all names below, not only the next ones)',
  flags: [...pageFlags, detailedFlag, formatFlag, ...httpFlags],
  examples: ['secret/metadata'],
  args: [1, 1],
  async run(call, client) {
    const path = barePath(call.args[0] ?? '')
    const secret = await saying(`Error scanning ${path}`, client.scan(path, pageOf(call)))
    return printListing(call, secret, path)
  },
})

const pageOf = ({ flags }: Call): Query => ({
  after: flags.text('after') || undefined,
  limit: (flags.number('limit') ?? 0) > 0 ? flags.text('limit') : undefined,
})

export const unwrap = secretsVerb({
  usage: '[options] [TOKEN]   (- reads it from stdin; without one, the token that is asked with)',
  flags: printFlags,
  examples: ['-', '-field=secret_id -'],
  args: [0, 1],
  async run(call, client) {
    const argument = call.args[0]
    const token = argument === '-' ? await readStdin(call) : argument?.trim()
    const secret = await saying('Error unwrapping', client.unwrap(token || undefined))
    if (secret === undefined) {
      const text = 'Successfully unwrapped. There was no data in the wrapped secret.'
      return printAnswer(call, secret, text)
    }
    const isList = keysOf(secret) !== undefined && !call.flags.text('field')
    return isList && isTable(call) ? printKeys(call, secret) : printSecret(call, secret)
  },
})
