/**
 * The verbs `lease lookup`, `lease renew` and `lease revoke`.
 *
 * Owns their flags, texts and exit codes, which are those of Vault's command line.
 */
import type { Call } from '../command.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { fieldFlag, formatFlag, httpFlags, secondsOf } from './flags.ts'
import { complain, printSecret } from './output.ts'

const printFlags = [fieldFlag, formatFlag, ...httpFlags]

function leaseOf({ args }: Call): string {
  if (args.length === 0) throw new Failure('Missing ID!', 1)
  return (args[0] ?? '').trim()
}

export const leaseLookup = secretsVerb({
  usage: '[options] ID',
  flags: printFlags,
  examples: ['database/creds/app/2f6a614c'],
  args: [0, 1],
  async run(call, client) {
    const id = leaseOf(call)
    const work = client.write('sys/leases/lookup', { lease_id: id })
    const secret = await saying(`error looking up lease id ${id}`, work)
    return secret === undefined ? complain(call, 'the answer is empty') : printSecret(call, secret)
  },
})

export const leaseRenew = secretsVerb({
  usage: '[options] ID',
  flags: [
    { name: 'increment', kind: 'text', doc: 'for how long, if the server agrees' },
    { name: 'i', kind: 'text', doc: 'the same as -increment' },
    ...printFlags,
  ],
  examples: ['-increment=1h database/creds/app/2f6a614c'],
  args: [0, 1],
  async run(call, client) {
    const id = leaseOf(call)
    const increment = secondsOf(call, 'increment') ?? secondsOf(call, 'i') ?? 0
    const work = client.write('sys/leases/renew', { increment, lease_id: id })
    const secret = await saying(`Error renewing ${id}`, work)
    return secret === undefined ? complain(call, 'the answer is empty') : printSecret(call, secret)
  },
})

export const leaseRevoke = secretsVerb({
  usage: '[options] ID',
  flags: [
    { name: 'prefix', kind: 'switch', doc: 'all leases whose ids begin so' },
    {
      name: 'force',
      kind: 'switch',
      doc: 'forget them even where the engine cannot end them; with -prefix',
    },
    { name: 'f', kind: 'switch', doc: 'the same as -force' },
    { name: 'sync', kind: 'switch', doc: 'wait until they are ended' },
    ...httpFlags,
  ],
  examples: ['database/creds/app/2f6a614c', '-prefix -sync database/creds', '-force -prefix aws/'],
  args: [1, 1],
  async run(call, client) {
    const { flags, io } = call
    const id = leaseOf(call)
    const isForced = flags.isOn('force') || flags.isOn('f')
    const [isPrefix, sync] = [flags.isOn('prefix'), flags.isOn('sync')]
    if (isForced && !isPrefix) {
      throw new Failure('Specifying -force requires also specifying -prefix', 1)
    }
    if (isForced) {
      io.printError('Warning! What the engine made for these leases may go on to exist.')
      const work = client.write(`sys/leases/revoke-force/${id}`)
      await saying(`Error force revoking leases with prefix ${id}`, work)
      io.print(`Success! Force revoked any leases with prefix: ${id}`)
      return 0
    }
    const [fault, done] = isPrefix
      ? [`Error revoking leases with prefix ${id}`, `Revoked any leases with prefix: ${id}`]
      : [`Error revoking lease ${id}`, `Revoked lease: ${id}`]
    const work = isPrefix
      ? client.write(`sys/leases/revoke-prefix/${id}`, { sync })
      : client.write('sys/leases/revoke', { lease_id: id, sync })
    await saying(fault, work)
    io.print(sync ? `Success! ${done}` : 'All revocation operations queued successfully!')
    return 0
  },
})
