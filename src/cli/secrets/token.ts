/**
 * The verbs `token create`, `lookup`, `renew`, `revoke` and `capabilities`.
 *
 * Owns their flags, texts and exit codes, which are those of Vault's command line. Where they
 * take a token, `-` reads it from stdin, so that nobody sees it among the processes.
 */
import type { Call, Flag } from '../command.ts'
import { readStdin } from './ask.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import {
  durationText,
  fieldFlag,
  formatFlag,
  httpFlags,
  itemsOf,
  pairsOf,
  secondsOf,
} from './flags.ts'
import { complain, isTable, printData, printSecret } from './output.ts'
import { type Secret, valueIn } from './secret.ts'
import { goText } from './values.ts'

const printFlags = [fieldFlag, formatFlag, ...httpFlags]
const accessorFlag: Flag = {
  name: 'accessor',
  kind: 'switch',
  doc: 'the argument is the accessor of a token',
}

/** The token or accessor of an argument; undefined when there is none. */
async function tokenFrom(call: Call): Promise<string | undefined> {
  const argument = call.args[0]?.trim()
  return argument === '-' ? readStdin(call) : argument || undefined
}

/** Prints what was found, or that nothing was. */
function printFound(call: Call, secret: Secret | undefined): number {
  return secret === undefined ? complain(call, 'the answer is empty') : printSecret(call, secret)
}

export const tokenCreate = secretsVerb({
  usage: '[options]',
  flags: [
    { name: 'policy', kind: 'list', doc: 'a policy of the token; may be repeated (the own ones)' },
    { name: 'ttl', kind: 'text', doc: 'how long it is good unless renewed' },
    { name: 'period', kind: 'text', doc: 'how long each renewal makes it good, without an end' },
    { name: 'explicit-max-ttl', kind: 'text', doc: 'when it ends for good' },
    { name: 'use-limit', kind: 'number', doc: 'how often it may be used (0: any number of times)' },
    { name: 'renewable', kind: 'switch', doc: 'it may be renewed (on unless -renewable=false)' },
    { name: 'orphan', kind: 'switch', doc: 'it has no parent that takes it along' },
    { name: 'no-default-policy', kind: 'switch', doc: 'without the policy `default`' },
    { name: 'role', kind: 'text', doc: 'the role that it is made by' },
    { name: 'type', kind: 'text', doc: 'service (default) or batch' },
    { name: 'display-name', kind: 'text', doc: 'a name that records show' },
    { name: 'metadata', kind: 'list', doc: 'KEY=VALUE that records show; may be repeated' },
    { name: 'entity-alias', kind: 'text', doc: 'the alias of its entity, with -role' },
    { name: 'id', kind: 'text', doc: 'the token itself, for others to see (drawn by the server)' },
    ...printFlags,
  ],
  examples: ['-policy=web -ttl=1h', '-orphan -period=24h -metadata=owner=ada -field=token'],
  args: [0, 0],
  async run(call, client) {
    const { flags } = call
    const role = flags.text('role')
    const type = flags.text('type') ?? 'service'
    const [ttl, period, most] = ['ttl', 'period', 'explicit-max-ttl'].map(name =>
      durationText(call, name),
    )
    const metadata = pairsOf(call, 'metadata')
    const policies = itemsOf(call, 'policy')
    const optional = {
      id: flags.text('id'),
      policies: policies.length === 0 ? undefined : policies,
      meta: Object.keys(metadata).length === 0 ? undefined : metadata,
      ttl,
      period,
      explicit_max_ttl: most,
      display_name: flags.text('display-name'),
      num_uses: flags.number('use-limit'),
      entity_alias: flags.text('entity-alias'),
    }
    const body = {
      ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
      type,
      renewable: type === 'batch' ? false : flags.isOn('renewable', true),
      no_parent: flags.isOn('orphan'),
      no_default_policy: flags.isOn('no-default-policy'),
    }
    const path = role ? `auth/token/create/${role}` : 'auth/token/create'
    const secret = await saying('Error creating token', client.write(path, body, 'POST'))
    return printFound(call, secret)
  },
})

export const tokenLookup = secretsVerb({
  usage: '[options] [TOKEN | ACCESSOR]   (- reads it from stdin; without one, the own token)',
  flags: [accessorFlag, ...printFlags],
  examples: ['', '-', '-accessor Gkd2LDW4Hzh9Cp8vKcEFXO2m'],
  args: [0, 1],
  async run(call, client) {
    const token = await tokenFrom(call)
    const isAccessor = call.flags.isOn('accessor')
    if (isAccessor && token === undefined) {
      throw new Failure('Not enough arguments with -accessor (expected 1, got 0)', 1)
    }
    const work =
      token === undefined
        ? client.read('auth/token/lookup-self')
        : isAccessor
          ? client.write('auth/token/lookup-accessor', { accessor: token }, 'POST')
          : client.write('auth/token/lookup', { token }, 'POST')
    return printFound(call, await saying('Error looking up token', work))
  },
})

