/**
 * The verb `operator recover`: rebuilds a cluster from the disk of one server, with nobody running.
 *
 * Owns its words: what each disk holds, which one is kept, and what is to be done next.
 */
import { resolve } from 'node:path'
import { recoverDisk } from '../agent/recover.ts'
import { messageOf } from '../base/errors.ts'
import { type Command, countMistake, fail } from './command.ts'
import { columns } from './table.ts'

export const operatorRecover: Command = {
  usage: '[options]',
  flags: [
    { name: 'data-dir', kind: 'text', doc: 'data folder of this server (./data)' },
    {
      name: 'from',
      kind: 'list',
      doc: "a copy of another server's data folder; the newest counts",
    },
    { name: 'etcd', kind: 'text', doc: 'path of etcd; looked for by default' },
    { name: 'yes', kind: 'switch', doc: 'do it; without it only what would be done is told' },
  ],
  examples: ['-data-dir=data', '-data-dir=data -from=copies/n2 -from=copies/n3 -yes'],
  async run({ args, flags, io, program }) {
    const mistake = countMistake(args, 0)
    if (mistake !== undefined) return fail(io, mistake)
    const isConfirmed = flags.isOn('yes')
    const dataDir = resolve(flags.text('data-dir') ?? 'data')
    const etcd = flags.text('etcd')
    let recovery: Awaited<ReturnType<typeof recoverDisk>>
    try {
      recovery = await recoverDisk(
        {
          ...{ dataDir, isConfirmed, program: etcd === undefined ? undefined : resolve(etcd) },
          others: flags.list('from').map(one => resolve(one)),
        },
        { clock: io.clock, random: io.random, environment: io.environment },
      )
    } catch (error) {
      return fail(io, `Error recovering: ${messageOf(error)}`)
    }
    const { disks, putAside } = recovery
    const head = ['Disk', 'Revision', 'Term', 'Entry', 'Size']
    const MIB = 1_048_576
    const rows = disks.map(one => [
      ...[one.folder, String(one.revision), String(one.raftTerm), String(one.raftIndex)],
      `${(one.sizeBytes / MIB).toFixed(1)} MiB`,
    ])
    io.print(columns([head, ...rows]))
    const kept = disks[0]
    io.print(`\nThe newest revision is ${kept?.revision}, on ${kept?.folder}.`)
    if (putAside === undefined) {
      io.print(
        'Nothing was changed. What later revisions held on lost disks is lost. To keep this one:\n' +
          `  ${program} operator recover -yes …`,
      )
      return 0
    }
    io.print(
      `It is the data of this server now, alone in its cluster. What was there: ${putAside}\n` +
        'Next:\n' +
        '  1. on every other server, remove etcd/, member/ and cluster.json from its data folder\n' +
        '  2. start gatehouse here, and wait until it answers\n' +
        '  3. start the others with a join token and -retry-join naming this server',
    )
    return 0
  },
}
