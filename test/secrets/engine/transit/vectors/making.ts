/**
 * Has a server make keys of transit, and encrypt, sign and hash with them.
 *
 * Owns what is asked of every kind of key. The server may be ours or another's of the same
 * interface.
 */

import type { Server } from './server.ts'
import type { KeyVector, SignatureVector } from './vectors.ts'

const b64 = (text: string | Buffer): string => Buffer.from(text).toString('base64')

const contexts = [b64('tenant one'), b64('tenant two')]
const plaintexts = ['', 'attack at dawn', 'ü'.repeat(40)].map(b64)
const associated = b64('row 17')
const input = b64('what is to be signed')
const sizes = ['224', '256', '384', '512']
const hashes = ['sha1', ...['sha2', 'sha3'].flatMap(kind => sizes.map(size => `${kind}-${size}`))]

type Kind = Pick<KeyVector, 'type' | 'derived' | 'convergent'>
const aead = ['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'xchacha20-poly1305']
const kindOf = (type: string, derived = false, convergent = false): Kind => ({
  type,
  derived,
  convergent,
})
/** Every kind of key that there is. */
export const kinds: readonly Kind[] = [
  ...aead.flatMap(type => [kindOf(type), kindOf(type, true), kindOf(type, true, true)]),
  kindOf('ed25519'),
  kindOf('ed25519', true),
  ...['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521'].map(type => kindOf(type)),
  ...['rsa-2048', 'rsa-3072', 'rsa-4096'].map(type => kindOf(type)),
  kindOf('hmac'),
]

/** Has a server make a key of a kind, and do with it whatever it can. */
export async function makeKey(server: Server, kind: Kind): Promise<KeyVector> {
  const { type, derived, convergent } = kind
  const name = [type, derived && 'derived', convergent && 'convergent'].filter(Boolean).join('-')
  await server.post(`transit/keys/${name}`, {
    ...{ type, derived, convergent_encryption: convergent },
    ...{ exportable: true, allow_plaintext_backup: true },
    ...(type === 'hmac' ? { key_size: 48 } : {}),
  })
  await server.post(`transit/keys/${name}/rotate`)
  const versions = type.startsWith('rsa') && type !== 'rsa-2048' ? [2] : [1, 2]
  const isAead = aead.includes(type)
  const canEncrypt = isAead || type.startsWith('rsa')
  const canSign = !isAead && type !== 'hmac'
  const exported: Record<string, Record<string, string>> = {}
  const kindsOfKey = [
    ...['hmac-key', canEncrypt ? 'encryption-key' : ''],
    ...[canSign ? 'signing-key' : '', canSign ? 'public-key' : ''],
  ]
  for (const word of kindsOfKey.filter(Boolean)) {
    exported[word] = (await server.get(`transit/export/${word}/${name}`)).keys
  }
  return {
    ...{ name, ...kind, exported },
    ciphertexts: canEncrypt ? await encrypt(server, name, kind, versions) : [],
    signatures: canSign ? await sign(server, name, kind, versions) : [],
    hmacs: await hmac(server, name, versions),
    backup: (await server.get(`transit/backup/${name}`)).backup,
  }
}

async function encrypt(
  server: Server,
  name: string,
  { type, derived }: Kind,
  versions: readonly number[],
): Promise<KeyVector['ciphertexts']> {
  const made: KeyVector['ciphertexts'][number][] = []
  const isRsa = type.startsWith('rsa')
  for (const version of versions) {
    for (const context of derived ? contexts : [undefined]) {
      for (const plaintext of plaintexts) {
        for (const associated_data of isRsa ? [undefined] : [undefined, associated]) {
          const given = { context, associated_data }
          const body = { ...given, plaintext, key_version: version }
          const { ciphertext } = await server.post(`transit/encrypt/${name}`, body)
          made.push({ ...JSON.parse(JSON.stringify(given)), version, plaintext, ciphertext })
        }
      }
    }
  }
  return made
}

async function sign(
  server: Server,
  name: string,
  { type, derived }: Kind,
  versions: readonly number[],
): Promise<readonly SignatureVector[]> {
  const made: SignatureVector[] = []
  for (const version of versions) {
    // All settings with the newest version; older ones differ in nothing but the key.
    for (const settings of settingsOf(type).slice(0, version === versions.at(-1) ? undefined : 1)) {
      for (const context of derived ? contexts : [undefined]) {
        const given = JSON.parse(JSON.stringify({ ...settings, context }))
        const body = { ...given, input, key_version: version }
        const { signature, public_key } = await server.post(`transit/sign/${name}`, body)
        const { valid } = await server.post(`transit/verify/${name}`, {
          ...given,
          input,
          signature,
        })
        if (valid !== true) throw new Error(`not its own signature: ${JSON.stringify(body)}`)
        const more = public_key === undefined ? {} : { publicKey: public_key }
        made.push({ version, input, settings: given, signature, ...more })
      }
    }
  }
  return made
}

function settingsOf(type: string): Record<string, unknown>[] {
  if (type === 'ed25519') return [{}]
  const marshalings = ['asn1', 'jws']
  if (type.startsWith('ecdsa')) {
    return hashes.flatMap(hash_algorithm =>
      marshalings.map(marshaling_algorithm => ({ hash_algorithm, marshaling_algorithm })),
    )
  }
  const few = type === 'rsa-2048' ? hashes : ['sha2-256', 'sha3-512']
  return few.flatMap(hash_algorithm => [
    { hash_algorithm, signature_algorithm: 'pkcs1v15' },
    ...['auto', 'hash', '7'].map(salt_length => ({
      ...{ hash_algorithm, signature_algorithm: 'pss', salt_length },
    })),
  ])
}

async function hmac(
  server: Server,
  name: string,
  versions: readonly number[],
): Promise<KeyVector['hmacs']> {
  const made: KeyVector['hmacs'][number][] = []
  for (const version of versions) {
    for (const algorithm of version === versions.at(-1) ? hashes : ['sha2-256']) {
      const answer = await server.ask('POST', `transit/hmac/${name}/${algorithm}`, {
        ...{ input, key_version: version },
      })
      if (answer.status === 200) made.push({ version, algorithm, input, hmac: answer.data.hmac })
      else process.stderr.write(`${name} ${algorithm}: ${answer.errors.join(', ')}\n`)
    }
  }
  return made
}
