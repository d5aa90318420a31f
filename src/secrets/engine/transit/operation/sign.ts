/**
 * `sign/<name>` and `verify/<name>`: signatures of one input or a batch of them, and whether they
 * are any; `verify` also checks HMACs and CMACs.
 *
 * Owns the two paths, and how their fields say how something is signed.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import { after, type Eventually } from '../../../../base/eventually.ts'
import { type Call, type Outcome, type PathSpec, path, prepared } from '../../../declare.ts'
import { bool, int, type JsonObject, str } from '../../../field.ts'
import { bool as boolShape, int as intShape, list, object, optional, text } from '../../../shape.ts'
import { decode } from '../key/base64.ts'
import { deriveEd25519 } from '../key/derive.ts'
import { Fault } from '../key/fault.ts'
import { prefixOf, signatureWords, splitVersioned } from '../key/format.ts'
import { DEFAULT_HASH, hashNamed } from '../key/hash.ts'
import type { Material } from '../key/material.ts'
import type { SaltLength } from '../key/rsa.ts'
import { type SignHow, signatureText, signWith, verifyWith } from '../key/signature.ts'
import { type KeyType, typeOf } from '../key/type.ts'
import type { KeyRow } from '../rows.ts'
import {
  bad,
  batchAnswer,
  batchFields,
  batchOf,
  itemShape,
  type Result,
  singleAnswer,
  textOf,
  versionIn,
  workThrough,
} from './batch.ts'
import { versionField } from './encrypt.ts'
import { keyFor, NO_KEY, readyVersion, TOO_OLD, versionFor } from './keys.ts'
import {
  type CodeHow,
  checkCode,
  codeHow,
  hasText,
  inputField,
  noInput,
  refuseInputs,
} from './mac.ts'
import type { OperationPorts } from './ports.ts'

const howFields = {
  name: str('Name of the key.'),
  input: inputField,
  context: str('What a derived key is derived for, in base64.'),
  hash_algorithm: str(
    'sha1, sha2-224 to sha2-512, sha3-224 to sha3-512; sha2-256 by default. `none` with `prehashed` and pkcs1v15 alone.',
  ),
  algorithm: str('The same, as older clients call it.', { isDeprecated: true }),
  urlalgorithm: str('The same, in the path.'),
  prehashed: bool('Whether the input is a digest already.', { initial: false }),
  signature_algorithm: str('Of RSA: `pss` or `pkcs1v15`; `pss` by default.'),
  marshaling_algorithm: str('`asn1`, or `jws`: two numbers in base64 for URLs.'),
  salt_length: str('Of PSS: `auto`, `hash`, or how many bytes; `auto` by default.'),
  signature_context: str('In base64: what a signature of ML-DSA or SLH-DSA is for as well.'),
  ...batchFields,
}
const signFields = { ...howFields, key_version: versionField }
const verifyFields = {
  ...howFields,
  signature: str('What is checked: `vault:v1:…`.'),
  hmac: str('The HMAC that is checked in its place.'),
  cmac: str('The CMAC that is checked in its place.'),
  mac_length: int('How many bytes a CMAC has; 16 by default.'),
}
type HowCall = Call<typeof signFields> | Call<typeof verifyFields>

const signPath = (pattern: string, ports: OperationPorts): PathSpec =>
  path({
    pattern,
    help: {
      synopsis: 'Signs an input or a batch of inputs.',
      description: 'With the private key of a key that signs; the public one is shown by its name.',
    },
    fields: signFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof signFields, Outcome>({
        summary: 'Signs inputs.',
        effect: 'reads',
        answer: object({
          signature: optional(text),
          key_version: optional(intShape),
          public_key: optional(text),
          batch_results: optional(
            list(
              itemShape({
                ...{ signature: optional(text), key_version: intShape },
                publickey: optional(text),
              }),
            ),
          ),
        }),
        examples: [{ input: 'aGVsbG8=' }],
        prepare: call => sign(call, ports),
        run: call => call.prepared,
      }),
    },
  })

const verifyPath = (pattern: string): PathSpec =>
  path({
    pattern,
    help: {
      synopsis: 'Tells whether signatures, HMACs or CMACs are those of their inputs.',
      description: 'A wrong one is answered with `valid` false, what can be none with an error.',
    },
    fields: verifyFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof verifyFields, Outcome>({
        summary: 'Checks signatures.',
        effect: 'reads',
        answer: object({
          valid: optional(boolShape),
          batch_results: optional(list(itemShape({ valid: boolShape }))),
        }),
        examples: [{ input: 'aGVsbG8=', signature: 'vault:v1:AAAA' }],
        prepare: verify,
        run: call => call.prepared,
      }),
    },
  })

export const signPaths = (ports: OperationPorts): PathSpec[] => [
  signPath('sign/{name}', ports),
  signPath('sign/{name}/{urlalgorithm}', ports),
  verifyPath('verify/{name}'),
  verifyPath('verify/{name}/{urlalgorithm}'),
]

/** The name of the hash that is asked for. */
const hashName = ({ fields }: HowCall): string =>
  fields.urlalgorithm || fields.hash_algorithm || fields.algorithm || DEFAULT_HASH

