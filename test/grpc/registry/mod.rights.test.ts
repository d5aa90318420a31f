/**
 * Every method of the registry by whoever shows no token, one that nobody has, one that may only
 * read, and one that may do it; with the refusals of HTTP, word for word.
 *
 * A method without a line here fails the test.
 */
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { endingOf } from '../../../src/grpc/status.ts'
import { ROOT } from '../../http/acl.ts'
import { NODE, until } from '../../http/harness.ts'
import type { Ended } from '../harness.ts'
import { type BothFaces, startBoth } from './harness.ts'

interface Line {
  /** May refer to what was prepared: `SESSION`. */
  readonly request?: object
  /** What who shows no token gets: refused, an answer without what he may not see, or all of it. */
  readonly nobody: 'refused' | 'filtered' | 'all' | 'unauthenticated'
  /** What who may only read gets. */
  readonly reader: 'refused' | 'all'
  /** The same of HTTP: method, path, body. Refusals are the same. */
  readonly http?: readonly [string, string, unknown?]
  /** The field that is empty in a filtered answer. */
  readonly empty?: string
  /** A stream that goes on: looked at, and left. */
  readonly goesOn?: boolean
}

const writes = (request: object, http?: Line['http']): Line => ({
  ...{ request, nobody: 'refused', reader: 'refused' },
  ...(http === undefined ? {} : { http }),
})
const lists = (empty: string, request: object = {}): Line => ({
  ...{ request, nobody: 'filtered', reader: 'all', empty },
})

const web = { node: { name: 'far', address: '10.0.0.9' }, service: { name: 'new' } }
const beat = { node: 'far', checkId: 'alive' }

