/**
 * The verbs `kv move`, `kv copy` and `kv search`: what our engine with versions does besides.
 *
 * Owns their flags and texts; Vault has none of the three. A move is one transaction of the
 * server's, so nothing is lost or doubled on the way, and no value comes here.
 */
import type { Call } from '../command.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { detailedFlag, formatFlag, httpFlags } from './flags.ts'
import { type KvPlace, mountFlag, versionedPlaceOf } from './kv-place.ts'
import { printListing } from './output.ts'
import { barePath, joined } from './paths.ts'

const placeOf = (call: Call, client: SecretsClient, verb: string): Promise<KvPlace> => {
  const refusal = `K/V engine mount must be version 2 for ${verb} support`
  return versionedPlaceOf(call, client, call.args[0] ?? '', refusal, 2)
}

function transferVerb(kind: 'move' | 'copy') {
  return secretsVerb({
    usage: '[options] FROM TO   (both in one mount)',
    flags: [
      { name: 'overwrite', kind: 'switch', doc: 'replace a key that is there already' },
      mountFlag,
      ...httpFlags,
    ],
    examples: ['secret/web secret/team/web', '-mount=secret -overwrite web team/web'],
    args: [2, 2],
    async run(call, client) {
      const { args, flags, io } = call
      const place = await placeOf(call, client, kind)
      const destination = destinationIn(place, args[1] ?? '', flags.text('mount') !== undefined)
      const path = place.pathOf(kind)
      const overwrite = flags.isOn('overwrite')
      const work = client.write(path, { destination, overwrite })
      await saying(kind === 'move' ? `Error moving ${path}` : `Error copying ${path}`, work)
      const [from, to] = [joined(place.mount, place.rest), joined(place.mount, destination)]
      io.print(`Success! ${kind === 'move' ? 'Moved' : 'Copied'} ${from} to ${to}`)
      return 0
    },
  })
}

export const kvMove = transferVerb('move')
export const kvCopy = transferVerb('copy')

/** The path below the mount that a key is to have. */
function destinationIn({ mount }: KvPlace, argument: string, isBelow: boolean): string {
  const to = barePath(argument)
  if (isBelow) return to
  if (to.startsWith(`${mount}/`)) return to.slice(mount.length + 1)
  throw new Failure(`TO must be in the same mount as FROM: ${mount}/…`, 1)
}

export const kvSearch = secretsVerb({
  usage: '[options] PATH   (only what the token may read is found)',
  flags: [
    { name: 'key', kind: 'text', doc: 'a part of the path that is looked for, in any case' },
    {
      name: 'custom-metadata',
      kind: 'list',
      doc: 'KEY=VALUE that a key must have, * for any value; may be repeated',
    },
    { name: 'after', kind: 'text', doc: 'begin behind this name' },
    { name: 'limit', kind: 'number', doc: 'print no more than so many' },
    mountFlag,
    detailedFlag,
    formatFlag,
    ...httpFlags,
  ],
  examples: ['-key=web secret/', '-custom-metadata=owner=ada -detailed secret/team'],
  args: [0, 1],
  async run(call, client) {
    const { args, flags } = call
    if (args.length === 0 && !flags.text('mount')) {
      throw new Failure('Not enough arguments (expected 1, got 0)', 1)
    }
    const place = await placeOf(call, client, 'search')
    const path = joined(place.mount, 'search')
    const notes = flags.list('custom-metadata')
    const query = {
      prefix: place.rest || undefined,
      key: flags.text('key') || undefined,
      custom_metadata: notes.length === 0 ? undefined : notes,
      after: flags.text('after') || undefined,
      limit: flags.text('limit'),
    }
    return printListing(
      call,
      await saying(`Error searching ${path}`, client.read(path, query)),
      path,
    )
  },
})
