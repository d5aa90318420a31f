/**
 * What is known by name and comes later: each says so, in one form.
 */
import t from 'tap'
import { laterPaths } from '../../../src/http/registry/mod.ts'
import { startFace } from '../harness.ts'

const filled = (path: string): string => path.replaceAll(/\{\w+\}/g, 'x')

t.test('every endpoint of a later step answers 501 and names itself', async t => {
  const { client } = await startFace(t)
  for (const { path, operations } of laterPaths) {
    for (const [method, operation] of Object.entries(operations)) {
      const [status] = Object.keys(operation.answers).map(Number)
      const answered = await client.send(method, filled(path), 'anything')
      t.equal(answered.status, status, `${method} ${path}`)
      if (status === 501) t.equal(answered.text, `not served yet: ${method} ${path}`)
    }
  }
})

t.test('trap 11: 401 for the ACL system while ACLs are off', async t => {
  const { client } = await startFace(t)
  const asked: [string, string][] = [
    ['PUT', '/v1/acl/bootstrap'],
    ['GET', '/v1/acl/tokens'],
    ['GET', '/v1/acl/token/self'],
    ['GET', '/v1/acl/token/some-accessor'],
    ['PUT', '/v1/acl/token/some-accessor/clone'],
    ['PUT', '/v1/agent/token/default'],
    ['POST', '/v1/acl/login'],
    ['POST', '/v1/internal/acl/authorize'],
  ]
  for (const [method, path] of asked) {
    const answered = await client.send(method, path, '{}')
    t.strictSame([answered.status, answered.text], [401, 'ACL support disabled'], path)
  }
})

t.test('trap 25: their methods are what they will be', async t => {
  const { client } = await startFace(t)
  const methods: Record<string, string> = {
    '/v1/acl/bootstrap': 'OPTIONS,PUT',
    '/v1/acl/login': 'OPTIONS,POST',
    '/v1/peering/establish': 'OPTIONS,POST',
    '/v1/txn': 'OPTIONS,PUT',
    '/v1/snapshot': 'OPTIONS,GET,PUT',
    '/v1/query': 'OPTIONS,GET,POST',
    '/v1/query/abc/execute': 'OPTIONS,GET',
    '/v1/event/fire/deploy': 'OPTIONS,PUT',
  }
  for (const [path, allowed] of Object.entries(methods)) {
    t.equal((await client.raw('OPTIONS', path)).headers.allow, allowed, path)
    t.equal((await client.raw('PATCH', path)).status, 405)
  }
})
