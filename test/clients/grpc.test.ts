/**
 * The gRPC port as programs see it that know nothing of us: grpcurl by reflection alone,
 * grpc-health-probe, and what Consul's own programs ask (go-grpc/main.go).
 */
import path from 'node:path'
import t, { type Test } from 'tap'
import { rsa, tokenOf } from '../identity/auth-method/tokens.ts'
import { absent, tooOldGo } from '../run/clients.ts'
import { program, startDaemon } from './daemon.ts'
import { buildGo } from './go-build.ts'
import { assertScript, launch, tempFolder } from './process.ts'

const skip = absent('go') || tooOldGo(1, 26)

const ROOT = 'b1a8f4a0-0000-4000-8000-00000000cafe'
const READER = 'b1a8f4a0-0000-4000-8000-00000000beef'
const NOBODY = 'b1a8f4a0-0000-4000-8000-00000000dead'

const folder = tempFolder(t)
for (const line of ['ca create', 'cert create -server']) {
  const made = launch(t, program, ['tls', ...line.split(' ')], { cwd: folder })
  if ((await made.ended) !== 0) throw new Error(made.stderr())
}
const file = (name: string): string => path.join(folder, name)
const CA = file('consul-agent-ca.pem')
const certificate = file('dc1-server-consul-0.pem')
const key = file('dc1-server-consul-0-key.pem')
const secure = `ports { grpc_tls = 0 }
  tls { grpc { ca_file = "${CA}" cert_file = "${certificate}" key_file = "${key}" } }`
const acl = `acl { enabled = true default_policy = "deny"
  tokens { initial_management = "${ROOT}" agent = "${ROOT}" dns = "${READER}" } }`
const daemon = await startDaemon(t, { engine: 'memory', words: [`-hcl=${acl} ${secure}`] })
const address = `127.0.0.1:${daemon.grpcPort}`
const secureAddress = `127.0.0.1:${daemon.grpcTlsPort}`

