/** ACME from the directory to the certificate, and everything on the way that is refused. */
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import tap, { type Test } from 'tap'
import { type Clock, systemClock, systemRandom } from '../../../../../src/base/clock.ts'
import { silentLog } from '../../../../../src/base/log.ts'
import { validationDuty } from '../../../../../src/secrets/engine/pki/acme/duty.run.ts'
import type { AcmePorts } from '../../../../../src/secrets/engine/pki/acme/ports.ts'
import { makeRequest } from '../../../../../src/x509/csr.ts'
import { openSecrets, type TestSecrets } from '../../../harness.ts'
import { testAcme } from '../../../ports.ts'
import { AcmeClient } from './client.ts'

const BASE = 'http://127.0.0.1:8200/v1/'
const MOUNT = `${BASE}pki/acme`
const ROLE = `${BASE}pki/roles/web/acme`

interface Ground {
  readonly secrets: TestSecrets
  readonly acme: AcmePorts
  /** What is served for challenges, by token. */
  readonly tokens: Map<string, string>
  readonly texts: Map<string, string>
}

/** An authority with ACME, and a web server where all names are found. */
async function open(t: Test, more: Partial<AcmePorts> = {}, clock: Clock = systemClock) {
  const tokens = new Map<string, string>()
  const texts = new Map<string, string>()
  const web = createServer((request, response) => {
    const token = (request.url ?? '').split('/').at(-1)!
    response.writeHead(tokens.has(token) ? 200 : 404).end(tokens.get(token))
  })
  await new Promise<void>(resolve => web.listen(0, '127.0.0.1', resolve))
  t.teardown(() => web.close())
  const acme = testAcme({
    httpPort: (web.address() as AddressInfo).port,
    resolver: {
      addressesOf: async () => ['127.0.0.1'],
      textsOf: async name => [texts.get(name) ?? 'nothing'],
    },
    ...more,
  })
  const secrets = await openSecrets(t, { ports: { acme }, clock })
  await secrets.mount('pki', 'pki/')
  const root = { common_name: 'Root', key_type: 'ec', ttl: '8760h' }
  await secrets.post('pki/root/generate/internal', root)
  const role = { allowed_domains: ['example.com'], allow_subdomains: true, key_type: 'any' }
  t.equal((await secrets.post('pki/roles/web', role)).status, 200)
  const enabled = await secrets.post('pki/config/acme', { enabled: true })
  t.match(enabled.body, { data: { enabled: true } })
  const stop = new AbortController()
  const running = validationDuty(acme, {
    ...{ store: secrets.store, clock, random: systemRandom, log: silentLog },
    barrier: () => secrets.barrier,
  })(stop.signal, decide => decide)
  t.teardown(async () => {
    stop.abort()
    await running
  })
  return { secrets, acme, tokens, texts } satisfies Ground
}

const csrFor = (dnsNames: readonly string[], commonName = dnsNames[0]!) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const subject = commonName === '' ? [] : ([['CN', commonName]] as const)
  return makeRequest({ subject, names: { dnsNames } } as never, privateKey).toString('base64url')
}

