/**
 * Every endpoint with every kind of bad input: a matrix that is made from the declarations, so that
 * a path that is added is in it at once.
 *
 * Each case must be refused in words, with the status that clients know, and change nothing: the
 * store's revision stays, nothing is logged as a fault of ours, and the next request is served.
 */
import t, { type Test } from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { silentLog } from '../../../src/base/log.ts'
import type { Acting, Method, Operation, PathDeclaration } from '../../../src/http/declare.ts'
import { laterPaths } from '../../../src/http/registry/mod.ts'
import { ROOT } from '../acl.ts'
import type { Answered } from '../client.ts'
import { type Face, NODE, startFace } from '../harness.ts'

/** One request that must not be served as it is. */
interface Case {
  readonly what: string
  readonly url: string
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
  /** The statuses that are right. */
  readonly statuses: readonly number[]
  /** Refused in Go's manner, without a word. */
  readonly mayBeSilent?: boolean
}

interface Target {
  readonly path: string
  readonly method: Method
  readonly operation: Operation
}

const CLIENT_FAULT = [400] as const
const isLater = new Set(laterPaths)

function targetsOf(paths: readonly PathDeclaration[]): Target[] {
  return paths
    .filter(path => !isLater.has(path))
    .flatMap(({ path, operations }) =>
      Object.entries(operations).map(([method, operation]) => ({
        path,
        method: method as Method,
        operation: operation as Operation,
      })),
    )
}

/** Parts of paths and parameters that make a request good in all but what the case breaks. */
const parts: Readonly<Record<string, string>> = {
  '/v1/health/state/{state}': 'any',
  '/v1/config/{kind}': 'service-defaults',
  '/v1/config/{kind}/{name}': 'service-defaults/web',
}
const needed: Readonly<Record<string, string>> = {
  '/v1/agent/maintenance': 'enable=false',
  '/v1/agent/service/maintenance/{service}': 'enable=false',
  '/v1/connect/intentions/exact': 'source=a&destination=b',
  '/v1/connect/intentions/match': 'by=source&name=a',
  '/v1/connect/intentions/check': 'source=a&destination=b',
}

const UNKNOWN = 'no-such-thing'

function urlOf({ path }: Target, query = '', part = parts[path] ?? UNKNOWN): string {
  const all = [needed[path], query].filter(Boolean).join('&')
  return `${path.replace(/\{.*\}/, part)}${all === '' ? '' : `?${all}`}`
}

// --- the query

/** By parameter: values that are none, and the statuses that Consul answers them with. */
const badValues: Readonly<Record<string, readonly (readonly [string, readonly number[]])[]>> = {
  index: [
    ['x', [400]],
    ['-1', [400]],
    ['1e3', [400]],
  ],
  wait: [
    ['10', [400]],
    ['soon', [400]],
    ['1x', [400]],
  ],
  max_stale: [['soon', [400]]],
  filter: [
    ['(((', [500]],
    [encodeURIComponent('Nonsense == "x"'), [500]],
    [encodeURIComponent('a == "'), [500]],
  ],
  cas: [
    ['x', [400, 500]],
    ['-1', [400, 500]],
    ['99999999999999999999', [400, 500]],
  ],
  flags: [['x', [400, 500]]],
  enable: [['perhaps', [400]]],
  'node-meta': [],
}

function queryCases(target: Target): Case[] {
  const { operation, path } = target
  const cases: Case[] = []
  const add = (what: string, query: string, statuses: readonly number[], mayBeSilent = false) =>
    cases.push({ what, url: urlOf(target, query), statuses, mayBeSilent })
  for (const [name, values] of Object.entries(badValues)) {
    if (!(name in operation.query)) continue
    for (const [value, statuses] of values) {
      const given = needed[path]?.includes(`${name}=`) ? '' : undefined
      const query = `${name}=${value}`
      if (given === undefined) add(query, query, statuses)
      else cases.push({ what: query, url: `${urlOf(target).split('?')[0]}?${query}`, statuses })
    }
  }
  add('a namespace', 'ns=team', CLIENT_FAULT)
  add('a partition', 'partition=east', CLIENT_FAULT)
  add('another datacenter', 'dc=elsewhere', [500])
  add('a broken escape', 'x=%zz', [400, 500], true)
  if ('ask' in operation) add('two modes', 'stale&consistent', CLIENT_FAULT)
  return cases
}

// --- the path

function pathCases(target: Target): Case[] {
  if (!target.path.includes('{')) return []
  const at = (part: string): string => urlOf(target, '', part)
  return [
    { what: 'a broken escape', url: at('%zz'), statuses: CLIENT_FAULT, mayBeSilent: true },
    { what: 'half an escape', url: at('a%2'), statuses: CLIENT_FAULT, mayBeSilent: true },
    { what: 'a line end', url: at('a%0ab'), statuses: CLIENT_FAULT, mayBeSilent: true },
    { what: 'a zero', url: at('%00'), statuses: CLIENT_FAULT, mayBeSilent: true },
    { what: 'two slashes', url: at('a//b'), statuses: [307], mayBeSilent: true },
    { what: 'the folder above', url: at('a/../b'), statuses: [307], mayBeSilent: true },
  ]
}

