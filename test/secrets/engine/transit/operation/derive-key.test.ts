/** Keys that two sides agree on. */
import { generateKeyPairSync } from 'node:crypto'
import tap from 'tap'
import { openTransit } from '../transit.ts'

const plaintext = Buffer.from('x').toString('base64')

tap.test('both sides get the same key', async t => {
  const { post, read } = await openTransit(t)
  for (const type of ['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521']) {
    const [a, b] = [`${type}-a`, `${type}-b`]
    for (const name of [a, b]) await post(`keys/${name}`, { type })
    const publicOf = async (name: string) =>
      (await read(`keys/${name}`)).body.data.keys['1'].public_key
    for (const derived_key_type of ['aes128-gcm96', 'aes256-gcm96', 'xchacha20-poly1305']) {
      const made = await Promise.all(
        [
          [a, b],
          [b, a],
        ].map(async ([own, other]) =>
          post(`derive-key/${own}-${derived_key_type}`, {
            ...{ base_key_name: own!, peer_public_key: await publicOf(other!), derived_key_type },
          }),
        ),
      )
      t.strictSame(
        made.map(({ status }) => status),
        [204, 204],
      )
      const sealed = await post(`encrypt/${a}-${derived_key_type}`, { plaintext })
      const { ciphertext } = sealed.body.data
      const opened = await post(`decrypt/${b}-${derived_key_type}`, { ciphertext })
      t.equal(opened.body.data.plaintext, plaintext)
    }
  }
  t.match((await read('keys/ecdsa-p256-a-aes256-gcm96')).body.data, {
    ...{ type: 'aes256-gcm96', imported_key: true, exportable: false },
  })
})

tap.test('what does not fit is refused, and makes nothing', async t => {
  const { post, read } = await openTransit(t)
  const pem = (curve: string) =>
    generateKeyPairSync('ec', { namedCurve: curve }).publicKey.export({
      type: 'spki',
      format: 'pem',
    }) as string
  await post('keys/own', { type: 'ecdsa-p256' })
  await post('keys/aes')
  const good = { base_key_name: 'own', peer_public_key: pem('prime256v1') }
  const ed = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' })
  const secret = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
  const cases = [
    [{ key_derivation_algorithm: 'x' }, 'key derivation algorithm x not supported'],
    [{ peer_public_key: '' }, 'peer public key not provided'],
    [{ peer_public_key: 'x' }, /^failed to parse supplied peer public key PEM/],
    [
      { peer_public_key: secret.export({ type: 'pkcs8', format: 'pem' }) as string },
      /^failed to parse supplied peer public key PEM/,
    ],
    [{ peer_public_key: ed as string }, 'supplied peer public key is not an ECDSA key'],
    [{ peer_public_key: pem('secp384r1') }, /does not match peer public key curve/],
    [{ derived_key_type: 'rsa-2048' }, 'unknown key type rsa-2048'],
    [{ base_key_name: 'none' }, 'specified base key not found'],
    [{ base_key_name: 'aes' }, /^base key type aes256-gcm96 does not support key agreement/],
    [{ base_key_version: 2 }, /is higher than the latest key version/],
    [{ base_key_version: -1 }, /is negative/],
  ] as const
  for (const [data, text] of cases) {
    t.match(await post('derive-key/new', { ...good, ...data }), { status: 400, text })
  }
  t.equal((await read('keys/new')).status, 404)
  t.match(await post('derive-key/aes', good), { status: 400, text: /already exists/ })
  t.equal((await post('derive-key/.x', good)).status, 404)
  t.equal((await post('derive-key/new', good)).status, 204)
  t.equal((await post('derive-key/new', good)).status, 204)
  t.equal((await read('keys/new')).body.data.latest_version, 2, 'the next version')
  const other = await post('derive-key/new', { ...good, derived_key_type: 'aes128-gcm96' })
  t.match(other, { status: 400, text: /already exists/ })
})
