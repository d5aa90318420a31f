/** Roles of approle, and the paths of their fields. */
import tap from 'tap'
import { AT, type Data, drawSecretId, logIn, makeRole, openApprole } from './harness.ts'

type Refused = [role: string, data: Data, text: string | RegExp]

tap.test('a role is made, read, changed, listed and deleted', async t => {
  const secrets = await openApprole(t)
  const made = await secrets.post(`${AT}/role/Web`, {
    ...{ token_policies: 'Web,ops', token_ttl: '20m', secret_id_ttl: '10m', secret_id_num_uses: 3 },
  })
  t.equal(made.status, 204)
  const { data } = (await secrets.read(`${AT}/role/wEB`)).body
  t.strictSame(data, {
    ...{ token_bound_cidrs: [], token_explicit_max_ttl: 0, token_max_ttl: 0, token_period: 0 },
    ...{ token_no_default_policy: false, token_num_uses: 0, token_policies: ['ops', 'web'] },
    ...{ token_strictly_bind_ip: false, token_ttl: 1200, token_type: 'default' },
    ...{ bind_secret_id: true, secret_id_bound_cidrs: [], secret_id_num_uses: 3 },
    ...{ secret_id_ttl: 600, local_secret_ids: false },
  })
  await secrets.post(`${AT}/role/web`, { token_max_ttl: '1h' })
  t.match((await secrets.read(`${AT}/role/web`)).body.data, {
    token_max_ttl: 3600,
    token_ttl: 1200,
  })
  await makeRole(secrets, 'batch')
  t.strictSame((await secrets.list(`${AT}/role`)).body.data.keys, ['batch', 'web'])
  t.equal((await secrets.remove(`${AT}/role/web`)).status, 204)
  t.equal((await secrets.remove(`${AT}/role/web`)).status, 204)
  t.equal((await secrets.read(`${AT}/role/web`)).status, 404)
  t.strictSame((await secrets.list(`${AT}/role`)).body.data.keys, ['batch'])
})

tap.test('older names are taken and shown again', async t => {
  const secrets = await openApprole(t)
  await makeRole(secrets, 'web', { policies: ['a'], period: 60, bound_cidr_list: '10.0.0.0/8' })
  t.match((await secrets.read(`${AT}/role/web`)).body.data, {
    ...{ policies: ['a'], token_policies: ['a'], period: 60, token_period: 60 },
    secret_id_bound_cidrs: ['10.0.0.0/8'],
  })
  const made = await secrets.post(`${AT}/role/typed`, { token_type: 'default-batch' })
  t.match(made.body.warnings, ['default-batch has no useful meaning; adjusting to batch'])
  t.equal((await secrets.read(`${AT}/role/typed`)).body.data.token_type, 'batch')
})

