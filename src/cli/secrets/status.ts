/**
 * The verb `status`, and how the state of the seal is printed wherever it is.
 *
 * Owns the exit codes: 0 unsealed, 2 sealed, 1 for an error.
 */
import type { Call } from '../command.ts'
import { ClientError } from '../exchange.ts'
import { ApiError, type SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { fieldFlag, formatFlag, httpFlags } from './flags.ts'
import { isTable, printData, printField } from './output.ts'
import { type Data, valueIn } from './secret.ts'
import { headedTable } from './table.ts'
import { goText } from './values.ts'

export const status = secretsVerb({
  usage: '[options]   (exit code 2: sealed)',
  flags: [fieldFlag, formatFlag, ...httpFlags],
  examples: ['', '-format=json', '-field=sealed'],
  args: [0, 0],
  async run(call, client) {
    const ask = { method: 'GET', path: 'sys/seal-status' } as const
    const seal = await saying('Error checking seal status', client.json(ask), 1)
    if (seal === undefined) throw new Failure('Error checking seal status: no answer', 1)
    const code = await printSealStatus(call, client, seal, 1)
    return valueIn(seal, 'sealed') === true ? 2 : code
  },
})

/** Prints the state of the seal, with who leads; gives the exit code. */
export async function printSealStatus(
  call: Call,
  client: SecretsClient,
  seal: Data,
  faultCode = 2,
): Promise<number> {
  const known = { ...seal, ...(await leaderOf(client, faultCode)) }
  const field = call.flags.text('field')
  if (field) return printField(call, withNames(known), field)
  if (!isTable(call)) return printData(call, known)
  call.io.print(headedTable(['Key', 'Value'], rowsOf(known)))
  return 0
}

/** A sealed server does not say who leads; that it was asked at all means that others are. */
async function leaderOf(client: SecretsClient, faultCode: number): Promise<Data> {
  let leader: Data
  try {
    leader = (await client.json({ method: 'GET', path: 'sys/leader', isAside: true })) ?? {}
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    if (error.message.includes('Vault is sealed')) return { ha_enabled: true }
    // What is known of the seal is worth more than an error about who leads.
    if (error instanceof ApiError) return {}
    throw new Failure(`Error checking leader status: ${error.message}`, faultCode)
  }
  const isHa = valueIn(leader, 'ha_enabled') === true
  const keys = [
    'is_self',
    'active_time',
    'leader_address',
    'leader_cluster_address',
    'raft_committed_index',
    'raft_applied_index',
  ]
  const told = keys.map(key => [key, valueIn(leader, key)] as const)
  return { ha_enabled: isHa, ...Object.fromEntries(told.filter(([, value]) => Boolean(value))) }
}

const withNames = (known: Data): Data => ({
  ...known,
  ha_mode: valueIn(known, 'is_self') === true ? 'active' : 'standby',
})

function rowsOf(known: Data): string[][] {
  const text = (key: string): string => goText(valueIn(known, key) ?? '')
  const is = (key: string): boolean => valueIn(known, key) === true
  const row = (head: string, key: string): string[][] =>
    valueIn(known, key) ? [[head, text(key)]] : []
  const shares = is('recovery_seal') ? 'Total Recovery Shares' : 'Total Shares'
  const hasCluster = text('cluster_name') !== '' && text('cluster_id') !== ''
  return [
    ['Seal Type', text('type')],
    ...(is('recovery_seal') ? row('Recovery Seal Type', 'recovery_seal_type') : []),
    ['Initialized', text('initialized')],
    ['Sealed', text('sealed')],
    [shares, text('n')],
    ['Threshold', text('t')],
    ...(is('sealed')
      ? [
          ['Unseal Progress', `${text('progress')}/${text('t')}`],
          ['Unseal Nonce', text('nonce')],
        ]
      : []),
    ...row('Seal Migration in Progress', 'migration'),
    ...row('Version', 'version'),
    ...row('Build Date', 'build_date'),
    ...row('Storage Type', 'storage_type'),
    ...(hasCluster
      ? [...row('Cluster Name', 'cluster_name'), ...row('Cluster ID', 'cluster_id')]
      : []),
    ...(valueIn(known, 'ha_enabled') === undefined ? [] : [['HA Enabled', text('ha_enabled')]]),
    ...(is('ha_enabled') && !is('sealed') ? leaderRows(known) : []),
    ...row('Raft Committed Index', 'raft_committed_index'),
    ...row('Raft Applied Index', 'raft_applied_index'),
  ]
}

function leaderRows(known: Data): string[][] {
  const text = (key: string): string => goText(valueIn(known, key) ?? '')
  const isSelf = valueIn(known, 'is_self') === true
  const time = text('active_time')
  return [
    ['HA Cluster', text('leader_cluster_address')],
    ['HA Mode', isSelf ? 'active' : 'standby'],
    ...(isSelf && time !== '' && !time.startsWith('0001-') ? [['Active Since', time]] : []),
    ...(isSelf ? [] : [['Active Node Address', text('leader_address')]]),
  ]
}
