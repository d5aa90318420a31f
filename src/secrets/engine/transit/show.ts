/**
 * What is told of a key: the answer of every path that reads or changes one.
 *
 * Owns its form. No private part is ever in it. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { inSlices } from '../../../base/slices.ts'
import type { Outcome } from '../../declare.ts'
import { toSeconds } from '../../field.ts'
import * as shape from '../../shape.ts'
import type { Storage } from '../../storage.ts'
import { contextOf } from './key/context.ts'
import { deriveEd25519 } from './key/derive.ts'
import { type Material, materialOf } from './key/material.ts'
import { derToPem, publicBytes } from './key/pem.ts'
import { isSymmetric, typeOf } from './key/type.ts'
import { type KeyRow, keyAt, type Moment } from './rows.ts'

const moment = shape.object({ time: shape.time, version: shape.int })

export const keyShape = shape.object({
  name: shape.text,
  type: shape.text,
  derived: shape.bool,
  deletion_allowed: shape.bool,
  min_available_version: shape.int,
  min_decryption_version: shape.int,
  min_encryption_version: shape.int,
  latest_version: shape.int,
  exportable: shape.bool,
  allow_plaintext_backup: shape.bool,
  supports_encryption: shape.bool,
  supports_decryption: shape.bool,
  supports_signing: shape.bool,
  supports_derivation: shape.bool,
  auto_rotate_period: shape.int,
  imported_key: shape.bool,
  imported_key_allow_rotation: shape.optional(shape.bool),
  soft_deleted: shape.bool,
  key_size: shape.optional(shape.int),
  parameter_set: shape.optional(shape.text),
  backup_info: shape.optional(moment),
  restore_info: shape.optional(moment),
  kdf: shape.optional(shape.text),
  kdf_mode: shape.optional(shape.text),
  convergent_encryption: shape.optional(shape.bool),
  convergent_encryption_version: shape.optional(shape.int),
  keys: shape.anyObject,
})

/** A key as it is told. `context` is base64, for the public keys of keys that are derived. */
export function keyAnswer(
  storage: Storage,
  name: string,
  row: KeyRow,
  { context = '', warnings = [] }: { context?: string; warnings?: readonly string[] } = {},
): Outcome {
  const bytes = contextOf(context)
  if (bytes instanceof Refusal) return bytes
  const type = typeOf(row)
  const data = {
    ...{ name, type: row.type, derived: row.derived, deletion_allowed: row.deletionAllowed },
    min_available_version: row.minAvailable,
    min_decryption_version: row.minDecryption,
    min_encryption_version: row.minEncryption,
    latest_version: row.latest,
    ...{ exportable: row.exportable, allow_plaintext_backup: row.allowPlaintextBackup },
    ...{ supports_encryption: type.encrypts, supports_decryption: type.encrypts },
    ...{ supports_signing: type.signs, supports_derivation: type.derives },
    auto_rotate_period: toSeconds(row.autoRotateMs),
    imported_key: row.imported,
    ...(row.imported && { imported_key_allow_rotation: row.allowRotation }),
    soft_deleted: row.softDeleted,
    ...(row.keySizeBytes !== undefined && { key_size: row.keySizeBytes }),
    ...(row.parameterSet !== undefined && { parameter_set: row.parameterSet }),
    ...(row.backup && { backup_info: momentOf(row.backup) }),
    ...(row.restore && { restore_info: momentOf(row.restore) }),
    ...(row.derived && derivation(row)),
    keys: Object.fromEntries(
      usable(storage, row).map(material => [material.version, versionData(row, material, bytes)]),
    ),
  }
  return { data, ...(warnings.length > 0 && { warnings }) }
}

/**
 * Opens what is told of a key, in slices, where that is so much that it would hold the loop;
 * undefined where it is not. `from` is the first version that will be in use.
 */
export function opened(
  storage: Storage,
  name: string,
  from = Number.POSITIVE_INFINITY,
): Promise<undefined> | undefined {
  const row = keyAt(storage, name)
  if (row === undefined) return undefined
  const first = Math.max(1, Math.min(row.minDecryption, from))
  if (row.latest - first < limits.transitVersionsOpenedAtOnce) return undefined
  const open = (version: number): void => {
    const material = materialOf(storage, row, version)
    if (material !== undefined) versionData(row, material, NO_CONTEXT)
  }
  return inSlices(numbers(first, row.latest), open).then(() => undefined)
}

const NO_CONTEXT = Buffer.alloc(0)

function* numbers(first: number, last: number): Generator<number> {
  for (let number = first; number <= last; number++) yield number
}

/** The versions that are still in use, in order. */
export function usable(storage: Storage, row: KeyRow): Material[] {
  const found: Material[] = []
  for (let version = row.minDecryption; version <= row.latest; version++) {
    const material = materialOf(storage, row, version)
    if (material !== undefined) found.push(material)
  }
  return found
}

const momentOf = ({ atMs, version }: Moment) => ({ time: timeText(atMs), version })

const timeText = (atMs: number): string => new Date(atMs).toISOString()

const derivation = ({ kdf, convergent, convergentVersion }: KeyRow) => ({
  kdf,
  ...(kdf === 'hmac-sha256-counter' && { kdf_mode: kdf }),
  convergent_encryption: convergent,
  ...(convergent && { convergent_encryption_version: convergentVersion }),
})

const told = new WeakMap<Material, unknown>()

/** When a symmetric version was made; of a pair, what is public. Made once, but for a context's. */
function versionData(row: KeyRow, material: Material, context: Buffer): unknown {
  const type = typeOf(row)
  if (isSymmetric(type)) return toSeconds(material.createdAtMs)
  if (context.length > 0) return pairData(row, material, context)
  let data = told.get(material)
  if (data === undefined) {
    data = pairData(row, material, context)
    told.set(material, data)
  }
  return data
}

function pairData(row: KeyRow, material: Material, context: Buffer): unknown {
  const type = typeOf(row)
  return {
    name: type.shownAs,
    public_key: publicKeyText(row, material, context),
    creation_time: timeText(material.createdAtMs),
    certificate_chain: material.certificates.map(one => derToPem(one)).join('\n'),
  }
}

/** The public key as it is told: PEM, and for Ed25519 its bytes in base64. */
function publicKeyText(row: KeyRow, material: Material, context: Buffer): string {
  if (typeOf(row).kind !== 'ed25519') return `${derToPem(material.publicText!, 'PUBLIC KEY')}\n`
  if (!row.derived) return publicBytes(material.publicKey!).toString('base64')
  if (context.length === 0 || material.raw === undefined) return ''
  return publicBytes(deriveEd25519(row, material, context)).toString('base64')
}
