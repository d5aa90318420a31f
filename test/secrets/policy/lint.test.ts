/**
 * What is odd about policies, and that nothing is found where nothing is odd.
 */
import t from 'tap'
import { defaultPolicy, lintPolicy } from '../../../src/secrets/policy/mod.ts'

const mounts = [
  { path: 'secret/', type: 'kv', version: 2 },
  { path: 'old/', type: 'kv', version: 1 },
  { path: 'team/a/', type: 'kv', version: 2 },
  { path: 'sys/', type: 'system' },
  { path: 'cubbyhole/', type: 'cubbyhole' },
  { path: 'identity/', type: 'identity' },
  { path: 'auth/token/', type: 'token' },
]
const NOW = Date.parse('2026-11-26T00:00:00Z')

const found = (text: string, known = mounts) =>
  lintPolicy(text, known, NOW).map(({ line, text: what }) => `${line}: ${what}`)

t.test('what is well is left alone', async t => {
  const paths = [
    ...[
      'secret/data/a',
      'secret/data/*',
      'secret/data*',
      'secret/*',
      'secret/+/a',
      'secret*',
      '*',
      '+/data/a',
    ],
    ...[
      'secret/{{identity.entity.id}}/a',
      '{{identity.entity.id}}/a',
      'old/a',
      'old/a/*',
      'sys/mounts',
      'te*',
    ],
    ...[
      'team/a/data/x',
      'secret/config',
      'secret/undelete/x',
      'secret',
      'secret/',
      'auth/+/login',
      'team/+/data/x',
    ],
  ]
  for (const path of paths) {
    t.same(
      found(`path "${path}" { capabilities = ["read", "list"] }`).filter(
        one => !/lists names/.test(one),
      ),
      [],
      path,
    )
  }
  t.same(found(defaultPolicy), [])
  t.same(
    found('path "nowhere/x" { capabilities = ["read"] }', []),
    [],
    'without mounts nothing is said of them',
  )
})

t.test('what is odd', async t => {
  const cases: [string, RegExp][] = [
    ['', /^1: there is no path/],
    [
      'path "x" { capabilities = ["all"] }',
      /^1: failed to parse policy: path "x": invalid capability "all"/,
    ],
    [
      'path "secret/foo" { capabilities = ["read"] }',
      /^1: "secret\/" is kv .* at "secret\/data\/foo", their names at "secret\/metadata\/foo"/,
    ],
    ['path "secret/foo*" { capabilities = ["read"] }', /at "secret\/data\/foo\*"/],
    ['path "team/a/x/y" { capabilities = ["read"] }', /at "team\/a\/data\/x\/y"/],
    [
      'path "secret/data/a/*" { capabilities = ["read", "list"] }',
      /lists names at "secret\/metadata\/a\/\*", not here/,
    ],
    [
      'path "secret/data/a" { capabilities = ["update"] denied_parameters = { x = [] } }',
      /parameters are not about it/,
    ],
    ['path "none/a" { capabilities = ["read"] }', /nothing is mounted/],
    ['path "none*" { capabilities = ["read"] }', /nothing is mounted/],
    [
      'path "v1/old/a" { capabilities = ["read"] }',
      /never matches: paths of policies begin after \/v1\//,
    ],
    ['path "old/*/a" { capabilities = ["read"] }', /"\*" stands for itself/],
    ['path "old/+a/b" { capabilities = ["read"] }', /"\+" stands for itself/],
    ['path "old/a/" { capabilities = ["read"] }', /"old\/a\/\*" covers what is below/],
    [
      'path "old/{{identity.entity.nam}}" { capabilities = ["read"] }',
      /\{\{identity.entity.nam\}\} never stands for anything/,
    ],
    ['path "old/a" { }', /gives nothing: it has no capabilities/],
    ['path "sys/audit" { capabilities = ["sudo"] }', /sudo alone gives nothing/],
    ['path "old/a" { capabilities = ["read"] mfa_methods = ["x"] }', /mfa_methods has no effect/],
    ['path "old/a" { capabilities = ["read"] expiration = "2026-11-25T00:00:00Z" }', /has expired/],
    [
      'path "old/a" { capabilities = ["update"] allowed_parameters = { x = ["*"] } }',
      /as a value of "x" stands for itself/,
    ],
    [
      'path "old/a" { capabilities = ["read"] }\npath "old/a" { capabilities = ["deny"] }',
      /^2: line 1 has a block for the same path: a deny outweighs/,
    ],
    [
      'path "old/a" { capabilities = ["read"] }\npath "old/a" { capabilities = ["list"] }',
      /^2: line 1 has a block for the same path: they add up/,
    ],
  ]
  for (const [text, pattern] of cases) {
    const list = found(text)
    t.ok(
      list.some(one => pattern.test(one)),
      `${text}: ${list}`,
    )
  }
})

t.test('a refused text is an error, anything else a warning', async t => {
  t.match(lintPolicy('path', [], NOW), [{ line: 1, severity: 'error' }])
  t.match(lintPolicy('path "a" {}', [], NOW), [{ line: 1, severity: 'warning' }])
})

t.test('of very much, some', async t => {
  t.equal(lintPolicy('path "a" {}\n'.repeat(500), [], NOW).length, 256)
})
