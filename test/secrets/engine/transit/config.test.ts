/** Changing a key: one-way switches, bounds on versions, the next version, trimming. */
import tap, { type Test } from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import type { Got } from '../../harness.ts'
import { openTransit } from './transit.ts'

function refused(t: Test, got: Got, text: string): void {
  t.equal(got.status, 400, text)
  t.equal(got.text, text)
}

tap.test('exportable and backups are switched on once; all else goes both ways', async t => {
  const { post } = await openTransit(t)
  await post('keys/a')
  const on = { deletion_allowed: true, exportable: true, allow_plaintext_backup: true }
  t.match((await post('keys/a/config', on)).body.data, on)
  const off = { deletion_allowed: false, exportable: false, allow_plaintext_backup: false }
  t.match((await post('keys/a/config', off)).body.data, { ...on, deletion_allowed: false })
  const period = { auto_rotate_period: '2h' }
  t.equal((await post('keys/a/config', period)).body.data.auto_rotate_period, 7_200)
  refused(
    t,
    await post('keys/a/config', { auto_rotate_period: 60 }),
    'auto rotate period must be 0 to disable or at least an hour',
  )
  t.equal((await post('keys/a/config', {})).body.data.auto_rotate_period, 7_200)
  t.equal((await post('keys/a/config', { auto_rotate_period: 0 })).body.data.auto_rotate_period, 0)
  refused(t, await post('keys/b/config', {}), 'no existing key named b could be found')
})

tap.test('minimum versions stand as they must', async t => {
  const { post, read } = await openTransit(t)
  await post('keys/a')
  for (let i = 0; i < 4; i++) await post('keys/a/rotate')
  const cases: [Record<string, number>, string][] = [
    [{ min_decryption_version: -1 }, 'min decryption version cannot be negative'],
    [
      { min_decryption_version: 6 },
      'cannot set min decryption version of 6, latest key version is 5',
    ],
    [{ min_encryption_version: -1 }, 'min encryption version cannot be negative'],
    [
      { min_encryption_version: 6 },
      'cannot set min encryption version of 6, latest key version is 5',
    ],
    [
      { min_encryption_version: 2, min_decryption_version: 3 },
      'cannot set min encryption/decryption values; min encryption version of 2 must be greater than or equal to min decryption version of 3',
    ],
  ]
  for (const [data, text] of cases) refused(t, await post('keys/a/config', data), text)
  const zero = await post('keys/a/config', { min_decryption_version: 0 })
  t.equal(zero.body.data.min_decryption_version, 1)
  t.equal(zero.body.warnings.length, 1)
  const set = { min_encryption_version: 4, min_decryption_version: 3 }
  t.strictSame(Object.keys((await post('keys/a/config', set)).body.data.keys), ['3', '4', '5'])
  // Nothing is lost of what is out of use.
  await post('keys/a/config', { min_decryption_version: 2 })
  t.strictSame(Object.keys((await read('keys/a')).body.data.keys), ['2', '3', '4', '5'])
})

tap.test('old versions are trimmed for good, where nothing uses them', async t => {
  const { post, secrets } = await openTransit(t)
  await post('keys/a')
  for (let i = 0; i < 4; i++) await post('keys/a/rotate')
  const trim = (version?: number) =>
    post('keys/a/trim', version === undefined ? {} : { min_available_version: version })
  const text = 'minimum available version'
  refused(t, await post('keys/b/trim', { min_available_version: 1 }), 'invalid key name')
  refused(t, await trim(), 'missing min_available_version')
  refused(t, await trim(2), `${text} cannot be set when minimum encryption version is not set`)
  await post('keys/a/config', { min_decryption_version: 3, min_encryption_version: 4 })
  refused(t, await trim(5), `${text} cannot be greater than minmum encryption version`)
  refused(t, await trim(4), `${text} cannot be greater than minimum decryption version`)
  refused(t, await trim(0), `${text} should be positive`)
  refused(t, await trim(-1), `${text} cannot be decremented`)
  t.equal((await trim(3)).body.data.min_available_version, 3)
  const versions = () => secrets.rows().filter(row => row.includes('/version/')).length
  t.equal(versions(), 3)
  refused(t, await trim(2), `${text} cannot be decremented`)
  refused(
    t,
    await post('keys/a/config', { min_decryption_version: 2 }),
    'min decryption version should not be less then min available version',
  )
  refused(
    t,
    await post('keys/a/config', { min_encryption_version: 0 }),
    'min encryption version should not be less than min available version',
  )
})

tap.test('a rotation writes two rows, and its pair is drawn before', async t => {
  const { post, read, secrets } = await openTransit(t)
  for (const type of ['rsa-2048', 'ecdsa-p384', 'ed25519', 'ml-dsa', 'hmac']) {
    await post(`keys/${type}`, { type })
    const before = secrets.rows().length
    const rotated = await post(`keys/${type}/rotate`)
    t.equal(rotated.body.data.latest_version, 2)
    t.equal(secrets.rows().length, before + 1)
    const { keys } = (await read(`keys/${type}`)).body.data
    t.strictSame(Object.keys(keys), ['1', '2'])
    if (type !== 'hmac') t.not(keys['1'].public_key, keys['2'].public_key)
  }
  refused(t, await post('keys/b/rotate'), 'key not found')
})

tap.test('versions beyond one transaction go by themselves', async t => {
  const { post, read, remove, secrets } = await openTransit(t)
  await post('keys/a')
  const count = limits.transitVersionsAtOnce + 20
  await secrets.write(draft => {
    const [{ path, area }] = versionsIn(secrets.rows())
    const storage = draft.area('root', area)
    const row = storage.get('policy/a') as Record<string, unknown>
    const version = storage.get(path)
    const folder = path.slice(0, path.lastIndexOf('/') + 1)
    for (let i = 2; i <= count; i++) storage.put(`${folder}${i}`, version)
    storage.put('policy/a', { ...row, latest: count, deletionAllowed: true })
  })
  t.equal(Object.keys((await read('keys/a')).body.data.keys).length, count)
  t.equal((await remove('keys/a')).status, 204)
  t.equal((await read('keys/a')).status, 404)
  t.equal(versionsIn(secrets.rows()).length, 20)
  const removal = secrets.rows().find(row => row.includes('/removed/'))!
  await secrets.write(draft => {
    const [namespaceId = '', area = '', ...path] = removal.split('/')
    const end = secrets.engines.all.flatMap(({ ends = [] }) => ends)
    const kind = draft.area(namespaceId, area).header(path.join('/'))!.kind
    const place = { namespaceId, area, path: path.join('/') }
    end.find(one => one.kind === kind)!.end(draft, place)
  })
  t.strictSame(
    secrets.rows().filter(row => /\/(version|removed)\//.test(row)),
    [],
  )
})

/** Rows of versions: their area and the path in it. */
const versionsIn = (rows: readonly string[]) =>
  rows
    .filter(row => row.includes('/version/'))
    .map(row => {
      const [, area = '', ...path] = row.split('/')
      return { area, path: path.join('/') }
    }) as [{ area: string; path: string }, ...{ area: string; path: string }[]]
