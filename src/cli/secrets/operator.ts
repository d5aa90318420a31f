/**
 * The verbs `operator init`, `unseal`, `seal`, `rotate`, `key-status`, `step-down` and `members`.
 *
 * Owns their flags, texts and exit codes, which are those of Vault's command line. Shares of the
 * key are asked for without being shown, or read from stdin.
 */
import type { Call, Flag } from '../command.ts'
import { secretFrom } from './ask.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { formatFlag, httpFlags } from './flags.ts'
import { isTable, printData } from './output.ts'
import { pgpKeyOf, pgpKeysOf } from './pgp.ts'
import { type Data, isData, valueIn } from './secret.ts'
import { printSealStatus } from './status.ts'
import { bareTable, headedTable, wrapped } from './table.ts'
import { goText } from './values.ts'

const printFlags = [formatFlag, ...httpFlags]
const KEY_SHARES = 5
const KEY_THRESHOLD = 3

/** How many shares a key is split into, and how many make it whole. */
export const shareFlags: readonly Flag[] = [
  {
    name: 'key-shares',
    kind: 'number',
    doc: `how many shares of the key there are (${KEY_SHARES})`,
  },
  { name: 'n', kind: 'number', doc: 'the same as -key-shares' },
  { name: 'key-threshold', kind: 'number', doc: `how many of them unseal (${KEY_THRESHOLD})` },
  { name: 't', kind: 'number', doc: 'the same as -key-threshold' },
  {
    name: 'pgp-keys',
    kind: 'list',
    doc: 'files of PGP keys that the shares are encrypted with, with commas between',
  },
]

/** The numbers that those flags give. */
export const sharesOf = ({ flags }: Call): { shares: number; threshold: number } => ({
  shares: flags.number('key-shares') ?? flags.number('n') ?? KEY_SHARES,
  threshold: flags.number('key-threshold') ?? flags.number('t') ?? KEY_THRESHOLD,
})

export const operatorInit = secretsVerb({
  usage: '[options]',
  flags: [
    { name: 'status', kind: 'switch', doc: 'say only whether it is done: exit code 0, or 2' },
    ...shareFlags,
    {
      name: 'root-token-pgp-key',
      kind: 'text',
      doc: 'file of the PGP key that the root token is encrypted with',
    },
    { name: 'recovery-shares', kind: 'number', doc: `shares of the recovery key (${KEY_SHARES})` },
    {
      name: 'recovery-threshold',
      kind: 'number',
      doc: `how many of them are needed (${KEY_THRESHOLD})`,
    },
    { name: 'recovery-pgp-keys', kind: 'list', doc: 'as -pgp-keys, of the recovery key' },
    ...printFlags,
  ],
  examples: ['', '-key-shares=1 -key-threshold=1 -format=json', '-status'],
  args: [0, 0],
  async run(call, client) {
    if (call.flags.isOn('status')) return printInitStatus(call, client)
    const seal = await client.json({ method: 'GET', path: 'sys/seal-status', isAside: true })
    const body = await initBody(call, valueIn(seal, 'recovery_seal') === true)
    const ask = { method: 'PUT', path: 'sys/init', body } as const
    const answer = (await saying('Error initializing', client.json(ask))) ?? {}
    if (!isTable(call)) return printData(call, machineInit(body, answer))
    printKeys(call, body, answer)
    return 0
  },
})

async function initBody(call: Call, isAutomatic: boolean): Promise<Data> {
  const { flags } = call
  const { shares, threshold } = sharesOf(call)
  const rootKey = flags.text('root-token-pgp-key')
  const recoveryKeys = await pgpKeysOf(call, 'recovery-pgp-keys')
  const root = rootKey ? { root_token_pgp_key: await pgpKeyOf(rootKey) } : {}
  if (isAutomatic) {
    return {
      recovery_shares: flags.number('recovery-shares') ?? KEY_SHARES,
      recovery_threshold: flags.number('recovery-threshold') ?? KEY_THRESHOLD,
      ...(recoveryKeys.length === 0 ? {} : { recovery_pgp_keys: recoveryKeys }),
      ...root,
    }
  }
  const keys = await pgpKeysOf(call, 'pgp-keys')
  return {
    secret_shares: shares,
    secret_threshold: threshold,
    ...(keys.length === 0 ? {} : { pgp_keys: keys }),
    ...root,
  }
}

async function printInitStatus(call: Call, client: SecretsClient): Promise<number> {
  const ask = { method: 'GET', path: 'sys/init' } as const
  const answer = await saying('Error checking init status', client.json(ask), 1)
  const initialized = valueIn(answer, 'initialized') === true
  if (isTable(call)) call.io.print(`Vault is ${initialized ? '' : 'not '}initialized`)
  else printData(call, { initialized })
  return initialized ? 0 : 2
}

const textsIn = (data: Data, key: string): readonly string[] => {
  const value = valueIn(data, key)
  return Array.isArray(value) ? value.map(goText) : []
}

/** As programs read it. */
function machineInit(body: Data, answer: Data): Data {
  const hasKeys = textsIn(answer, 'keys').length > 0
  return {
    unseal_keys_b64: textsIn(answer, 'keys_base64'),
    unseal_keys_hex: textsIn(answer, 'keys'),
    unseal_shares: hasKeys ? body.secret_shares : 1,
    unseal_threshold: hasKeys ? body.secret_threshold : 1,
    recovery_keys_b64: textsIn(answer, 'recovery_keys_base64'),
    recovery_keys_hex: textsIn(answer, 'recovery_keys'),
    recovery_keys_shares: body.recovery_shares ?? 0,
    recovery_keys_threshold: body.recovery_threshold ?? 0,
    root_token: valueIn(answer, 'root_token') ?? '',
  }
}

