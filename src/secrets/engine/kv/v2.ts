/**
 * The key/value engine, version 2: the paths (Vault's API, `kv` version 2).
 *
 * Owns how requests and answers look; what is done to versions is versioned.ts's. Beside Vault's
 * paths there are `move`, `copy` and `search`. Pure.
 */

import { formatDuration } from '../../../base/duration.ts'
import { Refusal } from '../../../base/errors.ts'
import { stringifyExact } from '../../../base/exact-json.ts'
import { limits } from '../../../base/limits.ts'
import { mergePatch } from '../../../base/merge-patch.ts'
import { may } from '../../access.ts'
import { type Answer, type Call, NOTHING, type Outcome, path } from '../../declare.ts'
import {
  bool,
  int,
  intList,
  type Json,
  type JsonObject,
  kv,
  map,
  signedDur,
  str,
  toInt,
} from '../../field.ts'
import { asSeveral, DENIED } from '../../refusals.ts'
import * as shape from '../../shape.ts'
import type { Storage } from '../../storage.ts'
import { folderOf, keysAnswer } from './v1.ts'
import {
  addVersion,
  changeVersions,
  configOf,
  isDeleted,
  newSecret,
  putConfig,
  putSecret,
  readValue,
  refuseCas,
  removeSecret,
  type SecretRow,
  secretAt,
  secretKeys,
  secretNames,
  transfer,
  type VersionRow,
  valueText,
} from './versioned.ts'

const timeText = (ms: number): string => new Date(ms).toISOString()
const timeOrNone = (ms: number): string => (ms === 0 ? '' : timeText(ms))

const where = { path: str('Location of the secret.') }
const paged = {
  after: str('List only what stands behind this key.'),
  limit: int('List at most so many keys; 0 for all.'),
}

const versionShape = shape.object({
  created_time: shape.time,
  deletion_time: shape.timeOrNone,
  destroyed: shape.bool,
})
const customShape = shape.nullable(shape.mapOf(shape.text))
const aboutShape = shape.object({
  version: shape.int,
  created_time: shape.time,
  deletion_time: shape.timeOrNone,
  destroyed: shape.bool,
  custom_metadata: customShape,
})

/** What is told of a version. */
function about({ customMetadata }: SecretRow, version: number, row: VersionRow) {
  return {
    version,
    created_time: timeText(row.createdMs),
    deletion_time: timeOrNone(row.deletionMs ?? 0),
    destroyed: row.destroyed === true,
    custom_metadata: customMetadata,
  }
}

/** The same as JSON, made once for each version as long as the row stands. */
function aboutText(secret: SecretRow, version: number, row: VersionRow): string {
  const known = aboutTexts.get(secret) ?? new Map<number, string>()
  let text = known.get(version)
  if (text === undefined) {
    text = stringifyExact(about(secret, version, row))
    aboutTexts.set(secret, known.set(version, text))
  }
  return text
}

const aboutTexts = new WeakMap<SecretRow, Map<number, string>>()

// --- data

const dataFields = {
  ...where,
  version: int('The version to read; the newest unless given.'),
  data: map('What the secret holds.'),
  options: map('`cas`: the version that the write stands on; 0 where there must be none.'),
}
type DataCall = Call<typeof dataFields>

const dataPath = path({
  pattern: 'data/{path*}',
  help: {
    synopsis: 'Reads and writes versions of a secret.',
    description: 'Each write makes a version; the newest is read unless another is named.',
  },
  fields: dataFields,
  access: 'authorized',
  exists: ({ storage, fields }) => secretAt(storage, fields.path ?? '') !== undefined,
  operations: {
    read: {
      summary: 'Reads a version.',
      answer: shape.object({ data: shape.nullable(shape.anyObject), metadata: aboutShape }),
      run: readData,
    },
    update: {
      summary: 'Writes a version.',
      answer: aboutShape,
      run: writeData,
      examples: [{ data: { password: 'example' }, options: { cas: 0 } }],
    },
    patch: {
      summary: 'Makes a version by merging into the newest one (RFC 7396).',
      answer: shape.object({
        version: shape.optional(shape.int),
        created_time: shape.optional(shape.time),
        deletion_time: shape.optional(shape.timeOrNone),
        destroyed: shape.optional(shape.bool),
        custom_metadata: shape.optional(customShape),
        data: shape.optional(shape.nullable(shape.anyObject)),
        metadata: shape.optional(aboutShape),
      }),
      run: patchData,
    },
    delete: { summary: 'Deletes the newest version; it can be brought back.', run: deleteNewest },
  },
})