const lines: Readonly<Record<string, Line>> = {
  'gatehouse.v1.KV/Get': {
    ...{ request: { key: 'a' }, nobody: 'refused', reader: 'all' },
    http: ['GET', '/v1/kv/a'],
  },
  'gatehouse.v1.KV/Put': writes({ key: 'a' }, ['PUT', '/v1/kv/a', '']),
  'gatehouse.v1.KV/Delete': writes({ key: 'b' }, ['DELETE', '/v1/kv/b']),
  'gatehouse.v1.KV/List': lists('entries'),
  'gatehouse.v1.KV/Txn': writes({ ops: [{ kv: { verb: 'set', key: 'a' } }] }),
  'gatehouse.v1.Sessions/Create': writes({}, ['PUT', '/v1/session/create', '']),
  'gatehouse.v1.Sessions/Renew': writes({ id: 'SESSION' }, ['PUT', '/v1/session/renew/SESSION']),
  'gatehouse.v1.Sessions/KeepAlive': { ...writes({ id: 'SESSION' }), goesOn: true },
  'gatehouse.v1.Sessions/Get': lists('session', { id: 'SESSION' }),
  'gatehouse.v1.Sessions/List': lists('sessions'),
  'gatehouse.v1.Sessions/Lock': writes({ key: 'l', session: 'SESSION' }, [
    'PUT',
    '/v1/kv/l?acquire=SESSION',
    '',
  ]),
  'gatehouse.v1.Sessions/Unlock': writes({ key: 'l', session: 'SESSION' }, [
    'PUT',
    '/v1/kv/l?release=SESSION',
    '',
  ]),
  'gatehouse.v1.Sessions/Destroy': writes({ id: 'SESSION' }, [
    'PUT',
    '/v1/session/destroy/SESSION',
  ]),
  'gatehouse.v1.Registry/Register': writes(web, [
    'PUT',
    '/v1/catalog/register',
    { Node: 'far', Address: '10.0.0.9', Service: { Service: 'new' } },
  ]),
  'gatehouse.v1.Registry/Heartbeat': writes(beat),
  'gatehouse.v1.Registry/KeepAlive': { ...writes(beat), goesOn: true },
  'gatehouse.v1.Registry/ListServices': lists('services'),
  'gatehouse.v1.Registry/ListInstances': lists('instances', { service: 'web' }),
  'gatehouse.v1.Registry/ListNodes': lists('nodes'),
  'gatehouse.v1.Registry/GetNode': lists('node', { name: 'far' }),
  'gatehouse.v1.Registry/ListChecks': lists('checks', { node: 'far' }),
  'gatehouse.v1.Registry/Deregister': writes({ node: 'far', serviceId: 'web' }, [
    'PUT',
    '/v1/catalog/deregister',
    { Node: 'far', ServiceID: 'web' },
  ]),
  'gatehouse.v1.Agent/RegisterService': writes({ service: { name: 'own2' } }, [
    'PUT',
    '/v1/agent/service/register',
    { Name: 'own2' },
  ]),
  'gatehouse.v1.Agent/UpdateTtl': writes({ checkId: 'own' }, ['PUT', '/v1/agent/check/pass/own']),
  'gatehouse.v1.Agent/KeepAlive': { ...writes({ checkId: 'own' }), goesOn: true },
  'gatehouse.v1.Agent/DeregisterService': writes({ serviceId: 'own' }, [
    'PUT',
    '/v1/agent/service/deregister/own',
  ]),
  'gatehouse.v1.Operator/Members': lists('members'),
  'gatehouse.v1.Operator/Status': { nobody: 'all', reader: 'all' },
  'gatehouse.v1.Operator/Health': {
    ...{ nobody: 'refused', reader: 'all' },
    http: ['GET', '/v1/operator/autopilot/health'],
  },
  'gatehouse.v1.Operator/TransferLeader': {
    ...writes({ nodeId: 'none' }, ['POST', '/v1/operator/raft/transfer-leader?id=none']),
  },
  'gatehouse.v1.Operator/RemovePeer': writes({ nodeId: 'none' }, [
    'DELETE',
    '/v1/operator/raft/peer?id=none',
  ]),
  'gatehouse.v1.Operator/GetAutopilot': {
    ...{ nobody: 'refused', reader: 'all' },
    http: ['GET', '/v1/operator/autopilot/configuration'],
  },
  'gatehouse.v1.Operator/SetAutopilot': writes({ settings: { minQuorum: 1 } }, [
    'PUT',
    '/v1/operator/autopilot/configuration',
    { MinQuorum: 1 },
  ]),
  'gatehouse.v1.Operator/ListKeys': {
    ...{ nobody: 'refused', reader: 'all' },
    http: ['GET', '/v1/operator/keyring'],
  },
  'gatehouse.v1.Operator/ChangeKeys': writes({ action: 'ACTION_INSTALL', key: 'k' }, [
    'POST',
    '/v1/operator/keyring',
    { Key: 'k' },
  ]),
  'gatehouse.v1.Operator/SaveSnapshot': writes({}, ['GET', '/v1/snapshot']),
  'gatehouse.v1.Operator/RestoreSnapshot': writes({ data: Buffer.from('x') }),
  'gatehouse.v1.Operator/Reload': writes({}, ['PUT', '/v1/agent/reload', '']),
  'hashicorp.consul.serverdiscovery.ServerDiscoveryService/WatchServers': {
    ...{ nobody: 'unauthenticated', reader: 'all', goesOn: true },
  },
  'hashicorp.consul.dns.DNSService/Query': {
    ...{ request: { msg: Buffer.alloc(12), protocol: 'PROTOCOL_TCP' }, nobody: 'all' },
    reader: 'all',
  },
  'hashicorp.consul.acl.ACLService/Login': { nobody: 'all', reader: 'all' },
  'hashicorp.consul.acl.ACLService/Logout': {
    request: { token: 'x' },
    nobody: 'all',
    reader: 'all',
  },
  'hashicorp.consul.dataplane.DataplaneService/GetSupportedDataplaneFeatures': {
    ...{ nobody: 'unauthenticated', reader: 'all' },
  },
}

/** These answer by what they were asked, not by whom: any end but a lack of rights is right. */
const BY_REQUEST = /Login$|RestoreSnapshot$|TransferLeader$|RemovePeer$|Keys$/
const everything = ['key', 'node', 'service', 'session', 'agent', 'query'].map(
  kind => `${kind}_prefix "" { policy = "read" }`,
)
const READS = `${everything.join('\n')}\noperator = "read"\nkeyring = "read"\nacl = "read"`

const as = (token: string): Record<string, string> =>
  token === '' ? {} : { 'x-consul-token': token }

