/**
 * Nonces of ACME (RFC 8555, 6.5): each is good once, for a while, on every server.
 *
 * Owns their form: the time, what was drawn, and a code over both, so that none is kept before it
 * is used. One that was used is a row until it would be over anyway. Pure.
 */
import { createHmac } from 'node:crypto'
import { limits } from '../../../../base/limits.ts'
import { isSameSecret } from '../../../../base/same-secret.ts'
import type { RowEnd } from '../../../deadline.ts'
import type { Call } from '../../../declare.ts'

/** What ends rows of ACME that are over: they go. */
export const ACME_KIND = 'acme'

export const acmeEnd: RowEnd = {
  kind: ACME_KIND,
  end(draft, place) {
    draft.area(place.namespaceId, place.area).delete(place.path)
  },
}

const KEY = 'acme/nonce-key'
const TIME_SIZE_BYTES = 6
const DRAWN_SIZE_BYTES = 10
const CODE_SIZE_BYTES = 16
const BODY_SIZE_BYTES = TIME_SIZE_BYTES + DRAWN_SIZE_BYTES

type Ground = Pick<Call, 'storage' | 'random' | 'now'>

function keyOf({ storage, random }: Ground): Buffer {
  const kept = storage.kept<{ key: string }>(KEY)
  if (kept !== undefined) return Buffer.from(kept.key, 'base64')
  const key = random.bytes(32)
  storage.put(KEY, { key: key.toString('base64') })
  return key
}

const codeOf = (key: Buffer, body: Buffer): Buffer =>
  createHmac('sha256', key).update(body).digest().subarray(0, CODE_SIZE_BYTES)

/** A new nonce. */
export function newNonce(ground: Ground): string {
  const body = Buffer.alloc(BODY_SIZE_BYTES)
  body.writeUIntBE(ground.now, 0, TIME_SIZE_BYTES)
  ground.random.bytes(DRAWN_SIZE_BYTES).copy(body, TIME_SIZE_BYTES)
  return Buffer.concat([body, codeOf(keyOf(ground), body)]).toString('base64url')
}

/** Uses a nonce up. False where it is none of ours, too old, or was used. */
export function useNonce(ground: Ground, nonce: string): boolean {
  const { storage, now } = ground
  const bytes = Buffer.from(nonce, 'base64url')
  if (bytes.length !== BODY_SIZE_BYTES + CODE_SIZE_BYTES) return false
  if (bytes.toString('base64url') !== nonce) return false
  const body = bytes.subarray(0, BODY_SIZE_BYTES)
  const code = bytes.subarray(BODY_SIZE_BYTES).toString('hex')
  if (!isSameSecret(code, codeOf(keyOf(ground), body).toString('hex'))) return false
  const dueMs = body.readUIntBE(0, TIME_SIZE_BYTES) + limits.acmeNonceMs
  const used = `acme/used/${nonce}`
  if (dueMs <= now || storage.has(used)) return false
  storage.put(used, {}, { kind: ACME_KIND, dueMs })
  return true
}