/** How a request says that something is signed. */
function howOf(call: HowCall): SignHow | Refusal {
  const { fields } = call
  const name = hashName(call)
  const hash = hashNamed(name)
  if (hash === undefined && name !== 'none') {
    return bad(`invalid hash algorithm ${JSON.stringify(name)}`)
  }
  const marshaling = fields.marshaling_algorithm || 'asn1'
  if (marshaling !== 'asn1' && marshaling !== 'jws') {
    return bad(`invalid marshaling type ${JSON.stringify(marshaling)}`)
  }
  const saltLength = saltLengthOf(fields.salt_length || 'auto')
  if (saltLength instanceof Refusal) return saltLength
  const context = decode(fields.signature_context ?? '')
  if (context === undefined) return bad('failed to base64-decode signature_context')
  const padding = fields.signature_algorithm === 'pkcs1v15' ? 'pkcs1v15' : 'pss'
  return {
    ...{ hash, marshaling, saltLength, padding, isPrehashed: fields.prehashed ?? false },
    context: context.length === 0 ? undefined : context,
  }
}

function saltLengthOf(text: string): SaltLength | Refusal {
  const word = text.toLowerCase()
  if (word === 'auto' || word === '0') return 'auto'
  if (word === 'hash' || word === '-1') return 'hash'
  if (!/^[+-]?\d{1,9}$/.test(word)) {
    return bad(`salt length neither 'auto', 'hash', nor an int: ${text}`)
  }
  const bytes = Number(word)
  return bytes < 0 ? bad(`salt length is invalid: ${bytes}`) : bytes
}

/** What is wrong with how a key is to sign. */
function refuseHow(call: HowCall, type: KeyType, how: SignHow, what: string): Refusal | undefined {
  const { signature_algorithm: algorithm = '' } = call.fields
  if (!type.signs) return bad(`key type ${type.name} does not support ${what}`)
  if (how.hash === undefined && !(how.isPrehashed && algorithm === 'pkcs1v15')) {
    return bad('hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15')
  }
  if (type.kind === 'rsa' && !['', 'pss', 'pkcs1v15'].includes(algorithm)) {
    return bad(`unsupported rsa signature algorithm ${algorithm}`)
  }
  const isOfLattices = type.kind === 'ml-dsa' || type.kind === 'slh-dsa'
  if (how.context !== undefined) {
    if (!isOfLattices) return bad(`signature_context not supported for key type ${type.name}`)
    if (how.context.length > CONTEXT_SIZE_MAX_BYTES) {
      return bad(`signature_context exceeds ${CONTEXT_SIZE_MAX_BYTES} bytes`)
    }
  }
  return isOfLattices && how.isPrehashed
    ? bad(`prehashed not supported for key type ${type.name}`)
    : undefined
}

