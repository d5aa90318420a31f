/**
 * The paths of the key/value store. On every engine.
 */
import t from 'tap'
import { onEveryEngine } from '../engines.ts'
import { startFace } from '../harness.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

onEveryEngine(t, async (t, newStore) => {
  t.test('set, read in three forms, delete', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    t.equal((await client.put('/v1/kv/a/b', 'hello')).text, 'true')
    const [entry] = (await client.get('/v1/kv/a/b')).json
    t.match(entry, { Key: 'a/b', Value: base64('hello'), Flags: 0, LockIndex: 0 })
    t.equal(entry.CreateIndex, entry.ModifyIndex)
    const raw = await client.get('/v1/kv/a/b?raw')
    t.equal(raw.text, 'hello')
    t.equal(raw.headers['content-type'], 'text/plain')
    t.equal(raw.headers['x-content-type-options'], 'nosniff')
    t.equal(raw.headers['content-security-policy'], 'sandbox')
    t.equal(raw.index, entry.ModifyIndex)
    t.equal((await client.get('/v1/kv/a?recurse&raw')).json.length, 1, 'raw is ignored here')
    t.equal((await client.delete('/v1/kv/a/b')).text, 'true')
    const gone = await client.get('/v1/kv/a/b')
    t.equal(gone.status, 404)
    t.equal(gone.text, '')
    t.equal((await client.delete('/v1/kv/a/b')).text, 'true')
  })

  t.test('trap 16: flags of 64 bits are exact', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const flags = ['0', '9007199254740993', '18446744073709551615', '3304740253564472344']
    for (const one of flags) {
      await client.put(`/v1/kv/f?flags=${one}`, 'x')
      t.match((await client.get('/v1/kv/f')).text, `"Flags":${one},`)
      t.match((await client.get('/v1/kv/f?pretty')).text, `"Flags": ${one},`)
    }
    const bad = await client.put('/v1/kv/f?flags=zz')
    t.equal(bad.status, 500)
    t.equal(bad.text, 'strconv.ParseUint: parsing "zz": invalid syntax')
  })

  t.test('trap 17: an empty value is null, and no session is no field', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/kv/empty')
    const { text } = await client.get('/v1/kv/empty')
    t.match(text, '"Value":null,"CreateIndex"')
  })

  t.test('trap 26: keys cut at a separator, under both spellings', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    for (const key of ['a/1', 'a/b/2', 'a/b/3', 'a0', 'b']) await client.put(`/v1/kv/${key}`, 'x')
    const keys = async (path: string): Promise<unknown> => (await client.get(path)).json
    t.strictSame(await keys('/v1/kv/?keys'), ['a/1', 'a/b/2', 'a/b/3', 'a0', 'b'])
    t.strictSame(await keys('/v1/kv/a/?keys=True'), ['a/1', 'a/b/2', 'a/b/3'])
    for (const name of ['separator', 'seperator']) {
      t.strictSame(await keys(`/v1/kv/?keys&${name}=/`), ['a/', 'a0', 'b'])
      t.strictSame(await keys(`/v1/kv/a/?keys&${name}=/`), ['a/1', 'a/b/'])
    }
    t.equal((await client.get('/v1/kv/none/?keys')).status, 404)
    t.equal((await client.get('/v1/kv/none/?recurse')).status, 404)
    await client.delete('/v1/kv/?recurse')
    t.equal((await client.get('/v1/kv/?keys')).text, '[]', 'of the root it is a list')
    t.equal((await client.get('/v1/kv/?recurse')).status, 404)
  })

  t.test('recurse is in the order of bytes, and deletes all of it', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    for (const key of ['p/b', 'p/a', 'p/%C3%A9', 'p/Z', 'q']) await client.put(`/v1/kv/${key}`, key)
    const { json } = await client.get('/v1/kv/p/?recurse')
    t.strictSame(
      json.map((one: { Key: string }) => one.Key),
      ['p/Z', 'p/a', 'p/b', 'p/é'],
    )
    t.equal((await client.delete('/v1/kv/p/?recurse=1')).text, 'true')
    t.strictSame((await client.get('/v1/kv/?keys')).json, ['q'])
  })

  t.test('check and set: 0 creates only, and never deletes', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const put = async (cas: number) => (await client.put(`/v1/kv/c?cas=${cas}`, 'x')).text
    const remove = async (cas: number) => (await client.delete(`/v1/kv/c?cas=${cas}`)).text
    const index = async () => (await client.get('/v1/kv/c')).json[0].ModifyIndex
    t.equal(await put(5), 'false')
    t.equal(await put(0), 'true')
    t.equal(await put(0), 'false')
    t.equal(await put((await index()) + 1), 'false')
    t.equal(await put(await index()), 'true')
    t.equal(await remove(0), 'false')
    t.equal(await remove((await index()) + 1), 'false')
    t.equal(await remove(await index()), 'true')
    t.equal(await remove(7), 'true', 'of a missing key')
  })

  t.test('trap 04: an identical write keeps its index', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/kv/same?flags=3', 'x')
    const before = await client.get('/v1/kv/same')
    t.equal((await client.put('/v1/kv/same?flags=3', 'x')).text, 'true')
    t.equal((await client.get('/v1/kv/same')).text, before.text)
    await client.put('/v1/kv/same?flags=4', 'x')
    t.ok((await client.get('/v1/kv/same')).index > before.index)
  })
})

t.test('refusals', async t => {
  const { client } = await startFace(t)
  const missing = [
    await client.get('/v1/kv/'),
    await client.put('/v1/kv/', 'x'),
    await client.delete('/v1/kv/'),
  ]
  for (const { status, text } of missing) t.strictSame([status, text], [400, 'Missing key name'])
  const puts: Record<string, string> = {
    'k?acquire=a&release=b': 'Conflicting flags: acquire=a&release=b\n',
    'k?cas=1&acquire=a': 'Conflicting flags: cas=1&acquire=a\n',
    'a%2F..%2Fb': 'Invalid key name: it has parent references or spaces around it',
    '%20a': 'Invalid key name: it has parent references or spaces around it',
    'a%20': 'Invalid key name: it has parent references or spaces around it',
  }
  for (const [path, text] of Object.entries(puts)) {
    const answered = await client.put(`/v1/kv/${path}`, 'x')
    t.strictSame([answered.status, answered.text], [400, text], path)
  }
  t.equal((await client.delete('/v1/kv/a?recurse&cas=1')).status, 400)
  const session = await client.put('/v1/kv/k?acquire=nosuch', 'x')
  t.equal(session.status, 500)
  t.equal(session.text, 'raft apply failed: invalid session "nosuch"')
})

t.test('keys of any bytes', async t => {
  const { client } = await startFace(t)
  const keys = ['a b', 'x%2Fy', 'ünï', '..a', 'a..', 'a+b', '%FF']
  for (const key of keys) {
    const path = `/v1/kv/${key === '%FF' ? key : encodeURIComponent(key)}`
    t.equal((await client.put(path, key)).text, 'true', key)
    t.equal((await client.get(`${path}?raw`)).text, key)
  }
})
