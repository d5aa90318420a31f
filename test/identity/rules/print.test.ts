/**
 * Rules as text: one line and several, with names of any characters.
 */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the notation of HCL itself
import t from 'tap'
import { printRules, ruleText } from '../../../src/identity/rules/print.ts'
import { named, scalar } from '../../../src/identity/rules/rule.ts'

t.test('one line and several', async t => {
  const rules = [
    scalar('acl', 'read'),
    named('exact', 'key', 'a', 'list'),
    named('prefix', 'service', '', 'write', 'read'),
  ]
  t.same(rules.map(ruleText), [
    'acl = "read"',
    'key "a" { policy = "list" }',
    'service_prefix "" { policy = "write" intentions = "read" }',
  ])
  t.equal(
    printRules(rules),
    `acl = "read"
key "a" {
  policy = "list"
}
service_prefix "" {
  policy = "write"
  intentions = "read"
}
`,
  )
  t.equal(printRules([]), '')
})

t.test('a name is quoted', async t => {
  const text = ruleText(named('exact', 'key', 'a"\n\\${b} $ é', 'read'))
  t.equal(text, 'key "a\\"\\n\\\\\\u0024{b} $ é" { policy = "read" }')
})
