/**
 * The rule that is proposed for a refusal: as small as can be, and never for more.
 */
import t from 'tap'
import {
  compilePolicies,
  PolicyProblem,
  type PolicyRequest,
  parsePolicy,
  smallestRule,
} from '../../../src/secrets/policy/mod.ts'

function propose(text: string, asked: Partial<PolicyRequest>, needsSudo = false, namespace = '') {
  const document = parsePolicy(text)
  if (document instanceof PolicyProblem) throw new Error(document.text)
  const compiled = compilePolicies([{ policy: 'p', namespace, document }])
  const request = { operation: 'read', path: 'a/b', nowMs: 0, ...asked } as const
  return smallestRule(compiled, request, { namespace, needsSudo })
}

t.test('where nothing stands in the way', async t => {
  t.equal(propose('', {}), 'path "a/b" { capabilities = ["read"] }')
  t.equal(
    propose('path "a/*" { capabilities = ["deny"] }', {}),
    'path "a/b" { capabilities = ["read"] }',
  )
  t.equal(propose('', { operation: 'list', path: 'a/' }), 'path "a/" { capabilities = ["list"] }')
  t.equal(propose('', { path: `a"$${'{b}'}` }), 'path "a\\"\\u0024{b}" { capabilities = ["read"] }')
  t.equal(propose('', {}, true), 'path "a/b" { capabilities = ["read", "sudo"] }')
  t.equal(
    propose('', { path: 'team/a/b' }, false, 'team/'),
    'path "a/b" { capabilities = ["read"] }',
  )
})

t.test('what a rule of the very path has is not said again', async t => {
  t.equal(
    propose('path "a/b" { capabilities = ["list"] }', {}),
    'path "a/b" { capabilities = ["read"] }',
  )
  t.equal(
    propose('path "a/b" { capabilities = ["read"] }', {}, true),
    'path "a/b" { capabilities = ["sudo"] }',
  )
  t.equal(
    propose('path "a/b" { capabilities = ["sudo"] }', {}, true),
    'path "a/b" { capabilities = ["read"] }',
  )
})

t.test('fields that are not in a list of allowed ones', async t => {
  const text = 'path "a/b" { capabilities = ["update"] allowed_parameters = { x = ["1"] } }'
  const asked = { operation: 'update', data: { x: '2', y: 1 } } as const
  t.equal(
    propose(text, asked),
    'path "a/b" { capabilities = ["update"] allowed_parameters = { "x" = [], "y" = [] } }',
  )
})

t.test('nothing, where no rule can', async t => {
  t.equal(propose('path "a/b" { capabilities = ["read"] }', {}), undefined, 'it is allowed')
  t.equal(propose('path "a/b" { capabilities = ["deny"] }', {}), undefined)
  t.equal(
    propose('path "a/b" { capabilities = ["read"] required_parameters = ["x"] }', {}),
    undefined,
  )
  t.equal(propose('path "a/b" { capabilities = ["read"] min_wrapping_ttl = 5 }', {}), undefined)
  t.equal(
    propose('path "a/b" { capabilities = ["read"] denied_parameters = { x = [] } }', {
      data: { x: 1 },
    }),
    undefined,
  )
  t.equal(propose('', { operation: 'help' }), undefined)
  for (const path of ['a/*', 'a/+/b', '+', 'a/{{b}}', 'a/+*', '/a'])
    t.equal(propose('', { path }), undefined, path)
})
