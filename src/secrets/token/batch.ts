/**
 * Batch tokens: their secret is the sealed token itself, and nothing of them is kept.
 *
 * Owns that text. It stands for its namespace, so that it means nothing in another. Pure.
 */
import type { Barrier } from '../barrier/keyring.ts'
import type { Draft } from '../storage.ts'
import { BATCH_PREFIX, namespaceIdIn, suffixOf, type TokenRow, tokenAt } from './token.ts'

const PLACE = 'batch token of '

/** The secret of a batch token. */
export function newBatchSecret({ barrier, random }: Draft, row: TokenRow): string {
  const bytes = Buffer.from(JSON.stringify(row))
  const sealed = barrier.seal(PLACE + row.namespaceId, bytes, random)
  return BATCH_PREFIX + sealed.toString('base64url') + suffixOf(row.namespaceId)
}

export const isBatchSecret = (secret: string): boolean => secret.startsWith(BATCH_PREFIX)

/** The token that a secret is; undefined where it is over: it lives no longer than its maker. */
export function batchToken(draft: Draft, secret: string): TokenRow | undefined {
  const row = openBatchSecret(draft.barrier, secret)
  if (row === undefined || row.expiresAtMs <= draft.now) return undefined
  return row.parent === undefined || tokenAt(draft, row.parent) !== undefined ? row : undefined
}

/** The token that a secret is, over or not; undefined where it is none of ours. */
function openBatchSecret(barrier: Barrier, secret: string): TokenRow | undefined {
  const [text = ''] = secret.slice(BATCH_PREFIX.length).split('.')
  const bytes = barrier.open(PLACE + namespaceIdIn(secret), Buffer.from(text, 'base64url'))
  return bytes && (JSON.parse(bytes.toString('utf8')) as TokenRow)
}