/** The version that is meant, with its row; undefined where it is not there. */
function versionOf(secret: SecretRow | undefined, wanted: number) {
  if (secret === undefined) return undefined
  const version = wanted === 0 ? secret.currentVersion : wanted
  const row = Object.hasOwn(secret.versions, version) ? secret.versions[version] : undefined
  return row && { secret, version, row }
}

function readData({ storage, fields: { path: at = '', version = 0 }, now }: DataCall): Outcome {
  if (version < 0) return new Refusal(400, 'version must be positive')
  const found = versionOf(secretAt(storage, at), version)
  if (found === undefined) return NOTHING
  const { secret, row } = found
  const metadata = aboutText(secret, found.version, row)
  if (row.destroyed || isDeleted(row, now)) {
    return { status: 404, dataText: `{"data":null,"metadata":${metadata}}` }
  }
  const value = valueText(storage, at, secret, found.version)
  return { dataText: `{"data":${value ?? 'null'},"metadata":${metadata}}` }
}

/** The version that a write says it stands on; a refusal where it is no number. */
function casOf(options: JsonObject | undefined): number | undefined | Refusal {
  const given = options !== undefined && Object.hasOwn(options, 'cas') ? options.cas : undefined
  if (given === undefined || given === null) return undefined
  return toInt(given) ?? new Refusal(400, 'error parsing check-and-set parameter')
}

function writeData({ storage, fields, given, now }: DataCall): Outcome {
  const { path: at = '', data, options } = fields
  if (!given('data') || data === undefined) return new Refusal(400, 'no data provided')
  if (at === '') return new Refusal(400, 'missing path')
  const cas = casOf(options)
  if (cas instanceof Refusal) return cas
  const refusal = refuseCas(storage, secretAt(storage, at), cas)
  if (refusal !== undefined) return refusal
  const after = addVersion(storage, at, data, now)
  return { data: about(after, after.currentVersion, after.versions[after.currentVersion]!) }
}

function patchData({ storage, fields, given, now }: DataCall): Outcome {
  const { path: at = '', data, options } = fields
  if (!given('data') || data === undefined) return new Refusal(400, 'no data provided')
  const found = versionOf(secretAt(storage, at), 0)
  if (found === undefined) return { status: 404 }
  const { secret, version, row } = found
  if (row.destroyed || isDeleted(row, now)) {
    return { status: 404, data: { data: null, metadata: about(secret, version, row) } }
  }
  const cas = casOf(options)
  if (cas instanceof Refusal) return cas
  const refusal = refuseCas(storage, secret, cas)
  if (refusal !== undefined) return refusal
  const merged = mergePatch(readValue(storage, at, secret, version), data)
  const after = addVersion(storage, at, merged, now)
  return { data: about(after, after.currentVersion, after.versions[after.currentVersion]!) }
}

function deleteNewest({ storage, fields: { path: at = '' }, now }: DataCall): Outcome {
  const found = versionOf(secretAt(storage, at), 0)
  if (found === undefined || found.row.destroyed || isDeleted(found.row, now)) return NOTHING
  changeVersions(storage, at, found.secret, [found.version], deletedAt(now))
  return NOTHING
}

const deletedAt =
  (now: number) =>
  (row: VersionRow): VersionRow =>
    row.destroyed || isDeleted(row, now) ? row : { ...row, deletionMs: now }

// --- delete, undelete, destroy

const versionsFields = { ...where, versions: intList('The versions that are meant.') }

const versionsPath = (
  name: string,
  summary: string,
  changeOf: (now: number) => (row: VersionRow) => VersionRow,
) =>
  path({
    pattern: `${name}/{path*}`,
    help: { synopsis: summary, description: summary },
    fields: versionsFields,
    access: 'authorized',
    operations: {
      update: {
        summary,
        examples: [{ versions: [1] }],
        run({ storage, fields: { path: at = '', versions = [] }, now }) {
          if (versions.length === 0) return new Refusal(400, 'no version number provided')
          const secret = secretAt(storage, at)
          if (secret === undefined) return { status: 404 }
          changeVersions(storage, at, secret, versions, changeOf(now))
          return NOTHING
        },
      },
    },
  })