// --- headers

function headerCases(target: Target): Case[] {
  const url = urlOf(target)
  const cases: Case[] = [
    {
      what: 'a namespace in a header',
      url,
      headers: { 'X-Consul-Namespace': 'team' },
      statuses: CLIENT_FAULT,
    },
    {
      what: 'a partition in a header',
      url,
      headers: { 'X-Consul-Partition': 'east' },
      statuses: CLIENT_FAULT,
    },
  ]
  if ('ask' in target.operation) {
    const headers = { 'Cache-Control': 'max-age=soon' }
    cases.push({ what: 'Cache-Control', url, headers, statuses: CLIENT_FAULT })
  }
  return cases
}

// --- the body

interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly examples?: readonly unknown[]
}

/** Bodies that Consul decodes loosely, as it does: unknown fields pass. */
const loose: readonly string[] = ['/v1/session/create']

function bodyCases(target: Target): Case[] {
  const { operation, path } = target
  const { body: declared } = operation as Acting<Record<string, never>, unknown>
  const url = urlOf(target)
  if (declared === undefined || !('shape' in declared)) return largeCases(target, url)
  const broken = ['{', '{]', 'nonsense', '{"a":1}}', '"', '\u0000', '{"a":tru}', '[1,', '\ufeff{']
  const deep = '['.repeat(5_000) + ']'.repeat(5_000)
  const cases: Case[] = [...broken, deep].map(text => {
    return { what: `body ${text.slice(0, 20)}`, url, body: text, statuses: CLIENT_FAULT }
  })
  const schema = declared.shape.schema as Schema
  for (const value of wrongFor(schema)) {
    cases.push({ what: `body ${value}`, url, body: value, statuses: CLIENT_FAULT })
  }
  for (const [what, text] of brokenFields(schema, path)) {
    cases.push({ what, url, body: text, statuses: CLIENT_FAULT })
  }
  if (declared.optional !== true) {
    cases.push({ what: 'no body', url, body: '', statuses: CLIENT_FAULT })
  }
  return [...cases, ...largeCases(target, url)]
}

/** Bodies with a bound that a test can reach, one byte beyond it, whether they are read or not. */
function largeCases({ method, operation }: Target, url: string): Case[] {
  const { bodySizeBytes, body } = operation as Acting<Record<string, never>, unknown>
  if (body !== undefined && 'stream' in body) return []
  const bound = bodySizeBytes ?? limits.httpBodySizeBytes
  if (method === 'GET' || bound > 2 * limits.httpBodySizeBytes) return []
  return [{ what: 'a large body', url, body: Buffer.alloc(bound + 1, 0x20), statuses: [413] }]
}

const JSON_VALUES: Readonly<Record<string, string>> = {
  string: '"x"',
  integer: '1',
  boolean: 'true',
  array: '[]',
  object: '{"a":1}',
}

/** JSON of every type that the schema does not have. */
function wrongFor(schema: Schema): string[] {
  if (schema.type === undefined) return []
  // A duration may be a number, and its text must be one.
  const isDuration = schema.examples !== undefined
  const fitting = schema.type === 'number' ? ['integer'] : [schema.type]
  if (isDuration) fitting.push('integer')
  const others = Object.entries(JSON_VALUES).filter(([type]) => !fitting.includes(type))
  return [...others.map(([, value]) => value), ...(isDuration ? ['"soon"'] : [])]
}

/** Each field with values of other types, two levels deep, and a field that nobody knows. */
function brokenFields(schema: Schema, path: string): [what: string, body: string][] {
  const items = schema.type === 'array' ? schema.items : undefined
  const fields = (items ?? schema).properties ?? {}
  const whole = (text: string): string => (items === undefined ? text : `[${text}]`)
  const found: [string, string][] = []
  for (const [name, field] of Object.entries(fields)) {
    // A lock delay may be a number, as any duration, and has a shape of its own.
    if (name === 'LockDelay') continue
    if (name === 'Namespace' || name === 'Partition') {
      found.push([`${name} team`, whole(`{"${name}":"team"}`)])
    }
    for (const value of wrongFor(field)) {
      found.push([`${name} ${value}`, whole(`{"${name}":${value}}`)])
    }
    for (const [inner, below] of Object.entries(field.properties ?? {})) {
      for (const value of wrongFor(below)) {
        found.push([`${name}.${inner} ${value}`, whole(`{"${name}":{"${inner}":${value}}}`)])
      }
    }
  }
  if (!loose.includes(path) && Object.keys(fields).length > 0) {
    found.push(['an unknown field', whole('{"NoSuchField":1}')])
  }
  return found
}

// --- the test

