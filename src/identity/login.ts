/**
 * The rule of logins: from who somebody has proved to be to the token that he gets.
 *
 * Owns that a token stands on the auth method and binding rules of the view that decides: a proof
 * that was looked at by another method is looked at again. Never sees the proof itself. Semantics
 * and texts follow Consul's API (/v1/acl/login). Pure.
 */
import type { WallMs } from '../base/brand.ts'
import { fromText } from '../base/bytes.ts'
import { same } from '../base/equal.ts'
import { Refusal } from '../base/errors.ts'
import type { Who } from '../base/who.ts'
import { type Decision, isRefusal } from '../store/store.ts'
import {
  type AuthMethodRow,
  authMethods,
  bindingRules,
  policies,
  roles,
  type TokenRow,
} from '../store/tables/acl.ts'
import { fold } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import type { LoginIdentity } from './auth-method/identity.ts'
import { type Bindings, bindings, noBindings } from './binding.ts'
import { loginTarget, type TokenFacts } from './condition/evaluate.ts'
import { judgeRequest } from './condition/gate.ts'
import type { Link } from './grants.ts'
import { shown } from './policy.ts'
import { linkedPolicies } from './resolve.ts'
import { makeToken, type NewToken } from './token.ts'

/** Who somebody has proved to be, and by which method. */
export interface Proven {
  readonly method: AuthMethodRow
  readonly identity: LoginIdentity
}

export interface LoginRequest {
  /** The name of the auth method. */
  readonly authMethod: string
  /** What the client notes of the login; it stands in the token's description. */
  readonly meta: Readonly<Record<string, string>>
  readonly datacenter: string
}

/** The answer where the method is another than the proof was looked at by. */
export const CHANGED = 'changed'

export const unknownMethod = (name: string): Refusal =>
  new Refusal(403, `ACL not found: auth method ${shown(name)} not found`)

/** The token of a login; the answer is its row, or that the proof must be looked at again. */
export function login(
  view: Reader,
  who: Who,
  { authMethod, meta, datacenter }: LoginRequest,
  { method, identity }: Proven,
  fresh: Pick<NewToken, 'accessor' | 'secret'>,
  now: WallMs,
): Decision<TokenRow | typeof CHANGED> | Refusal {
  const row = view.get(authMethods, fold(authMethod))?.row
  if (row === undefined) return unknownMethod(authMethod)
  if (!same(row, method)) return { txn: [], answer: CHANGED }
  const rules = view.find(bindingRules, 'method', fold(authMethod)).map(cell => cell.row)
  const bound = bindings(rules, identity, datacenter)
  if (bound instanceof Refusal) return bound
  const links = linksOf(view, bound)
  if (links === undefined) return noBindings
  const request = {
    description: describe(meta),
    ...links,
    serviceIdentities: bound.serviceIdentities,
    nodeIdentities: bound.nodeIdentities,
    templatedPolicies: bound.templatedPolicies,
    local: row.locality !== 'global',
    ttlMs: row.maxTokenTtlMs,
    expiresAtMs: 0,
  }
  const token = { ...fresh, authMethod: row.name, metadata: metadataOf(identity) }
  const made = makeToken(view, token, request, now)
  if (isRefusal(made)) return made
  const refusal = judged(view, who, made.answer as TokenRow, datacenter, now)
  return refusal ?? made
}

/** The roles and policies that exist; undefined where nothing is left of what was bound. */
function linksOf(
  view: Reader,
  bound: Bindings,
): { readonly roles: readonly Link[]; readonly policies: readonly Link[] } | undefined {
  const existing = (table: typeof roles | typeof policies, names: readonly string[]): Link[] =>
    names.flatMap(name => {
      const [found] = view.find<{ readonly id: string }>(table as never, 'name', fold(name), 1)
      return found === undefined ? [] : [{ id: found.row.id, name: '' }]
    })
  const links = {
    roles: existing(roles, bound.roles),
    policies: existing(policies, bound.policies),
  }
  const { serviceIdentities, nodeIdentities, templatedPolicies } = bound
  const all = [links.roles, links.policies, serviceIdentities, nodeIdentities, templatedPolicies]
  return all.some(one => one.length > 0) ? links : undefined
}

/** Conditions on logins, which know what the token would be. */
function judged(
  view: Reader,
  who: Who,
  token: TokenRow,
  datacenter: string,
  now: WallMs,
): Refusal | undefined {
  if (who.request === undefined) return undefined
  const factsOf = (): TokenFacts => {
    const held = token.roles.flatMap(id => view.get(roles, fromText(id))?.row ?? [])
    const linked = linkedPolicies([token, ...held], datacenter, key => view.get(policies, key))
    return {
      accessor: token.accessor,
      policies: linked.map(({ name }) => name),
      roles: held.map(({ name }) => name),
      authMethod: token.authMethod,
      metadata: token.metadata,
    }
  }
  const targets = [loginTarget(token.authMethod)]
  return judgeRequest(view, { who, request: who.request, targets, token: factsOf }, now)
}

/** What was mapped of the claims, by name; a list under the name of a value stands behind it. */
const metadataOf = ({ values, lists }: LoginIdentity): TokenRow['metadata'] => ({
  ...lists,
  ...values,
})

const DESCRIPTION = 'token created via login'

/** What Go's JSON writes of a map: sorted, and fit for HTML. */
function describe(meta: Readonly<Record<string, string>>): string {
  const entries = Object.entries(meta).sort(([one], [other]) => (one < other ? -1 : 1))
  if (entries.length === 0) return DESCRIPTION
  const written = entries.map(pair => pair.map(text => JSON.stringify(text)).join(':')).join(',')
  const escaped = written.replace(
    /[<>&\u2028\u2029]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return `${DESCRIPTION}: {${escaped}}`
}
