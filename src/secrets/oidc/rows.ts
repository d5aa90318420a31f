/**
 * The rows of identity tokens: keys, roles, and who uses which key.
 *
 * Owns how they lie, each kind in an area of its own of a namespace, and what a name is. Pure.
 */
import { limits } from '../../base/limits.ts'
import type { Draft, Storage } from '../storage.ts'
import type { Algorithm } from './algorithm.ts'

/** A public key as it is told (RFC 7517), without what is the same for all. */
export type Jwk = Readonly<Record<string, string>>

/** A pair that signs. */
export interface Pair {
  readonly id: string
  readonly publicKey: Jwk
  /** PKCS #8 in DER, as base64. */
  readonly privateKey: string
}

/** A public key that is out of use: what it has signed is trusted for a while yet. */
export interface Retired {
  readonly id: string
  readonly publicKey: Jwk
  readonly expiresAtMs: number
}

export interface KeyRow {
  readonly algorithm: Algorithm
  readonly rotationMs: number
  /** How long a public key is told after it went out of use. */
  readonly verificationMs: number
  /** `*` for all. */
  readonly allowedClientIds: readonly string[]
  readonly nextRotationMs: number
  readonly signing: Pair
  /** Told already: whoever keeps public keys has it when it begins to sign. */
  readonly next: Pair
  readonly retired: readonly Retired[]
}

export interface RoleRow {
  readonly key: string
  /** JSON with templates; '' for no claims beside those that every token has. */
  readonly template: string
  readonly ttlMs: number
  readonly clientId: string
}

export interface ConfigRow {
  /** Scheme, host and port alone; '' for the address of whichever server answers. */
  readonly issuer: string
}

export const configRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'oidc-config')

/** Where the one row of the configuration lies. */
export const CONFIG = 'config'

export const KEY_AREA = 'oidc-keys'
/** Keys by name. */
export const keyRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, KEY_AREA)

/** Roles by name. */
export const roleRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'oidc-roles')

/** Who signs with a key: a row at `<key>/<kind>/<name>` for each. */
const userRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'oidc-key-users')

export type UserKind = 'role' | 'client'

/** Notes that somebody signs with a key, or (undefined) with none any more. */
export function setUser(
  draft: Draft,
  namespaceId: string,
  user: { readonly kind: UserKind; readonly name: string },
  { before, after }: { readonly before: string | undefined; readonly after: string | undefined },
): void {
  if (before === after) return
  const rows = userRows(draft, namespaceId)
  if (before !== undefined) rows.delete(`${before}/${user.kind}/${user.name}`)
  if (after !== undefined) rows.put(`${after}/${user.kind}/${user.name}`, {})
}

/** Names of those of a kind who sign with a key, at most so many. */
export const usersOf = (
  draft: Draft,
  namespaceId: string,
  key: string,
  kind: UserKind,
  limit?: number,
): string[] => userRows(draft, namespaceId).keys(`${key}/${kind}/`, limit)

const NAME = /^\w([\w.-]*\w)?$/

/** Whether anything here can have a name. */
export const isName = (name: string): boolean =>
  name.length <= limits.oidcNameChars && NAME.test(name)

/** What is there in every namespace from its start, and has no row until somebody changes it. */
export const DEFAULT = 'default'

/** The names of rows, with those that need none. */
export const namesOf = (rows: Storage, builtIn: string): string[] =>
  [...new Set([...rows.keys(), builtIn])].sort()

export interface ClientRow {
  readonly clientId: string
  /** Of a confidential client; '' for a public one, which can keep none. */
  readonly clientSecret: string
  readonly isPublic: boolean
  readonly key: string
  readonly redirectUris: readonly string[]
  readonly assignments: readonly string[]
  readonly idTokenTtlMs: number
  readonly accessTokenTtlMs: number
  /** Which ways it may come by tokens. */
  readonly authorizationCode: boolean
  readonly clientCredentials: boolean
}

export interface ScopeRow {
  readonly template: string
  readonly description: string
}

export interface AssignmentRow {
  readonly entityIds: readonly string[]
  readonly groupIds: readonly string[]
}

export interface ProviderRow {
  /** Scheme, host and port alone; '' for the address of whichever server answers. */
  readonly issuer: string
  /** `*` for all. */
  readonly allowedClientIds: readonly string[]
  readonly scopesSupported: readonly string[]
}

/** What somebody let a client have: it is given once, for a code that lies nowhere. */
export interface CodeRow {
  readonly provider: string
  readonly clientId: string
  readonly entityId: string
  readonly redirectUri: string
  /** '' for none. */
  readonly nonce: string
  /** Without `openid`. */
  readonly scopes: readonly string[]
  /** When whoever said yes had logged in; undefined where nobody asked. */
  readonly authTimeMs?: number
  /** RFC 7636; undefined where the client does without. */
  readonly challenge?: { readonly text: string; readonly method: ChallengeMethod }
}

export type ChallengeMethod = 'plain' | 'S256'

/** Scopes by name. */
export const scopeRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'oidc-scopes')

/** Assignments by name. */
export const assignmentRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'oidc-assignments')

/** Providers by name. */
export const providerRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'oidc-providers')

export const CODE_AREA = 'oidc-codes'
/** What codes stand for, by their hash. */
export const codeRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, CODE_AREA)

/** Names of clients by their id. */
export const clientIdRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'oidc-client-ids')

/** Clients by name. */
export const clientRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'oidc-clients')
