/** What everybody may know; none of it has an index. */
import t from 'tap'
import { startFace } from '../harness.ts'

t.test('leader, peers, datacenters, version', async t => {
  const { client } = await startFace(t)
  t.equal((await client.get('/v1/status/leader')).text, '"127.0.0.1:8300"')
  t.equal((await client.get('/v1/status/peers')).text, '["127.0.0.1:8300"]')
  t.equal((await client.get('/v1/catalog/datacenters')).text, '["dc1"]')
  for (const path of ['/v1/status/leader', '/v1/catalog/datacenters', '/v1/agent/version']) {
    t.equal((await client.get(path)).headers['x-consul-index'], undefined, path)
  }
})
