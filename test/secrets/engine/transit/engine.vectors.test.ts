/** What OpenBao made with its keys, opened and verified by ours; see vectors/make.ts. */
import {
  constants,
  createCipheriv,
  createPrivateKey,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import t, { type Test } from 'tap'
import type { TestSecrets } from '../../harness.ts'
import { giveWrappingKey, openTransit, vectorsIn } from './transit.ts'
import { checkCiphertexts, checkRestored, checkSignatures } from './vectors/checking.ts'
import { makeKey } from './vectors/making.ts'
import { Server } from './vectors/server.ts'
import type { AgreementVector, KeyVector } from './vectors/vectors.ts'

const { keys } = vectorsIn<{ keys: KeyVector[] }>('keys.json')
const { agreements } = vectorsIn<{ agreements: AgreementVector[] }>('agreements.json')

const serverOf = (secrets: TestSecrets): Server =>
  new Server(async (method, path, data = {}) => {
    const operation = ({ GET: 'read', POST: 'update', DELETE: 'delete' } as const)[method]
    const { status, body } = await secrets.ask(operation, path, { data: data as never })
    return { status, errors: body.errors ?? [], data: body.data ?? null }
  })

async function serverOfTransit(t: Test): Promise<Server> {
  const { secrets } = await openTransit(t)
  await giveWrappingKey(secrets)
  return serverOf(secrets)
}

t.test('a backup of OpenBao is restored, and all that it made is opened and verified', async t => {
  const server = await serverOfTransit(t)
  for (const vector of keys) await checkRestored(t, server, vector)
})

t.test('an exported key of OpenBao is imported, and opens what it made', async t => {
  const server = await serverOfTransit(t)
  const { public_key: wrappingKey } = await server.get('transit/wrapping_key')
  for (const vector of keys) {
    const { name, type, derived, exported } = vector
    const versions = Object.values(
      exported['encryption-key'] ?? exported['signing-key'] ?? exported['hmac-key'] ?? {},
    )
    const [first = '', second = ''] = versions.map(key => wrap(wrappingKey, bytesOf(type, key)))
    await server.post(`transit/keys/${name}/import`, { ciphertext: first, type, derived })
    await server.post(`transit/keys/${name}/import_version`, { ciphertext: second })
    // Its nonces come of another key, which is not what an import brings.
    if (!vector.convergent) await checkCiphertexts(t, server, vector, name)
    await checkSignatures(t, server, vector, name)
  }
})

/** What is wrapped: bytes as they are, or PKCS#8. */
function bytesOf(type: string, exported: string): Buffer {
  if (exported.startsWith('-----')) {
    return createPrivateKey(exported).export({ type: 'pkcs8', format: 'der' })
  }
  const bytes = Buffer.from(exported, 'base64')
  if (type !== 'ed25519') return bytes
  const header = Buffer.from('302e020100300506032b657004220420', 'hex')
  return Buffer.concat([header, bytes.subarray(0, 32)])
}

function wrap(wrappingKey: string, key: Buffer): string {
  const ephemeral = randomBytes(32)
  const cipher = createCipheriv('id-aes256-wrap-pad', ephemeral, Buffer.from('a65959a6', 'hex'))
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  const sealed = publicEncrypt({ key: wrappingKey, padding, oaepHash: 'sha256' }, ephemeral)
  return Buffer.concat([sealed, cipher.update(key), cipher.final()]).toString('base64')
}

t.test('two sides agree on a key as they do with OpenBao', async t => {
  const server = await serverOfTransit(t)
  for (const vector of agreements) {
    const base = keys.find(({ name }) => name === vector.baseKey)!
    await server.post(`transit/restore/${base.name}`, { backup: base.backup, force: true })
    const name = `agreed-${base.name}-${vector.derivedType}`
    await server.post(`transit/derive-key/${name}`, {
      ...{ base_key_name: base.name, base_key_version: vector.baseVersion },
      ...{ peer_public_key: vector.peerPublicKey, derived_key_type: vector.derivedType },
    })
    const body = { ciphertext: vector.ciphertext }
    const { plaintext } = await server.post(`transit/decrypt/${name}`, body)
    t.equal(plaintext, vector.plaintext, name)
    await server.post(`transit/keys/${name}/config`, { exportable: true })
    const exported = await server.get(`transit/export/encryption-key/${name}`)
    t.same(exported.keys, { 1: vector.key })
  }
})

t.test('what OpenBao is asked for, ours makes too', async t => {
  const server = await serverOfTransit(t)
  const other = await serverOfTransit(t)
  for (const { type, derived, convergent } of keys.filter(({ type }) => !/rsa-[34]/.test(type))) {
    await checkRestored(t, other, await makeKey(server, { type, derived, convergent }))
  }
})
