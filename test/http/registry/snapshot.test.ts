/**
 * Snapshots over HTTP. On every engine.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { pack } from 'tar-stream'
import { onEveryEngine } from '../engines.ts'
import { startFace } from '../harness.ts'
import { connectRaw } from '../wire.ts'

onEveryEngine(t, async (t, newStore) => {
  t.test('what was saved comes back, and everybody who waits is told', async t => {
    const { client, waiting } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/kv/kept', 'old')
    await client.put('/v1/agent/service/register', { Name: 'web', Port: 80 })
    await client.put('/v1/config', { Kind: 'service-defaults', Name: 'web', Protocol: 'http' })
    const saved = await client.get('/v1/snapshot')
    t.equal(saved.status, 200)
    t.equal(saved.headers['content-type'], 'application/x-gzip')
    t.match(saved.headers, { 'x-consul-knownleader': 'true', 'x-consul-lastcontact': '0' })
    const before = await client.get('/v1/kv/kept')
    t.ok(saved.index >= before.index)

    await client.put('/v1/kv/kept', 'new')
    await client.put('/v1/kv/fresh', 'x')
    await client.put('/v1/agent/service/register', { Name: 'later', Port: 81 })
    const asked = ['/v1/kv/kept', '/v1/catalog/service/web', '/v1/config/service-defaults']
    const newest = await Promise.all(asked.map(path => client.get(path)))
    const blocked = asked.map((path, i) =>
      client.get(`${path}?index=${newest[i]!.index}&wait=600s`),
    )
    await waiting(asked.length)
    const restored = await client.put('/v1/snapshot', saved.bytes)
    t.strictSame([restored.status, restored.text], [200, ''])
    for (const [i, one] of (await Promise.all(blocked)).entries()) {
      t.ok(one.index > newest[i]!.index, `${asked[i]}: an index never goes back`)
    }
    t.equal((await client.get('/v1/kv/kept?raw')).text, 'old')
    t.equal((await client.get('/v1/kv/kept')).json[0].ModifyIndex, before.json[0].ModifyIndex)
    t.equal((await client.get('/v1/kv/fresh')).status, 404)
    t.equal((await client.get('/v1/config/service-defaults/web')).json.Protocol, 'http')
    t.strictSame(Object.keys((await client.get('/v1/agent/services')).json), ['web'])
    t.equal((await client.put('/v1/kv/kept', 'after')).text, 'true', 'and it goes on')
  })

  t.test('what is no archive of ours changes nothing', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/kv/kept', 'x')
    const { bytes } = await client.get('/v1/snapshot')
    const { index } = await client.get('/v1/kv/kept')
    const damaged = Buffer.from(bytes)
    damaged[damaged.length - 5]! ^= 1
    const wrong: [string, Buffer, RegExp][] = [
      ['nothing', Buffer.alloc(0), /^failed to /],
      [
        'noise',
        Buffer.from('not an archive'),
        /^failed to decompress snapshot: gzip: invalid header$/,
      ],
      ['noise that is compressed', gzipSync('not an archive'), /^failed to /],
      ['half of one', bytes.subarray(0, bytes.length / 2), /^failed to /],
      ['one with a wrong bit', damaged, /^failed to /],
      ["Consul's", await foreignArchive(), /was not made by this program/],
      ['much noise', Buffer.alloc(3_000_000, 'x'), /gzip: invalid header$/],
    ]
    for (const [name, body, text] of wrong) {
      const answered = await client.put('/v1/snapshot', body)
      t.equal(answered.status, 500, name)
      t.match(answered.text, text)
      t.equal((await client.get('/v1/kv/kept?raw')).text, 'x', 'on the same connection')
    }
    t.equal((await client.get('/v1/kv/kept')).index, index)
  })
})

/** As Consul makes them, with a state that is not ours. */
async function foreignArchive(): Promise<Buffer> {
  const state = Buffer.from(`\x01${'raft'.repeat(20)}`)
  const meta = { Version: 1, ID: '2-5-1', Index: 5, Term: 2, Peers: null, Size: state.length }
  const tar = pack()
  tar.entry({ name: 'meta.json' }, JSON.stringify(meta))
  tar.entry({ name: 'state.bin' }, state)
  tar.entry({ name: 'SHA256SUMS' }, '')
  tar.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(chunk as Buffer)
  return gzipSync(Buffer.concat(chunks))
}

t.test('other tools read it', async t => {
  const { client } = await startFace(t)
  await client.put('/v1/kv/a', 'x')
  const file = join(t.testdir(), 'backup.snap')
  writeFileSync(file, (await client.get('/v1/snapshot')).bytes)
  const meta = JSON.parse(execFileSync('tar', ['-xzOf', file, 'meta.json'], { encoding: 'utf8' }))
  t.match(meta, { Version: 1, ID: String, Index: Number, Term: Number, Size: Number })
})

t.test('a client that leaves in the middle changes nothing', async t => {
  const face = await startFace(t)
  const { client, store } = face
  await client.put('/v1/kv/kept', 'x')
  const { bytes } = await client.get('/v1/snapshot')
  const { revision } = store.status()
  const connection = await connectRaw(t, face)
  connection.write('PUT /v1/snapshot HTTP/1.1\r\nHost: a\r\n')
  connection.write(`Content-Length: ${bytes.length}\r\n\r\n`)
  connection.write(bytes.subarray(0, bytes.length / 2))
  connection.socket.destroy()
  t.equal((await client.get('/v1/kv/kept?raw')).text, 'x')
  t.equal(store.status().revision, revision)
  t.equal((await client.put('/v1/snapshot', bytes)).status, 200, 'and a whole one is taken')
})

t.test('what others were answered is in it, unless it may be stale', async t => {
  const { client, store } = await startFace(t)
  let asked = 0
  const readIndex = store.readIndex.bind(store)
  store.readIndex = () => {
    asked++
    return readIndex()
  }
  t.equal((await client.get('/v1/snapshot?stale')).status, 200)
  t.equal(asked, 0)
  t.equal((await client.get('/v1/snapshot')).status, 200)
  t.equal(asked, 1)
})