export const tokenRenew = secretsVerb({
  usage: '[options] [TOKEN | ACCESSOR]   (- reads it from stdin; without one, the own token)',
  flags: [
    accessorFlag,
    { name: 'increment', kind: 'text', doc: 'for how long, if the server agrees' },
    { name: 'i', kind: 'text', doc: 'the same as -increment' },
    ...printFlags,
  ],
  examples: ['', '-increment=1h', '-increment=1h -'],
  args: [0, 1],
  async run(call, client) {
    const token = await tokenFrom(call)
    const increment = secondsOf(call, 'increment') ?? secondsOf(call, 'i') ?? 0
    const isAccessor = call.flags.isOn('accessor')
    const work =
      token === undefined
        ? client.write('auth/token/renew-self', { increment })
        : isAccessor
          ? client.write('auth/token/renew-accessor', { accessor: token, increment }, 'POST')
          : client.write('auth/token/renew', { token, increment })
    return printFound(call, await saying('Error renewing token', work))
  },
})

export const tokenRevoke = secretsVerb({
  usage: '[options] [TOKEN | ACCESSOR]   (- reads it from stdin)',
  flags: [
    accessorFlag,
    { name: 'self', kind: 'switch', doc: 'the token that is asked with' },
    {
      name: 'mode',
      kind: 'text',
      doc: 'orphan leaves its children; path takes all that came from a login below the argument',
    },
    ...httpFlags,
  ],
  examples: ['-', '-self', '-mode=orphan -', '-mode=path auth/userpass'],
  args: [0, 1],
  async run(call, client) {
    refuseRevocation(call)
    const token = (await tokenFrom(call)) ?? ''
    await saying('Error revoking token', revoking(call, client, token))
    call.io.print('Success! Revoked token (if it existed)')
    return 0
  },
})

function revoking({ flags }: Call, client: SecretsClient, token: string) {
  const mode = flags.text('mode')
  if (flags.isOn('self')) return client.write('auth/token/revoke-self')
  if (flags.isOn('accessor')) {
    return client.write('auth/token/revoke-accessor', { accessor: token }, 'POST')
  }
  if (mode === 'path') return client.write(`sys/leases/revoke-prefix/${token}`)
  if (mode === 'orphan') return client.write('auth/token/revoke-orphan', { token })
  return client.write('auth/token/revoke', { token })
}

function refuseRevocation({ args, flags }: Call): void {
  const mode = flags.text('mode') ?? ''
  const [isSelf, isAccessor] = [flags.isOn('self'), flags.isOn('accessor')]
  const got = args.length
  const mistake = !['', 'orphan', 'path'].includes(mode)
    ? `Invalid mode: ${mode}`
    : isSelf && got > 0
      ? `Too many arguments with -self (expected 0, got ${got})`
      : !isSelf && got < 1
        ? `Not enough arguments (expected 1 or -self, got ${got})`
        : isSelf && isAccessor
          ? 'Cannot use -self with -accessor!'
          : isSelf && mode !== ''
            ? 'Cannot use -self with -mode!'
            : isAccessor && mode !== ''
              ? `Cannot use -accessor with -mode=${mode}!`
              : undefined
  if (mistake !== undefined) throw new Failure(mistake, 1)
}

export const tokenCapabilities = secretsVerb({
  usage: '[options] [TOKEN | ACCESSOR] PATH   (- reads it from stdin; without one, the own token)',
  flags: [accessorFlag, formatFlag, ...httpFlags],
  examples: ['secret/data/web', '- secret/data/web'],
  args: [1, 2],
  async run(call, client) {
    const isOwn = call.args.length === 1
    const isAccessor = call.flags.isOn('accessor')
    if (isOwn && isAccessor) {
      throw new Failure('Not enough arguments with -accessor (expected 2, got 1)', 1)
    }
    const path = call.args.at(-1) ?? ''
    const token = isOwn ? undefined : await tokenFrom(call)
    const work =
      token === undefined
        ? client.write('sys/capabilities-self', { path }, 'POST')
        : isAccessor
          ? client.write('sys/capabilities-accessor', { accessor: token, path }, 'POST')
          : client.write('sys/capabilities', { token, path }, 'POST')
    const secret = await saying('Error listing capabilities', work)
    const found = valueIn(secret?.data, 'capabilities') ?? valueIn(secret?.data, path)
    if (!Array.isArray(found)) throw new Failure('No capabilities found', 1)
    const capabilities = found.map(goText).sort()
    if (!isTable(call)) return printData(call, capabilities)
    call.io.print(capabilities.join(', '))
    return 0
  },
})
