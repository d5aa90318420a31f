/** `sign` and `verify`, for every type of key and beside OpenSSL's command line. */
import { hash as digestOf } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tap from 'tap'
import { hashNamed } from '../../../../../src/secrets/engine/transit/key/hash.ts'
import { needsOpenssl, openssl } from '../../../../x509/openssl.ts'
import { inStorage } from '../keys.ts'
import { openTransit } from '../transit.ts'

const b64 = (text: string | Buffer): string => Buffer.from(text).toString('base64')
const input = b64('what is to be signed')
const sizes = ['224', '256', '384', '512']
const hashes = ['sha1', ...['sha2', 'sha3'].flatMap(kind => sizes.map(size => `${kind}-${size}`))]
const digest = (name: string, text: string): string =>
  b64(digestOf(hashNamed(name)!.name, Buffer.from(text, 'base64'), 'buffer'))

tap.test('a digest and its text have the same signatures', async t => {
  const { post } = await openTransit(t)
  for (const type of ['ecdsa-p256', 'ecdsa-p521', 'rsa-2048']) {
    await post(`keys/${type}`, { type })
    const marshalings = type === 'rsa-2048' ? ['asn1'] : ['asn1', 'jws']
    const paddings = type === 'rsa-2048' ? ['pss', 'pkcs1v15'] : ['']
    for (const hash_algorithm of hashes) {
      for (const marshaling_algorithm of marshalings) {
        for (const signature_algorithm of paddings) {
          const how = { hash_algorithm, marshaling_algorithm, signature_algorithm }
          const of = {
            text: { ...how, input },
            digest: { ...how, input: digest(hash_algorithm, input), prehashed: true },
          }
          const made = await Promise.all(
            [of.text, of.digest].map(data => post(`sign/${type}`, data)),
          )
          for (const { body } of made) {
            const { signature } = body.data
            const checks = [of.digest, of.text].map(data =>
              post(`verify/${type}`, { ...data, signature }),
            )
            for (const check of await Promise.all(checks)) {
              t.equal(check.body.data.valid, true, `${type} ${JSON.stringify(how)}`)
            }
            const wrong = { ...of.digest, input: digest(hash_algorithm, b64('x')), signature }
            t.equal((await post(`verify/${type}`, wrong)).body.data.valid, false)
          }
        }
      }
    }
  }
})

