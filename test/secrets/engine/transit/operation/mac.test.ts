/** `hmac` and `cmac`, and checking them. */
import { createSecretKey } from 'node:crypto'
import tap from 'tap'
import { cmacOf } from '../../../../../src/secrets/engine/transit/key/mac.ts'
import { putVersions } from '../keys.ts'
import { openTransit } from '../transit.ts'

const b64 = (text: string | Buffer): string => Buffer.from(text).toString('base64')
const input = b64('some text')

tap.test('every key has HMACs, of every hash, one or many', async t => {
  const { post } = await openTransit(t)
  for (const type of ['aes256-gcm96', 'ed25519', 'ecdsa-p256', 'hmac']) {
    await post(`keys/${type}`, { type })
    const inPath = (await post(`hmac/${type}/sha3-512`, { input })).body.data.hmac
    t.equal((await post(`hmac/${type}`, { input, algorithm: 'sha3-512' })).body.data.hmac, inPath)
    t.not((await post(`hmac/${type}`, { input })).body.data.hmac, inPath)
    const batch_input = [{ input, reference: 'a' }, { input: '!' }, {}]
    const batch = await post(`hmac/${type}/sha3-512`, { batch_input })
    t.equal(batch.status, 400)
    t.match(batch.body.data.batch_results, [
      { hmac: inPath, reference: 'a' },
      { error: /^unable to decode input as base64/, reference: '' },
      { error: 'missing input for HMAC' },
    ])
  }
})

tap.test('HMACs are of versions that may be used', async t => {
  const { post, secrets } = await openTransit(t)
  const version = (at: number) => ({
    ...{ createdAtMs: 1, bytes: b64(Buffer.alloc(32)), convergentVersion: 0 },
    hmacKey: b64(Buffer.alloc(32, at)),
  })
  const traits = { type: 'aes256-gcm96', minDecryption: 2, minEncryption: 3 } as const
  await putVersions(secrets, 'k', traits, [1, 2, 3, 4].map(version))
  const hmac = (key_version: number) => post('hmac/k', { input, key_version })
  t.match((await hmac(0)).body.data.hmac, /^vault:v4:/)
  t.match((await hmac(3)).body.data.hmac, /^vault:v3:/)
  t.match(await hmac(2), { status: 400, text: /^cannot generate HMAC: version is too old/ })
  t.match(await hmac(5), { status: 400, text: /does not exist; latest key version is 4/ })
  t.match(await hmac(-1), { status: 400 })
  const { hmac: made } = (await hmac(3)).body.data
  const verify = (code: string) => post('verify/k', { input, hmac: code })
  t.equal((await verify(made)).body.data.valid, true)
  t.equal((await verify(made.replace('v3', 'v4'))).body.data.valid, false)
  t.equal((await verify('vault:v3:')).body.data.valid, false)
  for (const [code, text] of [
    [made.replace('v3', 'v1'), 'cannot verify HMAC: version is too old (disallowed by policy)'],
    [made.replace('v3', 'v5'), 'invalid HMAC: version is too new'],
    ['x', 'invalid HMAC to verify: no prefix'],
    ['vault:v3', 'invalid HMAC: wrong number of fields'],
    ['vault:vx:AAAA', 'invalid HMAC: version number could not be decoded'],
    [
      'vault:v3:A',
      'unable to decode verification HMAC as base64: illegal base64 data at input byte 0',
    ],
  ] as const) {
    t.match(await verify(code), { status: 400, text }, code)
  }
  t.match(await post('hmac/k', {}), { status: 400, text: 'missing input for HMAC' })
  t.match(await post('hmac/none', { input }), { status: 400, text: 'encryption key not found' })
  for (const algorithm of ['md5', 'none']) {
    t.match(await post('hmac/k', { input, algorithm }), {
      status: 400,
      text: /^unsupported algorithm/,
    })
    const check = await post('verify/k', { input, hmac: made, hash_algorithm: algorithm })
    t.equal(check.status, 400)
  }
})

tap.test('CMACs are of AES keys, as long as asked for', async t => {
  const { post, secrets } = await openTransit(t)
  for (const [type, sizeBytes] of [
    ['aes128-cmac', 16],
    ['aes192-cmac', 24],
    ['aes256-cmac', 32],
  ] as const) {
    const bytes = Buffer.alloc(sizeBytes, 7)
    const version = { createdAtMs: 1, bytes: b64(bytes), convergentVersion: 0 }
    await putVersions(secrets, type, { type }, [version])
    const whole = cmacOf(createSecretKey(bytes), Buffer.from('some text'))
    const { cmac } = (await post(`cmac/${type}`, { input })).body.data
    t.equal(cmac, `vault:v1:${b64(whole)}`)
    const cut = `vault:v1:${b64(whole.subarray(0, 8))}`
    t.equal((await post(`cmac/${type}/8`, { input })).body.data.cmac, cut)
    t.equal((await post(`cmac/${type}`, { input, mac_length: 8 })).body.data.cmac, cut)
    const valid = async (data: Record<string, string | number>) =>
      (await post(`verify/${type}`, { input, ...data })).body.data.valid
    t.equal(await valid({ cmac }), true)
    t.equal(await valid({ cmac: cut, mac_length: 8 }), true)
    t.equal(await valid({ cmac: cut }), false, 'nobody shortens one by himself')
    t.equal(await valid({ cmac, input: b64('x') }), false)
    for (const mac_length of [-1, 17]) {
      t.match(await post(`cmac/${type}`, { input, mac_length }), {
        status: 400,
        text: /mac_length/,
      })
    }
    const batch = await post(`cmac/${type}`, { batch_input: [{ input }, {}] })
    t.match(batch.body.data.batch_results, [{ cmac }, { error: 'missing input for CMAC' }])
    t.match(await post(`hmac/${type}`, { input }), { status: 400, text: /^no HMAC key exists/ })
    t.match(await post(`cmac/${type}`, { input, key_version: 2 }), { status: 400 })
    t.match(await post(`verify/${type}`, { input, cmac: 'x' }), {
      ...{ status: 400, text: 'invalid CMAC to verify: no prefix' },
    })
  }
  await post('keys/aes')
  const text = 'key type aes256-gcm96 does not support CMAC'
  t.match(await post('cmac/aes', { input }), { status: 400, text })
  t.match(await post('verify/aes', { input, cmac: 'vault:v1:AAAA' }), { status: 400, text })
})
