/** Quotas: which hold for a request, and what they refuse. */
import tap, { type Test } from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { Limiter } from '../../../src/secrets/quota/limiter.ts'
import { putQuota, quotasFor } from '../../../src/secrets/quota/quota.ts'
import { FakeClock } from '../../fake/clock.ts'
import { openSecrets, type TestSecrets } from '../harness.ts'

/** Secrets with a mount, a namespace with one, and a clock that is moved by hand. */
async function open(t: Test): Promise<{ secrets: TestSecrets; clock: FakeClock }> {
  const clock = new FakeClock()
  const secrets = await openSecrets(t, { clock })
  await secrets.post('sys/mounts/kv', { type: 'kv' })
  await secrets.post('sys/namespaces/shop')
  await secrets.post('sys/mounts/kv', { type: 'kv' }, { namespace: 'shop' })
  return { secrets, clock }
}

/** How often a path may be read before it is refused, within so many tries. */
async function allowed(secrets: TestSecrets, path: string, asked = {}, tries = 10) {
  for (let n = 0; n < tries; n++) {
    const got = await secrets.read(path, asked)
    if (got.status === 429) return n
  }
  return tries
}

tap.test('a rate holds for each client, in each interval', async t => {
  const { secrets, clock } = await open(t)
  const given = { path: 'kv', rate: 3, interval: '10s' }
  t.equal((await secrets.post('sys/quotas/rate-limit/of-kv', given)).status, 204)
  t.equal(await allowed(secrets, 'kv/a'), 3)
  t.match(await secrets.read('kv/a'), {
    status: 429,
    body: { errors: ['request path "kv/a": rate limit quota exceeded'] },
    headers: { 'Retry-After': '10' },
  })
  t.equal(await allowed(secrets, 'kv/a', { remote: '10.0.0.2' }), 3, 'another client')
  t.equal(await allowed(secrets, 'sys/mounts'), 10, 'another mount')
  t.equal(await allowed(secrets, 'shop/kv/a'), 10, 'another namespace')
  await clock.advance(10_000)
  t.equal(await allowed(secrets, 'kv/a'), 3)
  t.equal((await secrets.remove('sys/quotas/rate-limit/of-kv')).status, 204)
  t.equal(await allowed(secrets, 'kv/a'), 10)
})

tap.test('whoever exceeds a rate may be refused for longer', async t => {
  const { secrets, clock } = await open(t)
  const given = { path: 'kv', rate: 2, block_interval: '1m' }
  await secrets.post('sys/quotas/rate-limit/q', given)
  t.equal(await allowed(secrets, 'kv/a'), 2)
  await clock.advance(59_000)
  t.equal((await secrets.read('kv/a')).headers['Retry-After'], '1')
  await clock.advance(1_001)
  t.equal(await allowed(secrets, 'kv/a'), 2)
})

tap.test('answers say what is left where that is asked for', async t => {
  const { secrets } = await open(t)
  await secrets.post('sys/quotas/rate-limit/q', { path: 'kv', rate: 5 })
  t.strictSame((await secrets.read('kv/a')).headers, {})
  await secrets.post('sys/quotas/config', { enable_rate_limit_response_headers: true })
  t.match((await secrets.read('kv/a')).headers, {
    'X-Ratelimit-Limit': '5',
    'X-Ratelimit-Remaining': '3',
    'X-Ratelimit-Reset': /GMT$/,
  })
})

