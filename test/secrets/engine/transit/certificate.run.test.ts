/** Certificates of keys: requests that openssl verifies, chains that are the key's own. */
import { spawnSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import tap from 'tap'
import { signNow } from '../../../../src/x509/algorithm.ts'
import { certificateBody } from '../../../../src/x509/certificate.ts'
import { makeRequest, readAnyRequest } from '../../../../src/x509/csr.ts'
import { pemBlocks, pemOf } from '../../../../src/x509/pem.ts'
import { openTransit } from './transit.ts'

const types = ['rsa-2048', 'ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'ed25519']

const template = () =>
  pemOf(
    'CERTIFICATE REQUEST',
    makeRequest(
      { subject: [['CN', 'app.example']], names: { dnsNames: ['app.example', 'b.example'] } },
      generateKeyPairSync('ed25519').privateKey,
    ),
  )

tap.test('a request says what its template says, by the key of the version', async t => {
  const { post, read } = await openTransit(t)
  for (const type of types) {
    await post(`keys/${type}`, { type })
    await post(`keys/${type}/rotate`)
    const publicKey = async (version: number) => keyOf((await read(`keys/${type}`)).body, version)
    const got = await post(`keys/${type}/csr`, { csr: template() })
    t.match(got.body.data, { name: type, type })
    const { csr } = got.body.data
    const checked = spawnSync('openssl', ['req', '-verify', '-noout'], { input: csr })
    t.equal(checked.status, 0, String(checked.stderr))
    const request = readAnyRequest(pemBlocks(csr)[0]!.der)
    t.strictSame(request.subjectName, [['CN', 'app.example']])
    t.strictSame(request.names.dnsNames, ['app.example', 'b.example'])
    t.ok(request.publicKey.equals(await publicKey(2)))
    const first = await post(`keys/${type}/csr`, { version: 1 })
    const empty = readAnyRequest(pemBlocks(first.body.data.csr)[0]!.der)
    t.strictSame(empty.subjectName, [])
    t.ok(empty.publicKey.equals(await publicKey(1)))
  }
})

/** A version's public key, as it is told. */
function keyOf(body: { data: { keys: Record<string, { public_key: string }> } }, version: number) {
  const text = body.data.keys[version]!.public_key
  if (text.startsWith('-----')) return createPublicKey(text)
  const x = Buffer.from(text, 'base64').toString('base64url')
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
}

const YEAR_MS = 365 * 86_400_000

/** A certificate of a key; an authority's is its own issuer. */
function certificate(publicKey: KeyObject, key: KeyObject, isAuthority = false): string {
  const now = Date.now()
  const content = {
    subject: [['CN', isAuthority ? 'authority' : 'app']] as const,
    spki: publicKey.export({ format: 'der', type: 'spki' }),
    serial: Buffer.from([1, 2, 3]),
    ...{ notBefore: new Date(now - 1_000), notAfter: new Date(now + YEAR_MS) },
    ...{ isAuthority, usages: [], extendedUsages: [], names: {} },
  }
  return pemOf(
    'CERTIFICATE',
    signNow(certificateBody(content, { certificate: undefined, key }), key),
  )
}

tap.test('the chain of a version is kept with it, and told', async t => {
  const { post, read } = await openTransit(t)
  const authority = generateKeyPairSync('ed25519').privateKey
  const root = certificate(createPublicKey(authority), authority, true)
  for (const type of types) {
    await post(`keys/${type}`, { type })
    const key = keyOf((await read(`keys/${type}`)).body, 1)
    const leaf = certificate(key, authority)
    const chain = leaf + root
    const set = await post(`keys/${type}/set-certificate`, { certificate_chain: chain })
    t.strictSame(set.body?.data, { name: type, type, certificate_chain: chain }, set.text)
    await post(`keys/${type}/rotate`)
    const told = (await read(`keys/${type}`)).body.data.keys
    t.equal(told['1'].certificate_chain, chain.trim())
    t.equal(told['2'].certificate_chain, '')
    const exported = await read(`export/certificate-chain/${type}/1`)
    t.equal(exported.body.data.keys['1'], chain.trim())
    const late = await post(`keys/${type}/set-certificate`, { certificate_chain: leaf })
    t.match(late.text, /does not match the selected key version/)
    const again = { certificate_chain: leaf, version: 1 }
    t.equal((await post(`keys/${type}/set-certificate`, again)).status, 200)
  }
})

tap.test('what is no chain of the key is refused', async t => {
  const { post, read } = await openTransit(t)
  await post('keys/a', { type: 'ecdsa-p256' })
  const authority = generateKeyPairSync('ed25519').privateKey
  const root = certificate(createPublicKey(authority), authority, true)
  const leaf = certificate(keyOf((await read('keys/a')).body, 1), authority)
  const cases: [string, RegExp][] = [
    ['', /did not contain any valid PEM encoded certificate/],
    [
      '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----',
      /could not parse a certificate/,
    ],
    [root, /first element is not a valid leaf/],
    [leaf + leaf, /last element is not a valid CA/],
    [leaf + leaf + root, /only one leaf certificate/],
    [certificate(createPublicKey(authority), authority), /algorithm 'ed25519' does not match/],
    [' '.repeat(200_000), /longer than/],
  ]
  for (const [chain, text] of cases) {
    const got = await post('keys/a/set-certificate', { certificate_chain: chain })
    t.equal(got.status, 400)
    t.match(got.text, text)
  }
  t.equal((await read('keys/a')).body.data.keys['1'].certificate_chain, '')
})

tap.test('keys that sign nothing, or are derived, have none', async t => {
  const { post } = await openTransit(t)
  await post('keys/aes')
  await post('keys/derived', { type: 'ed25519', derived: true })
  await post('keys/ml', { type: 'ml-dsa' })
  const ask = (name: string, data = {}) => post(`keys/${name}/csr`, data)
  t.match(await ask('none'), { status: 400, text: /'none' not found/ })
  t.match(await ask('aes'), { status: 400, text: /'aes256-gcm96' does not support signing/ })
  t.match(await ask('derived'), { status: 400, text: /not supported for keys with derivation/ })
  t.match(await ask('ml'), { status: 501, text: /not served yet/ })
  await post('keys/a', { type: 'ed25519' })
  t.match(await ask('a', { version: 2 }), { status: 400, text: 'no such key version' })
  t.match(await ask('a', { csr: 'hello' }), { status: 400, text: 'could not decode PEM CSR' })
  const torn = template().replace(/\n.{8}/, '\nAAAAAAAA')
  t.match(await ask('a', { csr: torn }), { status: 400, text: /could not parse the CSR/ })
  const pem = createPublicKey(generateKeyPairSync('ed25519').privateKey)
  const public_key = pem.export({ format: 'pem', type: 'spki' }) as string
  await post('keys/half/import', { type: 'ed25519', public_key })
  t.match(await ask('half'), { status: 400, text: /private key not imported/ })
})