/** Asks with the token that may do everything. */
async function put(url: string, body: object): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${daemon.httpPort}${url}`, {
    method: 'PUT',
    headers: { 'X-Consul-Token': ROOT },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`PUT ${url}: ${response.status} ${text}`)
  return text
}

/** A service `web` with one healthy instance, a token and a way of logging in that may read it. */
async function furnish(): Promise<string> {
  await put('/v1/catalog/register', {
    Node: 'n7',
    Address: '10.0.0.7',
    Service: { ID: 'web-1', Service: 'web', Port: 80 },
    Check: { CheckID: 'well', Name: 'well', Status: 'passing', ServiceID: 'web-1' },
  })
  const rules = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'
  await put('/v1/acl/policy', { Name: 'reads', Rules: rules })
  await put('/v1/acl/token', { SecretID: READER, Policies: [{ Name: 'reads' }] })
  await put('/v1/acl/auth-method', {
    Name: 'pods',
    Type: 'jwt',
    Config: {
      BoundAudiences: ['gatehouse'],
      ClaimMappings: { sub: 'job' },
      JWTValidationPubKeys: [rsa.pem],
    },
  })
  await put('/v1/acl/role', { Name: 'reads', Policies: [{ Name: 'reads' }] })
  await put('/v1/acl/binding-rule', { AuthMethod: 'pods', BindType: 'role', BindName: 'reads' })
  const now = Math.floor(Date.now() / 1_000)
  const claims = { sub: 'web', aud: 'gatehouse', iat: now, exp: now + 600 }
  return tokenOf(claims, {}, 'RS256', rsa.privateKey)
}

const proof = await furnish()

/** Runs a program to its end; gives its code and what it printed. */
async function ran(t: Test, file: string, words: readonly string[]) {
  const program = launch(t, file, words)
  return { code: await program.ended, out: program.stdout(), err: program.stderr() }
}

t.test('consul-server-connection-manager and the stubs of Consul', { skip }, async t => {
  const script = await buildGo(t, 'go-grpc')
  const reached = [address, secureAddress, CA, 'server.dc1.consul']
  await assertScript(t, launch(t, script, [...reached, READER, 'pods', proof]))
})

t.test('grpc-health-probe', { skip }, async t => {
  const what = 'github.com/grpc-ecosystem/grpc-health-probe'
  const probe = await buildGo(t, 'go-grpc', ['build'], what)
  const whole = await ran(t, probe, [`-addr=${address}`])
  t.equal(whole.code, 0, whole.err)
  t.match(whole.out + whole.err, /SERVING/)
  t.equal((await ran(t, probe, [`-addr=${address}`, '-service=gatehouse.v1.KV'])).code, 0)
  const [NO_RPC, NOT_SERVING] = [3, 4]
  const unknown = await ran(t, probe, [`-addr=${address}`, '-service=none.such'])
  t.equal(unknown.code, NO_RPC, unknown.err)
  // Nobody has initialised the secrets.
  const sealed = await ran(t, probe, [`-addr=${address}`, '-service=gatehouse.v1.Secrets'])
  t.equal(sealed.code, NOT_SERVING, sealed.err)
})

t.test('grpcurl, by reflection alone', { skip }, async t => {
  const what = 'github.com/fullstorydev/grpcurl/cmd/grpcurl'
  const grpcurl = await buildGo(t, 'go-grpc', ['build'], what)
  const call = (token: string, data: object, method: string) =>
    ran(t, grpcurl, [
      '-plaintext',
      ...(token === '' ? [] : ['-H', `x-consul-token: ${token}`]),
      ...['-d', JSON.stringify(data), address, method],
    ])

  t.test('lists and describes every service', async t => {
    const { code, out, err } = await ran(t, grpcurl, ['-plaintext', address, 'list'])
    t.equal(code, 0, err)
    const listed = out.trim().split('\n')
    for (const service of SERVICES) t.ok(listed.includes(service), service)
    for (const service of listed) {
      const described = await ran(t, grpcurl, ['-plaintext', address, 'describe', service])
      t.equal(described.code, 0, `${service}: ${described.err}`)
      t.match(described.out, /^\s+rpc /m, service)
    }
  })

  t.test('calls them', async t => {
    const value = Buffer.from('hello').toString('base64')
    const written = await call(ROOT, { key: 'a', value }, 'gatehouse.v1.KV/Put')
    t.equal(written.code, 0, written.err)
    const read = await call(ROOT, { key: 'a' }, 'gatehouse.v1.KV/Get')
    t.match(read.out, new RegExp(`"value": "${value}"`), read.err)
    const instances = { service: 'web' }
    const found = await call(READER, instances, 'gatehouse.v1.Registry/ListInstances')
    t.match(found.out, /10\.0\.0\.7/, found.err)
    const members = await call(ROOT, {}, 'gatehouse.v1.Operator/Members')
    t.equal(members.code, 0, members.err)
  })

  t.test('is refused in words and codes that say why', async t => {
    const REFUSED = 64
    const codes = { INVALID: 3, DENIED: 7, UNAVAILABLE: 14, UNKNOWN: 16 }
    const expect = async (code: number, text: RegExp, ...how: Parameters<typeof call>) => {
      const given = await call(...how)
      t.equal(given.code, REFUSED + code, `${how[2]}: ${given.err}`)
      t.match(given.err, text)
    }
    await expect(codes.DENIED, /Permission denied/, READER, { key: 'a' }, 'gatehouse.v1.KV/Get')
    await expect(codes.UNKNOWN, /ACL not found/, NOBODY, { key: 'a' }, 'gatehouse.v1.KV/Get')
    await expect(codes.INVALID, /key/i, ROOT, {}, 'gatehouse.v1.KV/Put')
    await expect(
      ...[codes.UNAVAILABLE, /sealed|not initialized/i, '', { path: 'secret/a' }],
      'gatehouse.v1.Secrets/Read',
    )
  })

  t.test('follows a feed until its time is over', async t => {
    const data = JSON.stringify({ topic: 'health', subject: 'web' })
    const words = ['-plaintext', '-max-time', '2', '-H', `x-consul-token: ${READER}`, '-d', data]
    const followed = await ran(t, grpcurl, [...words, address, 'gatehouse.v1.Feed/Follow'])
    t.match(followed.out, /10\.0\.0\.7/)
    t.match(followed.out, /"resume"/)
    t.match(followed.err, /DeadlineExceeded/)
  })
})

const SERVICES = [
  ...['KV', 'Registry', 'Sessions', 'Operator', 'Feed'],
  ...['Secrets', 'Transit', 'Certificates', 'Identity'],
].map(name => `gatehouse.v1.${name}`)
SERVICES.push(
  'grpc.health.v1.Health',
  'hashicorp.consul.acl.ACLService',
  'hashicorp.consul.dns.DNSService',
  'hashicorp.consul.serverdiscovery.ServerDiscoveryService',
)
