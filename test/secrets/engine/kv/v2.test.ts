/** The key/value engine, version 2: each rule of its API as a row of a table, or a test by name. */
import tap, { type Test } from 'tap'
import { wallMs } from '../../../../src/base/brand.ts'
import { type Clock, systemClock } from '../../../../src/base/clock.ts'
import { limits } from '../../../../src/base/limits.ts'
import { kvEngine } from '../../../../src/secrets/engine/kv/engine.ts'
import { mountAt, putMount } from '../../../../src/secrets/mount/mount.ts'
import { ROOT } from '../../../../src/secrets/namespace/namespace.ts'
import { openSecrets } from '../../harness.ts'

const open = async (t: Test, clock: Clock = systemClock) => {
  const secrets = await openSecrets(t, { clock })
  await secrets.mount('kv', 'kv/', { options: { version: '2' } })
  const put = (path: string, data: object, options?: object) =>
    secrets.post(`kv/data/${path}`, { data, ...(options && { options }) } as never)
  return { secrets, put }
}

/** A clock whose wall time a test moves. */
function movable(startMs: number) {
  let nowMs = startMs
  const clock: Clock = { ...systemClock, wall: () => wallMs(nowMs) }
  return { clock, move: (byMs: number) => (nowMs += byMs) }
}

tap.test('each write makes a version', async t => {
  const { secrets, put } = await open(t)
  const first = await put('a/b', { password: 'one', big: 9007199254740993n })
  t.match(first, {
    status: 200,
    body: { data: { version: 1, deletion_time: '', destroyed: false, custom_metadata: null } },
  })
  await put('a/b', { password: 'two' })
  t.match((await secrets.read('kv/data/a/b')).body.data, {
    data: { password: 'two' },
    metadata: { version: 2 },
  })
  const old = await secrets.read('kv/data/a/b', { data: { version: '1' } })
  t.match(old.body.data.data, { password: 'one' })
  t.match(old.text, /"big":9007199254740993/)
  t.strictSame((await secrets.read('kv/data/none')).body, { errors: [] })
  t.equal((await secrets.read('kv/data/a/b', { data: { version: '7' } })).status, 404)
  t.match(await secrets.post('kv/data/a', {}), { status: 400, text: 'no data provided' })
  t.equal((await put('empty', {})).status, 200)
})

tap.test('check-and-set', async t => {
  const { secrets, put } = await open(t)
  const differs = 'check-and-set parameter did not match the current version'
  t.equal((await put('a', { v: 1 }, { cas: 0 })).status, 200)
  t.match(await put('a', { v: 2 }, { cas: 0 }), { status: 400, text: differs })
  t.match(await put('a', { v: 2 }, { cas: 2 }), { status: 400, text: differs })
  t.equal((await put('a', { v: 2 }, { cas: '1' })).status, 200)
  await secrets.post('kv/config', { cas_required: true })
  const required = 'check-and-set parameter required for this call'
  t.match(await put('a', { v: 3 }), { status: 400, text: required })
  await secrets.post('kv/config', { cas_required: false })
  await secrets.post('kv/metadata/a', { cas_required: true })
  t.match(await put('a', { v: 3 }), { status: 400, text: required })
  t.match(await put('a', { v: 3 }, { cas: [] }), { status: 400 })
})

tap.test('versions are deleted, brought back and destroyed', async t => {
  const { secrets, put } = await open(t)
  for (const v of [1, 2, 3]) await put('a', { v })
  t.equal((await secrets.remove('kv/data/a')).status, 204)
  const gone = await secrets.read('kv/data/a')
  t.equal(gone.status, 404)
  t.match(gone.body.data, { data: null, metadata: { version: 3, destroyed: false } })
  t.match(gone.body.data.metadata.deletion_time, /^20/)
  await secrets.post('kv/undelete/a', { versions: [3] })
  t.match((await secrets.read('kv/data/a')).body.data.data, { v: 3 })
  await secrets.post('kv/delete/a', { versions: '1,2' })
  t.equal((await secrets.read('kv/data/a', { data: { version: 1 } })).status, 404)
  await secrets.post('kv/destroy/a', { versions: ['2', 3] })
  const destroyed = await secrets.read('kv/data/a')
  t.match(destroyed, { status: 404, body: { data: { metadata: { destroyed: true } } } })
  await secrets.post('kv/undelete/a', { versions: [1, 2, 3] })
  t.equal((await secrets.read('kv/data/a')).status, 404, 'for ever')
  t.match((await secrets.read('kv/data/a', { data: { version: 1 } })).body.data.data, { v: 1 })
  for (const what of ['delete', 'undelete', 'destroy']) {
    const none = { status: 400, text: 'no version number provided' }
    t.match(await secrets.post(`kv/${what}/a`, {}), none)
    t.equal((await secrets.post(`kv/${what}/none`, { versions: [1] })).status, 404)
  }
  t.equal((await secrets.remove('kv/data/none')).status, 204)
})

