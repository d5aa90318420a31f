/**
 * Decisions, rule by rule: which pattern decides, how blocks are joined, what fields, wrapping and
 * pages must be, and what is told of it.
 */
import t, { type Test } from 'tap'
import {
  type CompiledPolicies,
  type CompileOptions,
  capabilitiesAt,
  compilePolicies,
  decide,
  mayRead,
  PolicyProblem,
  type PolicyRequest,
  type PolicySource,
  parseKeyFilter,
  parsePolicy,
  visibleKeys,
} from '../../../src/secrets/policy/mod.ts'

const NOW = 1_000_000

function source(text: string, policy = 'p', namespace = ''): PolicySource {
  const document = parsePolicy(text)
  if (document instanceof PolicyProblem) throw new Error(document.text)
  return { policy, namespace, document }
}

const of = (...texts: string[]): CompiledPolicies =>
  compilePolicies(texts.map((text, at) => source(text, `p${at}`)))

type Rest = Partial<PolicyRequest>

/** `read a/b` */
function ask(compiled: CompiledPolicies, text: string, rest: Rest = {}) {
  const [operation, path] = text.split(' ') as [PolicyRequest['operation'], string]
  return decide(compiled, { operation, path, nowMs: NOW, ...rest })
}

const may = (compiled: CompiledPolicies, text: string, rest: Rest = {}): boolean =>
  ask(compiled, text, rest).allowed

/** Two patterns, of which the first decides about the path before the second. */
function before(t: Test, first: string, second: string, path: string): void {
  for (const turn of [false, true]) {
    const blocks = [
      `path "${first}" { capabilities = ["read"] }`,
      `path "${second}" { capabilities = ["update"] }`,
    ]
    const compiled = of(...(turn ? blocks.toReversed() : blocks))
    t.ok(may(compiled, `read ${path}`), `${first} before ${second} for ${path}`)
    t.notOk(may(compiled, `update ${path}`), `${second} does not count for ${path}`)
  }
}

t.test('what a pattern covers', async t => {
  const cases: [string, string[], string[]][] = [
    ['a/b', ['a/b'], ['a', 'a/b/', 'a/bc', 'a/b/c']],
    ['a/b*', ['a/b', 'a/bc', 'a/b/c', 'a/b/'], ['a/', 'a/c']],
    ['a/*', ['a/b', 'a/b/c', 'a/'], ['a', 'ab']],
    ['*', ['a', 'a/b'], []],
    ['+', ['a', 'b'], ['a/b', 'a/']],
    ['+/b', ['a/b', 'c/b'], ['b', '/b', 'a/c', 'a/b/c']],
    ['a/+', ['a/b'], ['a', 'a/', 'a/b/', 'a/b/c']],
    ['a/+/', ['a/b/'], ['a/b', 'a//', 'a/b/c']],
    ['a/+/c', ['a/b/c'], ['a/c', 'a//c', 'a/b/b/c', 'a/b/c/d']],
    ['a/+/*', ['a/b/', 'a/b/c', 'a/b/c/d'], ['a/b', 'a//c']],
    ['a/+/c*', ['a/b/c', 'a/b/cd', 'a/b/c/d'], ['a/b', 'a/b/d']],
    ['+/+', ['a/b'], ['a', 'a/b/c']],
    ['a/*/c', ['a/*/c'], ['a/b/c']],
    ['a+', ['a+'], ['ab', 'a']],
    ['a/+b', ['a/+b'], ['a/xb', 'a/b']],
    ['', [''], ['a']],
  ]
  for (const [pattern, covered, others] of cases) {
    const compiled = of(`path "${pattern}" { capabilities = ["read"] }`)
    for (const path of covered) t.ok(may(compiled, `read ${path}`), `${pattern} covers ${path}`)
    for (const path of others) t.notOk(may(compiled, `read ${path}`), `${pattern} not ${path}`)
  }
})

