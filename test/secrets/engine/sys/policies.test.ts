/**
 * sys/policies and sys/policy: policies are written, read and gone, in Vault's words.
 */
import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import { defaultPolicy } from '../../../../src/secrets/policy/mod.ts'
import { openSecrets } from '../../harness.ts'

const READ = 'path "kv/a" { capabilities = ["read"] }'

t.test('a policy is written, read, listed and deleted', async t => {
  const secrets = await openSecrets(t)
  const { status, text } = await secrets.post('sys/policies/acl/App', { policy: READ })
  t.equal(status, 200)
  t.match(JSON.parse(text), { data: null, warnings: ['policy name was converted to app'] })
  t.equal((await secrets.post('sys/policies/acl/app', { policy: READ })).status, 204)
  const { body } = await secrets.read('sys/policies/acl/APP')
  t.match(body.data, { name: 'app', policy: READ, version: 2, cas_required: false })
  t.match(body.data.modified, /^\d{4}-/)
  t.same((await secrets.list('sys/policies/acl')).body.data, { keys: ['app', 'default', 'root'] })
  t.equal((await secrets.remove('sys/policies/acl/app')).status, 204)
  t.equal((await secrets.remove('sys/policies/acl/app')).status, 204, 'again')
  t.equal((await secrets.read('sys/policies/acl/app')).status, 404)
})

t.test('as older clients ask', async t => {
  const secrets = await openSecrets(t)
  const written = await secrets.post('sys/policy/app', { rules: READ })
  t.same(written.body.warnings, ["'rules' is deprecated, please use 'policy' instead"])
  t.match((await secrets.read('sys/policy/app')).body.data, { name: 'app', rules: READ })
  for (const { body } of [await secrets.read('sys/policy'), await secrets.list('sys/policy')]) {
    const names = ['app', 'default', 'root']
    t.same(body.data, { keys: names, policies: names })
    t.same([body.keys, body.policies], [names, names], 'beside the envelope too')
  }
  t.equal((await secrets.read('sys/policies/acl/app')).body.data.policy, READ)
  t.equal((await secrets.remove('sys/policy/app')).status, 204)
})

t.test('base64 and JSON', async t => {
  const secrets = await openSecrets(t)
  for (const text of [READ, '{"path":{"kv/a":{"capabilities":["read"]}}}']) {
    await secrets.post('sys/policies/acl/app', { policy: Buffer.from(text).toString('base64') })
    t.equal((await secrets.read('sys/policies/acl/app')).body.data.policy, text)
  }
})

t.test('what is refused', async t => {
  const secrets = await openSecrets(t)
  const cases: [string, object, string][] = [
    ['app', {}, "'policy' parameter not supplied or empty"],
    ['app', { policy: '' }, "'policy' parameter not supplied or empty"],
    ['root', { policy: READ }, 'cannot update "root" policy'],
    ['ROOT', { policy: READ }, 'cannot update "root" policy'],
    [' Root ', { policy: READ }, 'cannot update "root" policy'],
    ['response-wrapping', { policy: READ }, 'cannot update "response-wrapping" policy'],
    [
      'app',
      { policy: 'path "x" { capabilities = ["y"] }' },
      'failed to parse policy: path "x": invalid capability "y"',
    ],
    [
      'app',
      { policy: 'x = 1' },
      'failed to parse policy: 1 error occurred:\n\t* invalid key "x" on line 1\n\n',
    ],
    [
      'app',
      { policy: READ, ttl: '1h', expiration: '2099-01-01T00:00:00Z' },
      "cannot supply both 'expiration' and 'ttl' for policies",
    ],
    [
      'app',
      { policy: READ, expiration: '2001-01-01T00:00:00Z' },
      'refusing to update policy as expiration time has already elapsed',
    ],
    [
      'app',
      { policy: READ, expiration: 'soon' },
      'Field validation failed: error converting input for field "expiration": not a time',
    ],
    ['app', { policy: READ, cas: 3 }, 'check-and-set parameter did not match the current version'],
    ['app', { policy: READ, cas_required: true }, 'check-and-set parameter required for this call'],
  ]
  for (const [name, data, wanted] of cases) {
    const { status, text } = await secrets.post(`sys/policies/acl/${name}`, { ...data })
    t.same([status, text], [400, wanted])
  }
  const served = await secrets.post('sys/policies/acl/app', {
    policy: 'path "x" { control_group = {} }',
  })
  t.same([served.status, served.text], [501, 'not served yet: control_group in a policy'])
  const gone: [string, string][] = [
    ['root', 'cannot delete "root" policy'],
    ['Default', 'cannot delete default policy'],
    ['response-wrapping', 'cannot delete "response-wrapping" policy'],
  ]
  for (const [name, wanted] of gone) {
    const { status, text } = await secrets.remove(`sys/policies/acl/${name}`)
    t.same([status, text], [400, wanted])
  }
  t.equal((await secrets.read('sys/policies/acl/app')).status, 404, 'nothing was written')
})

