/** Logins in two phases and in one: what they answer, and what a second factor is refused for. */
import t, { type Test } from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { mfaEnd } from '../../../../src/secrets/mfa/attempt.ts'
import { Phone } from '../../mfa/phone.ts'
import { openWorld } from '../../mfa/world.ts'

t.test('a login that is asked for a passcode gets its token with it, once', async t => {
  const world = await openWorld(t)
  const method = await world.addTotp('phone')
  await world.enforce('all', [method])
  const phone = await world.phoneOf('ann', method)
  const first = await world.login('ann')
  t.equal(first.status, 200)
  const { mfa_request_id: id } = first.body.auth.mfa_requirement
  t.strictSame(first.body.auth, {
    ...{ client_token: '', accessor: '', policies: null, metadata: null, lease_duration: 0 },
    ...{ renewable: false, entity_id: '', token_type: 'default', orphan: false },
    mfa_requirement: {
      mfa_request_id: id,
      mfa_constraints: {
        all: { any: [{ type: 'totp', id: method, uses_passcode: true, name: 'phone' }] },
      },
    },
    num_uses: 0,
  })
  t.match(first.body.warnings, [/^A login request was issued that is subject to MFA validation\./])
  const right = { [method]: [phone.at(world.now)] }
  const { status, body } = await world.validate(id, right)
  t.equal(status, 200)
  t.match(body.auth, {
    ...{ client_token: /^hvs\./, policies: ['default'], metadata: { username: 'ann' } },
    ...{ token_type: 'service', orphan: true, mfa_requirement: null },
  })
  const { client_token: token } = body.auth
  const self = await world.secrets.read('auth/token/lookup-self', { token })
  t.match(self.body.data, { path: 'auth/userpass/login/ann', display_name: 'userpass-ann' })
  const again = await world.validate(id, right)
  t.strictSame([again.status, again.body.errors], [400, ['invalid request ID']])
})

/** Somebody with a phone, of whose logins a passcode is asked. */
async function withPhone(t: Test, more: object = {}) {
  const world = await openWorld(t)
  const method = await world.addTotp('phone', more)
  await world.enforce('all', [method])
  const phone = await world.phoneOf('ann', method)
  const give = (passcode: string, id?: string) =>
    Promise.resolve(id ?? world.begin('ann')).then(one =>
      world.validate(one, { [method]: [passcode] }),
    )
  return { world, method, phone, give }
}

const wrong = (...faults: string[]): string =>
  `failed to satisfy enforcement all. error: ${faults.length} error${faults.length > 1 ? 's' : ''} ` +
  `occurred:\n${faults.map(fault => `\t* ${fault}\n`).join('')}\n`
const BAD = 'MFA credentials not supplied or incorrect'

t.test('what is shown is refused in the words of Vault, and may be shown again', async t => {
  const { world, method, phone } = await withPhone(t)
  const id = await world.begin('ann')
  const failed = `login MFA validation failed for methodID: [${method}]`
  const code = phone.at(world.now)
  const table: readonly (readonly [object, string])[] = [
    [{ [method]: ['000000'] }, wrong(BAD, failed)],
    [{ [method]: [code.slice(1)] }, wrong(BAD, failed)],
    [{ [method]: [`${code} `] }, wrong(BAD, failed)],
    [{ [method]: [] }, wrong(BAD, failed)],
    [{ [method]: [''] }, wrong(BAD, failed)],
    [{ [method]: null }, wrong(BAD, failed)],
    [
      { [method]: [code, code] },
      wrong('failed to parse MFA factor, found multiple passcodes for the same MFA method', failed),
    ],
    [
      { [method]: [`a=${code}`] },
      wrong('failed to parse MFA factor, found an invalid MFA cred', failed),
    ],
    [{ [method]: ['passcode='] }, wrong('failed to parse MFA factor, invalid passcode', failed)],
  ]
  for (const [payload, text] of table) {
    const { status, body } = await world.validate(id, payload as never)
    t.strictSame([status, body.errors], [403, [text]], JSON.stringify(payload))
  }
  const missing =
    'failed to find MFA credentials associated with an MFA method ID ' +
    `${method}, method name phone`
  for (const payload of [{}, { other: [code] }, { 'team/phone': [code] }]) {
    const { status, body } = await world.validate(id, payload as never)
    const text = wrong(missing).replace('error: 1', 'error: failed to sanitize MFA creds, 1')
    t.strictSame([status, body.errors], [403, [text]])
  }
  t.equal((await world.validate(id, { phone: [`passcode=${code}`] })).status, 200, 'by its name')
})

