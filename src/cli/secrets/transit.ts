/**
 * The verbs `transit import` and `transit import-version`: a key of one's own, wrapped here so that
 * it crosses the network sealed for the server alone.
 *
 * Owns the wrapping, and the exit codes, which are Vault's: 1 for a mistake made here, 3 for what
 * the server said. The key stands in no text that is printed.
 */
import { constants, createCipheriv, publicEncrypt, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { messageOf } from '../../base/errors.ts'
import type { Call } from '../command.ts'
import { readStdin, sourceOf } from './ask.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { readData } from './data.ts'
import { Failure, saying } from './failure.ts'
import { httpFlags } from './flags.ts'
import { barePath } from './paths.ts'
import { valueIn } from './secret.ts'

const EPHEMERAL_SIZE_BYTES = 32
/** The alternative initial value of RFC 5649. */
const KWP_IV = Buffer.from('a65959a6', 'hex')

const usage = '[options] PATH KEY [K=V...]   (MOUNT/keys/NAME; KEY is base64, @FILE of it, or -)'
const REMOTE = 3

export const transitImport = secretsVerb({
  usage,
  flags: httpFlags,
  examples: ['transit/keys/web @key.b64 type=rsa-2048', 'transit/keys/app - allow_rotation=true'],
  args: [2, undefined],
  run: (call, client) => importKey(call, client, 'import'),
})

export const transitImportVersion = secretsVerb({
  usage,
  flags: httpFlags,
  examples: ['transit/keys/web @key.b64'],
  args: [2, undefined],
  run: (call, client) => importKey(call, client, 'import_version'),
})

async function importKey(call: Call, client: SecretsClient, operation: string): Promise<number> {
  const { io, args } = call
  const parts = /^(.*)\/keys\/([^/]+)$/.exec(barePath(args[0] ?? ''))
  if (parts === null) throw new Failure('PATH must be that of a key: MOUNT/keys/NAME', 1)
  const [path, mount] = parts
  const key = await keyFrom(call, args[1] ?? '')
  const data = await readData(args.slice(2), sourceOf(call))
  io.print('Retrieving wrapping key.')
  const reading = client.read(`${mount}/wrapping_key`)
  const found = await saying('failed to fetch wrapping key', reading, REMOTE)
  const wrappingKey = valueIn(found?.data, 'public_key')
  if (typeof wrappingKey !== 'string') {
    throw new Failure(`failed to fetch wrapping key: there is none at ${mount}`, REMOTE)
  }
  io.print('Wrapping source key with ephemeral key.')
  const ciphertext = wrapped(wrappingKey, key)
  key.fill(0)
  io.print('Submitting wrapped key.')
  const writing = client.write(`${path}/${operation}`, { ...data, ciphertext })
  await saying('failed to call import', writing, REMOTE)
  io.print('Success!')
  return 0
}

/** The key's bytes: an argument, a file of base64, or stdin. Throws Failure. */
async function keyFrom(call: Call, argument: string): Promise<Buffer> {
  const text = argument === '-' ? await readStdin(call) : await textOf(argument)
  const bare = text.replaceAll(/\s/g, '')
  if (bare === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(bare) || bare.length % 4 !== 0) {
    throw new Failure('the key is not base64', 1)
  }
  return Buffer.from(bare, 'base64')
}

async function textOf(argument: string): Promise<string> {
  if (!argument.startsWith('@')) return argument
  try {
    return (await readFile(argument.slice(1))).toString('latin1')
  } catch (error) {
    throw new Failure(`error reading key material file: ${messageOf(error)}`, 1)
  }
}

/** An ephemeral key sealed by OAEP, and behind it the key wrapped by that one (RFC 5649). */
function wrapped(wrappingKey: string, key: Buffer): string {
  const ephemeral = randomBytes(EPHEMERAL_SIZE_BYTES)
  const cipher = createCipheriv('id-aes256-wrap-pad', ephemeral, KWP_IV)
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  try {
    const sealed = publicEncrypt({ key: wrappingKey, padding, oaepHash: 'sha256' }, ephemeral)
    return Buffer.concat([sealed, cipher.update(key), cipher.final()]).toString('base64')
  } finally {
    ephemeral.fill(0)
  }
}
