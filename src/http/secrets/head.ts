/**
 * What everybody who answers for secrets over HTTP says before a body: verbs, headers, faults.
 *
 * Owns these words alone, so that an agent that only hands requests on needs nothing else.
 */

/** Verbs of Vault's own, which HTTP does not know. */
export const VAULT_VERBS = ['LIST', 'SCAN'] as const

export const JSON_TYPE = 'application/json'

/** Of every answer: names and values by turns. */
export const EVERY_HEAD: readonly string[] = Object.entries({
  'Cache-Control': 'no-store',
  'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
  'X-Content-Type-Options': 'nosniff',
}).flat()