const deletePath = versionsPath('delete', 'Deletes versions; they can be brought back.', deletedAt)
const undeletePath = versionsPath(
  'undelete',
  'Brings back versions that were deleted.',
  () => row => (row.destroyed ? row : { ...row, deletionMs: 0 }),
)
const destroyPath = versionsPath(
  'destroy',
  'Removes the values of versions for ever.',
  () => row => ({ ...row, destroyed: true }),
)

// --- config

const configFields = {
  max_versions: int('How many versions of a secret are kept; 0 for 10.'),
  cas_required: bool('Whether every write must say the version that it stands on.'),
  delete_version_after: signedDur('After how long versions are deleted; below 0 for never.'),
  metadata_cas_required: bool('Whether every write of metadata must say `metadata_cas`.'),
}

const configPath = path({
  pattern: 'config',
  help: { synopsis: 'Settings of all secrets of the mount.', description: 'What keys do not say.' },
  fields: configFields,
  access: 'authorized',
  operations: {
    read: {
      summary: 'Reads the settings.',
      answer: shape.object({
        max_versions: shape.int,
        cas_required: shape.bool,
        delete_version_after: shape.text,
        metadata_cas_required: shape.bool,
      }),
      run({ storage }) {
        const config = configOf(storage)
        return {
          data: {
            cas_required: config.casRequired,
            delete_version_after: formatDuration(config.deleteVersionAfterMs),
            max_versions: config.maxVersions,
            metadata_cas_required: config.metadataCasRequired,
          },
        }
      },
    },
    update: {
      summary: 'Changes the settings.',
      examples: [{ max_versions: 5 }],
      run({ storage, fields }) {
        const before = configOf(storage)
        const refusal = refuseCount(fields.max_versions)
        if (refusal !== undefined) return refusal
        putConfig(storage, {
          ...before,
          maxVersions: fields.max_versions ?? before.maxVersions,
          casRequired: fields.cas_required ?? before.casRequired,
          deleteVersionAfterMs: fields.delete_version_after ?? before.deleteVersionAfterMs,
          metadataCasRequired: fields.metadata_cas_required ?? before.metadataCasRequired,
        })
        return NOTHING
      },
    },
  },
})

const refuseCount = (count: number | undefined): Refusal | undefined =>
  count !== undefined && count < 0 ? new Refusal(400, 'max_versions must be positive') : undefined

// --- metadata

const metadataFields = {
  ...where,
  ...paged,
  max_versions: int('How many versions are kept; 0 for what the mount says.'),
  cas_required: bool('Whether writes must say the version that they stand on.'),
  delete_version_after: signedDur('After how long versions are deleted.'),
  custom_metadata: kv('What users note about the secret.'),
  metadata_cas: int('How often the metadata was written before this write.'),
  metadata_cas_required: bool('As the setting of the mount.'),
}
type MetadataCall = Call<typeof metadataFields>

const secretParts = {
  cas_required: shape.bool,
  created_time: shape.time,
  current_version: shape.int,
  current_metadata_version: shape.int,
  custom_metadata: customShape,
  delete_version_after: shape.text,
  max_versions: shape.int,
  oldest_version: shape.int,
  updated_time: shape.time,
  versions: shape.mapOf(versionShape),
}

const metadataPath = path({
  pattern: 'metadata/{path*}',
  help: { synopsis: 'What is known of a secret.', description: 'Versions, settings and notes.' },
  fields: metadataFields,
  access: 'authorized',
  exists: ({ storage, fields }) => secretAt(storage, fields.path ?? '') !== undefined,
  operations: {
    read: {
      summary: 'Reads what is known of a secret.',
      // A list has keys instead.
      answer: shape.object(secretParts),
      run: readMetadata,
    },
    update: { summary: 'Changes settings and notes.', run: call => changeMetadata(call, false) },
    patch: { summary: 'Merges into settings and notes.', run: call => changeMetadata(call, true) },
    delete: {
      summary: 'Removes a secret with all of its versions.',
      run({ storage, fields: { path: at = '' } }) {
        removeSecret(storage, at)
        return NOTHING
      },
    },
    list: { summary: 'Lists keys and folders.', answer: shape.keys, run: listKeys },
    scan: { summary: 'Lists all keys below a folder.', answer: shape.keys, run: scanKeys },
  },
})

