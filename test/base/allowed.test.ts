/** The one decision function: rules of both halves are asked by it, and give what they say. */
import t from 'tap'
import { allowed } from '../../src/base/allowed.ts'
import { access, type Capability } from '../../src/base/who.ts'
import { compile, parseRules, RulesProblem } from '../../src/identity/rules/mod.ts'
import { compilePolicies, PolicyProblem, parsePolicy } from '../../src/secrets/policy/mod.ts'

t.test('rules of the ACL system and policies of the secrets', async t => {
  const rules = parseRules('key_prefix "a/" { policy = "read" }')
  if (rules instanceof RulesProblem) throw new Error(rules.text)
  const source = { policyId: 'p', policyName: 'p', rules }
  const authorizer = compile([source], { defaultPolicy: 'deny', keyListPolicy: false })
  const registry = authorizer as unknown as Parameters<typeof allowed>[0]
  const may = (capability: Capability, name: string): unknown => {
    const asked = allowed(registry, capability, access(capability, 'key', name), undefined)
    t.equal(asked, authorizer.may(access(capability, 'key', name)), 'the same by either way')
    return asked
  }
  t.strictSame([may('read', 'a/x'), may('write', 'a/x'), may('read', 'b')], [true, false, false])
  const document = parsePolicy('path "kv/a/*" { capabilities = ["read"] }')
  if (document instanceof PolicyProblem) throw new Error(document.text)
  const secrets = compilePolicies([{ policy: 'p', namespace: '', document }])
  const given = (operation: 'read' | 'update', path: string): boolean =>
    allowed(secrets, operation, path, { nowMs: 1 }).allowed
  t.strictSame(
    [given('read', 'kv/a/x'), given('update', 'kv/a/x'), given('read', 'kv/b')],
    [true, false, false],
  )
})
