/** Secrets of entities: who gets one, that it is told once, and how it goes. */
import { decodeQR } from 'qr/decode.js'
import t from 'tap'
import { Phone } from '../../../mfa/phone.ts'
import { pixelsOf } from '../../../mfa/pixels.ts'
import { openWorld } from '../../../mfa/world.ts'

const GENERATE = 'identity/mfa/method/totp/generate'
const ADMIN = 'identity/mfa/method/totp/admin-generate'
const DESTROY = 'identity/mfa/method/totp/admin-destroy'
const NOBODY = '00000000-0000-0000-0000-000000000000'

t.test('an entity is given a secret once, as a URL and as a picture of it', async t => {
  const world = await openWorld(t)
  const { secrets } = world
  const method_id = await world.addTotp('phone', { issuer: 'my team', digits: 8, period: 60 })
  const entity_id = await world.entityOf('ann')
  const made = await secrets.post(ADMIN, { method_id, entity_id })
  const { barcode, url } = made.body.data
  t.match(
    url,
    new RegExp(
      `^otpauth://totp/my%20team:${entity_id}\\?algorithm=SHA1&digits=8&issuer=my%20team&period=60&secret=[A-Z2-7]{32}$`,
    ),
  )
  t.equal(decodeQR(pixelsOf(Buffer.from(barcode, 'base64'))), url)
  const again = await secrets.post(ADMIN, { method_id, entity_id })
  t.strictSame(
    [again.status, again.body.data, again.body.warnings],
    [...[200, null], ['Entity already has a secret for MFA method "phone"']],
  )
  const entity = await secrets.read(`identity/entity/id/${entity_id}`)
  t.same(entity.body.data.mfa_secrets, {
    [method_id]: {
      ...{ type: 'totp', method_name: 'phone', issuer: 'my team', algorithm: 'SHA1' },
      ...{ digits: 8, period: 60, skew: 1 },
    },
  })
  t.notMatch(entity.text, new Phone(url).secret)
  t.equal((await secrets.post(DESTROY, { method_id, entity_id })).status, 204)
  t.same((await secrets.read(`identity/entity/id/${entity_id}`)).body.data.mfa_secrets, {})
  const anew = await secrets.post(ADMIN, { method_id, entity_id })
  t.not(new Phone(anew.body.data.url).secret, new Phone(url).secret)
})

t.test('whoever asks is given one for himself', async t => {
  const world = await openWorld(t)
  const { secrets } = world
  const method_id = await world.addTotp('phone', { qr_size: 0 })
  const rules = `path "${GENERATE}" { capabilities = ["update"] }`
  await secrets.post('sys/policies/acl/own', { policy: rules })
  await world.addUser('bob', {}, { token_policies: ['own'] })
  const { client_token: token } = (await world.login('bob')).body.auth
  const made = await secrets.post(GENERATE, { method_id }, { token })
  t.equal(made.status, 200)
  t.equal(made.body.data.barcode, '')
  t.match(made.body.data.url, `:${await world.entityOf('bob')}?`)
  t.equal((await secrets.post(ADMIN, { method_id }, { token })).status, 403)
  const root = await secrets.post(GENERATE, { method_id })
  t.strictSame([root.status, root.body.errors], [400, ['missing entityID']])
})

t.test('what is not there, or is of another kind, is refused', async t => {
  const world = await openWorld(t)
  const { secrets } = world
  const method_id = await world.addTotp('phone')
  const entity_id = await world.entityOf('ann')
  const duo = { secret_key: 'a', integration_key: 'b', api_hostname: 'c' }
  const made = await secrets.post('identity/mfa/method/duo', duo)
  const table: readonly (readonly [string, Record<string, string>, string])[] = [
    [ADMIN, {}, 'missing method ID'],
    [ADMIN, { method_id }, 'missing entityID'],
    [ADMIN, { method_id, entity_id: NOBODY }, 'invalid entity ID'],
    [ADMIN, { method_id: NOBODY, entity_id }, `configuration for method ID "${NOBODY}" does not`],
    [ADMIN, { method_id: '', entity_id }, 'missing method ID'],
    [
      ...([ADMIN, { method_id: made.body.data.method_id, entity_id }] as const),
      'generate not available for MFA type "duo"',
    ],
    [DESTROY, { method_id }, 'missing entity ID'],
    [DESTROY, { method_id, entity_id: NOBODY }, 'invalid entity ID'],
  ]
  for (const [path, data, words] of table) {
    const { status, body } = await secrets.post(path, data)
    t.equal(status, 400)
    t.match(body.errors[0], words)
  }
  const small = await world.addTotp('small', { qr_size: 5 })
  const refused = await secrets.post(ADMIN, { method_id: small, entity_id })
  t.match(refused.body.errors[0], /^qr_size is too small/)
  const entity = await secrets.read(`identity/entity/id/${entity_id}`)
  t.same(entity.body.data.mfa_secrets, {}, 'nothing was kept of it')
})

t.test('secrets end with their entity, and go over where two become one', async t => {
  const world = await openWorld(t)
  const { secrets } = world
  await world.addUser('bob')
  const [a, b] = [await world.addTotp('a'), await world.addTotp('b')]
  await secrets.mount('userpass', 'second/', { kind: 'auth' })
  await world.phoneOf('ann', a)
  const entities = [await world.entityOf('ann'), await world.entityOf('bob')]
  for (const method_id of [a, b]) {
    await secrets.post(ADMIN, { method_id, entity_id: entities[1]! })
  }
  const [to_entity_id, from] = entities as [string, string]
  const kept = (await secrets.read(`identity/entity/id/${from}`)).body.data.aliases[0].id
  const merge = { from_entity_ids: [from], to_entity_id, conflicting_alias_ids_to_keep: [kept] }
  const refused = await secrets.post('identity/entity/merge', merge)
  const text = `conflicting MFA config ID "${a}" in entity ID "${from}"`
  t.strictSame([refused.status, refused.body.errors], [400, [text]])
  t.equal((await secrets.read(`identity/entity/id/${from}`)).status, 200, 'nothing was done')
  const merged = await secrets.post('identity/entity/merge', { ...merge, force: true })
  t.equal(merged.status, 204)
  const entity = await secrets.read(`identity/entity/id/${to_entity_id}`)
  t.strictSame(Object.keys(entity.body.data.mfa_secrets).sort(), [a, b].sort())
  t.notOk(secrets.rows().some(key => key.includes(`mfa-secrets/${from}`)))
  await secrets.remove(`identity/entity/id/${to_entity_id}`)
  t.notOk(secrets.rows().some(key => key.includes('mfa-secrets/')))
})
