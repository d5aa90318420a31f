/** The tokens of logins. */
import tap, { type Test } from 'tap'
import type { Engine } from '../../../src/secrets/declare.ts'
import { enginesOn } from '../../../src/secrets/engine/mod.ts'
import { openSecrets, type TestSecrets } from '../harness.ts'
import { testPorts } from '../ports.ts'
import { METHOD, trustingMethod } from './method.ts'

async function open(t: Test, config = {}): Promise<TestSecrets> {
  const engines = enginesOn(testPorts()) as Engine[]
  engines.push(trustingMethod)
  const secrets = await openSecrets(t, { engines })
  const base = { defaultLeaseTtlMs: 0, maxLeaseTtlMs: 0, forceNoCache: false }
  await secrets.mount(METHOD, 'trusting/', { kind: 'auth', config: { ...base, ...config } })
  return secrets
}

const ROLE = 'auth/trusting/role/ann'
const LOGIN = 'auth/trusting/login/ann'

tap.test('a login gives what its role says', async t => {
  const secrets = await open(t)
  await secrets.post(ROLE, { token_policies: ' Dev ,ops', token_ttl: '2h', token_num_uses: 3 })
  const { status, body } = await secrets.post(LOGIN, {}, { token: '' })
  t.equal(status, 200)
  t.match(body.auth, {
    client_token: /^hvs\.\w{24}$/,
    policies: ['default', 'dev', 'ops'],
    token_policies: ['default', 'dev', 'ops'],
    metadata: { user: 'ann' },
    lease_duration: 7_200,
    renewable: true,
    entity_id: /^[0-9a-f-]{36}$/,
    token_type: 'service',
    orphan: true,
    num_uses: 3,
  })
  t.equal(body.data, null)
  const again = await secrets.post(LOGIN, {}, { token: '' })
  t.equal(again.body.auth.entity_id, body.auth.entity_id, 'one entity for one name')
  const { data } = (await secrets.post('auth/token/lookup', { token: body.auth.client_token })).body
  t.match(data, { display_name: 'trusting-ann', path: LOGIN, orphan: true, num_uses: 3 })
})

tap.test('lifetimes: hours unless role or mount say otherwise', async t => {
  const plain = await open(t)
  const tuned = await open(t, { defaultLeaseTtlMs: 60_000, maxLeaseTtlMs: 120_000 })
  const cases = [
    [plain, {}, 43_200, []],
    [plain, { token_max_ttl: '1h' }, 3_600, [/^TTL of "12h0m0s" exceeded/]],
    [plain, { token_period: '3h' }, 10_800, []],
    [plain, { token_explicit_max_ttl: 60, token_period: '3h' }, 60, [/^period of "3h0m0s"/]],
    [tuned, {}, 60, []],
    [tuned, { token_ttl: 90 }, 90, []],
    [tuned, { token_ttl: '3m' }, 120, [/^TTL of "3m0s" exceeded the effective max_ttl of "2m0s"/]],
  ] as const
  for (const [secrets, role, wanted, warnings] of cases) {
    await secrets.remove(ROLE)
    await secrets.post(ROLE, role)
    const { body } = await secrets.post(LOGIN, {}, { token: '' })
    t.equal(body.auth.lease_duration, wanted, JSON.stringify(role))
    t.match(body.warnings ?? [], warnings, JSON.stringify(role))
  }
})

tap.test('no login gives root, in any spelling', async t => {
  const secrets = await open(t)
  for (const name of ['root', 'ROOT', ' Root ', '\troot\n', 'a, rOOt']) {
    await secrets.post(ROLE, { token_policies: name })
    const got = await secrets.post(LOGIN, {}, { token: '' })
    t.match(got, { status: 400, text: 'auth methods cannot create root tokens' }, name)
  }
  await secrets.post(ROLE, { token_policies: ['response-wrapping'] })
  t.match(await secrets.post(LOGIN, {}, { token: '' }), { status: 400, text: /cannot assign/ })
})

