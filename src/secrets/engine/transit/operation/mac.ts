/**
 * `hmac/<name>` and `cmac/<name>`: codes that only who may use the key can make and check.
 *
 * Owns the two paths, and checking such codes for `verify`.
 */

import { Refusal } from '../../../../base/errors.ts'
import { after, type Eventually } from '../../../../base/eventually.ts'
import { type Call, type Outcome, type PathSpec, path, prepared } from '../../../declare.ts'
import { int, type JsonObject, str } from '../../../field.ts'
import { list, object, optional, text } from '../../../shape.ts'
import { decode, illegalBase64 } from '../key/base64.ts'
import { Fault } from '../key/fault.ts'
import { cmacWords, hmacWords, prefixOf, splitVersioned } from '../key/format.ts'
import { DEFAULT_HASH, type Hash, hashNamed } from '../key/hash.ts'
import { CMAC_SIZE_BYTES, cmacOf, hmacOf, isSameCode } from '../key/mac.ts'
import { materialOf } from '../key/material.ts'
import { typeOf } from '../key/type.ts'
import type { KeyRow } from '../rows.ts'
import {
  bad,
  batchAnswer,
  batchFields,
  batchOf,
  itemShape,
  type Result,
  refuseItem,
  singleAnswer,
  textOf,
  versionIn,
  workThrough,
} from './batch.ts'
import { versionField } from './encrypt.ts'
import { keyFor, NO_KEY } from './keys.ts'

export const inputField = str('What it is of, in base64.', { isSecret: true })

const hmacFields = {
  name: str('Name of the key.'),
  input: inputField,
  algorithm: str('sha2-224 to sha2-512, sha3-224 to sha3-512; sha2-256 by default.'),
  urlalgorithm: str('The same, in the path.'),
  key_version: versionField,
  ...batchFields,
}

const hmacPath = (pattern: string): PathSpec =>
  path({
    pattern,
    help: {
      synopsis: 'Gives the HMAC of an input.',
      description: 'The key for it is another one than that which encrypts or signs.',
    },
    fields: hmacFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof hmacFields, Outcome>({
        summary: 'Gives HMACs.',
        effect: 'reads',
        answer: object({
          hmac: optional(text),
          batch_results: optional(list(itemShape({ hmac: optional(text) }))),
        }),
        examples: [{ input: 'aGVsbG8=' }],
        prepare: hmac,
        run: call => call.prepared,
      }),
    },
  })

const cmacFields = {
  name: str('Name of the key.'),
  input: inputField,
  mac_length: int('How many bytes of it; 16 by default.'),
  url_mac_length: int('The same, in the path.'),
  key_version: versionField,
  ...batchFields,
}

const cmacPath = (pattern: string): PathSpec =>
  path({
    pattern,
    help: {
      synopsis: 'Gives the CMAC of an input.',
      description: 'By a key of the types `aes128-cmac`, `aes192-cmac` or `aes256-cmac`.',
    },
    fields: cmacFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof cmacFields, Outcome>({
        summary: 'Gives CMACs.',
        effect: 'reads',
        answer: object({
          cmac: optional(text),
          batch_results: optional(list(itemShape({ cmac: optional(text) }))),
        }),
        examples: [{ input: 'aGVsbG8=' }],
        prepare: cmac,
        run: call => call.prepared,
      }),
    },
  })

export const macPaths: readonly PathSpec[] = [
  hmacPath('hmac/{name}'),
  hmacPath('hmac/{name}/{urlalgorithm}'),
  cmacPath('cmac/{name}'),
  cmacPath('cmac/{name}/{url_mac_length}'),
]

function hmac(call: Call<typeof hmacFields>): Eventually<Outcome> {
  const { fields, storage } = call
  const key = keyFor(storage, fields.name ?? '', NO_KEY)
  if (key instanceof Refusal) return key
  const hash = hmacHash(fields.urlalgorithm || fields.algorithm)
  if (hash instanceof Refusal) return hash
  return makeCodes(call, key, 'hmac', (input, version) => {
    const secret = hmacKey(call.storage, key, version)
    return secret instanceof Fault ? secret : hmacOf(hash.name, secret, input)
  })
}

function hmacHash(named: string | undefined): Hash | Refusal {
  const name = named || DEFAULT_HASH
  return hashNamed(name) ?? bad(`unsupported algorithm ${JSON.stringify(name)}`)
}

function cmac(call: Call<typeof cmacFields>): Eventually<Outcome> {
  const { fields, storage } = call
  const key = keyFor(storage, fields.name ?? '', NO_KEY)
  if (key instanceof Refusal) return key
  const sizeBytes = cmacSize(fields.url_mac_length ?? fields.mac_length)
  if (sizeBytes instanceof Refusal) return sizeBytes
  if (typeOf(key).kind !== 'cmac') return bad(noCmac(key))
  return makeCodes(call, key, 'cmac', (input, version) => {
    const secret = cmacKey(call.storage, key, version)
    return secret instanceof Fault ? secret : cmacOf(secret, input).subarray(0, sizeBytes)
  })
}

const noCmac = (key: KeyRow): string => `key type ${key.type} does not support CMAC`

