/**
 * One request for every declared path, so that all that it can be asked for is asked, and the state
 * that they are about.
 */
import { generateKeyPairSync } from 'node:crypto'
import type { Client } from './client.ts'
import { NODE } from './harness.ts'

/** A condition that holds. */
const condition = {
  Expression: 'true',
  Level: 'advisory',
  Operations: [{ Resource: 'key' }],
}

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** An auth method whose key nobody signs with. */
const method = {
  Name: 'm',
  Type: 'jwt',
  Config: {
    BoundAudiences: ['gatehouse'],
    JWTValidationPubKeys: [publicKey.export({ type: 'spki', format: 'pem' })],
  },
}

/** A sink that tells nobody. */
const sink = {
  kind: 'webhook',
  settings: { url: 'https://hooks.example/x', secret: 'sixteen-characters' },
  services: ['web'],
}

const pair = { SourceName: 'web', DestinationName: 'db', Action: 'allow' }

/** The same of the paths of ACLs, where they are on. */
export async function prepareAcl(client: Client): Promise<Ids> {
  const made = async (path: string, body: object): Promise<string> => {
    const { json } = await client.put(path, body)
    return json.ID ?? json.AccessorID
  }
  await client.put('/v1/acl/auth-method', method)
  const denied = await client.as('').put('/v1/kv/denied', 'x')
  return {
    POLICY: await made('/v1/acl/policy', { Name: 'p', Rules: 'operator = "read"' }),
    ROLE: await made('/v1/acl/role', { Name: 'r' }),
    TOKEN: await made('/v1/acl/token', { Description: 'there' }),
    RULE: await made('/v1/acl/binding-rule', {
      ...{ AuthMethod: 'm', BindType: 'service', BindName: 'web' },
    }),
    REQUEST: String(denied.headers['x-request-id']),
  }
}