async function prepared(both: BothFaces): Promise<{ reader: string; session: string }> {
  const root = { headers: { 'X-Consul-Token': ROOT } }
  const { client } = both.face
  const policy = await client.put('/v1/acl/policy', { Name: 'reads', Rules: READS }, root)
  const token = { Policies: [{ ID: policy.json.ID }] }
  const reader = (await client.put('/v1/acl/token', token, root)).json.SecretID
  const ask = (name: string, request: object) => both.ask(name, request, as(ROOT))
  await ask('Registry/Register', {
    ...{ node: web.node, service: { name: 'web' } },
    checks: [{ checkId: 'alive', serviceId: 'web', definition: { ttl: { seconds: 30 } } }],
  })
  await ask('KV/Put', { key: 'a' })
  await ask('KV/Put', { key: 'b' })
  const own = {
    service: { name: 'own' },
    checks: [{ checkId: 'own', definition: { ttl: { seconds: 9 } } }],
  }
  await ask('Agent/RegisterService', own)
  const { id } = await ask('Sessions/Create', { ttl: { seconds: 30 } })
  return { reader, session: id }
}

t.test('every method, by whoever may and may not', async t => {
  const both = await startBoth(t, { acl: {}, ports: { dns: async () => Buffer.from('x') } })
  const { reader, session } = await prepared(both)
  const filled = <T>(given: T): T =>
    JSON.parse(JSON.stringify(given ?? null).replaceAll('SESSION', session)) ?? undefined
  t.strictSame(
    Object.keys(lines).toSorted(),
    both.methods.map(({ path }) => path).toSorted(),
    'each method has its line',
  )
  const call = async (name: string, line: Line, token: string): Promise<Ended> => {
    const request = Buffer.isBuffer(
      (line.request as { data?: Buffer })?.data ?? (line.request as { msg?: Buffer })?.msg,
    )
      ? line.request!
      : filled(line.request ?? {})
    if (line.goesOn !== true) return both.call(name, request, as(token))
    const stream = await both.open(name, as(token))
    stream.send(request)
    if (name.endsWith('WatchServers')) stream.call.end()
    const first = until(() => stream.answers.length > 0).then(() => {
      stream.call.cancel()
      return { code: 'OK', text: '', metadata: undefined as never, answers: stream.answers }
    })
    return Promise.race([stream.ended, first])
  }
  const refusedAsInHttp = async (name: string, line: Line, ended: Ended, token: string) => {
    t.equal(ended.code, 'PERMISSION_DENIED', `${name}: ${ended.text}`)
    if (line.http === undefined) return
    const [method, path, body] = filled(line.http)
    const headers = { 'X-Consul-Token': token }
    const sent = token === '' ? {} : { headers }
    const http = await both.face.client.send(method, path, body as never, sent)
    t.equal(ended.text, http.text, name)
    t.equal(ended.code, endingOf(new Refusal(http.status, http.text)).code, name)
  }
  for (const [name, line] of Object.entries(lines)) {
    const nobody = await call(name, line, '')
    switch (line.nobody) {
      case 'refused':
        await refusedAsInHttp(name, line, nobody, '')
        break
      case 'unauthenticated':
        t.equal(nobody.code, 'UNAUTHENTICATED', name)
        break
      case 'filtered': {
        t.equal(nobody.code, 'OK', `${name}: ${nobody.text}`)
        const empty = nobody.answers[0][line.empty!]
        t.ok(empty === null || empty.length === 0, `${name} shows nothing to nobody`)
        break
      }
      case 'all':
        if (!BY_REQUEST.test(name)) t.equal(nobody.code, 'OK', `${name}: ${nobody.text}`)
    }
    const stranger = await call(name, line, 'cccccccc-0000-4000-8000-000000000001')
    if (line.nobody !== 'all') t.equal(stranger.code, 'UNAUTHENTICATED', `${name}, unknown token`)
    const readOnly = await call(name, line, reader)
    if (line.reader === 'refused') await refusedAsInHttp(name, line, readOnly, reader)
    else if (!BY_REQUEST.test(name)) {
      t.equal(readOnly.code, 'OK', `${name}: ${readOnly.text}`)
      const shown = line.empty && readOnly.answers[0][line.empty]
      if (line.empty) t.ok(shown !== null && shown.length !== 0, `${name} shows what may be read`)
    }
    const right = await call(name, line, ROOT)
    if (BY_REQUEST.test(name)) t.not(right.code, 'PERMISSION_DENIED', name)
    else t.equal(right.code, 'OK', `${name}: ${right.text}`)
  }
})

