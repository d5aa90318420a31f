/**
 * Decisions: which rule decides, what holds where none does, and why.
 */
import t from 'tap'
import { type Access, access } from '../../../src/base/who.ts'
import { compile, parseRules, RulesProblem } from '../../../src/identity/rules/mod.ts'

t.test('exact before prefix, the longest prefix, and the default', async t => {
  const rules = parseRules(`
    key_prefix "" { policy = "read" }
    key_prefix "a/" { policy = "write" }
    key_prefix "a/b/" { policy = "deny" }
    key "a/b/c" { policy = "write" }
  `)
  if (rules instanceof RulesProblem) return t.fail(rules.text)
  const authorizer = compile([{ policyId: '1', policyName: 'p', rules }], {
    defaultPolicy: 'deny',
    keyListPolicy: false,
  })
  const asked: [Access, boolean][] = [
    [access('read', 'key', 'x'), true],
    [access('write', 'key', 'x'), false],
    [access('write', 'key', 'a/x'), true],
    [access('read', 'key', 'a/b/x'), false],
    [access('write', 'key', 'a/b/c'), true],
    [access('write', 'key_prefix', 'a/'), false],
    [access('write', 'key_prefix', 'a/c'), true],
    [access('read', 'service', 'x'), false],
  ]
  for (const [wanted, allowed] of asked) t.equal(authorizer.may(wanted), allowed, wanted.name)
  t.same(authorizer.explain(access('write', 'key', 'a/b/d')), {
    allowed: false,
    reason: 'rule',
    rule: {
      text: 'key_prefix "a/b/" { policy = "deny" }',
      policyId: '1',
      policyName: 'p',
      line: 4,
    },
    smallest: 'key "a/b/d" { policy = "write" }',
  })
})
