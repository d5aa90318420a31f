/**
 * Makes the vectors of transit by asking an OpenBao for them: keys of every type, and what was
 * encrypted, signed and hashed with them.
 *
 *     bao server -dev -dev-root-token-id=root &
 *     BAO_ADDR=http://127.0.0.1:8200 BAO_TOKEN=root node --no-warnings make.ts
 *
 * Owns the content of the JSON files beside it; nothing there is written by hand. No test runs it.
 */
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AgreementVector, ByokVector, KeyVector, SignatureVector } from './vectors.ts'

const { BAO_ADDR = 'http://127.0.0.1:8200', BAO_TOKEN = 'root' } = process.env
const b64 = (text: string | Buffer): string => Buffer.from(text).toString('base64')

interface Answer {
  readonly status: number
  readonly errors: readonly string[]
  // What a server gives is looked at where it is used.
  // biome-ignore lint/suspicious/noExplicitAny: answers of every path
  readonly data: any
}

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`${BAO_ADDR}/v1/${path}`, {
    method,
    headers: { 'X-Vault-Token': BAO_TOKEN },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const { errors = [], data = null } = text === '' ? {} : JSON.parse(text)
  return { status: response.status, errors, data }
}

// biome-ignore lint/suspicious/noExplicitAny: answers of every path
async function must(method: string, path: string, body?: unknown): Promise<any> {
  const { status, errors, data } = await ask(method, path, body)
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${errors.join(', ')}`)
  return data
}

const post = (path: string, body: unknown = {}) => must('POST', path, body)

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
const kinds: readonly Kind[] = [
  ...aead.flatMap(type => [kindOf(type), kindOf(type, true), kindOf(type, true, true)]),
  kindOf('ed25519'),
  kindOf('ed25519', true),
  ...['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521'].map(type => kindOf(type)),
  ...['rsa-2048', 'rsa-3072', 'rsa-4096'].map(type => kindOf(type)),
  kindOf('hmac'),
]

async function makeKey(kind: Kind): Promise<KeyVector> {
  const { type, derived, convergent } = kind
  const name = [type, derived && 'derived', convergent && 'convergent'].filter(Boolean).join('-')
  await post(`transit/keys/${name}`, {
    ...{ type, derived, convergent_encryption: convergent },
    ...{ exportable: true, allow_plaintext_backup: true },
    ...(type === 'hmac' ? { key_size: 48 } : {}),
  })
  await post(`transit/keys/${name}/rotate`)
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
    exported[word] = (await must('GET', `transit/export/${word}/${name}`)).keys
  }
  return {
    ...{ name, ...kind, exported },
    ciphertexts: canEncrypt ? await encrypt(name, kind, versions) : [],
    signatures: canSign ? await sign(name, kind, versions) : [],
    hmacs: await hmac(name, versions),
    backup: (await must('GET', `transit/backup/${name}`)).backup,
  }
}

async function encrypt(
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
          const { ciphertext } = await post(`transit/encrypt/${name}`, body)
          made.push({ ...JSON.parse(JSON.stringify(given)), version, plaintext, ciphertext })
        }
      }
    }
  }
  return made
}

async function sign(
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
        const { signature, public_key } = await post(`transit/sign/${name}`, body)
        const { valid } = await post(`transit/verify/${name}`, { ...given, input, signature })
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

async function hmac(name: string, versions: readonly number[]): Promise<KeyVector['hmacs']> {
  const made: KeyVector['hmacs'][number][] = []
  for (const version of versions) {
    for (const algorithm of version === versions.at(-1) ? hashes : ['sha2-256']) {
      const answer = await ask('POST', `transit/hmac/${name}/${algorithm}`, {
        ...{ input, key_version: version },
      })
      if (answer.status === 200) made.push({ version, algorithm, input, hmac: answer.data.hmac })
      else process.stderr.write(`${name} ${algorithm}: ${answer.errors.join(', ')}\n`)
    }
  }
  return made
}

/** Keys wrapped for an RSA key of ours, as an import takes them. */
async function makeByok(): Promise<ByokVector[]> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 4096 })
  await post('transit/keys/destination/import', {
    ...{ type: 'rsa-4096', public_key: publicKey.export({ type: 'spki', format: 'pem' }) },
  })
  const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const made: ByokVector[] = []
  for (const { type } of kinds.filter(({ derived }) => !derived)) {
    const isFirst = type === 'aes256-gcm96'
    for (const hash of isFirst ? ['SHA1', 'SHA224', 'SHA256', 'SHA384', 'SHA512'] : ['SHA256']) {
      const { keys } = await must('GET', `transit/byok-export/destination/${type}/2?hash=${hash}`)
      made.push({ type, hash, privateKeyPem, wrapped: keys['2'], key: await wrappedKey(type) })
    }
  }
  return made.map((each, at) => (at === 0 ? each : { ...each, privateKeyPem: '' }))
}

async function wrappedKey(type: string): Promise<string> {
  const word = type.startsWith('ec') || type.startsWith('ed') ? 'signing-key' : 'encryption-key'
  const { keys } = await must(
    'GET',
    `transit/export/${type === 'hmac' ? 'hmac-key' : word}/${type}`,
  )
  return keys['2']
}

/** Keys that two sides agree on. */
async function makeAgreements(): Promise<AgreementVector[]> {
  const made: AgreementVector[] = []
  const curves = { 'ecdsa-p256': 'P-256', 'ecdsa-p384': 'P-384', 'ecdsa-p521': 'P-521' }
  for (const [type, namedCurve] of Object.entries(curves)) {
    const peer = generateKeyPairSync('ec', { namedCurve })
    const peerPublicKey = peer.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    for (const derivedType of ['aes256-gcm96', 'aes128-gcm96']) {
      const name = `agreed-${type}-${derivedType}`
      const answer = await ask('POST', `transit/derive-key/${name}`, {
        ...{ base_key_name: type, base_key_version: 2, peer_public_key: peerPublicKey },
        ...{ derived_key_type: derivedType },
      })
      if (answer.status >= 300) {
        process.stderr.write(`${name}: ${answer.errors.join(', ')}\n`)
        continue
      }
      await post(`transit/keys/${name}/config`, { exportable: true, allow_plaintext_backup: true })
      const { keys } = await must('GET', `transit/export/encryption-key/${name}`)
      const { ciphertext } = await post(`transit/encrypt/${name}`, { plaintext: plaintexts[1] })
      const base = { baseKey: type, baseVersion: 2, peerPublicKey, derivedType }
      made.push({ ...base, key: keys['1'], plaintext: plaintexts[1]!, ciphertext })
    }
  }
  return made
}

async function write(name: string, content: Record<string, unknown>): Promise<void> {
  const { version } = (await (await fetch(`${BAO_ADDR}/v1/sys/health`)).json()) as {
    version: string
  }
  const made = `by OpenBao ${version}, built from its tag; asked over HTTP by make.ts beside this`
  const file = join(import.meta.dirname, `${name}.json`)
  writeFileSync(file, `${JSON.stringify({ made, ...content }, null, 2)}\n`)
}

// Of a run before.
await ask('DELETE', 'sys/mounts/transit')
await post('sys/mounts/transit', { type: 'transit' })
const keys: KeyVector[] = []
for (const kind of kinds) keys.push(await makeKey(kind))
await write('keys', { keys })
await write('byok', { byok: await makeByok() })
await write('agreements', { agreements: await makeAgreements() })
