/**
 * Consul's public services through a client.
 */
import t from 'tap'
import type { RegistryGrpcPorts } from '../../../src/grpc/registry/ports.ts'
import { ROOT } from '../../http/acl.ts'
import { until } from '../../http/harness.ts'
import { rsa, tokenOf } from '../../identity/auth-method/tokens.ts'
import { type BothFaces, startBoth } from './harness.ts'

const WATCH = 'hashicorp.consul.serverdiscovery.ServerDiscoveryService/WatchServers'
const FEATURES = 'hashicorp.consul.dataplane.DataplaneService/GetSupportedDataplaneFeatures'
const LOGIN = 'hashicorp.consul.acl.ACLService/Login'
const LOGOUT = 'hashicorp.consul.acl.ACLService/Logout'
const QUERY = 'hashicorp.consul.dns.DNSService/Query'

/** Makes another server of the catalog ready, or not. */
const server = ({ ask }: BothFaces, name: string, status: string, token = ''): Promise<unknown> =>
  ask(
    'Registry/Register',
    {
      node: { name, address: '10.1.1.1', taggedAddresses: { wan: '203.0.113.1' } },
      service: { name: 'consul', meta: { version: '1.2.3' } },
      checks: [{ checkId: 'serfHealth', name: 'Serf Health Status', status }],
    },
    token === '' ? {} : { 'x-consul-token': token },
  )

t.test('servers are told at once, and again whenever they are others', async t => {
  const both = await startBoth(t)
  const stream = await both.open(WATCH)
  stream.call.end({})
  await until(() => stream.answers.length === 1)
  t.match(stream.answers[0], { servers: [{ address: '127.0.0.1', version: /^1\./ }] })
  await server(both, 'beta', 'HEALTH_STATUS_PASSING')
  await until(() => stream.answers.length === 2)
  t.match(stream.answers[1].servers[1], { address: '10.1.1.1', version: '1.2.3' })
  await both.ask('Registry/Register', { node: { name: 'x', address: '10.2.2.2' } })
  const wan = await both.open(WATCH)
  wan.call.end({ wan: true })
  await until(() => wan.answers.length === 1)
  t.equal(wan.answers[0].servers[1].address, '203.0.113.1')
  await server(both, 'beta', 'HEALTH_STATUS_CRITICAL')
  await until(() => stream.answers.length === 3)
  t.equal(stream.answers[2].servers.length, 1, 'one that is not well is none')
  stream.call.cancel()
  wan.call.cancel()
  await Promise.all([stream.ended, wan.ended])
})

t.test('with ACLs any token will do, but there must be one', async t => {
  const { call, open } = await startBoth(t, { acl: {} })
  for (const name of [WATCH, FEATURES]) {
    const none = await call(name)
    t.equal(none.code, 'UNAUTHENTICATED')
    t.match(none.text, 'An ACL token must be provided')
    t.equal((await call(name, {}, { 'x-consul-token': 'nobody' })).code, 'UNAUTHENTICATED')
  }
  const stream = await open(WATCH, { 'x-consul-token': ROOT })
  stream.call.end({})
  await until(() => stream.answers.length === 1)
  stream.call.cancel()
  await stream.ended
  const { answers } = await call(FEATURES, {}, { 'x-consul-token': ROOT })
  t.match(answers[0].supportedDataplaneFeatures, [
    { featureName: 'DATAPLANE_FEATURES_WATCH_SERVERS', supported: true },
    { featureName: 'DATAPLANE_FEATURES_EDGE_CERTIFICATE_MANAGEMENT', supported: false },
    { featureName: 'DATAPLANE_FEATURES_ENVOY_BOOTSTRAP_CONFIGURATION', supported: false },
  ])
})

t.test('logins: without ACLs there are none', async t => {
  const { call } = await startBoth(t)
  for (const name of [LOGIN, LOGOUT]) {
    t.match(await call(name), { code: 'FAILED_PRECONDITION', text: 'ACL support disabled' })
  }
})

t.test('logins are refused as in HTTP, and what is ended stays ended', async t => {
  const { call } = await startBoth(t, { acl: {} })
  const cases: [string, object, string, string][] = [
    [LOGIN, { authMethod: 'none', bearerToken: 'x' }, 'UNAUTHENTICATED', 'auth method "none" not'],
    [LOGIN, { namespace: 'n' }, 'INVALID_ARGUMENT', 'Namespaces is a Consul Enterprise feature'],
    [LOGIN, { partition: 'n' }, 'INVALID_ARGUMENT', 'Partitions is a Consul Enterprise feature'],
    [LOGIN, { datacenter: 'dc2' }, 'INVALID_ARGUMENT', 'No path to datacenter'],
    [LOGIN, { bearerToken: 'x'.repeat(2_000_000) }, 'RESOURCE_EXHAUSTED', 'too large'],
    [LOGOUT, {}, 'INVALID_ARGUMENT', 'token is required'],
    [LOGOUT, { token: ROOT }, 'PERMISSION_DENIED', `token wasn't created via login`],
  ]
  for (const [name, request, code, text] of cases) {
    const ended = await call(name, request)
    t.equal(ended.code, code, `${JSON.stringify(request).slice(0, 60)}: ${ended.text}`)
    t.match(ended.text, text)
  }
  t.equal((await call(LOGOUT, { token: 'nobody' })).code, 'OK')
})

