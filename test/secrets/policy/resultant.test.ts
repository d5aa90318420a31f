/**
 * What a principal may do as a whole, and which mounts it reaches.
 */
import t from 'tap'
import {
  compilePolicies,
  PolicyProblem,
  parsePolicy,
  reaches,
  resultantAcl,
} from '../../../src/secrets/policy/mod.ts'

function of(text: string, namespace = '') {
  const document = parsePolicy(text)
  if (document instanceof PolicyProblem) throw new Error(document.text)
  return compilePolicies([{ policy: 'p', namespace, document }])
}

t.test('exact paths and globs', async t => {
  const compiled = of(`
    path "a" { capabilities = ["update", "read"] required_parameters = ["X"] min_wrapping_ttl = 5 max_wrapping_ttl = "1m" }
    path "b" { capabilities = ["deny", "read"] }
    path "c/*" { capabilities = ["list"] allowed_parameters = { Y = ["1"] } denied_parameters = { z = [] } }
    path "d/+/e" { capabilities = ["read"] }
    path "f" { }
    path "*" { capabilities = ["sudo"] }
    path "g" { capabilities = ["read"] expiration = "1970-01-01T00:00:01Z" }`)
  const exact = {
    a: {
      capabilities: ['read', 'update'],
      min_wrapping_ttl: 5,
      max_wrapping_ttl: 60,
      required_parameters: ['x'],
    },
    b: { capabilities: ['deny'] },
    f: { capabilities: ['deny'] },
  }
  t.same(resultantAcl(compiled, 2_000), {
    root: false,
    exact_paths: exact,
    glob_paths: {
      'c/': {
        capabilities: ['list'],
        allowed_parameters: { y: ['1'] },
        denied_parameters: { z: [] },
      },
      '': { capabilities: ['sudo'] },
    },
  })
  t.same(resultantAcl(compiled, 0).exact_paths, { ...exact, g: { capabilities: ['read'] } })
})

t.test('root and a namespace', async t => {
  t.same(resultantAcl(compilePolicies([], { root: '' }), 0), { root: true })
  t.same(Object.keys(resultantAcl(of('path "a" {}', 'team/'), 0).exact_paths ?? {}), ['team/a'])
})

t.test('which mounts are reached', async t => {
  const cases: [string, string[], string[]][] = [
    ['path "foo/a/b" { capabilities = ["read"] }', ['foo/', 'foo/a/'], ['fo/', 'foo/b/', 'bar/']],
    ['path "foo" { capabilities = ["read"] }', ['foo/'], ['bar/']],
    ['path "foo/a*" { capabilities = ["list"] }', ['foo/'], ['bar/']],
    ['path "f*" { capabilities = ["list"] }', ['foo/'], ['bar/']],
    ['path "*" { capabilities = ["list"] }', ['foo/', 'auth/foo/'], []],
    ['path "foo/*" { capabilities = ["deny"] }', [], ['foo/']],
    ['path "foo/*" { }', [], ['foo/']],
    ['path "+" { capabilities = ["read"] }', ['foo/'], ['foo/bar/']],
    ['path "+/*" { capabilities = ["read"] }', ['foo/', 'foo/bar/'], []],
    [
      'path "foo/+/+/*" { capabilities = ["read"] }',
      ['foo/', 'foo/bar/', 'foo/bar/bar/', 'foo/bar/bar/baz/'],
      ['bar/'],
    ],
    ['path "foo/+/bar/baz" { capabilities = ["read"] }', ['foo/', 'foo/x/bar/baz/'], ['foo/x/y/']],
    [
      'path "foo/bar/+/b*" { capabilities = ["read"] }',
      ['foo/bar/bar/baz/', 'foo/'],
      ['foo/bar/bar/c/'],
    ],
    ['path "foo/+/b" { capabilities = ["deny"] }', [], ['foo/']],
    [
      'path "foo/a" { capabilities = ["read"] } path "foo/*" { capabilities = ["deny"] }',
      ['foo/'],
      [],
    ],
  ]
  for (const [text, reached, others] of cases) {
    const compiled = of(text)
    for (const mount of reached) t.ok(reaches(compiled, mount, 0), `${text} reaches ${mount}`)
    for (const mount of others) t.notOk(reaches(compiled, mount, 0), `${text} reaches ${mount}`)
  }
  t.ok(reaches(compilePolicies([], { root: '' }), 'foo/', 0))
})
