/**
 * A value in a templated policy or an identity never changes what the rules are about: it is
 * refused, or it is the name of one thing. (The class of CVE-2026-71543 and CVE-2026-5006.)
 */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the notation of HCL itself
import t from 'tap'
import { access } from '../../src/base/who.ts'
import {
  compile,
  fillTemplate,
  nodeIdentity,
  parseRules,
  printRules,
  type Rule,
  type Rules,
  RulesProblem,
  ruleText,
  serviceIdentity,
  templates,
} from '../../src/identity/rules/mod.ts'
import { named } from '../../src/identity/rules/rule.ts'
import type { Draw } from '../fake/random.ts'
import { casesOf } from '../fuzz/cases.ts'
import { untilBudget } from '../run/budget.ts'

const attacks = [
  '*',
  '+',
  'web*',
  'a/b',
  '../web',
  '/',
  '',
  ' ',
  'web ',
  '" { policy = "write" } service_prefix "',
  'a" { policy = "write" }\nacl = "write"\nservice "',
  'a\\',
  'a"',
  '${name}',
  '{{.Name}}',
  'a\nb',
  'a\0',
  'a\u2028b',
  '\u202eweb',
  'web\ufeff',
  '＊',
  '\ud800',
  'wéb',
  'constructor"',
  'a#',
  '<<EOF\n',
  'x'.repeat(257),
]
const takers = [...templates.values()].filter(template => template.schema !== '')

// What passes is listed, as texts like these are none for the names of assertions.
t.test('attack: values with metacharacters are refused, whoever asks', async t => {
  const passed = attacks.flatMap(value => {
    const results = takers.map(({ name }) => fillTemplate(name, { name: value }))
    const all = [...results, serviceIdentity(value), nodeIdentity(value)]
    return all.every(one => one instanceof RulesProblem) ? [] : [value]
  })
  t.same(passed, [])
})

t.test('attack: a refusal quotes the value without letting it out of its quotes', async t => {
  const form = /^service identity "(?:[^"\\\0\n\u2028]|\\.)*" has an invalid name\. Only [^"]*$/u
  const wrong = attacks.filter(value => {
    const { text } = serviceIdentity(value) as RulesProblem
    return !form.test(text)
  })
  t.same(wrong, [])
})

t.test('near miss: values that are names, and nothing more', async t => {
  for (const value of ['web', 'web-1', 'a_b', '0', 'acl', 'constructor', 'x'.repeat(256)]) {
    const service = serviceIdentity(value)
    if (service instanceof RulesProblem) return t.fail(service.text)
    const authorizer = compile([service], { defaultPolicy: 'deny', keyListPolicy: true })
    t.ok(authorizer.may(access('write', 'service', value)))
    t.ok(authorizer.may(access('write', 'service', `${value}-sidecar-proxy`)))
    for (const other of ['', '*', 'db', `${value}x`, value.slice(1), `${value}-sidecar-proxy2`]) {
      t.notOk(authorizer.may(access('write', 'service', other)), other)
    }
    for (const one of ['acl', 'operator', 'node', 'key', 'query'] as const) {
      t.notOk(authorizer.may(access('write', one, '')), one)
    }
  }
})

t.test('near miss: rules as data keep any name in its place', async t => {
  for (const value of attacks) {
    const rule = named('exact', 'service', value.toWellFormed(), 'write')
    t.same(parseRules(printRules([rule])), [{ ...rule, line: 1 }])
  }
})

t.test('generated: a value is refused, or gives the rules of the template for it', async t => {
  const target = { make: drawValue, run: hold, show: JSON.stringify }
  t.ok((await untilBudget('template values', 100_000, casesOf(target))) > 0)
})

const alphabet = [...'ab0-_.*+/"\\${}\n ', 'É', '{{.Name}}', 'policy', '=', 'write', '\ud83d']

function drawValue(draw: Draw): string {
  const length = draw.chance(2) ? 300 : draw.below(6)
  return Array.from({ length }, () => draw.pick(draw.chance(70) ? ['a', 'b', '-'] : alphabet)).join(
    '',
  )
}

function hold(value: string): void {
  for (const { name, text } of templates.values()) {
    const result = fillTemplate(name, { name: value })
    if (result instanceof RulesProblem) continue
    const template = parseRules(text) as Rules
    const read = parseRules(result.text) as Rules
    const same = (one: Rule, at: number): boolean => {
      const expected = ruleText(one).replaceAll('{{.Name}}', value)
      return ruleText(read[at]!) === expected && ruleText(result.rules[at]!) === expected
    }
    if (read.length !== template.length || !template.every(same)) throw new Error(result.text)
  }
}
