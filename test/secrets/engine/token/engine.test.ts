/** Tokens by tokens: `auth/token`. */
import tap, { type Test } from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { openSecrets, ROOT_TOKEN, type TestSecrets } from '../../harness.ts'
import { onEveryStore } from '../../stores.ts'

/** A policy that lets its holder make tokens, and look after all of them. */
const MAKER = 'path "auth/token/*" { capabilities = ["create", "read", "update", "list"] }'
/** The same, with everything that asks for sudo. */
const CHIEF = 'path "auth/token/*" { capabilities = ["read", "update", "list", "sudo"] }'

async function open(t: Test): Promise<TestSecrets> {
  const secrets = await openSecrets(t)
  await secrets.post('sys/policies/acl/maker', { policy: MAKER })
  await secrets.post('sys/policies/acl/chief', { policy: CHIEF })
  await secrets.post('sys/policies/acl/app', { policy: 'path "kv/*" { capabilities = ["read"] }' })
  return secrets
}

/** Makes a token and gives its `auth`. */
async function make(secrets: TestSecrets, data: object = {}, token = ROOT_TOKEN, path = 'create') {
  const got = await secrets.post(`auth/token/${path}`, { ...data }, { token })
  if (got.status !== 200) throw new Error(got.text)
  return { ...got.body.auth, warnings: got.body.warnings ?? [] }
}

const show = async (secrets: TestSecrets, token: string) =>
  (await secrets.post('auth/token/lookup', { token })).body.data

tap.test('a token is made, shown, renewed and ended', t => {
  onEveryStore(t, async (t, newStore) => {
    const secrets = await openSecrets(t, { open: () => newStore(t) })
    const data = { policies: 'b,A', ttl: '1h', meta: { a: '1' }, display_name: 'my app!' }
    const made = await secrets.post('auth/token/create', data)
    t.match(made.body.auth, {
      client_token: /^hvs\.\w{24}$/,
      accessor: /^\w{24}$/,
      policies: ['a', 'b', 'default'],
      token_policies: ['a', 'b', 'default'],
      metadata: { a: '1' },
      lease_duration: 3_600,
      renewable: true,
      entity_id: '',
      token_type: 'service',
      orphan: false,
      mfa_requirement: null,
      num_uses: 0,
    })
    t.strictSame(Object.keys(made.body.auth), [
      ...['client_token', 'accessor', 'policies', 'token_policies', 'metadata', 'lease_duration'],
      ...['renewable', 'entity_id', 'token_type', 'orphan', 'mfa_requirement', 'num_uses'],
    ])
    t.equal(made.body.data, null)
    t.strictSame(made.body.warnings, ['Policy "a" does not exist', 'Policy "b" does not exist'])
    const { client_token: token, accessor } = made.body.auth
    t.match(await show(secrets, token), {
      ...{ id: token, accessor, type: 'service', orphan: false, path: 'auth/token/create' },
      ...{ display_name: 'token-my-app', meta: { a: '1' }, num_uses: 0, explicit_max_ttl: 0 },
      ...{ creation_ttl: 3_600, entity_id: '', renewable: true, policies: ['a', 'b', 'default'] },
    })
    const renewed = await secrets.post('auth/token/renew', { token, increment: '2h' })
    t.match(renewed.body.auth, { client_token: token, lease_duration: 7_200, accessor })
    const later = await show(secrets, token)
    t.ok(later.ttl > 7_100 && later.ttl <= 7_200)
    t.equal(typeof later.last_renewal_time, 'number')
    t.equal((await secrets.post('auth/token/revoke', { token })).status, 204)
    t.match(await secrets.post('auth/token/lookup', { token }), { status: 403, text: 'bad token' })
    t.match(await secrets.read('auth/token/lookup-self', { token }), {
      status: 403,
      text: '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n',
    })
    t.equal((await secrets.post('auth/token/revoke', { token })).status, 204, 'again')
  })
  t.end()
})

tap.test('the root token has no end', async t => {
  const secrets = await open(t)
  const { body } = await secrets.read('auth/token/lookup-self')
  t.match(body.data, {
    ...{ ttl: 0, creation_ttl: 0, expire_time: null, meta: null, policies: ['root'] },
    ...{ id: ROOT_TOKEN, orphan: true, renewable: false, display_name: 'root' },
    ...{ path: 'auth/token/root', type: 'service', num_uses: 0, entity_id: '' },
  })
  const refused = await secrets.post('auth/token/renew-self')
  t.match(refused, { status: 400, text: 'lease not found or lease is not renewable' })
})