tap.test('versions beyond the number that is kept go', async t => {
  const { secrets, put } = await open(t)
  for (let v = 1; v <= 12; v++) await put('a', { v })
  const { data } = (await secrets.read('kv/metadata/a')).body
  t.match(data, { current_version: 12, oldest_version: 3 })
  t.equal(Object.keys(data.versions).length, 10)
  await secrets.post('kv/metadata/a', { max_versions: 2 })
  await put('a', { v: 13 })
  t.strictSame(Object.keys((await secrets.read('kv/metadata/a')).body.data.versions), ['12', '13'])
  t.equal((await secrets.read('kv/data/a', { data: { version: 11 } })).status, 404)
  t.match(await secrets.post('kv/config', { max_versions: -1 }), { status: 400 })
})

tap.test('versions may be deleted by time', async t => {
  const { clock, move } = movable(Date.parse('2026-01-01T00:00:00Z'))
  const { secrets, put } = await open(t, clock)
  await secrets.post('kv/config', { delete_version_after: '1h' })
  await put('a', { v: 1 })
  await secrets.post('kv/metadata/b', { delete_version_after: '10s' })
  await put('b', { v: 1 })
  await secrets.post('kv/metadata/c', { delete_version_after: '-1s' })
  await put('c', { v: 1 })
  move(9_999)
  t.equal((await secrets.read('kv/data/b')).status, 200)
  move(1)
  t.equal((await secrets.read('kv/data/b')).status, 404)
  move(3_590_000)
  t.equal((await secrets.read('kv/data/a')).status, 404)
  t.equal((await secrets.read('kv/data/c')).status, 200)
  t.match((await secrets.read('kv/config')).body.data, { delete_version_after: '1h0m0s' })
})

tap.test('a patch is merged, null takes away', async t => {
  const { secrets, put } = await open(t)
  const patch = (path: string, data: object, options: object = {}) =>
    secrets.ask('patch', `kv/data/${path}`, { data: { data, options } as never })
  t.equal((await patch('a', { v: 1 })).status, 404)
  await put('a', { keep: 1, drop: 2, deep: { keep: 1, drop: 2 } })
  t.match((await patch('a', { drop: null, deep: { drop: null, more: 3 } })).body.data, {
    version: 2,
  })
  const { data } = (await secrets.read('kv/data/a')).body.data
  t.strictSame(data, { keep: 1, deep: { keep: 1, more: 3 } })
  t.match(await patch('a', { v: 1 }, { cas: 1 }), { status: 400 })
  await secrets.remove('kv/data/a')
  t.match(await patch('a', { v: 1 }), { status: 404, body: { data: { metadata: { version: 2 } } } })
})