tap.test('the type of token: the mount insists, the role says, the mount means', async t => {
  const cases = [
    [undefined, 'default', 'service'],
    [undefined, 'batch', 'batch'],
    [undefined, 'default-batch', 'batch'],
    ['default-batch', 'default', 'batch'],
    ['default-batch', 'service', 'service'],
    ['default-batch', 'default-service', 'service'],
    ['batch', 'service', 'batch'],
    ['service', 'batch', 'service'],
  ] as const
  for (const [tokenType, ofRole, wanted] of cases) {
    const secrets = await open(t, tokenType === undefined ? {} : { tokenType })
    await secrets.post(ROLE, { token_type: ofRole })
    const { auth } = (await secrets.post(LOGIN, {}, { token: '' })).body
    t.equal(auth.token_type, wanted, `${tokenType} ${ofRole}`)
    t.match(auth.client_token, wanted === 'batch' ? /^hvb\./ : /^hvs\./)
    if (wanted === 'batch') t.match(auth, { accessor: '', renewable: false, orphan: true })
  }
  const forced = await open(t, { tokenType: 'batch' })
  await forced.post(ROLE, { token_num_uses: 2 })
  t.match(await forced.post(LOGIN, {}, { token: '' }), { status: 400, text: /use count/ })
})

tap.test('a role bound to addresses is logged in at from there alone', async t => {
  const secrets = await open(t)
  await secrets.post(ROLE, { token_bound_cidrs: ['10.0.0.0/8', '2001:db8::/32'] })
  const from = (remote: string) => secrets.post(LOGIN, {}, { token: '', remote })
  for (const remote of ['10.1.2.3', '::ffff:10.1.2.3', '2001:db8::1']) {
    const { body } = await from(remote)
    const token = body.auth.client_token
    t.equal((await secrets.read('auth/token/lookup-self', { token, remote })).status, 200, remote)
    const elsewhere = await secrets.read('auth/token/lookup-self', { token, remote: '192.0.2.1' })
    t.match(elsewhere, { status: 403, text: /permission denied/ })
  }
  t.equal((await from('192.0.2.1')).status, 403)
  await secrets.post(ROLE, { token_bound_cidrs: [], token_strictly_bind_ip: true })
  const token = (await from('192.0.2.1')).body.auth.client_token
  const asked = (remote: string) => secrets.read('auth/token/lookup-self', { token, remote })
  t.equal((await asked('192.0.2.1')).status, 200)
  t.equal((await asked('192.0.2.2')).status, 403)
})

tap.test('a role shows its newer names always, and older ones where they were used', async t => {
  const secrets = await open(t)
  await secrets.post(ROLE, { policies: ['B', 'a'], ttl: '1h', token_max_ttl: 7200 })
  const shown = async () => (await secrets.read(ROLE)).body.data
  t.strictSame(await shown(), {
    token_bound_cidrs: [],
    token_explicit_max_ttl: 0,
    token_max_ttl: 7200,
    token_no_default_policy: false,
    token_num_uses: 0,
    token_period: 0,
    token_policies: ['a', 'b'],
    token_strictly_bind_ip: false,
    token_ttl: 3600,
    token_type: 'default',
    policies: ['a', 'b'],
    ttl: 3600,
  })
  await secrets.post(ROLE, { token_policies: 'c' })
  t.match(await shown(), { token_policies: ['c'], ttl: 3600, token_max_ttl: 7200 })
  t.notOk(Object.hasOwn(await shown(), 'policies'), 'the newer name took the older one away')
})

tap.test('what is wrong about a role is said', async t => {
  const secrets = await open(t)
  const cases = [
    [{ token_ttl: 2, token_max_ttl: 1 }, "'token_ttl' cannot be greater than 'token_max_ttl'"],
    [{ token_num_uses: -1 }, "'token_num_uses' cannot be negative"],
    [{ token_type: 'x' }, 'invalid \'token_type\' value "x"'],
    [{ token_type: 'batch', token_period: 1 }, /generate periodic tokens$/],
    [{ token_type: 'default-batch', token_num_uses: 1 }, /limited use count$/],
    [{ token_bound_cidrs: ['10.0.0.0/33'] }, /error parsing address/],
    [{ token_ttl: 'soon' }, /error converting input for field "token_ttl"/],
    [{ token_ttl: -1 }, /error converting input for field "token_ttl"/],
  ] as const
  for (const [role, text] of cases) {
    t.match(await secrets.post(ROLE, role as never), { status: 400, text }, JSON.stringify(role))
  }
})
