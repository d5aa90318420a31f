/**
 * What is kept of keys: one row for each key, and one for each of its versions.
 *
 * Owns the rows and where they lie. A version lies under the id of its key, so that another key of
 * the same name has none of them, and a key of thousands of versions is rotated by two rows.
 * Whoever writes a version writes the row of its key as well: what was made of a kept key row
 * (key/material.ts) holds as long as that row stands. Pure.
 */
import type { Random } from '../../../base/clock.ts'
import { limits } from '../../../base/limits.ts'
import type { Storage } from '../../storage.ts'
import type { TypeName } from './key/type.ts'

/** When something was done with a key, and which version was the latest one then. */
export interface Moment {
  readonly atMs: number
  readonly version: number
}

export interface KeyRow {
  /** Where its versions lie. */
  readonly id: string
  readonly type: TypeName
  /** Of a key for HMACs. */
  readonly keySizeBytes?: number
  /** Of the types that have several, as the request called it. */
  readonly parameterSet?: string
  readonly derived: boolean
  /** How keys are derived; the second one is that of keys which were made long ago. */
  readonly kdf: 'hkdf_sha256' | 'hmac-sha256-counter'
  readonly convergent: boolean
  /** -1 where each version says its own. */
  readonly convergentVersion: number
  readonly exportable: boolean
  readonly allowPlaintextBackup: boolean
  readonly deletionAllowed: boolean
  /** At least 1. */
  readonly minDecryption: number
  /** 0 for any. */
  readonly minEncryption: number
  /** Versions before it are gone; 0 for none. */
  readonly minAvailable: number
  readonly latest: number
  /** 0 for never. */
  readonly autoRotateMs: number
  readonly imported: boolean
  readonly allowRotation: boolean
  readonly softDeleted: boolean
  readonly backup?: Moment
  readonly restore?: Moment
}

/** A version; bytes are base64. */
export interface VersionRow {
  readonly createdAtMs: number
  /** A symmetric key. */
  readonly bytes?: string
  /** PKCS #8 in DER. */
  readonly privateKey?: string
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey?: string
  /** For HMACs, beside the key itself; keys of type `hmac` have none, as they are it. */
  readonly hmacKey?: string
  /** 0 for none. */
  readonly convergentVersion: number
  /** In DER, the leaf first. */
  readonly certificates?: readonly string[]
}

const KEYS = 'policy/'
const VERSIONS = 'version/'
const REMOVED = 'removed/'

/** What the header of a key's row says where it rotates by itself. */
export const ROTATION = 'transit-rotation'
/** What the header of a row says whose versions are to go. */
export const REMOVAL = 'transit-removal'

const NAME = /^\w([\w.-]*\w)?$/

/** Whether a key can have a name. */
export const isKeyName = (name: string): boolean =>
  name.length <= limits.transitKeyNameChars && NAME.test(name)

/** The key of a name, which may be anything. The row must not be changed. */
export const keyAt = (storage: Storage, name: string): KeyRow | undefined =>
  isKeyName(name) ? storage.kept<KeyRow>(KEYS + name) : undefined

/** The names of all keys, in order. */
export const keyNames = (storage: Storage, page?: { after?: string; limit?: number }): string[] =>
  storage.list(KEYS, page)

/** The name of the key whose row lies at a path; undefined for other rows. */
export const nameAt = (path: string): string | undefined =>
  path.startsWith(KEYS) ? path.slice(KEYS.length) : undefined

/** The place of a version. */
const placeOf = ({ id }: Pick<KeyRow, 'id'>, version: number): string =>
  `${VERSIONS}${id}/${version}`

/** A version of a key as it is kept; undefined where it has none. The row must not be changed. */
export const versionAt = (
  storage: Storage,
  key: Pick<KeyRow, 'id'>,
  version: number,
): VersionRow | undefined => storage.kept<VersionRow>(placeOf(key, version))

/** The first version that is there. */
export const firstVersion = ({ minAvailable }: Pick<KeyRow, 'minAvailable'>): number =>
  Math.max(1, minAvailable)

/** Where a new key's versions are to lie. */
export const newKeyId = (random: Random): string => random.uuid()

/**
 * Writes a key, and some of its versions. `rotatesAtMs` is when it is to rotate by itself;
 * undefined for never.
 */
export function putKey(
  storage: Storage,
  name: string,
  { row, versions = [], rotatesAtMs }: Written,
): void {
  const header = rotatesAtMs === undefined ? {} : { kind: ROTATION, dueMs: rotatesAtMs }
  storage.put(KEYS + name, row, header)
  for (const [version, content] of versions) storage.put(placeOf(row, version), content)
}

export interface Written {
  readonly row: KeyRow
  readonly versions?: Iterable<readonly [number, VersionRow]>
  readonly rotatesAtMs: number | undefined
}

/** Versions of a key that are to go. */
interface RemovalRow {
  readonly id: string
  /** Those before it go. */
  readonly before: number
}

/** Deletes the row of a key; its versions go by `removeSome`. */
export function deleteKey(storage: Storage, name: string, nowMs: number): void {
  const row = keyAt(storage, name)
  if (row === undefined) return
  storage.delete(KEYS + name)
  removeVersions(storage, row, Number.MAX_SAFE_INTEGER, nowMs)
}

/** Has the versions of a key before one of them go: the first ones at once, all of them soon. */
export function removeVersions(
  storage: Storage,
  { id }: Pick<KeyRow, 'id'>,
  before: number,
  nowMs: number,
): void {
  const path = REMOVED + id
  if (!removeStep(storage, { id, before })) {
    storage.put(path, { id, before } satisfies RemovalRow, { kind: REMOVAL, dueMs: nowMs })
  }
}

/** Deletes some of the versions that are to go; the row at a path says which. */
export function removeSome(storage: Storage, path: string, nowMs: number): void {
  const removal = storage.get<RemovalRow>(path)
  if (removal === undefined) return
  if (removeStep(storage, removal)) storage.delete(path)
  else storage.put(path, removal, { kind: REMOVAL, dueMs: nowMs })
}

/** Deletes as many versions as one transaction takes; whether none is left. */
function removeStep(storage: Storage, { id, before }: RemovalRow): boolean {
  const folder = `${VERSIONS}${id}/`
  const going = storage.keys(folder).filter(version => Number(version) < before)
  for (const version of going.slice(0, limits.transitVersionsAtOnce))
    storage.delete(folder + version)
  return going.length <= limits.transitVersionsAtOnce
}
