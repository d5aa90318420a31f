/**
 * `sys/tools`: randomness and hashes for who has none of his own.
 *
 * Owns the paths.
 */
import { createHash } from 'node:crypto'
import { Refusal } from '../../../base/errors.ts'
import { type Call, type Outcome, type PathSpec, path } from '../../declare.ts'
import { int, str } from '../../field.ts'
import { object, text } from '../../shape.ts'

/** The paths of tools. */
export const toolPaths = (): PathSpec[] => [
  randomPath('tools/random'),
  randomPath('tools/random/{urlbytes}'),
  randomPath('tools/random/{source}/{urlbytes}'),
  hashPath('tools/hash'),
  hashPath('tools/hash/{urlalgorithm}'),
]

const SOURCES = ['platform', 'seal', 'all']
const MAX_BYTES = 131_072
const BYTES_DEFAULT = 32

const randomFields = {
  bytes: int('How many bytes; 32 by default.'),
  urlbytes: str('The same, or where they come from, in the path.'),
  source: str('`platform`, `seal` or `all`: they all come from the system.'),
  format: str('`base64`, or `hex`.'),
}

/** A path that gives randomness. */
export const randomPath = (pattern: string): PathSpec =>
  path({
    pattern,
    help: {
      synopsis: 'Gives random bytes.',
      description: 'They come from the system, whatever source is named.',
    },
    fields: randomFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Gives random bytes.',
        answer: object({ random_bytes: text }),
        effect: 'reads',
        examples: [{ format: 'hex' }],
        run: random,
      },
    },
  })

function random({ fields, random: entropy }: Call<typeof randomFields>): Outcome {
  const { urlbytes = '', format = 'base64' } = fields
  const isSource = SOURCES.includes(urlbytes)
  const source = isSource ? urlbytes : (fields.source ?? 'platform')
  if (!SOURCES.includes(source)) {
    return new Refusal(
      400,
      `unsupported entropy source ${source}; must be "platform" or "seal", or "all"`,
    )
  }
  const inPath = urlbytes !== '' && !isSource
  if (inPath && !/^\d{1,9}$/.test(urlbytes)) {
    return new Refusal(400, 'error parsing url-set byte count: not a number')
  }
  const count = inPath ? Number(urlbytes) : (fields.bytes ?? BYTES_DEFAULT)
  if (count < 1) return new Refusal(400, '"bytes" cannot be less than 1')
  if (count > MAX_BYTES) return new Refusal(400, `"bytes" should be less than ${MAX_BYTES}`)
  if (format !== 'base64' && format !== 'hex') return unsupported(format)
  return { data: { random_bytes: entropy.bytes(count).toString(format) } }
}

const unsupported = (format: string): Refusal =>
  new Refusal(400, `unsupported encoding format ${format}; must be "hex" or "base64"`)

const ALGORITHMS: Readonly<Record<string, string>> = {
  'sha2-224': 'sha224',
  'sha2-256': 'sha256',
  'sha2-384': 'sha384',
  'sha2-512': 'sha512',
  'sha3-224': 'sha3-224',
  'sha3-256': 'sha3-256',
  'sha3-384': 'sha3-384',
  'sha3-512': 'sha3-512',
}

const hashFields = {
  input: str('What is hashed, in base64.', { isSecret: true }),
  algorithm: str('sha2-224 to sha2-512, sha3-224 to sha3-512; sha2-256 by default.'),
  urlalgorithm: str('The same, in the path.'),
  format: str('`hex`, or `base64`.'),
}

/** A path that hashes; `needsInput` where nothing to hash is no empty text. */
export const hashPath = (pattern: string, needsInput = false): PathSpec =>
  path({
    pattern,
    help: { synopsis: 'Hashes data.', description: 'With SHA-2 or SHA-3.' },
    fields: hashFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Hashes data.',
        answer: object({ sum: text }),
        effect: 'reads',
        examples: [{ input: 'YWRhbQ==' }],
        run: call => (needsInput && !call.given('input') ? NO_INPUT : hash(call)),
      },
    },
  })

const NO_INPUT = new Refusal(400, 'input missing')

function hash({ fields }: Call<typeof hashFields>): Outcome {
  const { input = '', format = 'hex' } = fields
  const algorithm = fields.urlalgorithm || fields.algorithm || 'sha2-256'
  const bytes = Buffer.from(input, 'base64')
  // Node decodes whatever there is: only what comes out the same again was base64.
  if (bytes.toString('base64') !== input) {
    return new Refusal(400, 'unable to decode input as base64: illegal base64 data')
  }
  if (format !== 'base64' && format !== 'hex') return unsupported(format)
  if (!Object.hasOwn(ALGORITHMS, algorithm)) {
    return new Refusal(400, `unsupported algorithm ${algorithm}`)
  }
  return { data: { sum: createHash(ALGORITHMS[algorithm]!).update(bytes).digest(format) } }
}
