/**
 * What others may import of the rules: parse, print, compile and explain.
 *
 * Owns nothing.
 */
export { type Authorizer, type CompileOptions, compile, type Verdict } from './authorizer.ts'
export type { Source } from './consul.ts'
export { parseRules } from './parse.ts'
export { printRules, ruleText } from './print.ts'
export { type Rule, type Rules, RulesProblem } from './rule.ts'
