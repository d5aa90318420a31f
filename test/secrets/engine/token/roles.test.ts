/** Token roles. */
import tap, { type Test } from 'tap'
import { openSecrets, type TestSecrets } from '../../harness.ts'

const ROLE = 'auth/token/roles/app'

async function open(t: Test) {
  const secrets = await openSecrets(t)
  const policy = 'path "auth/token/create/*" { capabilities = ["update"] }'
  await secrets.post('sys/policies/acl/maker', { policy })
  const made = await secrets.post('auth/token/create', { policies: ['maker', 'p'] })
  return { secrets, token: made.body.auth.client_token as string }
}

const create = (secrets: TestSecrets, data: object, token: string) =>
  secrets.post('auth/token/create/app', { ...data }, { token })

tap.test('a role is written, changed, shown, listed and deleted', async t => {
  const { secrets } = await open(t)
  t.equal((await secrets.read(ROLE)).status, 404)
  t.equal((await secrets.list('auth/token/roles')).status, 404)
  t.equal((await secrets.post(ROLE, { allowed_policies: 'B, a', period: '1h' })).status, 204)
  const shown = {
    name: 'app',
    allowed_policies: ['a', 'b'],
    disallowed_policies: [],
    allowed_policies_glob: [],
    disallowed_policies_glob: [],
    allowed_entity_aliases: [],
    orphan: false,
    renewable: true,
    path_suffix: '',
    token_bound_cidrs: [],
    token_explicit_max_ttl: 0,
    token_period: 3_600,
    token_type: 'default-service',
    token_no_default_policy: false,
    token_num_uses: 0,
    token_strictly_bind_ip: false,
    explicit_max_ttl: 0,
    period: 3_600,
  }
  t.strictSame((await secrets.read(ROLE)).body.data, shown)
  await secrets.post(ROLE, { orphan: true, token_period: '2h', explicit_max_ttl: 60 })
  t.strictSame((await secrets.read('auth/token/roles/APP')).body.data, {
    ...{ ...shown, orphan: true, token_period: 7_200, period: 7_200 },
    ...{ token_explicit_max_ttl: 60, explicit_max_ttl: 60 },
  })
  await secrets.post('auth/token/roles/other', {})
  t.strictSame((await secrets.list('auth/token/roles')).body.data.keys, ['app', 'other'])
  t.equal((await secrets.remove(ROLE)).status, 204)
  t.equal((await secrets.read(ROLE)).status, 404)
})

tap.test('what a role allows', async t => {
  const { secrets, token } = await open(t)
  const refused = /^token policies .* must be subset of the role's allowed policies/
  const cases: [object, object, string[] | RegExp][] = [
    [{ allowed_policies: 'a,b' }, {}, ['a', 'b', 'default']],
    [{ allowed_policies: 'a,b' }, { policies: 'A' }, ['a', 'default']],
    [{ allowed_policies: 'a,b' }, { policies: 'c' }, refused],
    [{ allowed_policies_glob: 'a*' }, { policies: 'apple' }, ['apple', 'default']],
    [
      { allowed_policies: 'default', allowed_policies_glob: 'a*' },
      { policies: 'ab' },
      ['ab', 'default'],
    ],
    [{ allowed_policies_glob: 'a*', token_no_default_policy: true }, { policies: 'b' }, refused],
    [{ disallowed_policies: 'x' }, { policies: 'y' }, ['default', 'y']],
    [{ disallowed_policies: 'x' }, { policies: 'x' }, /"x" is disallowed by this role/],
    [{ disallowed_policies_glob: '*min' }, { policies: 'admin' }, /"admin" is disallowed/],
    [{ disallowed_policies: 'default' }, { policies: 'y' }, ['y']],
    [{ disallowed_policies: 'x' }, {}, ['default', 'maker', 'p']],
    [{}, { policies: 'q' }, /child policies must be subset of parent/],
    [{ allowed_policies: 'root' }, {}, /root tokens may not be created without parent/],
  ]
  for (const [role, data, wanted] of cases) {
    await secrets.remove(ROLE)
    await secrets.post(ROLE, { ...role })
    const got = await create(secrets, data, token)
    const name = `${JSON.stringify(role)} ${JSON.stringify(data)}`
    if (Array.isArray(wanted)) t.strictSame(got.body.auth?.policies, wanted, name)
    else t.match(got, { status: 400, text: wanted }, name)
  }
})

