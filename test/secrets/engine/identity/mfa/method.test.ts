/** The paths of methods: what each type takes and shows, and what is refused. */
import t from 'tap'
import { openWorld } from '../../../mfa/world.ts'

const DUO = { secret_key: 'canary-a', integration_key: 'canary-b', api_hostname: 'api.example.com' }
const OKTA = { org_name: 'example', api_token: 'canary-c' }
const settings = (text: string): string => Buffer.from(text).toString('base64')
const PINGID = {
  settings_file_base64: settings('use_base64_key=canary-d\ntoken=canary-e\nidp_url=https://x.y\n'),
}

t.test('a method is made, read, changed by its id or its name, listed and deleted', async t => {
  const { secrets } = await openWorld(t)
  const made = await secrets.post('identity/mfa/method/totp', { method_name: 'a', issuer: 'x' })
  t.equal(made.status, 200)
  const { method_id: id } = made.body.data
  const shown = {
    ...{ algorithm: 'SHA1', digits: 6, id, issuer: 'x', key_size: 20, max_validation_attempts: 5 },
    ...{ name: 'a', namespace_id: 'root', namespace_path: '', period: 30, qr_size: 200, skew: 1 },
    type: 'totp',
  }
  const at = `identity/mfa/method/totp/${id}`
  t.same((await secrets.read(at)).body.data, shown)
  t.same((await secrets.read(`identity/mfa/method/${id}`)).body.data, shown)
  for (const path of ['identity/mfa/method', 'identity/mfa/method/totp']) {
    t.same((await secrets.list(path)).body.data, { keys: [id], key_info: { [id]: shown } })
  }
  t.equal((await secrets.list('identity/mfa/method/duo')).status, 404)
  const changed = await secrets.post(at, { issuer: 'y', period: '1m', algorithm: 'SHA512' })
  t.equal(changed.status, 204)
  const after = { ...shown, issuer: 'y', period: 60, algorithm: 'SHA512' }
  t.same((await secrets.read(at)).body.data, after)
  const byName = await secrets.post('identity/mfa/method/totp', { method_name: 'a', issuer: 'z' })
  t.same(byName.body.data, { method_id: id })
  t.same((await secrets.read(at)).body.data, { ...shown, issuer: 'z' }, 'all else as for a new one')
  t.equal((await secrets.remove(at)).status, 204)
  t.equal((await secrets.read(at)).status, 404)
  t.equal((await secrets.remove(at)).status, 204, 'what is not there is let pass')
  t.equal((await secrets.post(at, { issuer: 'x' })).status, 404)
})

t.test('methods of services show what they are, and none of their secrets', async t => {
  const { secrets } = await openWorld(t)
  const table = [
    [
      'duo',
      { ...DUO, push_info: 'a=b', use_passcode: true },
      { api_hostname: 'api.example.com', pushinfo: 'a=b', use_passcode: true },
    ],
    ['okta', { ...OKTA, primary_email: true }, { base_url: 'okta.com', org_name: 'example' }],
    ['okta', { ...OKTA, production: false }, { base_url: 'oktapreview.com' }],
    ['pingid', PINGID, { idp_url: 'https://x.y', use_signature: false }],
  ] as const
  for (const [type, data, shown] of table) {
    const format = { username_format: '{{alias.name}}@example.com' }
    const made = await secrets.post(`identity/mfa/method/${type}`, { ...data, ...format })
    const got = await secrets.read(`identity/mfa/method/${type}/${made.body.data.method_id}`)
    t.match(got.body.data, { ...shown, ...format, type, name: '' })
    const all = await secrets.list('identity/mfa/method')
    t.notMatch(made.text + got.text + all.text, /canary/)
  }
})

