/**
 * Texts of rules: every form, the words of each refusal, and what is passed over.
 */
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { parseRules, readRules, type Unread } from '../../../src/identity/rules/parse.ts'
import { printRules } from '../../../src/identity/rules/print.ts'
import { RulesProblem } from '../../../src/identity/rules/rule.ts'

/** The rules of a text, one a line, or the problem. */
function shown(text: string): string {
  const rules = parseRules(text)
  return rules instanceof RulesProblem ? rules.text : printRules(rules).replaceAll(/\s+/g, ' ')
}

t.test('scalars and blocks, in HCL and JSON', async t => {
  const all =
    'operator = "read" key "a" { policy = "list" } ' +
    'service_prefix "" { policy = "write" intentions = "deny" } '
  t.equal(shown(all), all)
  t.equal(
    shown(
      '{"operator":"read","key":{"a":{"policy":"list"}},"service_prefix":[{"":{"policy":"write","intentions":"deny"}}]}',
    ),
    all,
  )
})

t.test('what is passed over', async t => {
  const unread: Unread[] = []
  const rules = readRules('namespace "x" { }\nkey "a" { policy = "read" sentinel { } }', one =>
    unread.push(one),
  )
  t.same(rules, [
    { form: 'exact', kind: 'key', name: 'a', level: 'read', intentions: undefined, line: 2 },
  ])
  t.same(unread, [
    { what: 'block', name: 'namespace', line: 1 },
    { what: 'key', name: 'sentinel', line: 2 },
  ])
})

t.test('refusals', async t => {
  t.equal(
    shown('service "foo" { policy = "nope" }'),
    'Invalid service policy: acl.ServiceRule{Name:"foo", Policy:"nope", Intentions:"", EnterpriseRule:acl.EnterpriseRule{}}',
  )
  t.match(shown(' '.repeat(limits.aclRulesChars + 1)), /longer than/)
})
