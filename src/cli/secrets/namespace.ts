/**
 * The verbs `namespace create`, `list`, `lookup`, `patch`, `delete`, `lock` and `unlock`.
 *
 * Owns their flags, texts and exit codes, which are those of Vault's command line.
 */
import type { Call } from '../command.ts'
import { askSecret } from './ask.ts'
import { ApiError, canonicalNamespace } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { fieldFlag, formatFlag, httpFlags, pairsOf } from './flags.ts'
import {
  complain,
  isTable,
  printData,
  printDone,
  printField,
  printListing,
  printSecret,
} from './output.ts'
import { barePath } from './paths.ts'
import { isData, type Secret, valueIn } from './secret.ts'
import { goText } from './values.ts'

const printFlags = [fieldFlag, formatFlag, ...httpFlags]
const pathOf = ({ args }: Call): string => `sys/namespaces/${barePath(args[0] ?? '')}`

/** The data of an answer, without its envelope. */
function printBare(call: Call, secret: Secret | undefined): number {
  if (secret === undefined) return complain(call, 'Namespace not found')
  if (secret.wrap_info) return printSecret(call, secret)
  const field = call.flags.text('field')
  const data = secret.data ?? {}
  return field ? printField(call, data, field) : printData(call, data)
}

export const namespaceCreate = secretsVerb({
  usage: '[options] PATH',
  flags: [
    { name: 'custom-metadata', kind: 'list', doc: 'KEY=VALUE that describes it; may be repeated' },
    ...printFlags,
  ],
  examples: ['team', '-ns=team -custom-metadata=owner=ada web'],
  args: [1, 1],
  async run(call, client) {
    const body = { custom_metadata: pairsOf(call, 'custom-metadata') }
    const work = client.write(pathOf(call), body)
    return printBare(call, await saying('Error creating namespace', work))
  },
})

export const namespaceList = secretsVerb({
  usage: '[options]',
  flags: [
    { name: 'detailed', kind: 'switch', doc: 'print what each is' },
    formatFlag,
    ...httpFlags,
  ],
  examples: ['', '-detailed'],
  args: [0, 0],
  async run(call, client) {
    const secret = await saying('Error listing namespaces', client.list('sys/namespaces'))
    if (secret === undefined && isTable(call)) return complain(call, 'No namespaces found')
    const info = valueIn(secret?.data, 'key_info')
    const isLong = call.flags.isOn('detailed') && !isTable(call) && isData(info)
    return isLong ? printData(call, info) : printListing(call, secret, 'sys/namespaces')
  },
})

export const namespaceLookup = secretsVerb({
  usage: '[options] PATH',
  flags: printFlags,
  examples: ['team'],
  args: [1, 1],
  async run(call, client) {
    const work = client.read(pathOf(call))
    return printBare(call, await saying('Error looking up namespace', work))
  },
})

export const namespacePatch = secretsVerb({
  usage: '[options] PATH',
  flags: [
    { name: 'custom-metadata', kind: 'list', doc: 'KEY=VALUE to set; may be repeated' },
    { name: 'remove-custom-metadata', kind: 'list', doc: 'a key to remove; may be repeated' },
    ...printFlags,
  ],
  examples: ['-custom-metadata=owner=ada -remove-custom-metadata=old team'],
  args: [1, 1],
  async run(call, client) {
    const set = pairsOf(call, 'custom-metadata')
    const removed = call.flags.list('remove-custom-metadata')
    if (Object.keys(set).length === 0 && removed.length === 0) {
      const text = 'Must supply at least one of -custom-metadata or -remove-custom-metadata'
      throw new Failure(text, 1)
    }
    const nulls = Object.fromEntries(removed.map(key => [key, null]))
    const work = client.patch(pathOf(call), { custom_metadata: { ...set, ...nulls } })
    try {
      return printBare(call, await work)
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        return complain(call, 'Namespace not found')
      }
      return saying('Error patching namespace', Promise.reject(error))
    }
  },
})

export const namespaceDelete = secretsVerb({
  usage: '[options] PATH   (with all that it holds)',
  flags: httpFlags,
  examples: ['team'],
  args: [1, 1],
  async run(call, client) {
    const secret = await saying('Error deleting namespace', client.remove(pathOf(call)))
    const path = canonicalNamespace(call.args[0] ?? '')
    if (!valueIn(secret?.data, 'status')) {
      call.io.printError('Requested namespace does not exist')
    } else {
      call.io.print(`Success! Namespace deletion scheduled: ${path}`)
    }
    return 0
  },
})

const lockPath = ({ args }: Call, verb: 'lock' | 'unlock'): string => {
  const below = canonicalNamespace(args[0] ?? '')
  return `sys/namespaces/api-lock/${verb}${below === '' ? '' : `/${barePath(below)}`}`
}

export const namespaceLock = secretsVerb({
  usage: '[options] [PATH]   (nobody asks anything of it until it is unlocked)',
  flags: [formatFlag, ...httpFlags],
  examples: ['team'],
  args: [0, 1],
  async run(call, client) {
    const secret = await saying('Error locking namespace', client.write(lockPath(call, 'lock')))
    if (!isTable(call)) return printData(call, secret?.data ?? {})
    call.io.print(`Unlock Key: ${goText(valueIn(secret?.data, 'unlock_key') ?? '')}`)
    return printDone(
      call,
      '\nThe namespace is locked now. Keep the key: it unlocks it again; without it that takes sudo.',
    )
  },
})

export const namespaceUnlock = secretsVerb({
  usage: '[options] [PATH]',
  flags: [formatFlag, ...httpFlags],
  examples: ['team'],
  args: [0, 1],
  async run(call, client) {
    const { flags } = call
    const isAsked = flags.text('unlock-key') === undefined && !flags.isOn('non-interactive')
    const key = isAsked
      ? await askSecret(call, 'Unlock Key', 'give -unlock-key or -non-interactive (with sudo)')
      : flags.text('unlock-key')
    const body = key ? { unlock_key: key } : {}
    const work = client.write(lockPath(call, 'unlock'), body)
    const secret = await saying('Error unlocking namespace', work)
    const warning = secret?.warnings?.[0]
    if (warning !== undefined) call.io.printError(warning)
    else call.io.print('Namespace unlocked successfully!')
    return 0
  },
})
