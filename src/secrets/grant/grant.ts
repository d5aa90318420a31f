/**
 * Grants: what a token of the registry may do with secrets.
 *
 * Owns the row, which is sealed for the hash of one token, and the principal that it makes. A row
 * of the registry alone gives nothing here: whoever can write to the store cannot give himself a
 * secret. A token with a grant is to the secrets as a batch token is: it makes no tokens, has no
 * cubbyhole, and what it leases is not renewed. Pure.
 */
import { type Bytes, fromText, toText } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import { ANONYMOUS_ACCESSOR } from '../../base/who.ts'
import type { Cell } from '../../store/table.ts'
import { type TokenRow as RegistryToken, tokens as registryTokens } from '../../store/tables/acl.ts'
import { GRANTS_AREA } from '../../store/tables/grant.ts'
import { entityById } from '../identity/entity.ts'
import { canonicalNamespace, namespaceAt, namespaceById } from '../namespace/namespace.ts'
import type { Draft, Storage } from '../storage.ts'
import { cleanPolicies, ROOT_POLICY, refuseUnassignable } from '../token/policies.ts'
import type { TokenRow } from '../token/token.ts'

/** What is known of the registry's tokens, beside their rows. */
export interface RegistryTokens {
  /** The key of the row of a secret, whether there is one or not. */
  keyOf(secret: string): Bytes
  /** Whether a server of this cluster made a row: its secret belongs to its key and accessor. */
  isGenuine(cell: Pick<Cell<RegistryToken>, 'key' | 'row'>): boolean
}

export interface GrantRow {
  /** Of the token, as it was when it was granted something. */
  readonly accessor: string
  /** When the token was to end then; 0 for never. It cannot be put off. */
  readonly expiresAtMs: number
  /** By name; never `root`. */
  readonly policies: readonly string[]
  /** Of the policies and the entity. */
  readonly namespaceId: string
  /** '' for none. */
  readonly entityId: string
  readonly grantedAtMs: number
}

/** All grants, by the key of the token's row. */
const grantRows = (draft: Draft): Storage => draft.area('root', GRANTS_AREA)

/** What an operator grants. */
export interface Granting {
  readonly policies: readonly string[]
  /** The path of the namespace of the policies; '' for the root one. */
  readonly namespace: string
  /** '' for none. */
  readonly entityId: string
}

/** Grants something to the token with an accessor, instead of what it had. */
export function putGrant(
  draft: Draft,
  registry: RegistryTokens,
  accessor: string,
  { policies: named, namespace: path, entityId }: Granting,
): Refusal | undefined {
  const cell = tokenCell(draft, accessor)
  if (cell === undefined || isOver(cell.row.expiresAtMs, draft.now)) return NO_TOKEN
  if (accessor === ANONYMOUS_ACCESSOR) return ANONYMOUS
  // A row that somebody else wrote may say any accessor.
  if (!registry.isGenuine(cell)) return NOT_GENUINE
  const policies = cleanPolicies(named)
  if (policies.length === 0) return new Refusal(400, 'missing policies')
  if (policies.includes(ROOT_POLICY)) return ROOT_REFUSED
  const namespace = namespaceAt(draft, canonicalNamespace(path))
  if (namespace === undefined || namespace.tainted) {
    return new Refusal(400, 'requested namespace does not exist')
  }
  const unassignable = refuseUnassignable(policies)
  if (unassignable !== undefined) return unassignable
  if (entityId !== '' && entityById(draft, namespace.id, entityId) === undefined) {
    return new Refusal(400, 'requested entity does not exist')
  }
  const row: GrantRow = {
    ...{ accessor, policies, entityId, namespaceId: namespace.id },
    expiresAtMs: cell.row.expiresAtMs,
    grantedAtMs: draft.now,
  }
  grantRows(draft).put(toText(cell.key), row)
  return undefined
}

