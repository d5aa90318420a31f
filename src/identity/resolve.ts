/**
 * Tokens to principals: what a token may do, by the rows of one view.
 *
 * Owns which policies a token gathers, and when a principal that is known already still holds.
 * Pure: the token comes as the keyed hash of its secret, which is all that the rows know. For
 * tokens of the secrets see resolve-other.ts.
 */
import type { WallMs } from '../base/brand.ts'
import { type Bytes, fromText } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { type Access, ANONYMOUS_ACCESSOR, type Who } from '../base/who.ts'
import type { Cell, Table } from '../store/table.ts'
import {
  type Grants,
  type PolicyRow,
  policies,
  roles,
  type TokenRow,
  tokens,
} from '../store/tables/acl.ts'
import type { Reader } from '../store/view.ts'
import { sourcesOf } from './grants.ts'
import { isSameOther, type OtherToken } from './other-token.ts'
import {
  type Authorizer,
  type CompileOptions,
  compile,
  parseRules,
  type Rules,
  RulesProblem,
  type Source,
} from './rules/mod.ts'

/** What holds for all principals of a server. */
export interface AclSettings extends Pick<CompileOptions, 'defaultPolicy' | 'keyListPolicy'> {
  readonly datacenter: string
}

/** A row that a principal stands on, as it was when the principal was made. */
interface Stand {
  readonly table: Table<unknown>
  readonly key: Bytes
  readonly cell: Cell<unknown> | undefined
}

/** What a principal stands on whose token is none of the registry's. */
export interface Elsewhere {
  readonly token: OtherToken
  /** Whether the rows that give it rights are the same in another view. */
  standsIn(view: Reader): boolean
}

/** Who shows a token, and what it may do. */
export class Principal implements Who {
  readonly accessor: string
  readonly authorizer: Authorizer
  /** The keyed hash of its secret. */
  readonly tokenKey: Bytes
  /** Undefined where no row knows it: that of requests without a token, before there is one. */
  readonly token: TokenRow | undefined
  readonly policyNames: readonly string[]
  readonly roleNames: readonly string[]
  /** What its rights come from. */
  readonly sources: readonly Source[]
  readonly #stands: readonly Stand[]
  /** Of a token of the secrets. */
  readonly elsewhere: Elsewhere | undefined

  constructor(
    tokenKey: Bytes,
    token: TokenRow | undefined,
    authorizer: Authorizer,
    sources: readonly Source[],
    names: { readonly policies: readonly string[]; readonly roles: readonly string[] },
    stands: readonly Stand[],
    elsewhere?: Elsewhere,
  ) {
    this.tokenKey = tokenKey
    this.token = token
    this.accessor = token?.accessor ?? ANONYMOUS_ACCESSOR
    this.authorizer = authorizer
    this.sources = sources
    this.policyNames = names.policies
    this.roleNames = names.roles
    this.#stands = stands
    this.elsewhere = elsewhere
  }

  get rights(): string {
    return this.authorizer.fingerprint
  }

  may(wanted: Access): boolean {
    return this.authorizer.may(wanted)
  }

  /** Whether its time is over. */
  isOver(now: WallMs): boolean {
    return isOver(this.token, now)
  }

  /** Whether it is the same in another view: all its rows are, and its time is not over. */
  holdsIn(view: Reader, now: WallMs): boolean {
    if (this.isOver(now)) return false
    if (this.elsewhere !== undefined) {
      const { token } = this.elsewhere
      return isSameOther(token, token.again(view, now)) && this.elsewhere.standsIn(view)
    }
    return this.#stands.every(({ table, key, cell }) => view.get(table, key) === cell)
  }
}

const isOver = (token: TokenRow | undefined, now: WallMs): boolean =>
  token !== undefined && token.expiresAtMs !== 0 && token.expiresAtMs <= now

/** What clients match on when a secret is nobody's, or no longer. */
const NOT_FOUND = new Refusal(403, 'ACL not found')

/**
 * The principal of the token with this key. A token whose time is over is nobody's; `anonymous`
 * says that no token may be there at all, as for requests that show none.
 */
export function resolve(
  view: Reader,
  tokenKey: Bytes,
  now: WallMs,
  settings: AclSettings,
  anonymous: Bytes,
): Principal | Refusal {
  const stands: Stand[] = []
  const read = <R>(table: Table<R>, key: Bytes): Cell<R> | undefined => {
    const cell = view.get(table, key)
    stands.push({ table: table as Table<unknown>, key, cell })
    return cell
  }
  const token = read(tokens, tokenKey)?.row
  if (token === undefined && tokenKey !== anonymous) return NOT_FOUND
  if (isOver(token, now)) return NOT_FOUND
  const held = (token?.roles ?? []).flatMap(id => read(roles, fromText(id))?.row ?? [])
  const grants: readonly Grants[] = token === undefined ? [] : [token, ...held]
  const linked = linkedPolicies(grants, settings.datacenter, key => read(policies, key))
  const sources = [
    ...linked.map(sourceOf),
    ...grants.flatMap(each => sourcesOf(each, settings.datacenter)),
  ]
  const names = { policies: linked.map(({ name }) => name), roles: held.map(({ name }) => name) }
  return new Principal(tokenKey, token, compile(sources, settings), sources, names, stands)
}

/** The policies that grants link to, as far as they are there and hold in this datacenter. */
export const linkedPolicies = (
  grants: readonly Grants[],
  datacenter: string,
  read: (key: Bytes) => Cell<PolicyRow> | undefined,
): PolicyRow[] =>
  [...new Set(grants.flatMap(each => each.policies))]
    .flatMap(id => read(fromText(id))?.row ?? [])
    .filter(policy => holdsIn(policy.datacenters, datacenter))

/** Whether something that is bound to datacenters holds in this one. */
const holdsIn = (datacenters: readonly string[], datacenter: string): boolean =>
  datacenters.length === 0 || datacenters.includes(datacenter)

/** Rules are parsed once for each row that holds them: a changed policy is another row. */
const parsed = new WeakMap<PolicyRow, Rules>()

/** What a policy gives, as its rules say. */
export function sourceOf(policy: PolicyRow): Source {
  let rules = parsed.get(policy)
  if (rules === undefined) {
    const given = parseRules(policy.rules)
    // What was stored was parsed before; a text that a newer version took gives nothing here.
    rules = given instanceof RulesProblem ? [] : given
    parsed.set(policy, rules)
  }
  return { policyId: policy.id, policyName: policy.name, rules }
}
