/**
 * Texts of rules: every form, the words of each refusal, and what is passed over.
 */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the notation of HCL itself
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { parseRules, readRules, type Unread } from '../../../src/identity/rules/parse.ts'
import { ruleText } from '../../../src/identity/rules/print.ts'
import {
  namedKinds,
  type Rules,
  RulesProblem,
  scalarKinds,
} from '../../../src/identity/rules/rule.ts'

function rulesOf(text: string): Rules {
  const rules = parseRules(text)
  if (rules instanceof RulesProblem) throw new Error(rules.text)
  return rules
}

/** The rules of a text, each on one line, with the number of its line. */
const shown = (text: string): string[] =>
  rulesOf(text).map(rule => `${rule.line} ${ruleText(rule)}`)

function refusal(text: string): string {
  const rules = parseRules(text)
  return rules instanceof RulesProblem ? `${rules.line} ${rules.text}` : 'accepted'
}

t.test('every kind, exact and of a prefix', async t => {
  for (const kind of scalarKinds) t.same(shown(`${kind} = "read"`), [`1 ${kind} = "read"`])
  for (const kind of namedKinds) {
    for (const block of [kind, `${kind}_prefix`]) {
      const text = `${block} "a" { policy = "write" }`
      t.same(shown(text), [`1 ${text}`])
    }
  }
  t.same(shown(''), [])
  t.same(shown('# only a remark\n'), [])
})

t.test('the forms of HCL, with the line of each rule', async t => {
  const text = `
    acl = "read"
    key "a" {
      policy = "list"
    }
    key_prefix = { "b" = { policy = "deny" }
      c { policy = "read" } }
    service "web" { policy = "write" intentions = "deny" }
    service "web" "x" { policy = "read" }`
  t.match(refusal(text), /^9 Invalid service policy/)
  t.same(shown(text.replace(/\n[^\n]*$/, '')), [
    '2 acl = "read"',
    '3 key "a" { policy = "list" }',
    '6 key_prefix "b" { policy = "deny" }',
    '7 key_prefix "c" { policy = "read" }',
    '8 service "web" { policy = "write" intentions = "deny" }',
  ])
})

t.test('the forms of JSON', async t => {
  const expected = [
    '1 operator = "read"',
    '2 key "a" { policy = "list" }',
    '3 service_prefix "" { policy = "write" intentions = "deny" }',
    '4 service_prefix "b" { policy = "read" }',
  ]
  const text = `{"operator":"read",
    "key":{"a":{"policy":"list"}},
    "service_prefix":[{"":{"policy":"write","intentions":"deny"}},
      {"b":[{"policy":"read"}]}]}`
  t.same(shown(text), expected)
})

t.test('rules for the same name are all kept, in JSON too; of a value the last stands', async t => {
  const both = ['1 key "a" { policy = "deny" }', '1 key "a" { policy = "write" }']
  t.same(shown('key "a" { policy = "deny" } key "a" { policy = "write" }'), both)
  t.same(shown('{"key":{"a":{"policy":"deny"},"a":{"policy":"write"}}}'), both)
  t.same(shown('{"key":{"a":{"policy":"deny"}},"key":{"a":{"policy":"write"}}}'), both)
  t.same(shown('key { a { policy = "deny" } a { policy = "write" } }'), both)
  t.same(shown('acl = "write"\nmesh = "read"\nacl = "deny"'), ['2 mesh = "read"', '3 acl = "deny"'])
  t.same(shown('acl = "write" acl = ""'), [])
  t.same(shown('key "a" { policy = "deny" policy = "read" }'), ['1 key "a" { policy = "read" }'])
})

t.test('words and levels in any case; numbers are texts', async t => {
  t.same(shown('ACL = "Read" Key_Prefix "A" { POLICY = "LIST" }'), [
    '1 acl = "read"',
    '1 key_prefix "A" { policy = "list" }',
  ])
  t.same(shown('\u212aey "a" { policy = "read" }'), ['1 key "a" { policy = "read" }'])
  t.match(refusal('acl = 5'), /Invalid acl policy: "5"$/)
  t.same(
    rulesOf('{"key":{"\\ud800":{"policy":"read"}}}').map(rule => 'name' in rule && rule.name),
    ['\ufffd'],
  )
})

