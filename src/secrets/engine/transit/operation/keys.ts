/**
 * Which key, and which version of it, a request works with.
 *
 * Owns the words for what is not there, too old or too new.
 */
import type { Refusal } from '../../../../base/errors.ts'
import type { Storage } from '../../../storage.ts'
import { SOFT_DELETED } from '../config.ts'
import { Fault } from '../key/fault.ts'
import { type Material, materialOf } from '../key/material.ts'
import { type KeyRow, keyAt } from '../rows.ts'
import { bad } from './batch.ts'

/** The key that a request names; refused where there is none or it is set aside. */
export function keyFor(storage: Storage, name: string, missing: string): KeyRow | Refusal {
  const key = keyAt(storage, name)
  if (key === undefined) return bad(missing)
  return key.softDeleted ? SOFT_DELETED : key
}

export const NO_KEY = 'encryption key not found'

/** The version to encrypt or sign with: the latest one for 0. */
export function versionFor(
  key: KeyRow,
  version: number,
  what: 'encryption' | 'signing',
): number | Fault {
  if (version === 0) return key.latest
  const requested = `requested version for ${what}`
  if (version < 0) return new Fault(`${requested} is negative`)
  if (version > key.latest) return new Fault(`${requested} is higher than the latest key version`)
  if (version < key.minEncryption) {
    return new Fault(`${requested} is less than the minimum encryption key version`)
  }
  return version
}

export const TOO_OLD = new Fault(
  'ciphertext or signature version is disallowed by policy (too old)',
)

/** A version of a key as it is worked with. */
export const readyVersion = (storage: Storage, key: KeyRow, version: number): Material | Fault =>
  materialOf(storage, key, version) ?? NO_VERSION

const NO_VERSION = new Fault('no such key version')
