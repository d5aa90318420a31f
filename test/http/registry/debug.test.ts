/**
 * `/debug/pprof/`: off unless asked for, one profile at a time, and no others than that of the CPU.
 */
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { startFace, until } from '../harness.ts'

t.test('the profile of the CPU', async t => {
  const { client } = await startFace(t)
  const { status, headers, bytes } = await client.get('/debug/pprof/profile?seconds=0.2')
  t.equal(status, 200)
  t.match(headers['content-disposition'], 'filename="profile"')
  t.match(gunzipSync(bytes).toString('latin1'), 'nanoseconds')
})

t.test('one at a time; the end of the server ends it', async t => {
  const { client, http } = await startFace(t)
  const first = client.get('/debug/pprof/profile')
  await until(async () => {
    const second = await client.get('/debug/pprof/profile?seconds=0.001')
    return second.status === 500 && second.text.includes('already in use')
  })
  void http.close()
  t.equal((await first).status, 200)
})

t.test('what there is not', async t => {
  const { client } = await startFace(t)
  for (const name of ['heap', 'goroutine', 'trace']) {
    t.equal((await client.get(`/debug/pprof/${name}`)).status, 501, name)
  }
  for (const seconds of ['0', '-1', '301', 'x']) {
    t.equal((await client.get(`/debug/pprof/profile?seconds=${seconds}`)).status, 400, seconds)
  }
  const off = await startFace(t, { debug: false })
  t.equal((await off.client.get('/debug/pprof/profile')).status, 404)
})
