/**
 * Rules as text: one line for explanations, several for previews and synthetic policies.
 *
 * Owns the form. What it prints, parse.ts reads back as the same rules, whatever a name holds:
 * names are quoted by hcl/quote.ts and by nothing else.
 */
import { quoteHcl } from '../../hcl/quote.ts'
import type { Rule, Rules } from './rule.ts'

/** One rule on one line: `service_prefix "web" { policy = "read" }`. */
export function ruleText(rule: Rule): string {
  if (rule.form === 'scalar') return `${rule.kind} = "${rule.level}"`
  return `${head(rule)} { ${body(rule).join(' ')} }`
}

/** All rules, each block on lines of its own; '' for none. */
export function printRules(rules: Rules): string {
  return rules.map(printRule).join('')
}

function printRule(rule: Rule): string {
  if (rule.form === 'scalar') return `${ruleText(rule)}\n`
  const lines = body(rule).map(line => `  ${line}\n`)
  return `${head(rule)} {\n${lines.join('')}}\n`
}

type Named = Exclude<Rule, { form: 'scalar' }>

const head = (rule: Named): string =>
  `${rule.kind}${rule.form === 'prefix' ? '_prefix' : ''} ${quoteHcl(rule.name)}`

function body(rule: Named): string[] {
  const lines = [`policy = "${rule.level}"`]
  if (rule.intentions !== undefined) lines.push(`intentions = "${rule.intentions}"`)
  return lines
}