t.test('of several patterns the best one alone decides', async t => {
  before(t, 'a/b', 'a/b*', 'a/b')
  before(t, 'a/b', 'a/+', 'a/b')
  before(t, 'a/b', '*', 'a/b')
  // 1: the later first wildcard.
  before(t, 'a/b*', 'a/*', 'a/bc')
  before(t, 'a/b*', 'a/+', 'a/bc')
  before(t, 'a/b/+/d', 'a/+/c/d', 'a/b/c/d')
  before(t, 'a/b/*', 'a/+/c', 'a/b/c')
  before(t, 'a/+', '+/b', 'a/b')
  // 2: the one that does not end in `*`.
  before(t, 'a/+', 'a/*', 'a/b')
  before(t, 'a/+/c', 'a/+/c*', 'a/b/c')
  before(t, 'a/+/+/d', 'a/+/c/d*', 'a/b/c/d')
  // 3: fewer `+`.
  before(t, 'a/+/c/d', 'a/+/+/d', 'a/b/c/d')
  before(t, 'a/*', 'a/+/*', 'a/b/c')
  before(t, 'a/+/c/*', 'a/+/+/*', 'a/b/c/d')
  // 4: the longer one.
  before(t, 'a/+/cd*', 'a/+/c*', 'a/b/cd')
  before(t, 'a/+/cccc/+', 'a/+/+/d', 'a/b/cccc/d')
  before(t, 'a/+/c/*', 'a/+/*', 'a/b/c/d')
  // 5: the one that sorts last. "(" comes before "+".
  before(t, 'a/+/+/(', 'a/+/(/+', 'a/b/(/(')
})

t.test('the best pattern decides even where it gives less', async t => {
  const compiled = of(
    'path "a/*" { capabilities = ["read", "list"] } path "a/b/*" { capabilities = ["update"] }',
  )
  t.notOk(may(compiled, 'read a/b/c'))
  t.ok(may(compiled, 'read a/c'))
  t.equal(ask(compiled, 'read a/b/c').reason, 'capability')
  t.equal(ask(compiled, 'read b').reason, 'no rule')
})

t.test('a list is covered with and without its slash', async t => {
  const list = (text: string, path: string) => may(of(text), `list ${path}`)
  t.ok(list('path "a/b" { capabilities = ["list"] }', 'a/b/'))
  t.ok(list('path "a/b/" { capabilities = ["list"] }', 'a/b/'))
  t.ok(list('path "a/*" { capabilities = ["list"] }', 'a/'))
  t.ok(list('path "a/+" { capabilities = ["list"] }', 'a/b/'))
  t.ok(list('path "a/+/" { capabilities = ["list"] }', 'a/b/'))
  t.notOk(list('path "a/+" { capabilities = ["list"] }', 'a/'))
  const spelt = of('path "a/b" { capabilities = ["deny"] } path "a/b/" { capabilities = ["list"] }')
  t.ok(may(spelt, 'list a/b/'), 'the one with the slash first')
  t.notOk(may(spelt, 'read a/b/'), 'a read is for the very path')
  t.notOk(
    may(
      of('path "a/b" { capabilities = ["scan"] } path "a/b/*" { capabilities = ["list"] }'),
      'list a/b/',
    ),
  )
})

t.test('a deny on a folder holds for its list', async t => {
  const compiled = of(
    'path "a/*" { capabilities = ["list", "scan"] } path "a/b/*" { capabilities = ["deny"] } path "*" { capabilities = ["list"] }',
  )
  for (const operation of ['list', 'scan']) {
    t.equal(ask(compiled, `${operation} a/b/`).reason, 'deny')
    t.ok(may(compiled, `${operation} a/`))
  }
  t.equal(
    ask(
      of('path "*" { capabilities = ["list"] } path "a/*" { capabilities = ["deny"] }'),
      'list a/',
    ).reason,
    'deny',
  )
})

