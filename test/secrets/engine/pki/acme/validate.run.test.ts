/** Looking at challenges: what is right, what is not, and where nobody looks. */
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import tap, { type Test } from 'tap'
import { systemClock } from '../../../../../src/base/clock.ts'
import { targetGuard } from '../../../../../src/checks/guard.ts'
import type { ValidationRow } from '../../../../../src/secrets/engine/pki/acme/rows.ts'
import {
  type ValidationTools,
  validate,
} from '../../../../../src/secrets/engine/pki/acme/validate.run.ts'
import { signNow } from '../../../../../src/x509/algorithm.ts'
import { certificateBody } from '../../../../../src/x509/certificate.ts'
import { type GeneralNames, noNames } from '../../../../../src/x509/general-name.ts'
import { pemOf } from '../../../../../src/x509/pem.ts'

const KEY_AUTHORIZATION = 'token.thumbprint'
const DIGEST = createHash('sha256').update(KEY_AUTHORIZATION).digest()

const row = (more: Partial<ValidationRow>): ValidationRow => ({
  mount: {} as never,
  ...{ accountId: 'a', authorizationId: 'z', token: 'token' },
  keyAuthorization: KEY_AUTHORIZATION,
  identifier: { type: 'dns', value: 'web.example', isWildcard: false },
  type: 'http-01',
  ...{ tries: 0, nextMs: 0 },
  ...more,
})

const tools = (more: Partial<ValidationTools> = {}): ValidationTools => ({
  resolver: { addressesOf: async () => ['127.0.0.1'], textsOf: async () => [] },
  mayReach: () => true,
  clock: systemClock,
  ...{ httpPort: 1, tlsPort: 1 },
  ...more,
})