tap.test('OpenSSL takes our signatures, and we take its', needsOpenssl, async t => {
  const { post, read } = await openTransit(t)
  const folder = mkdtempSync(join(tmpdir(), 'transit-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = (name: string, content: string | Buffer): string => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const text = file('text', Buffer.from(input, 'base64'))
  for (const type of ['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-2048', 'rsa-3072']) {
    await post(`keys/${type}`, { type, exportable: true })
    const publicKey = file('public', (await read(`keys/${type}`)).body.data.keys['1'].public_key)
    const exported = (await read(`export/signing-key/${type}`)).body.data.keys['1']
    const privateKey = file('private', exported)
    for (const [name, hash] of [
      ['sha2-256', '-sha256'],
      ['sha2-512', '-sha512'],
      ['sha3-384', '-sha3-384'],
    ] as const) {
      for (const padding of type.startsWith('rsa') ? ['pss', 'pkcs1v15'] : ['']) {
        for (const prehashed of [false, true]) {
          const how = { hash_algorithm: name, signature_algorithm: padding, prehashed }
          const sent = { ...how, input: prehashed ? digest(name, input) : input }
          const options = padding === 'pss' ? ['-sigopt', 'rsa_padding_mode:pss'] : []
          const { signature } = (await post(`sign/${type}`, sent)).body.data
          const theirs = join(folder, 'theirs')
          const ours = file('ours', Buffer.from(signature.split(':')[2], 'base64'))
          const verify = ['dgst', hash, ...options, '-verify', publicKey, '-signature', ours, text]
          t.match(openssl(...verify), /Verified OK/, `${type} ${JSON.stringify(how)}`)
          openssl('dgst', hash, ...options, '-sign', privateKey, '-out', theirs, text)
          const check = { ...sent, signature: `vault:v1:${b64(readFileSync(theirs))}` }
          t.equal((await post(`verify/${type}`, check)).body.data.valid, true)
        }
      }
    }
  }
  await post('keys/ed25519', { type: 'ed25519' })
  const raw = (await read('keys/ed25519')).body.data.keys['1'].public_key
  const spki = Buffer.concat([
    Buffer.from('302a300506032b6570032100', 'hex'),
    Buffer.from(raw, 'base64'),
  ])
  const der = file('ed', spki)
  const { signature } = (await post('sign/ed25519', { input })).body.data
  const ours = file('ours', Buffer.from(signature.split(':')[2], 'base64'))
  const words = ['pkeyutl', '-verify', '-pubin', '-keyform', 'DER', '-inkey', der, '-rawin']
  t.match(openssl(...words, '-in', text, '-sigfile', ours), /Verified Successfully/)
})

tap.test('what is malformed is an error, what is wrong is not valid', async t => {
  const { post } = await openTransit(t)
  await post('keys/ec', { type: 'ecdsa-p256' })
  await post('keys/rsa', { type: 'rsa-2048' })
  await post('keys/ed', { type: 'ed25519' })
  const cases: readonly (readonly [key: string, signature: string, told: string | boolean])[] = [
    ['ec', 'AAAA', 'invalid signature: no prefix'],
    ['ec', 'vault:v1', 'invalid signature: wrong number of fields'],
    ['ec', 'vault:vx:AAAA', 'invalid signature: version number could not be decoded'],
    ['ec', 'vault:v2:AAAA', 'invalid signature: version is too new'],
    ['ec', 'vault:v0:AAAA', 'ciphertext or signature version is disallowed by policy (too old)'],
    ['ec', 'vault:v1:A', 'invalid base64 signature value'],
    ['ec', 'vault:v1:A-_A', 'invalid base64 signature value'],
    ['ec', 'vault:v1:', 'supplied signature is invalid'],
    ['ec', 'vault:v1:AAAA', 'supplied signature is invalid'],
    [
      'ec',
      `vault:v1:${b64(Buffer.from('300602010102010100', 'hex'))}`,
      'supplied signature contains extra data',
    ],
    ['ec', `vault:v1:${b64(Buffer.from('3006020101020101', 'hex'))}`, false],
    ['ec', `vault:v1:${b64(Buffer.from('3006020100020100', 'hex'))}`, false],
    ['ec', `vault:v1:${b64(Buffer.from('30060201ff0201ff', 'hex'))}`, false],
    ['rsa', 'vault:v1:AAAA', false],
    ['rsa', `vault:v1:${b64(Buffer.alloc(256, 0xff))}`, false],
    ['ed', 'vault:v1:AAAA', false],
    ['ed', `vault:v1:${b64(Buffer.alloc(64))}`, false],
  ]
  for (const [key, signature, told] of cases) {
    const got = await post(`verify/${key}`, { input, signature })
    if (typeof told === 'string') t.match(got, { status: 400, text: told }, signature)
    else t.strictSame([got.status, got.body.data?.valid], [200, told], signature)
    const batch = await post(`verify/${key}`, {
      batch_input: [{ input, signature, reference: 'r' }],
    })
    const one = batch.body.data.batch_results[0]
    t.equal(batch.status, typeof told === 'string' ? 400 : 200)
    t.strictSame(one, {
      ...{ valid: false, reference: 'r' },
      ...(typeof told === 'string' && { error: told }),
    })
  }
  const jws = { input, marshaling_algorithm: 'jws' }
  for (const [signature, told] of [
    ['vault:v1:AAA', false],
    [`vault:v1:${Buffer.alloc(64).toString('base64url')}`, false],
    ['vault:v1:A+A', 'invalid base64 signature value'],
  ] as const) {
    const got = await post('verify/ec', { ...jws, signature })
    t.equal(got.status, told === false ? 200 : 400, got.text)
  }
})

tap.test('how something is signed is checked before', async t => {
  const { post } = await openTransit(t)
  await post('keys/ec', { type: 'ecdsa-p256' })
  await post('keys/rsa', { type: 'rsa-2048' })
  await post('keys/aes')
  const cases: readonly (readonly [
    key: string,
    data: Record<string, string | boolean>,
    told: RegExp,
  ])[] = [
    ['ec', { hash_algorithm: 'md5' }, /^invalid hash algorithm "md5"/],
    ['ec', { marshaling_algorithm: 'x' }, /^invalid marshaling type "x"/],
    ['rsa', { salt_length: 'x' }, /^salt length neither 'auto', 'hash', nor an int: x/],
    ['rsa', { salt_length: '-2' }, /^salt length is invalid: -2/],
    ['rsa', { salt_length: '223' }, /^requested salt length 223 is invalid/],
    ['rsa', { hash_algorithm: 'none' }, /^hash_algorithm=none requires both/],
    ['rsa', { hash_algorithm: 'none', prehashed: true }, /^hash_algorithm=none requires both/],
    ['rsa', { signature_algorithm: 'x' }, /^unsupported rsa signature algorithm x/],
    ['rsa', { prehashed: true }, /has not the length of the hash algorithm/],
    ['ec', { signature_context: 'AAAA' }, /^signature_context not supported/],
    ['ec', { signature_context: '!' }, /^failed to base64-decode signature_context/],
    ['aes', {}, /^key type aes256-gcm96 does not support signing/],
    ['none', {}, /^signing key not found/],
  ]
  for (const [key, data, text] of cases) {
    t.match(await post(`sign/${key}`, { input, ...data }), { status: 400, text }, key)
  }
  t.match(await post('verify/none', { input, signature: 'x' }), {
    ...{ status: 400, text: 'signature verification key not found' },
  })
  t.match(await post('sign/ec', { input: '!' }), {
    text: /^unable to decode input as base64: illegal/,
  })
  t.match(await post('sign/ec', { input, key_version: 2 }), {
    text: 'requested version for signing is higher than the latest key version',
  })
  const zeros = { input: b64(Buffer.alloc(32)), prehashed: true }
  t.match(await post('sign/ec', zeros), { status: 400, text: /^the input is no digest/ })
  const none = { hash_algorithm: 'none', prehashed: true, signature_algorithm: 'pkcs1v15' }
  const long = { ...none, input: b64(Buffer.alloc(246)) }
  t.match(await post('sign/rsa', long), { status: 400, text: /too long/ })
  const { signature } = (await post('sign/rsa', { ...none, input })).body.data
  t.equal((await post('verify/rsa', { ...none, input, signature })).body.data.valid, true)
  t.equal(
    (await post('verify/rsa', { ...none, input: b64('x'), signature })).body.data.valid,
    false,
  )
})

tap.test('salts are as long as asked for, and are looked at', async t => {
  const { post } = await openTransit(t)
  await post('keys/rsa', { type: 'rsa-2048' })
  for (const prehashed of [false, true]) {
    const sent = { input: prehashed ? digest('sha2-256', input) : input, prehashed }
    for (const [salt, fitting] of [
      ['auto', ['auto', '222', '0']],
      ['hash', ['hash', '32', 'auto', '-1']],
      ['7', ['7', 'auto']],
      ['222', ['222', 'AUTO']],
    ] as const) {
      const { signature } = (await post('sign/rsa', { ...sent, salt_length: salt })).body.data
      for (const asked of ['auto', 'hash', '7', '222', '32', '0', '-1', 'AUTO', '100']) {
        const check = await post('verify/rsa', { ...sent, signature, salt_length: asked })
        const isFitting = [...fitting, 'auto', 'AUTO', '0'].includes(asked)
        t.equal(check.body.data.valid, isFitting, `${salt} as ${asked}`)
      }
    }
  }
})

tap.test('the hash may stand in the path, under two names, or nowhere', async t => {
  const { post } = await openTransit(t)
  await post('keys/ec', { type: 'ecdsa-p256' })
  const { signature } = (await post('sign/ec/sha2-512', { input })).body.data
  const isValid = async (path: string, data: Record<string, string>) =>
    (await post(path, { input, signature, ...data })).body.data.valid
  t.equal(await isValid('verify/ec/sha2-512', {}), true)
  t.equal(await isValid('verify/ec', { hash_algorithm: 'sha2-512' }), true)
  t.equal(await isValid('verify/ec', { algorithm: 'sha2-512' }), true)
  t.equal(await isValid('verify/ec/sha2-512', { hash_algorithm: 'sha2-256' }), true)
  t.equal(await isValid('verify/ec', {}), false)
})

tap.test('batches are signed and checked item by item', async t => {
  const { post } = await openTransit(t)
  for (const type of ['rsa-2048', 'ecdsa-p256']) {
    await post(`keys/${type}`, { type })
    const inputs = Array.from({ length: 9 }, (_, at) => b64(`text ${at}`))
    const batch_input = [
      ...inputs.map((one, at) => ({ input: one, reference: `r${at}` })),
      { input: '!' },
      { reference: 'none' },
    ]
    const got = await post(`sign/${type}`, { batch_input })
    const results = got.body.data.batch_results
    t.equal(got.status, 400)
    t.match(results.slice(9), [
      { key_version: 0, error: /^unable to decode input as base64/, reference: '' },
      { key_version: 0, error: 'missing input', reference: 'none' },
    ])
    const partial = { batch_input, partial_failure_response_code: 207 }
    t.equal((await post(`sign/${type}`, partial)).status, 207)
    const checked = await post(`verify/${type}`, {
      batch_input: inputs.map((one, at) => ({
        ...{ input: at === 4 ? b64('other') : one, reference: results[at].reference },
        signature: results[at].signature,
      })),
    })
    t.equal(checked.status, 200)
    t.strictSame(
      checked.body.data.batch_results,
      inputs.map((_, at) => ({ valid: at !== 4, reference: `r${at}` })),
    )
  }
})

tap.test('what is checked is one thing', async t => {
  const { post } = await openTransit(t)
  await post('keys/ec', { type: 'ecdsa-p256' })
  const { signature } = (await post('sign/ec', { input })).body.data
  const { hmac } = (await post('hmac/ec', { input })).body.data
  const verify = (data: Parameters<typeof post>[1]) => post('verify/ec', data)
  t.match(await verify({ input }), { text: /^neither a 'signature' nor an 'hmac'/ })
  t.match(await verify({ input, signature, hmac }), {
    text: /^provide one of 'signature' or 'hmac'/,
  })
  const [byKey, byCode, neither] = [{ input, signature }, { input, hmac }, { input }]
  for (const [batch_input, text] of [
    [
      [byKey, byCode],
      /^elements of batch_input must all provide 'signature' or all provide 'hmac'/,
    ],
    [[byKey, neither], /^some elements of batch_input are missing 'signature'/],
    [[neither, byCode], /^some elements of batch_input are missing 'hmac'/],
    [[neither], /^no batch_input elements have 'signature' or 'hmac'/],
  ] as const) {
    t.match(await verify({ batch_input: [...batch_input] }), { status: 400, text })
  }
  t.equal((await verify(byKey)).body.data.valid, true)
  t.equal((await verify(byCode)).body.data.valid, true)
  const batch = await verify({ batch_input: [byCode, { ...byCode, input: b64('x') }] })
  t.strictSame(batch.body.data.batch_results, [
    { valid: true, reference: '' },
    { valid: false, reference: '' },
  ])
})

tap.test('derived keys sign for a context, and tell its public key', async t => {
  const { post, read } = await openTransit(t)
  await post('keys/ed', { type: 'ed25519', derived: true })
  const [context, other] = [b64('one'), b64('two')]
  const made = await post('sign/ed', { input, context })
  const { signature, public_key } = made.body.data
  const shown = (await read('keys/ed', { data: { context } })).body.data.keys['1'].public_key
  t.equal(public_key, shown)
  t.equal((await post('verify/ed', { input, context, signature })).body.data.valid, true)
  t.equal((await post('verify/ed', { input, context: other, signature })).body.data.valid, false)
  t.match(await post('sign/ed', { input }), { status: 400, text: /^missing 'context'/ })
  t.match(await post('sign/ed', { input, context: '!' }), {
    ...{ status: 400, text: 'failed to base64-decode context' },
  })
  const batch = await post('sign/ed', { batch_input: [{ input, context }] })
  t.match(batch.body.data.batch_results, [{ publickey: public_key, key_version: 1 }])
})

tap.test('lattices and hashes sign too, for a context of their own', async t => {
  const { post } = await openTransit(t)
  for (const [type, parameter_set] of [
    ['ml-dsa', '44'],
    ['slh-dsa', 'sha2-128f'],
  ] as const) {
    const made = await post(`keys/${type}`, { type, parameter_set })
    t.equal(made.status, 200, made.text)
    const signature_context = b64('invoices')
    const { signature } = (await post(`sign/${type}`, { input, signature_context })).body.data
    const check = (data: Record<string, string>) =>
      post(`verify/${type}`, { input, signature, ...data })
    t.equal((await check({ signature_context })).body.data.valid, true)
    t.equal((await check({})).body.data.valid, false)
    t.equal((await check({ signature_context: b64('x') })).body.data.valid, false)
    const long = b64('x'.repeat(256))
    t.match(await post(`sign/${type}`, { input, signature_context: long }), { status: 400 })
    t.match(await post(`sign/${type}`, { input, prehashed: true }), { status: 400 })
  }
})

tap.test('a key that has only its public half checks, and does not sign', async t => {
  const { post, secrets } = await openTransit(t)
  await post('keys/ec', { type: 'ecdsa-p256' })
  const { signature } = (await post('sign/ec', { input })).body.data
  await inStorage(secrets, storage => {
    const path = storage.keys('version/').map(key => `version/${key}`)[0]!
    const { privateKey, ...rest } = storage.get<{ privateKey: string; publicKey: string }>(path)!
    t.ok(privateKey)
    storage.put(path, rest)
    const key = storage.get('policy/ec')
    storage.put('policy/ec', key)
  })
  t.equal((await post('verify/ec', { input, signature })).body.data.valid, true)
  t.match(await post('sign/ec', { input }), {
    ...{ status: 400, text: 'requested version for signing does not contain a private part' },
  })
})
