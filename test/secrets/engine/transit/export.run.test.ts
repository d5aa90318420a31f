/** Keys leave in every format that they have, and in no other; private ones only where they may. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import tap from 'tap'
import { openTransit } from './transit.ts'

tap.test('each format is one that OpenSSL reads, and holds the same key', async t => {
  const { post, read } = await openTransit(t)
  const signing = ['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-2048', 'ml-dsa']
  for (const type of signing) {
    await post(`keys/${type}`, { type, exportable: true })
    const told = async (kind: string, format: string) => {
      const got = await read(`export/${kind}/${type}/latest`, { data: { format } })
      return got.status === 200 ? (got.body.data.keys['1'] as string) : got.text
    }
    const der = Buffer.from(await told('signing-key', 'der'), 'base64')
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    const same = (text: string) => (createPrivateKey(text) as KeyObject).equals(key)
    t.ok(same(await told('signing-key', 'pem')), type)
    t.equal(
      await told('signing-key', 'pem'),
      (await told('signing-key', 'pem')).trimEnd() + ends(type),
    )
    const publicDer = Buffer.from(await told('public-key', 'der'), 'base64')
    const publicKey = createPublicKey({ key: publicDer, format: 'der', type: 'spki' })
    t.ok(publicKey.equals(createPublicKey(key)))
    t.ok(createPublicKey(await told('public-key', 'pem')).equals(publicKey))
    if (type === 'ed25519') {
      const raw = Buffer.from(await told('signing-key', ''), 'base64')
      const { d, x } = key.export({ format: 'jwk' })
      t.equal(raw.toString('base64url'), Buffer.from(d! + x!, 'base64url') && joined(d!, x!))
      t.equal(await told('signing-key', 'raw'), raw.toString('base64'))
      t.equal(await told('public-key', 'raw'), raw.subarray(32).toString('base64'))
    } else {
      const first = /^-----BEGIN (.*)-----/.exec(await told('signing-key', ''))![1]
      const names = { r: 'RSA PRIVATE KEY', e: 'EC PRIVATE KEY', m: 'PRIVATE KEY' }
      t.equal(first, names[type[0] as 'r'])
      t.ok(same(await told('signing-key', '')))
      t.match(await told('signing-key', 'raw'), /unknown key format/)
      t.match(await told('public-key', 'raw'), /unknown key format/)
    }
    if (type === 'rsa-2048') t.ok(same(await told('encryption-key', '')))
    else t.equal(await told('encryption-key', ''), 'encryption not supported for the key')
    t.equal(Buffer.from(await told('hmac-key', 'raw'), 'base64').length, 32)
    t.match(await told('hmac-key', 'pem'), /unknown format/)
    t.match(await told('cmac-key', ''), /unknown key type/)
    t.match(await told('certificate-chain', ''), /does not have a certificate chain/)
  }
})

/** RSA's texts end with a line end. */
const ends = (type: string) => (type.startsWith('rsa') ? '\n' : '')

const joined = (d: string, x: string) =>
  Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]).toString('base64url')

tap.test('symmetric keys are bytes', async t => {
  const { post, read } = await openTransit(t)
  const kinds = { 'aes128-gcm96': 'encryption-key', hmac: 'hmac-key', 'aes256-cmac': 'cmac-key' }
  for (const [type, kind] of Object.entries(kinds)) {
    await post(`keys/${type}`, { type, exportable: true })
    const got = await read(`export/${kind}/${type}`)
    t.match(got.body.data, { name: type, type, keys: { 1: /^[\w+/]+=*$/ } })
    const raw = await read(`export/${kind}/${type}`, { data: { format: 'raw' } })
    t.strictSame(raw.body.data, got.body.data)
    for (const format of ['der', 'pem']) {
      t.equal((await read(`export/${kind}/${type}`, { data: { format } })).status, 400)
    }
    for (const other of ['signing-key', 'public-key', 'certificate-chain']) {
      t.equal((await read(`export/${other}/${type}`)).status, 400, other)
    }
  }
  t.match((await read('export/hmac-key/aes256-cmac')).text, /unknown key type/)
})

tap.test('what is private leaves only where it may; versions are those in use', async t => {
  const { post, read } = await openTransit(t)
  await post('keys/a', { type: 'ed25519' })
  for (let i = 0; i < 3; i++) await post('keys/a/rotate')
  const text = async (path: string, format = '') =>
    (await read(`export/${path}`, { data: { format } })).text
  for (const kind of ['signing-key', 'hmac-key', 'encryption-key']) {
    t.equal(await text(`${kind}/a`), 'private key material is not exportable')
  }
  t.strictSame(Object.keys((await read('export/public-key/a')).body.data.keys), [
    '1',
    '2',
    '3',
    '4',
  ])
  await post('keys/a/config', { exportable: true, min_decryption_version: 2 })
  const versions = async (path: string) => Object.keys((await read(path)).body.data.keys)
  t.strictSame(await versions('export/signing-key/a'), ['2', '3', '4'])
  t.strictSame(await versions('export/signing-key/a/3'), ['3'])
  t.strictSame(await versions('export/signing-key/a/v3'), ['3'])
  t.strictSame(await versions('export/signing-key/a/latest'), ['4'])
  t.equal(await text('signing-key/a/1'), 'version for export is below minimum decryption version')
  t.equal(await text('signing-key/a/5'), 'version does not exist or cannot be found')
  t.equal(await text('signing-key/a/x'), 'invalid key version')
  t.equal(await text('secret-key/a'), 'invalid export type: secret-key')
  t.equal(await text('signing-key/a', 'jwk'), 'invalid format: jwk')
  t.equal((await read('export/signing-key/none')).status, 404)
})
