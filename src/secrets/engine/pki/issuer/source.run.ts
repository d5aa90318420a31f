/**
 * Where the key of a new authority comes from: drawn, or one that is here.
 *
 * Owns what `internal`, `exported`, `existing` and `kms` mean. Draws through a port, before any
 * transaction.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import type { SchemeChoice } from '../../../../x509/algorithm.ts'
import type { Call } from '../../../declare.ts'
import type { Values } from '../../../field.ts'
import { bad, later } from '../refusals.ts'
import type { KeyRow } from '../rows.ts'
import { isGiven } from './asked.ts'
import type { keyFields } from './fields.ts'
import { type Keeping, type Kept, keepKey } from './keep.ts'
import { keyKindOf, keyText, schemeOfBits } from './key.ts'
import { keyOfRow, storedKey } from './stored.ts'

/** A key that may be signed with. */
export interface Source {
  readonly key: KeyObject
  readonly spki: Buffer
  readonly choice: SchemeChoice
}

const KINDS = ['internal', 'exported', 'existing', 'kms']

/** What a request says of its key. */
type Asked = Pick<Call, 'storage' | 'data'> & {
  readonly fields: Pick<
    Values<typeof keyFields>,
    'exported' | 'key_type' | 'key_bits' | 'key_ref'
  > & {
    readonly signature_bits: number | undefined
    readonly use_pss?: boolean | undefined
  }
}

/** Finds or draws the key that a request means. */
export async function sourceOf(asked: Asked, arithmetic: Arithmetic): Promise<Source | Refusal> {
  const { fields } = asked
  const kind = fields.exported ?? ''
  if (!KINDS.includes(kind)) {
    return bad('the "exported" path parameter must be "internal", "existing", exported" or "kms"')
  }
  if (kind === 'kms') return later('keys that a KMS holds')
  const known = kind === 'existing' ? existingKey(asked) : undefined
  if (known instanceof Refusal) return known
  const type = known?.type ?? fields.key_type ?? ''
  const wanted = known === undefined ? keyKindOf(type, fields.key_bits ?? 0) : undefined
  if (wanted instanceof Refusal) return wanted
  const choice = schemeOfBits(type, fields.signature_bits ?? 0, fields.use_pss === true)
  if (choice instanceof Refusal) return choice
  const key = known === undefined ? await arithmetic.generateKey(wanted!) : keyOfRow(known)
  return { key, choice, spki: createPublicKey(key).export({ type: 'spki', format: 'der' }) }
}

function existingKey({ storage, data, fields }: Asked): KeyRow | Refusal {
  if (isGiven({ data }, 'key_type') || isGiven({ data }, 'key_bits')) {
    return bad(
      'invalid parameter for the kms/existing path parameter, key_type nor key_bits arguments can be set in this mode',
    )
  }
  const row = storedKey(storage, fields.key_ref ?? '')
  return row instanceof Refusal
    ? bad(`failed to lookup public key from existing key: ${row.text}`)
    : row
}

/** Takes a key in, unless it is one that was here and has gone since. */
export function keepSource(
  call: Keeping,
  { key }: Source,
  { kind, name, ref }: { readonly kind: string; readonly name: string; readonly ref: string },
): Kept<KeyRow> | Refusal {
  if (kind !== 'existing') return keepKey(call, key, name)
  const row = storedKey(call.storage, ref)
  if (row instanceof Refusal) return row
  return keyOfRow(row).equals(key)
    ? { row, isNew: false }
    : bad(`the key ${ref} was changed meanwhile: try again`)
}

/** What is told of a private key: nothing unless it is exported. */
export function exportedKey(
  { key }: Source,
  kind: string,
  { isDer, privateFormat }: { readonly isDer: boolean; readonly privateFormat: string },
): { readonly private_key?: string; readonly private_key_type?: string } {
  if (kind !== 'exported') return {}
  return {
    private_key: keyText(key, { isDer, isPkcs8: privateFormat === 'pkcs8' }),
    private_key_type: key.asymmetricKeyType!,
  }
}
