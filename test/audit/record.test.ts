/**
 * What audit records say, and what they never say.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  pathOf,
  quoted,
  recordOfAnswer,
  recordOfEvent,
  recordOfWrite,
} from '../../src/audit/record.ts'
import { revision } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import { access, accessToAll, Caller, type Who } from '../../src/base/who.ts'
import { propertyRuns } from '../run/budget.ts'
import { caller, SERVER } from './support.ts'

const parsed = (text: string): Record<string, unknown> => JSON.parse(text)
const denied: Who = { accessor: 'acc-1', rights: 'none', may: () => false }
const written = { kind: 'written', revision: revision(7), keys: ['kv/a/b'] } as const

t.test('a write: who, what, from where, and what came of it', async t => {
  const who = caller({ query: 'cas=3&flags=5' })
  t.strictSame(parsed(recordOfWrite(SERVER, who, written)), {
    server: SERVER,
    accessor: 'anonymous',
    request: 'r-1',
    remote: '127.0.0.1',
    operation: 'PUT /v1/kv/{key}',
    path: '/v1/kv/a/b',
    query: { cas: '3', flags: '5' },
    bodyBytes: 5,
    outcome: 'written',
    status: 200,
    revision: 7,
    rows: 1,
    wrote: ['kv/a/b'],
  })
  t.match(parsed(recordOfWrite(SERVER, who, { kind: 'unchanged', revision: revision(7) })), {
    outcome: 'unchanged',
    status: 200,
    revision: 7,
  })
  const keys = Array.from({ length: 100 }, (_, i) => `kv/${i}\u0000x`)
  const many = parsed(recordOfWrite(SERVER, who, { ...written, keys }))
  t.equal(many.rows, 100)
  t.same(many.wrote, keys.slice(0, limits.auditRowsShown))
})

t.test('conditions that did not hold, and those that were passed over', async t => {
  const who = caller({ advisories: ['office hours: do not'], overridden: ['two people'] })
  t.match(parsed(recordOfWrite(SERVER, who, written)), {
    advised: ['office hours: do not'],
    overridden: ['two people'],
  })
})

t.test('a refusal: its status, its text, and what was lacking', async t => {
  const who = new Caller(denied, caller().request)
  who.may(access('write', 'key', 'a/b'))
  who.may(access('read', 'operator'))
  who.may(accessToAll('write', 'node'))
  const outcome = { kind: 'refused', status: 403, text: 'Permission denied' } as const
  t.match(parsed(recordOfWrite(SERVER, who, outcome)), {
    accessor: 'acc-1',
    outcome: 'refused',
    status: 403,
    refusal: 'Permission denied',
    lacking: ['key:write a/b', 'operator:read', 'node:write all'],
  })
  t.match(parsed(recordOfAnswer(SERVER, who, { status: 401, reason: 'no' })), {
    outcome: 'refused',
    status: 401,
    refusal: 'no',
  })
})

t.test('a refusal says which rule it was', async t => {
  const who = new Caller(denied, caller().request)
  who.may(access('write', 'key', 'a/b'))
  const outcome = { kind: 'refused', status: 403, text: 'Permission denied' } as const
  const text = 'key_prefix "a/" { policy = "read" }'
  const rule = { reason: 'rule', text, policy: 'app', line: 3 }
  t.strictSame(parsed(recordOfWrite(SERVER, who, outcome, () => rule)).rule, rule)
  const none = { reason: 'default', text: '', policy: '', line: 0 }
  const answered = recordOfAnswer(SERVER, who, { status: 403 }, () => none)
  t.strictSame(parsed(answered).rule, { reason: 'default' })
  t.equal(parsed(recordOfWrite(SERVER, who, outcome)).rule, undefined)
})

t.test('what was malformed is not echoed', async t => {
  const reasonOf = (status: number, reason: string): unknown => {
    const record = parsed(recordOfAnswer(SERVER, caller(), { status, reason }))
    return record.refusal ?? record.reason
  }
  t.equal(reasonOf(500, 'parsing "s.secret": invalid'), 'parsing "…": invalid')
  t.equal(reasonOf(400, "status: 's.secret'"), 'status: "…"')
  t.equal(reasonOf(400, 'a "quote \\" in it" and `more` and "no end'), 'a "…" and "…" and "…"')
  t.equal(reasonOf(403, 'lacks "key:write" on "app/b"'), 'lacks "key:write" on "app/b"')
})

t.test('an answer that no write tells of', async t => {
  t.match(parsed(recordOfAnswer(SERVER, caller(), { status: 200 })), {
    outcome: 'answered',
    status: 200,
  })
  t.match(parsed(recordOfAnswer(SERVER, caller(), { status: 500, reason: 'no quorum' })), {
    outcome: 'failed',
    status: 500,
    reason: 'no quorum',
  })
  t.strictSame(parsed(recordOfEvent(SERVER, 'journal trimmed', { last: 9 })), {
    server: SERVER,
    event: 'journal trimmed',
    last: 9,
  })
})

t.test('the path is the declared one with what it leaves open', async t => {
  t.equal(pathOf({ operation: 'PUT /v1/kv/{key}', name: 'a/$1/b' }), '/v1/kv/a/$1/b')
  t.equal(pathOf({ operation: 'GET /v1/status/leader', name: '' }), '/v1/status/leader')
  t.equal(
    pathOf({ operation: 'PUT /v1/acl/token/{accessor}/clone', name: 'x' }),
    '/v1/acl/token/x/clone',
  )
})

t.test('what is remembered of operations and names changes no record', async () => {
  const word = fc.string({ maxLength: 3 })
  const operation = fc.oneof(
    { weight: 9, arbitrary: fc.tuple(word, word).map(([a, b]) => `PUT /${a}{key}${b}`) },
    fc.tuple(word, fc.nat(200)).map(([a, count]) => `GET /${a.repeat(count)}`),
  )
  // More than are remembered, so that some are forgotten.
  const many = fc.array(fc.tuple(operation, word), { minLength: 20, maxLength: 60 })
  const property = fc.property(many, all => {
    for (const [operation, name] of all) {
      const path = operation.slice(operation.indexOf(' ') + 1).replace(/\{\w+\}/, () => name)
      const who = caller({ operation, name })
      const record = parsed(recordOfWrite(SERVER, who, written))
      assert.equal(
        record.path,
        path.length > limits.auditPathChars ? `${path.slice(0, limits.auditPathChars)}…` : path,
      )
      assert.equal(record.operation, cut(operation))
    }
  })
  fc.assert(property, { numRuns: propertyRuns() })
})

const cut = (text: string): string =>
  text.length > limits.auditValueChars ? `${text.slice(0, limits.auditValueChars)}…` : text

t.test('of a query, only what is known to hold no secret', async t => {
  const query = (raw: string): unknown =>
    parsed(recordOfWrite(SERVER, caller({ query: raw }), written)).query
  t.strictSame(query('token=s.secret&cas=1'), { cas: '1' })
  t.strictSame(query('%74oken=s.secret'), {})
  t.strictSame(query('TOKEN=s.secret&secret=x&password=y'), {
    TOKEN: '…',
    secret: '…',
    password: '…',
  })
  t.strictSame(query('recurse&dc=dc1&separator=%2F'), { recurse: '', dc: 'dc1', separator: '/' })
  t.strictSame(query('filter=Value+%3D%3D+%22x%22'), { filter: '…' })
  t.strictSame(query('node=%zz'), { node: '%zz' }, 'what cannot be decoded stays as it is')
  t.strictSame(query('flags=s.secret&wait=s.secret&stale=s.secret&cas=1'), {
    ...{ flags: '…', wait: '…', stale: '…' },
    cas: '1',
  })
  const many = Array.from({ length: 100 }, (_, i) => `p${i}=1`).join('&')
  t.equal(Object.keys(query(many) as object).length, limits.auditQueryParameters)
})

t.test('what clients send is bounded and escaped', async t => {
  const long = 'x'.repeat(100_000)
  const who = caller({ name: long, query: `node=${long}`, id: long, remote: long })
  const outcome = { kind: 'refused', status: 400, text: long } as const
  const bytes = recordOfWrite(long, who, outcome)
  t.ok(bytes.length < 6_000, `${bytes.length} bytes`)
  t.match(parsed(bytes).path, /^\/v1\/kv\/x+…$/)
  t.equal(
    quoted('a\n\u001b[31m\u202e\u2028\u0085\ufeff"\\'),
    String.raw`"a\n\u001b[31m\u202e\u2028\u0085\ufeff\"\\"`,
  )
  t.equal(quoted('\ud800'), String.raw`"\ud800"`, 'half a character stays half a character')
})

t.test('any names make one line of JSON, without what could end it', async t => {
  const text = fc.string({ unit: 'binary', maxLength: 40 })
  const property = fc.property(text, text, text, text, (name, query, remote, refusal) => {
    const outcome = { kind: 'refused', status: 400, text: refusal } as const
    const line = recordOfWrite(SERVER, caller({ name, query, remote }), outcome)
    return typeof parsed(line).path === 'string' && !/\p{Cc}/u.test(line)
  })
  fc.assert(property, { numRuns: propertyRuns() })
  t.pass('they do')
})
