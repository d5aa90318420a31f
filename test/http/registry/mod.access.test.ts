/**
 * Rights: what a declaration says it asks for is what is asked for, no more and no less.
 *
 * Every operation is asked by somebody who may everything and by somebody who may nothing; both
 * note what they are asked.
 */
import t from 'tap'
import { type Access, everybody, type Who } from '../../../src/base/who.ts'
import type { Method, Operation } from '../../../src/http/declare.ts'
import { laterPaths } from '../../../src/http/registry/mod.ts'
import { partOf, prepare, requestOf } from '../every-request.ts'
import { type Face, NODE, startFace } from '../harness.ts'

const rightOf = ({ resource, capability }: Access): string => `${resource}:${capability}`

/** Somebody whose rights can be taken, and who notes what is asked. */
class Watched implements Who {
  readonly accessor = 'watched'
  rights = 'all'
  readonly asked = new Set<string>()

  may(wanted: Access): boolean {
    this.asked.add(rightOf(wanted))
    return this.rights === 'all'
  }
}

/** Where one request shows only one of two rights, since the other is of what is stored. */
const either =
  /^.v1.(agent.(service|check|maintenance)|catalog.deregister|config$|(feed.)?config.[{]kind[}]$)/
/** Keys under a prefix are another resource than the keys. */
const alike: Record<string, string> = { 'key_prefix:write': 'key:write' }

/** What is done to another member: there is none here. */
const ofOthers = /^\/v1\/operator\/(raft\/(peer|transfer-leader)|ca\/revoke\/)/

