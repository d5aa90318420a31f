/** `encrypt`: with keys that are there, and those that are made for it. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import tap from 'tap'
import { propertyRuns } from '../../../../run/budget.ts'
import type { TestSecrets } from '../../../harness.ts'
import { openTransit } from '../transit.ts'

const b64 = (text: string | Uint8Array): string => Buffer.from(text as string).toString('base64')

tap.test('a key that is missing is made for who may', async t => {
  const { secrets } = await openTransit(t)
  const encrypt = (name: string, data = {}, token?: string) =>
    secrets.post(
      `transit/encrypt/${name}`,
      { plaintext: b64('x'), ...data },
      { ...(token && { token }) },
    )
  t.match((await encrypt('plain')).body.data, { ciphertext: /^vault:v1:/, key_version: 1 })
  t.match((await secrets.read('transit/keys/plain')).body.data, {
    ...{ type: 'aes256-gcm96', derived: false, latest_version: 1 },
  })
  await encrypt('derived', { context: b64('a'), type: 'xchacha20-poly1305' })
  t.match((await secrets.read('transit/keys/derived')).body.data, {
    ...{ type: 'xchacha20-poly1305', derived: true, convergent_encryption: false },
  })
  await encrypt('same', { context: b64('a'), convergent_encryption: true })
  t.match((await secrets.read('transit/keys/same')).body.data, { convergent_encryption: true })
  t.match(await encrypt('other', { convergent_encryption: true }), {
    ...{ status: 400, text: /^convergent encryption requires derivation/ },
  })
  t.match(await encrypt('other', { type: 'ecdsa-p256' }), {
    status: 400,
    text: /not supported for/,
  })
  t.match(await encrypt('other', { type: 'rsa-2048' }), { status: 400, text: /^unknown key type/ })
  t.match(await encrypt('other', { plaintext: '!' }), { status: 400, text: /^illegal base64 data/ })
  t.match(await encrypt('.a'), { status: 404 })
  t.equal((await secrets.read('transit/keys/other')).status, 404, 'nothing is made by what fails')
  const mixed = [{ plaintext: '' }, { plaintext: '', context: b64('a') }]
  t.match(await secrets.post('transit/encrypt/other', { batch_input: mixed }), {
    ...{ status: 400, text: 'context should be set either in all the request blocks or in none' },
  })
  await secrets.post('transit/encrypt/batch', {
    batch_input: [{ plaintext: '', context: b64('a') }],
  })
  t.match((await secrets.read('transit/keys/batch')).body.data, { derived: true })

  await secrets.post('sys/policies/acl/user', {
    policy: 'path "transit/encrypt/*" { capabilities = ["update"] }',
  })
  await secrets.post('sys/policies/acl/maker', {
    policy: 'path "transit/encrypt/*" { capabilities = ["create"] }',
  })
  const tokenOf = async (policy: string): Promise<string> =>
    (await secrets.post('auth/token/create', { policies: [policy] })).body.auth.client_token
  const [user, maker] = [await tokenOf('user'), await tokenOf('maker')]
  t.equal((await encrypt('new', {}, user)).status, 403)
  t.equal((await encrypt('plain', {}, user)).status, 200)
  t.equal((await encrypt('plain', {}, maker)).status, 403)
  t.equal((await encrypt('new', {}, maker)).status, 200)
  t.equal((await encrypt('new', {}, user)).status, 200)

  await secrets.post('transit/config/keys', { disable_upsert: true })
  t.match(await encrypt('never'), { status: 400, text: 'encryption key not found' })
})

tap.test('several that make the same key at once use one', async t => {
  const { secrets } = await openTransit(t)
  const sealed = await Promise.all(
    Array.from({ length: 20 }, (_, at) =>
      secrets.post('transit/encrypt/race', { plaintext: b64(String(at)) }),
    ),
  )
  for (const [at, { body }] of sealed.entries()) {
    const opened = await secrets.post('transit/decrypt/race', body.data)
    t.equal(opened.body.data?.plaintext, b64(String(at)), opened.text)
  }
  t.equal((await secrets.read('transit/keys/race')).body.data.latest_version, 1)
})

tap.test('bad input is told of', async t => {
  const { secrets } = await openTransit(t)
  await secrets.post('transit/encrypt/k', { plaintext: '' })
  const encrypt = (data: Parameters<TestSecrets['post']>[1]) =>
    secrets.post('transit/encrypt/k', data)
  t.match(await encrypt({}), { status: 400, text: 'missing plaintext to encrypt' })
  t.match(await encrypt({ plaintext: 'YQ' }), { text: 'illegal base64 data at input byte 0' })
  t.match(await encrypt({ plaintext: '', key_version: 'x' }), { status: 400 })
  t.match(await encrypt({ batch_input: [{}] }), {
    text: "failed to parse batch input: '[0].plaintext' missing plaintext to encrypt",
  })
  t.match(await encrypt({ batch_input: [{ plaintext: 1 }] }), { status: 400 })
  t.match(await encrypt({ plaintext: '', context: '!' }), { status: 400, text: /^illegal base64/ })
  t.match(await encrypt({ plaintext: '', associated_data: '!' }), {
    text: 'failed to base64-decode associated_data: illegal base64 data at input byte 0',
  })
  for (const type of ['ed25519', 'ecdsa-p256', 'hmac']) {
    await secrets.post(`transit/keys/${type}`, { type })
    t.match(await secrets.post(`transit/encrypt/${type}`, { plaintext: '' }), {
      ...{ status: 400, text: `message encryption not supported for key type ${type}` },
    })
    const ciphertext = 'vault:v1:AAAA'
    t.match(await secrets.post(`transit/decrypt/${type}`, { ciphertext }), {
      ...{ status: 400, text: `message decryption not supported for key type ${type}` },
    })
  }
})

const types = [
  ...['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'xchacha20-poly1305'],
  ...['aes128-cbc', 'aes256-cbc', 'rsa-2048'],
]

tap.test('all types, versions, contexts and batches go there and back', async t => {
  const { secrets } = await openTransit(t)
  const names: { name: string; derived: boolean; convergent: boolean; type: string }[] = []
  for (const type of types) {
    for (const [derived, convergent] of [
      [false, false],
      [true, false],
      [true, true],
    ] as const) {
      if (derived && type.startsWith('rsa')) continue
      const name = `${type}-${derived}-${convergent}`
      const made = await secrets.post(`transit/keys/${name}`, {
        ...{ type, derived, convergent_encryption: convergent },
      })
      t.equal(made.status, 200, made.text)
      for (let at = 0; at < 2; at++) await secrets.post(`transit/keys/${name}/rotate`)
      names.push({ name, derived, convergent, type })
    }
  }
  const bytes = fc.uint8Array({ maxLength: 100 })
  const property = fc.asyncProperty(
    fc.constantFrom(...names),
    fc.array(fc.tuple(bytes, fc.integer({ min: 0, max: 3 }), bytes), {
      minLength: 1,
      maxLength: 5,
    }),
    fc.uint8Array({ minLength: 1, maxLength: 2_000 }),
    fc.boolean(),
    async ({ name, derived, convergent, type }, texts, context, isBatch) => {
      const takesMore = !/cbc|rsa/.test(type)
      const items = texts.map(([plaintext, key_version, associated]) => ({
        ...{ plaintext: b64(plaintext), key_version },
        ...(takesMore && associated.length > 0 && { associated_data: b64(associated) }),
        ...(derived && { context: b64(context) }),
      }))
      const ask = async (path: string, all: readonly Record<string, string | number>[]) => {
        if (isBatch) {
          const got = await secrets.post(`transit/${path}/${name}`, { batch_input: [...all] })
          assert.equal(got.status, 200, got.text)
          return got.body.data.batch_results
        }
        const got = await Promise.all(all.map(one => secrets.post(`transit/${path}/${name}`, one)))
        return got.map(({ status, text, body }) => {
          assert.equal(status, 200, text)
          return body.data
        })
      }
      const sealed = await ask('encrypt', items)
      const again = await ask('encrypt', items)
      const toOpen = items.map(({ plaintext, key_version, ...said }, at) => ({
        ...{ ...said, ciphertext: sealed[at].ciphertext },
      }))
      const opened = await ask('decrypt', toOpen)
      const rewrapped = await ask('rewrap', toOpen)
      for (const [at, { plaintext, key_version }] of items.entries()) {
        assert.equal(opened[at].plaintext, plaintext)
        assert.equal(sealed[at].key_version, key_version || 3)
        assert.ok(sealed[at].ciphertext.startsWith(`vault:v${key_version || 3}:`))
        assert.equal(again[at].ciphertext === sealed[at].ciphertext, convergent)
        assert.equal(rewrapped[at].key_version, 3)
      }
      const last = await ask(
        'decrypt',
        toOpen.map((one, at) => ({ ...one, ciphertext: rewrapped[at].ciphertext })),
      )
      assert.deepEqual(
        last.map((one: { plaintext: string }) => one.plaintext),
        items.map(({ plaintext }) => plaintext),
      )
    },
  )
  await fc.assert(property, { numRuns: propertyRuns() })
})

tap.test('RSA says what it has no room for, and which padding it knows', async t => {
  const { secrets } = await openTransit(t)
  await secrets.post('transit/keys/r', { type: 'rsa-2048' })
  const post = (path: string, data: Parameters<TestSecrets['post']>[1]) =>
    secrets.post(`transit/${path}/r`, data)
  t.match(await post('encrypt', { plaintext: b64('x'.repeat(191)) }), {
    ...{ status: 400, text: /message too long/ },
  })
  t.equal((await post('encrypt', { plaintext: b64('x'.repeat(190)) })).status, 200)
  const padding_scheme = 'pkcs1v15'
  const old = await post('encrypt', { plaintext: b64('x'.repeat(245)), padding_scheme })
  const { ciphertext } = old.body.data
  t.equal((await post('decrypt', { ciphertext, padding_scheme })).body.data.plaintext.length, 328)
  t.match(await post('decrypt', { ciphertext }), { status: 400, text: /^failed to RSA decrypt/ })
  const moved = await post('rewrap', { ciphertext, decrypt_padding_scheme: padding_scheme })
  t.match(moved, { status: 400, text: /message too long/ }, 'there is less room in the other')
  t.match(await post('encrypt', { plaintext: '', padding_scheme: 'none' }), { status: 400 })
  t.match(await post('encrypt', { plaintext: '', associated_data: b64('a') }), {
    ...{ status: 400, text: /provided for non-AEAD cipher suite rsa-2048/ },
  })
  const cut = 'vault:v1:AAAA'
  t.match(await post('decrypt', { ciphertext: cut }), {
    status: 400,
    text: /^failed to RSA decrypt/,
  })
  const batch_input = [{ ciphertext: cut }, { ciphertext: 'x' }, { ciphertext: '' }]
  const batch = await post('decrypt', { batch_input })
  t.match(batch.body.data.batch_results, [
    { plaintext: '', error: /^failed to RSA decrypt/, reference: '' },
    { plaintext: '', error: 'invalid ciphertext: no prefix' },
    { plaintext: '', error: 'missing ciphertext to decrypt' },
  ])
})
