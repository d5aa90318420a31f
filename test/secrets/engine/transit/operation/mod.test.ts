/** All operations, on what OpenBao made with its keys: of every type, both versions. */
import { hash } from 'node:crypto'
import tap from 'tap'
import { putVector } from '../keys.ts'
import { openTransit } from '../transit.ts'
import { agreementVectors, keyVectors } from './vectors.ts'

for (const vector of keyVectors) {
  tap.test(`OpenBao's ${vector.name} is read and answered in kind`, async t => {
    const { secrets } = await openTransit(t)
    await putVector(secrets, vector)
    const { name, ciphertexts, signatures, hmacs, derived, convergent } = vector

    for (const { version: key_version, plaintext, ciphertext, ...said } of ciphertexts) {
      const opened = await secrets.post(`transit/decrypt/${name}`, { ciphertext, ...said })
      t.equal(opened.body.data?.plaintext, plaintext, `${ciphertext}: ${opened.text}`)
      const data = { plaintext, key_version, ...said }
      const sealed = await secrets.post(`transit/encrypt/${name}`, data)
      t.equal(sealed.body.data.ciphertext === ciphertext, convergent, 'only convergent are equal')
      const [back, rewrapped] = await Promise.all([
        secrets.post(`transit/decrypt/${name}`, { ...said, ...sealed.body.data }),
        secrets.post(`transit/rewrap/${name}`, { ciphertext, ...said }),
      ])
      t.equal(back.body.data.plaintext, plaintext)
      t.equal(rewrapped.body.data.key_version, 2)
      if (ciphertext.length < 40 || said.context === undefined) continue
      const other = { ciphertext, ...said, context: 'b3RoZXI=' }
      t.match(await secrets.post(`transit/decrypt/${name}`, other), {
        status: 400,
        text: 'cipher: message authentication failed',
      })
    }

    for (const { version: key_version, input, settings, signature, publicKey } of signatures) {
      const check = { input, ...settings } as Record<string, string>
      const got = await secrets.post(`transit/verify/${name}`, { ...check, signature })
      t.equal(got.body.data?.valid, true, `${JSON.stringify(settings)}: ${got.text}`)
      const wrong = { ...check, signature, input: 'b3RoZXI=' }
      const refused = await secrets.post(`transit/verify/${name}`, wrong)
      t.equal(refused.body.data?.valid, false, `${JSON.stringify(settings)}: ${refused.text}`)
      const made = await secrets.post(`transit/sign/${name}`, { ...check, key_version })
      t.equal(made.status, 200, made.text)
      t.equal(made.body.data.key_version, key_version)
      t.equal(made.body.data.public_key, publicKey)
      const isSame = made.body.data.signature === signature
      const { signature_algorithm: algorithm } = settings
      t.equal(isSame, algorithm === 'pkcs1v15' || vector.type === 'ed25519', 'as far as they can')
      const again = { ...check, signature: made.body.data.signature }
      t.equal((await secrets.post(`transit/verify/${name}`, again)).body.data.valid, true)
    }

    for (const { version: key_version, algorithm, input, hmac } of hmacs) {
      const got = await secrets.post(`transit/hmac/${name}/${algorithm}`, { input, key_version })
      t.equal(got.body.data.hmac, hmac)
      const check = await secrets.post(`transit/verify/${name}/${algorithm}`, { input, hmac })
      t.equal(check.body.data.valid, true)
    }
    if (derived && ciphertexts.length > 0) {
      const { ciphertext } = ciphertexts[0]!
      t.match(
        (await secrets.post(`transit/decrypt/${name}`, { ciphertext })).text,
        /missing 'context'/,
      )
    }
  })
}

tap.test('randomness and hashes are those of the tools', async t => {
  const { post } = await openTransit(t)
  const { sum } = (await post('hash/sha3-256', { input: 'eA==' })).body.data
  t.equal(sum, hash('sha3-256', 'x'))
  t.match(await post('hash', {}), { status: 400, text: 'input missing' })
  t.equal((await post('hash', { input: '' })).body.data.sum, hash('sha256', ''))
  const bytes = (await post('random/platform/8', { format: 'hex' })).body.data.random_bytes
  t.match(bytes, /^[0-9a-f]{16}$/)
  t.equal(Buffer.from((await post('random', {})).body.data.random_bytes, 'base64').length, 32)
  t.equal((await post('random/4', {})).body.data.random_bytes.length, 8)
})

tap.test('keys that were agreed on with others open what OpenBao encrypted', async t => {
  const { secrets } = await openTransit(t)
  for (const vector of keyVectors) await putVector(secrets, vector)
  for (const [at, agreement] of agreementVectors.entries()) {
    const { baseKey, baseVersion, peerPublicKey, derivedType, plaintext, ciphertext } = agreement
    const made = await secrets.post(`transit/derive-key/agreed-${at}`, {
      ...{ base_key_name: baseKey, base_key_version: baseVersion },
      ...{ peer_public_key: peerPublicKey, derived_key_type: derivedType },
    })
    t.equal(made.status, 204, made.text)
    const opened = await secrets.post(`transit/decrypt/agreed-${at}`, { ciphertext })
    t.equal(opened.body.data?.plaintext, plaintext, opened.text)
  }
})
