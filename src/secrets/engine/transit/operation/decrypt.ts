/**
 * `decrypt/<name>` and `rewrap/<name>`: what was encrypted is decrypted, for whom asks or to be
 * encrypted again with a newer version.
 *
 * Owns the two paths. What is rewrapped is never shown.
 */

import { Refusal } from '../../../../base/errors.ts'
import { after, type Eventually } from '../../../../base/eventually.ts'
import { type Call, type Outcome, type PathSpec, path, prepared } from '../../../declare.ts'
import type { JsonObject } from '../../../field.ts'
import { str } from '../../../field.ts'
import { int as intShape, list, object, optional, text } from '../../../shape.ts'
import { Fault } from '../key/fault.ts'
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
  workThrough,
} from './batch.ts'
import {
  CHEAP,
  paddingField,
  refuseMixedContexts,
  saidBy,
  saidIn,
  sealingFields,
  versionField,
} from './encrypt.ts'
import { keyFor, NO_KEY } from './keys.ts'
import { type Many, type ManyResults, openMany } from './many.ts'
import type { OperationPorts } from './ports.ts'
import { type Said, Sealing } from './sealing.ts'

const ciphertext = str('What is decrypted: `vault:v1:…`.')

const decryptFields = {
  ...sealingFields,
  ciphertext,
  padding_scheme: paddingField,
  ...batchFields,
}
const rewrapFields = {
  ...sealingFields,
  ciphertext,
  key_version: versionField,
  decrypt_padding_scheme: paddingField,
  encrypt_padding_scheme: paddingField,
  ...batchFields,
}
type OpenCall = Call<typeof decryptFields> | Call<typeof rewrapFields>

export const decryptPath = (ports: OperationPorts): PathSpec =>
  path({
    pattern: 'decrypt/{name}',
    help: {
      synopsis: 'Decrypts a text or a batch of texts.',
      description: 'The plaintext is given in base64.',
    },
    fields: decryptFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof decryptFields, Outcome>({
        summary: 'Decrypts texts.',
        effect: 'reads',
        answer: object({
          plaintext: optional(text),
          batch_results: optional(list(itemShape({ plaintext: text }))),
        }),
        examples: [{ ciphertext: 'vault:v1:AAAA' }],
        prepare: call => decrypt(call, ports),
        run: call => call.prepared,
      }),
    },
  })

export const rewrapPath = (ports: OperationPorts): PathSpec =>
  path({
    pattern: 'rewrap/{name}',
    help: {
      synopsis: 'Encrypts again what was encrypted with an older version of a key.',
      description: 'The plaintext is not shown to anybody.',
    },
    fields: rewrapFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof rewrapFields, Outcome>({
        summary: 'Encrypts texts again.',
        effect: 'reads',
        answer: object({
          ciphertext: optional(text),
          key_version: optional(intShape),
          batch_results: optional(
            list(itemShape({ ciphertext: optional(text), key_version: optional(intShape) })),
          ),
        }),
        examples: [{ ciphertext: 'vault:v1:AAAA' }],
        prepare: call => rewrap(call, ports),
        run: call => call.prepared,
      }),
    },
  })

const NAMES = ['ciphertext', 'context', 'associated_data', 'nonce', 'reference']
const NO_CIPHERTEXT = new Fault('missing ciphertext to decrypt')

/** What is to be decrypted: the items of the batch; undefined for the request itself. */
function itemsOf({ fields }: OpenCall): readonly JsonObject[] | undefined | Refusal {
  const batch = batchOf(fields.batch_input)
  if (batch === undefined || batch instanceof Refusal) return batch
  for (let at = 0; at < batch.length; at++) {
    const item = batch[at]!
    const refused = refuseItem(item, at, NAMES)
    if (refused !== undefined) return refused
    if (!Object.hasOwn(item, 'ciphertext')) {
      return missingItem(at, 'ciphertext', NO_CIPHERTEXT.text)
    }
  }
  return refuseMixedContexts(batch) ?? batch
}

/** Opens what a request names, and tells of each what becomes of it. */
function openAll(
  call: OpenCall,
  { arithmetic }: OperationPorts,
  how: {
    /** Of RSA. */
    readonly padding: string
    /** What stands where an item failed. */
    readonly failed: string
    tell(sealing: Sealing, plaintext: Buffer, said: Said): Result
    /** What does whole batches, where it does. */
    many?(many: Many): ManyResults
  },
): Eventually<Outcome> {
  const { fields, storage } = call
  const items = itemsOf(call)
  if (items instanceof Refusal) return items
  if (items === undefined && (fields.ciphertext ?? '') === '') return bad(NO_CIPHERTEXT.text)
  const key = keyFor(storage, fields.name ?? '', NO_KEY)
  if (key instanceof Refusal) return key
  const sealing = new Sealing(call, key, items?.length ?? 1)
  const work = (text: string, said: Said): Eventually<Result> => {
    if (text === '') return NO_CIPHERTEXT
    const opened = sealing.open(text, said, arithmetic)
    return after(opened, plaintext =>
      plaintext instanceof Fault ? plaintext : how.tell(sealing, plaintext, said),
    )
  }
  if (items === undefined) {
    const version = 'key_version' in fields ? (fields.key_version ?? 0) : 0
    const done = work(fields.ciphertext!, saidBy(fields, version, how.padding))
    return after(done, singleAnswer)
  }
  const workOn = (item: JsonObject) => work(textOf(item.ciphertext), saidIn(item, how.padding))
  const told = { failed: how.failed, partialStatus: fields.partial_failure_response_code }
  const answer = (results: readonly Result[]) => batchAnswer(items, results, told)
  const oneByOne = () => after(workThrough(items, workOn, CHEAP), answer)
  const together = how.many?.({ items, key, storage, arithmetic })
  return after(together, all => (all === undefined ? oneByOne() : answer(all)))
}

const decrypt = (call: Call<typeof decryptFields>, ports: OperationPorts): Eventually<Outcome> =>
  openAll(call, ports, {
    padding: call.fields.padding_scheme ?? '',
    failed: '"plaintext":"",',
    many: openMany,
    tell(_sealing, plaintext) {
      const result = `"plaintext":"${plaintext.toString('base64')}",`
      plaintext.fill(0)
      return result
    },
  })

const rewrap = (call: Call<typeof rewrapFields>, ports: OperationPorts): Eventually<Outcome> =>
  openAll(call, ports, {
    padding: call.fields.decrypt_padding_scheme ?? '',
    failed: '',
    tell(sealing, plaintext, said) {
      const padding = call.fields.encrypt_padding_scheme ?? ''
      const result = sealing.seal(plaintext, { ...said, padding })
      plaintext.fill(0)
      return result
    },
  })
