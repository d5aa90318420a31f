/** Nonces and derived keys of one request's texts. */
import { createHmac } from 'node:crypto'
import tap from 'tap'
import { inStorage, putVersions } from '../keys.ts'
import { openTransit } from '../transit.ts'

const key = Buffer.alloc(32, 1).toString('base64')
const hmacKey = Buffer.alloc(32, 2).toString('base64')
const b64 = (text: string): string => Buffer.from(text).toString('base64')

tap.test('a nonce of the client is refused everywhere', async t => {
  const { secrets } = await openTransit(t)
  const nonce = Buffer.alloc(12).toString('base64')
  await secrets.post('transit/encrypt/plain', { plaintext: '' })
  await secrets.post('transit/encrypt/same', {
    ...{ plaintext: '', context: b64('a'), convergent_encryption: true },
  })
  for (const [name, context] of [
    ['plain', ''],
    ['same', b64('a')],
  ] as const) {
    const single = await secrets.post(`transit/encrypt/${name}`, { plaintext: '', context, nonce })
    t.match(single, { status: 400, text: 'nonce provided when not allowed' })
    const batch_input = [
      { plaintext: '', context },
      { plaintext: '', context, nonce },
    ]
    const batch = await secrets.post(`transit/encrypt/${name}`, { batch_input })
    t.equal(batch.status, 400)
    t.match(batch.body.data.batch_results, [
      { ciphertext: /^vault:v1:/ },
      { error: 'nonce provided when not allowed' },
    ])
    const datakey = { context, nonce }
    t.match(await secrets.post(`transit/datakey/wrapped/${name}`, datakey), { status: 400 })
    const iv = await secrets.post(`transit/encrypt/${name}`, { plaintext: '', iv: nonce })
    t.match(iv, { status: 400, text: 'iv provided when not allowed' })
  }
})

tap.test('the first scheme of convergent encryption has the nonce of the client', async t => {
  const { secrets } = await openTransit(t)
  const traits = { type: 'aes256-gcm96', derived: true, convergent: true } as const
  const versions = [{ createdAtMs: 1, bytes: key, hmacKey, convergentVersion: 0 }]
  await putVersions(secrets, 'old', { ...traits, convergentVersion: 1 }, versions)
  const [context, plaintext] = [b64('tenant'), b64('text')]
  const nonce = b64('twelve bytes')
  const said = { context, plaintext }
  const encrypt = (more: Record<string, string>) =>
    secrets.post('transit/encrypt/old', { ...said, ...more })
  t.match(await encrypt({}), {
    ...{ status: 400, text: 'base64-decoded nonce must be 12 bytes long but given 0 bytes' },
  })
  t.match(await encrypt({ nonce: b64('short') }), { status: 400 })
  t.match(await encrypt({ nonce: '!' }), { status: 400, text: /^illegal base64/ })
  const { ciphertext } = (await encrypt({ nonce })).body.data
  t.equal((await encrypt({ nonce })).body.data.ciphertext, ciphertext, 'the same again')
  t.equal(Buffer.from(ciphertext.slice(9), 'base64').length, 4 + 16, 'no nonce stands in it')
  const opened = await secrets.post('transit/decrypt/old', { ciphertext, context, nonce })
  t.equal(opened.body.data.plaintext, plaintext)
  t.match(await secrets.post('transit/decrypt/old', { ciphertext, context }), { status: 400 })
})

tap.test('the second scheme makes nonces with the context', async t => {
  const { secrets } = await openTransit(t)
  const traits = { type: 'aes256-gcm96', derived: true, convergent: true } as const
  const versions = [{ createdAtMs: 1, bytes: key, hmacKey, convergentVersion: 0 }]
  await putVersions(secrets, 'old', { ...traits, convergentVersion: 2 }, versions)
  const [context, plaintext] = [b64('tenant'), b64('text')]
  const sealed = await secrets.post('transit/encrypt/old', { context, plaintext })
  const { ciphertext } = sealed.body.data
  const nonce = createHmac('sha256', 'tenant').update('text').digest().subarray(0, 12)
  t.strictSame(Buffer.from(ciphertext.slice(9), 'base64').subarray(0, 12), nonce)
  const opened = await secrets.post('transit/decrypt/old', { ciphertext, context })
  t.equal(opened.body.data.plaintext, plaintext)
})

tap.test('versions are used as the key allows', async t => {
  const { secrets } = await openTransit(t)
  const version = { createdAtMs: 1, bytes: key, hmacKey, convergentVersion: 0 }
  const traits = { type: 'aes256-gcm96', minDecryption: 2, minEncryption: 3 } as const
  const four = [version, version, version, version]
  await putVersions(secrets, 'k', traits, four)
  const encrypt = (key_version: number) =>
    secrets.post('transit/encrypt/k', { plaintext: b64('x'), key_version })
  const requested = 'requested version for encryption is'
  t.equal((await encrypt(0)).body.data.key_version, 4)
  t.match((await encrypt(3)).body.data, { key_version: 3, ciphertext: /^vault:v3:/ })
  const early = `${requested} less than the minimum encryption key version`
  t.match(await encrypt(2), { status: 400, text: early })
  const high = `${requested} higher than the latest key version`
  t.match(await encrypt(5), { status: 400, text: high })
  t.match(await encrypt(-1), { status: 400, text: `${requested} negative` })
  const { ciphertext } = (await encrypt(3)).body.data
  const decrypt = (text: string) => secrets.post('transit/decrypt/k', { ciphertext: text })
  for (const [at, words] of [
    [1, 'ciphertext or signature version is disallowed by policy (too old)'],
    [0, 'ciphertext or signature version is disallowed by policy (too old)'],
    [5, 'invalid ciphertext: version is too new'],
  ] as const) {
    t.match(await decrypt(ciphertext.replace('v3', `v${at}`)), { status: 400, text: words })
  }
  t.equal((await decrypt(ciphertext.replace('v3', 'v4'))).status, 200, 'here all are the same key')
  const short = await decrypt('vault:v3:AAAA')
  t.match(short, { status: 400, text: 'invalid ciphertext length' })
  t.match(await decrypt('vault:v3:A'), { text: 'invalid ciphertext: could not decode base64' })

  await putVersions(secrets, 'cut', { type: 'aes256-gcm96', minAvailable: 2 }, four)
  await inStorage(secrets, storage => storage.delete('version/id-of-cut/1'))
  t.match(await secrets.post('transit/encrypt/cut', { plaintext: '', key_version: 1 }), {
    ...{ status: 400, text: 'no such key version' },
  })
  await putVersions(secrets, 'k', { ...traits, softDeleted: true }, four)
  t.match(await encrypt(0), { status: 400, text: 'refusing to use soft-deleted key' })
  t.match(await decrypt(ciphertext), { status: 400, text: 'refusing to use soft-deleted key' })
})