tap.test('policies of a child', async t => {
  const secrets = await open(t)
  const maker = (await make(secrets, { policies: ['maker', 'app'] })).client_token
  const plain = (await make(secrets, { policies: ['maker'], no_default_policy: true })).client_token
  const chief = (await make(secrets, { policies: ['chief'] })).client_token
  const subset = 'child policies must be subset of parent'
  const cases: [string, object, string[] | string][] = [
    [maker, {}, ['app', 'default', 'maker']],
    [maker, { policies: ['app'] }, ['app', 'default']],
    [maker, { policies: ['APP '], no_default_policy: true }, ['app']],
    [maker, { policies: ['other'] }, subset],
    [maker, { policies: ['root'] }, subset],
    [plain, {}, ['maker']],
    [plain, { policies: ['maker'] }, ['maker']],
    [plain, { policies: ['default'] }, subset],
    [chief, { policies: ['other'] }, ['default', 'other']],
    [chief, { policies: ['other'], no_default_policy: true }, ['other']],
    [
      chief,
      { policies: [' Root'] },
      'root tokens may not be created without parent token being root',
    ],
    [ROOT_TOKEN, {}, ['root']],
    [ROOT_TOKEN, { policies: ['app', 'APP', ''] }, ['app', 'default']],
    [ROOT_TOKEN, { policies: ['response-wrapping'] }, 'cannot assign policy "response-wrapping"'],
    [ROOT_TOKEN, { policies: ['root'], type: 'batch' }, 'batch tokens cannot be root tokens'],
  ]
  for (const [token, data, wanted] of cases) {
    const got = await secrets.post('auth/token/create', { ...data }, { token })
    if (typeof wanted === 'string') t.match(got, { status: 400, text: wanted }, wanted)
    else t.strictSame(got.body.auth?.policies, wanted, JSON.stringify(data))
  }
})

tap.test('what asks for sudo', async t => {
  const secrets = await open(t)
  const maker = (await make(secrets, { policies: ['maker'] })).client_token
  const chief = (await make(secrets, { policies: ['chief'] })).client_token
  const orphan = 'root or sudo privileges required to create orphan token'
  const cases: [object, string][] = [
    [{ no_parent: true }, orphan],
    [{ period: '1h' }, 'root or sudo privileges required to create periodic token'],
    [{ id: 'mine' }, 'root or sudo privileges required to specify token id'],
  ]
  for (const [data, text] of cases) {
    t.match(await secrets.post('auth/token/create', { ...data }, { token: maker }), {
      status: 400,
      text,
    })
    t.equal((await secrets.post('auth/token/create', { ...data }, { token: chief })).status, 200)
  }
  const path = 'auth/token/create-orphan'
  const { body } = await secrets.post(path, {}, { token: maker })
  t.equal(body.auth.orphan, true, 'create-orphan is a path of its own')
  for (const path of ['revoke-orphan', 'accessors']) {
    const asked = path === 'accessors' ? secrets.list : secrets.post
    const denied = await asked(`auth/token/${path}`, undefined as never, { token: maker } as never)
    if (path === 'revoke-orphan') t.equal(denied.status, 403)
  }
  t.equal((await secrets.list('auth/token/accessors', { token: maker })).status, 403)
  t.equal((await secrets.list('auth/token/accessors', { token: chief })).status, 200)
})

tap.test('ids that somebody chose', async t => {
  const secrets = await open(t)
  const made = await make(secrets, { id: 'chosen', ttl: '1h' })
  t.equal(made.client_token, 'chosen')
  t.match(made.warnings, [/id was chosen/])
  const cases: [string, string][] = [
    ['chosen', 'cannot create a token with a duplicate ID'],
    ['hvs.x', "custom token ID cannot have the 'hvs.' prefix"],
    ['s.x', "custom token ID cannot have the 's.' prefix"],
    ['a.b', "custom token ID cannot contain '.'"],
  ]
  for (const [id, text] of cases) {
    t.match(await secrets.post('auth/token/create', { id }), { status: 400, text }, id)
  }
})

