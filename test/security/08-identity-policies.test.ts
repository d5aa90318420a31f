/**
 * Class 8: identities that give what nobody gave: a merge that takes over policies, `root` in
 * capitals, an entity that its own edit makes an operator (CVE-2021-41802, CVE-2025-5999,
 * CVE-2025-64761, CVE-2024-9180). No write to identities, roles or users comes to `root`, in any
 * spelling; and what lies in a row all the same is never taken for it.
 */
import fc from 'fast-check'
import t from 'tap'
import { entityRows, groupRows } from '../../src/secrets/identity/rows.ts'
import { propertyRuns } from '../run/budget.ts'
import { AT, drawSecretId, logIn, makeRole } from '../secrets/engine/approle/harness.ts'
import { type Asked, openSecrets, type TestSecrets } from '../secrets/harness.ts'

type Data = NonNullable<Asked['data']>

const SPELLINGS = [
  ...['root', 'Root', 'ROOT', 'rOOt', ' root', 'root ', '\troot', 'root\n', 'root\r', ' RooT '],
  ...['ro\u200bot', 'root\u0000', '\ufeffroot', 'ｒｏｏｔ', 'ＲＯＯＴ', 'ro\u00adot', 'root\u2028'],
]

/** Every write that says policies of an identity, as lists and as text with commas. */
const writesOf = (policies: string[]): [string, Data][] => [
  ['identity/entity', { name: 'e', policies }],
  ['identity/entity', { name: 'e', policies: policies.join(',') }],
  ['identity/entity/name/e', { policies }],
  ['identity/group', { name: 'g', policies }],
  ['identity/group', { name: 'g', type: 'external', policies: policies.join(',') }],
  ['identity/group/name/g', { policies }],
]

async function open(test: Parameters<typeof openSecrets>[0]): Promise<TestSecrets> {
  const secrets = await openSecrets(test)
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  await secrets.mount('kv', 'plain/')
  await secrets.post('plain/x', { v: 1 })
  return secrets
}

/** A token of a login, with its entity. */
async function login(secrets: TestSecrets, name: string) {
  const roleId = await makeRole(secrets, name)
  const { secret_id } = await drawSecretId(secrets, name)
  const { auth } = (await logIn(secrets, roleId, secret_id)).body
  return { token: auth.client_token as string, entityId: auth.entity_id as string, auth }
}

t.test('attack: root in every spelling, by every write', async test => {
  const secrets = await open(test)
  const { token, entityId } = await login(secrets, 'web')
  for (const spelling of SPELLINGS) {
    for (const [path, data] of writesOf(['a', spelling])) {
      const got = await secrets.post(path, data)
      test.match(got, { status: 400, text: 'policies cannot contain root' }, path)
    }
    const own = await secrets.post(`identity/entity/id/${entityId}`, { policies: [spelling] })
    test.equal(own.status, 400)
  }
  test.equal((await secrets.read('plain/x', { token })).status, 403)
})

t.test('attack: a role or a user whose logins would be root', async test => {
  const secrets = await open(test)
  for (const spelling of ['root', 'ROOT', ' root ', 'Root']) {
    const role = await secrets.post(`${AT}/role/r`, { token_policies: [spelling] })
    if (role.status < 300) {
      const { role_id } = (await secrets.read(`${AT}/role/r/role-id`)).body.data
      const { secret_id } = await drawSecretId(secrets, 'r')
      test.equal((await logIn(secrets, role_id, secret_id)).status, 400, 'no token comes of it')
    }
    const user = { password: 'p', token_policies: spelling }
    const made = await secrets.post('auth/userpass/users/u', user)
    if (made.status < 300) {
      const got = await secrets.post('auth/userpass/login/u', { password: 'p' }, { token: '' })
      test.equal(got.status, 400)
    }
  }
})

t.test('attack: rows that hold root all the same', async test => {
  const secrets = await open(test)
  const { token, entityId } = await login(secrets, 'web')
  await secrets.write(draft => {
    const group = { id: 'g', name: 'g', type: 'internal', metadata: {}, alias: '', namespace: '' }
    const more = {
      namespaceId: 'root',
      modifyIndex: 1,
      createdAtMs: 0,
      updatedAtMs: 0,
      parents: [],
      policies: ['root'],
    }
    groupRows(draft, 'root').put('g', { ...group, ...more })
    const entity = entityRows(draft, 'root').get<object>(entityId)!
    const groups = [{ id: 'g', via: '' }]
    entityRows(draft, 'root').put(entityId, { ...entity, groups, policies: ['root'] })
  })
  test.equal((await secrets.read('plain/x', { token })).status, 403)
  const capabilities = await secrets.post(
    'sys/capabilities-self',
    { paths: ['plain/x'] },
    { token },
  )
  test.notMatch(capabilities.text, /"root"/)
})

t.test('attack: a merge gives the policies of the one to the other', async test => {
  const secrets = await open(test)
  await secrets.post('sys/policies/acl/reader', {
    policy: 'path "plain/*" { capabilities = ["read"] }',
  })
  const poor = await login(secrets, 'poor')
  const rich = await secrets.post('identity/entity', { name: 'rich', policies: ['reader'] })
  const merge = { from_entity_ids: [rich.body.data.id], to_entity_id: poor.entityId }
  test.equal((await secrets.post('identity/entity/merge', merge)).status, 204)
  const { token } = poor
  test.equal((await secrets.read('plain/x', { token })).status, 403)
})

t.test('near miss: names that only look like it are policies like others', async test => {
  const secrets = await open(test)
  for (const name of ['rooted', 'toor', 'root-of-all', 'r00t', 'a/root']) {
    const got = await secrets.post('identity/entity', { name, policies: [name] })
    test.equal(got.status, 200, name)
  }
})

t.test('generated: any casing of root within any blanks', async test => {
  const secrets = await open(test)
  const letters = fc.tuple(...[...'root'].map(one => fc.constantFrom(one, one.toUpperCase())))
  const blank = fc.stringMatching(/^[\s\u200b\ufeff]{0,3}$/)
  await fc.assert(
    fc.asyncProperty(blank, letters, blank, async (before, word, after) => {
      const name = before + word.join('') + after
      for (const [path, data] of writesOf([name])) {
        const { status } = await secrets.post(path, data)
        if (status !== 400) throw new Error(`${path} took ${JSON.stringify(name)}`)
      }
    }),
    { numRuns: propertyRuns() },
  )
})