tap.test('the most particular place decides, and all of its quotas hold', async t => {
  const { secrets } = await open(t)
  const set = (name: string, data: object) =>
    secrets.post(`sys/quotas/rate-limit/${name}`, { interval: '1h', ...data })
  await set('all', { rate: 50 })
  await set('shop', { path: 'shop', rate: 9 })
  await set('mount', { path: 'kv', rate: 8 })
  await set('below', { path: 'kv/a*', rate: 7 })
  await set('exact', { path: 'kv/a/b', rate: 6 })
  await set('hourly', { path: 'kv/a/b', rate: 4, interval: '1h' })
  const namesFor = async (below: string, path = '', mountPath = 'kv/') => {
    let names: string[] = []
    await secrets.write(draft => {
      const place = { namespace: { path }, mountPath, below, role: '' }
      names = quotasFor(draft, 'rate-limit', place).map(({ name }) => name)
    })
    return names
  }
  t.strictSame(await namesFor('a/b'), ['exact', 'hourly'])
  t.strictSame(await namesFor('a/b/'), ['exact', 'hourly'], 'as a folder too')
  t.strictSame(await namesFor('a/c'), ['below'])
  t.strictSame(await namesFor('b'), ['mount'])
  t.strictSame(await namesFor('', '', 'sys/'), ['all'])
  t.strictSame(await namesFor('a/b', 'shop/'), ['shop'])
  t.strictSame(await namesFor('x', 'shop/north/', 'kv/'), ['all'], 'it is not inherited')
  await set('shop', { path: 'shop', rate: 9, inheritable: true })
  t.strictSame(await namesFor('x', 'shop/north/', 'kv/'), ['shop'])
  t.equal(await allowed(secrets, 'kv/a/b'), 4, 'the tighter one')
})

tap.test('clients are told apart by what a quota says', async t => {
  const { secrets } = await open(t)
  const tokenOf = async () =>
    (await secrets.post('auth/token/create', { policies: ['root'] })).body.auth.client_token
  const [one, other] = [await tokenOf(), await tokenOf()]
  const set = (data: object) =>
    secrets.post('sys/quotas/rate-limit/q', { path: 'kv', rate: 2, interval: '1h', ...data })
  await set({ group_by: 'token_accessor' })
  t.equal(await allowed(secrets, 'kv/a', { token: one }), 2)
  t.equal(await allowed(secrets, 'kv/a', { token: other, remote: '127.0.0.1' }), 2)
  t.equal(await allowed(secrets, 'kv/a', { token: one, remote: '10.0.0.9' }), 0)
  await secrets.remove('sys/quotas/rate-limit/q')
  await secrets.post('sys/quotas/rate-limit/r', {
    ...{ path: 'kv', rate: 2, interval: '1h' },
    ...{ group_by: 'entity_then_ip', secondary_rate: 1 },
  })
  t.equal(await allowed(secrets, 'kv/a', { token: one }), 1, 'it has no entity')
  t.equal(await allowed(secrets, 'kv/a', { token: one, remote: '10.0.0.3' }), 1)
  await secrets.remove('sys/quotas/rate-limit/r')
  await secrets.post('sys/quotas/rate-limit/s', { path: 'kv', rate: 3, group_by: 'none' })
  t.equal(await allowed(secrets, 'kv/a', { remote: '10.0.0.4' }), 3)
  t.equal(await allowed(secrets, 'kv/a', { remote: '10.0.0.5' }), 0)
})

tap.test('some paths have no limit', async t => {
  const { secrets } = await open(t)
  await secrets.post('sys/quotas/rate-limit/all', { rate: 1, interval: '1h' })
  t.match(await secrets.read('sys/mounts'), { status: 200 })
  t.match(await secrets.read('sys/mounts'), { status: 429 })
  t.match(await secrets.read('sys/health', { token: '' }), { status: 200 })
  const other = await open(t)
  await other.secrets.post('sys/quotas/config', { rate_limit_exempt_paths: ['sys/*'] })
  await other.secrets.post('sys/quotas/rate-limit/all', { rate: 1, interval: '1h' })
  t.equal(await allowed(other.secrets, 'sys/mounts'), 10)
  t.equal(await allowed(other.secrets, 'kv/a'), 1)
  t.match((await other.secrets.read('sys/quotas/config')).body.data, {
    rate_limit_exempt_paths: ['sys/*'],
    absolute_rate_limit_exempt_paths: [],
    enable_rate_limit_audit_logging: false,
    enable_rate_limit_response_headers: false,
  })
})