/** FIPS 204, section 5.2. */
const CONTEXT_SIZE_MAX_BYTES = 255

const NO_PRIVATE_KEY = new Fault('requested version for signing does not contain a private part')
const NO_CONTEXT_BASE64 = new Fault('failed to base64-decode context')
const NO_CONTEXT = new Fault(
  "missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key",
)
const MISSING_INPUT = new Fault('missing input')
const PARTS = ['input', 'context', 'signature', 'hmac', 'cmac', 'reference']

function sign(call: Call<typeof signFields>, ports: OperationPorts): Eventually<Outcome> {
  const { fields, storage } = call
  const how = howOf(call)
  if (how instanceof Refusal) return how
  const key = keyFor(storage, fields.name ?? '', 'signing key not found')
  if (key instanceof Refusal) return key
  const type = typeOf(key)
  const items = batchOf(fields.batch_input)
  if (items instanceof Refusal) return items
  const refused = refuseHow(call, type, how, 'signing') ?? (items && refuseInputs(items, PARTS))
  if (refused !== undefined) return refused
  const { key_version: ofAll = 0 } = fields
  const signOne = (
    input: string,
    context: string,
    asked: number,
    publicName: string,
  ): Eventually<Result> => {
    const bytes = decode(input)
    if (bytes === undefined) return noInput(input)
    const version = versionFor(key, asked, 'signing')
    if (typeof version !== 'number') return version
    const material = readyVersion(storage, key, version)
    if (material instanceof Fault) return material
    const signer = signerOf(key, material, context)
    if (signer instanceof Fault) return signer
    const shown = key.derived ? `"${publicName}":"${publicBytes(signer)}",` : ''
    const signature = signWith(
      { arithmetic: ports.arithmetic, random: call.random },
      ...([type, signer, how, bytes] as const),
    )
    return after(signature, made =>
      made instanceof Fault
        ? made
        : `"signature":"${prefixOf(version)}${signatureText(how, made)}",` +
          `"key_version":${version},${shown}`,
    )
  }
  if (items === undefined) {
    const done = signOne(fields.input ?? '', fields.context ?? '', ofAll, 'public_key')
    return after(done, singleAnswer)
  }
  const done = workThrough(items, item =>
    hasText(item, 'input')
      ? signOne(
          textOf(item.input),
          textOf(item.context),
          ...([versionIn(item) || ofAll, 'publickey'] as const),
        )
      : MISSING_INPUT,
  )
  const partialStatus = fields.partial_failure_response_code
  return after(done, results =>
    batchAnswer(items, results, { failed: '"key_version":0,', partialStatus }),
  )
}

/** The private key that signs: that of the version, or of the context. */
function signerOf(key: KeyRow, material: Material, context: string): KeyObject | Fault {
  const own = material.privateKey
  if (own === undefined) return NO_PRIVATE_KEY
  return key.derived ? derivedFor(key, material, context) : own
}

function derivedFor(key: KeyRow, material: Material, context: string): KeyObject | Fault {
  const bytes = decode(context)
  if (bytes === undefined) return NO_CONTEXT_BASE64
  return bytes.length === 0 ? NO_CONTEXT : deriveEd25519(key, material, bytes)
}

/** The bytes of an Ed25519 key's public half, in base64. */
const publicBytes = (key: KeyObject): string =>
  Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x!, 'base64url').toString('base64')

