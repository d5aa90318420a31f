/**
 * The authorizer decides as the reference does, whatever the policies; explains what it decides;
 * and the rule that it proposes does allow what it refused.
 */
import t from 'tap'
import { compile, parseRules, printRules, RulesProblem } from '../../../src/identity/rules/mod.ts'
import { casesOf } from '../../fuzz/cases.ts'
import { untilBudget } from '../../run/budget.ts'
import { type Case, drawCase } from './generate.ts'
import { referenceMay } from './reference.ts'

t.test('decisions are those of the reference', async t => {
  const target = { make: drawCase, run: hold, show: (input: Case) => JSON.stringify(input) }
  t.ok((await untilBudget('policy decisions', 1_000_000, casesOf(target))) > 0)
})

function hold({ sources, options, asked }: Case): void {
  const authorizer = compile(sources, options)
  for (const wanted of asked) {
    const expected = referenceMay(sources, options, wanted)
    const shown = JSON.stringify(wanted)
    must(authorizer.may(wanted) === expected, `${shown} should be ${expected}`)
    const verdict = authorizer.explain(wanted)
    must(verdict.allowed === expected, `${shown} is explained as something else`)
    must((verdict.reason === 'rule') === (verdict.rule !== undefined), `${shown} has no rule`)
    if (verdict.smallest === undefined) continue
    const rules = parseRules(verdict.smallest)
    if (rules instanceof RulesProblem) throw new Error(`${verdict.smallest}: ${rules.text}`)
    must(!expected, `${shown} is allowed, and a rule proposed`)
    const more = [...sources, { policyId: 'more', policyName: 'more', rules }]
    must(referenceMay(more, options, wanted), `${verdict.smallest} does not allow ${shown}`)
  }
  // The order of policies and of rules means nothing; what decides alike has one fingerprint.
  const turned = sources.map(one => ({ ...one, rules: [...one.rules].reverse() })).reverse()
  must(compile(turned, options).fingerprint === authorizer.fingerprint, 'the order is told')
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}

t.test('what is printed reads as the same rules', async t => {
  const target = {
    make: drawCase,
    run: ({ sources }: Case) => {
      for (const { rules } of sources) {
        const read = parseRules(printRules(rules))
        if (read instanceof RulesProblem) throw new Error(read.text)
        // Of a kind without names the last rule stands.
        const scalars = new Map(rules.map((rule, at) => [rule.kind, at]))
        const kept = rules.filter(
          (rule, at) => rule.form !== 'scalar' || scalars.get(rule.kind) === at,
        )
        const bare = (list: typeof rules) => JSON.stringify(list.map(one => ({ ...one, line: 0 })))
        must(bare(read) === bare(kept), 'the rules change')
      }
    },
    show: (input: Case) => JSON.stringify(input),
  }
  t.ok((await untilBudget('printed policies', 100_000, casesOf(target))) > 0)
})