t.test('a payload or an id that is none is refused', async t => {
  const { world, method, phone } = await withPhone(t)
  const { secrets } = world
  const id = await world.begin('ann')
  const post = (data: object) => secrets.post('sys/mfa/validate', data as never, { token: '' })
  const table: readonly (readonly [object, string])[] = [
    [{}, 'missing request ID'],
    [{ mfa_payload: {} }, 'missing request ID'],
    [{ mfa_request_id: 'x', mfa_payload: {} }, 'invalid request ID'],
    [{ mfa_request_id: id, mfa_payload: { [method]: '123456' } }, 'invalid mfa payload'],
    [{ mfa_request_id: id, mfa_payload: { [method]: [123_456] } }, 'invalid mfa payload'],
    [{ mfa_request_id: id, mfa_payload: 'x' }, 'Field validation failed'],
    [{ mfa_request_id: [], mfa_payload: {} }, 'Field validation failed'],
    [
      { mfa_request_id: id, mfa_payload: Object.fromEntries(Array(65).entries()) },
      'more than 64 second factors were given',
    ],
  ]
  for (const [data, words] of table) {
    const { status, body } = await post(data)
    t.equal(status, 400)
    t.match(body.errors[0], words)
  }
  t.equal((await secrets.read('sys/mfa/validate')).status, 405)
  const payload = { [method]: [phone.at(world.now)] }
  secrets.barrier = undefined
  const sealed = await world.validate(id, payload)
  t.strictSame([sealed.status, sealed.body.errors], [503, ['Vault is sealed']])
})

t.test('a passcode is taken once, and those of the periods beside it too', async t => {
  const { world, phone, give } = await withPhone(t)
  const code = phone.at(world.now)
  t.equal((await give(code)).status, 200)
  t.equal((await give(code)).status, 403, 'used')
  t.equal((await give(phone.at(world.now, 1))).status, 200, 'of a clock that is ahead')
  t.equal((await give(phone.at(world.now, -1))).status, 200, 'of one that is behind')
  t.equal((await give(phone.at(world.now, 2))).status, 403)
  t.equal((await give(phone.at(world.now, -2))).status, 403)
  await world.clock.advance(30_000)
  t.equal((await give(code)).status, 403, 'used in the period before')
  t.equal((await give(phone.at(world.now))).status, 403, 'used, although its period came only now')
  t.equal((await give(phone.at(world.now, 1))).status, 200)
})

t.test('what was used is known of one secret: not of the next, and where it goes over', async t => {
  const { world, method, phone, give } = await withPhone(t, { period: '1h' })
  const { secrets } = world
  const entity_id = await world.entityOf('ann')
  const code = phone.at(world.now)
  t.equal((await give(code)).status, 200)
  await secrets.post('identity/mfa/method/totp/admin-destroy', { method_id: method, entity_id })
  t.match((await give(code)).body.errors[0], /not present in entity/)
  const other = await world.phoneOf('ann', method)
  t.equal((await give(other.at(world.now))).status, 200, 'a new phone logs in at once')
  t.equal((await give(other.at(world.now))).status, 403)
  await world.addUser('bob')
  const to_entity_id = await world.entityOf('bob')
  const { aliases } = (await secrets.read(`identity/entity/id/${entity_id}`)).body.data
  const merge = { from_entity_ids: [entity_id], to_entity_id }
  await secrets.post('identity/entity/merge', {
    ...{ ...merge, conflicting_alias_ids_to_keep: [aliases[0].id] },
  })
  t.equal(await world.entityOf('ann'), to_entity_id)
  t.equal((await give(other.at(world.now))).status, 403, 'used before')
  t.equal((await give(other.at(world.now, 1))).status, 200)
})

t.test('without skew only the present period is taken', async t => {
  const { world, phone, give } = await withPhone(t, { skew: 0, digits: 8, algorithm: 'SHA256' })
  t.equal((await give(phone.at(world.now, -1))).status, 403)
  t.equal((await give(phone.at(world.now, 1))).status, 403)
  t.equal((await give(phone.at(world.now))).status, 200)
})

