/**
 * The OpenAPI document: all that is served, and nothing else.
 */
import t from 'tap'
import { laterPaths } from '../../src/http/registry/mod.ts'
import { declaredPaths } from './declared.ts'
import { startFace } from './harness.ts'

t.test('every operation that is served is described', async t => {
  const { client, paths } = await startFace(t)
  const { openapi, paths: described } = (await client.get('/v1/openapi.json')).json
  t.equal(openapi, '3.1.0')
  const later = new Set(laterPaths.map(({ path }) => path))
  const served = paths.filter(({ path }) => !later.has(path) && path !== '/v1/openapi.json')
  t.strictSame(
    Object.keys(described),
    served.map(({ path }) => path),
  )
  for (const { path, operations } of served) {
    const item = described[path]
    for (const [method, operation] of Object.entries(operations)) {
      const one = item[method.toLowerCase()]
      t.equal(one.summary, operation.summary, `${method} ${path}`)
      t.strictSame(Object.keys(one.responses), Object.keys(operation.answers))
      const names = one.parameters.map(({ name }: { name: string }) => name)
      t.strictSame(names, Object.keys(operation.query))
      t.equal('requestBody' in one, 'body' in operation && operation.body !== undefined)
    }
  }
})

t.test('the parts of one entry', async t => {
  const { client } = await startFace(t)
  const { paths } = (await client.get('/v1/openapi.json')).json
  const kv = paths['/v1/kv/{key}']
  t.match(kv.parameters, [{ name: 'key', in: 'path', required: true }])
  t.strictSame(kv.get['x-rights'], ['key:read on {key}', 'key:list on {key}'])
  t.strictSame(Object.keys(kv.get.responses[200].content), ['application/json', 'text/plain'])
  t.ok('application/octet-stream' in kv.put.requestBody.content)
  const register = paths['/v1/agent/service/register'].put
  t.equal(register.requestBody.required, true)
  const schema = register.requestBody.content['application/json'].schema
  t.equal(schema.properties.Port.type, 'integer')
  t.equal(schema.additionalProperties, false)
  t.notOk('content' in register.responses[200], 'an empty answer has none')
  t.equal(paths['/v1/session/create'].put.requestBody.required, false)
})

t.test('what an agent answers of itself, and what it asks a server for', t => {
  const own = declaredPaths.filter(({ where }) => where === 'agent').map(({ path }) => path)
  const isOwn = (path: string): boolean => /^\/(v1\/agent|debug)\//.test(path)
  t.strictSame(
    own.filter(path => !isOwn(path)),
    [],
  )
  const forwarded = declaredPaths.filter(({ where, path }) => where === 'servers' && isOwn(path))
  t.strictSame(forwarded.map(({ path }) => path).sort(), [
    '/v1/agent/connect/authorize',
    '/v1/agent/connect/ca/leaf/{service}',
    '/v1/agent/connect/ca/roots',
    '/v1/agent/force-leave/{node}',
    '/v1/agent/join/{address}',
    '/v1/agent/members',
  ])
  t.end()
})
