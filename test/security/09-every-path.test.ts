/**
 * No path without its right: every declared path, asked without a token, with one that nobody has
 * and with one that may only read, on a server that denies by default. And a transaction is never
 * a way round: it allows what the single calls allow. (The class of CVE-2020-7955, CVE-2019-12291
 * and CVE-2021-38698.)
 */
import t from 'tap'
import { anonymous, type Method, type Operation } from '../../src/http/declare.ts'
import { laterPaths } from '../../src/http/registry/mod.ts'
import { ROOT } from '../http/acl.ts'
import type { Answered } from '../http/client.ts'
import { prepare, prepareAcl, requestOf } from '../http/every-request.ts'
import { type Face, startFace } from '../http/harness.ts'
import { everythingFor } from '../http/principals.ts'

/** Lists, and what they answer to who may see nothing. */
const EMPTY: Readonly<Record<string, string>> = {
  '/v1/agent/checks': '{}',
  '/v1/agent/members': '[]',
  '/v1/agent/services': '{}',
  '/v1/catalog/node/{node}': 'null',
  '/v1/catalog/node-services/{node}': '{"Node":null,"Services":null}',
  '/v1/catalog/nodes': '[]',
  '/v1/catalog/service/{service}': '[]',
  '/v1/catalog/services': '{}',
  '/v1/config/{kind}': '[]',
  '/v1/connect/intentions': '[]',
  '/v1/coordinate/nodes': '[]',
  '/v1/event/list': '[]',
  '/v1/health/checks/{service}': '[]',
  '/v1/health/node/{node}': '[]',
  '/v1/health/service/{service}': '[]',
  '/v1/health/state/{state}': '[]',
  '/v1/internal/ui/node/{node}': '',
  '/v1/internal/ui/nodes': '[]',
  '/v1/internal/ui/services': '[]',
  // Everything under a prefix is a list too.
  '/v1/kv/{key}': '',
  '/v1/query': '[]',
  '/v1/session/info/{session}': '[]',
  '/v1/session/list': '[]',
  '/v1/session/node/{node}': '[]',
}

/** Feeds of what the registry has: empty for who may see nothing, as lists are. */
const FEED = /^\/v1\/feed\/(health|services|nodes|kv|config|intentions)/

/** Reads that ask for more than to read. */
const MANAGED = new Set(['/v1/snapshot'])
/** Instances are left out of it; it is found by who knows its name. */
const EXECUTE = '/v1/query/{query}/execute'
const TXN = '/v1/txn'
/** What everybody may ask of his own token, and of nothing else. */
const OF_ONESELF = new Set([
  'GET /v1/acl/token/self',
  'POST /v1/acl/logout',
  'POST /v1/internal/acl/authorize',
])
const READS_BY_POST = new Set(['/v1/acl/templated-policy/preview/{name}'])

const DENIED = /^Permission denied: anonymous token lacks permission '[a-z]+:(read|write|list)'/
const DENIED_READER =
  /^Permission denied: token with AccessorID '[0-9a-f-]{36}' lacks permission '[a-z]+:write'/

interface Case {
  readonly path: string
  readonly method: Method
  readonly operation: Operation
}

const later = new Set(laterPaths.map(({ path }) => path))

function casesOf({ paths }: Face): Case[] {
  return paths
    .filter(({ path }) => !later.has(path))
    .flatMap(({ path, operations }) =>
      (Object.entries(operations) as [Method, Operation][]).map(([method, operation]) => ({
        ...{ path, method, operation },
      })),
    )
}

const CAPTURED = 'bbbbbbbb-0000-4000-8000-000000000001'
const NOBODYS = 'bbbbbbbb-0000-4000-8000-000000000002'

/** Under default deny, with a token that may read everything. */
async function start(of: Parameters<typeof startFace>[0]) {
  const face = await startFace(of, { acl: {} })
  const root = face.client.as(ROOT)
  const ids = { ...(await prepare(root, CAPTURED)), ...(await prepareAcl(root)) }
  const rules = { Name: 'reads', Rules: everythingFor('read') }
  const { ID } = (await root.put('/v1/acl/policy', rules)).json
  const reader = (await root.put('/v1/acl/token', { Policies: [{ ID }] })).json.SecretID as string
  await root.put('/v1/acl/token', { SecretID: CAPTURED })
  const ask = async (
    { path, method, operation }: Case,
    token: string,
  ): Promise<Pick<Answered, 'status' | 'text'>> => {
    const { url, payload } = requestOf(method, path, ids)
    const client = face.client.as(token)
    const answers = Object.values(operation.answers)
    const goesOn = !MANAGED.has(path) && answers.some(one => 'stream' in one)
    // Who may see nothing follows it nevertheless, as its list is answered empty.
    const mayFollow = token === reader || (FEED.test(path) && token === '')
    if (!goesOn || !mayFollow || method !== 'GET') return client.send(method, url, payload)
    return { status: await client.begun(method, url), text: '' }
  }
  return { face, ask, reader }
}

