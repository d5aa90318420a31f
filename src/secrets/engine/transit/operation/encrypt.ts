/**
 * `encrypt/<name>`: bytes are encrypted, one text or a batch of them; a key that is missing is made
 * for whoever may create it.
 *
 * Owns the path. Nothing is chosen by the client but the version of the key.
 */

import { Refusal } from '../../../../base/errors.ts'
import { after, type Eventually } from '../../../../base/eventually.ts'
import { type Call, type Outcome, type PathSpec, path, prepared } from '../../../declare.ts'
import { bool, int, type JsonObject, str } from '../../../field.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import { int as intShape, list, object, optional, text } from '../../../shape.ts'
import { SOFT_DELETED } from '../config.ts'
import { makeKey } from '../key/make.ts'
import { isKeyName, type KeyRow, keyAt } from '../rows.ts'
import { isUpsertDisabled } from '../settings.ts'
import {
  bad,
  batchAnswer,
  batchFields,
  batchOf,
  itemShape,
  missingItem,
  type Result,
  refuseItem,
  singleAnswer,
  textOf,
  versionIn,
  workThrough,
} from './batch.ts'
import { keyFor, NO_KEY } from './keys.ts'
import { sealMany } from './many.ts'
import type { OperationPorts } from './ports.ts'
import { type Said, Sealing } from './sealing.ts'

/** Fields of what encrypts and decrypts, alone or in an item. */
export const sealingFields = {
  name: str('Name of the key.'),
  context: str('What the key is derived for, in base64; needed by derived keys.'),
  associated_data: str(
    'In base64: what must be said again to decrypt, beside the text (not with RSA).',
  ),
  nonce: str('Refused, but of keys of the first scheme of convergent encryption, which need it.'),
}
export const versionField = int('The version of the key; 0 for the latest.', { initial: 0 })
export const paddingField = str('Of RSA: `oaep` or `pkcs1v15`; `oaep` by default.')

const fields = {
  ...sealingFields,
  plaintext: str('What is encrypted, in base64.', { isSecret: true }),
  key_version: versionField,
  padding_scheme: paddingField,
  iv: str('Refused: it comes of the system, as nonces do.'),
  type: str('The type of a key that is made for this; `aes256-gcm96` by default.'),
  convergent_encryption: bool('Whether a key that is made for this gives equal texts equal ones.'),
  ...batchFields,
}
type EncryptCall<P = unknown> = Call<typeof fields, P>

/** What an encrypted text is told as. */
export const sealedParts = { ciphertext: text, key_version: intShape }

export const encryptPath = (ports: OperationPorts): PathSpec =>
  path({
    pattern: 'encrypt/{name}',
    help: {
      synopsis: 'Encrypts a text or a batch of texts.',
      description:
        'The plaintext is base64. A key that is not there is made, for a token that may create it: derived where a context is given.',
    },
    fields,
    access: 'authorized',
    exists: ({ storage, fields: { name = '' } }) => keyAt(storage, name) !== undefined,
    operations: {
      update: prepared<typeof fields, Outcome | undefined>({
        summary: 'Encrypts texts.',
        effect: 'reads',
        answer: object({
          ciphertext: optional(text),
          key_version: optional(intShape),
          batch_results: optional(
            list(itemShape({ ciphertext: optional(text), key_version: optional(intShape) })),
          ),
        }),
        examples: [{ plaintext: 'aGVsbG8=' }],
        prepare: call => prepareEncrypt(call, ports),
        run: encrypt,
      }),
    },
  })

/** Encrypts with a key that is there; undefined where none is, which the rule itself makes. */
function prepareEncrypt(
  call: EncryptCall,
  { arithmetic }: OperationPorts,
): Eventually<Outcome> | undefined {
  const key = keyAt(call.storage, call.fields.name ?? '')
  return key && encryptWith(call, key, arithmetic)
}

function encrypt(call: EncryptCall<Outcome | undefined>): Outcome {
  if (call.prepared !== undefined) return call.prepared
  const key = keyFor(call.storage, call.fields.name ?? '', NO_KEY)
  // One that came since then is used, as if it had been there.
  const used = key instanceof Refusal && key !== SOFT_DELETED ? newKey(call) : key
  if (used instanceof Refusal) return used
  return encryptWith(call, used) as Outcome
}

