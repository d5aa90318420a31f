/** OAuth over the wire: forms, the header Authorization, and heads that say a thing once. */
import tap from 'tap'
import {
  authorize,
  basic,
  CALLBACK,
  clientOf,
  person,
} from '../../secrets/engine/identity/oidc/people.ts'
import { openSecretsFace } from './face.ts'

const AT = '/v1/identity/oidc/provider/default'
const FORM = 'Content-Type: application/x-www-form-urlencoded'

/** The values of a header in a head as it was sent. */
const valuesOf = (head: string, name: string): string[] =>
  head
    .split('\r\n')
    .filter(line => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    .map(line => line.slice(name.length + 1).trim())

tap.test('a client redeems a code, and asks with what it is given', async t => {
  const face = await openSecretsFace(t)
  const { secrets } = face
  const ann = await person(secrets, 'ann')
  const shop = await clientOf(secrets, 'shop')
  const redeem = async (headers: readonly string[], more = '') => {
    const { code } = (await authorize(secrets, ann, shop)).body
    const uri = encodeURIComponent(CALLBACK)
    const form = `grant_type=authorization_code&code=${code}&redirect_uri=${uri}${more}`
    return face.send('POST', `${AT}/token`, { token: '', headers: [FORM, ...headers], body: form })
  }
  const header = `Authorization: ${basic(shop)}`
  const got = await redeem([header])
  t.equal(got.status, 200)
  t.strictSame(valuesOf(got.head, 'Cache-Control'), ['no-store'])
  t.strictSame(valuesOf(got.head, 'Pragma'), ['no-cache'])
  t.strictSame(valuesOf(got.head, 'Content-Type'), ['application/json'])
  t.equal((await redeem([header.replace('Basic', 'basic')])).status, 200)
  const posted = `&client_id=${shop.client_id}&client_secret=${shop.client_secret}`
  t.equal((await redeem([], posted)).status, 200)
  const wrong = await redeem([`Authorization: ${basic({ ...shop, client_secret: 'x' })}`], posted)
  t.equal(wrong.status, 401)
  t.strictSame(valuesOf(wrong.head, 'WWW-Authenticate'), ['Basic'])
  const { access_token: token } = JSON.parse(got.body)
  const bearer = [`Authorization: Bearer ${token}`]
  for (const method of ['GET', 'POST']) {
    const told = await face.send(method, `${AT}/userinfo`, { token: '', headers: bearer })
    t.strictSame([told.status, JSON.parse(told.body)], [200, { sub: ann.entityId }])
  }
  const asToken = await face.send('GET', `${AT}/userinfo`, { token })
  t.equal(asToken.status, 401)
  t.match(valuesOf(asToken.head, 'WWW-Authenticate'), [/^Bearer error="invalid_token"/])
  // Of both, the other header is who asks: what is shown as Bearer is looked at all the same.
  const both = await face.send('GET', `${AT}/userinfo`, { token: 'other', headers: bearer })
  t.equal(both.status, 200)
  const records = JSON.stringify(await face.records())
  for (const secret of [token, shop.client_secret, basic(shop).slice(6)]) {
    t.notMatch(records, secret)
  }
})

tap.test('what anybody is told may be kept, and says so once', async t => {
  const face = await openSecretsFace(t)
  await clientOf(face.secrets, 'shop')
  for (const [page, wanted] of [
    ['openid-configuration', /^max-age=3600$/],
    ['keys', /^max-age=\d+$/],
  ] as const) {
    const got = await face.send('GET', `${AT}/.well-known/${page}`, { token: '' })
    t.equal(got.status, 200)
    t.match(valuesOf(got.head, 'Cache-Control'), [wanted])
    t.equal(valuesOf(got.head, 'Cache-Control').length, 1)
    t.ok(JSON.parse(got.body))
  }
})