/** Asks until what is asked for is not pending any more. */
async function settled(client: AcmeClient, url: string) {
  for (let i = 0; i < 200; i++) {
    const got = await client.post(url)
    if (got.body.status !== 'pending' && got.body.status !== 'processing') return got.body
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error('it stays pending')
}

/** Orders names and shows that they are ours. */
async function authorized(
  client: AcmeClient,
  directory: string,
  { tokens }: Ground,
  names: readonly string[],
) {
  const identifiers = names.map(value => ({ type: 'dns', value }))
  const order = await client.post(`${directory}/new-order`, { identifiers })
  for (const url of order.body.authorizations as string[]) {
    const { body } = await client.post(url)
    const challenge = body.challenges.find((one: { type: string }) => one.type === 'http-01')
    tokens.set(challenge.token, `${challenge.token}.${client.thumbprint}`)
    await client.post(challenge.url, {})
    await settled(client, url)
  }
  return order
}

tap.test('from the directory to a certificate, by keys of every kind', async t => {
  const ground = await open(t)
  const { secrets } = ground
  const directory = await secrets.read('pki/acme/directory', { token: '' })
  t.match(directory.body, {
    newNonce: `${MOUNT}/new-nonce`,
    meta: { externalAccountRequired: false },
  })
  for (const algorithm of ['ES256', 'ES384', 'RS256', 'EdDSA'] as const) {
    const client = new AcmeClient(secrets, BASE, algorithm)
    const account = await client.register(ROLE)
    t.equal(account.status, 201, algorithm)
    t.match(account.body, { status: 'valid', contact: ['mailto:admin@example.com'] })
    const order = await authorized(client, ROLE, ground, ['a.example.com', 'b.example.com'])
    t.equal(order.status, 201)
    const url = order.headers.Location!
    t.match((await client.post(url)).body, { status: 'ready' })
    const csr = csrFor(['a.example.com', 'b.example.com'])
    const done = await client.post(`${url}/finalize`, { csr })
    t.match(done.body, { status: 'valid', certificate: `${url}/cert` })
    const chain = await client.post(done.body.certificate)
    const [leaf, root] = chain.text.match(/-----BEGIN[\s\S]+?-----END CERTIFICATE-----/g)!
    const certificate = new X509Certificate(leaf!)
    t.ok(certificate.verify(new X509Certificate(root!).publicKey))
    t.equal(certificate.subjectAltName, 'DNS:a.example.com, DNS:b.example.com')
    t.match(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1'], 'for servers')
    const orders = await client.post(`${client.kid}/orders`)
    t.strictSame(orders.body.orders, [url])
  }
})

tap.test('a directory without a role signs what is asked for', async t => {
  const ground = await open(t)
  const client = new AcmeClient(ground.secrets, BASE)
  await client.register(MOUNT)
  const order = await authorized(client, MOUNT, ground, ['any.other'])
  const csr = csrFor(['any.other'], '')
  const done = await client.post(order.body.finalize, { csr })
  t.match(done.body, { status: 'valid' })
})

tap.test('a wildcard is shown by DNS alone', async t => {
  const { secrets, texts } = await open(t)
  const client = new AcmeClient(secrets, BASE)
  await client.register(ROLE)
  const identifiers = [{ type: 'dns', value: '*.example.com' }]
  const order = await client.post(`${ROLE}/new-order`, { identifiers })
  const [url] = order.body.authorizations as string[]
  const { body } = await client.post(url!)
  t.match(body, { wildcard: true, identifier: { type: 'dns', value: 'example.com' } })
  t.equal(body.challenges.length, 1)
  const [challenge] = body.challenges
  t.equal(challenge.type, 'dns-01')
  const { createHash } = await import('node:crypto')
  const digest = createHash('sha256').update(`${challenge.token}.${client.thumbprint}`)
  texts.set('_acme-challenge.example.com.', digest.digest('base64url'))
  t.match(await client.post(challenge.url, {}), { body: { status: 'processing' } })
  t.match(await settled(client, url!), { status: 'valid' })
  const csr = csrFor(['*.example.com'])
  t.match((await client.post(order.body.finalize, { csr })).body, { status: 'valid' })
})

tap.test('nonces are good once, and every answer has the next one', async t => {
  const { secrets } = await open(t)
  const client = new AcmeClient(secrets, BASE)
  const head = await secrets.read('pki/acme/new-nonce', { token: '', isHead: true })
  t.equal(head.status, 200)
  const first = await client.newNonce(MOUNT)
  await client.register(MOUNT)
  const url = `${MOUNT}/new-order`
  for (const nonce of [first, '', 'AAAA', `${first.slice(0, -2)}AA`]) {
    const got = await client.post(url, {}, { nonce })
    t.match(got, { status: 400, body: { type: 'urn:ietf:params:acme:error:badNonce' } })
    t.ok(got.headers['Replay-Nonce'], 'with one that is good')
  }
  const again = await client.post(client.kid!)
  t.equal(again.status, 200)
})

tap.test('what is not signed as it should be is refused', async t => {
  const { secrets } = await open(t)
  const client = new AcmeClient(secrets, BASE)
  await client.register(MOUNT)
  const url = `${MOUNT}/new-order`
  const other = new AcmeClient(secrets, BASE)
  await other.register(MOUNT)
  const wrong = [
    [{ url: `${MOUNT}/new-account` }, 'unauthorized'],
    [{ url: `${ROLE}/new-order` }, 'unauthorized'],
    [{ header: { kid: other.kid } }, 'malformed'],
    [{ header: { kid: `${MOUNT}/account/none` } }, 'accountDoesNotExist'],
    [{ header: { kid: client.kid!.replace('/pki/', '/pki/roles/web/') } }, 'accountDoesNotExist'],
    [{ header: { kid: undefined, jwk: client.jwk } }, 'malformed'],
    [{ header: { alg: 'none' } }, 'badSignatureAlgorithm'],
    [{ header: { alg: 'RS256' } }, 'malformed'],
    [{ signature: 'AAAA' }, 'malformed'],
    [{ signature: '' }, 'malformed'],
    [{ mediaType: 'application/json' }, 'malformed'],
  ] as const
  for (const [how, kind] of wrong) {
    const got = await client.post(url, { identifiers: [] }, how)
    t.match(got.body, { type: `urn:ietf:params:acme:error:${kind}` }, JSON.stringify(how))
    if (client.nonce === '') await client.newNonce(MOUNT)
  }
})

tap.test('nobody sees or changes what is another account’s', async t => {
  const ground = await open(t)
  const [one, other] = [new AcmeClient(ground.secrets, BASE), new AcmeClient(ground.secrets, BASE)]
  await one.register(ROLE)
  await other.register(ROLE)
  const order = await authorized(one, ROLE, ground, ['a.example.com'])
  const csr = csrFor(['a.example.com'])
  const urls = [
    order.headers.Location!,
    `${order.headers.Location}/cert`,
    ...(order.body.authorizations as string[]),
    `${order.body.authorizations[0].replace('authorization', 'challenge')}/http-01`,
  ]
  for (const url of urls) t.match(await other.post(url), { status: 404 }, url)
  t.match(await other.post(order.body.finalize, { csr }), { status: 404 })
  t.match((await other.post(one.kid!)).body, { type: /unauthorized$/ })
  t.match((await one.post(order.body.finalize, { csr })).body, { status: 'valid' })
})

tap.test('a request that asks for anything else than what was ordered is refused', async t => {
  const ground = await open(t)
  const client = new AcmeClient(ground.secrets, BASE)
  await client.register(ROLE)
  const order = await authorized(client, ROLE, ground, ['a.example.com'])
  const url = order.body.finalize as string
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const with_ = (names: object, subject: readonly unknown[] = [], key = privateKey) =>
    makeRequest({ subject, names } as never, key).toString('base64url')
  const wrong = {
    'another name': csrFor(['b.example.com']),
    'one more name': csrFor(['a.example.com', 'b.example.com']),
    'another common name': csrFor(['a.example.com'], 'b.example.com'),
    'no name': with_({ dnsNames: [] }),
    'an address': with_({ dnsNames: ['a.example.com'], addresses: ['10.0.0.1'] }),
    'an email': with_({ dnsNames: ['a.example.com'], emails: ['a@example.com'] }),
    'a uri': with_({ dnsNames: ['a.example.com'], uris: ['spiffe://x'] }),
    'the account’s key': with_({ dnsNames: ['a.example.com'] }, [], client.key),
    'no request': 'AAAA',
  }
  for (const [name, csr] of Object.entries(wrong)) {
    const got = await client.post(url, { csr })
    t.match(got.body, { type: /:(badCSR|malformed)$/ }, name)
  }
  const early = await client.post(`${ROLE}/new-order`, {
    identifiers: [{ type: 'dns', value: 'c.example.com' }],
  })
  const got = await client.post(early.body.finalize, { csr: csrFor(['c.example.com']) })
  t.match(got, { status: 403, body: { type: /orderNotReady$/ } })
  t.match((await client.post(url, { csr: csrFor(['a.example.com']) })).body, { status: 'valid' })
})

tap.test('identifiers that no role gives, or that are none, are refused', async t => {
  const { secrets } = await open(t)
  const client = new AcmeClient(secrets, BASE)
  await client.register(ROLE)
  const wrong = [
    [[], 'malformed'],
    [[{ type: 'dns', value: 'other.org' }], 'rejectedIdentifier'],
    [[{ type: 'dns', value: 'a.example.com:80' }], 'rejectedIdentifier'],
    [[{ type: 'dns', value: '127.0.0.1' }], 'rejectedIdentifier'],
    [[{ type: 'dns', value: 'a_.*.example.com' }], 'rejectedIdentifier'],
    [[{ type: 'dns', value: '*.*.example.com' }], 'rejectedIdentifier'],
    [[{ type: 'dns', value: '' }], 'rejectedIdentifier'],
    [[{ type: 'email', value: 'a@example.com' }], 'unsupportedIdentifier'],
    [[{ type: 'ip', value: '010.0.0.1' }], 'malformed'],
    [[{ type: 'dns' }], 'malformed'],
    [
      Array.from({ length: 101 }, (_, i) => ({ type: 'dns', value: `n${i}.example.com` })),
      'malformed',
    ],
  ] as const
  for (const [identifiers, kind] of wrong) {
    const got = await client.post(`${ROLE}/new-order`, { identifiers })
    t.match(
      got.body,
      { type: `urn:ietf:params:acme:error:${kind}` },
      JSON.stringify(identifiers).slice(0, 80),
    )
  }
})

tap.test('a challenge that fails fails the order, and says why', async t => {
  const { secrets } = await open(t, { httpPort: 1 }, fasterClock())
  const client = new AcmeClient(secrets, BASE)
  await client.register(ROLE)
  const identifiers = [{ type: 'dns', value: 'a.example.com' }]
  const order = await client.post(`${ROLE}/new-order`, { identifiers })
  const [url] = order.body.authorizations as string[]
  const { body } = await client.post(url!)
  const challenge = body.challenges.find((one: { type: string }) => one.type === 'http-01')
  await client.post(challenge.url, {})
  const failed = await settled(client, url!)
  t.equal(failed.status, 'invalid')
  t.match((await client.post(challenge.url)).body, {
    status: 'invalid',
    error: { type: /connection$/ },
  })
  t.match((await client.post(order.headers.Location!)).body, { status: 'invalid' })
})

/** A clock that runs a hundred times as fast: pauses between looks are short. */
function fasterClock(): Clock {
  const SPEED = 100
  const beganMs = systemClock.wall()
  return {
    ...systemClock,
    wall: () => (beganMs + (systemClock.wall() - beganMs) * SPEED) as ReturnType<Clock['wall']>,
    monotonic: () => systemClock.monotonic(),
    after: (delayMs, run) => systemClock.after(delayMs / SPEED, run),
  }
}

tap.test('external accounts: a key binds one account in one directory', async t => {
  const { secrets } = await open(t)
  await secrets.post('pki/config/acme', { eab_policy: 'always-required' })
  const made = (await secrets.post('pki/roles/web/acme/new-eab')).body.data
  t.match(made, { key_type: 'hs', acme_directory: 'roles/web/acme/directory' })
  t.match((await secrets.list('pki/eab')).body.data.keys, [made.id])
  const client = new AcmeClient(secrets, BASE)
  const denied = await client.register(ROLE)
  t.match(denied.body, { type: /externalAccountRequired$/ })
  const url = `${ROLE}/new-account`
  const wrong = {
    'another secret': client.binding(url, made.id, 'AAAA'),
    'another id': client.binding(url, 'none', made.key),
    'another url': client.binding(`${MOUNT}/new-account`, made.id, made.key),
    'another algorithm': client.binding(url, made.id, made.key, 'none'),
  }
  for (const [name, externalAccountBinding] of Object.entries(wrong)) {
    const got = await client.register(ROLE, { externalAccountBinding })
    t.match(got.body, { type: /:(unauthorized|malformed)$/ }, name)
  }
  const right = { externalAccountBinding: client.binding(url, made.id, made.key) }
  t.equal((await client.register(ROLE, right)).status, 201)
  t.equal((await secrets.list('pki/eab')).status, 404, 'the key is used up')
  const second = new AcmeClient(secrets, BASE)
  const again = { externalAccountBinding: second.binding(url, made.id, made.key) }
  t.match((await second.register(ROLE, again)).body, { type: /unauthorized$/ })
})

tap.test('a key is changed with the consent of both', async t => {
  const { secrets } = await open(t)
  const client = new AcmeClient(secrets, BASE)
  await client.register(MOUNT)
  const next = new AcmeClient(secrets, BASE)
  const url = `${MOUNT}/key-change`
  const inner = (key = next.key, account = client.kid, oldKey = client.jwk) =>
    JSON.parse(next.signed({ jwk: next.jwk, url }, { account, oldKey }, key).toString()) as unknown
  t.match((await client.post(url, inner(client.key))).body, { type: /malformed$/ })
  t.match((await client.post(url, inner(next.key, 'x'))).body, { type: /malformed$/ })
  t.match((await client.post(url, inner(next.key, client.kid, next.jwk))).body, {
    type: /malformed$/,
  })
  t.equal((await client.post(url, inner())).status, 200)
  const old = await client.post(client.kid!)
  t.match(old.body, { type: /malformed$/ }, 'the old key signs for nothing')
  client.key = next.key
  await client.newNonce(MOUNT)
  t.match((await client.post(client.kid!)).body, { status: 'valid' })
})

tap.test('accounts are changed and ended; an operator may revoke one', async t => {
  const { secrets } = await open(t)
  const client = new AcmeClient(secrets, BASE)
  await client.register(MOUNT)
  const contact = ['mailto:other@example.com']
  t.match((await client.post(client.kid!, { contact })).body, { contact })
  t.match((await client.post(client.kid!, { contact: ['tel:1'] })).body, {
    type: /unsupportedContact$/,
  })
  client.kid = undefined
  t.equal((await client.register(MOUNT)).status, 200, 'it is found again')
  const ids = (await secrets.list('pki/acme/mgmt/account/keyid')).body.data.keys as string[]
  t.equal(ids.length, 1)
  const place = `pki/acme/mgmt/account/keyid/${ids[0]}`
  t.match((await secrets.read(place)).body.data, { status: 'valid', contacts: contact })
  t.match((await secrets.post(place, { status: 'revoked' })).body.data, { status: 'revoked' })
  t.match((await client.post(client.kid!)).body, { type: /unauthorized$/ })
  const ended = new AcmeClient(secrets, BASE)
  await ended.register(MOUNT)
  t.match((await ended.post(ended.kid!, { status: 'deactivated' })).body, { status: 'deactivated' })
  t.match((await ended.post(ended.kid!)).body, { type: /unauthorized$/ })
})

tap.test('a certificate is revoked by its account or its own key, and by nobody else', async t => {
  const ground = await open(t)
  const { secrets } = ground
  const [one, other] = [new AcmeClient(secrets, BASE), new AcmeClient(secrets, BASE)]
  await one.register(ROLE)
  await other.register(ROLE)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const give = async () => {
    const order = await authorized(one, ROLE, ground, ['a.example.com'])
    const names = { dnsNames: ['a.example.com'] }
    const csr = makeRequest({ subject: [], names } as never, privateKey).toString('base64url')
    const done = await one.post(order.body.finalize, { csr })
    const chain = await one.post(done.body.certificate)
    return new X509Certificate(chain.text).raw.toString('base64url')
  }
  const url = `${ROLE}/revoke-cert`
  const first = await give()
  t.match((await other.post(url, { certificate: first })).body, { type: /unauthorized$/ })
  const reason = { certificate: first, reason: 7 }
  t.match((await one.post(url, reason)).body, { type: /badRevocationReason$/ })
  t.equal((await one.post(url, { certificate: first, reason: 1 })).status, 200)
  t.match((await one.post(url, { certificate: first })).body, { type: /alreadyRevoked$/ })
  const second = await give()
  const own = new AcmeClient(secrets, BASE)
  own.key = privateKey
  await own.newNonce(ROLE)
  t.equal((await own.post(url, { certificate: second })).status, 200)
})

tap.test('directories: disabled, forbidden, of roles and issuers that may not', async t => {
  const { secrets } = await open(t)
  const look = async (place: string) =>
    (await secrets.read(`pki/${place}acme/directory`, { token: '' })).status
  t.equal(await look(''), 200)
  t.equal(await look('roles/web/'), 200)
  t.equal(await look('issuer/default/'), 200)
  t.equal(await look('issuer/default/roles/web/'), 200)
  t.equal(await look('roles/none/'), 403)
  t.equal(await look('issuer/none/'), 403)
  await secrets.post('pki/config/acme', { default_directory_policy: 'forbid' })
  t.equal(await look(''), 403)
  t.equal(await look('roles/web/'), 200)
  await secrets.post('pki/config/acme', { allowed_roles: ['other'] })
  t.equal(await look('roles/web/'), 403)
  await secrets.post('pki/config/acme', { enabled: false })
  t.equal(await look(''), 404)
  const refused = [
    { default_directory_policy: 'role:none', allowed_roles: ['x'] },
    { default_directory_policy: 'x' },
    { eab_policy: 'x' },
    { dns_resolver: 'x y' },
    { allowed_roles: [] },
    { challenge_permitted_ip_ranges: ['x'] },
  ]
  for (const data of refused) t.equal((await secrets.post('pki/config/acme', data)).status, 400)
  const later = await secrets.post('pki/config/acme', {
    default_directory_policy: 'external-policy:x',
  })
  t.equal(later.status, 501)
})

tap.test('without a base nothing is enabled; a server may ask for external accounts', async t => {
  const secrets = await openSecrets(t, { ports: { acme: testAcme({ baseUrl: () => '' }) } })
  await secrets.mount('pki', 'pki/')
  t.equal((await secrets.post('pki/config/acme', { enabled: true })).status, 400)
  const strict = await openSecrets(t, { ports: { acme: testAcme({ needsExternalAccount: true }) } })
  await strict.mount('pki', 'pki/')
  t.equal((await strict.post('pki/config/acme', { enabled: true })).status, 400)
  const right = { enabled: true, eab_policy: 'new-account-required' }
  t.equal((await strict.post('pki/config/acme', right)).status, 200)
})
