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
import { kinds, makeKey } from './making.ts'
import { serverAt } from './server.ts'
import type { AgreementVector, ByokVector, KeyVector } from './vectors.ts'

const { BAO_ADDR = 'http://127.0.0.1:8200', BAO_TOKEN = 'root' } = process.env
const server = serverAt(BAO_ADDR, BAO_TOKEN)
const plaintext = Buffer.from('attack at dawn').toString('base64')

/** Keys wrapped for an RSA key of ours, as an import takes them. */
async function makeByok(): Promise<ByokVector[]> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 4096 })
  await server.post('transit/keys/destination/import', {
    ...{ type: 'rsa-4096', public_key: publicKey.export({ type: 'spki', format: 'pem' }) },
  })
  const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const made: ByokVector[] = []
  for (const { type } of kinds.filter(({ derived }) => !derived)) {
    const isFirst = type === 'aes256-gcm96'
    for (const hash of isFirst ? ['SHA1', 'SHA224', 'SHA256', 'SHA384', 'SHA512'] : ['SHA256']) {
      const { keys } = await server.get(`transit/byok-export/destination/${type}/2?hash=${hash}`)
      made.push({ type, hash, privateKeyPem, wrapped: keys['2'], key: await wrappedKey(type) })
    }
  }
  return made.map((each, at) => (at === 0 ? each : { ...each, privateKeyPem: '' }))
}

async function wrappedKey(type: string): Promise<string> {
  const word = type.startsWith('ec') || type.startsWith('ed') ? 'signing-key' : 'encryption-key'
  const { keys } = await server.get(`transit/export/${type === 'hmac' ? 'hmac-key' : word}/${type}`)
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
      const answer = await server.ask('POST', `transit/derive-key/${name}`, {
        ...{ base_key_name: type, base_key_version: 2, peer_public_key: peerPublicKey },
        ...{ derived_key_type: derivedType },
      })
      if (answer.status >= 300) {
        process.stderr.write(`${name}: ${answer.errors.join(', ')}\n`)
        continue
      }
      await server.post(`transit/keys/${name}/config`, {
        exportable: true,
        allow_plaintext_backup: true,
      })
      const { keys } = await server.get(`transit/export/encryption-key/${name}`)
      const { ciphertext } = await server.post(`transit/encrypt/${name}`, { plaintext: plaintext })
      const base = { baseKey: type, baseVersion: 2, peerPublicKey, derivedType }
      made.push({ ...base, key: keys['1'], plaintext: plaintext, ciphertext })
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
await server.ask('DELETE', 'sys/mounts/transit')
await server.post('sys/mounts/transit', { type: 'transit' })
const keys: KeyVector[] = []
for (const kind of kinds) keys.push(await makeKey(server, kind))
await write('keys', { keys })
await write('byok', { byok: await makeByok() })
await write('agreements', { agreements: await makeAgreements() })