tap.test('lifetimes, and what is said of them', async t => {
  const secrets = await open(t)
  const day = 86_400
  const cases: [object, number, RegExp[]][] = [
    [{ policies: 'app' }, 32 * day, []],
    [{ policies: 'app', ttl: '90' }, 90, []],
    [{ policies: 'app', lease: '90s' }, 90, []],
    [{ policies: 'app', ttl: '33d' }, 32 * day, [/^TTL of "792h0m0s" exceeded .* of "768h0m0s"/]],
    [{ policies: 'app', explicit_max_ttl: '1h' }, 3_600, [/^TTL of "768h0m0s" exceeded/]],
    [{ policies: 'app', explicit_max_ttl: '33d' }, 32 * day, [/^Explicit max TTL of 2851200 sec/]],
    [{ policies: 'app', period: '2h' }, 7_200, []],
    [{ policies: 'app', period: '2h', ttl: '5h' }, 7_200, []],
    [{ policies: 'app', period: '33d' }, 32 * day, [/^period of "792h0m0s" exceeded/]],
    [{}, 0, []],
    [{ ttl: '1h' }, 3_600, []],
    [{ explicit_max_ttl: '1h' }, 3_600, []],
    [{ period: '1h' }, 3_600, []],
  ]
  for (const [data, wanted, warnings] of cases) {
    const made = await make(secrets, data)
    t.equal(made.lease_duration, wanted, JSON.stringify(data))
    t.match(made.warnings, warnings, JSON.stringify(data))
    t.equal(made.warnings.length, warnings.length)
  }
  const bad: [object, string][] = [
    [{ ttl: 'soon' }, 'error parsing ttl: not a duration'],
    [{ ttl: '-1h' }, 'ttl must be positive'],
    [{ period: '-1h' }, 'period must be positive'],
    [{ explicit_max_ttl: '-1s' }, 'explicit_max_ttl must be positive'],
    [{ num_uses: -1 }, 'number of uses cannot be negative'],
    [{ type: 'other' }, 'invalid \'token_type\' value "other"'],
    [{ role_name: 'none' }, 'unknown role none'],
    [{ entity_alias: 'ann' }, "'entity_alias' is only allowed in combination with token role"],
  ]
  for (const [data, text] of bad) {
    t.match(await secrets.post('auth/token/create', { ...data }), { status: 400, text }, text)
  }
})

tap.test('root tokens with an end make none without one', async t => {
  const secrets = await open(t)
  const { client_token: token } = await make(secrets, { ttl: '1h' })
  const refused = await secrets.post('auth/token/create', {}, { token })
  t.match(refused.text, 'expiring root tokens cannot create non-expiring root tokens')
  t.equal((await make(secrets, { ttl: '30m' }, token)).lease_duration, 1_800)
})

tap.test('a token by its accessor', async t => {
  const secrets = await open(t)
  const { client_token: token, accessor } = await make(secrets, { ttl: '1h' })
  const by = (verb: string, data: object = {}) =>
    secrets.post(`auth/token/${verb}-accessor`, { accessor, ...data })
  t.match((await by('lookup')).body.data, { id: '', accessor, ttl: Number })
  t.match((await by('renew', { increment: 60 })).body.auth, {
    client_token: '',
    lease_duration: 60,
  })
  t.ok((await secrets.list('auth/token/accessors')).body.data.keys.includes(accessor))
  t.equal((await by('revoke')).status, 204)
  t.equal((await secrets.read('auth/token/lookup-self', { token })).status, 403)
  t.match(await by('lookup'), { status: 403, text: 'invalid accessor' })
  t.match(await by('renew'), { status: 400, text: 'invalid accessor' })
  t.match(await by('revoke'), { status: 400, text: 'invalid accessor' })
  t.match(await by('lookup', { accessor: '' }), { status: 400, text: 'missing accessor' })
})

tap.test('a batch token lies nowhere', async t => {
  const secrets = await open(t)
  const rows = () => secrets.store.view().revision
  const parent = (await make(secrets, { policies: ['chief'] })).client_token
  const before = rows()
  const made = await make(secrets, { type: 'batch', ttl: '1h', meta: { a: 'b' } }, parent)
  t.match(made, { client_token: /^hvb\.[\w-]+$/, accessor: '', token_type: 'batch' })
  t.match(made, { renewable: false, orphan: false, lease_duration: 3_600 })
  t.equal(rows(), before, 'nothing was written')
  const token = made.client_token
  t.match((await secrets.read('auth/token/lookup-self', { token })).body.data, {
    ...{ type: 'batch', id: token, accessor: '', meta: { a: 'b' }, ttl: Number },
  })
  const refused: [string, object, string][] = [
    ['create', {}, 'batch tokens cannot create more tokens'],
    ['renew-self', {}, 'batch tokens cannot be renewed'],
    ['revoke-self', {}, 'batch tokens cannot be revoked'],
    ['revoke', { token }, 'batch tokens cannot be revoked'],
  ]
  const chief = await make(secrets, { type: 'batch', policies: ['chief'], ttl: '1h' })
  for (const [path, data, text] of refused) {
    const got = await secrets.post(`auth/token/${path}`, { ...data }, { token: chief.client_token })
    t.match(got, { status: 400, text }, path)
  }
  const other = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A')
  t.equal((await secrets.read('auth/token/lookup-self', { token: other })).status, 403)
  await secrets.post('auth/token/revoke', { token: parent })
  t.equal((await secrets.read('auth/token/lookup-self', { token })).status, 403, 'with its maker')
  const wrong = [{ explicit_max_ttl: '1h' }, { period: '1h' }, { num_uses: 1 }, { id: 'x' }]
  for (const data of wrong) {
    const got = await secrets.post('auth/token/create', { ...data, type: 'batch' } as never)
    t.match(got, { status: 400, text: /^batch tokens cannot have/ })
  }
})