t.test('too many attempts are refused, right or wrong, until the period is over', async t => {
  const { world, method, phone, give } = await withPhone(t, { max_validation_attempts: 3 })
  const id = await world.begin('ann')
  for (let i = 0; i < 3; i++) t.match((await give('000000', id)).body.errors[0], BAD)
  await world.clock.advance(10_000)
  for (const tries of [4, 5]) {
    const { status, body } = await give(phone.at(world.now), id)
    const text =
      `maximum TOTP validation attempts ${tries} exceeded the allowed attempts 3. ` +
      'Please try again in 20 seconds'
    const failed = `login MFA validation failed for methodID: [${method}]`
    t.strictSame([status, body.errors], [403, [wrong(text, failed)]])
  }
  const anew = await world.begin('ann')
  t.equal((await give(phone.at(world.now), anew)).status, 403, 'another login does not help')
  await world.clock.advance(20_000)
  t.equal((await give(phone.at(world.now), anew)).status, 200)
  for (let i = 0; i < 3; i++) t.match((await give('000000')).body.errors[0], BAD, 'counted anew')
})

t.test(
  'a login waits for five minutes, few of an entity do, and each bears few faults',
  async t => {
    const { world, phone, give } = await withPhone(t, { max_validation_attempts: 1_000 })
    const first = await world.begin('ann')
    await world.clock.advance(limits.mfaLoginMs - 1)
    t.match((await give('000000', first)).body.errors[0], BAD)
    await world.clock.advance(1)
    t.same((await give(phone.at(world.now), first)).body.errors, ['invalid request ID'])
    const ids: string[] = []
    for (let i = 0; i <= limits.mfaLoginsOfEntity; i++) ids.push(await world.begin('ann'))
    t.same((await give(phone.at(world.now), ids[0])).body.errors, ['invalid request ID'])
    t.match((await give('000000', ids[1])).body.errors[0], BAD, 'the oldest alone went')
    for (let i = 0; i < limits.mfaLoginFailures; i++) await give('000000', ids[2])
    t.same((await give(phone.at(world.now), ids[2])).body.errors, ['invalid request ID'])
    t.equal((await give(phone.at(world.now), ids[3])).status, 200)
  },
)

