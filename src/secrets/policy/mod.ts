/**
 * What others may import of the policy language.
 *
 * Owns nothing.
 */
export { defaultPolicy, responseWrappingPolicy } from './builtin.ts'
export {
  type CompiledPolicies,
  type CompileOptions,
  compilePolicies,
  type PolicySource,
} from './compile.ts'
export {
  capabilitiesAt,
  type Decision,
  decide,
  mayRead,
  type PolicyRequest,
  type Reason,
  visibleKeys,
} from './decide.ts'
export { type Capability, capabilities, type PolicyDocument, PolicyProblem } from './document.ts'
export type { RuleShown } from './join.ts'
export { type KeyFilter, parseKeyFilter } from './key-filter.ts'
export { type LintedMount, lintPolicy, type PolicyFinding } from './lint.ts'
export { parsePolicy, plainText } from './parse.ts'
export { drawPassword, type PasswordPolicy, parsePasswordPolicy } from './password.ts'
export { type ResultantAcl, reaches, resultantAcl } from './resultant.ts'
export { smallestRule } from './smallest.ts'
export type { PolicyAlias, PolicyGroup, PolicyIdentity } from './template.ts'