/** Makes the key that is missing. */
function newKey(call: EncryptCall): KeyRow | Refusal {
  const { name = '', convergent_encryption: convergent = false } = call.fields
  if (!isKeyName(name)) return UNSUPPORTED_PATH
  if (isUpsertDisabled(call.storage)) return bad(NO_KEY)
  const items = itemsOf(call)
  if (items instanceof Refusal) return items
  const derived = textOf(items[0]!.context) !== ''
  if (convergent && !derived) {
    return bad('convergent encryption requires derivation to be enabled, so context is required')
  }
  const type = call.fields.type || 'aes256-gcm96'
  if (!MADE_TYPES.includes(type)) {
    return bad(
      type.startsWith('ecdsa-')
        ? `key type ${type} not supported for this operation`
        : `unknown key type ${type}`,
    )
  }
  return makeKey(call, name, { type, derived, convergent })
}

/** What a key may be that nobody asked for by itself. */
const MADE_TYPES = ['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'xchacha20-poly1305']

const NAMES = ['plaintext', 'context', 'associated_data', 'nonce', 'reference']
const MIXED_CONTEXTS = bad('context should be set either in all the request blocks or in none')
const IV_GIVEN = bad('iv provided when not allowed')

/** Whether the items of a batch have a context all of them, or none has. */
export function refuseMixedContexts(items: readonly JsonObject[]): Refusal | undefined {
  const isFirst = textOf(items[0]!.context) !== ''
  for (const item of items) {
    if ((textOf(item.context) !== '') !== isFirst) return MIXED_CONTEXTS
  }
  return undefined
}

/** What is to be encrypted: the items of the batch, or the request itself as one. */
function itemsOf({ fields, given, data }: EncryptCall): readonly JsonObject[] | Refusal {
  if ((fields.iv ?? '') !== '') return IV_GIVEN
  const batch = batchOf(fields.batch_input)
  if (batch instanceof Refusal) return batch
  if (batch === undefined) return given('plaintext') ? [data] : NO_PLAINTEXT
  for (let at = 0; at < batch.length; at++) {
    const item = batch[at]!
    const refused = refuseItem(item, at, NAMES)
    if (refused !== undefined) return refused
    if (typeof item.plaintext !== 'string') {
      return missingItem(at, 'plaintext', 'missing plaintext to encrypt')
    }
  }
  return refuseMixedContexts(batch) ?? batch
}

/** How often the clock is looked at in a batch of what takes microseconds. */
export const CHEAP = 16

const NO_PLAINTEXT = bad('missing plaintext to encrypt')

/** Without arithmetic, as within a transaction, nothing is waited for, however large a batch is. */
function encryptWith(
  call: EncryptCall,
  key: KeyRow,
  arithmetic?: OperationPorts['arithmetic'],
): Eventually<Outcome> {
  const { fields } = call
  const items = itemsOf(call)
  if (items instanceof Refusal) return items
  if (key.softDeleted) return SOFT_DELETED
  const padding = fields.padding_scheme ?? ''
  const sealing = new Sealing(call, key, items.length)
  if (fields.batch_input === undefined || fields.batch_input === null) {
    const { plaintext = '', key_version: version = 0 } = fields
    return singleAnswer(sealing.sealText(plaintext, saidBy(fields, version, padding)))
  }
  const work = (item: JsonObject) =>
    sealing.sealText(item.plaintext as string, saidIn(item, padding))
  const partialStatus = fields.partial_failure_response_code
  const answer = (results: readonly Result[]) =>
    batchAnswer(items, results, { failed: '', partialStatus })
  if (arithmetic === undefined) return answer(items.map(work))
  const oneByOne = () => after(workThrough(items, work, CHEAP), answer)
  const together = sealMany({ items, key, storage: call.storage, arithmetic }, call.random)
  return after(together, all => (all === undefined ? oneByOne() : answer(all)))
}

/** What a request of one text says beside it. */
export const saidBy = (
  fields: {
    context: string | undefined
    associated_data: string | undefined
    nonce: string | undefined
  },
  version: number,
  padding: string,
): Said => ({
  context: fields.context ?? '',
  associated: fields.associated_data ?? '',
  nonce: fields.nonce ?? '',
  version,
  padding,
})

/** What an item says beside its text. */
export const saidIn = (item: JsonObject, padding: string): Said => ({
  context: textOf(item.context),
  associated: textOf(item.associated_data),
  nonce: textOf(item.nonce),
  version: versionIn(item),
  padding,
})