t.test('rows of logins and attempts end', async t => {
  const { world, give } = await withPhone(t)
  await give('000000')
  const rows = () => world.secrets.rows().filter(key => /\/mfa-(logins|attempts)\//.test(key))
  t.ok(rows().length >= 3)
  await world.clock.advance(limits.mfaLoginMs)
  for (const key of rows()) {
    const [namespaceId = '', area = '', ...path] = key.split('/')
    await world.secrets.write(draft =>
      mfaEnd.end(draft, { namespaceId, area, path: path.join('/') }),
    )
  }
  t.strictSame(rows(), [])
})

t.test('a login and its second factor in one request', async t => {
  const { world, method, phone } = await withPhone(t)
  const login = (header: string) => world.login('ann', { headers: { 'x-vault-mfa': header } })
  t.match((await login(`phone:${phone.at(world.now)}`)).body.auth, { client_token: /^hvs/ })
  t.match((await login(`${method}:${phone.at(world.now, 1)}`)).body.auth, { client_token: /^hvs/ })
  const table: readonly (readonly [string, number, string])[] = [
    [`phone:${phone.at(world.now)}`, 403, BAD],
    ['phone:000000', 403, BAD],
    ['phone', 403, BAD],
    ['other:000000', 403, 'failed to find MFA credentials associated with an MFA method ID'],
    [`phone:${phone.at(world.now, -1)}, phone:1`, 403, 'found multiple passcodes'],
    [':000000', 400, 'in header "X-Vault-MFA"; missing method name or ID'],
    ['phone:', 400, 'in header "X-Vault-MFA"; missing method value'],
  ]
  for (const [header, status, words] of table) {
    const got = await login(header)
    t.equal(got.status, status, header)
    t.match(got.body.errors[0], words)
  }
  const other = `other, phone:${phone.at(world.now, -1)}`
  t.match((await login(other)).body.auth, { client_token: /^hvs/ }, 'several headers are one')
  const bad = await world.secrets.post(
    'auth/userpass/login/ann',
    { password: 'wrong' },
    { token: '', headers: { 'x-vault-mfa': `phone:${phone.at(world.now)}` } },
  )
  t.strictSame([bad.status, bad.body.errors], [400, ['invalid username or password']])
})

t.test('a header that no enforcement asks for is warned of', async t => {
  const world = await openWorld(t)
  const { body } = await world.login('ann', { headers: { 'x-vault-mfa': 'phone:1' } })
  t.match(body.auth.client_token, /^hvs/)
  t.same(body.warnings, ['Found MFA header but failed to find MFA Enforcement Config'])
})

t.test('all enforcements are to be satisfied, each by any of its methods', async t => {
  const world = await openWorld(t)
  const ids = [await world.addTotp('a'), await world.addTotp('b'), await world.addTotp('c')]
  const [a, b, c] = ids as [string, string, string]
  await world.enforce('one', [a, b])
  await world.enforce('two', [b, c])
  const phones = new Map<string, Phone>()
  for (const id of ids) phones.set(id, await world.phoneOf('ann', id))
  const { body } = await world.login('ann')
  const { mfa_constraints: asked } = body.auth.mfa_requirement
  t.same(Object.keys(asked), ['one', 'two'])
  t.same(
    asked.two.any.map(({ name }: { name: string }) => name),
    ['b', 'c'],
  )
  const shown = (...wanted: string[]) =>
    Object.fromEntries(wanted.map(id => [id, [phones.get(id)!.at(world.now)]]))
  const table: readonly (readonly [string[], number])[] = [
    [[a], 403],
    [[c], 403],
    [[a, c], 200],
    [[b], 200],
  ]
  for (const [wanted, status] of table) {
    await world.clock.advance(120_000)
    const id = await world.begin('ann')
    t.equal((await world.validate(id, shown(...wanted))).status, status, wanted.join())
  }
  await world.clock.advance(120_000)
  const id = await world.begin('ann')
  const partly = { ...shown(b), [a]: ['000000'] }
  t.equal((await world.validate(id, partly)).status, 200, 'one that is wrong beside a right one')
})

t.test('what changed between the two phases holds', async t => {
  const { world, phone, give } = await withPhone(t)
  const { secrets } = world
  const entity = await world.entityOf('ann')
  const at = `identity/entity/id/${entity}`
  const refused = async (what: string, id: string, words: string, status = 403) => {
    await world.clock.advance(60_000)
    const got = await give(phone.at(world.now), id)
    t.equal(got.status, status, what)
    t.match(got.body.errors[0], words, what)
  }
  let id = await world.begin('ann')
  await secrets.post(at, { disabled: true })
  await refused('his entity is disabled', id, 'permission denied')
  await secrets.post(at, { disabled: false })
  await world.clock.advance(60_000)
  t.equal((await give(phone.at(world.now), id)).status, 200, 'and is not any more')
  id = await world.begin('ann')
  await secrets.remove('auth/userpass/users/ann')
  await refused('the user is gone', id, 'permission denied')
  await world.addUser('ann')
  id = await world.begin('ann')
  await world.addUser('ann', {}, { token_policies: ['more'] })
  await refused('his policies are others', id, 'permission denied')
  await world.addUser('ann', {}, { token_bound_cidrs: ['10.0.0.0/8'] })
  id = await world.begin('ann', { remote: '10.0.0.1' })
  await refused('it comes from elsewhere', id, 'permission denied')
  await world.addUser('ann', {}, { token_bound_cidrs: [] })
  id = await world.begin('ann')
  await secrets.remove('identity/mfa/login-enforcement/all')
  await refused('nothing is asked for any more', id, 'found nil or empty', 400)
  await world.enforce('all', [(await secrets.list('identity/mfa/method')).body.data.keys[0]])
  id = await world.begin('ann')
  await secrets.remove(at)
  await refused('the entity is gone', id, 'not present in entity')
  id = await world.begin('ann')
  await secrets.remove('sys/auth/userpass')
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  await refused('the mount is another one', id, 'invalid request ID', 400)
})

t.test('the answer of either phase is wrapped where that is asked for', async t => {
  const { world, method, phone } = await withPhone(t)
  const { secrets } = world
  const unwrap = (token: string) => secrets.post('sys/wrapping/unwrap', {}, { token })
  const first = await world.login('ann', { wrapTtlMs: 60_000 })
  t.equal(first.body.auth, null)
  t.notOk(Object.hasOwn(first.body.wrap_info, 'wrapped_accessor'), 'there is no token yet')
  const inside = await unwrap(first.body.wrap_info.token)
  t.equal(inside.body.auth.client_token, '')
  const { mfa_request_id: id } = inside.body.auth.mfa_requirement
  const payload = { [method]: [phone.at(world.now)] }
  const second = await world.validate(id, payload, { wrapTtlMs: 60_000 })
  t.match(second.body, { auth: null, wrap_info: { wrapped_accessor: /./ } })
  const whole = await unwrap(second.body.wrap_info.token)
  t.match(whole.body.auth, { client_token: /^hvs/, mfa_requirement: null })
  const headers = { 'x-vault-mfa': `phone:${phone.at(world.now, 1)}` }
  const single = await world.login('ann', { headers, wrapTtlMs: 60_000 })
  t.match(single.body.wrap_info, { wrapped_accessor: /./ })
})

t.test('failures of a password are forgotten with the token, not before', async t => {
  const { world, phone, give } = await withPhone(t)
  const fail = () => world.login('ann', { data: { password: 'wrong' } })
  for (let i = 0; i < 4; i++) await fail()
  await world.begin('ann')
  await fail()
  t.equal((await world.login('ann')).status, 403, 'locked: the password alone is no login')
  await world.clock.advance(900_000)
  for (let i = 0; i < 4; i++) await fail()
  t.equal((await give(phone.at(world.now))).status, 200)
  await fail()
  t.equal((await world.login('ann')).status, 200, 'the count began anew')
})

t.test('quotas count the token where it was asked for', async t => {
  const { world, phone, give } = await withPhone(t)
  const quota = { path: 'auth/userpass', max_leases: 1 }
  await world.secrets.post('sys/quotas/lease-count/q', quota)
  t.equal((await give(phone.at(world.now))).status, 200)
  t.equal((await world.login('ann')).status, 200, 'what waits is none')
  const over = await give(phone.at(world.now, 1))
  t.strictSame([over.status, over.body.errors], [429, ['lease count quota exceeded']])
})

t.test('a login is finished in its namespace', async t => {
  const { world, method } = await withPhone(t)
  const team = { namespace: 'team' }
  await world.secrets.post('sys/namespaces/team')
  await world.secrets.post('sys/auth/userpass', { type: 'userpass' }, team)
  await world.addUser('ann', team)
  const phone = await world.phoneOf('ann', method, team)
  const id = await world.begin('ann', team)
  const payload = { [method]: [phone.at(world.now)] }
  t.same((await world.validate(id, payload)).body.errors, ['invalid request ID'])
  const { body } = await world.validate(id, { phone: payload[method]! }, team)
  t.match(body.auth, { client_token: /^hvs\..*\.\w{6}$/ })
})

t.test('approle meets the same: what it used is used', async t => {
  const { world, method } = await withPhone(t)
  const { secrets } = world
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  await secrets.post('auth/approle/role/web', { secret_id_num_uses: 2, token_type: 'batch' })
  const { role_id } = (await secrets.read('auth/approle/role/web/role-id')).body.data
  const { secret_id } = (await secrets.post('auth/approle/role/web/secret-id')).body.data
  const login = () => secrets.post('auth/approle/login', { role_id, secret_id }, { token: '' })
  t.match((await login()).body.auth, { client_token: /^hvb/ }, 'it is not asked')
  await world.enforce('all', [method], { auth_method_types: ['approle'] })
  const { body } = await login()
  t.equal(body.auth.client_token, '')
  t.equal((await login()).status, 400, 'its secret id is used up')
  const { keys } = (await secrets.list('identity/entity/id')).body.data
  for (const entity_id of keys) {
    const path = 'identity/mfa/method/totp/admin-generate'
    const { data } = (await secrets.post(path, { method_id: method, entity_id })).body
    if (data === null) continue
    const code = new Phone(data.url).at(world.now)
    const got = await world.validate(body.auth.mfa_requirement.mfa_request_id, {
      [method]: [code],
    })
    t.match(got.body.auth, { client_token: /^hvb/, token_type: 'batch' })
  }
})