tap.test('trees end whole, orphans do not, and revoke-orphan lets children go', async t => {
  const secrets = await open(t)
  const policies = ['chief']
  const top = await make(secrets, { policies })
  const child = await make(secrets, { policies }, top.client_token)
  const grandchild = await make(secrets, { policies }, child.client_token)
  const orphan = await make(secrets, { policies }, top.client_token, 'create-orphan')
  const lives = async (made: { client_token: string }) =>
    (await secrets.read('auth/token/lookup-self', { token: made.client_token })).status === 200
  t.equal(
    (await secrets.post('auth/token/revoke-orphan', { token: child.client_token })).status,
    204,
  )
  t.strictSame([await lives(child), await lives(grandchild)], [false, true])
  t.equal((await show(secrets, grandchild.client_token)).orphan, true)
  const second = await make(secrets, { policies }, top.client_token)
  const lowest = await make(secrets, { policies }, second.client_token)
  await secrets.post('auth/token/revoke-self', {}, { token: top.client_token })
  for (const made of [top, second, lowest]) t.equal(await lives(made), false)
  for (const made of [grandchild, orphan]) t.equal(await lives(made), true)
})

tap.test('periodic tokens go on for ever, others end with their maximum', async t => {
  const secrets = await open(t)
  const renew = async (token: string, data: object = {}) =>
    (await secrets.post('auth/token/renew', { token, ...data })).body
  const periodic = await make(secrets, { policies: 'app', period: '1h' })
  t.equal((await renew(periodic.client_token, { increment: '9h' })).auth.lease_duration, 3_600)
  t.equal((await show(secrets, periodic.client_token)).period, 3_600)
  const capped = await make(secrets, { policies: 'app', ttl: '1h', explicit_max_ttl: '2h' })
  const { auth, warnings } = await renew(capped.client_token, { increment: '3h' })
  t.ok(auth.lease_duration >= 7_198 && auth.lease_duration <= 7_200)
  t.match(warnings, [
    /^TTL of "3h0m0s" exceeded the effective max_ttl/,
    /^this token ends for good/,
  ])
  const plain = await make(secrets, { policies: 'app', ttl: '1h' })
  t.equal((await renew(plain.client_token)).auth.lease_duration, 3_600, 'as it was given')
  const never = await make(secrets, { policies: 'app', ttl: '1h', renewable: false })
  t.equal(never.renewable, false)
  const refused = await secrets.post('auth/token/renew', { token: never.client_token })
  t.match(refused, { status: 400, text: 'lease is not renewable' })
  t.match(await secrets.post('auth/token/renew', { token: 'none' }), {
    status: 400,
    text: 'token not found',
  })
})

tap.test('what is said of a token is bounded', async t => {
  const secrets = await open(t)
  const made = (chars: number, data: object = {}) =>
    secrets.post('auth/token/create', { policies: 'app', meta: { a: 'x'.repeat(chars) }, ...data })
  t.equal((await made(limits.tokenChars - 100)).status, 200)
  t.match(await made(limits.tokenChars), { status: 400, text: /must not exceed 65536 characters/ })
  t.equal((await made(limits.batchTokenChars - 100, { type: 'batch' })).status, 200)
  t.equal((await made(limits.batchTokenChars, { type: 'batch' })).status, 400)
})

tap.test('tidy has nothing to do', async t => {
  const secrets = await open(t)
  t.match(await secrets.post('auth/token/tidy'), { status: 202, body: { warnings: [/nothing/] } })
})