t.test('a list says that something was left out, to who shows a token', async t => {
  const both = await startBoth(t, { acl: {} })
  const root = { headers: { 'X-Consul-Token': ROOT } }
  const { client } = both.face
  const rules = 'key_prefix "a/" { policy = "read" }'
  const policy = await client.put('/v1/acl/policy', { Name: 'some', Rules: rules }, root)
  const given = { Policies: [{ ID: policy.json.ID }] }
  const token = (await client.put('/v1/acl/token', given, root)).json.SecretID
  for (const key of ['a/1', 'a/2', 'b/1']) await both.ask('KV/Put', { key }, as(ROOT))
  const some = await both.ask('KV/List', {}, as(token))
  t.equal(some.entries.length, 2)
  t.equal(some.state.filtered, true)
  t.equal((await both.ask('KV/List', { prefix: 'a/' }, as(token))).state.filtered, false)
  t.equal((await both.ask('KV/List', {})).state.filtered, false, 'nobody is told')
})

t.test('who loses a right while he waits is answered by those of now', async t => {
  const both = await startBoth(t, { acl: {} })
  const root = { headers: { 'X-Consul-Token': ROOT } }
  const { client } = both.face
  const rules = 'key_prefix "" { policy = "read" }'
  const policy = await client.put('/v1/acl/policy', { Name: 'some', Rules: rules }, root)
  const { ID } = policy.json
  const token = (await client.put('/v1/acl/token', { Policies: [{ ID }] }, root)).json.SecretID
  const { modifyIndex } = await both.ask('KV/Put', { key: 'w' }, as(ROOT))
  const waiting = both.call('KV/Get', { key: 'w', read: { index: modifyIndex } }, as(token))
  await both.face.waiting(1)
  await client.put(`/v1/acl/policy/${ID}`, { Name: 'some', Rules: '' }, root)
  t.match(await waiting, { code: 'PERMISSION_DENIED' })
  const again = { Name: 'some', Rules: rules }
  await client.put(`/v1/acl/policy/${ID}`, again, root)
  const ended = both.call('KV/Get', { key: 'w', read: { index: modifyIndex } }, as(token))
  await both.face.waiting(1)
  const { json } = await client.get('/v1/acl/tokens', root)
  const own = json.find((one: { Policies?: { ID: string }[] }) => one.Policies?.[0]?.ID === ID)
  await client.send('DELETE', `/v1/acl/token/${own.AccessorID}`, undefined, root)
  t.match(await ended, { code: 'UNAUTHENTICATED' })
})

t.test('a stream ends with the right that it began with', async t => {
  const both = await startBoth(t, { acl: {} })
  const root = { headers: { 'X-Consul-Token': ROOT } }
  const { client } = both.face
  const rules = `session "${NODE}" { policy = "write" }`
  const policy = await client.put('/v1/acl/policy', { Name: 'some', Rules: rules }, root)
  const { ID } = policy.json
  const token = (await client.put('/v1/acl/token', { Policies: [{ ID }] }, root)).json.SecretID
  const { id } = await both.ask('Sessions/Create', { ttl: { seconds: 30 } }, as(token))
  const stream = await both.open('Sessions/KeepAlive', as(token))
  stream.send({ id })
  await until(() => stream.answers.length > 0)
  await client.put(`/v1/acl/policy/${ID}`, { Name: 'some', Rules: '' }, root)
  t.equal((await stream.ended).code, 'PERMISSION_DENIED')
})

t.test('conditions govern writes of both faces, by the right that is used', async t => {
  const both = await startBoth(t, { acl: {} })
  const root = { headers: { 'X-Consul-Token': ROOT } }
  const { client } = both.face
  const condition = {
    ...{ Description: '', Level: 'hard-mandatory', Enabled: true },
    Expression: 'request.name != "guarded/a"',
    Operations: [{ Resource: 'key', Prefix: 'guarded/' }],
  }
  await client.put('/v1/acl/condition/guard', condition, root)
  const http = await client.put('/v1/kv/guarded/a', 'x', root)
  const refused = await both.call('KV/Put', { key: 'guarded/a' }, as(ROOT))
  t.match(refused, { code: 'PERMISSION_DENIED', text: http.text })
  await both.ask('KV/Put', { key: 'guarded/b' }, as(ROOT))
  // They see the method's own name, and its message.
  const named = {
    ...condition,
    Expression:
      'request.operation == "GRPC /gatehouse.v1.KV/Put/{name}" ? request.body.key != "guarded/c" : true',
  }
  await client.put('/v1/acl/condition/guard', named, root)
  t.match(await both.call('KV/Put', { key: 'guarded/c' }, as(ROOT)), { code: 'PERMISSION_DENIED' })
  await both.ask('KV/Put', { key: 'guarded/a' }, as(ROOT))
  t.equal((await client.put('/v1/kv/guarded/c', 'x', root)).status, 200)
})
