/** What is asked for, of roles that make the key and of roles that sign a request. */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import t from 'tap'
import { askFor, markOf, type Order, orderOf } from '../../../src/cli/cert/order.ts'
import { readAnyRequest } from '../../../src/x509/csr.ts'
import { pemBlocks } from '../../../src/x509/pem.ts'
import { FakeClient } from './authority.ts'

const wish = (path: string, more: Partial<Order> = {}): Order =>
  orderOf({ path, data: { common_name: 'a.example' }, keyType: 'ec', isKeyNew: false, ...more })

const newClient = (): FakeClient => new FakeClient(Date.now, 60_000)

t.test('only paths of roles are taken, and what is ours to say is refused', async t => {
  for (const path of ['pki/issue/web', '/pki/sign/web', 'a/b/pki/issuer/x/issue/web']) {
    t.equal(wish(path).path, path.replace(/^\//, ''))
  }
  for (const path of ['pki/issue', 'pki/roles/web', 'issue/', 'pki/sign-verbatim/web']) {
    t.throws(() => wish(path), /is not the path of a role/)
  }
  t.throws(() => wish('pki/issue/web', { data: { format: 'der' } }), /format is not for you/)
  t.throws(() => wish('pki/sign/web', { data: { csr: 'x' } }), /csr is not for you/)
})

t.test('the mark is of the wish, whatever the order of its words', async t => {
  const one = markOf(wish('pki/issue/web', { data: { common_name: 'a', ttl: '1h' } }))
  t.equal(markOf(wish('pki/issue/web', { data: { ttl: '1h', common_name: 'a' } })), one)
  t.not(markOf(wish('pki/issue/web', { data: { common_name: 'a', ttl: '2h' } })), one)
  t.not(markOf(wish('pki/sign/web', { data: { common_name: 'a', ttl: '1h' } })), one)
})

t.test('a key of the server comes with its certificate', async t => {
  const client = newClient()
  const pair = await askFor(client.asClient, wish('pki/issue/web'), undefined)
  t.match(pair.key, 'PRIVATE KEY')
  t.equal(pair.names, 'DNS:a.example')
  t.same(client.data, [{ common_name: 'a.example', format: 'pem' }])
})

t.test('a key that is made here is kept, or made anew, and never sent', async t => {
  const client = newClient()
  const order = wish('pki/sign/web')
  const first = await askFor(client.asClient, order, undefined)
  const second = await askFor(client.asClient, order, first)
  t.equal(second.key, first.key)
  t.not(second.serial, first.serial)
  const third = await askFor(client.asClient, { ...order, isKeyNew: true }, second)
  t.not(third.key, second.key)
  t.notMatch(JSON.stringify(client.data), 'PRIVATE')
  for (const [type, kind] of [
    ['ec', 'ec'],
    ['rsa', 'rsa'],
    ['ed25519', 'ed25519'],
  ] as const) {
    const pair = await askFor(client.asClient, { ...order, keyType: type }, undefined)
    t.equal(createPrivateKey(pair.key).asymmetricKeyType, kind)
    const { publicKey } = new X509Certificate(pair.certificate)
    t.ok(publicKey.equals(createPublicKey(pair.key)))
  }
})

t.test('the request names what is asked for', async t => {
  const client = newClient()
  const data = {
    common_name: 'www.example.com',
    alt_names: 'b.example, x@example.com,10.0.0.2,www.example.com',
    ip_sans: ['10.0.0.1', '::1'],
    uri_sans: 'spiffe://example/web',
  }
  await askFor(client.asClient, wish('pki/sign/web', { data }), undefined)
  const read = (at: number) => readAnyRequest(pemBlocks(String(client.data[at]?.csr))[0]!.der)
  t.match(read(0).subjectName, [['CN', 'www.example.com']])
  t.match(read(0).names, {
    dnsNames: ['www.example.com', 'b.example'],
    emails: ['x@example.com'],
    addresses: ['10.0.0.2', '10.0.0.1', '::1'],
    uris: ['spiffe://example/web'],
  })
  const without = { common_name: 'Ada', exclude_cn_from_sans: 'true', alt_names: 'b.example' }
  await askFor(client.asClient, wish('pki/sign/web', { data: without }), undefined)
  t.same(read(1).names?.dnsNames, ['b.example'])
})

t.test('an answer that is no pair is said', async t => {
  const client = newClient()
  client.write = async () => ({ data: { certificate: 'x' } }) as never
  await t.rejects(askFor(client.asClient, wish('pki/issue/web'), undefined), /no private_key/)
  client.write = async () => undefined
  await t.rejects(askFor(client.asClient, wish('pki/issue/web'), undefined), /has no certificate/)
})
