/**
 * Signatures of what is posted: HMAC-SHA-256 (RFC 2104) over the time, a dot and the body.
 *
 * Owns the form of the header, and what a key must be. The time is signed too, so that a receiver
 * can refuse what is old; several keys give several signatures, so that keys can be changed.
 * Pure.
 */
import { createHmac } from 'node:crypto'

/** `v1=` and the sum in hex, for each key, between commas. */
export function signatureOf(keys: readonly string[], seconds: number, body: string): string {
  const sums = keys.map(key => {
    const sum = createHmac('sha256', key).update(`${seconds}.`).update(body).digest('hex')
    return `v1=${sum}`
  })
  return sums.join(',')
}

/** What is wrong with a key; never quotes it. */
export function keyProblem(key: string): string | undefined {
  return key.length < KEY_CHARS ? `must have at least ${KEY_CHARS} characters` : undefined
}

const KEY_CHARS = 16

/** The keys of a file, one a line; what is wrong with them is thrown. */
export function keysIn(text: string): readonly string[] {
  const keys = text.split('\n').map(line => line.trim())
  const found = keys.filter(key => key !== '')
  if (found.length === 0 || found.length > MOST_KEYS) {
    throw new Error(`must hold 1 to ${MOST_KEYS} keys`)
  }
  const problem = found.map(keyProblem).find(Boolean)
  if (problem !== undefined) throw new Error(problem)
  return found
}

const MOST_KEYS = 4