tap.test('metadata', async t => {
  const { secrets, put } = await open(t)
  await secrets.post('kv/metadata/a', { custom_metadata: { team: 'red' }, max_versions: 5 })
  t.match((await secrets.read('kv/metadata/a')).body.data, {
    current_version: 0,
    custom_metadata: { team: 'red' },
    max_versions: 5,
    versions: {},
  })
  t.equal((await secrets.read('kv/data/a')).status, 404)
  t.match((await put('a', { v: 1 })).body.data.custom_metadata, { team: 'red' })
  const patch = (data: object) => secrets.ask('patch', 'kv/metadata/a', { data: data as never })
  await patch({ custom_metadata: { team: null, owner: 'me' } })
  t.strictSame((await secrets.read('kv/metadata/a')).body.data.custom_metadata, { owner: 'me' })
  t.equal(
    (await secrets.ask('patch', 'kv/metadata/none', { data: { max_versions: 1 } })).status,
    404,
  )
  const refused: object[] = [
    Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v'])),
    { ['k'.repeat(129)]: 'v' },
    { k: 'v'.repeat(513) },
    { k: 'a\u0007' },
  ]
  for (const custom of refused) {
    const got = await secrets.post('kv/metadata/a', { custom_metadata: custom as never })
    t.match(got, { status: 400, text: /custom_metadata validation failed/ })
  }
  t.equal((await secrets.remove('kv/metadata/a')).status, 204)
  t.equal((await secrets.read('kv/metadata/a')).status, 404)
  t.equal((await secrets.read('kv/data/a')).status, 404)
  await put('a', { v: 'new' })
  t.match((await secrets.read('kv/data/a')).body.data.metadata, { version: 1 })
})

tap.test('metadata has a check-and-set of its own', async t => {
  const { secrets } = await open(t)
  await secrets.post('kv/config', { metadata_cas_required: true })
  t.match(await secrets.post('kv/metadata/a', { max_versions: 1 }), { status: 400 })
  t.equal((await secrets.post('kv/metadata/a', { metadata_cas: 0 })).status, 204)
  t.match(await secrets.post('kv/metadata/a', { metadata_cas: 0 }), { status: 400 })
  t.equal((await secrets.post('kv/metadata/a', { metadata_cas: 1 })).status, 204)
})

tap.test('lists', async t => {
  const { secrets, put } = await open(t)
  for (const path of ['a', 'a/b', 'a/c/d', 'z']) await put(path, { v: 1 })
  t.strictSame((await secrets.list('kv/metadata')).body.data.keys, ['a', 'a/', 'z'])
  t.strictSame((await secrets.list('kv/metadata/a')).body.data.keys, ['b', 'c/'])
  const paged = await secrets.list('kv/metadata', { data: { after: 'a', limit: 1 } })
  t.strictSame(paged.body.data.keys, ['a/'])
  const scanned = (await secrets.ask('scan', 'kv/metadata')).body.data.keys
  t.strictSame(scanned, ['a', 'a/b', 'a/c/d', 'z'])
  t.match(await secrets.list('kv/data'), { status: 405, text: /unsupported operation/ })
  t.equal((await secrets.list('kv/metadata/none')).status, 404)
  const detailed = (await secrets.list('kv/detailed-metadata/a')).body.data
  t.match(detailed, { keys: ['b', 'c/'], key_info: { b: { current_version: 1 } } })
})

tap.test('subkeys show no value', async t => {
  const { secrets, put } = await open(t)
  await put('a', { x: 'secret', deep: { y: 'secret', deeper: { z: ['secret'] } } })
  const read = (data: object) => secrets.read('kv/subkeys/a', { data: data as never })
  const whole = await read({})
  t.strictSame(whole.body.data.subkeys, { x: null, deep: { y: null, deeper: { z: null } } })
  t.notMatch(whole.text, /secret/)
  t.strictSame((await read({ depth: 1 })).body.data.subkeys, { x: null, deep: null })
  await secrets.remove('kv/data/a')
  t.match(await read({}), { status: 404, body: { data: { subkeys: null } } })
})

tap.test('a path of version 1 is told where secrets are', async t => {
  const { secrets } = await open(t)
  const got = await secrets.read('kv/a')
  t.match(got, { status: 404, body: { warnings: [/^Invalid path for a versioned K\/V/] } })
})

tap.test('a mount gets versions and keeps what it has', async t => {
  const secrets = await openSecrets(t)
  await secrets.mount('kv', 'old/', { uuid: 'u1' })
  await secrets.post('old/a/b', { v: 'old' })
  await secrets.post('old/c', { v: 'c' })
  await secrets.write(draft => {
    const before = mountAt(draft, ROOT, 'secret', 'old/')!
    const after = { ...before, options: { version: '2' } }
    t.equal(kvEngine.tuned?.(draft, before, after), undefined)
    t.match(kvEngine.tuned?.(draft, after, before), { status: 400 })
    putMount(draft, after)
  })
  t.match((await secrets.read('old/data/a/b')).body.data, { data: { v: 'old' } })
  t.match((await secrets.list('old/metadata')).body.data.keys, ['a/', 'c'])
  await secrets.post('old/data/a/b', { data: { v: 'new' } })
  const first = await secrets.read('old/data/a/b', { data: { version: 1 } })
  t.match(first.body.data.data, { v: 'old' })
  t.match((await secrets.read('old/data/a/b')).body.data, { data: { v: 'new' } })
  await secrets.post('old/destroy/c', { versions: [1] })
  t.equal((await secrets.read('old/data/c')).status, 404)
  t.equal((await secrets.remove('old/metadata/c')).status, 204)
  t.strictSame((await secrets.list('old/metadata')).body.data.keys, ['a/'])
})