t.test('from a proof to a token that works until it is ended', async t => {
  const { ask, call, face } = await startBoth(t, { acl: {} })
  const root = { headers: { 'X-Consul-Token': ROOT } }
  const config = { BoundAudiences: ['gatehouse'], JWTValidationPubKeys: [rsa.pem] }
  const mapped = { ...config, ClaimMappings: { sub: 'job' } }
  await face.client.put('/v1/acl/auth-method', { Name: 'ci', Type: 'jwt', Config: mapped }, root)
  const rule = { AuthMethod: 'ci', BindType: 'service', BindName: `\${value.job}` }
  await face.client.put('/v1/acl/binding-rule', rule, root)
  const now = Math.floor(Date.now() / 1_000)
  const claims = { sub: 'web', aud: 'gatehouse', iat: now, exp: now + 600 }
  const bearerToken = tokenOf(claims, {}, 'RS256', rsa.privateKey)
  const request = { authMethod: 'ci', bearerToken, meta: { pod: 'x' } }
  // What governs logins never sees the proof.
  const condition = {
    ...{ Description: '', Level: 'hard-mandatory', Enabled: true },
    Expression: 'request.body.authMethod == "ci" && !has(request.body.bearerToken)',
    Operations: [{ Resource: 'login' }],
  }
  await face.client.put('/v1/acl/condition/blind', condition, root)
  const { token } = await ask(LOGIN, request)
  const headers = { 'x-consul-token': token.secretId }
  const web = { node: { name: 'n', address: '10.0.0.1' }, service: { name: 'web' } }
  t.match(await call('Registry/Register', web, headers), { code: 'PERMISSION_DENIED' }, 'no node')
  const own = await face.client.get('/v1/acl/token/self', {
    headers: { 'X-Consul-Token': token.secretId },
  })
  t.match(own.json, { AccessorID: token.accessorId, ServiceIdentities: [{ ServiceName: 'web' }] })
  await ask(LOGOUT, { token: token.secretId })
  await ask(LOGOUT, { token: token.secretId })
  t.equal((await call('KV/List', {}, headers)).code, 'UNAUTHENTICATED')
})

t.test('the DNS is asked with the bounds of the transport that a query names', async t => {
  const asked: string[] = []
  const dns = async (query: Buffer, transport: string): Promise<Buffer | undefined> => {
    asked.push(transport)
    return query.length === 1 ? undefined : Buffer.from('answer')
  }
  const { ask, call } = await startBoth(t, { ports: { dns } })
  const msg = Buffer.alloc(12)
  t.strictSame(await ask(QUERY, { msg, protocol: 'PROTOCOL_UDP' }), { msg: Buffer.from('answer') })
  await ask(QUERY, { msg, protocol: 'PROTOCOL_TCP' })
  t.strictSame(asked, ['udp', 'tcp'])
  t.equal((await call(QUERY, { msg, protocol: 'PROTOCOL_TCP' })).code, 'OK')
  t.match(await call(QUERY, { msg }), {
    code: 'INVALID_ARGUMENT',
    text: 'error protocol type not set: PROTOCOL_UNSET_UNSPECIFIED',
  })
  for (const bad of [Buffer.alloc(1), Buffer.alloc(65_536)]) {
    const refused = await call(QUERY, { msg: bad, protocol: 'PROTOCOL_TCP' })
    t.match(refused, { code: 'INVALID_ARGUMENT', text: 'failure decoding dns request' })
  }
})

t.test("the DNS is asked with the rights of the call's token, else with the agent's", async t => {
  const seen: (string | undefined)[] = []
  const dns: RegistryGrpcPorts['dns'] = async (query, _transport, _address, seer) => {
    seen.push(seer?.accessor)
    return query
  }
  const { call } = await startBoth(t, { acl: {}, ports: { dns } })
  const request = { msg: Buffer.alloc(12), protocol: 'PROTOCOL_UDP' }
  t.equal((await call(QUERY, request)).code, 'OK')
  t.equal((await call(QUERY, request, { 'x-consul-token': ROOT })).code, 'OK')
  t.equal((await call(QUERY, request, { 'x-consul-token': 'nobody' })).code, 'UNAUTHENTICATED')
  t.equal(seen.length, 2)
  t.equal(seen[0], undefined)
  t.ok(seen[1])
})
