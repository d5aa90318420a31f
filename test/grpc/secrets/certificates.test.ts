/**
 * Certificates over gRPC: given, signed, revoked, and kept fresh by a stream, by a clock that moves
 * by hand, for as long as the token may have them.
 */
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import t from 'tap'
import { makeRequest } from '../../../src/x509/csr.ts'
import { pemOf } from '../../../src/x509/pem.ts'
import { FakeClock } from '../../fake/clock.ts'
import type { OpenStream } from '../harness.ts'
import { json, openSecretsGrpc, type SecretsGrpcOfTest, tokenWith } from './world.ts'

type Tap = Parameters<typeof openSecretsGrpc>[0]

async function open(t: Tap, clock?: FakeClock): Promise<SecretsGrpcOfTest> {
  const world = await openSecretsGrpc(t, clock && { clock })
  const { secrets } = world
  await secrets.mount('pki', 'pki/')
  await secrets.post('pki/root/generate/internal', { common_name: 'Root', key_type: 'ec' })
  await secrets.post('pki/roles/web', {
    ...{ allowed_domains: ['example.com'], allow_subdomains: true, key_type: 'ec', ttl: '60s' },
    ...{ allow_bare_domains: true, not_before_duration: '1s' },
  })
  return world
}

const wish = { role: 'web', commonName: 'www.example.com', altNames: ['example.com'] }
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const csrPem = pemOf(
  'CERTIFICATE REQUEST',
  makeRequest(
    {
      subject: [['CN', 'www.example.com']],
      names: { dnsNames: ['www.example.com'], emails: [], addresses: [], uris: [] },
    },
    privateKey,
  ),
)

/** Waits until a stream gave so many messages, or ended. */
async function until({ answers, ended }: OpenStream, count: number): Promise<void> {
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  while (answers.length < count && !isOver) await new Promise(resolve => setImmediate(resolve))
}

t.test('given, signed and revoked', async t => {
  const world = await open(t)
  const { call } = world
  const issued = await call('Certificates/Issue', { wish: { ...wish, ttlSeconds: 30 } })
  t.equal(issued.code, 'OK', issued.text)
  const { answer } = issued
  const certificate = new X509Certificate(answer.certificatePem)
  const root = new X509Certificate(answer.issuingCaPem)
  t.ok(certificate.verify(root.publicKey))
  t.match(certificate.subjectAltName, /DNS:example\.com/)
  t.equal(answer.notAfterSeconds, Date.parse(certificate.validTo) / 1_000)
  t.ok(answer.notAfterSeconds - answer.notBeforeSeconds <= 40)
  t.match(answer, { privateKeyPem: /PRIVATE KEY/, privateKeyType: 'ec', caChainPem: [/BEGIN/] })
  const signed = await call('Certificates/Sign', { wish: { role: 'web' }, csrPem })
  t.equal(signed.code, 'OK', signed.text)
  const mine = new X509Certificate(signed.answer.certificatePem)
  t.ok(mine.publicKey.equals(publicKey))
  t.equal(signed.answer.privateKeyPem, '')
  const revoked = await call('Certificates/Revoke', { serialNumber: answer.serialNumber })
  t.match(revoked.answer, { state: 'revoked', revocationTimeSeconds: Number })
  const byKey = await call('Certificates/Revoke', {
    certificatePem: signed.answer.certificatePem,
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  })
  t.match(byKey, { code: 'OK', answer: { state: 'revoked' } })
})

t.test('what cannot be is refused in the words of HTTP', async t => {
  const world = await open(t)
  const { call, secrets } = world
  const weak = await tokenWith(world, { 'pki/issue/web': ['update'] })
  const bad = async (request: object, code: string, text: RegExp | string, token?: string) => {
    t.match(await call('Certificates/Issue', request, token), { code, text })
  }
  await bad({}, 'INVALID_ARGUMENT', 'wish: must be given')
  await bad({ wish: { role: '' } }, 'INVALID_ARGUMENT', 'wish.role: must not be empty')
  const { body } = await secrets.post('pki/issue/web', { common_name: 'www.example.org' })
  const other = { wish: { ...wish, commonName: 'www.example.org' } }
  await bad(other, 'INVALID_ARGUMENT', body.errors[0])
  await bad({ wish: { ...wish, more: Buffer.from('{') } }, 'INVALID_ARGUMENT', 'error parsing JSON')
  await bad({ wish }, 'PERMISSION_DENIED', /permission denied/, '')
  await bad({ wish: { ...wish, role: 'other' } }, 'PERMISSION_DENIED', /permission denied/, weak)
  t.match(await call('Certificates/Sign', { wish }), { text: 'csr_pem: must not be empty' })
  t.match(await call('Certificates/Sign', { wish, csrPem }, weak), { code: 'PERMISSION_DENIED' })
  await secrets.mount('kv', 'plain/')
  await bad({ wish: { ...wish, mount: 'plain' } }, 'INVALID_ARGUMENT', 'the mount is none of pki')
})

