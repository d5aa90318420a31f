/**
 * The verb `operator apply`: has a server be as files say, with a plan first.
 *
 * Owns the asking for leave, and the tokens of a first apply: it initialises where that was not
 * done, and no root token is left. What a document means is src/secrets/declared's work.
 */
import { readFile, stat } from 'node:fs/promises'
import { readTexts } from '../../agent/config-load.ts'
import { parseExact } from '../../base/exact-json.ts'
import { limits } from '../../base/limits.ts'
import {
  type ApplyPorts,
  type Asked,
  applySteps,
  planEntries,
  planText,
} from '../../secrets/declared/apply.run.ts'
import { type Entry, readDocument } from '../../secrets/declared/document.ts'
import type { JsonObject } from '../../secrets/field.ts'
import type { Call } from '../command.ts'
import { ApiError, type SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { httpFlags } from './flags.ts'
import { isData, valueIn } from './secret.ts'

export const operatorApply = secretsVerb({
  usage: '[options]',
  flags: [
    { name: 'config', kind: 'list', doc: 'a file, or a folder of files; may be repeated' },
    { name: 'plan', kind: 'switch', doc: 'only say what would be changed: exit code 0, or 2' },
    { name: 'auto-approve', kind: 'switch', doc: 'do not ask before anything is changed' },
    {
      name: 'rewrite',
      kind: 'list',
      doc: 'write this entry whatever is there, such as: request "ops"; may be repeated',
    },
    ...httpFlags,
  ],
  examples: ['-config=secrets.hcl -plan', '-config=secrets.d -auto-approve'],
  args: [0, 0],
  async run(call, client) {
    const entries = await entriesOf(call)
    const status = await saying('Error asking for the seal', client.json(SEAL_STATUS))
    const isFirst = valueIn(status, 'initialized') !== true
    const isAutomatic = valueIn(status, 'recovery_seal') === true
    if (isFirst && !isAutomatic) throw new Failure(NO_AUTOMATIC_SEAL, 1)
    if (!isFirst && valueIn(status, 'sealed') === true) throw new Failure('Vault is sealed', 2)
    if (isFirst) {
      call.io.print(`  + initialise, with the seal ${valueIn(status, 'type')}`)
      for (const { name } of entries) call.io.print(`  + ${name}`)
      if (call.flags.isOn('plan')) return HAS_CHANGES
      if (!(await mayGoOn(call))) return 1
      return first(call, client, entries)
    }
    return apply(call, client, entries, false)
  },
})

const SEAL_STATUS = { method: 'GET', path: 'sys/seal-status', isAside: true } as const
const HAS_CHANGES = 2
const NO_AUTOMATIC_SEAL =
  'the server is not initialised, and its seal needs people: use `operator init`, or a seal stanza'

async function entriesOf({ flags, io }: Call): Promise<readonly Entry[]> {
  const paths = flags.list('config')
  if (paths.length === 0) throw new Failure('-config names no file', 1)
  const texts = []
  for (const path of paths) {
    try {
      texts.push(...(await readTexts(path, (await stat(path)).isDirectory(), 'auto')))
    } catch (error) {
      throw new Failure(`-config: ${(error as Error).message}`, 1)
    }
  }
  const { entries, problems } = readDocument(texts)
  if (problems.length > 0) throw new Failure(problems.join('\n'), 1)
  const unknown = flags.list('rewrite').find(name => !entries.some(each => each.name === name))
  if (unknown !== undefined) throw new Failure(`-rewrite: no entry is ${unknown}`, 1)
  if (entries.length === 0) io.printError('The files name nothing.')
  return entries
}

/** Initialises, and applies by a token that ends by itself; the first token is gone before that. */
async function first(call: Call, client: SecretsClient, entries: readonly Entry[]) {
  const body = { recovery_shares: 0, recovery_threshold: 0 }
  const init = { method: 'PUT', path: 'sys/init', body } as const
  const made = await saying('Error initialising', client.json(init))
  const root = valueIn(made, 'root_token')
  if (typeof root !== 'string') throw new Failure('the server gave no token', 2)
  client.token = root
  try {
    const ttl = `${limits.applyTokenMs / 1_000}s`
    const wish = { policies: ['root'], ttl, no_parent: true, display_name: 'apply' }
    const secret = await client.write('auth/token/create', wish)
    const token = secret?.auth?.client_token
    if (typeof token !== 'string') throw new Failure('the server gave no token to apply with', 2)
    await client.write('auth/token/revoke-self')
    client.token = token
    return await apply(call, client, entries, true)
  } finally {
    await client.write('auth/token/revoke-self')
  }
}

async function apply(
  call: Call,
  client: SecretsClient,
  entries: readonly Entry[],
  isFirst: boolean,
): Promise<number> {
  const { flags, io } = call
  const ports = portsOf(call, client)
  const planned = await planEntries(entries, ports, { isFirst, rewritten: flags.list('rewrite') })
  if ('problem' in planned) throw new Failure(planned.problem, 2)
  const { steps } = planned
  if (!isFirst) io.print(planText(steps))
  const open = steps.filter(({ action }) => action !== 'none').length
  if (flags.isOn('plan')) return open === 0 ? 0 : HAS_CHANGES
  if (open === 0) return 0
  if (!isFirst && !(await mayGoOn(call))) return 1
  let count = 0
  const problem = await applySteps(steps, ports, ({ entry }) => {
    count += 1
    io.print(`Applied ${entry.name}`)
  })
  if (problem === undefined) return 0
  const text = `${count} of ${open} were applied; applying again goes on from there`
  throw new Failure(`${problem}\n${text}`, 2)
}

async function mayGoOn({ flags, io }: Call): Promise<boolean> {
  if (flags.isOn('auto-approve')) return true
  if (!io.isTerminal || flags.isOn('non-interactive')) {
    throw new Failure('nobody can be asked here: pass -auto-approve', 1)
  }
  const answer = await io.askSecret('Apply this? Only yes counts: ')
  if (answer.trim() === 'yes') return true
  io.printError('Nothing was changed.')
  return false
}

function portsOf({ io }: Call, client: SecretsClient): ApplyPorts {
  return {
    environment: io.environment,
    readFile: path => readFile(path, 'utf8'),
    async ask(operation, path, data): Promise<Asked> {
      try {
        const method = METHODS[operation]
        const body = method === 'GET' || method === 'DELETE' ? {} : { body: data }
        const headers = method === 'PATCH' ? MERGE : {}
        const reply = await client.ask({ method, path, headers, ...body, isAside: true })
        return { status: reply.status, data: dataIn(reply.body), errors: [] }
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        return { status: error.status ?? 0, data: {}, errors: error.errors }
      }
    },
  }
}

const METHODS = { read: 'GET', update: 'POST', patch: 'PATCH', delete: 'DELETE' } as const
const MERGE = { 'Content-Type': 'application/merge-patch+json' }

function dataIn(body: Buffer): JsonObject {
  if (body.length === 0) return {}
  const data = valueIn(parseExact(body.toString('utf8')) as never, 'data')
  return isData(data) ? (data as JsonObject) : {}
}
