/** Keys are made, told of, listed, deleted, put away; changed, rotated and trimmed. */
import { createPublicKey } from 'node:crypto'
import tap from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { openTransit } from './transit.ts'

const AES = { type: 'aes256-gcm96' }

tap.test('a key of each type is told of, and nothing private with it', async t => {
  const { post, read, list } = await openTransit(t)
  const types = [
    ...['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'xchacha20-poly1305', 'aes128-cbc'],
    ...['aes256-cbc', 'aes128-cmac', 'aes192-cmac', 'aes256-cmac', 'hmac', 'ed25519'],
    ...['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-2048', 'rsa-3072', 'rsa-4096'],
    ...['ml-dsa', 'slh-dsa'],
  ]
  for (const type of types) {
    const made = await post(`keys/${type}`, { type })
    t.equal(made.status, 200, made.text)
    const { body } = await read(`keys/${type}`)
    t.strictSame(body.data, made.body.data)
    t.match(body.data, {
      ...{ name: type, type, derived: false, exportable: false, latest_version: 1 },
      ...{ min_available_version: 0, min_decryption_version: 1, min_encryption_version: 0 },
      ...{ deletion_allowed: false, allow_plaintext_backup: false, auto_rotate_period: 0 },
      ...{
        imported_key: false,
        soft_deleted: false,
        supports_derivation: /gcm|poly|cbc|ed/.test(type),
      },
      supports_encryption: /gcm|poly|cbc|rsa/.test(type),
      supports_decryption: /gcm|poly|cbc|rsa/.test(type),
      supports_signing: /ed|ecdsa|rsa|dsa/.test(type),
    })
    const version = body.data.keys['1']
    if (/gcm|poly|cbc|mac/.test(type)) t.type(version, 'number')
    else if (type === 'ed25519') t.equal(Buffer.from(version.public_key, 'base64').length, 32)
    else t.ok(createPublicKey(version.public_key).type, 'public')
  }
  t.strictSame((await list('keys')).body.data.keys, [...types].sort())
  const page = await list('keys', { data: { after: 'ecdsa-p384', limit: 2 } })
  t.strictSame(page.body.data.keys, ['ecdsa-p521', 'ed25519'])
  t.equal((await read('keys/hmac')).body.data.key_size, 32)
  t.equal((await read('keys/ml-dsa')).body.data.parameter_set, '65')
})

tap.test('a key that is there stays as it is', async t => {
  const { post, read } = await openTransit(t)
  const made = await post('keys/a', { ...AES, exportable: true })
  const again = await post('keys/a', { type: 'rsa-2048' })
  t.strictSame(again.body.data, made.body.data)
  t.strictSame(again.body.warnings, ['key a already existed'])
  t.equal((await read('keys/b')).status, 404)
})

tap.test('making a key asks for the right to update, as elsewhere', async t => {
  const { secrets } = await openTransit(t)
  const status = async (capability: string) => {
    const policy = `path "transit/keys/*" { capabilities = ["${capability}"] }`
    await secrets.post(`sys/policies/acl/${capability}`, { policy })
    const made = await secrets.post('auth/token/create', { policies: [capability] })
    const token = made.body.auth.client_token
    return (await secrets.ask('update', `transit/keys/${capability}`, { token })).status
  }
  t.equal(await status('update'), 200)
  t.equal(await status('create'), 403)
})

tap.test('names: no path, no end in a dot, any letters', async t => {
  const { post, read } = await openTransit(t)
  for (const name of ['constructor', '__proto__', 'hasOwnProperty', 'a.b-c_9', 'A']) {
    t.equal((await post(`keys/${name}`)).status, 200, name)
    t.equal((await read(`keys/${name}`)).body.data.name, name)
  }
  for (const name of ['.a', 'a.', '-a', 'a b', 'ä', 'a'.repeat(limits.transitKeyNameChars + 1)]) {
    t.equal((await post(`keys/${name}`)).status, 404, name)
    t.equal((await read(`keys/${name}`)).status, 404, name)
  }
})

tap.test('what cannot be is refused, and nothing is made', async t => {
  const { post, list } = await openTransit(t)
  const refused: [Record<string, unknown>, number, RegExp][] = [
    [{ type: 'aes' }, 400, /unknown key type aes/],
    [{ type: 'managed_key' }, 501, /not served yet: type managed_key/],
    [{ type: 'hybrid' }, 501, /not served yet: type hybrid/],
    [{ convergent_encryption: true }, 400, /requires derivation/],
    [{ type: 'rsa-2048', derived: true }, 400, /derivation .* not supported/],
    [{ type: 'ed25519', derived: true, convergent_encryption: true }, 400, /not supported/],
    [{ auto_rotate_period: '59m' }, 400, /at least an hour/],
    [{ type: 'hmac', key_size: 16 }, 400, /invalid key_size 16/],
    [{ key_size: 32 }, 400, /key_size is not valid for algorithm aes256-gcm96/],
    [{ type: 'slh-dsa', parameter_set: '44' }, 400, /invalid parameter_set/],
    [{ type: 'hmac', key_size: 'x' }, 400, /Field validation failed/],
  ]
  for (const [data, status, text] of refused) {
    const got = await post('keys/a', data as never)
    t.equal(got.status, status, got.text)
    t.match(got.text, text)
  }
  t.equal((await list('keys')).status, 404)
})

tap.test('the public key of a derived key is that of its context', async t => {
  const { post, read } = await openTransit(t)
  await post('keys/a', { type: 'ed25519', derived: true })
  t.equal((await read('keys/a')).body.data.keys['1'].public_key, '')
  const ask = async (context: string) =>
    (await read('keys/a', { data: { context } })).body.data.keys['1'].public_key
  const one = await ask('b25l')
  t.equal(Buffer.from(one, 'base64').length, 32)
  t.equal(await ask('b25l'), one)
  t.not(await ask('dHdv'), one)
  t.match(await read('keys/a', { data: { context: '?' } }), {
    ...{ status: 400, text: 'failed to base64-decode context' },
  })
})

tap.test('a key is deleted where it may be, and another of its name is another', async t => {
  const { post, read, remove, secrets } = await openTransit(t)
  await post('keys/a', { ...AES, exportable: true })
  await post('keys/a/rotate')
  t.match(await remove('keys/a'), {
    ...{ status: 400, text: 'error deleting policy a: deletion is not allowed for this key' },
  })
  const before = (await read('export/encryption-key/a')).body.data.keys
  await post('keys/a/config', { deletion_allowed: true })
  t.equal((await remove('keys/a')).status, 204)
  t.equal((await read('keys/a')).status, 404)
  t.match(await remove('keys/a'), {
    ...{ status: 400, text: 'error deleting policy a: could not delete key; not found' },
  })
  t.strictSame(
    secrets.rows().filter(row => /\/(policy|version|removed)\//.test(row)),
    [],
  )
  await post('keys/a', { ...AES, exportable: true })
  const after = (await read('export/encryption-key/a')).body.data.keys
  t.strictSame(Object.keys(after), ['1'])
  t.not(after['1'], before['1'])
})

tap.test('a key that was put away does nothing until it is taken back', async t => {
  const { post, read, remove } = await openTransit(t)
  await post('keys/a', { ...AES, exportable: true, allow_plaintext_backup: true })
  t.equal((await remove('keys/b/soft-delete')).status, 204)
  t.equal((await remove('keys/a/soft-delete')).body.data.soft_deleted, true)
  const twice = await remove('keys/a/soft-delete')
  t.strictSame(twice.body.warnings, ['key was already marked as soft deleted'])
  for (const got of [
    await post('keys/a/rotate'),
    await read('export/encryption-key/a'),
    await read('backup/a'),
    await read('byok-export/a/a'),
  ]) {
    t.equal(got.status, 400)
    t.match(got.text, /refusing to use soft-deleted key/)
  }
  t.equal((await read('keys/a')).body.data.soft_deleted, true)
  t.equal((await post('keys/a/soft-delete-restore')).body.data.soft_deleted, false)
  t.strictSame((await post('keys/a/soft-delete-restore')).body.warnings, [
    'key was already restored',
  ])
  t.equal((await post('keys/a/rotate')).body.data.latest_version, 2)
})