tap.test('a secret moves and is copied with its history', async t => {
  const { secrets, put } = await open(t)
  for (const v of [1, 2]) await put('a', { v })
  await secrets.post('kv/metadata/a', { custom_metadata: { team: 'red' } })
  t.equal((await secrets.post('kv/copy/a', { destination: 'b/c' })).status, 204)
  t.equal((await secrets.post('kv/move/a', { destination: 'd' })).status, 204)
  t.equal((await secrets.read('kv/metadata/a')).status, 404)
  for (const path of ['b/c', 'd']) {
    const old = await secrets.read(`kv/data/${path}`, { data: { version: 1 } })
    t.match(old.body.data, { data: { v: 1 }, metadata: { custom_metadata: { team: 'red' } } })
  }
  t.match(await secrets.post('kv/move/d', { destination: 'b/c' }), { status: 400 })
  t.equal((await secrets.post('kv/move/d', { destination: 'b/c', overwrite: true })).status, 204)
  for (const destination of ['', 'x/', '../x', 'a//b', 'a/./b']) {
    t.equal((await secrets.post('kv/move/b/c', { destination })).status, 400, destination)
  }
  t.equal((await secrets.post('kv/copy/none', { destination: 'e' })).status, 404)
})

tap.test('secrets are found by path and notes', async t => {
  const { secrets, put } = await open(t)
  for (const path of ['app/Web/db', 'app/api/db', 'ops/db']) await put(path, { v: 'hidden' })
  await secrets.post('kv/metadata/app/api/db', { custom_metadata: { team: 'red' } })
  const search = async (data: object) =>
    (await secrets.read('kv/search', { data: data as never })).body.data?.keys ?? []
  t.strictSame(await search({ key: 'web' }), ['app/Web/db'])
  t.strictSame(await search({ prefix: 'app' }), ['app/Web/db', 'app/api/db'])
  t.strictSame(await search({ custom_metadata: 'team=red' }), ['app/api/db'])
  t.strictSame(await search({ custom_metadata: 'team=*' }), ['app/api/db'])
  t.strictSame(await search({ key: 'hidden' }), [], 'values are not looked at')
  t.strictSame(await search({ key: 'db', limit: 1 }), ['app/Web/db'])
})

tap.test('small values lie in the row of their secret, others in their own', async t => {
  const { secrets, put } = await open(t)
  const before = secrets.rows().length
  const small = { v: 'small' }
  const large = { v: 'x'.repeat(limits.kvValueInRowChars) }
  const written = [small, large, { n: 2n ** 60n }, large, small]
  const counts: number[] = []
  for (const data of written) {
    await put('a', data)
    counts.push(secrets.rows().length - before)
  }
  t.strictSame(counts, [1, 2, 2, 3, 3])
  const shown = async (path: string, version: number) =>
    (await secrets.read(`kv/data/${path}`, { data: { version } })).body.data?.data
  await secrets.post('kv/copy/a', { destination: 'b' })
  for (const path of ['a', 'b']) {
    for (const version of [1, 2, 4, 5])
      t.strictSame(await shown(path, version), written[version - 1])
  }
  await secrets.post('kv/destroy/a', { versions: [1, 2] })
  t.equal(secrets.rows().length - before, 3 + 2, 'a copy has as many, and one is gone')
  for (const version of [1, 2]) t.equal(await shown('a', version), null)
  await secrets.remove('kv/metadata/a')
  await secrets.remove('kv/metadata/b')
  t.equal(secrets.rows().length, before, 'and with the secret all go')
})