tap.test('bad roles are refused, and nothing is written', async t => {
  const secrets = await openApprole(t)
  await makeRole(secrets, 'known', { role_id: 'Mine' })
  for (const [role, data, text] of [
    ['x', { bind_secret_id: false }, 'at least one constraint should be enabled on the role'],
    ['x', { secret_id_num_uses: -1 }, 'secret_id_num_uses cannot be negative'],
    ['x', { secret_id_bound_cidrs: 'nowhere' }, /error parsing address/],
    ['x', { token_bound_cidrs: ['10.0.0.0/99'] }, /error parsing address/],
    ['x', { token_ttl: 2, token_max_ttl: 1 }, /cannot be greater/],
    ['x', { role_id: 'mine' }, 'role_id already in use'],
    ['x', { role_id: '' }, /invalid role_id supplied/],
    ['x', { token_period: '10000h' }, /^period of ".*" is greater than the backend's maximum/],
    ['known', { local_secret_ids: true }, /can only be modified during role creation/],
    ['known', { bind_secret_id: false }, /at least one constraint/],
  ] satisfies Refused[]) {
    t.match(await secrets.post(`${AT}/role/${role}`, data), { status: 400, text })
  }
  t.strictSame((await secrets.list(`${AT}/role`)).body.data.keys, ['known'])
  t.match(await secrets.post(`${AT}/role/-x`, {}), { status: 404, text: /unsupported path/ })
  const long = await secrets.post(`${AT}/role/long`, { token_max_ttl: '10000h' })
  t.match(long.body.warnings[0], /^token_max_ttl is greater than/)
})

const fields: [path: string, key: string, set: Data[string], shown: unknown, reset: unknown][] = [
  ['policies', 'token_policies', 'b,A', ['a', 'b'], []],
  ['bind-secret-id', 'bind_secret_id', false, false, true],
  ['secret-id-num-uses', 'secret_id_num_uses', '7', 7, 0],
  ['secret-id-ttl', 'secret_id_ttl', '2m', 120, 0],
  ['secret-id-bound-cidrs', 'secret_id_bound_cidrs', '127.0.0.0/8', ['127.0.0.0/8'], []],
  ['bound-cidr-list', 'bound_cidr_list', '127.0.0.0/8', ['127.0.0.0/8'], []],
  ['token-num-uses', 'token_num_uses', 4, 4, 0],
  ['token-ttl', 'token_ttl', 60, 60, 0],
  ['token-max-ttl', 'token_max_ttl', '1h', 3600, 0],
  ['period', 'token_period', 90, 90, 0],
  ['token-bound-cidrs', 'token_bound_cidrs', ['127.0.0.1'], ['127.0.0.1'], []],
]

for (const [path, key, set, shown, reset] of fields) {
  tap.test(`one field: ${path}`, async t => {
    const secrets = await openApprole(t)
    const at = `${AT}/role/web/${path}`
    t.equal((await secrets.read(at)).status, 404, 'no role')
    t.match(await secrets.post(at, { [key]: set }), { status: 404, text: /unsupported path/ })
    await makeRole(secrets, 'web', { token_bound_cidrs: '127.0.0.0/8', token_ttl: 5 })
    if (path === 'token-ttl') await secrets.remove(at)
    if (path === 'token-bound-cidrs') await secrets.remove(at)
    t.strictSame((await secrets.read(at)).body.data[key], reset)
    t.equal((await secrets.post(at, { [key]: set })).status, 204)
    t.strictSame((await secrets.read(at)).body.data, { [key]: shown })
    t.match(await secrets.post(at, {}), { status: 400, text: `missing ${key}` })
    t.equal((await secrets.remove(at)).status, 204)
    t.strictSame((await secrets.read(at)).body.data[key], reset)
  })
}

tap.test('the id of a role is its own', async t => {
  const secrets = await openApprole(t)
  const first = await makeRole(secrets, 'first')
  t.match(first, /^[0-9a-f-]{36}$/)
  const second = await makeRole(secrets, 'second')
  const at = `${AT}/role/first/role-id`
  const taken = await secrets.post(at, { role_id: second.toUpperCase() })
  t.match(taken, { status: 400, text: 'role_id already in use' })
  t.equal((await secrets.post(at, { role_id: 'Mine' })).status, 204)
  t.match(await secrets.post(at, {}), { status: 400, text: 'missing role_id' })
  const { secret_id } = await drawSecretId(secrets, 'first')
  t.match(await logIn(secrets, first, secret_id), {
    status: 400,
    text: /invalid role or secret ID/,
  })
  t.match(await logIn(secrets, 'mine', secret_id), { status: 400 }, 'in its very spelling')
  t.equal((await logIn(secrets, 'Mine', secret_id)).status, 200)
  t.equal((await secrets.post(`${AT}/role/second/role-id`, { role_id: first })).status, 204)
  t.equal(
    (await secrets.read(`${AT}/role/first/local-secret-ids`)).body.data.local_secret_ids,
    false,
  )
  t.equal((await secrets.post(`${AT}/role/first/local-secret-ids`, {})).status, 405)
})
