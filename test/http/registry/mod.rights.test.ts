/**
 * The right that each operation takes, by name, and the words of its refusal: as Consul has them.
 * With real tokens under default deny, on every engine.
 *
 * Each line is a request that one rule too little refuses, and that the rule allows.
 */
import t, { type Test } from 'tap'
import { ROOT } from '../acl.ts'
import type { Client } from '../client.ts'
import { type OpenStore, onEveryEngine } from '../engines.ts'
import { NODE, startFace } from '../harness.ts'

type Request = readonly [method: string, path: string, body?: object | string]

interface Line {
  /** The rules that it takes. */
  readonly takes: string
  /** The right that is named when they are not there: `node:write on "x"`. */
  readonly lacks: string
  readonly request: Request
  /** Other rules that are not enough. */
  readonly despite?: string
}

const exact = (kind: string, name: string, level: string): string =>
  `${kind} "${name}" { policy = "${level}" }`
const SESSION = 'SESSION'
const FAR = '10.0.0.9'

/** By area, in the order in which they are sent. */
const areas: Readonly<Record<string, readonly Line[]>> = {
  keys: [
    line('key', 'a/b', 'write', ['PUT', '/v1/kv/a/b', 'x']),
    line('key', 'a/b', 'read', ['GET', '/v1/kv/a/b']),
    {
      takes: 'key_prefix "a/" { policy = "write" }',
      despite: `${exact('key', 'a/', 'write')} ${exact('key', 'a/b', 'write')}`,
      lacks: 'key:write on "a/"',
      request: ['DELETE', '/v1/kv/a/?recurse'],
    },
    line('key', 'a/b', 'write', ['DELETE', '/v1/kv/a/b']),
  ],
  sessions: [
    line('session', NODE, 'write', ['PUT', '/v1/session/create', { Checks: [] }]),
    line('session', NODE, 'write', ['PUT', `/v1/session/renew/${SESSION}`]),
    line('session', NODE, 'write', ['PUT', `/v1/session/destroy/${SESSION}`]),
  ],
  catalog: [
    {
      ...line('node', 'far', 'write', [
        'PUT',
        '/v1/catalog/register',
        { Node: 'far', Address: FAR },
      ]),
      despite: 'service_prefix "" { policy = "write" }',
    },
    {
      // The node as it is takes no right.
      ...line('service', 'web', 'write', [
        'PUT',
        '/v1/catalog/register',
        { Node: 'far', Address: FAR, Service: { ID: 'w', Service: 'web' } },
      ]),
      despite: exact('node', 'far', 'write'),
    },
    {
      takes: `${exact('service', 'web', 'write')} ${exact('service', 'db', 'write')}`,
      despite: exact('service', 'db', 'write'),
      lacks: 'service:write on "web"',
      request: [
        'PUT',
        '/v1/catalog/register',
        { Node: 'far', SkipNodeUpdate: true, Service: { ID: 'w', Service: 'db' } },
      ],
    },
    {
      ...line('node', 'far', 'write', [
        'PUT',
        '/v1/catalog/register',
        { Node: 'far', SkipNodeUpdate: true, Check: { Name: 'c' } },
      ]),
      despite: exact('service', 'db', 'write'),
    },
    line('service', 'db', 'write', [
      'PUT',
      '/v1/catalog/deregister',
      { Node: 'far', ServiceID: 'w' },
    ]),
    line('node', 'far', 'write', ['PUT', '/v1/catalog/deregister', { Node: 'far', CheckID: 'c' }]),
    line('node', 'far', 'write', ['PUT', '/v1/catalog/deregister', { Node: 'far' }]),
    line('node', NODE, 'read', ['GET', `/v1/coordinate/node/${NODE}`]),
  ],
  agent: [
    line('service', 'web', 'write', ['PUT', '/v1/agent/service/register', { Name: 'web' }]),
    line('service', 'web', 'read', ['GET', '/v1/agent/service/web']),
    line('service', 'web', 'read', ['GET', '/v1/agent/health/service/id/web']),
    line('service', 'web', 'read', ['GET', '/v1/agent/health/service/name/web']),
    line('service', 'web', 'write', [
      'PUT',
      '/v1/agent/check/register',
      { Name: 'c', TTL: '1m', ServiceID: 'web' },
    ]),
    line('node', NODE, 'write', ['PUT', '/v1/agent/check/register', { Name: 'n', TTL: '1m' }]),
    line('service', 'web', 'write', ['PUT', '/v1/agent/check/pass/c']),
    line('node', NODE, 'write', ['PUT', '/v1/agent/check/warn/n']),
    line('node', NODE, 'write', ['PUT', '/v1/agent/maintenance?enable=true']),
    line('service', 'web', 'write', ['PUT', '/v1/agent/service/maintenance/web?enable=true']),
    line('service', 'web', 'write', ['PUT', '/v1/agent/check/deregister/c']),
    {
      // The right on the node is for the catalog; an agent asks for that on the service.
      ...line('service', 'web', 'write', ['PUT', '/v1/agent/service/deregister/web']),
      despite: exact('node', NODE, 'write'),
    },
    line('agent', NODE, 'read', ['GET', '/v1/agent/self']),
    line('agent', NODE, 'read', ['GET', '/v1/agent/metrics']),
    line('agent', NODE, 'write', ['PUT', '/v1/agent/reload']),
    line('agent', NODE, 'write', ['PUT', '/v1/agent/token/default', { Token: '' }]),
    plain('operator', 'read', ['GET', '/v1/agent/host']),
    plain('operator', 'write', ['PUT', `/v1/agent/force-leave/${NODE}`]),
  ],
  events: [line('event', 'deploy', 'write', ['PUT', '/v1/event/fire/deploy', 'x'])],
  queries: [
    line('query', 'q', 'write', ['POST', '/v1/query', { Name: 'q', Service: { Service: 'web' } }]),
    line('query', 'q', 'read', ['GET', '/v1/query/q/explain']),
  ],
  'configuration entries': [
    line('service', 'web', 'write', [
      'PUT',
      '/v1/config',
      { Kind: 'service-defaults', Name: 'web' },
    ]),
    line('service', 'web', 'read', ['GET', '/v1/config/service-defaults/web']),
    {
      takes: `${exact('service', 'web', 'write')} ${exact('service', 'db', 'read')}`,
      despite: exact('service', 'web', 'write'),
      lacks: 'service:read on "db"',
      request: [
        'PUT',
        '/v1/config',
        { Kind: 'service-resolver', Name: 'web', Redirect: { Service: 'db' } },
      ],
    },
    plain('mesh', 'write', ['PUT', '/v1/config', { Kind: 'proxy-defaults', Name: 'global' }]),
  ],
  intentions: [
    {
      takes: 'service "db" { policy = "read" intentions = "write" }',
      despite: exact('service', 'db', 'write'),
      lacks: 'intention:write on "db"',
      request: [
        'PUT',
        '/v1/connect/intentions/exact?source=web&destination=db',
        { Action: 'allow' },
      ],
    },
    {
      takes: exact('service', 'web', 'read'),
      lacks: 'intention:read on "db"',
      request: ['GET', '/v1/connect/intentions/exact?source=web&destination=db'],
    },
    {
      takes: exact('service', 'db', 'read'),
      lacks: 'intention:read on "db"',
      request: ['GET', '/v1/connect/intentions/match?by=destination&name=db'],
    },
    line('service', 'db', 'read', [
      'GET',
      '/v1/connect/intentions/check?source=web&destination=db',
    ]),
  ],
  operators: [
    plain('operator', 'read', ['GET', '/v1/operator/raft/configuration']),
    plain('operator', 'read', ['GET', '/v1/operator/autopilot/health']),
    plain('operator', 'write', ['PUT', '/v1/operator/autopilot/configuration', {}]),
    plain('operator', 'read', ['GET', '/v1/internal/ui/catalog-overview']),
    plain('acl', 'write', ['GET', '/v1/snapshot']),
  ],
}

