/** Keys that others drew: wrapped ones, public ones, further versions; and what is none of them. */
import {
  createDecipheriv,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  randomBytes,
} from 'node:crypto'
import tap, { type Test } from 'tap'
import { drawNamed } from '../../../../src/base/draw-key.ts'
import { limits } from '../../../../src/base/limits.ts'
import { wrapKey } from '../../../../src/secrets/engine/transit/key/wrap.run.ts'
import type { Got } from '../../harness.ts'
import { giveWrappingKey, openTransit } from './transit.ts'

const pkcs8 = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'pkcs8' })
const pem = (key: KeyObject): string =>
  createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString()
const pairs = {
  'rsa-2048': generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey,
  'ecdsa-p256': generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey,
  'ecdsa-p384': generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).privateKey,
  'ecdsa-p521': generateKeyPairSync('ec', { namedCurve: 'secp521r1' }).privateKey,
  ed25519: generateKeyPairSync('ed25519').privateKey,
  'ml-dsa': drawNamed('ml-dsa-65'),
}
const sizes = {
  ...{ 'aes128-gcm96': 16, 'aes256-gcm96': 32, 'chacha20-poly1305': 32, 'xchacha20-poly1305': 32 },
  ...{
    'aes128-cbc': 16,
    'aes256-cbc': 32,
    'aes128-cmac': 16,
    'aes192-cmac': 24,
    'aes256-cmac': 32,
  },
  hmac: 100,
}

/** A mount, and the way to wrap for its wrapping key. */
async function open(t: Test) {
  const transit = await openTransit(t)
  await giveWrappingKey(transit.secrets)
  const target = createPublicKey((await transit.read('wrapping_key')).body.data.public_key)
  const wrap = (key: Buffer, hash = 'sha256'): string =>
    wrapKey(target, key, { hash, ephemeral: randomBytes(32) }).toString('base64')
  return { ...transit, wrap, target }
}

function refused(t: Test, got: Got, text: string | RegExp): void {
  t.equal(got.status, 400, got.text)
  t.match(got.text, text)
}

tap.test('the wrapping key is RSA of 4096 bits, and stays the same', async t => {
  const { read } = await openTransit(t)
  const target = createPublicKey((await read('wrapping_key')).body.data.public_key)
  t.equal(target.asymmetricKeyDetails!.modulusLength, 4_096)
  const again = (await read('wrapping_key')).body.data.public_key
  t.ok(createPublicKey(again).equals(target))
})

tap.test('keys of all types are imported by all hashes, and are what they were', async t => {
  const { post, read, wrap } = await open(t)
  const hashes = ['SHA1', 'SHA224', 'sha256', 'SHA384', 'SHA512']
  let at = 0
  for (const [type, sizeBytes] of Object.entries(sizes)) {
    const key = randomBytes(sizeBytes)
    const hash = hashes[at++ % hashes.length]!
    const data = { type, ciphertext: wrap(key, hash.toLowerCase()), hash_function: hash }
    t.equal((await post(`keys/${type}/import`, { ...data, exportable: true })).status, 204, type)
    const kind = /mac/.test(type) ? type.replace(/^.*-/, '') : 'encryption'
    const got = await read(`export/${kind}-key/${type}/1`)
    t.equal(got.body.data.keys['1'], key.toString('base64'))
    const told = (await read(`keys/${type}`)).body.data
    t.match(told, { imported_key: true, imported_key_allow_rotation: false, latest_version: 1 })
    if (type === 'hmac') t.equal(told.key_size, sizeBytes)
  }
  for (const [type, pair] of Object.entries(pairs)) {
    const data = { type: type.toUpperCase(), ciphertext: wrap(pkcs8(pair)), exportable: true }
    t.equal((await post(`keys/${type}/import`, data)).status, 204, type)
    const got = await read(`export/signing-key/${type}`, { data: { format: 'der' } })
    t.equal(got.body.data.keys['1'], pkcs8(pair).toString('base64'), type)
  }
})

tap.test('an RSA key that is bound to PSS is taken as an RSA key', async t => {
  const { post, read, wrap } = await open(t)
  const bound = generateKeyPairSync('rsa-pss', { modulusLength: 2_048 }).privateKey
  const data = { type: 'rsa-2048', ciphertext: wrap(pkcs8(bound)), exportable: true }
  t.equal((await post('keys/a/import', data)).status, 204)
  const key = createPublicKey((await read('keys/a')).body.data.keys['1'].public_key)
  t.equal(key.asymmetricKeyType, 'rsa')
})

