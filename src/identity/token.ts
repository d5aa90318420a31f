/**
 * The rules of tokens: create, change, copy, delete, expire, and their reads.
 *
 * Owns what a token may say and for how long it lives. A secret comes as its keyed hash and in
 * sealed form: nothing here ever sees one. Semantics and texts follow Consul's API
 * (/v1/acl/token). Pure.
 */
import { type Revision, revision, type WallMs } from '../base/brand.ts'
import { type Bytes, fromText } from '../base/bytes.ts'
import { refuse } from '../base/denied.ts'
import { formatDuration } from '../base/duration.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { isUuid } from '../base/uuid.ts'
import { ANONYMOUS_ACCESSOR, access, type Who } from '../base/who.ts'
import type { Question, View } from '../store/ask.ts'
import { type Decision, del, type Op, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { policies, roles, type TokenRow, tokens } from '../store/tables/acl.ts'
import { endOfGrant } from '../store/tables/grant.ts'
import { fold, scope } from '../store/tables/names.ts'
import type { DeadlineKind } from '../store/timekeeper.ts'
import type { Reader } from '../store/view.ts'
import { type GivenGrants, type Link, readGrants, readRoleLinks } from './grants.ts'
import { shown } from './policy.ts'

/** A secret as rows know it. */
export interface SecretParts {
  /** The row's key: the keyed hash. */
  readonly key: Bytes
  /** Sealed for `placeOf(accessor)`. */
  readonly sealed: string
}

/** What a secret is sealed for: the one row that it belongs to. */
export const placeOf = (accessor: string): string => `acl/token/${accessor}`

/** A token as clients ask for it. */
export interface TokenRequest extends GivenGrants {
  readonly description: string
  readonly roles: readonly Link[]
  readonly local: boolean
  /** How long it lives; 0 for ever, undefined where nothing was said. */
  readonly ttlMs: number | undefined
  /** When it ends; 0 where that was not said. */
  readonly expiresAtMs: number
}

/** Who a new token is, and how it was got. */
export interface NewToken {
  readonly accessor: string
  readonly secret: SecretParts
  readonly authMethod: string
  readonly metadata: TokenRow['metadata']
}

const RESERVED = '00000000-0000-0000-0000-0000000000'

/** Why an id that a client chose cannot be one; undefined when it can. */
export function idProblem(id: string, what: 'AccessorID' | 'SecretID'): Refusal | undefined {
  if (!isUuid(id)) return new Refusal(500, `Invalid Token: ${what} is not a valid UUID`)
  if (!id.startsWith(RESERVED)) return undefined
  return new Refusal(500, `Invalid Token: UUIDs with the prefix ${RESERVED} are reserved`)
}

/** Creates a token; the answer is the row. */
export function createToken(
  view: Reader,
  who: Who,
  fresh: NewToken,
  request: TokenRequest,
  now: WallMs,
): Decision<TokenRow> | Refusal {
  return refuse(who, [access('write', 'acl')]) ?? makeToken(view, fresh, request, now)
}

/** As createToken, for whoever has shown that he may have one by other means. */
export function makeToken(
  view: Reader,
  { accessor, secret, authMethod, metadata }: NewToken,
  request: TokenRequest,
  now: WallMs,
): Decision<TokenRow> | Refusal {
  if (tokenBy(view, accessor) !== undefined) {
    return new Refusal(500, 'Invalid Token: AccessorID is already in use')
  }
  if (view.get(tokens, secret.key) !== undefined) {
    return new Refusal(500, 'Invalid Token: SecretID is already in use')
  }
  const expiry = readExpiry(request, now)
  if (expiry instanceof Refusal) return expiry
  const content = readContent(view, request)
  if (content instanceof Refusal) return content
  const token: TokenRow = {
    accessor,
    sealedSecret: secret.sealed,
    ...content,
    local: request.local,
    authMethod,
    metadata,
    ...expiry,
    createdAtMs: now,
  }
  return { txn: [put(tokens, secret.key, token)], answer: token }
}

/** What of a token may be changed later. */
function readContent(
  view: Reader,
  request: TokenRequest,
): Pick<TokenRow, 'description' | 'roles' | keyof Omit<GivenGrants, 'never'>> | Refusal {
  const { description, local } = request
  if (description.length > limits.aclDescriptionChars) {
    return new Refusal(500, 'Invalid Token: the Description is too long')
  }
  const grants = readGrants(view, request, 'token', local)
  if (grants instanceof Refusal) return grants
  const held = readRoleLinks(view, request.roles)
  return held instanceof Refusal ? held : { description, roles: held, ...grants }
}

function readExpiry(
  { ttlMs = 0, expiresAtMs }: TokenRequest,
  now: WallMs,
): Pick<TokenRow, 'ttlMs' | 'expiresAtMs'> | Refusal {
  if (ttlMs < 0) {
    return new Refusal(500, `Token Expiration TTL '${formatDuration(ttlMs)}' should be > 0`)
  }
  if (ttlMs > 0 && expiresAtMs !== 0) {
    return new Refusal(500, 'Token Expiration TTL and Expiration Time cannot both be set')
  }
  if (ttlMs === 0 && expiresAtMs === 0) return { ttlMs: 0, expiresAtMs: 0 }
  const leftMs = ttlMs > 0 ? ttlMs : expiresAtMs - now
  if (leftMs < limits.aclTokenTtlMinMs) {
    const least = formatDuration(limits.aclTokenTtlMinMs)
    const was = formatDuration(leftMs)
    return new Refusal(
      500,
      `ExpirationTime cannot be less than ${least} in the future (was ${was})`,
    )
  }
  return { ttlMs, expiresAtMs: now + leftMs }
}

/** Changes what a token gives. What it is, and for how long, stays. */
export function updateToken(
  view: Reader,
  who: Who,
  accessor: string,
  request: TokenRequest & {
    /** The keyed hash of the secret that was named, undefined where none was. */
    readonly secretKey: Bytes | undefined
    readonly authMethod: string
  },
): Decision<TokenRow> | Refusal {
  const refusal = refuse(who, [access('write', 'acl')])
  if (refusal !== undefined) return refusal
  const existing = tokenBy(view, accessor)
  if (existing === undefined) return new Refusal(500, `Cannot find token ${shown(accessor)}`)
  const { key, row } = existing
  if (request.secretKey !== undefined && request.secretKey !== key) {
    return new Refusal(500, "Changing a token's SecretID is not permitted")
  }
  if (request.local !== row.local) {
    return new Refusal(500, `Cannot toggle local mode of ${accessor}`)
  }
  if (request.authMethod !== '' && request.authMethod !== row.authMethod) {
    return new Refusal(500, `Cannot change AuthMethod of ${accessor}`)
  }
  const changesTime = request.expiresAtMs !== 0 && request.expiresAtMs !== row.expiresAtMs
  const changesTtl = (request.ttlMs ?? 0) !== 0 && request.ttlMs !== row.ttlMs
  if (changesTime || changesTtl) {
    return new Refusal(500, `Cannot change expiration time of ${accessor}`)
  }
  const content = readContent(view, request)
  if (content instanceof Refusal) return content
  const token: TokenRow = { ...row, ...content }
  return { txn: [put(tokens, key, token)], answer: token }
}

/** A new token with what another gives; the answer is the row. */
export function cloneToken(
  view: Reader,
  who: Who,
  accessor: string,
  fresh: NewToken,
  description: string,
  now: WallMs,
): Decision<TokenRow> | Refusal {
  const refusal = refuse(who, [access('write', 'acl')])
  if (refusal !== undefined) return refusal
  const existing = tokenBy(view, accessor)?.row
  if (existing === undefined) return noToken
  if (existing.authMethod !== '') {
    return new Refusal(500, 'Cannot clone a token created from an auth method')
  }
  const { sealedSecret: _secret, policies: linked, roles: held, ...rest } = existing
  const byId = (id: string): Link => ({ id, name: '' })
  const isThere = (table: typeof policies | typeof roles) => (id: string) =>
    view.get<unknown>(table as never, fromText(id)) !== undefined
  return makeToken(
    view,
    fresh,
    {
      ...rest,
      description: description === '' ? existing.description : description,
      policies: linked.filter(isThere(policies)).map(byId),
      roles: held.filter(isThere(roles)).map(byId),
      ttlMs: undefined,
      expiresAtMs: existing.expiresAtMs,
    },
    now,
  )
}

/** What takes a token away, with what it was granted of the secrets. */
export const endOfToken = (view: Reader, key: Bytes): Op[] => [
  del(tokens, key),
  ...endOfGrant(view, key),
]

/** Deletes a token; the answer is whether there was one. */
export function deleteToken(view: Reader, who: Who, accessor: string): Decision<boolean> | Refusal {
  if (accessor === ANONYMOUS_ACCESSOR) {
    return new Refusal(500, 'Delete operation not permitted on the anonymous token')
  }
  const refusal = refuse(who, [access('write', 'acl')])
  if (refusal !== undefined) return refusal
  if (accessor === who.accessor) {
    return new Refusal(500, "Deletion of the request's authorization token is not permitted")
  }
  const existing = tokenBy(view, accessor)
  if (existing === undefined) return { txn: [], answer: false }
  return { txn: endOfToken(view, existing.key), answer: true }
}

/** The token of a login ends itself. */
export function logout(view: Reader, tokenKey: Bytes): Decision<true> | Refusal {
  const existing = view.get(tokens, tokenKey)
  if (existing === undefined) return new Refusal(403, 'ACL not found')
  if (existing.row.authMethod === '') {
    return new Refusal(403, "Permission denied: token wasn't created via login")
  }
  return { txn: endOfToken(view, tokenKey), answer: true }
}

/** Tokens whose time is over are refused at once; here their rows are collected. */
export const tokenExpiry: DeadlineKind<TokenRow> = {
  name: 'acl-token',
  table: tokens,
  due: ({ row: { expiresAtMs } }) => (expiresAtMs === 0 ? undefined : { atWallMs: expiresAtMs }),
  expire: key => view => ({
    txn: view.get(tokens, key) === undefined ? [] : endOfToken(view, key),
    answer: undefined,
  }),
}

const tokenBy = (view: Reader, accessor: string): Cell<TokenRow> | undefined =>
  view.find(tokens, 'accessor', fromText(accessor), 1)[0]

/** What is answered about a token that is not there. */
export const noToken = new Refusal(404, 'Requested token does not exist: ACL not found')

// --- reads

/** Names of policies and roles stand in what is told of a token: it changes with them. */
const newestOfTokens = (view: View): Revision =>
  revision(Math.max(view.newest(tokens), view.newest(policies), view.newest(roles)))

/** Which tokens are asked for; '' asks for all. */
export interface TokenFilter {
  readonly policy: string
  readonly role: string
  readonly authMethod: string
  readonly service: string
}

/** All tokens that are asked for. */
export function allTokens(
  who: Who,
  filter: TokenFilter,
): Question<Iterable<Cell<TokenRow> | undefined>> | Refusal {
  return (
    refuse(who, [access('read', 'acl')]) ?? {
      key: `acl-tokens ${fromText(JSON.stringify(filter))}`,
      target: { scope: scope.acl },
      newest: newestOfTokens,
      *read(view) {
        // A search that finds nothing for long is cut into slices too: hence the undefined ones.
        for (const cell of candidates(view, filter)) {
          yield matches(cell.row, filter) ? cell : undefined
        }
      },
    }
  )
}

function candidates(view: View, filter: TokenFilter): Iterable<Cell<TokenRow>> {
  if (filter.policy !== '') return view.scan(tokens, 'policy', fromText(filter.policy))
  if (filter.role !== '') return view.scan(tokens, 'role', fromText(filter.role))
  if (filter.authMethod !== '') return view.scan(tokens, 'method', fold(filter.authMethod))
  return view.entries(tokens)
}

const matches = (row: TokenRow, { policy, role, authMethod, service }: TokenFilter): boolean =>
  (policy === '' || row.policies.includes(policy)) &&
  (role === '' || row.roles.includes(role)) &&
  (authMethod === '' || row.authMethod.toLowerCase() === authMethod.toLowerCase()) &&
  (service === '' || row.serviceIdentities.some(each => each.service === service))

/** The token with an accessor. */
export function tokenByAccessor(
  who: Who,
  accessor: string,
): Question<Cell<TokenRow> | undefined> | Refusal {
  return refuse(who, [access('read', 'acl')]) ?? ownToken(accessor)
}

/** The token with an accessor, for itself. */
export const ownToken = (accessor: string): Question<Cell<TokenRow> | undefined> => ({
  key: `acl-token ${fromText(accessor)}`,
  target: { scope: scope.acl },
  newest: newestOfTokens,
  read: view => view.find(tokens, 'accessor', fromText(accessor), 1)[0],
})