/** What fills the open part of a path, and the body, so that all that can be asked is asked. */
const requests: Record<string, { part?: string; query?: string; body?: object | string }> = {
  '/v1/feed/health/{service}': { part: 'web' },
  '/v1/feed/kv/{prefix}': { part: 'a' },
  '/v1/feed/config/{kind}': { part: 'service-defaults' },
  '/v1/feed/certificates/{mount}': { part: 'pki' },
  '/v1/kv/{key}': { part: 'a', query: '?recurse', body: 'x' },
  '/v1/catalog/register': {
    body: {
      Node: 'fresh',
      Address: '10.0.0.1',
      Service: { Service: 'web' },
      Check: { Name: 'c' },
    },
  },
  '/v1/catalog/deregister': { body: { Node: NODE, ServiceID: 'web' } },
  '/v1/catalog/service/{service}': { part: 'web' },
  '/v1/catalog/node/{node}': { part: NODE },
  '/v1/catalog/node-services/{node}': { part: NODE },
  '/v1/health/service/{service}': { part: 'web' },
  '/v1/health/checks/{service}': { part: 'web' },
  '/v1/health/node/{node}': { part: NODE },
  '/v1/health/state/{state}': { part: 'any' },
  '/v1/coordinate/update': {
    body: { Node: NODE, Coord: { Vec: Array(8).fill(0), Error: 1, Adjustment: 0, Height: 0 } },
  },
  '/v1/coordinate/node/{node}': { part: NODE },
  '/v1/internal/ui/node/{node}': { part: NODE },
  '/v1/internal/ui/gateway-services-nodes/{gateway}': { part: 'gw' },
  '/v1/internal/ui/gateway-intentions/{gateway}': { part: 'gw' },
  '/v1/session/create': { body: {} },
  '/v1/event/fire/{name}': { part: 'deploy' },
  '/v1/query': { body: { Name: 'made', Service: { Service: 'web' } } },
  '/v1/query/{query}': { part: 'QUERY', body: { Name: 'changed', Service: { Service: 'web' } } },
  '/v1/query/{query}/execute': { part: 'asked' },
  '/v1/query/{query}/explain': { part: 'asked' },
  '/v1/txn': {
    body: [
      { KV: { Verb: 'get', Key: 'a' } },
      { KV: { Verb: 'get-tree', Key: 'a' } },
      { KV: { Verb: 'set', Key: 'a' } },
      { Node: { Verb: 'get', Node: { Node: NODE } } },
      { Node: { Verb: 'set', Node: { Node: 'fresh', Address: '10.0.0.1' } } },
      { Service: { Verb: 'get', Node: NODE, Service: { ID: 'web' } } },
      { Service: { Verb: 'set', Node: NODE, Service: { Service: 'web' } } },
      { Session: { Verb: 'delete', Session: { ID: 'SESSION' } } },
    ],
  },
  '/v1/session/node/{node}': { part: NODE },
  '/v1/session/info/{session}': { part: 'SESSION' },
  '/v1/session/renew/{session}': { part: 'SESSION' },
  '/v1/session/destroy/{session}': { part: 'SESSION' },
  '/v1/agent/service/register': { body: { Name: 'web' } },
  '/v1/agent/check/register': { body: { Name: 'node-check', TTL: '1m' } },
  '/v1/agent/service/{service}': { part: 'web' },
  '/v1/agent/service/deregister/{service}': { part: 'web' },
  '/v1/agent/check/deregister/{check}': { part: 'node-check' },
  '/v1/agent/check/pass/{check}': { part: 'node-check' },
  '/v1/agent/check/warn/{check}': { part: 'node-check' },
  '/v1/agent/check/fail/{check}': { part: 'node-check' },
  '/v1/agent/check/update/{check}': { part: 'node-check', body: { Status: 'passing' } },
  '/v1/agent/maintenance': { query: '?enable=true' },
  '/v1/agent/service/maintenance/{service}': { part: 'web', query: '?enable=true' },
  '/v1/agent/health/service/id/{service}': { part: 'web' },
  '/v1/agent/health/service/name/{service}': { part: 'web' },
  '/v1/config': { body: { Kind: 'service-defaults', Name: 'fresh' } },
  '/v1/config/{kind}/{name}': { part: 'service-defaults/web' },
  '/v1/connect/intentions': { body: { ...pair, SourceName: 'fresh' } },
  '/v1/connect/intentions/exact': {
    query: '?source=web&destination=db',
    body: { Action: 'allow' },
  },
  '/v1/acl/condition/{name}': { part: 'c', body: condition },
  '/v1/acl/token': { body: { Description: 'made' } },
  '/v1/acl/token/{accessor}': { part: 'TOKEN', body: { Description: 'changed' } },
  '/v1/acl/token/{accessor}/clone': { part: 'TOKEN', body: {} },
  '/v1/acl/policy': { body: { Name: 'made', Rules: '' } },
  '/v1/acl/policy/name/{name}': { part: 'p' },
  '/v1/acl/policy/{id}': { part: 'POLICY', body: { Name: 'p', Rules: '' } },
  '/v1/acl/role': { body: { Name: 'made' } },
  '/v1/acl/role/name/{name}': { part: 'r' },
  '/v1/acl/role/{id}': { part: 'ROLE', body: { Name: 'r', Description: 'changed' } },
  '/v1/acl/templated-policy/name/{name}': { part: 'builtin/service' },
  '/v1/acl/templated-policy/preview/{name}': { part: 'builtin/service', body: { Name: 'web' } },
  '/v1/internal/acl/authorize': {
    body: [{ Resource: 'key', Segment: 'a', Access: 'read' }],
  },
  '/v1/acl/auth-method': { body: method },
  '/v1/acl/auth-method/{name}': { part: 'm', body: method },
  '/v1/acl/binding-rule': { body: { AuthMethod: 'm', BindType: 'service', BindName: 'web' } },
  '/v1/acl/binding-rule/{id}': {
    part: 'RULE',
    body: { AuthMethod: 'm', BindType: 'service', BindName: 'web' },
  },
  '/v1/acl/login': { body: { AuthMethod: 'm', BearerToken: 'nothing' } },
  '/v1/acl/explain/{request}': { part: 'REQUEST' },
  '/v1/agent/token/{kind}': { part: 'default', body: { Token: '' } },
  '/v1/agent/force-leave/{node}': { part: NODE },
  '/v1/agent/join/{address}': { part: '127.0.0.1' },
  '/debug/pprof/{profile}': { part: 'profile', query: '?seconds=0.01' },
  '/v1/operator/raft/peer': { query: '?id=x' },
  '/v1/operator/autopilot/configuration': { body: { MinQuorum: 1 } },
  '/v1/operator/keyring': { body: { Key: 'x' } },
  '/v1/operator/ca/revoke/{node}': { part: '6a1d1bd0-6a4f-4d36-8a5e-8f2b1d7f3c55' },
  '/v1/operator/join-token': { body: { Kind: 'client' } },
  '/v1/operator/join-token/{id}': { part: 'JOIN' },
  '/v1/operator/join-token/{id}/rotate': { part: 'JOIN' },
  '/v1/connect/intentions/match': { query: '?by=source&name=web' },
  '/v1/connect/intentions/check': { query: '?source=web&destination=db' },
  '/v1/connect/intentions/{id}': { part: 'INTENTION', body: pair },
  '/v1/sinks/{name}': { part: 'there', body: sink },
}