t.test('bad levels, in the words of Consul', async t => {
  const last = ', EnterpriseRule:acl.EnterpriseRule{}'
  const cases: [string, string][] = [
    ['acl = "list"', 'Invalid acl policy: "list"'],
    ['keyring = "nope"', 'Invalid keyring policy: "nope"'],
    ['agent "a" { policy = "x" }', 'Invalid agent policy: acl.AgentRule{Node:"a", Policy:"x"}'],
    [
      'agent_prefix "a" { policy = "list" }',
      'Invalid agent_prefix policy: acl.AgentRule{Node:"a", Policy:"list"}',
    ],
    ['event "a" {}', 'Invalid event policy: acl.EventRule{Event:"a", Policy:""}'],
    ['key "a" {}', `Invalid key policy: acl.KeyRule{Prefix:"a", Policy:""${last}}`],
    ['node_prefix "" {}', `Invalid node_prefix policy: acl.NodeRule{Name:"", Policy:""${last}}`],
    ['query "a" {}', 'Invalid query policy: acl.PreparedQueryRule{Prefix:"a", Policy:""}'],
    ['session "a" {}', 'Invalid session policy: acl.SessionRule{Node:"a", Policy:""}'],
    [
      'service "a" { policy = "nope" }',
      `Invalid service policy: acl.ServiceRule{Name:"a", Policy:"nope", Intentions:""${last}}`,
    ],
    [
      'service_prefix "a" { policy = "read" intentions = "all" }',
      'Invalid service_prefix intentions policy: ' +
        `acl.ServiceRule{Name:"a", Policy:"read", Intentions:"all"${last}}`,
    ],
    [
      'identity "a" { policy = "read" intentions = "list" }',
      'Invalid identity intentions policy: ' +
        `acl.IdentityRule{Name:"a", Policy:"read", Intentions:"list"${last}}`,
    ],
    [
      'agent "a\\"\\n\\u0001\\u2028\\U0001f600\\U000e0001é" {}',
      'Invalid agent policy: ' +
        'acl.AgentRule{Node:"a\\"\\n\\x01\\u2028\u{1f600}\\U000e0001é", Policy:""}',
    ],
  ]
  for (const [text, words] of cases) t.equal(refusal(text), `1 ${words}`, text)
  t.ok(refusal(`agent "${'a'.repeat(10_000)}" {}`).length < 1_000)
})

t.test('texts that are none', async t => {
  const failed = 'Failed to parse ACL rules: '
  t.equal(
    refusal('\nkey "a"'),
    `2 ${failed}line 2, column 8: expected "=", a label or "{", the text ends here`,
  )
  t.match(refusal('{"key":'), failed)
  for (const text of ['key = 1', 'key { policy = "read" }', 'key = { a = "read" }', 'key = [1]']) {
    t.equal(refusal(text), `1 ${failed}line 1: expected a block`, text)
  }
  for (const text of ['acl = true', 'acl {}', 'acl = ["read"]', 'key "a" { policy = ["read"] }']) {
    t.equal(refusal(text), `1 ${failed}line 1: expected a text`, text)
  }
})

t.test('bounds: at the bound and one past it', async t => {
  t.same(parseRules(' '.repeat(limits.aclRulesChars)), [])
  t.match(refusal(' '.repeat(limits.aclRulesChars + 1)), /text is longer than \d+ characters/)
  const rules = (count: number) => 'key "a" { policy = "read" }\n'.repeat(count)
  t.equal(rulesOf(rules(limits.aclRulesInText)).length, limits.aclRulesInText)
  const past = limits.aclRulesInText + 1
  t.equal(refusal(rules(past)), `${past} Failed to parse ACL rules: more than ${past - 1} rules`)
  const nested = (depth: number) => `x ${'{ x '.repeat(depth)} = 1 ${'}'.repeat(depth)}`
  t.same(parseRules(nested(limits.hclDepth)), [])
  t.match(refusal(nested(limits.hclDepth + 1)), /nested deeper/)
})

t.test('what is passed over is told', async t => {
  const told: Unread[] = []
  const text = `namespace "x" { service_prefix "" { policy = "write" } }
    key "a" { policy = "deny" sentinel { } intentions = "read"
      policy = "read" }
    acl = "read"
    acl = "write"
    constructor = "x"
    a_word_that_is_longer_than_any = 1`
  t.same(
    readRules(text, one => told.push(one)),
    [
      { form: 'exact', kind: 'key', name: 'a', level: 'read', intentions: undefined, line: 2 },
      { form: 'scalar', kind: 'acl', level: 'write', line: 5 },
    ],
  )
  t.same(told, [
    { what: 'block', name: 'namespace', line: 1 },
    { what: 'key', name: 'sentinel', line: 2 },
    { what: 'key', name: 'intentions', line: 2 },
    { what: 'overwritten', name: 'policy', line: 2 },
    { what: 'overwritten', name: 'acl', line: 4 },
    { what: 'block', name: 'constructor', line: 6 },
    { what: 'block', name: 'a_word_that_is_longer_than_any', line: 7 },
  ])
})

t.test('a fault of ours is not taken for one of the text', async t => {
  const fault = new TypeError('ours')
  const parse = () =>
    readRules('unknown {}', () => {
      throw fault
    })
  t.throws(parse, fault)
})