function shown(secret: SecretRow) {
  const versions = Object.entries(secret.versions).map(([version, row]) => {
    const { created_time, deletion_time, destroyed } = about(secret, Number(version), row)
    return [version, { created_time, deletion_time, destroyed }]
  })
  return {
    cas_required: secret.casRequired,
    created_time: timeText(secret.createdMs),
    current_metadata_version: secret.metadataVersion,
    current_version: secret.currentVersion,
    custom_metadata: secret.customMetadata,
    delete_version_after: formatDuration(secret.deleteVersionAfterMs),
    max_versions: secret.maxVersions,
    oldest_version: secret.oldestVersion,
    updated_time: timeText(secret.updatedMs),
    versions: Object.fromEntries(versions),
  }
}

function readMetadata({ storage, fields: { path: at = '' } }: MetadataCall): Outcome {
  const secret = secretAt(storage, at)
  return secret === undefined ? NOTHING : { data: shown(secret) }
}

function changeMetadata(call: MetadataCall, merges: boolean): Outcome {
  const { storage, fields, data, now } = call
  const { path: at = '' } = fields
  if (at === '') return new Refusal(400, 'missing path')
  const known = secretAt(storage, at)
  if (merges && known === undefined) return { status: 404 }
  const before = known ?? newSecret(now)
  const refusal = refuseCount(fields.max_versions) ?? refuseMetadataCas(call, before)
  if (refusal !== undefined) return refusal
  const custom = customOf(fields.custom_metadata, data.custom_metadata, before, merges)
  if (custom instanceof Refusal) return custom
  const isNull = (name: string): boolean => merges && data[name] === null
  putSecret(storage, at, {
    ...before,
    maxVersions: fields.max_versions ?? before.maxVersions,
    casRequired: isNull('cas_required') ? false : (fields.cas_required ?? before.casRequired),
    deleteVersionAfterMs: fields.delete_version_after ?? before.deleteVersionAfterMs,
    customMetadata: custom,
    updatedMs: now,
    metadataVersion: before.metadataVersion + 1,
  })
  return NOTHING
}

function refuseMetadataCas(
  { storage, fields: { metadata_cas: cas } }: MetadataCall,
  { metadataVersion }: SecretRow,
): Refusal | undefined {
  if (cas === undefined) {
    if (!configOf(storage).metadataCasRequired) return undefined
    return new Refusal(400, 'metadata check-and-set parameter required for this call')
  }
  if (cas === metadataVersion) return undefined
  return new Refusal(400, 'metadata check-and-set parameter did not match the current version')
}

/** The notes as they are to be; null where there are none. */
function customOf(
  given: Readonly<Record<string, string>> | undefined,
  raw: Json | undefined,
  { customMetadata }: SecretRow,
  merges: boolean,
): Readonly<Record<string, string>> | null | Refusal {
  if (given === undefined) return customMetadata
  if (raw === null) return null
  const merged = merges ? mergePatch(customMetadata ?? {}, raw) : given
  const texts = Object.entries(merged as Record<string, unknown>).map(
    ([key, value]) => [key, String(value)] as const,
  )
  return refuseCustom(texts) ?? (texts.length === 0 ? null : Object.fromEntries(texts))
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to refuse
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f]/

function refuseCustom(texts: readonly (readonly [string, string])[]): Refusal | undefined {
  const text = (why: string): Refusal => asSeveral(400, `custom_metadata validation failed: ${why}`)
  if (texts.length > limits.kvCustomMetadataKeys) {
    const count = `payload must contain at most ${limits.kvCustomMetadataKeys} keys`
    return text(`${count}, provided ${texts.length}`)
  }
  for (const [key, value] of texts) {
    if (key === '') return text('length of key is 0 but cannot be')
    if (Buffer.byteLength(key) > limits.kvCustomMetadataKeySizeBytes) return text('key too long')
    if (Buffer.byteLength(value) > limits.kvCustomMetadataValueSizeBytes) {
      return text('value too long')
    }
    if (UNPRINTABLE.test(key)) return text('key contains unprintable characters')
    if (UNPRINTABLE.test(value)) return text('value contains unprintable characters')
  }
  return undefined
}

// --- lists

interface Paged {
  readonly after?: string | undefined
  readonly limit?: number | undefined
}

/** What stands right under a folder. */
const namesIn = (storage: Storage, folder: string, { after = '', limit = 0 }: Paged): string[] =>
  secretNames(storage, folder, { after, limit })

/** All that stands below a folder. */
const allIn = (storage: Storage, folder: string, paging: Paged): string[] =>
  page(secretKeys(storage, folder), paging)