tap.test('what a role makes of a token', async t => {
  const { secrets, token } = await open(t)
  const base = { allowed_policies: 'a' }
  const made = async (role: object, data: object = {}) => {
    await secrets.remove(ROLE)
    await secrets.post(ROLE, { ...base, ...role })
    const { body } = await create(secrets, data, token)
    const shown = await secrets.post('auth/token/lookup', { token: body.auth.client_token })
    return { ...shown.body.data, warnings: body.warnings ?? [] }
  }
  t.match(await made({}), { path: 'auth/token/create/app', role: 'app', orphan: false })
  t.match(await made({ path_suffix: 'x-1' }), { path: 'auth/token/create/app/x-1' })
  t.match(await made({ orphan: true }), { orphan: true })
  t.match(await made({ renewable: false }), { renewable: false })
  t.match(await made({ token_num_uses: 3 }), { num_uses: 3 })
  t.match(await made({ token_bound_cidrs: '10.0.0.0/8' }), { bound_cidrs: ['10.0.0.0/8'] })
  t.match(await made({ token_strictly_bind_ip: true }), { bound_cidrs: ['127.0.0.1'] })
  t.match(await made({ token_period: 60 }), { period: 60, creation_ttl: 60 })
  t.match(await made({ token_explicit_max_ttl: 60 }, { explicit_max_ttl: '90s' }), {
    explicit_max_ttl: 60,
    warnings: [/^Explicit max TTL specified both.*lesser value of 60 seconds/, /^TTL of/],
  })
  t.match(await made({ token_type: 'batch', orphan: true, renewable: false }), { type: 'batch' })
  t.match(await made({ token_type: 'default-batch' }, { type: 'service' }), { type: 'service' })
  t.match(await made({ token_type: 'service' }, { type: 'batch' }), { type: 'service' })
})

tap.test('a token is not renewed by a role that is gone', async t => {
  const { secrets, token } = await open(t)
  await secrets.post(ROLE, { allowed_policies: 'a', token_period: '1h' })
  const made = (await create(secrets, {}, token)).body.auth.client_token
  await secrets.post(ROLE, { token_period: '2h' })
  const renewed = await secrets.post('auth/token/renew', { token: made })
  t.equal(renewed.body.auth.lease_duration, 7_200, 'what the role says by now')
  await secrets.remove(ROLE)
  t.match(await secrets.post('auth/token/renew', { token: made }), {
    status: 400,
    text: 'original token role "app" could not be found, not renewing',
  })
})

tap.test('a role may let its tokens name an entity', async t => {
  const { secrets, token } = await open(t)
  await secrets.post(ROLE, { allowed_policies: 'a', allowed_entity_aliases: 'ann,b*' })
  const first = await create(secrets, { entity_alias: 'Ann' }, token)
  t.match(first.body.auth.entity_id, /^[0-9a-f-]{36}$/)
  const again = await create(secrets, { entity_alias: 'ann' }, token)
  t.equal(again.body.auth.entity_id, first.body.auth.entity_id)
  t.equal((await create(secrets, { entity_alias: 'bob' }, token)).status, 200)
  const refused = await create(secrets, { entity_alias: 'cyd' }, token)
  t.match(refused, { status: 400, text: "invalid 'entity_alias' value" })
})

tap.test('what a role cannot be', async t => {
  const { secrets } = await open(t)
  const cases: [object, RegExp][] = [
    [{ token_type: 'batch' }, /generate orphan tokens/],
    [{ token_type: 'batch', orphan: true }, /renewable tokens/],
    [{ token_type: 'batch', orphan: true, renewable: false, token_period: 1 }, /periodic/],
    [
      { token_type: 'batch', orphan: true, renewable: false, token_explicit_max_ttl: 1 },
      /explicit max TTL/,
    ],
    [{ path_suffix: '../x' }, /invalid characters/],
    [{ token_bound_cidrs: 'x' }, /error parsing address/],
  ]
  for (const [role, text] of cases) {
    t.match(await secrets.post(ROLE, { ...role }), { status: 400, text }, JSON.stringify(role))
  }
})