t.test('what is wrong with a method is said', async t => {
  const { secrets } = await openWorld(t)
  const issuer = 'x'
  const table: readonly (readonly [string, object, string])[] = [
    ['totp', {}, 'issuer must be set'],
    ['totp', { issuer: 'x'.repeat(257) }, 'issuer must have at most 256 characters, none of them'],
    ['totp', { issuer, method_name: 'a\nb' }, 'method_name must have at most 256 characters'],
    ['totp', { issuer, algorithm: 'MD5' }, 'unrecognized algorithm'],
    ['totp', { issuer, algorithm: 'toString' }, 'unrecognized algorithm'],
    ['totp', { issuer, digits: 7 }, 'digits can only be 6 or 8'],
    ['totp', { issuer, period: 0 }, 'period must be greater than zero'],
    ['totp', { issuer, period: '25h' }, 'period must not be longer than a day'],
    ['totp', { issuer, skew: 2 }, 'skew must be 0 or 1'],
    ['totp', { issuer, key_size: 0 }, 'key_size must be greater than zero'],
    ['totp', { issuer, key_size: 257 }, 'key_size must not be greater than 256'],
    ['totp', { issuer, max_validation_attempts: -1 }, 'max_validation_attempts must be greater'],
    ['totp', { issuer, max_validation_attempts: 1_001 }, 'max_validation_attempts must not be'],
    ['totp', { issuer, qr_size: 2_049 }, 'qr_size must be between 0 and 2048'],
    ['totp', { issuer, digits: [] }, 'Field validation failed: error converting input'],
    ['duo', {}, 'secret_key is empty'],
    ['duo', { secret_key: 'a' }, 'integration_key is empty'],
    ['duo', { secret_key: 'a', integration_key: 'b' }, 'api_hostname is empty'],
    ['duo', { ...DUO, api_hostname: 'a.b/c@d' }, 'api_hostname is no name of a host'],
    ['duo', { ...DUO, username_format: 'x'.repeat(1_025) }, 'username_format is longer than 1024'],
    ['okta', {}, 'org_name must be set'],
    ['okta', { org_name: 'a' }, 'api_token must be set'],
    ['okta', { ...OKTA, base_url: 'a.b#c' }, 'error parsing given base_url: no host'],
    ['pingid', {}, 'settings_file_base64 is empty'],
    ['pingid', { settings_file_base64: settings('colour=red') }, 'unknown key "colour" in pingid'],
  ]
  for (const [type, data, words] of table) {
    const { status, body } = await secrets.post(`identity/mfa/method/${type}`, data as never)
    t.equal(status, 400, words)
    t.ok(body.errors[0].startsWith(words), `${body.errors[0]}: ${words}`)
  }
  t.equal((await secrets.list('identity/mfa/method')).status, 404, 'nothing was made')
})

t.test('a method keeps its type, and its name is its own', async t => {
  const world = await openWorld(t)
  const { secrets } = world
  const [a, b] = [await world.addTotp('a'), await world.addTotp('b')]
  const elsewhere = ['failed to find the method ID under MFA type duo.']
  t.same((await secrets.read(`identity/mfa/method/duo/${a}`)).body.errors, elsewhere)
  t.same((await secrets.post(`identity/mfa/method/duo/${a}`, DUO)).body.errors, elsewhere)
  t.same((await secrets.post('identity/mfa/method/duo', { ...DUO, method_name: 'a' })).body, {
    errors: elsewhere,
  })
  t.match((await secrets.remove(`identity/mfa/method/duo/${a}`)).body.errors, [/does not match/])
  const taken = await secrets.post(`identity/mfa/method/totp/${b}`, {
    ...{ issuer: 'x', method_name: 'a' },
  })
  t.match(taken.body.errors, [/the method name a already exists$/])
  t.equal((await secrets.read(`identity/mfa/method/totp/${a}`)).body.data.name, 'a')
})

t.test('one that an enforcement names stays, and secrets go with their method', async t => {
  const world = await openWorld(t)
  const { secrets } = world
  const method = await world.addTotp('a')
  const other = await world.addTotp('b')
  await world.phoneOf('ann', method)
  await world.phoneOf('ann', other)
  await world.enforce('e', [method])
  const { id } = await world.data(secrets.read('identity/mfa/login-enforcement/e'))
  const refused = await secrets.remove(`identity/mfa/method/totp/${method}`)
  const text = `methodID is still used by an enforcement configuration with ID: ${id}`
  t.strictSame([refused.status, refused.body.errors], [400, [text]])
  await secrets.remove('identity/mfa/login-enforcement/e')
  t.equal((await secrets.remove(`identity/mfa/method/totp/${method}`)).status, 204)
  const entity = await secrets.read(`identity/entity/id/${await world.entityOf('ann')}`)
  t.strictSame(Object.keys(entity.body.data.mfa_secrets), [other])
  t.notOk(
    secrets.rows().some(key => key.includes(`${method}`)),
    'nothing is left of it',
  )
})

t.test('a namespace uses methods of those that it is in, and changes its own alone', async t => {
  const world = await openWorld(t)
  const { secrets } = world
  await secrets.post('sys/namespaces/team')
  await secrets.post('sys/namespaces/other')
  const [team, other] = [{ namespace: 'team' }, { namespace: 'other' }]
  const outer = await world.addTotp('outer')
  const inner = await world.addTotp('inner', {}, team)
  const keys = async (asked: object): Promise<string[]> =>
    (await secrets.list('identity/mfa/method', asked)).body.data?.keys ?? []
  t.strictSame(await keys({}), [outer])
  t.strictSame(await keys(team), [outer, inner].sort())
  t.equal((await secrets.read(`identity/mfa/method/${inner}`)).status, 200)
  t.equal((await secrets.read(`identity/mfa/method/${outer}`, team)).status, 200)
  t.equal((await secrets.read(`identity/mfa/method/${inner}`, other)).status, 404)
  const changed = await secrets.post(`identity/mfa/method/totp/${outer}`, { issuer: 'y' }, team)
  const text = 'request namespace does not match method namespace'
  t.strictSame([changed.status, changed.body.errors], [400, [text]])
  const gone = await secrets.remove(`identity/mfa/method/totp/${inner}`)
  t.strictSame([gone.status, gone.body.errors], [400, [text]])
  t.same(await world.addTotp('outer', {}, team).then(id => id !== outer), true, 'a name of its own')
})