/** What is said of a right that is lacking, or of a token that is nobody's. */
const REFUSED = /lacks permission|ACL not found/

t.test('without a token: nothing, but for what is named', async t => {
  const { face, ask } = await start(t)
  const { revision } = face.store.status()
  const open: string[] = []
  for (const one of casesOf(face)) {
    const { path, method, operation } = one
    const name = `${method} ${path}`
    const { status, text } = await ask(one, '')
    if (operation.access === anonymous) {
      open.push(name)
      t.notMatch(text, REFUSED, name)
    } else if (OF_ONESELF.has(name)) {
      t.notMatch(text, /lacks permission/, name)
    } else if (FEED.test(path)) {
      t.equal(status, 200, name)
    } else if (method === 'GET' && Object.hasOwn(EMPTY, path)) {
      t.equal(text, EMPTY[path], name)
    } else if (path === EXECUTE) {
      t.match(JSON.parse(text), { Nodes: [] }, name)
    } else if (path === TXN) {
      t.equal(status, 409, name)
      t.ok(
        whatsOf(text).some(what => DENIED.test(what)),
        name,
      )
    } else {
      t.equal(status, 403, name)
      t.match(text, DENIED, name)
    }
  }
  t.equal(face.store.status().revision, revision, 'nothing was written')
  for (const name of open) t.comment(`everybody may ${name}`)
  t.strictSame(open, [
    'GET /v1/status/leader',
    'GET /v1/status/peers',
    'GET /v1/catalog/datacenters',
    'GET /v1/agent/version',
    'GET /v1/feed',
    // Their tokens are the secrets', which are off here.
    'GET /v1/feed/roots',
    'GET /v1/feed/certificates/{mount}',
    'GET /v1/feed/leases/{prefix}',
    'GET /v1/coordinate/datacenters',
    'GET /v1/internal/ui/exported-services',
    // Nothing is deleted by a kind alone.
    'DELETE /v1/config/{kind}',
    'PUT /v1/acl/bootstrap',
    'POST /v1/acl/login',
    'GET /v1/acl/replication',
    'GET /v1/openapi.json',
  ])
})

t.test('with a token that nobody has: refused, but for what everybody may', async t => {
  const { face, ask } = await start(t)
  const { revision } = face.store.status()
  for (const one of casesOf(face)) {
    const { status, text } = await ask(one, NOBODYS)
    const name = `${one.method} ${one.path}`
    if (one.operation.access === anonymous) t.notMatch(text, REFUSED, name)
    else t.strictSame([status, text], [403, 'ACL not found'], name)
  }
  t.equal(face.store.status().revision, revision, 'nothing was written')
})

t.test('with a token that may read: reads are answered, all else is refused', async t => {
  const { face, ask, reader } = await start(t)
  const { revision } = face.store.status()
  for (const one of casesOf(face)) {
    const { path, method, operation } = one
    const { status, text } = await ask(one, reader)
    const name = `${method} ${path}`
    if (OF_ONESELF.has(name) || operation.access === anonymous) {
      t.notMatch(text, REFUSED, name)
      continue
    }
    const isRead = (method === 'GET' && !MANAGED.has(path)) || READS_BY_POST.has(path)
    if (isRead) t.ok(isAnswered(status, operation), `${name}: ${status} ${text}`)
    else if (path === TXN)
      t.ok(
        whatsOf(text).some(what => DENIED_READER.test(what)),
        name,
      )
    else {
      t.equal(status, 403, name)
      t.match(text, DENIED_READER, name)
    }
  }
  t.equal(face.store.status().revision, revision, 'nothing was written')
})

/** What a transaction says is wrong with its operations. */
const whatsOf = (text: string): string[] =>
  (JSON.parse(text).Errors as { What: string }[]).map(({ What }) => What)

const isAnswered = (status: number, { answers }: Operation): boolean =>
  Object.hasOwn(answers, status)