function printKeys({ io }: Call, body: Data, answer: Data): void {
  const named = (name: string, key: string): string[] => {
    const [hex, base64] = [textsIn(answer, key), textsIn(answer, `${key}_base64`)]
    const shown = base64.length === hex.length ? base64 : hex
    return shown.map((text, at) => `${name} Key ${at + 1}: ${text}`)
  }
  const keys = named('Unseal', 'keys')
  const recovery = named('Recovery', 'recovery_keys')
  for (const line of [...keys, ...recovery]) io.print(line)
  io.print(`\nInitial Root Token: ${goText(valueIn(answer, 'root_token') ?? '')}\n`)
  const { secret_shares, secret_threshold, recovery_shares, recovery_threshold } = body
  if (keys.length === 0) io.print('Success! Vault is initialized')
  else {
    io.print(
      wrapped(
        `Vault initialized with ${secret_shares} key shares and a key threshold of ${secret_threshold}. Give each share to a person of its own, and write the root token nowhere that lasts. After every start ${secret_threshold} shares unseal Vault; fewer never can, and nobody can make new ones without them.`,
      ),
    )
  }
  if (recovery.length === 0) return
  io.print('')
  io.print(
    wrapped(
      `Recovery key initialized with ${recovery_shares} key shares and a key threshold of ${recovery_threshold}. Give each share to a person of its own.`,
    ),
  )
}

export const operatorUnseal = secretsVerb({
  usage: '[options] [KEY]   (- reads it from stdin; without one, it is asked for)',
  flags: [
    { name: 'reset', kind: 'switch', doc: 'forget the shares that were given so far' },
    { name: 'migrate', kind: 'switch', doc: 'the share belongs to a change of the seal' },
    ...printFlags,
  ],
  examples: ['', '-', '-reset'],
  args: [0, 1],
  async run(call, client) {
    const isReset = call.flags.isOn('reset')
    const key = isReset ? '' : await secretFrom(call, call.args[0], 'Unseal Key')
    const migrate = call.flags.isOn('migrate')
    const body = isReset ? { reset: true } : { key, ...(migrate ? { migrate } : {}) }
    const fault = isReset ? 'Error resetting unseal process' : 'Error unsealing'
    const ask = { method: 'PUT', path: 'sys/unseal', body } as const
    return printSealStatus(call, client, (await saying(fault, client.json(ask))) ?? {})
  },
})

export const operatorSeal = secretsVerb({
  usage: '[options]',
  flags: httpFlags,
  examples: [''],
  args: [0, 0],
  async run(call, client) {
    await saying('Error sealing', client.write('sys/seal'))
    call.io.print('Success! Vault is sealed.')
    return 0
  },
})

export const operatorStepDown = secretsVerb({
  usage: '[options]',
  flags: httpFlags,
  examples: [''],
  args: [0, 0],
  async run(call, client) {
    await saying('Error stepping down', client.write('sys/step-down'))
    call.io.print(`Success! Stepped down: ${client.address}`)
    return 0
  },
})

export const operatorRotate = secretsVerb({
  usage: '[options]   (a new key for what is written from now on)',
  flags: printFlags,
  examples: [''],
  args: [0, 0],
  async run(call, client) {
    await saying('Error rotating key', client.write('sys/rotate'))
    const known = await keyStatus(client)
    if (!isTable(call)) return printData(call, known)
    call.io.print(`Success! Rotated key\n\n${keyText(known)}`)
    return 0
  },
})

export const operatorKeyStatus = secretsVerb({
  usage: '[options]',
  flags: printFlags,
  examples: [''],
  args: [0, 0],
  async run(call, client) {
    const known = await keyStatus(client)
    if (!isTable(call)) return printData(call, known)
    call.io.print(keyText(known))
    return 0
  },
})

async function keyStatus(client: SecretsClient): Promise<Data> {
  const secret = await saying('Error reading key status', client.read('sys/key-status'))
  if (secret?.data === undefined || secret.data === null) throw new Failure('no key status', 2)
  return secret.data
}

const keyText = (known: Data): string =>
  bareTable([
    ['Key Term', goText(valueIn(known, 'term'))],
    ['Install Time', goText(valueIn(known, 'install_time'))],
    ['Encryption Count', goText(valueIn(known, 'encryptions'))],
  ])

export const operatorMembers = secretsVerb({
  usage: '[options]',
  flags: printFlags,
  examples: [''],
  args: [0, 0],
  async run(call, client) {
    const known = await client.data({ method: 'GET', path: 'sys/ha-status' })
    if (!isTable(call)) return printData(call, known)
    const nodes = valueIn(known, 'nodes')
    const keys = [
      'hostname',
      'api_address',
      'cluster_address',
      'active_node',
      'version',
      'upgrade_version',
      'last_echo',
    ]
    const heads = ['Host Name', 'API Address', 'Cluster Address', 'Active Node']
    const rows = (Array.isArray(nodes) ? nodes : [])
      .filter(isData)
      .map(node => keys.map(key => goText(valueIn(node, key) ?? '')))
    call.io.print(headedTable([...heads, 'Version', 'Upgrade Version', 'Last Echo'], rows))
    return 0
  },
})