/** Ids that are known when something was written. */
export type Ids = Readonly<Record<string, string>>

/**
 * Writes what the requests are about, by a client that may everything; gives the ids that it was
 * given. `captured` is the token that is left in a prepared query.
 */
export async function prepare(client: Client, captured = 'secret'): Promise<Ids> {
  await client.put('/v1/agent/service/register', { Name: 'web', Check: { TTL: '1m' } })
  await client.put('/v1/agent/check/register', { Name: 'node-check', TTL: '1m' })
  for (const id of ['service:web', 'node-check']) await client.put(`/v1/agent/check/pass/${id}`)
  await client.put('/v1/agent/service/maintenance/web?enable=false')
  await client.put('/v1/agent/maintenance?enable=false')
  await client.put('/v1/kv/a', 'x')
  await client.put('/v1/catalog/deregister', { Node: 'fresh' })
  await client.put('/v1/config', { Kind: 'service-defaults', Name: 'web' })
  await client.delete('/v1/config/service-intentions/db')
  await client.put('/v1/acl/condition/c', condition)
  await client.put('/v1/sinks/there', sink)
  const INTENTION = (await client.send('POST', '/v1/connect/intentions', pair)).json.ID
  const stored = (await client.get('/v1/query')).json as readonly { readonly ID: string }[]
  for (const { ID } of stored) await client.delete(`/v1/query/${ID}`)
  const asked = { Name: 'asked', Token: captured, Service: { Service: 'web' } }
  const QUERY = (await client.send('POST', '/v1/query', asked)).json.ID
  const SESSION = (await client.put('/v1/session/create', { Checks: [] })).json.ID
  const JOIN = (await client.put('/v1/operator/join-token', { Kind: 'client' })).json.ID
  return { SESSION, INTENTION, QUERY, JOIN }
}

/** What fills the open part of a path; an id of `Ids` by its name. */
export const partOf = (path: string): string => requests[path]?.part ?? ''

export interface EveryRequest {
  readonly url: string
  readonly payload: string | undefined
}

/** The request for an operation. */
export function requestOf(method: string, path: string, ids: Ids): EveryRequest {
  const { query = '', body } = requests[path] ?? {}
  const part = partOf(path)
  const given = typeof body === 'object' ? JSON.stringify(body) : body
  return {
    url: path.replace(/\{.*\}/, ids[part] ?? part) + query,
    payload: method === 'GET' ? undefined : given?.replace('SESSION', ids.SESSION ?? ''),
  }
}
