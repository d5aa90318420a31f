/**
 * What others may import of the rules: parse, print, lint, compile and explain, and the rules that
 * nobody writes.
 *
 * Owns nothing.
 */
export { type Authorizer, type CompileOptions, compile, type Verdict } from './authorizer.ts'
export type { Source } from './consul.ts'
export { type Finding, lintRules } from './lint.ts'
export { parseRules } from './parse.ts'
export { printRules, ruleText } from './print.ts'
export { named, type Rule, type Rules, RulesProblem } from './rule.ts'
export {
  fillTemplate,
  globalRules,
  isIdentityName,
  nodeIdentity,
  type Synthetic,
  serviceIdentity,
  type Template,
  type TemplateVariables,
  templates,
} from './template.ts'
