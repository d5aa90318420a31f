/**
 * `datakey/plaintext/<name>` and `datakey/wrapped/<name>`: a new key for a client's own use, with
 * its ciphertext.
 *
 * Owns the path. The key is kept nowhere.
 */
import { Refusal } from '../../../../base/errors.ts'
import { type Call, type Outcome, type PathSpec, path } from '../../../declare.ts'
import { int, str } from '../../../field.ts'
import { object, optional, text } from '../../../shape.ts'
import { decode } from '../key/base64.ts'
import { Fault } from '../key/fault.ts'
import { bad, refusalOf } from './batch.ts'
import { paddingField, saidBy, sealedParts, sealingFields, versionField } from './encrypt.ts'
import { keyFor, NO_KEY } from './keys.ts'
import { Sealing } from './sealing.ts'

const fields = {
  ...sealingFields,
  plaintext: str('`plaintext` to be given the key itself as well, or `wrapped`.'),
  bits: int('The size of the key: 128, 256 or 512.', { initial: 256 }),
  key_version: versionField,
  padding_scheme: paddingField,
}

export const datakeyPath: PathSpec = path({
  pattern: 'datakey/{plaintext}/{name}',
  help: {
    synopsis: 'Gives a new key, encrypted, and as it is if that is asked for.',
    description: '`wrapped` gives the ciphertext alone, so that another right opens it.',
  },
  fields,
  access: 'authorized',
  operations: {
    update: {
      summary: 'Gives a new key.',
      effect: 'reads',
      answer: object({ plaintext: optional(text), ...sealedParts }),
      examples: [{ bits: 256 }],
      run: datakey,
    },
  },
})

const SIZES_BITS = [128, 256, 512]

function datakey(call: Call<typeof fields>): Outcome {
  const { plaintext: shown, bits = 256, name = '', key_version: version = 0 } = call.fields
  if (shown !== 'plaintext' && shown !== 'wrapped') {
    return bad("Invalid path, must be 'plaintext' or 'wrapped'")
  }
  const key = keyFor(call.storage, name, NO_KEY)
  if (key instanceof Refusal) return key
  if (!SIZES_BITS.includes(bits)) return bad('invalid bit length')
  if (decode(call.fields.context ?? '') === undefined) return bad('failed to base64-decode context')
  const bytes = call.random.bytes(bits / 8)
  const said = saidBy(call.fields, version, call.fields.padding_scheme ?? '')
  const sealed = new Sealing(call, key, 1).seal(bytes, said)
  if (sealed instanceof Fault) return refusalOf(sealed)
  const open = shown === 'plaintext' ? `"plaintext":"${bytes.toString('base64')}",` : ''
  bytes.fill(0)
  return { dataText: `{${open}${sealed.slice(0, -1)}}` }
}