t.test('a stream gives fresh ones over several renewals', async t => {
  const clock = new FakeClock()
  const world = await open(t, clock)
  const token = await tokenWith(world, { 'pki/issue/web': ['update'] })
  const stream = await world.open('Certificates/Watch', token)
  stream.call.end({ wish })
  await until(stream, 1)
  for (let turn = 1; turn < 4; turn++) {
    const { certificate, nextMs } = stream.answers.at(-1)
    const lifeMs = certificate.notAfterSeconds * 1_000 - clock.wall()
    const share = (nextMs - clock.wall()) / lifeMs
    t.ok(share > 0.61 && share < 0.72, `after two thirds of its life: ${share}`)
    await clock.advance(nextMs - clock.wall() - 10)
    t.equal(stream.answers.length, turn, 'not before')
    await clock.advance(20)
    await until(stream, turn + 1)
  }
  const serials = new Set(stream.answers.map(({ certificate }) => certificate.serialNumber))
  t.equal(serials.size, 4)
  const records = await world.records()
  const given = records.filter(({ path }) => path === '/v1/pki/issue/web')
  t.equal(given.length, 4, 'each is recorded')
  t.equal(new Set(given.map(({ request }) => request)).size, 4, 'with an id of its own')
  stream.call.cancel()
  t.match(await stream.ended, { code: 'CANCELLED' })
  for (let turns = 0; clock.timers > 0 && turns < 1_000; turns++) await clock.advance(0)
  t.equal(clock.timers, 0, 'nothing is left behind')
})

t.test('for a key of the client’s, at a pace of the client’s', async t => {
  const clock = new FakeClock()
  const world = await open(t, clock)
  const stream = await world.open('Certificates/Watch')
  stream.call.end({ wish: { role: 'web' }, csrPem, renewAt: 0.5, jitter: 0 })
  await until(stream, 1)
  const [{ certificate, nextMs }] = stream.answers
  t.ok(new X509Certificate(certificate.certificatePem).publicKey.equals(publicKey))
  t.equal(certificate.privateKeyPem, '')
  t.equal(nextMs, Math.round((clock.wall() + certificate.notAfterSeconds * 1_000) / 2))
  stream.call.cancel()
  const wrong = { wish, renewAt: 0.99, jitter: 0.5 }
  t.match(await world.call('Certificates/Watch', wrong), { text: /^renew_at and jitter:/ })
})

t.test('it ends with the right to have more', async t => {
  const clock = new FakeClock()
  const world = await open(t, clock)
  const token = await tokenWith(world, { 'pki/issue/web': ['update'] })
  const stream = await world.open('Certificates/Watch', token)
  stream.call.end({ wish })
  await until(stream, 1)
  await world.secrets.post('auth/token/revoke', { token })
  await clock.advance(1_001)
  t.match(await stream.ended, { code: 'PERMISSION_DENIED', text: /permission denied/ })
  const never = await world.call('Certificates/Watch', { wish }, '')
  t.equal(never.code, 'PERMISSION_DENIED')
})

t.test('while nothing can be had it tries again, until the certificate is over', async t => {
  const clock = new FakeClock()
  const world = await open(t, clock)
  const stream = await world.open('Certificates/Watch')
  stream.call.end({ wish })
  await until(stream, 1)
  const { barrier } = world.secrets
  const [{ nextMs, certificate }] = stream.answers
  await clock.advance(nextMs - clock.wall() - 10)
  world.secrets.barrier = undefined
  await clock.advance(20)
  await until(stream, 2)
  t.match(stream.answers[1], { delay: { code: 14, message: 'Vault is sealed' } })
  world.secrets.barrier = barrier
  await clock.advance(stream.answers[1].nextMs - clock.wall() + 1)
  await until(stream, 3)
  t.equal(stream.answers[2].event, 'certificate')
  world.secrets.barrier = undefined
  await clock.advance(certificate.notAfterSeconds * 1_000 - clock.wall() + 120_000)
  t.match(await stream.ended, { code: 'UNAVAILABLE', text: 'Vault is sealed' })
})

t.test('keys are in no record and in no line of the log', async t => {
  const world = await open(t)
  const { answer } = await world.call('Certificates/Issue', { wish: { ...wish, more: json({}) } })
  const [, line = ''] = answer.privateKeyPem.split('\n')
  t.ok(line.length > 40)
  t.notOk(JSON.stringify(await world.records()).includes(line))
  t.notOk(world.lines.join('\n').includes(line))
})