function page(found: readonly string[], { after = '', limit = 0 }: Paged): string[] {
  const behind = after === '' ? [...found] : found.filter(name => name > after)
  return limit > 0 ? behind.slice(0, limit) : behind
}

function listKeys({ storage, fields }: Call<typeof metadataFields>): Outcome {
  return keysAnswer(namesIn(storage, folderOf(fields.path ?? ''), fields))
}

function scanKeys({ storage, fields }: Call<typeof metadataFields>): Outcome {
  return keysAnswer(allIn(storage, folderOf(fields.path ?? ''), fields))
}

const detailedFields = { ...where, ...paged }
type DetailedCall = Call<typeof detailedFields>

const detailedPath = path({
  pattern: 'detailed-metadata/{path*}',
  help: { synopsis: 'Lists keys with what is known of each.', description: 'As `metadata/`.' },
  fields: detailedFields,
  access: 'authorized',
  operations: {
    list: {
      summary: 'Lists keys and folders, with what is known of each key.',
      answer: shape.keys,
      run: call => detailed(call, namesIn),
    },
    scan: {
      summary: 'Lists all keys below a folder, with what is known of each.',
      answer: shape.keys,
      run: call => detailed(call, allIn),
    },
  },
})

function detailed({ storage, fields }: DetailedCall, choose: typeof namesIn): Outcome {
  const folder = folderOf(fields.path ?? '')
  const found = choose(storage, folder, fields)
  return found.length === 0
    ? NOTHING
    : { data: { keys: found, key_info: infoOf(storage, folder, found) } }
}

function infoOf(storage: Call['storage'], folder: string, found: readonly string[]) {
  const entries = found
    .filter(key => !key.endsWith('/'))
    .map(key => {
      const { versions: _versions, ...info } = shown(secretAt(storage, folder + key)!)
      return [key, info]
    })
  return Object.fromEntries(entries)
}

// --- subkeys

const subkeysFields = {
  ...where,
  version: int('The version to look at; the newest unless given.'),
  depth: int('How deep to look; 0 for all the way.'),
}

const subkeysPath = path({
  pattern: 'subkeys/{path*}',
  help: { synopsis: 'Shows the keys of a secret without values.', description: 'Leaves are null.' },
  fields: subkeysFields,
  access: 'authorized',
  operations: {
    read: {
      summary: 'Shows the keys of a version.',
      answer: shape.object({ subkeys: shape.nullable(shape.anyObject), metadata: aboutShape }),
      run({ storage, fields: { path: at = '', version = 0, depth = 0 }, now }) {
        const found = versionOf(secretAt(storage, at), version)
        if (found === undefined) return NOTHING
        const { secret, row } = found
        const metadata = about(secret, found.version, row)
        if (row.destroyed || isDeleted(row, now)) {
          return { status: 404, data: { subkeys: null, metadata } }
        }
        const value = readValue<JsonObject>(storage, at, secret, found.version) ?? {}
        return { data: { subkeys: withoutValues(value, depth, 1), metadata } }
      },
    },
  },
})

function withoutValues(value: JsonObject, depth: number, level: number): JsonObject {
  const entries = Object.entries(value).map(([key, part]) => {
    const isDeeper = typeof part === 'object' && part !== null && !Array.isArray(part)
    const goesOn = isDeeper && (depth === 0 || level < depth) && Object.keys(part).length > 0
    return [key, goesOn ? withoutValues(part, depth, level + 1) : null] as const
  })
  return Object.fromEntries(entries) as JsonObject
}

// --- move and copy

const transferFields = {
  ...where,
  destination: str('The path below the mount that the secret is to have.'),
  overwrite: bool('Whether a secret that is there already is replaced.'),
}

const transferPath = (name: 'move' | 'copy') =>
  path({
    pattern: `${name}/{path*}`,
    help: {
      synopsis: `Gives a secret another path, as a ${name}.`,
      description:
        'All versions and notes go along, in one transaction, and nobody sees a value. Asks for ' +
        (name === 'move' ? 'read and delete' : 'read') +
        ' on the source and create on the destination.',
    },
    fields: transferFields,
    access: 'authorized',
    operations: {
      update: {
        summary: `A ${name} with its whole history.`,
        examples: [{ destination: 'new/path' }],
        run: call => runTransfer(call, name === 'copy'),
      },
    },
  })