tap.test('a public key alone is completed by its private part', async t => {
  const { post, read, wrap } = await open(t)
  for (const [type, pair] of Object.entries(pairs)) {
    const [at, other] = [`keys/${type}`, `keys/other-${type}`]
    await post(`${at}/import`, { type, public_key: pem(pair), exportable: true })
    const signing = async () =>
      (await read(`export/signing-key/${type}`, { data: { format: 'der' } })).body.data.keys
    t.strictSame(await signing(), { 1: '' }, type)
    const again = { version: 1, public_key: pem(pair) }
    refused(t, await post(`${at}/import_version`, again), /already has a public key set/)
    const { privateKey: stranger } = generateKeyPairSync('ed25519')
    const foreign = type === 'ed25519' ? stranger : await drawLike(pair)
    const wrong = { version: 1, ciphertext: wrap(pkcs8(foreign)) }
    refused(
      t,
      await post(`${at}/import_version`, wrong),
      'cannot import key, key pair does not match',
    )
    t.equal((await post(`${at}/import_version`, { ciphertext: wrap(pkcs8(pair)) })).status, 204)
    t.strictSame(await signing(), { 1: pkcs8(pair).toString('base64') }, 'version 1 has it now')
    const late = { version: 1, ciphertext: wrap(pkcs8(pair)) }
    refused(t, await post(`${at}/import_version`, late), /cannot be updated/)
    await post(`${at}/import_version`, { ciphertext: wrap(pkcs8(foreign)) })
    t.strictSame(Object.keys(await signing()), ['1', '2'])
    await post(`${other}/import`, { type, public_key: pem(pair) })
    await post(`${other}/import_version`, { ciphertext: wrap(pkcs8(foreign)) })
    t.equal((await read(other)).body.data.latest_version, 2, 'another pair is another version')
  }
})

/** A pair of the same kind. */
async function drawLike(pair: KeyObject): Promise<KeyObject> {
  const { namedCurve, modulusLength } = pair.asymmetricKeyDetails!
  if (namedCurve !== undefined) return generateKeyPairSync('ec', { namedCurve }).privateKey
  if (modulusLength !== undefined) return generateKeyPairSync('rsa', { modulusLength }).privateKey
  return drawNamed(pair.asymmetricKeyType!)
}