t.test('blocks of the same path are joined, across policies and within one', async t => {
  const read = 'path "a/*" { capabilities = ["read"] }'
  const update = 'path "a/*" { capabilities = ["update"] }'
  const deny = 'path "a/*" { capabilities = ["deny"] }'
  for (const compiled of [of(read, update), of(update, read), of(`${read}\n${update}`)]) {
    t.same(capabilitiesAt(compiled, 'a/b', NOW), ['read', 'update'])
  }
  for (const compiled of [of(read, deny), of(deny, read), of(read, deny, update)]) {
    t.same(capabilitiesAt(compiled, 'a/b', NOW), ['deny'])
    t.equal(ask(compiled, 'read a/b').reason, 'deny')
  }
  t.ok(may(of(deny, 'path "a/b" { capabilities = ["read"] }'), 'read a/b'), 'another pattern')
})

t.test('what else is joined', async t => {
  const block = (body: string) => `path "a" { capabilities = ["update"] ${body} }`
  const update = (compiled: CompiledPolicies, data: object, rest: Rest = {}) =>
    may(compiled, 'update a', { data: { ...data }, ...rest })
  const lists = of(
    block('allowed_parameters = { x = ["1"] }'),
    block('allowed_parameters = { x = ["2"] y = [] }'),
  )
  for (const data of [{ x: '1' }, { x: '2' }, { x: '1', y: 'z' }]) t.ok(update(lists, data))
  for (const data of [{ x: '3' }, { z: 1 }]) t.notOk(update(lists, data))
  t.ok(
    update(
      of(block('allowed_parameters = { x = ["1"] }'), block('allowed_parameters = { x = [] }')),
      { x: '9' },
    ),
  )
  t.notOk(
    update(of(block('allowed_parameters = { x = [] }'), block('')), { y: 1 }),
    'a block without takes nothing',
  )
  t.notOk(update(of(block(''), block('allowed_parameters = { x = [] }')), { y: 1 }))
  const denied = of(
    block('denied_parameters = { x = ["1"] }'),
    block('denied_parameters = { x = ["2"] }'),
  )
  t.same(
    ['1', '2', '3'].map(x => update(denied, { x })),
    [false, false, true],
  )
  const required = of(block('required_parameters = ["x"]'), block('required_parameters = ["y"]'))
  t.same(
    [{ x: 1 }, { y: 1 }, { x: 1, y: 1 }].map(data => update(required, data)),
    [false, false, true],
  )
  const wrapped = of(
    block('min_wrapping_ttl = 5 max_wrapping_ttl = 10'),
    block('min_wrapping_ttl = 3 max_wrapping_ttl = 20'),
  )
  const ttls = [undefined, 2_000, 3_000, 10_000, 10_001]
  t.same(
    ttls.map(wrapTtlMs => update(wrapped, {}, { wrapTtlMs })),
    [false, false, true, true, false],
  )
  const crossed = of(block('min_wrapping_ttl = 20'), block('max_wrapping_ttl = 10'))
  t.same(
    [10_000, 15_000, 20_000].map(wrapTtlMs => update(crossed, {}, { wrapTtlMs })),
    [false, false, false],
  )
})

t.test('wrapping is asked of every operation', async t => {
  const compiled = of(
    'path "a/*" { capabilities = ["read", "delete", "list"] max_wrapping_ttl = "1m" }',
  )
  for (const text of ['read a/b', 'delete a/b', 'list a/']) {
    t.equal(ask(compiled, text).reason, 'wrapping')
    t.ok(may(compiled, text, { wrapTtlMs: 60_000 }))
    t.notOk(may(compiled, text, { wrapTtlMs: 60_001 }))
  }
})