function runTransfer(call: Call<typeof transferFields>, keeps: boolean): Outcome {
  const { storage, fields, mount } = call
  const { path: from = '', destination: to = '', overwrite = false } = fields
  if (from === '' || to === '' || to.endsWith('/') || /(^|\/)\.{0,2}(\/|$)/.test(to)) {
    return new Refusal(400, 'destination must be a path below the mount')
  }
  if (Buffer.byteLength(to) > limits.secretPathSizeBytes) {
    return new Refusal(400, `path exceeds ${limits.secretPathSizeBytes} bytes`)
  }
  const isThere = secretAt(storage, to) !== undefined
  const wanted = [
    ['read', `data/${from}`],
    ...(keeps ? [] : [['delete', `metadata/${from}`]]),
    [isThere ? 'update' : 'create', `data/${to}`],
    ...(isThere ? [['delete', `metadata/${to}`]] : []),
  ] as const
  for (const [operation, below] of wanted) {
    if (!may(call, operation as 'read', `${mount.path}${below}`)) return DENIED
  }
  if (secretAt(storage, from) === undefined) return { status: 404 }
  if (from === to) return new Refusal(400, 'source and destination are the same')
  if (isThere && !overwrite) return new Refusal(400, `there is a secret at ${to} already`)
  if (isThere) removeSecret(storage, to)
  transfer(storage, from, to, keeps)
  return NOTHING
}

// --- search

const searchFields = {
  ...paged,
  prefix: str('Look only below this folder.'),
  key: str('A part of the path that is looked for, in any case.'),
  custom_metadata: kv('Notes that a secret must have, with `*` for any value.'),
}

const searchPath = path({
  pattern: 'search',
  help: {
    synopsis: 'Finds secrets by path and notes.',
    description:
      'Shows only secrets whose metadata the asker may read. Values are never looked at.',
  },
  fields: searchFields,
  access: 'authorized',
  operations: {
    read: { summary: 'Finds secrets.', answer: shape.keys, run: search },
    update: { summary: 'Finds secrets.', answer: shape.keys, effect: 'reads', run: search },
  },
})

function search(call: Call<typeof searchFields>): Outcome {
  const { storage, fields, mount } = call
  const { prefix = '', key = '', custom_metadata: notes = {}, limit = 0, after = '' } = fields
  const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
  const looked = key.toLowerCase()
  const found: string[] = []
  const info: Record<string, unknown> = {}
  let seen = 0
  for (const below of secretKeys(storage, folder)) {
    const at = folder + below
    if (at <= after || !at.toLowerCase().includes(looked)) continue
    if (++seen > limits.kvSearchSecrets) return new Refusal(400, 'too many secrets: name a prefix')
    const secret = secretAt(storage, at)!
    if (!hasNotes(secret, notes)) continue
    if (!may(call, 'read', `${mount.path}metadata/${at}`)) continue
    found.push(at)
    info[at] = { custom_metadata: secret.customMetadata, current_version: secret.currentVersion }
    if (limit > 0 && found.length >= limit) break
  }
  return found.length === 0 ? NOTHING : { data: { keys: found, key_info: info } }
}

const hasNotes = (
  { customMetadata }: SecretRow,
  notes: Readonly<Record<string, string>>,
): boolean =>
  Object.entries(notes).every(([key, value]) => {
    const has = customMetadata !== null && Object.hasOwn(customMetadata, key)
    return has && (value === '*' || customMetadata[key] === value)
  })

// --- all else

const INVALID: Answer = {
  status: 404,
  warnings: [
    'Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API ' +
      "endpoints to use. If using the Vault CLI, use 'vault kv get' for this operation.",
  ],
}

const invalidPath = path({
  pattern: '{path*}',
  help: { synopsis: 'No path of this engine.', description: 'Secrets are under data/.' },
  fields: where,
  access: 'authorized',
  takesAnyField: true,
  operations: {
    read: { summary: 'Says where secrets are.', run: () => INVALID },
    update: { summary: 'Says where secrets are.', effect: 'reads', run: () => INVALID },
    delete: { summary: 'Says where secrets are.', effect: 'reads', run: () => INVALID },
    list: { summary: 'Says where secrets are.', run: () => INVALID },
  },
})

export const kvV2Paths = [
  configPath,
  dataPath,
  deletePath,
  undeletePath,
  destroyPath,
  metadataPath,
  detailedPath,
  subkeysPath,
  transferPath('move'),
  transferPath('copy'),
  searchPath,
  invalidPath,
]