t.test('default is there, and may be edited; root has no text', async t => {
  const secrets = await openSecrets(t)
  t.equal((await secrets.read('sys/policies/acl/default')).body.data.policy, defaultPolicy)
  await secrets.post('sys/policies/acl/default', { policy: READ, cas: -1 })
  t.equal((await secrets.read('sys/policies/acl/default')).body.data.policy, READ)
  t.match((await secrets.read('sys/policies/acl/root')).body.data, { name: 'root', policy: '' })
})

t.test('versions', async t => {
  const secrets = await openSecrets(t)
  const write = async (data: object) => {
    const { status, text } = await secrets.post('sys/policies/acl/app', { policy: READ, ...data })
    return status === 204 ? 'written' : text
  }
  t.equal(await write({ cas: -1, cas_required: true }), 'written')
  t.equal(await write({ cas: -1 }), 'check-and-set parameter set to -1 on existing entry')
  t.equal(await write({}), 'check-and-set parameter required for this call')
  t.equal(await write({ cas: 0 }), 'check-and-set parameter did not match the current version')
  t.equal(await write({ cas: 1 }), 'written')
  t.equal(await write({}), 'written', 'it is not asked for any more')
})

t.test('parts are changed by a patch', async t => {
  const secrets = await openSecrets(t)
  const patch = (data: object) =>
    secrets.ask('patch', 'sys/policies/acl/app', { data: { ...data } })
  t.match(await patch({ cas_required: true }), { status: 404, text: 'policy not found' })
  await secrets.post('sys/policies/acl/app', { policy: READ, ttl: 60 })
  t.equal((await patch({ cas_required: true })).status, 204)
  const { data } = (await secrets.read('sys/policies/acl/app')).body
  t.match(data, { policy: READ, cas_required: true, version: 2, expiration: /^\d{4}-/ })
})

t.test('a policy ends with its time', async t => {
  let aheadMs = 0
  const clock = { ...systemClock, wall: () => (systemClock.wall() + aheadMs) as never }
  const secrets = await openSecrets(t, { clock })
  await secrets.post('sys/policies/acl/app', { policy: READ, ttl: '1h' })
  t.equal((await secrets.read('sys/policies/acl/app')).status, 200)
  aheadMs = 3_600_000
  t.equal((await secrets.read('sys/policies/acl/app')).status, 404)
  t.same((await secrets.list('sys/policies/acl')).body.data.keys, ['default', 'root'])
})

t.test('folders of names', async t => {
  const secrets = await openSecrets(t)
  for (const name of ['team/a', 'team/b', 'other']) {
    await secrets.post(`sys/policies/acl/${name}`, { policy: READ })
  }
  t.equal((await secrets.read('sys/policies/acl/team/a')).body.data.name, 'team/a')
  t.same((await secrets.list('sys/policies/acl/team')).body.data.keys, ['a', 'b'])
  t.equal((await secrets.list('sys/policies/acl/none')).status, 404)
  const page = await secrets.list('sys/policies/acl', { data: { after: 'default', limit: 2 } })
  t.same(page.body.data.keys, ['other', 'root'])
  const { data } = (await secrets.list('sys/policies/detailed/acl/team')).body
  t.same(data.keys, ['a', 'b'])
  t.match(data.key_info.a, { name: 'team/a', policy: READ, version: 1 })
  const all = (await secrets.list('sys/policies/detailed/acl')).body.data
  t.same(Object.keys(all.key_info), all.keys)
})

t.test('passwords', async t => {
  const secrets = await openSecrets(t)
  const policy = 'length = 12 rule "charset" { charset = "abc" min-chars = 12 }'
  t.equal((await secrets.list('sys/policies/password')).status, 404)
  t.equal((await secrets.post('sys/policies/password/p', { policy })).status, 204)
  t.same((await secrets.read('sys/policies/password/p')).body.data, { policy })
  t.same((await secrets.list('sys/policies/password')).body.data, { keys: ['p'] })
  const { body } = await secrets.read('sys/policies/password/p/generate')
  t.match(body.data.password, /^[abc]{12}$/)
  const again = await secrets.read('sys/policies/password/p/generate')
  t.not(again.body.data.password, body.data.password)
  t.match(await secrets.post('sys/policies/password/p', {}), {
    status: 400,
    text: 'missing policy',
  })
  t.match(
    await secrets.post('sys/policies/password/p', {
      policy: 'length = 200 rule "charset" { charset = "a" }',
    }),
    {
      status: 400,
      text: 'passwords must be between 4 and 100 characters',
    },
  )
  t.equal((await secrets.remove('sys/policies/password/p')).status, 204)
  t.match(await secrets.read('sys/policies/password/p/generate'), {
    status: 404,
    text: 'policy does not exist',
  })
})

t.test('Sentinel is not served', async t => {
  const secrets = await openSecrets(t)
  for (const type of ['rgp', 'egp']) {
    const wanted = { status: 501, text: `not served yet: ${type} policies` }
    t.match(await secrets.list(`sys/policies/${type}`), wanted)
    t.match(
      await secrets.post(`sys/policies/${type}/a`, { policy: 'main = rule { true }' }),
      wanted,
    )
    t.match(await secrets.read(`sys/policies/${type}/a`), wanted)
  }
})