t.test('fields', async t => {
  const cases: [string, object | undefined, string | undefined][] = [
    ['required_parameters = ["A"]', undefined, 'a'],
    ['required_parameters = ["A"]', { b: 1 }, 'a'],
    ['required_parameters = ["A"]', { a: null }, undefined],
    ['required_parameters = ["a"]', { A: 1 }, undefined],
    ['allowed_parameters = { a = [] }', undefined, undefined],
    ['allowed_parameters = { a = [] }', {}, undefined],
    ['allowed_parameters = { A = [] }', { a: 1 }, undefined],
    ['allowed_parameters = { a = [] }', { A: 1 }, undefined],
    ['allowed_parameters = { a = [] }', { a: 1, b: 1 }, 'b'],
    ['allowed_parameters = { a = ["x"] "*" = [] }', { b: 1 }, undefined],
    ['allowed_parameters = { a = ["x"] "*" = [] }', { a: 'y' }, 'a'],
    ['allowed_parameters = { "*" = [] }', { b: 1 }, undefined],
    ['allowed_parameters = { }', { b: 1 }, undefined],
    ['allowed_parameters = { a = ["x*"] }', { a: 'xyz' }, undefined],
    ['allowed_parameters = { a = ["*x"] }', { a: 'yx' }, undefined],
    ['allowed_parameters = { a = ["*x*"] }', { a: 'yxy' }, undefined],
    ['allowed_parameters = { a = ["x*"] }', { a: 'yx' }, 'a'],
    ['allowed_parameters = { a = ["*"] }', { a: 'x' }, 'a'],
    ['allowed_parameters = { a = ["*"] }', { a: '*' }, undefined],
    ['allowed_parameters = { a = [5] }', { a: 5 }, undefined],
    ['allowed_parameters = { a = [5] }', { a: 5n }, undefined],
    ['allowed_parameters = { a = [5] }', { a: '5' }, 'a'],
    ['allowed_parameters = { a = ["5"] }', { a: 5 }, 'a'],
    ['allowed_parameters = { a = [["x", "y"]] }', { a: ['x', 'y'] }, undefined],
    ['allowed_parameters = { a = [["x*"]] }', { a: ['xy'] }, 'a'],
    ['allowed_parameters = { a = [["x"]] }', { a: ['x', 'y'] }, 'a'],
    ['allowed_parameters = { a = ["x"] }', { a: ['x'] }, 'a'],
    ['allowed_parameters = { a = [{ b = 1 }] }', { a: { b: 1 } }, undefined],
    ['allowed_parameters = { a = [{ b = 1 }] }', { a: { b: 1, c: 2 } }, 'a'],
    ['allowed_parameters = { a = [{ toString = 1 }] }', { a: { x: 1 } }, 'a'],
    ['denied_parameters = { a = [] }', { a: 1 }, 'a'],
    ['denied_parameters = { A = [] }', { a: 1 }, 'a'],
    ['denied_parameters = { a = [] }', { A: 1 }, 'a'],
    ['denied_parameters = { a = [] }', { b: 1 }, undefined],
    ['denied_parameters = { a = ["x*"] }', { a: 'xy' }, 'a'],
    ['denied_parameters = { a = ["x*"] }', { a: 'y' }, undefined],
    ['denied_parameters = { a = ["true"] }', { a: true }, 'a'],
    ['denied_parameters = { a = [false] }', { a: 'false' }, 'a'],
    ['denied_parameters = { a = ["1*"] }', { a: 12 }, 'a'],
    ['denied_parameters = { a = [5] }', { a: 5n }, 'a'],
    ['denied_parameters = { a = [["x"]] }', { a: ['x'] }, 'a'],
    ['denied_parameters = { "*" = [] }', { b: 1 }, ''],
    ['denied_parameters = { "*" = [] }', {}, undefined],
    ['denied_parameters = { a = ["x"] } allowed_parameters = { a = [] }', { a: 'x' }, 'a'],
    ['denied_parameters = { a = ["x"] } allowed_parameters = { a = [] }', { a: 'y' }, undefined],
    ['denied_parameters = { a = [] }', { data: { a: 1 } }, undefined],
    ['allowed_parameters = { a = [] }', { constructor: 1 }, 'constructor'],
  ]
  const every = '"create", "update", "patch", "read", "delete"'
  for (const [body, data, parameter] of cases) {
    const compiled = of(`path "a" { capabilities = [${every}] ${body} }`)
    for (const operation of ['create', 'update', 'patch', 'read']) {
      const decision = ask(compiled, `${operation} a`, { data: data as PolicyRequest['data'] })
      t.equal(decision.parameter, parameter, `${operation} with ${body}`)
      t.equal(decision.allowed, parameter === undefined)
    }
    t.ok(may(compiled, 'delete a', { data: data as PolicyRequest['data'] }), 'not of a delete')
  }
})

