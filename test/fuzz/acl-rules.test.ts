/**
 * Rules of ACLs: any text is read or refused, at once; what is read prints, and reads the same.
 */
import t from 'tap'
import {
  lintRules,
  parseRules,
  printRules,
  type Rules,
  RulesProblem,
} from '../../src/identity/rules/mod.ts'
import type { Draw } from '../fake/random.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, stockOf } from './mutate.ts'

const texts = [
  'key_prefix "a/" { policy = "list" } key "a" { policy = "deny" }\nacl = "read"',
  'service "web" { policy = "write" intentions = "read" }\nservice_prefix "" { policy = "read" }',
  'node = { a = { policy = "read" } b { policy = "write" } } operator = "write" mesh = ""',
  '{"key":{"a":{"policy":"read"},"a":{"policy":"deny"}},"acl":"write","query_prefix":[{"":{}}]}',
]
const tokens = ['{', '}', '[', ']', '=', '"', '\\', ',', ':', '${', '\n', '5', 'true', 'null']
const words = ['policy', '"list"', '"DENY"', 'session', 'event_prefix "x"', '\u017fervice', 'é']
const stock = stockOf(texts, [...tokens, ...words])

t.test('any text as rules', async t => {
  const target = {
    make: (draw: Draw) => mutated(draw, stock).toString(),
    run: hold,
    show: JSON.stringify,
  }
  t.ok((await untilBudget('ACL rules', 300_000, casesOf(target))) > 0)
})

function hold(text: string): void {
  const rules = parseRules(text)
  const isRefused = lintRules(text).some(({ severity }) => severity === 'error')
  if (isRefused !== rules instanceof RulesProblem) throw new Error('findings say otherwise')
  if (rules instanceof RulesProblem) {
    if (rules.line < 1) throw new Error(`no line: ${rules.text}`)
    return
  }
  const again = parseRules(printRules(rules))
  if (again instanceof RulesProblem) throw new Error(`refused once printed: ${again.text}`)
  const bare = (list: Rules) => JSON.stringify(list.map(rule => ({ ...rule, line: 0 })))
  if (bare(again) !== bare(rules)) throw new Error('the rules have changed')
}