type Checked = 'signature' | 'hmac' | 'cmac'
const CHECKED: readonly Checked[] = ['signature', 'hmac', 'cmac']
const quoted = (names: readonly string[], last: string): string => {
  const all = names.map(name => `'${name}'`)
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} ${last} ${all.at(-1)}`
}

/** What a request gives to be checked: the same in all items. */
function checkedIn(
  { given }: Call<typeof verifyFields>,
  items: readonly JsonObject[] | undefined,
): Checked | Refusal {
  if (items === undefined) {
    const found = CHECKED.filter(given)
    if (found.length > 1) return bad(`provide one of ${quoted(found, 'or')}`)
    return found[0] ?? bad("neither a 'signature' nor an 'hmac' were given to verify")
  }
  const found = items.map(item => CHECKED.find(name => hasText(item, name)))
  const kinds = CHECKED.filter(name => found.includes(name))
  if (kinds.length === 0) return bad("no batch_input elements have 'signature' or 'hmac'")
  if (kinds.length > 1) {
    const all = kinds.map(name => `all provide '${name}'`).join(' or ')
    return bad(`elements of batch_input must ${all}`)
  }
  return found.includes(undefined)
    ? bad(`some elements of batch_input are missing '${kinds[0]}'`)
    : kinds[0]!
}

function verify(call: Call<typeof verifyFields>): Eventually<Outcome> {
  const { fields } = call
  const items = batchOf(fields.batch_input)
  if (items instanceof Refusal) return items
  const refused = items && refuseInputs(items, PARTS)
  if (refused !== undefined) return refused
  const what = checkedIn(call, items)
  if (what instanceof Refusal) return what
  const check = what === 'signature' ? signatureCheck(call) : codeCheck(call, what)
  if (check instanceof Refusal) return check
  const checkOne = (input: string, checked: string, context: string): Result => {
    const bytes = decode(input)
    if (bytes === undefined) return noInput(input)
    const valid = check(bytes, checked, context)
    return valid instanceof Fault ? valid : `"valid":${valid},`
  }
  if (items === undefined) {
    return singleAnswer(checkOne(fields.input ?? '', fields[what] ?? '', fields.context ?? ''))
  }
  const done = workThrough(items, item =>
    hasText(item, 'input')
      ? checkOne(textOf(item.input), textOf(item[what]), textOf(item.context))
      : MISSING_INPUT,
  )
  const partialStatus = fields.partial_failure_response_code
  return after(done, results =>
    batchAnswer(items, results, { failed: '"valid":false,', partialStatus }),
  )
}

type Check = (input: Buffer, checked: string, context: string) => boolean | Fault

function codeCheck(call: Call<typeof verifyFields>, what: 'hmac' | 'cmac'): Check | Refusal {
  const { fields, storage } = call
  const name = hashName(call)
  const hash = hashNamed(name)
  if (hash === undefined && name !== 'none') {
    return bad(`invalid hash algorithm ${JSON.stringify(name)}`)
  }
  const key = keyFor(storage, fields.name ?? '', NO_KEY)
  if (key instanceof Refusal) return key
  const how: CodeHow | Refusal = codeHow(key, what, hash, fields.mac_length)
  if (how instanceof Refusal) return how
  return (input, code) => checkCode(storage, key, how, input, code)
}

function signatureCheck(call: Call<typeof verifyFields>): Check | Refusal {
  const { fields, storage } = call
  const how = howOf(call)
  if (how instanceof Refusal) return how
  const key = keyFor(storage, fields.name ?? '', 'signature verification key not found')
  if (key instanceof Refusal) return key
  const type = typeOf(key)
  const refused = refuseHow(call, type, how, 'verification')
  if (refused !== undefined) return refused
  return (input, signature, context) => {
    const split = splitVersioned(signature, signatureWords)
    if (split instanceof Fault) return split
    const { version, payload } = split
    if (version > key.latest) return TOO_NEW
    if (version < key.minDecryption) return TOO_OLD
    const material = readyVersion(storage, key, version)
    if (material instanceof Fault) return material
    const verifier = verifierOf(key, material, context)
    return verifier instanceof Fault ? verifier : verifyWith(type, verifier, how, input, payload)
  }
}

const TOO_NEW = new Fault('invalid signature: version is too new')

function verifierOf(key: KeyRow, material: Material, context: string): KeyObject | Fault {
  if (!key.derived) return material.publicKey!
  if (material.privateKey === undefined) return NO_PRIVATE_KEY
  const derived = derivedFor(key, material, context)
  return derived instanceof Fault ? derived : createPublicKey(derived)
}
