/** Where answers to a client may be sent, and what it shows itself with. */
import tap from 'tap'
import { isRedirect, shownIn } from '../../../src/secrets/oidc/client.ts'
import type { ClientRow } from '../../../src/secrets/oidc/rows.ts'

const allows = (redirectUris: readonly string[], uri: string): boolean =>
  isRedirect(uri, { redirectUris } as unknown as ClientRow)

tap.test('to the letter, but for the ports of the own machine', t => {
  for (const [registered, uri, isRight] of [
    ['https://a.example/cb', 'https://a.example/cb', true],
    ['https://a.example/cb', 'https://a.example/cb/', false],
    ['https://a.example/cb', 'https://a.example:443/cb', false],
    ['https://a.example/cb', 'https://A.example/cb', false],
    ['https://a.example/cb', 'https://a.example/cb?x', false],
    ['https://a.example/cb', 'https://a.example.evil/cb', false],
    ['http://localhost/cb', 'http://localhost:49152/cb', true],
    ['http://localhost:8080/cb', 'http://localhost/cb', true],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/cb', true],
    ['http://[::1]/cb', 'http://[::1]:65535/cb', true],
    ['app://localhost/cb', 'app://localhost:1/cb', true],
    ['http://localhost', 'http://localhost:1', true],
    ['http://localhost/cb', 'https://localhost:1/cb', false],
    ['http://localhost/cb', 'http://127.0.0.1:1/cb', false],
    ['http://localhost/cb', 'http://localhost:1/cb2', false],
    ['http://localhost/cb', 'http://localhost:1@evil.example/cb', false],
    ['http://localhost/cb', 'http://localhost@evil.example/cb', false],
    ['http://localhost/cb', 'http://localhost.evil.example/cb', false],
    ['http://localhost/cb', 'http://localhost:1evil/cb', false],
    ['http://localhost/cb', 'http://localhost\\@evil.example/cb', false],
    ['http://localhost/cb', 'http://LOCALHOST:1/cb', false],
    ['http://localhost/cb', 'http://127.0.0.2:1/cb', false],
    ['http://localhost/cb', '//localhost:1/cb', false],
  ] as const) {
    t.equal(allows([registered], uri), isRight, `${uri} for ${registered}`)
  }
  t.equal(allows([], 'http://localhost/cb'), false)
  t.end()
})

tap.test('RFC 7617: what a header shows', t => {
  const of = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  t.strictSame(shownIn(of('a:b')), { clientId: 'a', clientSecret: 'b' })
  t.strictSame(shownIn(of('a:b:c')), { clientId: 'a', clientSecret: 'b:c' })
  t.strictSame(shownIn(of(':')), { clientId: '', clientSecret: '' })
  t.strictSame(shownIn(of('%61:b%5Fc')), { clientId: 'a', clientSecret: 'b_c' })
  t.strictSame(shownIn(of('a:%')), { clientId: 'a', clientSecret: '%' })
  for (const text of ['', 'Basic', 'Basic ', of('a'), 'Bearer YTpi', 'Basic a b', 'Basic =']) {
    t.equal(shownIn(text), undefined, text)
  }
  t.end()
})
