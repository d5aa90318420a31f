/**
 * Class 6: a templated policy whose user-chosen values hold `*`, `+` or `/` opens more than it says
 * (CVE-2026-71543, CVE-2026-5006). Names and metadata of entities, aliases and groups may hold
 * whatever their owner writes; a path that they would change the meaning of is dropped.
 */
import fc from 'fast-check'
import t from 'tap'
import { propertyRuns } from '../run/budget.ts'
import { drawSecretId, logIn, makeRole } from '../secrets/engine/approle/harness.ts'
import { openSecrets, type TestSecrets } from '../secrets/harness.ts'

const OTHERS = 'plain/others/x'

const ATTACKS = [
  ...['*', '+', 'others*', 'oth+', '../others', './others', 'others/x', '/others', 'others/', '..'],
  ...['.', '+/x', 'others\u0000', 'o*', '{{identity.entity.id}}', '"} path "*"', ' others '],
]

/** A login, with a policy that opens what is named like a part of its entity. */
async function open(
  test: Parameters<typeof openSecrets>[0],
  template: (accessor: string) => string,
) {
  const secrets = await openSecrets(test)
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  await secrets.mount('kv', 'plain/')
  await secrets.post(OTHERS, { v: 1 })
  await secrets.post('plain/mine/x', { v: 1 })
  const { accessor } = (await secrets.read('sys/auth')).body.data['approle/']
  const place = `plain/{{identity.entity.${template(accessor)}}}/*`
  const policy = `path "${place}" { capabilities = ["read"] }`
  await secrets.post('sys/policies/acl/own', { policy })
  const roleId = await makeRole(secrets, 'web', { token_policies: 'own' })
  const { secret_id } = await drawSecretId(secrets, 'web')
  const { auth } = (await logIn(secrets, roleId, secret_id)).body
  const entity = auth.entity_id as string
  const alias = (await secrets.read(`identity/entity/id/${entity}`)).body.data.aliases[0]
    .id as string
  return { secrets, entity, alias, token: auth.client_token as string }
}

const statusOf = async (secrets: TestSecrets, path: string, token: string): Promise<number> =>
  (await secrets.read(path, { token })).status

t.test('attack: the name of an entity', async test => {
  const { secrets, entity, token } = await open(test, () => 'name')
  for (const name of ATTACKS) {
    await secrets.post(`identity/entity/id/${entity}`, { name })
    test.equal(await statusOf(secrets, OTHERS, token), 403)
    test.equal(await statusOf(secrets, 'plain/mine/x', token), 403)
  }
  await secrets.post(`identity/entity/id/${entity}`, { name: 'mine' })
  test.equal(await statusOf(secrets, 'plain/mine/x', token), 200, 'near miss: a plain name')
  test.equal(await statusOf(secrets, OTHERS, token), 403)
})

t.test('attack: metadata of an entity', async test => {
  const { secrets, entity, token } = await open(test, () => 'metadata.team')
  for (const team of ATTACKS) {
    await secrets.post(`identity/entity/id/${entity}`, { metadata: { team } })
    test.equal(await statusOf(secrets, OTHERS, token), 403)
  }
  await secrets.post(`identity/entity/id/${entity}`, { metadata: { team: 'mine' } })
  test.equal(await statusOf(secrets, 'plain/mine/x', token), 200)
})

t.test('attack: the name and the metadata of an alias', async test => {
  const { secrets, alias, token } = await open(test, accessor => `aliases.${accessor}.name`)
  for (const name of ATTACKS) {
    await secrets.post(`identity/entity-alias/id/${alias}`, { name })
    test.equal(await statusOf(secrets, OTHERS, token), 403)
  }
  const custom = await open(test, accessor => `aliases.${accessor}.custom_metadata.team`)
  for (const team of ATTACKS) {
    const at = `identity/entity-alias/id/${custom.alias}`
    await custom.secrets.post(at, { custom_metadata: { team } })
    test.equal(await statusOf(custom.secrets, OTHERS, custom.token), 403)
  }
})

t.test('generated: whatever the value, it opens what is named by it alone', async test => {
  const { secrets, entity, token } = await open(test, () => 'metadata.team')
  const value = fc
    .array(fc.constantFrom(...'others*+/.{}" ', 'x'), { maxLength: 8 })
    .map(all => all.join(''))
  await fc.assert(
    fc.asyncProperty(value, async team => {
      const { status } = await secrets.post(`identity/entity/id/${entity}`, { metadata: { team } })
      if (status !== 204 || team === 'others') return
      const got = await statusOf(secrets, OTHERS, token)
      if (got !== 403) throw new Error(`${JSON.stringify(team)} opened it: ${got}`)
    }),
    { numRuns: propertyRuns() },
  )
})
