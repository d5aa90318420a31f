/**
 * What somebody may write about an identity: names and metadata within their bounds.
 *
 * Owns those bounds' refusals. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Texts } from './rows.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

/** The refusal of a name; undefined where it is fit. */
export function refuseName(what: string, name: string): Refusal | undefined {
  if (name.length > limits.entityNameChars) {
    return bad(`${what} is longer than ${limits.entityNameChars} characters`)
  }
  return /\p{Cc}/u.test(name) ? bad(`${what} has control characters`) : undefined
}

/** The refusal of metadata; undefined where it is fit. */
export function refuseMetadata(what: string, metadata: Texts): Refusal | undefined {
  const pairs = Object.entries(metadata)
  if (pairs.length > limits.metaPairs) {
    return bad(`${what} cannot contain more than ${limits.metaPairs} key/value pairs`)
  }
  if (pairs.some(([key]) => key === '' || key.length > limits.metaKeyChars)) {
    return bad(`${what} key must have 1 to ${limits.metaKeyChars} characters`)
  }
  if (pairs.some(([, value]) => value.length > limits.metaValueChars)) {
    return bad(`${what} value is longer than ${limits.metaValueChars} characters`)
  }
  return pairs.some(([key, value]) => /\p{Cc}/u.test(key + value))
    ? bad(`${what} has control characters`)
    : undefined
}

/** Policies in the form of rows; what everybody knows as root's is refused in every spelling. */
export function checkedPolicies(names: readonly string[]): readonly string[] | Refusal {
  const policies = names.map(name => name.trim().toLowerCase()).filter(name => name !== '')
  const isRoot = (name: string): boolean =>
    name
      .normalize('NFKC')
      .replaceAll(/[\s\p{C}]/gu, '')
      .toLowerCase() === 'root'
  return policies.some(isRoot) ? bad('policies cannot contain root') : [...new Set(policies)].sort()
}