/** Sinks of the configuration: there are none here. */
const ofConfiguration = /^\/v1\/agent\/sinks\/\{/

/** Feeds of the secrets, which are off here. */
const ofSecrets = /^\/v1\/feed\/(roots|certificates|leases)/

const isLater = new Set(laterPaths.map(({ path }) => path))

/** A snapshot can be restored by who may save it. */
async function restoreItself({ client }: Face, who: Watched): Promise<void> {
  const { bytes } = await client.get('/v1/snapshot')
  t.equal((await client.put('/v1/snapshot', bytes)).status, 200)
  t.strictSame([...who.asked], ['acl:write'])
}

t.test('every operation asks for what it declares', async t => {
  const who = new Watched()
  const face = await startFace(t, { authority: { authenticate: () => who } })
  for (const { path, operations } of face.paths) {
    if (isLater.has(path)) continue
    for (const [method, operation] of Object.entries(operations) as [Method, Operation][]) {
      const declared = new Set(operation.access(partOf(path)).map(rightOf))
      who.rights = 'all'
      const ids = await prepare(face.client)
      // Who may nothing comes first: he leaves all as it was.
      for (const rights of ['none', 'all']) {
        who.asked.clear()
        who.rights = rights
        const { url, payload } = requestOf(method, path, ids)
        if (path === '/v1/snapshot' && method === 'PUT' && rights === 'all') {
          await restoreItself(face, who)
          continue
        }
        const goesOn = Object.values(operation.answers).some(one => 'stream' in one)
        const status = goesOn
          ? await face.client.begun(method, url, path.startsWith('/v1/feed/') ? 'event: ' : '')
          : (await face.client.send(method, url, payload)).status
        const asked = new Set([...who.asked].map(one => alike[one] ?? one))
        const name = `${method} ${path} with ${rights}`
        t.strictSame([...asked.difference(declared)], [], `${name}: nothing else`)
        if (declared.size > 0) t.ok(asked.size > 0, `${name}: something`)
        if (rights !== 'all') continue
        const isOnlyRefused = Object.keys(operation.answers).every(one => Number(one) >= 400)
        const isElsewhere = [ofOthers, ofConfiguration, ofSecrets].some(one => one.test(path))
        t.ok(status < 400 || isOnlyRefused || isElsewhere, `${name}: ${status}`)
        if (!either.test(path)) t.strictSame([...declared.difference(asked)], [], `${name}: all`)
      }
    }
  }
})

t.test('what everybody may is named here', async t => {
  const { paths } = await startFace(t, { acl: {} })
  const open = paths.filter(({ path, operations }) => {
    if (isLater.has(path)) return false
    return Object.values(operations).some(operation => operation.access('x').length === 0)
  })
  t.strictSame(
    open.map(({ path }) => path),
    [
      '/v1/status/leader',
      '/v1/status/peers',
      '/v1/catalog/datacenters',
      '/v1/agent/version',
      '/v1/feed',
      // The secrets ask for the rights of theirs themselves.
      '/v1/feed/roots',
      '/v1/feed/certificates/{mount}',
      '/v1/feed/leases/{prefix}',
      '/v1/coordinate/datacenters',
      '/v1/internal/ui/exported-services',
      // Nothing is deleted by a kind alone, and the defaults of proxies are for all to read.
      '/v1/config/{kind}',
      '/v1/config/{kind}/{name}',
      // The first token; a token of its own; logins; what it may do; that nothing is replicated.
      '/v1/acl/bootstrap',
      '/v1/acl/token/self',
      '/v1/acl/logout',
      '/v1/acl/login',
      '/v1/acl/replication',
      '/v1/internal/acl/authorize',
      '/v1/openapi.json',
    ],
  )
})

t.test('who may nothing changes nothing and sees nothing', async t => {
  // Listing keys is a right of its own only where the configuration says so.
  const may = ({ capability }: Access): boolean => capability === 'list'
  const nobody: Who = { accessor: 'nobody', rights: 'none', may }
  let who: Who = everybody
  const face = await startFace(t, { authority: { authenticate: () => who } })
  const { client, store } = face
  await client.put('/v1/agent/service/register', { Name: 'web', Check: { TTL: '1m' } })
  await client.put('/v1/kv/a', 'x')
  const { revision } = store.status()
  who = nobody
  const denied: [Method, string, (object | string)?][] = [
    ['PUT', '/v1/kv/a', 'y'],
    ['PUT', '/v1/kv/new', 'y'],
    ['DELETE', '/v1/kv/a'],
    ['DELETE', '/v1/kv/?recurse'],
    ['PUT', '/v1/catalog/register', { Node: 'x', Address: '10.0.0.1' }],
    ['PUT', '/v1/catalog/register', { Node: NODE, Address: '9.9.9.9' }],
    ['PUT', '/v1/catalog/deregister', { Node: NODE }],
    ['PUT', '/v1/catalog/deregister', { Node: NODE, ServiceID: 'web' }],
    ['PUT', '/v1/session/create'],
    ['PUT', '/v1/agent/service/register', { Name: 'other' }],
    ['PUT', '/v1/agent/service/deregister/web'],
    ['PUT', '/v1/agent/check/register', { Name: 'c', TTL: '1m' }],
    ['PUT', '/v1/agent/check/deregister/service:web'],
    ['PUT', '/v1/agent/check/pass/service:web'],
    ['PUT', '/v1/agent/maintenance?enable=true'],
    ['PUT', '/v1/agent/service/maintenance/web?enable=true'],
    ['GET', '/v1/agent/self'],
    ['GET', '/v1/agent/service/web'],
    ['GET', '/v1/kv/a'],
  ]
  for (const [method, path, body] of denied) {
    const answered = await client.send(method, path, body)
    t.equal(answered.status, 403, `${method} ${path}`)
    t.match(answered.text, /Permission denied/)
  }
  t.equal(store.status().revision, revision, 'nothing was written')
  const empty = ['/v1/catalog/nodes', '/v1/health/state/any', '/v1/catalog/service/web']
  for (const path of empty) t.equal((await client.get(path)).text, '[]', path)
  t.equal((await client.get('/v1/catalog/services')).text, '{}')
  t.equal((await client.get(`/v1/catalog/node/${NODE}`)).text, 'null')
  t.equal((await client.get('/v1/kv/?recurse')).status, 404)
  t.equal((await client.get('/v1/kv/?keys')).text, '[]')
  t.equal((await client.get('/v1/agent/services')).text, '{}')
  for (const part of ['id/web', 'name/web', 'name/none']) {
    t.equal((await client.get(`/v1/agent/health/service/${part}`)).status, 403, part)
  }
  t.equal((await client.get('/v1/agent/health/service/id/none')).status, 404)
})
