/**
 * Conditions on what requests do: which govern what, and what becomes of those that do not hold.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { access, accessToAll, accessToAny, Caller, type Who } from '../../../src/base/who.ts'
import {
  evaluateConditions,
  governs,
  loginTarget,
  type Target,
  testExpression,
} from '../../../src/identity/condition/evaluate.ts'
import { Recorder } from '../../../src/store/recorder.ts'
import { put } from '../../../src/store/store.ts'
import {
  ConditionLevel,
  type ConditionOperation,
  type ConditionRow,
  conditionKey,
  conditions,
} from '../../../src/store/tables/acl-condition.ts'
import { viewOf } from '../../registry/rules.ts'
import { factsOf, key, type More, NOW, service } from './support.ts'

const about = (resource: string, more: Partial<ConditionOperation> = {}): ConditionOperation => ({
  resource,
  name: undefined,
  prefix: undefined,
  ...more,
})

const row = (name: string, more: Partial<ConditionRow> = {}): ConditionRow => ({
  name,
  description: '',
  expression: 'false',
  level: ConditionLevel.hardMandatory,
  operations: [about('service')],
  enabled: true,
  ...more,
})

function judged(rows: readonly ConditionRow[], more: More = {}): object {
  const view = viewOf(...rows.map(one => put(conditions, conditionKey(one.name), one)))
  const { refusal, ...rest } = evaluateConditions(new Recorder(view), factsOf(more), NOW)
  const text = refusal === undefined ? '' : `${refusal.status} ${refusal.text}`
  return { ...(text === '' ? {} : { text }), ...rest }
}

const NONE = { advisories: [], overridden: [] }
const refusedBy = (name: string, level = 'hard-mandatory'): object => ({
  text: `403 Permission denied: condition "${name}" (${level}) does not hold`,
  refusedBy: { name, level },
  ...NONE,
})
const nobody: Who = { accessor: 'a', rights: 'none', may: () => false }

t.test('levels', async t => {
  const of = (level: ConditionLevel, more: More = {}): object => judged([row('c', { level })], more)
  const overriding = { request: { overrides: true } }
  t.same(judged([]), NONE)
  t.same(judged([row('c', { expression: 'true' })]), NONE)
  t.same(of('advisory'), { advisories: ['c'], overridden: [] })
  t.same(of('soft-mandatory'), refusedBy('c', 'soft-mandatory'))
  t.same(of('soft-mandatory', overriding), { advisories: [], overridden: ['c'] })
  t.same(
    of('soft-mandatory', { ...overriding, who: nobody }),
    refusedBy('c', 'soft-mandatory'),
    'passing over needs acl:write',
  )
  t.same(of('hard-mandatory'), refusedBy('c'))
  t.same(of('hard-mandatory', overriding), refusedBy('c'), 'nobody passes over these')
  t.same(judged([row('c', { enabled: false })]), NONE)
})

t.test('several: the first that refuses does, and what was noted before it is told', async t => {
  const all = [
    row('a', { level: 'advisory' }),
    row('b', { expression: 'true' }),
    row('c', { level: 'soft-mandatory' }),
    row('d'),
    row('e', { level: 'advisory' }),
  ]
  t.same(judged(all, { request: { overrides: true } }), {
    ...refusedBy('d'),
    advisories: ['a'],
    overridden: ['c'],
  })
})

t.test('asking for a right to pass over is none of what the request does', async t => {
  const granted: Target[] = []
  const who = new Caller(nobodyBut('acl'), factsOf().request, undefined, granted as never)
  t.same(judged([row('c', { level: 'soft-mandatory' })], { who, request: { overrides: true } }), {
    advisories: [],
    overridden: ['c'],
  })
  t.same(granted, [])
  t.same(who.lacked.count, 0)
})

const nobodyBut = (resource: string): Who => ({ ...nobody, may: one => one.resource === resource })

t.test('which conditions govern what', async t => {
  const cases: [ConditionOperation, Target, boolean][] = [
    [about('service'), service('web'), true],
    [about('service'), key('web'), false],
    [about('service', { name: 'web' }), service('web'), true],
    [about('service', { name: 'web' }), service('WEB'), true],
    [about('service', { name: 'Web' }), service('web'), true],
    [about('service', { name: 'web' }), service('web2'), false],
    [about('service', { prefix: 'we' }), service('Web2'), true],
    [about('service', { prefix: 'web' }), service('we'), false],
    [about('key', { name: 'a/b' }), key('a/b'), true],
    [about('key', { name: 'a/b' }), key('A/b'), false],
    [about('key', { prefix: 'a/' }), key('a/b'), true],
    [about('key', { prefix: 'a/' }), key('a'), false],
    // A range is governed where it meets what is governed, from either side.
    [about('key'), access('write', 'key_prefix', 'x'), true],
    [about('key', { name: 'a/b' }), access('write', 'key_prefix', 'a'), true],
    [about('key', { name: 'a/b' }), access('write', 'key_prefix', ''), true],
    [about('key', { name: 'a/b' }), access('write', 'key_prefix', 'a/bc'), false],
    [about('key', { prefix: 'a/' }), access('write', 'key_prefix', 'a/b'), true],
    [about('key', { prefix: 'a/b' }), access('write', 'key_prefix', 'a/'), true],
    [about('key', { prefix: 'a/' }), access('write', 'key_prefix', 'b'), false],
    // Where no one name is meant it may be any.
    [about('service', { name: 'web' }), accessToAny('write', 'service'), true],
    [about('key', { prefix: 'a/' }), accessToAll('write', 'key'), true],
    [about('operator'), access('write', 'operator'), true],
    [about('login', { name: 'ci' }), loginTarget('CI'), true],
    [about('login', { name: 'ci' }), loginTarget('people'), false],
    [about('login'), service('web'), false],
  ]
  for (const [operation, target, isGoverned] of cases) {
    const what = `${JSON.stringify(operation)} ${JSON.stringify(target)}`
    t.equal(governs({ operations: [operation] }, target), isGoverned, what)
  }
  t.equal(governs({ operations: [about('key'), about('service')] }, service('x')), true)
})

t.test('each thing that a request does is asked about', async t => {
  const only = row('c', { expression: 'request.name != "db"' })
  t.same(judged([only], { targets: [service('a'), service('b')] }), NONE)
  t.same(judged([only], { targets: [service('a'), service('db'), key('x')] }), refusedBy('c'))
  t.same(judged([only], { targets: [key('db')] }), NONE)
  t.same(judged([row('c')], { targets: [] }), NONE, 'who does nothing is not governed')
})

t.test('what expressions see', async t => {
  const sees = (expression: string, more: More = {}, target = service('web')): unknown => {
    const outcome = testExpression(expression, factsOf(more), target, NOW)
    return 'problem' in outcome ? outcome.problem : outcome.holds || (outcome.fault ?? false)
  }
  const raw = { operation: 'PUT /v1/kv/{key}', name: 'a/b' }
  t.equal(sees('request.path == "/v1/kv/a/b"', { request: raw }), true)
  t.equal(sees('request.operation == "PUT /v1/kv/{key}"', { request: raw }), true)
  t.equal(sees('request.resource == "service" && request.capability == "write"'), true)
  t.equal(sees('request.source_ip == "10.1.2.3"'), true)
  const small = Buffer.from('hi')
  t.equal(sees('request.body.Size == 2 && request.body.Text == "hi"', { body: small }), true)
  const large = Buffer.alloc(limits.conditionBodyTextBytes + 1, 'x')
  t.equal(sees('request.body.Size > 4096 && !has(request.body.Text)', { body: large }), true)
  t.equal(sees('has(request.body.Text)', { body: Buffer.from([0xff]) }), false)
  t.equal(sees('has(request.body)'), false, 'no body')
  const huge = { body: { a: 1 }, request: { bodySizeBytes: limits.conditionBodySizeBytes + 1 } }
  t.equal(sees('has(request.body)', huge), false)
  t.equal(sees('request.body_size > 65536', huge), true)
  const many = Array.from({ length: limits.conditionBodyNodes }, () => 1)
  t.equal(sees('has(request.body)', { body: many }), false)
  const numbers = { a: 2n ** 63n, b: 5n, c: 1e300, d: undefined }
  t.equal(
    sees('request.body.a > 5u && request.body.b == 5 && request.body.c > 1e299', { body: numbers }),
    true,
  )
  const login = { AuthMethod: 'ci', BearerToken: 'secret', Meta: { a: 'b' } }
  t.equal(sees('request.body.Meta.a == "b"', { body: login }, loginTarget('ci')), true)
  t.equal(sees('has(request.body.BearerToken)', { body: login }, loginTarget('ci')), false)
  t.equal(sees('token.metadata["team"] == "pay" && token.auth_method == "ci"'), true)
  t.equal(sees('request.nope'), "undefined field 'request.nope'")
})

t.test('a token is asked for only where an expression looks at it', async t => {
  const facts = { ...factsOf(), token: () => t.fail('it was asked for') as never }
  t.equal(testRun(facts), true)
})
const testRun = (facts: Parameters<typeof testExpression>[1]): boolean => {
  const outcome = testExpression('request.name == "web"', facts, service('web'), NOW)
  return 'holds' in outcome && outcome.holds
}

t.test(
  'one that cannot be evaluated does not hold: faults, steps, and what is no expression',
  async t => {
    for (const expression of [
      'request.body.nope == 1',
      'request.body.list.all(x, x > 0)',
      'request.what == 1',
      'not an expression',
    ]) {
      const body = { list: Array.from({ length: 3_000 }, () => 1) }
      t.same(judged([row('c', { expression })], { body }), refusedBy('c'), expression)
      const level = ConditionLevel.advisory
      t.same(judged([row('c', { expression, level })], { body }).valueOf(), {
        advisories: ['c'],
        overridden: [],
      })
    }
  },
)

t.test('all conditions of one write share their steps', async t => {
  const expression = 'request.body.all(x, request.name != string(x))'
  const rows = Array.from({ length: 40 }, (_, at) => {
    const level = ConditionLevel.advisory
    return row(`c${String(at).padStart(2, '0')}`, { expression, level })
  })
  const body = Array.from({ length: 100 }, (_, at) => at)
  t.same(judged(rows.slice(0, 5), { body }), NONE, 'a few are no matter')
  const { advisories } = judged(rows, { body, targets: [service('web'), service('db')] }) as {
    advisories: string[]
  }
  t.ok(advisories.length > 0 && advisories.length < 40, `${advisories.length} had no steps left`)
  t.notOk(advisories.includes('c00'))
  t.ok(advisories.includes('c39'))
})

t.test('whoever locked himself out can delete a condition, and only that', async t => {
  const all = row('all', { operations: [about('acl')] })
  const deleting = (operation: string): object =>
    judged([all], { request: { operation }, targets: [access('write', 'acl')] })
  t.same(deleting('DELETE /v1/acl/condition/{name}'), NONE)
  t.same(deleting('PUT /v1/acl/condition/{name}'), refusedBy('all'))
  t.same(deleting('DELETE /v1/acl/policy/{id}'), refusedBy('all'))
})

t.test('the examples of the page hold where it says so', async t => {
  const page = readFileSync('docs/conditions.md', 'utf8').split('## Examples')[1] ?? ''
  const [office = '', ports = '', ci = ''] = [...page.matchAll(/```\n([^`]+)```/g)].map(
    ([, text = '']) => text,
  )
  const gives = (text: string, more: More): unknown => {
    const outcome = testExpression(text, factsOf(more), service('web'), NOW)
    return 'problem' in outcome ? outcome.problem : outcome.holds
  }
  t.equal(gives(office, {}), true)
  t.equal(gives(office, { request: { remote: '192.0.2.1' } }), false)
  t.equal(gives(ports, { body: { Port: 80 } }), false)
  t.equal(gives(ports, { body: { Port: 8080 } }), true)
  t.equal(gives(ports, { body: { Port: 0 } }), true)
  const catalog = { operation: 'PUT /v1/catalog/register' }
  t.equal(gives(ports, { request: catalog, body: { Service: { Port: 80 } } }), false)
  t.equal(gives(ports, { request: catalog, body: { Service: { Port: 1024 } } }), true)
  t.equal(gives(ports, { request: { operation: 'PUT /v1/txn' }, body: [] }), false)
  t.equal(gives(ports, { request: { operation: 'PUT /v1/agent/service/deregister/{id}' } }), true)
  for (const method of ['Registry/Register', 'Agent/RegisterService']) {
    const request = { operation: `GRPC /gatehouse.v1.${method}/{name}` }
    t.equal(gives(ports, { request, body: { service: { port: 80 } } }), false)
    t.equal(gives(ports, { request, body: { service: { port: 8080 } } }), true)
  }
  t.equal(gives(ports, { request: { operation: 'GRPC /gatehouse.v1.KV/Txn' }, body: {} }), false)
  const gone = { operation: 'GRPC /gatehouse.v1.Registry/Deregister/{name}' }
  t.equal(gives(ports, { request: gone, body: {} }), true)
  t.equal(gives(ci, {}), true)
  t.equal(gives(ci, { token: { authMethod: '' } }), false)
})