tap.test('quotas are shown as they were set', async t => {
  const { secrets } = await open(t)
  t.equal((await secrets.list('sys/quotas/rate-limit')).status, 404)
  t.equal((await secrets.read('sys/quotas/rate-limit/x')).status, 404)
  await secrets.post('sys/quotas/rate-limit/q', { path: 'shop/kv/a', rate: 0.5, interval: 60 })
  t.strictSame((await secrets.list('sys/quotas/rate-limit')).body.data.keys, ['q'])
  t.strictSame((await secrets.read('sys/quotas/rate-limit/q')).body.data, {
    ...{ type: 'rate-limit', name: 'q', path: 'shop/kv/a', role: '', inheritable: false },
    ...{ rate: 0.5, interval: 60, block_interval: 0, group_by: 'ip', secondary_rate: 0 },
  })
  await secrets.post('sys/quotas/rate-limit/g', { rate: 100 })
  t.equal((await secrets.read('sys/quotas/rate-limit/g')).body.data.inheritable, true)
  await secrets.post('sys/quotas/lease-count/l', { path: 'auth/token', max_leases: 5 })
  t.strictSame((await secrets.read('sys/quotas/lease-count/l')).body.data, {
    ...{ type: 'lease-count', name: 'l', path: 'auth/token/', role: '', inheritable: false },
    ...{ max_leases: 5, counter: 0 },
  })
})

tap.test('what makes no sense is refused', async t => {
  const { secrets } = await open(t)
  const refused = [
    ['rate-limit', { rate: 0 }, "'rate' is invalid"],
    ['rate-limit', { rate: -1 }, "'rate' is invalid"],
    ['rate-limit', {}, "'rate' is invalid"],
    ['rate-limit', { rate: 'x' }, /^Field validation failed/],
    ['rate-limit', { rate: 1, path: 'none' }, 'invalid mount path "none/"'],
    ['rate-limit', { rate: 1, group_by: 'moon' }, /^'group_by' is none of/],
    ['rate-limit', { rate: 1, secondary_rate: 1 }, "'secondary_rate' is invalid"],
    ['rate-limit', { rate: 1, path: 'kv', role: 'r' }, /is not a valid auth method/],
    ['rate-limit', { rate: 1, path: 'kv/a', role: 'r' }, /^Quotas cannot contain both/],
    ['lease-count', { max_leases: 0 }, "'max_leases' is invalid"],
    ['lease-count', { max_leases: 1, group_by: 'ip' }, /^'group_by' is none of none, entity/],
    ['lease-count', { max_leases: 1, path: 'kv', group_by: 'entity' }, /for a namespace/],
    ['lease-count', { max_leases: 1, path: 'kv', role: 'r' }, /is not a valid auth method/],
  ] as const
  for (const [kind, data, text] of refused) {
    t.match(await secrets.post(`sys/quotas/${kind}/q`, data), { status: 400, text })
  }
})

tap.test('there are no more leases than there may be', async t => {
  const { secrets } = await open(t)
  const create = (data = {}) => secrets.post('auth/token/create', { ttl: '1h', ...data })
  await secrets.post('sys/quotas/lease-count/q', { path: 'auth/token', max_leases: 2 })
  t.equal((await create()).status, 200)
  t.equal((await create()).status, 200)
  t.match(await create(), { status: 429, text: 'lease count quota exceeded' })
  t.equal((await create({ type: 'batch', policies: 'default' })).status, 200, 'it has no lease')
  t.equal((await secrets.read('sys/quotas/lease-count/q')).body.data.counter, 2)
  await secrets.post('sys/quotas/lease-count/q', { path: 'auth/token', max_leases: 3 })
  t.equal((await create()).status, 200)
})

