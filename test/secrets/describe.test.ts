/** Help and the OpenAPI document: of what is declared, whole, and of nothing else. */
import tap, { type Test } from 'tap'
import { openSecrets, type TestSecrets } from './harness.ts'

async function open(t: Test): Promise<TestSecrets> {
  const test = await openSecrets(t)
  await test.mount('kv', 'plain/')
  await test.mount('kv', 'deep/er/', { options: { version: '2' } })
  return test
}

tap.test('help of a path names its fields and operations', async t => {
  const test = await open(t)
  const { status, body } = await test.ask('help', 'sys/policies/acl/any')
  t.equal(status, 200)
  t.match(body.help, /Matching Route: policies\/acl\/\{name\}/)
  t.match(body.help, /## PARAMETERS[\s\S]*policy \(string\)/)
  t.match(body.help, /## OPERATIONS[\s\S]*delete/)
  t.equal(body.see_also, null)
  t.strictSame(Object.keys(body.openapi.paths), ['/sys/policies/acl/{name}'])
})

tap.test('help of a mount lists its paths, with or without a slash', async t => {
  const test = await open(t)
  for (const path of ['deep/er', 'deep/er/']) {
    const { body } = await test.ask('help', path)
    t.match(body.help, /## DESCRIPTION[\s\S]*## PATHS[\s\S]*metadata\/\{path\}/, path)
    t.ok(body.openapi.paths['/deep/er/data/{path}'])
  }
  const { body } = await test.ask('help', 'auth/token')
  t.ok(body.openapi.paths['/auth/token/lookup-self'])
})

tap.test('help wants a token and a mount, and no right', async t => {
  const test = await open(t)
  t.equal((await test.ask('help', 'plain/a', { token: '' })).status, 403)
  t.equal((await test.ask('help', 'nowhere/a')).status, 404)
  const { body } = await test.post('auth/token/create', { policies: ['default'] })
  const own = { token: body.auth.client_token }
  t.equal((await test.read('plain/a', own)).status, 403)
  t.equal((await test.ask('help', 'plain/a', own)).status, 200)
})

tap.test('the document has each declared operation, and refers to nothing', async t => {
  const test = await open(t)
  const { body } = await test.read('sys/internal/specs/openapi')
  t.match(body, { openapi: '3.0.2', info: { title: 'HashiCorp Vault API' } })
  t.match(body.paths['/plain/{path}'].post.requestBody.content['application/json'].schema, {
    type: 'object',
    additionalProperties: true,
  })
  t.ok(body.paths['/deep/er/data/{path}'].patch.requestBody.content['application/merge-patch+json'])
  t.match(body.paths['/sys/seal-status'], { 'x-vault-unauthenticated': true })
  const asked = body.paths['/auth/token/accessors'].get.parameters as { name: string }[]
  t.match(
    asked.find(({ name }) => name === 'list'),
    { required: true },
  )
  for (const [at, item] of Object.entries<Record<string, unknown>>(body.paths)) {
    const open = [...at.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    const named = ((item.parameters ?? []) as { name: string }[]).map(({ name }) => name)
    t.strictSame(named, open, at)
    t.ok(
      Object.keys(item).some(key => ['get', 'post', 'patch', 'delete'].includes(key)),
      at,
    )
  }
  t.notMatch(JSON.stringify(body), '$ref')
})

tap.test('mounts are told to who sees them, or by their types', async t => {
  const test = await open(t)
  const nobody = await test.read('sys/internal/specs/openapi', { token: '' })
  const paths = Object.keys(nobody.body.paths)
  t.ok(paths.includes('/sys/init') && paths.includes('/auth/token/lookup-self'))
  t.notOk(paths.some(path => path.startsWith('/plain') || path.startsWith('/deep')))
  const data = { generic_mount_paths: true }
  const generic = await test.read('sys/internal/specs/openapi', { data })
  t.ok(generic.body.paths['/{kv_mount_path}/{path}'])
  t.notOk(Object.keys(generic.body.paths).some(path => path.startsWith('/plain')))
})
