/**
 * The messages of the secrets' services: what proto/gatehouse/v1/secrets.proto says, as objects.
 *
 * Owns their types and how an answer of the room becomes one.
 */
import type { Auth } from '../../secrets/declare.ts'
import type { Wrapped } from '../../secrets/envelope.ts'
import { dataBytes, type Told } from './door.ts'

export interface SecretLease {
  readonly id: string
  readonly renewable: boolean
  readonly durationSeconds: number
}

export interface SecretAuth {
  readonly clientToken: string
  readonly accessor: string
  readonly policies: readonly string[]
  readonly tokenPolicies: readonly string[]
  readonly identityPolicies: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
  readonly durationSeconds: number
  readonly renewable: boolean
  readonly entityId: string
  readonly tokenType: string
  readonly orphan: boolean
  readonly numUses: number
}

export interface SecretWrap {
  readonly token: string
  readonly accessor: string
  readonly ttlSeconds: number
  readonly creationTime: string
  readonly creationPath: string
  readonly wrappedAccessor: string
}

export interface SecretAnswer {
  readonly requestId: string
  readonly data: Buffer
  readonly lease?: SecretLease
  readonly auth?: SecretAuth
  readonly wrap?: SecretWrap
  readonly warnings: readonly string[]
  readonly mountType: string
  readonly body: Buffer
  readonly contentType: string
}

/** An answer of any path. */
export function answerMessage(told: Told): SecretAnswer {
  const { id, answer, wrapped, mountType, body } = told
  const lease = wrapped === undefined ? leaseMessage(told) : undefined
  return {
    requestId: id,
    data: wrapped === undefined ? dataBytes(answer) : NO_BYTES,
    ...(lease !== undefined && { lease }),
    ...(answer.auth !== undefined && wrapped === undefined && { auth: authMessage(answer.auth) }),
    ...(wrapped !== undefined && { wrap: wrapMessage(wrapped) }),
    warnings: answer.warnings ?? [],
    mountType,
    body: body?.bytes ?? NO_BYTES,
    contentType: body?.type ?? '',
  }
}

const NO_BYTES = Buffer.alloc(0)

/** The lease of an answer; undefined where nothing ends. */
export function leaseMessage({ answer: { lease } }: Told): SecretLease | undefined {
  if (lease === undefined || (lease.id === '' && lease.durationS === 0)) return undefined
  return { id: lease.id, renewable: lease.renewable, durationSeconds: lease.durationS }
}

/** A token that was given. */
export const authMessage = (auth: Auth): SecretAuth => ({
  clientToken: auth.client_token,
  accessor: auth.accessor,
  policies: auth.policies ?? [],
  tokenPolicies: auth.token_policies ?? [],
  identityPolicies: auth.identity_policies ?? [],
  metadata: auth.metadata ?? {},
  durationSeconds: auth.lease_duration,
  renewable: auth.renewable,
  entityId: auth.entity_id,
  tokenType: auth.token_type,
  orphan: auth.orphan,
  numUses: auth.num_uses,
})

/** A token that keeps an answer for one reader. */
export const wrapMessage = (wrapped: Wrapped): SecretWrap => ({
  token: wrapped.token,
  accessor: wrapped.accessor,
  ttlSeconds: wrapped.ttl,
  creationTime: wrapped.creation_time,
  creationPath: wrapped.creation_path,
  wrappedAccessor: wrapped.wrapped_accessor ?? '',
})
