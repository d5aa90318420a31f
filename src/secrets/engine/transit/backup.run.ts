/**
 * Paths that back a key up with all of its versions, and restore it.
 *
 * Owns these paths' declarations and rules. Reading and writing the form is work before the
 * transaction, in slices; pairs are proven to be pairs, in threads where that takes long.
 */
import { Refusal } from '../../../base/errors.ts'
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import { limits } from '../../../base/limits.ts'
import { inSlices } from '../../../base/slices.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path, prepared } from '../../declare.ts'
import { bool, str } from '../../field.ts'
import * as shape from '../../shape.ts'
import type { Storage } from '../../storage.ts'
import { SOFT_DELETED } from './config.ts'
import { backupText, entryOf, type Restored, readBackup } from './key/backup.ts'
import { HMAC_KEY_SIZE_BYTES, pairOf, rotationMs } from './key/make.ts'
import { materialOf } from './key/material.ts'
import { belongsTogether } from './key/parse.run.ts'
import { typeOf } from './key/type.ts'
import {
  deleteKey,
  firstVersion,
  isKeyName,
  type KeyRow,
  keyAt,
  newKeyId,
  putKey,
  type VersionRow,
} from './rows.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const backupFields = { name: str('Name of the key.') }
const restoreFields = {
  name: str('Another name for the key; that of the backup unless it is said.'),
  backup: str('What a backup gave.', { isSecret: true }),
  force: bool('Whether a key of the name is replaced.', { initial: false }),
}

type Entries = Map<number, ReturnType<typeof entryOf>>

/** What stands for each version of a key as it was then. */
interface Gathered {
  readonly row: KeyRow
  readonly entries: Entries
}

const restoreHelp = {
  synopsis: 'A key from a backup.',
  description: 'Backups of Vault and OpenBao are taken too.',
}

/** The paths of backups. */
export function backupPaths(arithmetic: Arithmetic): PathSpec[] {
  const restoreOperation = prepared<typeof restoreFields, Restored>({
    summary: 'Restores a key.',
    prepare: call => readSent(arithmetic, call),
    run: restore,
    examples: [{ backup: 'example' }],
  })
  const restorePath = (pattern: string): PathSpec =>
    path({
      ...{ pattern, help: restoreHelp, fields: restoreFields, access: 'authorized' },
      operations: { update: restoreOperation },
    })
  return [
    path({
      pattern: 'backup/{name}',
      help: {
        synopsis: 'A key with all of its versions.',
        description: 'In plain text: it has to be exportable, and to allow it.',
      },
      fields: backupFields,
      access: 'authorized',
      operations: {
        read: prepared<typeof backupFields, Gathered>({
          summary: 'Backs a key up.',
          effect: 'writes',
          answer: shape.object({ backup: shape.text }),
          prepare: gather,
          run: backup,
        }),
      },
    }),
    restorePath('restore'),
    restorePath('restore/{name}'),
  ]
}

/** A key that may be backed up. */
function backable({ storage, fields }: Pick<Call<typeof backupFields>, 'storage' | 'fields'>) {
  const row = keyAt(storage, fields.name!)
  if (row === undefined) return bad(`key "${fields.name}" not found`)
  if (row.softDeleted) return SOFT_DELETED
  if (!row.exportable) return bad('exporting is disallowed on the policy')
  return row.allowPlaintextBackup ? row : bad('plaintext backup is disallowed on the policy')
}

async function gather(call: Call<typeof backupFields>): Promise<Gathered | Refusal> {
  const row = backable(call)
  if (row instanceof Refusal) return row
  const entries: Entries = new Map()
  await inSlices(numbersOf(row), version => addEntry(call.storage, row, version, entries), 1)
  return { row, entries }
}

function* numbersOf(row: KeyRow): Generator<number> {
  for (let version = firstVersion(row); version <= row.latest; version++) yield version
}

function addEntry(storage: Storage, row: KeyRow, version: number, entries: Entries): void {
  const material = materialOf(storage, row, version)
  if (material !== undefined) entries.set(version, entryOf(row, material))
}

function backup(call: Call<typeof backupFields, Gathered>): Outcome {
  const { storage, now, fields, prepared: gathered } = call
  const row = backable(call)
  if (row instanceof Refusal) return row
  let { entries } = gathered
  if (row !== gathered.row) {
    // It was changed, or is another one, since its versions were gathered.
    entries = new Map()
    for (const version of numbersOf(row)) addEntry(storage, row, version, entries)
  }
  const noted = { ...row, backup: { atMs: now, version: row.latest } }
  const madeMs = materialOf(storage, row, row.latest)?.createdAtMs ?? 0
  putKey(storage, fields.name!, { row: noted, rotatesAtMs: rotationMs(noted, madeMs) })
  const text = backupText(fields.name!, noted, entries)
  const mostBytes = limits.secretsJsonStringSizeBytes
  const warnings = [`it is longer than the ${mostBytes} bytes that a restore takes: trim the key`]
  return { data: { backup: text }, ...(text.length > mostBytes && { warnings }) }
}

/** Reads what is to be restored, and proves its pairs. */
async function readSent(
  arithmetic: Arithmetic,
  { fields }: Call<typeof restoreFields>,
): Promise<Restored | Refusal> {
  const { backup: text = '' } = fields
  if (text === '') return bad("'backup' must be supplied")
  const restored = readBackup(text)
  if (restored instanceof Refusal) return restored
  for (const { version, ingredients } of restored.versions) {
    const isPair = 'privateKey' in ingredients
    if (isPair && !(await belongsTogether(arithmetic, ingredients.privateKey))) {
      return bad(
        `backup cannot be restored: the parts of version ${version} do not belong together`,
      )
    }
  }
  return restored
}

function restore(call: Call<typeof restoreFields, Restored>): Outcome {
  const { storage, random, now, fields, prepared: restored } = call
  const name = fields.name || restored.name
  if (name.includes('/')) return bad('key names cannot be paths')
  if (!isKeyName(name)) return bad('this is not the name of a key')
  if (keyAt(storage, name) !== undefined) {
    if (fields.force !== true) return bad(`key "${name}" already exists`)
    deleteKey(storage, name, now)
  }
  const { latest } = restored.row
  const row: KeyRow = {
    ...{ ...restored.row, id: newKeyId(random) },
    restore: { atMs: now, version: latest },
  }
  const versions = restored.versions.map(one => [one.version, rowOf(call, row, one)] as const)
  const madeMs = restored.versions.at(-1)!.createdAtMs
  putKey(storage, name, { row, versions, rotatesAtMs: rotationMs(row, madeMs) })
  return NOTHING
}

/** The row of a version; one from long ago has no key for HMACs, and gets it. */
function rowOf(
  { random }: Pick<Call, 'random'>,
  row: KeyRow,
  { ingredients, createdAtMs, hmacKey, convergentVersion, certificates }: Restored['versions'][0],
): VersionRow {
  const type = typeOf(row)
  const hasHmacKey = type.authenticates && type.kind !== 'hmac'
  return {
    ...{ createdAtMs, convergentVersion },
    ...('bytes' in ingredients
      ? { bytes: ingredients.bytes.toString('base64') }
      : pairOf(ingredients)),
    ...(hasHmacKey && {
      hmacKey: (hmacKey ?? random.bytes(HMAC_KEY_SIZE_BYTES)).toString('base64'),
    }),
    ...(certificates.length > 0 && { certificates }),
  }
}