/** How many bytes of a CMAC are asked for: all for 0. */
function cmacSize(asked: number | undefined): number | Refusal {
  const sizeBytes = asked || CMAC_SIZE_BYTES
  return sizeBytes >= 1 && sizeBytes <= CMAC_SIZE_BYTES
    ? sizeBytes
    : bad(`invalid mac_length ${sizeBytes}; must be 1 to ${CMAC_SIZE_BYTES}`)
}

type MacCall = Call<typeof hmacFields> | Call<typeof cmacFields>
type Storage = MacCall['storage']

/** Makes the code of one input, or of all those of a batch. */
function makeCodes(
  { fields, given }: MacCall,
  key: KeyRow,
  what: 'hmac' | 'cmac',
  codeOf: (input: Buffer, version: number) => Buffer | Fault,
): Eventually<Outcome> {
  const items = batchOf(fields.batch_input)
  if (items instanceof Refusal) return items
  const words = what.toUpperCase()
  const make = (input: string, asked: number): Result => {
    const version = asked === 0 ? key.latest : asked
    if (version !== key.latest && version < key.minEncryption) {
      return new Fault(`cannot generate ${words}: version is too old (disallowed by policy)`)
    }
    const bytes = decode(input)
    if (bytes === undefined) return noInput(input)
    const code = codeOf(bytes, version)
    if (code instanceof Fault) return code
    return `"${what}":"${prefixOf(version)}${code.toString('base64')}",`
  }
  const { key_version: ofAll = 0 } = fields
  if (items === undefined) {
    if (!given('input')) return bad(`missing input for ${words}`)
    return singleAnswer(make(fields.input ?? '', ofAll))
  }
  const refused = refuseInputs(items, ['input', 'reference'])
  if (refused !== undefined) return refused
  const missing = new Fault(`missing input for ${words}`)
  const done = workThrough(items, item =>
    hasText(item, 'input') ? make(textOf(item.input), versionIn(item) || ofAll) : missing,
  )
  const partialStatus = fields.partial_failure_response_code
  return after(done, results => batchAnswer(items, results, { failed: '', partialStatus }))
}

/** Whether an item has a part that is text, be it empty. */
export const hasText = (item: JsonObject, name: string): boolean => typeof item[name] === 'string'

/** What is wrong with the parts of items. */
export function refuseInputs(
  items: readonly JsonObject[],
  names: readonly string[],
): Refusal | undefined {
  for (let at = 0; at < items.length; at++) {
    const refused = refuseItem(items[at]!, at, names)
    if (refused !== undefined) return refused
  }
  return undefined
}

export const noInput = (input: string): Fault =>
  new Fault(`unable to decode input as base64: ${illegalBase64(input)}`)

function hmacKey(storage: Storage, key: KeyRow, version: number) {
  if (version < 0) return new Fault('key version does not exist (cannot be negative)')
  if (version > key.latest) {
    return new Fault(`key version does not exist; latest key version is ${key.latest}`)
  }
  const material = materialOf(storage, key, version)
  if (material === undefined) return new Fault('no such key version')
  return material.hmac ?? new Fault('no HMAC key exists for that key version')
}

function cmacKey(storage: Storage, key: KeyRow, version: number) {
  if (version < 0) return new Fault('key version does not exist (cannot be negative)')
  if (version > key.latest) {
    return new Fault(`key version does not exist; latest key version is ${key.latest}`)
  }
  return materialOf(storage, key, version)?.secret ?? new Fault('no such key version')
}

/** How codes are checked: by the hash of HMACs, or the size of CMACs. */
export type CodeHow = { readonly hash: Hash } | { readonly sizeBytes: number }

/** How a request to check codes says that. */
export function codeHow(
  key: KeyRow,
  what: 'hmac' | 'cmac',
  hash: Hash | undefined,
  sizeBytes: number | undefined,
): CodeHow | Refusal {
  if (what === 'hmac') return hash === undefined ? bad('unsupported algorithm "none"') : { hash }
  const size = cmacSize(sizeBytes)
  if (size instanceof Refusal) return size
  return typeOf(key).kind === 'cmac' ? { sizeBytes: size } : bad(noCmac(key))
}

/** Whether a text is the code of an input. */
export function checkCode(
  storage: Storage,
  key: KeyRow,
  how: CodeHow,
  input: Buffer,
  code: string,
): boolean | Fault {
  const isHmac = 'hash' in how
  const split = splitVersioned(code, isHmac ? hmacWords : cmacWords)
  if (split instanceof Fault) return split
  const words = isHmac ? 'HMAC' : 'CMAC'
  const given = decode(split.payload)
  if (given === undefined) {
    const text = `unable to decode verification ${words} as base64`
    return new Fault(`${text}: ${illegalBase64(split.payload)}`)
  }
  const { version } = split
  if (version > key.latest) return new Fault(`invalid ${words}: version is too new`)
  if (version < key.minDecryption) {
    return new Fault(`cannot verify ${words}: version is too old (disallowed by policy)`)
  }
  const secret = isHmac ? hmacKey(storage, key, version) : cmacKey(storage, key, version)
  if (secret instanceof Fault) return secret
  const expected = isHmac
    ? hmacOf(how.hash.name, secret, input)
    : cmacOf(secret, input).subarray(0, how.sizeBytes)
  return isSameCode(expected, given)
}
