/**
 * Principals by rules in Consul's language, and an authority that knows them by their tokens: what
 * tests of rights need without a store of tokens.
 */
import { Refusal } from '../../src/base/errors.ts'
import { type Access, ANONYMOUS_ACCESSOR, type Authority, type Who } from '../../src/base/who.ts'
import { compile, parseRules, RulesProblem } from '../../src/identity/rules/mod.ts'

export interface RuleOptions {
  readonly accessor?: string
  readonly defaultPolicy?: 'allow' | 'deny'
  readonly keyListPolicy?: boolean
}

/** Somebody with the rules of this text. */
export function ruledBy(text: string, options: RuleOptions = {}): Who {
  const { accessor = 'by-rules', defaultPolicy = 'deny', keyListPolicy = false } = options
  const rules = parseRules(text)
  if (rules instanceof RulesProblem) throw new Error(rules.text)
  const source = { policyId: 'p', policyName: 'p', rules }
  const authorizer = compile([source], { defaultPolicy, keyListPolicy })
  const may = (wanted: Access): boolean => authorizer.may(wanted)
  return { accessor, rights: authorizer.fingerprint, may }
}

/** Somebody who shows no token. */
export const anonymousBy = (text: string): Who => ruledBy(text, { accessor: ANONYMOUS_ACCESSOR })

const KINDS = ['agent', 'event', 'key', 'node', 'query', 'session']
const SCALARS = ['acl', 'keyring', 'mesh', 'operator', 'peering']

/** Rules that allow so much of everything. */
export const everythingFor = (level: 'read' | 'write'): string =>
  [
    ...KINDS.map(kind => `${kind}_prefix "" { policy = "${level}" }`),
    `service_prefix "" { policy = "${level}" intentions = "${level}" }`,
    ...SCALARS.map(kind => `${kind} = "${level}"`),
  ].join('\n')

/** Knows principals by their tokens; '' is whoever shows none. Nobody has any other. */
export const authorityOf = (known: Readonly<Record<string, Who>>): Partial<Authority> => ({
  defaultPolicy: 'deny',
  authenticate: token =>
    Object.hasOwn(known, token) ? known[token]! : new Refusal(403, 'ACL not found'),
})
