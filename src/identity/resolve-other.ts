/**
 * Tokens of the secrets to principals of the registry.
 *
 * Owns what such a token may do here: what the binding rules of auth methods of type `secrets` give
 * it, and nothing else. No rule gives it anything unless an operator of the registry wrote it; and
 * it has nothing of the token of those who show none. Pure.
 */
import type { WallMs } from '../base/brand.ts'
import { Refusal } from '../base/errors.ts'
import type { Cell } from '../store/table.ts'
import {
  type AuthMethodRow,
  authMethods,
  type BindingRuleRow,
  bindingRules,
  type Grants,
  type PolicyRow,
  policies,
  type RoleRow,
  roles,
  type TokenRow,
} from '../store/tables/acl.ts'
import { fold } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import { identityOfOther, readSecretsConfig, SECRETS_TYPE } from './auth-method/secrets.ts'
import { type Bindings, bindings } from './binding.ts'
import { sourcesOf } from './grants.ts'
import type { OtherToken } from './other-token.ts'
import { type AclSettings, linkedPolicies, Principal, sourceOf } from './resolve.ts'
import { compile } from './rules/mod.ts'

/** What a token has by the rows of one view. */
interface Given {
  /** All rows that it follows from: the same ones give the same. */
  readonly cells: readonly (Cell<unknown> | undefined)[]
  readonly bound: readonly Bindings[]
  /** The methods that gave something, by name. */
  readonly methods: readonly string[]
  readonly roles: readonly RoleRow[]
  /** Of the rules themselves; those of roles come with them. */
  readonly policies: readonly PolicyRow[]
  /** All policies that hold. */
  readonly linked: readonly PolicyRow[]
}

/** The principal of a token. */
export function resolveOther(view: Reader, token: OtherToken, settings: AclSettings): Principal {
  const { datacenter } = settings
  const given = givenTo(view, token, datacenter)
  const row = rowOf(token, given)
  const grants: readonly Grants[] = [row, ...given.roles]
  const sources = [
    ...given.linked.map(sourceOf),
    ...grants.flatMap(each => sourcesOf(each, datacenter)),
  ]
  const names = {
    policies: given.linked.map(({ name }) => name),
    roles: given.roles.map(({ name }) => name),
  }
  return new Principal(token.key, row, compile(sources, settings), sources, names, [], {
    token,
    standsIn: other => areSame(given.cells, givenTo(other, token, datacenter).cells),
  })
}

/** The same by another view; the refusal of a token that is no more, or cannot be seen. */
export function resolveAgain(
  token: OtherToken,
  view: Reader,
  now: WallMs,
  settings: AclSettings,
): Principal | Refusal {
  const again = token.again(view, now)
  return again instanceof Refusal ? again : resolveOther(view, again, settings)
}

const areSame = (some: Given['cells'], others: Given['cells']): boolean =>
  some.length === others.length && some.every((cell, i) => cell === others[i])

function givenTo(view: Reader, token: OtherToken, datacenter: string): Given {
  const cells: (Cell<unknown> | undefined)[] = []
  const bound: Bindings[] = []
  const methods: string[] = []
  for (const method of view.find(authMethods, 'type', fold(SECRETS_TYPE))) {
    const rules = view.find(bindingRules, 'method', method.key)
    cells.push(method, ...rules)
    const one = boundBy(method.row, rules, token, datacenter)
    if (one === undefined) continue
    bound.push(one)
    methods.push(method.row.name)
  }
  const named = <R>(table: typeof roles | typeof policies, names: readonly string[]): R[] =>
    names.flatMap(name => {
      const [cell] = view.find<R>(table as never, 'name', fold(name), 1)
      cells.push(cell)
      return cell === undefined ? [] : [cell.row]
    })
  const held = unique(
    named<RoleRow>(
      roles,
      bound.flatMap(one => one.roles),
    ),
  )
  const own = unique(
    named<PolicyRow>(
      policies,
      bound.flatMap(one => one.policies),
    ),
  )
  const ofOwn: Grants = { ...NOTHING, policies: own.map(({ id }) => id) }
  const linked = linkedPolicies([ofOwn, ...held], datacenter, key => {
    const cell = view.get(policies, key)
    cells.push(cell)
    return cell
  })
  return { cells, bound, methods, roles: held, policies: own, linked }
}

const NOTHING: Grants = {
  policies: [],
  serviceIdentities: [],
  nodeIdentities: [],
  templatedPolicies: [],
}

/** What the rules of one method give; undefined for nothing, also where one makes no name. */
function boundBy(
  method: AuthMethodRow,
  rules: readonly Cell<BindingRuleRow>[],
  token: OtherToken,
  datacenter: string,
): Bindings | undefined {
  const config = readSecretsConfig(method.config)
  // Written by a version that takes more.
  if (typeof config === 'string') return undefined
  const identity = identityOfOther(config, token)
  if (identity === undefined) return undefined
  const bound = bindings(
    rules.map(({ row }) => row),
    identity,
    datacenter,
  )
  return bound instanceof Refusal ? undefined : bound
}

/** What is told of the token where the registry tells of its own; there is no such row. */
function rowOf(token: OtherToken, { bound, methods, roles: held, policies: own }: Given): TokenRow {
  const { accessor, description, entity, namespace, expiresAtMs } = token
  return {
    ...{ accessor, description, expiresAtMs, sealedSecret: '' },
    policies: own.map(({ id }) => id),
    roles: held.map(({ id }) => id),
    serviceIdentities: bound.flatMap(one => one.serviceIdentities),
    nodeIdentities: bound.flatMap(one => one.nodeIdentities),
    templatedPolicies: bound.flatMap(one => one.templatedPolicies),
    local: true,
    authMethod: methods[0] ?? '',
    metadata: { namespace, entity_name: entity?.name ?? '', policies: token.policies },
    ttlMs: 0,
    createdAtMs: 0,
  }
}

const unique = <R extends { readonly id: string }>(rows: readonly R[]): readonly R[] => [
  ...new Map(rows.map(row => [row.id, row])).values(),
]