/** A server that answers as a test says; what was asked is kept. */
async function httpServer(t: Test, answer: RequestListener) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.headers.host} ${request.url}`)
    answer(request, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { asked, port: (server.address() as AddressInfo).port }
}

tap.test('http-01: what is expected is there, with a line end or not', async t => {
  for (const body of [KEY_AUTHORIZATION, `${KEY_AUTHORIZATION}\n`]) {
    const { asked, port } = await httpServer(t, (_, response) => response.end(body))
    t.equal(await validate(row({}), tools({ httpPort: port })), undefined)
    t.strictSame(asked, ['GET web.example /.well-known/acme-challenge/token'])
  }
})

tap.test('http-01: another text, a redirect, too much, nobody', async t => {
  const answers: readonly (readonly [string, RequestListener, string])[] = [
    ['another text', (_, response) => response.end('token.other'), 'incorrectResponse'],
    ['nothing', (_, response) => response.end(), 'incorrectResponse'],
    [
      'a redirect',
      (_, response) => response.writeHead(302, { location: 'http://127.0.0.1/' }).end(),
      'unauthorized',
    ],
    ['not found', (_, response) => response.writeHead(404).end(KEY_AUTHORIZATION), 'unauthorized'],
    ['too much', (_, response) => response.end('x'.repeat(100_000)), 'connection'],
    ['cut off', (_, response) => response.destroy(), 'connection'],
  ]
  for (const [name, answer, kind] of answers) {
    const { port } = await httpServer(t, answer)
    t.match(await validate(row({}), tools({ httpPort: port })), { kind }, name)
  }
  t.match(await validate(row({}), tools()), { kind: 'connection' }, 'nobody listens')
})

tap.test('class 33: what may not be reached is not connected to', async t => {
  const { asked, port } = await httpServer(t, (_, response) => response.end(KEY_AUTHORIZATION))
  const guarded = tools({ httpPort: port, mayReach: targetGuard(['10.0.0.0/8']) })
  t.match(await validate(row({}), guarded), { kind: 'connection' })
  const mapped = { type: 'ip', value: '::ffff:127.0.0.1', isWildcard: false } as const
  t.match(await validate(row({ identifier: mapped }), guarded), { kind: 'connection' })
  t.strictSame(asked, [])
  let times = 0
  const rebinding = tools({
    httpPort: port,
    mayReach: address => address === '127.0.0.1',
    resolver: {
      // Whoever asks twice is told another address.
      addressesOf: async () => (times++ === 0 ? ['127.0.0.1'] : ['169.254.169.254']),
      textsOf: async () => [],
    },
  })
  t.equal(await validate(row({}), rebinding), undefined)
  t.equal(times, 1, 'what was judged is what is connected to')
})

tap.test('dns-01: one of the texts is the digest', async t => {
  const asked: string[] = []
  const withTexts = (texts: readonly string[] | Error) =>
    tools({
      resolver: {
        addressesOf: async () => [],
        async textsOf(name) {
          asked.push(name)
          if (texts instanceof Error) throw texts
          return texts
        },
      },
    })
  const dns = row({ type: 'dns-01' })
  t.equal(await validate(dns, withTexts(['x', DIGEST.toString('base64url')])), undefined)
  t.strictSame(asked, ['_acme-challenge.web.example.'])
  t.match(await validate(dns, withTexts([KEY_AUTHORIZATION])), { kind: 'incorrectResponse' })
  t.match(await validate(dns, withTexts([])), { kind: 'incorrectResponse' })
  t.match(await validate(dns, withTexts(new Error('no server'))), { kind: 'dns' })
})

/** A server of TLS whose certificate is as a test says. */
async function tlsServer(
  t: Test,
  {
    names = { ...noNames, dnsNames: ['web.example'] } as GeneralNames,
    digest = DIGEST,
    critical = true,
    protocols = ['acme-tls/1'],
  },
) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const value = Buffer.concat([Buffer.of(4, digest.length), digest])
  const content = {
    subject: [],
    spki,
    serial: Buffer.of(7),
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 60_000),
    isAuthority: false,
    usages: [],
    extendedUsages: [],
    names,
    extra: [{ oid: '1.3.6.1.5.5.7.1.31', critical, value }],
  }
  const signer = { certificate: undefined, key: privateKey }
  const der = signNow(certificateBody(content as never, signer), privateKey)
  const server = createTlsServer({
    cert: pemOf('CERTIFICATE', der),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    ALPNProtocols: protocols,
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

tap.test('tls-alpn-01: a certificate for the name alone, with the digest', async t => {
  const alpn = row({ type: 'tls-alpn-01' })
  const look = async (about: Parameters<typeof tlsServer>[1]) =>
    validate(alpn, tools({ tlsPort: await tlsServer(t, about) }))
  t.equal(await look({}), undefined)
  const two = { ...noNames, dnsNames: ['web.example', 'other.example'] }
  t.match(await look({ names: two }), { kind: 'unauthorized' }, 'for another name too')
  const other = { ...noNames, dnsNames: ['other.example'] }
  t.match(await look({ names: other }), { kind: 'unauthorized' }, 'for another name')
  t.match(await look({ digest: Buffer.alloc(32) }), { kind: 'incorrectResponse' })
  t.match(await look({ critical: false }), { kind: 'incorrectResponse' }, 'not critical')
  t.match(await look({ protocols: ['h2'] }), { kind: /^(connection|tls)$/ }, 'another protocol')
})

tap.test('an address is looked for by its own name', async t => {
  const identifier = { type: 'ip', value: '127.0.0.1', isWildcard: false } as const
  const names = { ...noNames, addresses: ['127.0.0.1'] }
  const tlsPort = await tlsServer(t, { names })
  t.equal(await validate(row({ type: 'tls-alpn-01', identifier }), tools({ tlsPort })), undefined)
  const { asked, port } = await httpServer(t, (_, response) => response.end(KEY_AUTHORIZATION))
  t.equal(await validate(row({ identifier }), tools({ httpPort: port })), undefined)
  t.strictSame(asked, ['GET 127.0.0.1 /.well-known/acme-challenge/token'])
})