t.test('pages', async t => {
  const limited = of('path "a/" { capabilities = ["list", "scan"] pagination_limit = 10 }')
  const free = of('path "a/" { capabilities = ["list"] }')
  const strict = of(
    'path "a/" { capabilities = ["list"] pagination_limit = 10 required_parameters = ["LIMIT"] }',
  )
  const limit = (compiled: CompiledPolicies, given: unknown) => {
    const data = given === undefined ? undefined : { limit: given }
    const { allowed, limit } = ask(compiled, 'list a/', { data })
    return allowed ? (limit ?? 'as asked') : 'refused'
  }
  const asked = [undefined, 'max', '0', 0, '10', 10, '11', 11, '-1', 'x', ['1']]
  t.same(
    asked.map(one => limit(limited, one)),
    [
      ...[10, 10, 10, 10, 'as asked', 'as asked'],
      ...['refused', 'refused', 'refused', 'refused', 'refused'],
    ],
  )
  t.same(
    asked.map(one => limit(free, one)),
    ['as asked', 0, ...Array(9).fill('as asked')],
  )
  t.same(
    [undefined, 'max', '5'].map(one => limit(strict, one)),
    ['refused', 10, 'as asked'],
  )
  t.equal(ask(limited, 'scan a/').limit, 10)
  const two = of(
    'path "a/" { capabilities = ["list"] pagination_limit = 10 }',
    'path "a/" { pagination_limit = 5 }',
  )
  t.equal(limit(two, undefined), 5)
})

t.test('sudo is told beside the decision', async t => {
  const compiled = of(
    'path "sys/*" { capabilities = ["read", "sudo"] } path "a" { capabilities = ["read"] }',
  )
  t.match(ask(compiled, 'read sys/audit'), { allowed: true, sudo: true })
  t.match(ask(compiled, 'update sys/audit'), { allowed: false, sudo: true })
  t.match(ask(compiled, 'read a'), { allowed: true, sudo: false })
})

t.test('help is allowed to all, root everything', async t => {
  t.match(ask(of(), 'help a'), { allowed: true, isRoot: false, reason: 'help' })
  const root = compilePolicies([], { root: '' })
  for (const operation of ['read', 'delete', 'scan']) {
    t.same(ask(root, `${operation} sys/seal`), {
      allowed: true,
      isRoot: true,
      sudo: true,
      reason: 'root',
    })
  }
  t.same(capabilitiesAt(root, 'a', NOW), ['root'])
  const team = compilePolicies([], { root: 'team/' } satisfies CompileOptions)
  t.ok(may(team, 'read team/secret/a'))
  t.notOk(may(team, 'read secret/a'))
  t.notOk(may(team, 'read teams/secret/a'))
})

t.test('capabilities are sorted', async t => {
  const compiled =
    of(`path "a/*" { capabilities = ["update", "sudo", "read", "create", "scan", "patch", "list", "delete"] }
    path "b" { capabilities = [] } path "c" { capabilities = ["list"] }`)
  t.same(capabilitiesAt(compiled, 'a/b', NOW), [
    'create',
    'delete',
    'list',
    'patch',
    'read',
    'scan',
    'sudo',
    'update',
  ])
  t.same(capabilitiesAt(compiled, 'b', NOW), ['deny'])
  t.same(capabilitiesAt(compiled, 'x', NOW), ['deny'])
  t.same(capabilitiesAt(compiled, 'c/', NOW), ['list'])
})