const NO_TOKEN = new Refusal(404, 'there is no token of the registry with this accessor')
const ANONYMOUS = new Refusal(400, 'everybody has the anonymous token: it is granted nothing')
const NOT_GENUINE = new Refusal(
  400,
  'the row of this token was not written by a server of this cluster: it is granted nothing',
)
const ROOT_REFUSED = new Refusal(400, 'a token of the registry cannot be a root token')

const isOver = (expiresAtMs: number, nowMs: number): boolean =>
  expiresAtMs !== 0 && expiresAtMs <= nowMs

const tokenCell = (draft: Draft, accessor: string): Cell<RegistryToken> | undefined =>
  draft.view.find(registryTokens, 'accessor', fromText(accessor), 1)[0]

/** A grant with the key of its token's row. */
export interface Grant {
  readonly key: string
  readonly row: GrantRow
}

/** All grants. */
export const allGrants = (draft: Draft): Grant[] =>
  grantRows(draft)
    .keys()
    .map(key => ({ key, row: grantRows(draft).kept<GrantRow>(key)! }))

/** The grant of the token with an accessor; undefined where it has none. */
export function grantOf(draft: Draft, accessor: string): Grant | undefined {
  const key = tokenCell(draft, accessor)?.key
  const row = key === undefined ? undefined : grantRows(draft).kept<GrantRow>(toText(key))
  if (row?.accessor === accessor) return { key: toText(key!), row }
  // Its token may have gone by other ways than ours.
  return allGrants(draft).find(one => one.row.accessor === accessor)
}

/** Takes what was granted away; whether there was anything. */
export function deleteGrant(draft: Draft, accessor: string): boolean {
  const grant = grantOf(draft, accessor)
  if (grant !== undefined) grantRows(draft).delete(grant.key)
  return grant !== undefined
}

/** Whether what was granted still holds, as far as its namespace goes. */
export const grantNamespace = (draft: Draft, { namespaceId }: GrantRow): string | undefined =>
  namespaceById(draft, namespaceId)?.path

interface Made {
  readonly expiresAtMs: number
  readonly token: TokenRow
}

/** The token that a grant makes, as long as its row stands: rights are kept by it. */
const made = new WeakMap<GrantRow, Made>()

/** The token of the registry with this key, as the secrets see it; undefined without a grant. */
export function grantedToken(draft: Draft, tokenKey: Bytes): TokenRow | undefined {
  const row = draft.view.get(registryTokens, tokenKey)?.row
  if (row === undefined || isOver(row.expiresAtMs, draft.now)) return undefined
  const grant = grantRows(draft).kept<GrantRow>(toText(tokenKey))
  if (grant === undefined || grant.accessor !== row.accessor) return undefined
  if (isOver(grant.expiresAtMs, draft.now)) return undefined
  const expiresAtMs = earlier(grant.expiresAtMs, row.expiresAtMs)
  const known = made.get(grant)
  if (known?.expiresAtMs === expiresAtMs) return known.token
  const token = tokenOf(grant, expiresAtMs)
  made.set(grant, { expiresAtMs, token })
  return token
}

const earlier = (one: number, other: number): number =>
  one === 0 || other === 0 ? Math.max(one, other) : Math.min(one, other)

/** Display name and path of all of them. */
const DISPLAY_NAME = 'registry'
const GIVEN_AT = 'sys/grants'

const tokenOf = (grant: GrantRow, expiresAtMs: number): TokenRow => ({
  type: 'batch',
  accessor: grant.accessor,
  parent: undefined,
  policies: grant.policies.filter(name => name !== ROOT_POLICY),
  path: GIVEN_AT,
  meta: null,
  displayName: DISPLAY_NAME,
  numUses: 0,
  createdAtMs: grant.grantedAtMs,
  ttlMs: expiresAtMs === 0 ? 0 : expiresAtMs - grant.grantedAtMs,
  expiresAtMs,
  explicitMaxTtlMs: 0,
  periodMs: 0,
  renewable: false,
  role: '',
  boundCidrs: [],
  entityId: grant.entityId,
  lastRenewalMs: 0,
  namespaceId: grant.namespaceId,
  mountAccessor: '',
  internal: {},
  depth: 0,
})
