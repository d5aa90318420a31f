/**
 * A login from its token to its identity, with the keys of an issuer that rotates them.
 */
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { limits } from '../../../src/base/limits.ts'
import { Timeouts } from '../../../src/base/timeouts.ts'
import { KeySource } from '../../../src/identity/auth-method/keys.run.ts'
import { loginByJwt } from '../../../src/identity/auth-method/verify.run.ts'
import { FakeClock } from '../../fake/clock.ts'
import { Issuer } from './issuer.ts'
import { configOf, good, NOW_MS, otherRsa, resolverOf, rsa, tokenOf } from './tokens.ts'

t.test('by the keys of an issuer, which change', async t => {
  let keys = [{ ...rsa, kid: 'one' }]
  const issuer: Issuer = await Issuer.start(t, {
    '/.well-known/openid-configuration': () => ({
      json: { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` },
    }),
    '/keys': () => ({ keys }),
  })
  const clock = new FakeClock()
  const timeouts = new Timeouts(clock)
  const source = new KeySource({
    resolver: resolverOf({}),
    mayReach: () => true,
    clock,
    timeouts,
  })
  const config = configOf({
    OIDCDiscoveryURL: issuer.url,
    BoundIssuer: '',
    ListClaimMappings: { groups: 'groups' },
  })
  const claims = { ...good, iss: issuer.url, groups: ['ops'] }
  const login = async (kid: string, key = rsa.privateKey, said: object = claims) => {
    const token = tokenOf(said as Record<string, unknown>, { kid }, 'RS256', key)
    const given = await loginByJwt(config, token, source, NOW_MS)
    return given instanceof Refusal ? `${given.status} ${given.text}` : given
  }
  t.match(await login('one'), { values: { user: 'ann' }, lists: { groups: ['ops'] } })
  t.match(
    await login('one', rsa.privateKey, { ...claims, iss: 'https://issuer' }),
    /^403 Permission denied: error validating claims: .*\(iss\)$/,
  )
  keys = [{ ...otherRsa, kid: 'two' }]
  const unknown = '403 Permission denied: no known key successfully validated the token signature'
  t.equal(await login('two', otherRsa.privateKey), unknown, 'the issuer is left alone for a while')
  await clock.advance(limits.jwksRetryMs)
  t.match(await login('two', otherRsa.privateKey), { values: { user: 'ann' } })
  t.equal(await login('one'), unknown, 'a key that was withdrawn')
})

t.test('an issuer that cannot be asked', async t => {
  const config = configOf({ JWKSURL: 'http://gone/keys' })
  const keys = { keysOf: async () => 'the issuer answered 503' }
  const given = await loginByJwt(config, tokenOf(good), keys, NOW_MS)
  t.ok(given instanceof Refusal)
  t.match(given, { status: 403, text: /error verifying token: the issuer answered 503/ })
})
