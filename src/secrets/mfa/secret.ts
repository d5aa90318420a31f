/**
 * Secrets of entities: what a phone and this store both know.
 *
 * Owns the rows, how they are found from a method that goes, and what is told of them: never the
 * key, but once as it is made. Pure.
 */
import { type Bytes, fromText, toText } from '../../base/bytes.ts'
import { limits } from '../../base/limits.ts'
import type { Draft, Storage } from '../storage.ts'
import type { MethodRow, TotpConfig } from './method.ts'
import type { TotpSecret } from './totp.ts'

/** What lies of a secret; what it was made with stays, whatever becomes of its method. */
interface SecretRow extends TotpSecret {
  readonly methodName: string
}

const rowsOf = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'mfa-secrets')

/** What was tried for a secret lies where the secret does, in an area of its own. */
export const attemptRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'mfa-attempts')

/** What the secrets of a method are found by. */
const folderOf = (methodId: string): Bytes => fromText(`of-mfa-method/${methodId}/`)

/** Where the secret of an entity lies. */
export const placeOf = (entityId: string, methodId: string): string => `${entityId}/${methodId}`

/** An entity in its namespace. */
export interface EntityAt {
  readonly namespaceId: string
  readonly entityId: string
}

/** The secret that an entity has for a method. */
export const secretOf = (
  draft: Draft,
  { namespaceId, entityId }: EntityAt,
  methodId: string,
): SecretRow | undefined => rowsOf(draft, namespaceId).kept<SecretRow>(placeOf(entityId, methodId))

/** Draws a secret for an entity. */
export function newSecret(
  draft: Draft,
  at: EntityAt,
  { id, name, config }: MethodRow & { readonly config: TotpConfig },
): TotpSecret {
  const { algorithm, digits, issuer, keySizeBytes, periodS, skew } = config
  const key = draft.random.bytes(keySizeBytes)
  const secret: SecretRow = {
    ...{ algorithm, digits, issuer, periodS, skew, methodName: name },
    keyBase64: key.toString('base64'),
  }
  key.fill(0)
  putSecret(draft, at, id, secret)
  return secret
}

function putSecret(draft: Draft, at: EntityAt, methodId: string, secret: SecretRow): void {
  const place = placeOf(at.entityId, methodId)
  rowsOf(draft, at.namespaceId).put(place, secret, { folders: [folderOf(methodId)] })
}

/** Takes the secret for a method away from an entity, with what was tried for it. */
export function deleteSecret(draft: Draft, { namespaceId, entityId }: EntityAt, id: string): void {
  const place = placeOf(entityId, id)
  rowsOf(draft, namespaceId).delete(place)
  attemptRows(draft, namespaceId).delete(place)
}

/** The ids of the methods that an entity has secrets for. */
export const methodsWithSecret = (draft: Draft, { namespaceId, entityId }: EntityAt): string[] =>
  rowsOf(draft, namespaceId).keys(`${entityId}/`)

/** Ends all secrets of an entity. */
export const forgetSecrets = (draft: Draft, { namespaceId, entityId }: EntityAt): void =>
  rowsOf(draft, namespaceId).deleteAll(`${entityId}/`)

/** Gives an entity the secrets of another, as far as they are used; those that it has stay. */
export function takeSecrets(draft: Draft, from: EntityAt, to: EntityAt): void {
  for (const methodId of methodsWithSecret(draft, from)) {
    if (secretOf(draft, to, methodId) !== undefined) continue
    putSecret(draft, to, methodId, secretOf(draft, from, methodId)!)
    const attempts = attemptRows(draft, from.namespaceId)
    const place = placeOf(from.entityId, methodId)
    const tried = attempts.get<object>(place)
    if (tried === undefined) continue
    const at = placeOf(to.entityId, methodId)
    attemptRows(draft, to.namespaceId).put(at, tried, attempts.header(place))
  }
}

/** A step of ending all secrets for a method that went; whether none is left. */
export function forgetMethod(draft: Draft, methodId: string): boolean {
  const keys = draft.inFolder(folderOf(methodId), limits.removedRows + 1)
  for (const key of keys.slice(0, limits.removedRows)) {
    const [namespaceId = '', , ...path] = toText(key).split('/')
    rowsOf(draft, namespaceId).delete(path.join('/'))
  }
  return keys.length <= limits.removedRows
}

/** What an entity shows of its secrets, by the id of the method. */
export function showSecrets(draft: Draft, at: EntityAt): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    methodsWithSecret(draft, at).map(id => {
      const { algorithm, digits, issuer, methodName, periodS, skew } = secretOf(draft, at, id)!
      const shown = { type: 'totp', method_name: methodName, issuer, algorithm, digits }
      return [id, { ...shown, period: periodS, skew }]
    }),
  )
}