function line(kind: string, name: string, level: string, request: Request): Line {
  return { takes: exact(kind, name, level), lacks: `${kind}:${level} on "${name}"`, request }
}

function plain(kind: string, level: string, request: Request): Line {
  return { takes: `${kind} = "${level}"`, lacks: `${kind}:${level}`, request }
}

let named = 0

/** A token with these rules. */
async function tokenWith(root: Client, rules: string): Promise<[secret: string, accessor: string]> {
  const policy = await root.put('/v1/acl/policy', { Name: `p${named++}`, Rules: rules })
  const token = await root.put('/v1/acl/token', { Policies: [{ ID: policy.json.ID }] })
  return [token.json.SecretID, token.json.AccessorID]
}

async function run(t: Test, open: OpenStore, lines: readonly Line[]): Promise<void> {
  const { client, store } = await startFace(t, { open, acl: {} })
  const root = client.as(ROOT)
  await root.put('/v1/coordinate/update', {
    ...{ Node: NODE, Coord: { Vec: Array(8).fill(0), Error: 1, Adjustment: 0, Height: 0 } },
  })
  let session = ''
  for (const { takes, lacks, despite = '', request } of lines) {
    const [method, path, body] = request
    const url = path.replace(SESSION, session)
    const name = `${method} ${path}`
    const [right, object = ''] = lacks.split(/ on (?=")/)
    const words = `lacks permission '${right}'${object === '' ? '' : ` on ${object}`}`
    const [poor, accessor] = await tokenWith(root, despite)
    const refused = async (): Promise<boolean> => {
      const { revision } = store.status()
      const anonymous = await client.send(method, url, body)
      if (despite === '') {
        t.equal(anonymous.text, `Permission denied: anonymous token ${words}`, name)
      }
      const denied = await client.as(poor).send(method, url, body)
      t.equal(denied.status, 403, name)
      t.equal(denied.text, `Permission denied: token with AccessorID '${accessor}' ${words}`, name)
      return store.status().revision === revision
    }
    // The agent may have something of the line before to tell: once it has, only a fault writes.
    const isUntouched = (await refused()) || (await refused()) || (await refused())
    t.ok(isUntouched, `${name}: nothing was written`)
    const [rich] = await tokenWith(root, takes)
    const allowed = await client.as(rich).send(method, url, body)
    t.ok(
      allowed.status < 400 || allowed.status === 503,
      `${name}: ${allowed.status} ${allowed.text.slice(0, 200)}`,
    )
    if (path === '/v1/session/create') session = allowed.json.ID
  }
}

onEveryEngine(t, async (t, newStore) => {
  for (const [area, lines] of Object.entries(areas)) {
    t.test(area, t => run(t, newStore(t), lines))
  }
})
