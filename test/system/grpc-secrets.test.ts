/**
 * The secrets of the whole program over gRPC: every method with no token, one that is nobody's, a
 * weak one and the right one; health with the seal; feeds by tokens of the secrets, beside access
 * control of the registry.
 */
import * as grpc from '@grpc/grpc-js'
import t from 'tap'
import { methodsOf } from '../../src/base/io/proto.ts'
import { startDaemon } from '../clients/daemon.ts'
import { until } from '../clients/process.ts'
import type { Daemon } from '../clients/running.ts'
import { askSecrets } from '../clients/secrets.ts'

const REGISTRY = 'e95b599e-166e-7d80-08ad-aee76e7ddf19'
const tokens = `tokens { initial_management = "${REGISTRY}" }`
const acl = `acl { enabled = true, default_policy = "deny", ${tokens} }`

interface Ended {
  readonly code: string
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests know what they asked for
  readonly answers: readonly any[]
}

const FILES: Readonly<Record<string, string>> = { 'grpc.health.v1.Health': 'grpc/health.proto' }

/** Calls a method until it ends, or has given so many messages. */
async function call(
  { grpcPort }: Daemon,
  path: string,
  request: object,
  { headers = {}, count = 1_000 }: { headers?: Record<string, string>; count?: number } = {},
): Promise<Ended> {
  const [service = '', name] = path.split('/')
  const file = FILES[service] ?? `gatehouse/v1/${service.split('.').at(-1)!.toLowerCase()}.proto`
  const [codec] = await methodsOf([file], [`${service}/${name}`])
  const options = { 'grpc.use_local_subchannel_pool': 1 }
  const client = new grpc.Client(
    `127.0.0.1:${grpcPort}`,
    grpc.credentials.createInsecure(),
    options,
  )
  const metadata = new grpc.Metadata()
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value)
  const { encode } = codec!.request
  const stream = client.makeBidiStreamRequest<object, object>(
    `/${path}`,
    encode,
    codec!.answer.decode,
    metadata,
    { deadline: Date.now() + 20_000 },
  )
  const answers: object[] = []
  stream.on('data', answer => {
    answers.push(answer)
    if (answers.length >= count) stream.cancel()
  })
  stream.on('error', () => {})
  stream.end(request)
  const { code, details } = await new Promise<grpc.StatusObject>(resolve =>
    stream.on('status', resolve),
  )
  client.close()
  return { code: grpc.status[code]!, text: details, answers }
}

const none = Buffer.alloc(0)
const wish = { role: 'web', commonName: 'www.example.com', more: none }
/** A request of each method that works with the right token. */
const requests: Readonly<Record<string, object>> = {
  'Secrets/Read': { path: 'plain/a' },
  'Secrets/List': { path: 'plain' },
  'Secrets/Scan': { path: 'plain' },
  'Secrets/Write': { path: 'plain/b', data: Buffer.from('{"n":1}') },
  'Secrets/Patch': { path: 'secret/data/a', data: Buffer.from('{"data":{"n":2}}') },
  'Secrets/Delete': { path: 'plain/b' },
  'Secrets/ReadMany': { reads: [{ path: 'plain/a' }] },
  'Secrets/RenewLease': { leaseId: 'plain/nothing' },
  'Secrets/RevokeLease': { leaseId: 'plain/nothing' },
  'Secrets/GetKv': { path: 'a' },
  'Secrets/PutKv': { path: 'a', data: Buffer.from('{"n":1}') },
  'Secrets/ListKv': {},
  'Transit/Encrypt': { key: 'app', items: [{ plaintext: Buffer.from('a') }] },
  'Transit/Decrypt': { key: 'app', items: [{ ciphertext: 'vault:v1:AAAA' }] },
  'Transit/Rewrap': { key: 'app', items: [{ ciphertext: 'vault:v1:AAAA' }] },
  'Transit/Sign': { key: 'signing', items: [{ input: Buffer.from('a') }] },
  'Transit/Verify': {
    key: 'signing',
    items: [{ input: Buffer.from('a'), signature: 'vault:v1:AAAA' }],
  },
  'Transit/Hmac': { key: 'app', items: [{ input: Buffer.from('a') }] },
  'Transit/EncryptStream': { begin: { key: 'app' } },
  'Certificates/Issue': { wish },
  'Certificates/Watch': { wish },
  'Certificates/Revoke': { serialNumber: '00:11' },
  'Identity/LookupSelf': {},
  'Identity/RenewSelf': {},
}
/** What ends otherwise than well although the token is right. */
const otherwise: Readonly<Record<string, RegExp>> = {
  'Secrets/RenewLease': /^INVALID_ARGUMENT: .*lease not found/s,
  'Secrets/Scan': /^(OK|UNIMPLEMENTED)/,
  'Certificates/Revoke': /^INVALID_ARGUMENT: certificate with serial 00:11 not found/,
}

