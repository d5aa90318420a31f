/** Keys are backed up where they may be, and restored; what is no backup is refused. */
import tap from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { openTransit } from './transit.ts'

const open = { exportable: true, allow_plaintext_backup: true }

tap.test('a key of every type is backed up and restored whole', async t => {
  const { post, read, list, secrets } = await openTransit(t)
  const types = [
    ...['aes128-gcm96', 'xchacha20-poly1305', 'aes256-cbc', 'aes192-cmac', 'hmac', 'ed25519'],
    ...['ecdsa-p521', 'rsa-2048', 'ml-dsa', 'slh-dsa'],
  ]
  for (const type of types) {
    await post(`keys/${type}`, { type, ...open })
    for (let i = 0; i < 4; i++) await post(`keys/${type}/rotate`)
    const config = { min_decryption_version: 4, min_encryption_version: 5, deletion_allowed: true }
    await post(`keys/${type}/config`, { ...config, auto_rotate_period: '3h' })
    await post(`keys/${type}/trim`, { min_available_version: 2 })
    const { backup } = (await read(`backup/${type}`)).body.data
    const before = (await read(`keys/${type}`)).body.data
    t.match(before.backup_info, { version: 5 })
    t.equal((await post(`restore/of-${type}`, { backup })).status, 204)
    const after = (await read(`keys/of-${type}`)).body.data
    t.match(after.restore_info, { version: 5 })
    const { name: _name, restore_info: _info, ...rest } = after
    const { name: _other, ...wanted } = before
    t.strictSame(rest, wanted, type)
    // Versions that are out of use came along; those that were trimmed did not.
    await post(`keys/of-${type}/config`, { min_decryption_version: 2 })
    await post(`keys/${type}/config`, { min_decryption_version: 2 })
    const kind =
      type === 'hmac' || type.endsWith('cmac')
        ? type.replace(/^.*-/, '')
        : /ed|dsa|rsa/.test(type)
          ? 'signing'
          : 'encryption'
    const exported = async (name: string) =>
      (await read(`export/${kind}-key/${name}`)).body.data.keys
    t.strictSame(await exported(`of-${type}`), await exported(type))
    t.strictSame(Object.keys(await exported(`of-${type}`)), ['2', '3', '4', '5'])
  }
  t.equal((await list('keys')).body.data.keys.length, 2 * types.length)
  await secrets.mount('transit', 'other/')
  const { backup } = (await read('backup/hmac')).body.data
  t.equal((await secrets.post('other/restore', { backup })).status, 204)
  t.equal((await secrets.read('other/keys/hmac')).body.data.name, 'hmac')
})

tap.test('what may not be backed up is not', async t => {
  const { post, read } = await openTransit(t)
  const text = async (name: string) => (await read(`backup/${name}`)).text
  t.equal(await text('a'), 'key "a" not found')
  await post('keys/a')
  t.equal(await text('a'), 'exporting is disallowed on the policy')
  await post('keys/a/config', { exportable: true })
  t.equal(await text('a'), 'plaintext backup is disallowed on the policy')
  await post('keys/a/config', { allow_plaintext_backup: true })
  t.equal((await read('backup/a')).status, 200)
})

tap.test('a key that is there is replaced by force alone', async t => {
  const { post, read, secrets } = await openTransit(t)
  await post('keys/a', open)
  const { backup } = (await read('backup/a')).body.data
  for (let i = 0; i < 3; i++) await post('keys/a/rotate')
  t.match(await post('restore', { backup }), { status: 400, text: 'key "a" already exists' })
  t.match(await post('restore/a', { backup }), { status: 400, text: 'key "a" already exists' })
  t.equal((await read('keys/a')).body.data.latest_version, 4)
  t.equal((await post('restore/a', { backup, force: true })).status, 204)
  t.equal((await read('keys/a')).body.data.latest_version, 1)
  t.equal(secrets.rows().filter(row => row.includes('/version/')).length, 1)
  t.match(await post('restore', { backup, name: 'a/b' }), { text: 'key names cannot be paths' })
  t.match(await post('restore', { backup, name: '.' }), { status: 400 })
  t.equal((await post('restore', { backup, name: 'b' })).status, 204)
})

