/**
 * The smallest rule that would allow what is refused.
 *
 * Owns the choice of its form. Must be right where it says something: the rule, in one more policy
 * of the same namespace, allows the request, which is tried before it is told. Where the rule of
 * the very same path denies it, wants a field or forbids one, no rule can, and it says nothing.
 */
import { quoteHcl } from '../../hcl/quote.ts'
import type { CompiledPolicies } from './compile.ts'
import { decide, type PolicyRequest } from './decide.ts'
import { bits, type Capability, PolicyProblem } from './document.ts'
import { parsePolicy } from './parse.ts'

/** The rule as text, or undefined: also where the request is allowed. */
export function smallestRule(
  compiled: CompiledPolicies,
  request: PolicyRequest,
  {
    namespace,
    needsSudo,
  }: {
    /** Of the request: '' or `team/a/`; its path begins so. */
    readonly namespace: string
    /** Whether the path is root-protected. */
    readonly needsSudo: boolean
  },
): string | undefined {
  if (request.operation === 'help' || isAllowed(compiled, request, needsSudo)) return undefined
  const wanted: Capability[] = needsSudo ? [request.operation, 'sudo'] : [request.operation]
  const own = compiled.ruleOf(request.path, request.nowMs)?.set ?? 0
  const lacking = wanted.filter(one => (own & bits[one]) === 0)
  const path = quoteHcl(request.path.slice(namespace.length))
  const given = `capabilities = ${listed(lacking.length > 0 ? lacking : wanted)}`
  const fields = Object.keys(request.data ?? {}).map(name => `${quoteHcl(name)} = []`)
  const texts = [
    `path ${path} { ${given} }`,
    `path ${path} { ${given} allowed_parameters = { ${fields.join(', ')} } }`,
  ]
  return texts.find(text => {
    const document = parsePolicy(text)
    if (document instanceof PolicyProblem || document.isTemplated) return false
    const more = compiled.with({ policy: 'one more', namespace, document })
    // A path with a wildcard's sign in its last place can be written for more than itself alone.
    const isItself = more.ruleOf(request.path, request.nowMs) !== undefined
    return isItself && isAllowed(more, request, needsSudo)
  })
}

function isAllowed(
  compiled: CompiledPolicies,
  request: PolicyRequest,
  needsSudo: boolean,
): boolean {
  const { allowed, sudo } = decide(compiled, request)
  return allowed && (sudo || !needsSudo)
}

const listed = (names: readonly string[]): string => `[${names.map(quoteHcl).join(', ')}]`
