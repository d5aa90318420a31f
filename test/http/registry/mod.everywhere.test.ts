/**
 * What every endpoint keeps to, whatever it does: datacenters, namespaces, partitions, indentation.
 */
import t from 'tap'
import type { Method } from '../../../src/http/declare.ts'
import { type Face, startFace } from '../harness.ts'

/** All operations with a URL that reaches them. */
function operationsOf({ paths }: Face): [Method, string][] {
  return paths.flatMap(({ path, operations }) =>
    Object.keys(operations).map((method): [Method, string] => [
      method as Method,
      path.replaceAll(/\{\w+\}/g, 'x'),
    ]),
  )
}

t.test('another datacenter is refused everywhere, and nothing is done', async t => {
  const face = await startFace(t)
  const { revision } = face.store.status()
  for (const [method, path] of operationsOf(face)) {
    const { status, text } = await face.client.raw(method, `${path}?dc=elsewhere`, '{}')
    t.strictSame([status, text], [500, 'No path to datacenter'], `${method} ${path}`)
  }
  t.equal(face.store.status().revision, revision)
})

t.test('so are namespaces and partitions, by query or header', async t => {
  const face = await startFace(t)
  const { revision } = face.store.status()
  for (const [method, path] of operationsOf(face)) {
    for (const query of ['ns=team', 'partition=team']) {
      const { status, text } = await face.client.raw(method, `${path}?${query}`, '{}')
      t.equal(status, 400, `${method} ${path}?${query}`)
      t.match(text, /^Invalid query parameter: "(ns|partition)" - .* Consul Enterprise feature$/)
    }
    for (const name of ['X-Consul-Namespace', 'X-Consul-Partition']) {
      const sent = { headers: { [name]: 'team' } }
      const { status, text } = await face.client.raw(method, path, '{}', sent)
      t.equal(status, 400, `${method} ${path} ${name}`)
      t.match(text, /^Invalid header: "X-Consul-(Namespace|Partition)" - /)
    }
  }
  t.equal(face.store.status().revision, revision)
})

t.test('our own datacenter and the default namespace are as none', async t => {
  const { client } = await startFace(t)
  const query = 'dc=dc1&ns=default&partition=default'
  await client.put(`/v1/kv/a?${query}`, 'x')
  await client.put(`/v1/agent/service/register?${query}`, { Name: 'web' })
  await client.put(`/v1/catalog/register?${query}`, { Node: 'n', Address: '10.0.0.1' })
  const { ID } = (await client.put(`/v1/session/create?${query}`)).json
  const reads = ['/v1/kv/a', '/v1/catalog/service/web', '/v1/catalog/node/n', '/v1/session/list']
  for (const path of reads) {
    const { status, json } = await client.get(`${path}?${query}`)
    t.equal(status, 200, path)
    t.ok(json !== null && json.length !== 0, path)
  }
  t.equal((await client.put(`/v1/session/destroy/${ID}?${query}`)).text, 'true')
  t.equal((await client.delete(`/v1/kv/a?${query}`)).text, 'true')
  t.equal((await client.get('/v1/kv/a')).status, 404)
})

/** Whether what a path answers goes on for as long as somebody listens. */
const goesOn = (face: Face, path: string): boolean =>
  face.paths.some(
    one =>
      one.path.replaceAll(/\{\w+\}/g, 'x') === path &&
      Object.values(one.operations.GET?.answers ?? {}).some(answer => 'stream' in answer),
  )

t.test('pretty indents every JSON answer, and no other', async t => {
  const face = await startFace(t)
  const { client } = face
  await client.put('/v1/kv/x', '{"a":1}')
  await client.put('/v1/agent/service/register', { ID: 'x', Name: 'x', Check: { TTL: '1h' } })
  await client.put('/v1/catalog/register', { Node: 'x', Address: '10.0.0.1' })
  let indented = 0
  for (const [method, path] of operationsOf(face)) {
    if (method !== 'GET' || goesOn(face, path)) continue
    const { headers, text, bytes } = await client.raw('GET', `${path}?pretty`)
    if (headers['content-type'] !== 'application/json' || text === '') continue
    indented++
    const again = `${JSON.stringify(JSON.parse(text), undefined, 4)}\n`
    t.equal(text.replaceAll(/\d{16,}/g, '0'), again.replaceAll(/\d{16,}/g, '0'), path)
    t.equal(Number(headers['content-length']), bytes.length, path)
  }
  t.ok(indented > 25, `${indented} answers`)
  t.equal((await client.put('/v1/kv/y?pretty', 'x')).text, 'true\n')
  t.equal((await client.get('/v1/kv/x?raw&pretty')).text, '{"a":1}')
  t.equal((await client.get('/v1/kv/none?pretty')).text, '')
})

t.test('segments are ignored where Consul ignores them', async t => {
  const { client } = await startFace(t)
  t.equal((await client.get('/v1/catalog/nodes?segment=x')).json.length, 1)
  t.equal((await client.get('/v1/agent/members?segment=_all')).json.length, 1)
  const { status, text } = await client.get('/v1/agent/members?segment=x')
  t.equal(status, 500)
  t.equal(text, 'Network segments are not supported in this version of Consul')
})