tap.test('a role of a login has no more leases than it may', async t => {
  const exceeded: string[] = []
  const clock = new FakeClock()
  const secrets = await openSecrets(t, { clock, exceeded: kind => void exceeded.push(kind) })
  await secrets.post('sys/auth/approle', { type: 'approle' })
  const loginAs = async (role: string) => {
    await secrets.post(`auth/approle/role/${role}`, { token_ttl: '1h' })
    const { body } = await secrets.read(`auth/approle/role/${role}/role-id`)
    const made = await secrets.post(`auth/approle/role/${role}/secret-id`)
    const data = { role_id: body.data.role_id, secret_id: made.body.data.secret_id }
    return () => secrets.post('auth/approle/login', data, { token: '' })
  }
  const [shop, other] = [await loginAs('shop'), await loginAs('other')]
  t.equal((await shop()).status, 200, 'nothing is counted yet')
  const quota = { path: 'auth/approle', role: 'shop', max_leases: 2 }
  t.equal((await secrets.post('sys/quotas/lease-count/q', quota)).status, 204)
  t.match((await secrets.read('sys/quotas/lease-count/q')).body.data, {
    ...{ path: 'auth/approle/', role: 'shop', max_leases: 2, counter: 0 },
  })
  const first = await shop()
  t.equal((await shop()).status, 200)
  t.match(await shop(), { status: 429, text: 'lease count quota exceeded' })
  t.strictSame(exceeded, ['lease-count'])
  t.equal((await other()).status, 200, 'other roles go on')
  t.equal((await secrets.read('sys/quotas/lease-count/q')).body.data.counter, 2)
  await secrets.post('auth/token/revoke', { token: first.body.auth.client_token })
  t.equal((await shop()).status, 200)
  await clock.advance(3_600_000)
  t.equal((await shop()).status, 429, 'those that are over count until they are swept')
})

tap.test('an entity has no more leases than it may, whatever gave them', async t => {
  const { secrets } = await open(t)
  await secrets.post('sys/auth/userpass', { type: 'userpass' })
  for (const name of ['ann', 'bob']) {
    await secrets.post(`auth/userpass/users/${name}`, { password: 'x', token_policies: 'maker' })
  }
  await secrets.post('sys/policies/acl/maker', {
    policy: 'path "auth/token/create" { capabilities = ["update"] }',
  })
  await secrets.post('sys/quotas/lease-count/each', { group_by: 'entity', max_leases: 2 })
  t.strictSame((await secrets.read('sys/quotas/lease-count/each')).body.data, {
    ...{ type: 'lease-count', name: 'each', path: '', role: '', inheritable: true },
    ...{ max_leases: 2, group_by: 'entity' },
  })
  const login = (name: string) =>
    secrets.post(`auth/userpass/login/${name}`, { password: 'x' }, { token: '' })
  const ann = await login('ann')
  t.equal(ann.status, 200)
  const token: string = ann.body.auth.client_token
  const child = () => secrets.post('auth/token/create', { ttl: '1h' }, { token })
  t.equal((await child()).status, 200)
  t.match(await child(), { status: 429, text: 'lease count quota exceeded' })
  t.equal((await login('ann')).status, 429)
  t.equal((await login('bob')).status, 200, 'others go on')
  await secrets.post('sys/quotas/lease-count/tokens', { path: 'auth/token', max_leases: 9 })
  t.equal((await child()).status, 429, 'a cap of a place does not take its place')
  await secrets.remove('sys/quotas/lease-count/each')
  t.equal((await child()).status, 200)
})

tap.test('no more clients are counted than may be', async t => {
  const { secrets } = await open(t)
  await secrets.write(draft => {
    putQuota(draft, {
      ...{ kind: 'rate-limit', name: 'q', namespacePath: '', mountPath: '', suffix: '', role: '' },
      ...{ isInheritable: true, rate: 1, intervalMs: 1_000, blockMs: 0, groupBy: 'ip' },
      ...{ secondaryRate: 0, leasesMax: 0 },
    })
    const limiter = new Limiter()
    const rated = {
      ...{ namespace: { path: '' }, mountPath: '', below: '', role: '', path: 'x', wallMs: 0 },
    }
    for (let i = 0; i < limits.quotaClients + 5; i++) {
      limiter.take(draft, rated, { remote: String(i), who: () => undefined }, 0)
    }
    t.equal(limiter.size, limits.quotaClients)
  })
})
