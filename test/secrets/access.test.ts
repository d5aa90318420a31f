/**
 * Requests by the policies of who asks: allowed, refused, cut to a page, to some keys; and that
 * what is kept ready follows every change of what it stands on.
 */
import t from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { denialOf } from '../../src/secrets/access.ts'
import { Denials } from '../../src/secrets/denials.ts'
import { type EntityRow, entityRows } from '../../src/secrets/identity/rows.ts'
import { Draft } from '../../src/secrets/storage.ts'
import { principalOf } from '../../src/secrets/token/principal.ts'
import { openSecrets, type TestSecrets } from './harness.ts'
import { putHolder } from './holder.ts'

const DENIED = '1 error occurred:\n\t* permission denied\n\n'
const holder = { token: 'holder' }

async function open(t: Parameters<typeof openSecrets>[0], policy: string): Promise<TestSecrets> {
  const secrets = await openSecrets(t)
  await secrets.mount('kv', 'kv/')
  for (const path of ['kv/a', 'kv/b', 'kv/c/d']) await secrets.post(path, { x: 1 })
  await secrets.post('sys/policies/acl/app', { policy })
  await putHolder(secrets, 'holder', { policies: ['app', 'missing'] })
  return secrets
}

t.test('each operation asks for its capability', async t => {
  const operations = ['read', 'update', 'delete', 'list', 'scan'] as const
  for (const given of [...operations, 'create', 'deny'] as const) {
    const secrets = await open(t, `path "kv/*" { capabilities = ["${given}"] }`)
    for (const operation of operations) {
      const path = operation === 'list' || operation === 'scan' ? 'kv/' : 'kv/a'
      const got = await secrets.ask(operation, path, { ...holder, data: { x: 2 } })
      const wanted = given === operation ? 200 : 403
      t.equal(got.status === 204 ? 200 : got.status, wanted, `${operation} with ${given}`)
      if (wanted === 403) t.equal(got.text, DENIED)
    }
    const fresh = await secrets.post('kv/fresh', { x: 2 }, holder)
    t.equal(fresh.status, given === 'create' ? 204 : 403, `a new one with ${given}`)
  }
})

t.test('a refusal comes before anything is told', async t => {
  const secrets = await open(t, 'path "kv/a" { capabilities = ["read"] }')
  for (const path of ['kv/none', 'none/a', 'sys/none', 'sys/policies/acl/app']) {
    t.match(await secrets.read(path, holder), { status: 403, text: DENIED }, path)
  }
  t.match(await secrets.read('kv/a', { token: '' }), { status: 403 })
  t.match(await secrets.read('kv/a', { token: 'nobody' }), { status: 403 })
  t.equal((await secrets.read('kv/a', holder)).status, 200)
})

t.test('fields and wrapping are looked at', async t => {
  const secrets = await open(
    t,
    `
    path "kv/*" { capabilities = ["update", "create"] denied_parameters = { secret = [] } }
    path "kv/b" { capabilities = ["read"] min_wrapping_ttl = "1m" }`,
  )
  t.equal((await secrets.post('kv/a', { x: 1 }, holder)).status, 204)
  t.equal((await secrets.post('kv/a', { SECRET: 1 }, holder)).status, 403)
  t.equal((await secrets.read('kv/b', holder)).status, 403)
  t.equal((await secrets.read('kv/b', { ...holder, wrapTtlMs: 59_000 })).status, 403)
})

t.test('a change of a policy holds at once', async t => {
  const secrets = await open(t, 'path "kv/a" { capabilities = ["read"] }')
  const read = async (path: string) => (await secrets.read(path, holder)).status
  t.same([await read('kv/a'), await read('kv/b')], [200, 403])
  await secrets.post('sys/policies/acl/app', { policy: 'path "kv/b" { capabilities = ["read"] }' })
  t.same([await read('kv/a'), await read('kv/b')], [403, 200])
  await secrets.remove('sys/policies/acl/app')
  t.same([await read('kv/a'), await read('kv/b')], [403, 403])
  await secrets.post('sys/policies/acl/missing', {
    policy: 'path "kv/a" { capabilities = ["read"] }',
  })
  t.same([await read('kv/a'), await read('kv/b')], [200, 403])
  await putHolder(secrets, 'holder', { policies: [] })
  t.same([await read('kv/a'), await read('kv/b')], [403, 403])
})

