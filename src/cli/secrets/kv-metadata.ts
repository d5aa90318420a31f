/**
 * The verbs `kv metadata get`, `put`, `patch` and `delete`: what a versioned engine knows of a
 * key beside its data.
 *
 * Owns their flags, texts and exit codes, which are those of Vault's command line.
 */
import type { Call, Flag } from '../command.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { durationText, fieldFlag, formatFlag, httpFlags, pairsOf } from './flags.ts'
import { mountFlag, versionedPlaceOf } from './kv-place.ts'
import { withRefusal } from './logical.ts'
import { complain, isTable, printAnswer, printData, printSecret } from './output.ts'
import { type Data, isData, valueIn } from './secret.ts'
import { titleOf, titleOfMap } from './table.ts'

const commonFlags = [mountFlag, formatFlag, ...httpFlags]
const settingFlags: readonly Flag[] = [
  { name: 'max-versions', kind: 'number', doc: 'how many versions are kept' },
  { name: 'cas-required', kind: 'switch', doc: 'take only writes that name a version' },
  { name: 'delete-version-after', kind: 'text', doc: 'delete a version when it is so old' },
  {
    name: 'custom-metadata',
    kind: 'list',
    doc: 'KEY=VALUE that describes the key; may be repeated',
  },
]

const placeOf = async (call: Call, client: SecretsClient): Promise<string> => {
  const refusal = 'Metadata not supported on KV Version 1'
  return (await versionedPlaceOf(call, client, call.args[0] ?? '', refusal)).pathOf('metadata')
}

export const kvMetadataGet = secretsVerb({
  usage: '[options] KEY',
  flags: [fieldFlag, ...commonFlags],
  examples: ['secret/web', '-mount=secret web'],
  args: [1, 1],
  async run(call, client) {
    const { io, flags } = call
    const path = await placeOf(call, client)
    const secret = await saying(`Error reading ${path}`, client.read(path))
    if (secret === undefined) return complain(call, `No value found at ${path}`)
    if (flags.text('field') || secret.wrap_info || !isTable(call)) return printSecret(call, secret)
    const { versions, ...rest } = secret.data ?? {}
    if (!isData(versions)) return complain(call, `No value found at ${path}`)
    io.print(`${titleOf('Metadata Path', path.length)}\n${path}\n`)
    io.print(titleOfMap('Metadata', Object.keys(rest)))
    printSecret(call, { ...secret, data: rest })
    for (const number of Object.keys(versions).sort((a, b) => Number(a) - Number(b))) {
      const version = valueIn(versions, number)
      if (!isData(version)) continue
      io.print(`\n${titleOfMap(`Version ${number}`, Object.keys(version))}`)
      printData(call, version)
    }
    return 0
  },
})

export const kvMetadataPut = secretsVerb({
  usage: '[options] KEY   (what is not given is put back to its default)',
  flags: [...settingFlags, ...commonFlags],
  examples: ['-max-versions=5 -custom-metadata=owner=ada secret/web'],
  args: [1, 1],
  async run(call, client) {
    const body = settingsOf(call, pairsOf(call, 'custom-metadata'))
    const path = await placeOf(call, client)
    const work = client.write(path, body)
    const secret = await withRefusal(call, `Error writing data to ${path}`, work)
    return printAnswer(call, secret, `Success! Data written to: ${path}`)
  },
})

export const kvMetadataPatch = secretsVerb({
  usage: '[options] KEY   (what is not given stays as it is)',
  flags: [
    ...settingFlags,
    { name: 'remove-custom-metadata', kind: 'list', doc: 'a key to remove; may be repeated' },
    ...commonFlags,
  ],
  examples: ['-custom-metadata=owner=ada -remove-custom-metadata=old secret/web'],
  args: [1, 1],
  async run(call, client) {
    const removed = call.flags.list('remove-custom-metadata').map(key => [key, null])
    const custom = { ...pairsOf(call, 'custom-metadata'), ...Object.fromEntries(removed) }
    const body = settingsOf(call, custom)
    const path = await placeOf(call, client)
    const secret = await saying(`Error writing data to ${path}`, client.patch(path, body))
    return printAnswer(call, secret, `Success! Data written to: ${path}`)
  },
})

export const kvMetadataDelete = secretsVerb({
  usage: '[options] KEY   (with all versions of its data, for ever)',
  flags: commonFlags,
  examples: ['secret/web'],
  args: [1, 1],
  async run(call, client) {
    const path = await placeOf(call, client)
    await withRefusal(call, `Error deleting ${path}`, client.remove(path))
    call.io.print(`Success! Data deleted (if it existed) at: ${path}`)
    return 0
  },
})

function settingsOf(call: Call, custom: Data): Data {
  const { flags } = call
  const most = flags.number('max-versions')
  if (most !== undefined && most < 0) throw new Failure('-max-versions must not be below 0', 1)
  const age = durationText(call, 'delete-version-after')
  const isStrict = flags.given.some(({ name }) => name === 'cas-required')
  return {
    ...(most === undefined ? {} : { max_versions: most }),
    ...(age === undefined ? {} : { delete_version_after: age }),
    ...(isStrict ? { cas_required: flags.isOn('cas-required') } : {}),
    ...(Object.keys(custom).length === 0 ? {} : { custom_metadata: custom }),
  }
}
