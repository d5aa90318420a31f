/** A seal by another server's transit: what is asked of it, and what it may do wrong. */
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../../../src/base/clock.ts'
import { limits } from '../../../../src/base/limits.ts'
import {
  openTransitSeal,
  type TransitSealSettings,
} from '../../../../src/secrets/barrier/kind/transit.run.ts'
import { FakeClock, settled } from '../../../fake/clock.ts'
import { FakeTransit } from '../../../fake/transit.ts'

const quiet = () => {}
const log = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet }

async function opened(t: Test, more: Partial<TransitSealSettings> = {}, clock = systemClock) {
  const server = new FakeTransit()
  const address = await server.listen()
  t.teardown(() => server.close())
  const settings: TransitSealSettings = {
    ...{ address, token: server.token, keyName: 'unseal', mountPath: 'transit/', namespace: '' },
    ...{ isRenewed: false, serverName: '', isVerified: true, ...more },
  }
  const addressesOf = async () => ['127.0.0.1']
  const kind = openTransitSeal(settings, { clock, log, addressesOf, context: undefined })
  t.teardown(() => kind.stop())
  return { server, kind, address }
}

t.test('a root key goes there and back, in the words of Vault', async t => {
  const { server, kind } = await opened(t, { namespace: 'ops/', mountPath: 'keys/of/us/' })
  const rootKey = systemRandom.bytes(32)
  const sealed = await kind.wrap(rootKey)
  t.match(sealed, /^vault:v1:/)
  t.strictSame(await kind.unwrap(sealed), rootKey)
  t.strictSame(server.asked, [
    { path: '/v1/keys/of/us/encrypt/unseal', namespace: 'ops/' },
    { path: '/v1/keys/of/us/decrypt/unseal', namespace: 'ops/' },
  ])
})

t.test('a name is looked up by our own resolver', async t => {
  const { server, kind, address } = await opened(t)
  const named = openTransitSeal(
    {
      ...{ address: address.replace('127.0.0.1', 'vault.test'), token: server.token },
      ...{ keyName: 'unseal', mountPath: 'transit/', namespace: '' },
      ...{ isRenewed: false, serverName: '', isVerified: true },
    },
    {
      ...{ clock: systemClock, log, context: undefined },
      addressesOf: async host => (host === 'vault.test' ? ['127.0.0.1'] : []),
    },
  )
  const rootKey = systemRandom.bytes(32)
  t.strictSame(await named.unwrap(await kind.wrap(rootKey)), rootKey)
})

t.test('what it does wrong is told, and no token or key with it', async t => {
  const { server, kind } = await opened(t)
  const rootKey = systemRandom.bytes(32)
  const sealed = await kind.wrap(rootKey)
  const failure = (asked: Promise<unknown>): Promise<Error & { code: string }> =>
    asked.then(
      () => t.fail('it did not fail'),
      error => error,
    )
  for (const [fault, text] of [
    ['cut', /socket hang up/],
    ['garbage', /does not answer with JSON/],
    ['large', /too large/],
    ['redirect', /answers 307/],
  ] as const) {
    server.fault = fault
    const error = await failure(kind.unwrap(sealed))
    t.match(error.message, text, fault)
    t.equal(error.code, 'unavailable')
    t.notMatch(error.message, server.token)
    t.notMatch(error.message, rootKey.toString('base64'))
  }
  server.fault = 'none'
  t.match(await failure(kind.unwrap('vault:v9:AAAA')), {
    message: /answers 400: encryption key not found/,
  })
  t.match(await failure(kind.unwrap('something else')), { code: 'damaged' })
  const other = await opened(t, { token: 'hvs.wrong' })
  t.match(await failure(other.kind.wrap(rootKey)), { message: /answers 403: permission denied/ })
  const missing = await opened(t, { keyName: 'nowhere' })
  t.match(await failure(missing.kind.wrap(rootKey)), { message: /answers 404/ })
  await server.close()
  t.match(await failure(kind.unwrap(sealed)), { code: 'unavailable', message: /ECONNREFUSED/ })
})

t.test('a server that does not answer is waited for so long and no longer', async t => {
  const clock = new FakeClock()
  const { server, kind } = await opened(t, {}, clock)
  server.fault = 'silent'
  const asked = t.rejects(kind.wrap(systemRandom.bytes(32)), { message: /did not answer in time/ })
  while (server.asked.length === 0) await settled()
  await clock.advance(limits.sealExchangeMs)
  await asked
})

t.test('a newer version of its key is used for what is sealed by an older one', async t => {
  const { server, kind } = await opened(t)
  const sealed = await kind.wrap(systemRandom.bytes(32))
  t.notOk(kind.isOutdated(sealed))
  server.rotate()
  t.notOk(kind.isOutdated(sealed), 'it is not asked for it')
  await kind.wrap(systemRandom.bytes(32))
  t.ok(kind.isOutdated(sealed))
})

t.test('its token is renewed as long as it is needed', async t => {
  const clock = new FakeClock()
  const { server, kind } = await opened(t, { isRenewed: true }, clock)
  await clock.advance(limits.sealTokenRenewalMs)
  while (server.asked.length < 1) await settled()
  t.strictSame(server.asked[0], { path: '/v1/auth/token/renew-self', namespace: '' })
  while (clock.timers === 0) await settled()
  server.fault = 'cut'
  await clock.advance(limits.sealTokenRenewalMs)
  while (server.asked.length < 2) await settled()
  while (clock.timers === 0) await settled()
  kind.stop()
  t.equal(clock.timers, 0)
})