t.test('privileged paths ask for sudo besides', async t => {
  const mount = { type: 'kv' }
  const secrets = await open(
    t,
    'path "sys/auth/*" { capabilities = ["create", "read", "update", "delete"] }',
  )
  t.equal((await secrets.post('sys/auth/x', mount, holder)).status, 403)
  await secrets.post('sys/policies/acl/app', {
    policy: 'path "sys/auth/*" { capabilities = ["create", "read", "update", "delete", "sudo"] }',
  })
  t.not((await secrets.post('sys/auth/x', mount, holder)).status, 403)
})

t.test('lists are cut to a page, and to what may be read', async t => {
  const secrets = await open(
    t,
    `
    path "kv/" { capabilities = ["list"] pagination_limit = 2 }`,
  )
  const keys = async (data: object) => {
    const got = await secrets.list('kv/', { ...holder, data: { ...data } })
    return got.status === 200 ? got.body.data.keys : got.status
  }
  t.same(await keys({}), ['a', 'b'])
  t.same(await keys({ limit: 'max', after: 'b' }), ['c/'])
  t.same(await keys({ limit: 1 }), ['a'])
  t.equal(await keys({ limit: 3 }), 403)
  await secrets.post('sys/policies/acl/app', {
    policy: `
      path "kv/" { capabilities = ["list"] list_scan_response_keys_filter_path = "{{ .path }}{{ .key }}" }
      path "kv/b" { capabilities = ["read"] }
      path "kv/c/*" { capabilities = ["list"] }`,
  })
  t.same(await keys({}), ['b', 'c/'])
  await secrets.post('sys/policies/acl/app', {
    policy:
      'path "kv/" { capabilities = ["list"] list_scan_response_keys_filter_path = "x/{{ .key }}" }',
  })
  t.equal(await keys({}), 404, 'none is left')
})

t.test('an entity gives its policies, and its names to templates', async t => {
  const secrets = await open(t, 'path "kv/{{identity.entity.name}}" { capabilities = ["read"] }')
  const put = (more: Partial<EntityRow>) =>
    secrets.write(draft => {
      const before = entityRows(draft, 'root').get<EntityRow>('e-1')
      const row = {
        id: 'e-1',
        name: 'a',
        aliases: [],
        groups: [],
        policies: [],
        metadata: {},
        disabled: false,
      }
      entityRows(draft, 'root').put('e-1', { ...row, ...before, ...more })
    })
  const read = async (path: string) => (await secrets.read(path, holder)).status
  t.equal(await read('kv/a'), 403, 'nobody')
  await putHolder(secrets, 'holder', { policies: ['app'], entityId: 'e-1' })
  t.equal(await read('kv/a'), 403, 'its entity is gone')
  await put({})
  t.same([await read('kv/a'), await read('kv/b')], [200, 403])
  await put({ name: 'b' })
  t.same([await read('kv/a'), await read('kv/b')], [403, 200])
  await put({ name: '*' })
  t.same([await read('kv/a'), await read('kv/b')], [403, 403])
  await secrets.post('sys/policies/acl/more', { policy: 'path "kv/a" { capabilities = ["read"] }' })
  await put({ policies: ['more', 'root'] })
  t.same([await read('kv/a'), await read('kv/b')], [200, 403], 'root is never by an entity')
  await put({ disabled: true })
  t.equal(await read('kv/a'), 403)
})

t.test('a refusal can be explained', async t => {
  const denials = new Denials()
  const secrets = await open(t, '# of the app\npath "kv/*" { capabilities = ["list"] }')
  const draft = new Draft(secrets.store.view(), secrets.barrier!, 0 as never, systemRandom)
  const who = principalOf(draft, 'holder', '127.0.0.1')
  if (who instanceof Refusal) throw new Error(who.text)
  const wanted = { operation: 'read', path: 'kv/a', namespace: { path: '' }, data: {} } as const
  const denial = denialOf(draft, who, { ...wanted, access: 'privileged', wrapTtlMs: undefined })
  denials.note('r-1', denial!)
  t.match(denials.explain('r-1'), {
    operation: 'read',
    path: 'kv/a',
    accessor: who.token.accessor,
    reason: 'capability',
    rule: { policy: 'app', line: 2, path: 'kv/*' },
    smallest_rule: 'path "kv/a" { capabilities = ["read", "sudo"] }',
  })
  t.equal(denials.explain('r-2'), undefined)
  const refused = await secrets.read('kv/a', holder)
  t.equal(refused.status, 403)
  const told = await secrets.read(`sys/internal/explain/${refused.id}`)
  t.match(told.body.data, { path: 'kv/a', rule: { policy: 'app', line: 2 } })
  t.equal((await secrets.read('sys/internal/explain/none')).status, 404)
})