function faultsOf({ status, text }: Answered, { statuses, mayBeSilent }: Case): string[] {
  const faults: string[] = []
  if (!statuses.includes(status)) faults.push(`status ${status}, not ${statuses.join(' or ')}`)
  if (text === '' && mayBeSilent !== true) faults.push('no word')
  if (/internal error|undefined|\[object|at .*\.ts:\d/.test(text)) faults.push('a text of ours')
  if (text.length > 2_000) faults.push('a text without end')
  return faults
}

/** What an operation does by itself when it is asked well: end the agent, or answer for ever. */
const isLeftOut = ({ path, operation }: Target): boolean =>
  path === '/v1/agent/leave' || Object.values(operation.answers).some(answer => 'stream' in answer)

async function face(t: Test): Promise<Face & { readonly logged: string[] }> {
  const logged: string[] = []
  const error = (message: string, fields?: object): void => {
    logged.push(`${message} ${JSON.stringify(fields)}`)
  }
  const started = await startFace(t, { log: { ...silentLog, error }, acl: {} })
  // Whoever shows no token may do everything, so that what is refused is the input.
  const headers = { 'X-Consul-Token': ROOT }
  await started.client.put('/v1/agent/token/default', { Token: ROOT }, { headers })
  return { ...started, logged }
}

async function hold(
  t: Test,
  { client, store, logged }: Face & { readonly logged: string[] },
  { method, path }: Target,
  one: Case,
): Promise<void> {
  const before = store.view().revision
  const { url, body, headers = {} } = one
  const answered = await client.raw(method, url, body, { headers })
  const faults = faultsOf(answered, one)
  if (answered.status >= 400 && store.view().revision !== before) faults.push('something was done')
  faults.push(...logged.splice(0))
  if (faults.length > 0) {
    t.fail(`${method} ${path}: ${one.what}`, { faults, url, got: answered.text.slice(0, 300) })
  }
}

const kinds = {
  query: queryCases,
  path: pathCases,
  headers: headerCases,
  body: bodyCases,
}

for (const [kind, casesOf] of Object.entries(kinds)) {
  t.test(`bad input in the ${kind}`, async t => {
    const started = await face(t)
    let count = 0
    for (const target of targetsOf(started.paths)) {
      if (isLeftOut(target)) continue
      for (const one of casesOf(target)) {
        count++
        await hold(t, started, target, one)
      }
    }
    t.ok(count > 100, `${count} cases`)
    t.equal((await started.client.put('/v1/kv/alive', 'x')).text, 'true')
  })
}

/** What a name that nobody has is answered with. Lists of nothing are 200. */
const unknownStatuses: Readonly<Record<string, number>> = {
  'GET /v1/kv/{key}': 404,
  'PUT /v1/kv/{key}': 200,
  'DELETE /v1/kv/{key}': 200,
  'GET /v1/agent/service/{service}': 404,
  'PUT /v1/agent/service/deregister/{service}': 404,
  'PUT /v1/agent/service/maintenance/{service}': 404,
  'PUT /v1/agent/check/deregister/{check}': 404,
  'PUT /v1/agent/check/pass/{check}': 404,
  'PUT /v1/agent/check/warn/{check}': 404,
  'PUT /v1/agent/check/fail/{check}': 404,
  'PUT /v1/agent/check/update/{check}': 404,
  'GET /v1/agent/health/service/id/{service}': 404,
  'GET /v1/agent/health/service/name/{service}': 404,
  'PUT /v1/session/renew/{session}': 404,
  'GET /v1/config/{kind}/{name}': 404,
}

const bodies: Readonly<Record<string, string>> = {
  '/v1/agent/check/update/{check}': '{"Status":"passing"}',
}

t.test('names and ids that nobody has', async t => {
  const started = await face(t)
  const { client, store } = started
  for (const target of targetsOf(started.paths)) {
    const { method, path, operation } = target
    if (!path.includes('{') || isLeftOut(target)) continue
    const before = store.view().revision
    const { body: declared } = operation as Acting<Record<string, never>, unknown>
    const hasShape = declared !== undefined && 'shape' in declared
    const body = bodies[path] ?? (hasShape ? '{}' : undefined)
    const { status, text } = await client.raw(method, urlOf(target), body)
    const wanted = unknownStatuses[`${method} ${path}`]
    const name = `${method} ${path}: ${status} ${text.slice(0, 80)}`
    if (wanted !== undefined) t.equal(status, wanted, name)
    else t.ok([200, 400, 404, 500].includes(status), name)
    t.notMatch(text, /internal error|undefined/, name)
    if (status >= 400) t.equal(store.view().revision, before, `${name}: nothing was done`)
    t.same(started.logged.splice(0), [], name)
  }
  t.equal((await client.get('/v1/catalog/nodes')).json[0].Node, NODE)
})

t.test('a name of ten thousand characters', async t => {
  const started = await face(t)
  const long = 'n'.repeat(10_000)
  for (const target of targetsOf(started.paths)) {
    const { method, path } = target
    if (!path.includes('{') || isLeftOut(target)) continue
    const { status, text } = await started.client.raw(method, urlOf(target, '', long), '{}')
    t.ok(status < 500 || !/internal error/.test(text), `${method} ${path}: ${status}`)
    t.ok(text.length < 50_000, `${method} ${path}: an answer of ${text.length}`)
    t.same(started.logged.splice(0), [], `${method} ${path}`)
  }
})