t.test('a policy is about its namespace', async t => {
  const compiled = compilePolicies([
    source(
      'path "secret/*" { capabilities = ["read"] } path "+" { capabilities = ["read"] }',
      'inner',
      'team/',
    ),
    source('path "team/secret/*" { capabilities = ["update"] }', 'outer'),
    source('path "secret/*" { capabilities = ["delete"] }', 'outer'),
  ])
  t.same(capabilitiesAt(compiled, 'team/secret/a', NOW), ['read', 'update'])
  t.same(capabilitiesAt(compiled, 'secret/a', NOW), ['delete'])
  t.same(capabilitiesAt(compiled, 'team/x', NOW), ['read'])
  t.same(capabilitiesAt(compiled, 'x', NOW), ['deny'])
  t.match(ask(compiled, 'read team/secret/a').rule, {
    policy: 'inner',
    namespace: 'team/',
    pattern: 'team/secret/*',
  })
})

t.test('a block ends with its time, in either direction of the clock', async t => {
  const compiled = of(`path "a/*" { capabilities = ["read"] expiration = "1970-01-01T00:00:10Z" }
    path "a/*" { capabilities = ["update"] }
    path "a/b" { capabilities = ["deny"] expiration = "1970-01-01T00:00:05Z" }`)
  const at = (nowMs: number) => [
    capabilitiesAt(compiled, 'a/b', nowMs)[0],
    capabilitiesAt(compiled, 'a/c', nowMs)[0],
  ]
  for (const _turn of [1, 2]) {
    t.same(at(0), ['deny', 'read'])
    t.same(at(5_000), ['deny', 'read'])
    t.same(at(5_000.5), ['read', 'read'])
    t.same(at(10_000), ['read', 'read'])
    t.same(at(10_001), ['update', 'update'])
  }
  t.same(at(-1), ['deny', 'read'])
})

t.test('it is told who gave it, who denied it, who lacks it', async t => {
  const compiled = of(
    '# nothing\npath "a" { capabilities = ["list"] }\npath "a" { capabilities = ["read"] }',
    'path "a" { capabilities = ["read"] }',
    'path "b" { capabilities = ["read"] }',
    'path "b" { capabilities = ["deny"] }',
  )
  const read = ask(compiled, 'read a')
  t.same(read.rule, { policy: 'p0', namespace: '', line: 3, pattern: 'a' })
  t.same(
    read.granting?.map(({ policy, line }) => [policy, line]),
    [
      ['p0', 3],
      ['p1', 1],
    ],
  )
  t.match(ask(compiled, 'read b'), { reason: 'deny', rule: { policy: 'p3' } })
  t.match(ask(compiled, 'update a'), { reason: 'capability', rule: { policy: 'p0', line: 2 } })
})

t.test('lists can be filtered by what may be read', async t => {
  const compiled = of(`
    path "kv/metadata/*" { capabilities = ["list"]
      list_scan_response_keys_filter_path = <<EOF
{{ .path | replace "kv/metadata/" "kv/data/" }}{{- .key -}}
EOF
    }
    path "kv/data/a" { capabilities = ["read"] }
    path "kv/data/b" { capabilities = ["update"] }
    path "kv/data/c/*" { capabilities = ["list"] }
    path "kv/data/d" { capabilities = ["read"] required_parameters = ["x"] }`)
  t.equal(ask(compiled, 'list kv/metadata/').filter === undefined, false)
  const filter = parseKeyFilter('{{ .path | replace "kv/metadata/" "kv/data/" }}{{.key}}')
  if (typeof filter === 'string') throw new Error(filter)
  const list = { filter, namespace: '', path: 'kv/metadata/', nowMs: NOW }
  const keys = ['a', 'b', 'c/', 'd', 'x', 'x/', '']
  t.same(visibleKeys(compiled, { ...list, keys }), ['a', 'c/'])
  t.same(visibleKeys(compiled, { ...list, keys, isProtected: path => path === 'kv/data/a' }), [
    'c/',
  ])
  t.same(visibleKeys(compilePolicies([], { root: '' }), { ...list, keys }), keys)
  t.same(visibleKeys(compiled, { ...list, namespace: 'team/', keys }), [])
  t.same(
    [
      mayRead(compiled, 'kv/data/a', NOW),
      mayRead(compiled, 'kv/data/c/', NOW),
      mayRead(compiled, 'kv/data/b', NOW),
    ],
    [true, true, false],
  )
})