tap.test('what is no such key is refused, and nothing is made of it', async t => {
  const { post, list, wrap } = await open(t)
  const aes = wrap(randomBytes(32))
  const spoilt = Buffer.from(aes, 'base64')
  spoilt[600 % spoilt.length]! ^= 1
  const oaep = Buffer.from(aes, 'base64')
  oaep[5]! ^= 1
  const torn = pkcs8(pairs['ecdsa-p256'])
  // Another public point than that of the private number.
  const strange = pkcs8(pairs['ecdsa-p256']).subarray(0, -65)
  const other = createPublicKey(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey)
  const point = other.export({ format: 'der', type: 'spki' }).subarray(-65)
  const cases: [Record<string, unknown>, string | RegExp][] = [
    [{ ciphertext: '?' }, /illegal base64 data at input byte 0/],
    [{ ciphertext: 'YWJj' }, 'provided ciphertext is too short'],
    [{ ciphertext: spoilt.toString('base64') }, /not wrapped for this wrapping key/],
    [{ ciphertext: oaep.toString('base64') }, /not wrapped for this wrapping key/],
    [{ ciphertext: aes, hash_function: 'SHA512' }, /not wrapped for this wrapping key/],
    [{ ciphertext: aes, hash_function: 'MD5' }, 'unknown hash function: MD5'],
    [{ ciphertext: aes, type: 'rot13' }, 'unknown key type rot13'],
    [{ ciphertext: aes, type: 'aes128-gcm96' }, /invalid key size 32 bytes for key type aes128/],
    [{ ciphertext: aes, type: 'ed25519' }, /it is no PKCS #8/],
    [{ ciphertext: wrap(torn.subarray(0, -1)), type: 'ecdsa-p256' }, /it is no PKCS #8/],
    [{ ciphertext: wrap(Buffer.concat([torn, torn])), type: 'ecdsa-p256' }, /it is no PKCS #8/],
    [{ ciphertext: wrap(torn), type: 'ecdsa-p384' }, /invalid curve: expected secp384r1/],
    [{ ciphertext: wrap(torn), type: 'rsa-2048' }, /invalid key type: expected rsa-2048, got ec/],
    [
      { ciphertext: wrap(pkcs8(pairs['rsa-2048'])), type: 'rsa-4096' },
      'invalid key size: expected 512 bytes, got 256 bytes',
    ],
    [
      { ciphertext: wrap(Buffer.concat([strange, point])), type: 'ecdsa-p256' },
      /do not belong together|it is no PKCS #8/,
    ],
    [{ ciphertext: aes, convergent_encryption: true }, /convergent encryption enabled/],
    [{ ciphertext: aes, auto_rotate_period: '2h' }, /allow_rotation must be set to true/],
    [{ ciphertext: aes, allow_rotation: true, auto_rotate_period: 9 }, /at least an hour/],
    [{ ciphertext: 'A'.repeat(limits.transitImportChars + 4) }, /longer than/],
    [{}, 'provided type does not support public_key import'],
    [{ type: 'ed25519' }, /not in PEM format/],
    [{ type: 'ed25519', public_key: pem(pairs['ecdsa-p256']) }, /expected ed25519, got ec/],
    [
      { type: 'ed25519', public_key: pairs.ed25519.export({ format: 'pem', type: 'pkcs8' }) },
      /it is no SubjectPublicKeyInfo/,
    ],
    [{ type: 'ed25519', derived: true, public_key: pem(pairs.ed25519) }, /instead an HKDF key/],
  ]
  for (const [data, text] of cases) refused(t, await post('keys/a/import', data as never), text)
  t.equal((await list('keys')).status, 404)
  await post('keys/a')
  refused(
    t,
    await post('keys/a/import', { ciphertext: aes }),
    /cannot be used with an existing key/,
  )
  refused(
    t,
    await post('keys/a/import_version', { ciphertext: aes }),
    /only be used with an imported/,
  )
  refused(t, await post('keys/b/import_version', { ciphertext: aes }), /no key found with name b/)
})

tap.test('an imported key rotates where that is allowed, and is none any more then', async t => {
  const { post, read, wrap } = await open(t)
  const ciphertext = wrap(randomBytes(32))
  await post('keys/a/import', { ciphertext })
  refused(t, await post('keys/a/rotate'), 'imported key a does not allow rotation within Vault')
  t.equal((await post('keys/a/import_version', { ciphertext })).status, 204)
  refused(t, await post('keys/a/import_version', { ciphertext, version: 1 }), /does not support/)
  refused(t, await post('keys/a/import_version', { ciphertext, version: 9 }), 'no such key version')
  await post('keys/b/import', { ciphertext, allow_rotation: true })
  t.equal((await post('keys/b/rotate')).body.data.latest_version, 2)
  t.equal((await read('keys/b')).body.data.imported_key, false)
  refused(t, await post('keys/b/import_version', { ciphertext }), /only be used with an imported/)
})

tap.test('without a wrapping key nothing was wrapped for it', async t => {
  const { post } = await openTransit(t)
  refused(t, await post('keys/a/import', { ciphertext: 'YWJj' }), /has no wrapping key yet/)
})

tap.test('a key leaves wrapped for another mount, and arrives there', async t => {
  const { post, read, secrets, target } = await open(t)
  await secrets.mount('transit', 'other/')
  const { body } = await secrets.read('transit/wrapping_key')
  const { public_key } = body.data
  await secrets.post('other/keys/there/import', { type: 'rsa-4096', public_key })
  t.ok(createPublicKey(public_key).equals(target))
  for (const type of ['aes256-gcm96', 'ed25519', 'ecdsa-p384', 'rsa-2048', 'hmac', 'aes192-cmac']) {
    await secrets.post(`other/keys/${type}`, { type, exportable: true })
    await secrets.post(`other/keys/${type}/rotate`)
    const left = await secrets.read(`other/byok-export/there/${type}`)
    t.strictSame(Object.keys(left.body.data.keys), ['1', '2'])
    const [ciphertext, next] = Object.values(left.body.data.keys) as [string, string]
    await post(`keys/${type}/import`, { type, ciphertext, exportable: true })
    await post(`keys/${type}/import_version`, { ciphertext: next })
    const kind = { hmac: 'hmac-key', 'aes192-cmac': 'cmac-key', 'aes256-gcm96': 'encryption-key' }
    const at = `export/${kind[type as 'hmac'] ?? 'signing-key'}/${type}`
    t.strictSame((await read(at)).body.data, (await secrets.read(`other/${at}`)).body.data)
  }
})

tap.test('what is not to leave wrapped does not', async t => {
  const { post, read } = await openTransit(t)
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  await post('keys/to/import', { type: 'rsa-2048', public_key: pem(privateKey) })
  await post('keys/closed')
  await post('keys/open', { exportable: true })
  const ask = (path: string, hash = 'SHA256') => read(`byok-export/${path}`, { data: { hash } })
  refused(t, await ask('none/open'), 'no such destination key to export to')
  refused(t, await ask('to/none'), 'no such source key for export')
  refused(t, await ask('to/closed'), 'key is not exportable')
  refused(t, await ask('open/open'), 'unsupported key type in use; must be a rsa key')
  refused(t, await ask('to/to'), 'key is not exportable')
  refused(t, await ask('to/open', 'MD5'), 'unknown hash function: MD5')
  refused(t, await ask('to/open/2'), 'version does not exist or cannot be found')
  refused(t, await ask('to/open/x'), 'invalid key version')
  const data = { type: 'ed25519', public_key: pem(pairs.ed25519), exportable: true }
  await post('keys/half/import', data)
  refused(t, await ask('to/half'), 'version 1 has no private part that could be exported')
  const wrapped = Buffer.from((await ask('to/open/latest', 'SHA512')).body.data.keys['1'], 'base64')
  const oaep = { key: privateKey, oaepHash: 'sha512' }
  const ephemeral = privateDecrypt(oaep, wrapped.subarray(0, 256))
  const kwp = createDecipheriv('id-aes256-wrap-pad', ephemeral, Buffer.from('a65959a6', 'hex'))
  const key = Buffer.concat([kwp.update(wrapped.subarray(256)), kwp.final()])
  const exported = (await read('export/encryption-key/open')).body.data.keys['1']
  t.equal(key.toString('base64'), exported)
})
