/**
 * Keys of issuers: how often they are asked, how long their keys hold, and whom they are taken
 * from.
 */
import t, { type Test } from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { Timeouts } from '../../../src/base/timeouts.ts'
import { KeySource } from '../../../src/identity/auth-method/keys.run.ts'
import { testCertificate, testKey } from '../../checks/certificate.ts'
import { FakeClock } from '../../fake/clock.ts'
import { Issuer } from './issuer.ts'
import { otherRsa, resolverOf, rsa } from './tokens.ts'

const has = (id: string) => (keys: readonly { readonly id: string | undefined }[]) =>
  keys.some(key => key.id === id)

function start(names: Parameters<typeof resolverOf>[0] = {}) {
  const clock = new FakeClock()
  const timeouts = new Timeouts(clock)
  const source = new KeySource({
    resolver: resolverOf(names),
    mayReach: () => true,
    clock,
    timeouts,
  })
  return { clock, source }
}

const idsOf = (found: Awaited<ReturnType<KeySource['keysOf']>>): unknown =>
  typeof found === 'string' ? found : found.keys.map(key => key.id)

t.test('keys are fetched once, again when they are old, and at once for all who ask', async t => {
  const issuer = await Issuer.start(t, { '/keys': () => ({ keys: [{ ...rsa, kid: 'a' }] }) })
  const { clock, source } = start()
  const place = { kind: 'set', url: `${issuer.url}/keys`, caCert: '' } as const
  const all = await Promise.all([1, 2, 3].map(() => source.keysOf(place, has('a'))))
  t.same(all.map(idsOf), [['a'], ['a'], ['a']])
  t.equal(issuer.paths.length, 1)
  await clock.advance(limits.jwksFreshMs - 1)
  await source.keysOf(place)
  t.equal(issuer.paths.length, 1)
  await clock.advance(1)
  await source.keysOf(place)
  t.equal(issuer.paths.length, 2)
})

t.test('an unknown key has them fetched, but not at every wish', async t => {
  let keys = [{ ...rsa, kid: 'a' }]
  const issuer = await Issuer.start(t, { '/keys': () => ({ keys }) })
  const { clock, source } = start()
  const place = { kind: 'set', url: `${issuer.url}/keys`, caCert: '' } as const
  await source.keysOf(place, has('a'))
  keys = [{ ...otherRsa, kid: 'b' }]
  for (let i = 0; i < 10; i++) t.same(idsOf(await source.keysOf(place, has('b'))), ['a'])
  t.equal(issuer.paths.length, 1, 'within the time that an issuer is left alone')
  await clock.advance(limits.jwksRetryMs)
  t.same(idsOf(await source.keysOf(place, has('b'))), ['b'], 'a rotated key')
  t.equal(issuer.paths.length, 2)
})

t.test('an issuer that is away: keys hold on for a time, and no longer', async t => {
  let isAway = false
  const issuer = await Issuer.start(t, {
    '/keys': () => (isAway ? { status: 503 } : { keys: [{ ...rsa, kid: 'a' }] }),
  })
  const { clock, source } = start()
  const place = { kind: 'set', url: `${issuer.url}/keys`, caCert: '' } as const
  await source.keysOf(place)
  isAway = true
  await clock.advance(limits.jwksKeptMs)
  t.same(idsOf(await source.keysOf(place)), ['a'])
  await clock.advance(limits.jwksRetryMs)
  t.equal(idsOf(await source.keysOf(place)), 'the issuer answered 503')
  isAway = false
  t.equal(idsOf(await source.keysOf(place)), 'the issuer answered 503', 'it is left alone')
  await clock.advance(limits.jwksRetryMs)
  t.same(idsOf(await source.keysOf(place)), ['a'])
})

t.test('an issuer that never answers', async t => {
  const issuer = await Issuer.start(t, { '/keys': () => ({ silent: true }) })
  const { clock, source } = start()
  const asking = source.keysOf({ kind: 'set', url: `${issuer.url}/keys`, caCert: '' })
  while (issuer.paths.length === 0) await new Promise(resolve => setImmediate(resolve))
  await clock.advance(limits.jwksTimeoutMs + 100)
  t.equal(await asking, 'the issuer did not answer in time')
})

t.test('discovery', async t => {
  const issuer: Issuer = await Issuer.start(t, {
    '/x/.well-known/openid-configuration': () => ({
      json: { issuer: `${issuer.url}/x`, jwks_uri: `${issuer.url}/keys` },
    }),
    '/keys': () => ({ keys: [{ ...rsa, kid: 'a' }] }),
    '/none/.well-known/openid-configuration': () => ({ json: {} }),
    '/html/.well-known/openid-configuration': () => ({ text: '<html>' }),
  })
  const { source } = start()
  const at = (path: string) => ({ kind: 'discovery', url: issuer.url + path, caCert: '' }) as const
  const found = await source.keysOf(at('/x'))
  t.same([idsOf(found), typeof found === 'string' ? '' : found.issuer], [['a'], `${issuer.url}/x`])
  t.equal(idsOf(await source.keysOf(at('/none'))), 'the discovery document names no key set')
  t.equal(idsOf(await source.keysOf(at('/html'))), 'the answer is not JSON')
  t.equal(await source.problemOf(at('/x')), undefined)
  t.equal(
    await source.problemOf(at('/gone')),
    'error checking OIDCDiscoveryURL: the issuer answered 404',
  )
})

t.test('over TLS: the authority that is named, and the name that is asked for', async t => {
  const tls = { key: testKey, cert: testCertificate }
  const issuer = await Issuer.start(t, { '/keys': () => ({ keys: [rsa] }) }, tls)
  const { source } = start({
    'web.example': () => ['127.0.0.1'],
    'other.example': () => ['127.0.0.1'],
  })
  const at = (host: string, caCert: string) =>
    ({ kind: 'set', url: `https://${host}:${issuer.port}/keys`, caCert }) as const
  t.same(idsOf(await source.keysOf(at('web.example', testCertificate))), [undefined])
  t.match(idsOf(await source.keysOf(at('web.example', ''))), /self.signed certificate/)
  t.match(idsOf(await source.keysOf(at('other.example', testCertificate))), /does not match/)
  t.match(idsOf(await source.keysOf(at('127.0.0.1', testCertificate))), /does not match/)
})

t.test('places that are asked for are kept, but not any number of them', async (t: Test) => {
  const issuer = await Issuer.start(t, { '/first': () => ({ keys: [rsa] }) })
  const { source } = start({ nobody: () => [] })
  const first = { kind: 'set', url: `${issuer.url}/first`, caCert: '' } as const
  await source.keysOf(first)
  for (let i = 0; i < limits.jwksPlaces; i++) {
    await source.keysOf({ kind: 'set', url: `http://gone${i}/`, caCert: '' })
  }
  await source.keysOf(first)
  t.equal(issuer.paths.length, 2, 'the oldest one was let go')
})