tap.test('what is no backup is refused, and says where it is none', async t => {
  const { post, read, list } = await openTransit(t)
  await post('keys/a', { type: 'ecdsa-p256', ...open })
  await post('keys/a/rotate')
  const { backup } = (await read('backup/a')).body.data
  const whole = Buffer.from(backup, 'base64').toString()
  const changed = (from: string | RegExp, to: string) => {
    const text = whole.replace(from, to)
    t.not(text, whole, String(from))
    return Buffer.from(text).toString('base64')
  }
  const cases: [string, RegExp][] = [
    ['', /'backup' must be supplied/],
    ['?', /backup is not base64/],
    ['YWJj', /backup is no JSON/],
    ['W10=', /backup is no object/],
    ['e30=', /backup\.policy is missing/],
    [Buffer.from('['.repeat(100_000)).toString('base64'), /backup is no JSON/],
    [changed('"type":1', '"type":77'), /policy\.type is no known type/],
    [changed('"type":1', '"type":"constructor"'), /policy\.type is no known type/],
    [changed('"type":1', '"type":6'), /is no key|is not of its type/],
    [changed('"type":1', '"type":0'), /policy\.keys\.1\.key is missing/],
    [changed('"latest_version":2', '"latest_version":999999999'), /lacks versions/],
    [changed('"latest_version":2', '"latest_version":0'), /latest_version is no such number/],
    [changed('"min_decryption_version":1', '"min_decryption_version":3'), /is no such number/],
    [changed('"2":{', '"x":{'), /something that is no version/],
    [changed('"2":{', '"3":{'), /lacks versions/],
    [changed(/"ec_x":/, '"ec_x":1'), /is no key/],
    [changed(/"ec_d":\d+/, '"ec_d":12345'), /do not belong together|is no key/],
    [changed(/"ec_x":/, '"ec_x":-'), /is no whole number/],
    [changed('"derived":false', '"derived":"no"'), /derived is neither true nor false/],
    [changed(/"time":"[^"]*"/, '"time":"noon"'), /time is no time/],
    [changed('"version_template":""', '"version_template":"x{{version}}:"'), /version_template/],
  ]
  for (const [text, wanted] of cases) {
    const got = await post('restore/b', { backup: text })
    t.equal(got.status, 400, got.text)
    t.match(got.text, wanted)
  }
  t.strictSame((await list('keys')).body.data.keys, ['a'])
})

tap.test('numbers of types are read as their maker gave them', async t => {
  const { post, read } = await openTransit(t)
  const numbers = [
    ['hmac', 11],
    ['aes128-cmac', 12],
    ['aes256-cmac', 13],
    ['xchacha20-poly1305', 11],
  ] as const
  for (const [type, number] of numbers) {
    await post(`keys/${type}`, { type, ...open })
    const { backup } = (await read(`backup/${type}`)).body.data
    const whole = JSON.parse(Buffer.from(backup, 'base64').toString())
    const changed = { ...whole, policy: { ...whole.policy, type: number } }
    const text = Buffer.from(JSON.stringify(changed)).toString('base64')
    t.equal((await post('restore', { backup: text, name: `of-${type}` })).status, 204, type)
    t.equal((await read(`keys/of-${type}`)).body.data.type, type)
  }
})

tap.test('a backup that is too long to be restored says so', async t => {
  const { post, read, secrets } = await openTransit(t)
  await post('keys/a', open)
  const count = Math.ceil(limits.secretsJsonStringSizeBytes / 400)
  await secrets.write(draft => {
    const row = secrets.rows().find(one => one.includes('/version/'))!
    const [, area = '', , id] = row.split('/')
    const storage = draft.area('root', area)
    const version = storage.get(`version/${id}/1`)
    for (let i = 2; i <= count; i++) storage.put(`version/${id}/${i}`, version)
    storage.put('policy/a', { ...storage.get<object>('policy/a'), latest: count })
  })
  const { body } = await read('backup/a')
  t.match(body.warnings, [/longer than the \d+ bytes that a restore takes/])
})