t.test('each method for each kind of token', async t => {
  const daemon = await startDaemon(t, {
    engine: 'memory',
    words: ['-dev', `-hcl=${acl}`],
  })
  const root = /root token +(\S+)/.exec(daemon.stdout())![1]!
  const ask = (method: string, path: string, body?: object, token = root) =>
    askSecrets(daemon, method, path, { token, ...(body && { body }) })
  for (const [path, type] of [
    ['plain', 'kv'],
    ['transit', 'transit'],
    ['pki', 'pki'],
  ] as const) {
    t.equal((await ask('POST', `sys/mounts/${path}`, { type })).status, 204, path)
  }
  const mounts = (await ask('GET', 'sys/mounts')).body.data
  if (mounts['secret/'] === undefined) {
    await ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })
  }
  await ask('POST', 'plain/a', { n: 1 })
  await ask('POST', 'secret/data/a', { data: { n: 1 } })
  await ask('POST', 'transit/keys/app', {})
  await ask('POST', 'transit/keys/signing', { type: 'ed25519' })
  await ask('POST', 'pki/root/generate/internal', { common_name: 'Root', key_type: 'ec' })
  await ask('POST', 'pki/roles/web', { allow_any_name: true, key_type: 'ec', max_ttl: '1h' })
  const make = async (body: object): Promise<string> =>
    (await ask('POST', 'auth/token/create', body)).body.auth.client_token
  const weak = await make({ policies: ['nothing'], no_default_policy: true })
  const right = await make({ ttl: '1h' })
  for (const [method, request] of Object.entries(requests)) {
    const path = `gatehouse.v1.${method}`
    const told = async (headers: Record<string, string>): Promise<string> => {
      const { code, text, answers } = await call(daemon, path, request, { headers, count: 1 })
      const failure = answers[0]?.results?.[0]?.failure
      if (failure !== undefined && failure !== null) return `${failure.code}`
      return answers.length > 0 ? 'OK' : `${code}: ${text}`
    }
    const isMany = method === 'Secrets/ReadMany'
    t.match(await told({}), isMany ? '7' : 'PERMISSION_DENIED', `${method} without`)
    const nobody = await told({ 'x-vault-token': 'hvs.nobody' })
    t.match(nobody, isMany ? '16' : 'UNAUTHENTICATED', `${method} by nobody`)
    const lacking = await told({ authorization: `Bearer ${weak}` })
    t.match(lacking, isMany ? '7' : 'PERMISSION_DENIED', `${method} by a weak one`)
    const expected = otherwise[method] ?? /^OK/
    t.match(await told({ 'x-vault-token': right, 'x-consul-token': REGISTRY }), expected, method)
  }
  const health = async (service: string) =>
    (await call(daemon, 'grpc.health.v1.Health/Check', { service })).answers[0].status
  t.same([await health(''), await health('gatehouse.v1.Transit')], ['SERVING', 'SERVING'])

  // Feeds know the tokens of the secrets, whatever the registry knows.
  const follow = (topic: string, token: string, subject = '') => {
    const request = { topic, subject, filter: '', resume: '', stale: false }
    const headers = { 'x-vault-token': token }
    return call(daemon, 'gatehouse.v1.Feed/Follow', request, { headers, count: 1 })
  }
  const roots = await follow('roots', right)
  const [{ snapshot }] = roots.answers
  t.match(JSON.parse(snapshot.items[0].json.toString()), { Mount: 'pki/', IsRoot: true })
  t.match(await follow('leases', weak, 'pki/'), { code: 'PERMISSION_DENIED' })
  t.match(await follow('kv', 'hvs.nobody', 'a'), { code: 'UNAUTHENTICATED' })
  const sse = await daemon.ask('GET', '/v1/feed/roots')
  t.match(sse, { status: 403 })

  t.equal((await ask('PUT', 'sys/seal')).status, 204)
  await until(
    'health knows of the seal',
    async () => (await health('gatehouse.v1.Transit')) === 'NOT_SERVING',
  )
  t.equal(await health(''), 'SERVING')
  const sealed = await call(daemon, 'gatehouse.v1.Secrets/Read', { path: 'plain/a' })
  t.match(sealed, { code: 'UNAVAILABLE', text: 'Vault is sealed' })
  t.match(await follow('roots', right), { code: 'UNAVAILABLE', text: 'Vault is sealed' })
})
