/**
 * Policies that certificates name (RFC 5280, 4.2.1.4).
 *
 * Owns how a role says them: an identifier, or a JSON object with what is told to people. Pure.
 */
import type { Refusal } from '../../../../base/errors.ts'
import { isOid } from '../../../../x509/encode.ts'
import { bad } from '../refusals.ts'

export interface Policy {
  readonly oid: string
  /** Where the practice statement is. */
  readonly cps?: string
  /** A text for people. */
  readonly notice?: string
}

/** The policies of a role; what is no policy gives undefined in its place. */
export function policiesOf(texts: readonly string[]): (Policy | undefined)[] {
  return texts.filter(text => text !== '').map(policyOf)
}

function policyOf(text: string): Policy | undefined {
  const trimmed = text.trim()
  if (!trimmed.startsWith('{')) return isOid(trimmed) ? { oid: trimmed } : undefined
  let said: Readonly<Record<string, unknown>>
  try {
    said = JSON.parse(trimmed) as typeof said
  } catch {
    return undefined
  }
  const { oid, cps = '', notice = '' } = said
  if (typeof oid !== 'string' || typeof cps !== 'string' || typeof notice !== 'string') {
    return undefined
  }
  const key = oid.trim()
  if (!isOid(key) || !/^[\x20-\x7e]*$/.test(cps)) return undefined
  return { oid: key, ...(cps !== '' && { cps }), ...(notice !== '' && { notice }) }
}

/** What is wrong with the policies of a role; undefined for nothing. */
export function refusePolicies(texts: readonly string[]): Refusal | undefined {
  const policies = policiesOf(texts)
  const wrong = policies.indexOf(undefined)
  if (wrong !== -1) {
    const text = texts.filter(one => one !== '')[wrong]
    return bad(`${JSON.stringify(text)} could not be parsed as a policy identifier`)
  }
  const oids = policies.map(policy => policy!.oid)
  const twice = oids.find((oid, at) => oids.indexOf(oid) !== at)
  return twice === undefined ? undefined : bad(`the policy ${twice} is said twice`)
}
