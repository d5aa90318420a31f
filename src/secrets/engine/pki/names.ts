/**
 * Names that certificates of authorities are asked for, as requests write them.
 *
 * Owns how they are told apart; what a name of a host is, is role/names.ts's.
 */
import { isIP } from 'node:net'
import type { Refusal } from '../../../base/errors.ts'
import type { OtherName } from '../../../x509/general-name.ts'
import { bad } from './refusals.ts'
import { isHostname, parseOtherName, toAscii } from './role/names.ts'

/** A name of a host in ASCII, a wildcard before it or not; undefined for what is none. */
export function hostnameOf(text: string): string | undefined {
  const ascii = toAscii(text)
  return ascii !== undefined && isHostname(ascii) ? ascii : undefined
}

/** Each text once, where it stood first. */
export const dedup = (texts: readonly string[]): string[] => [...new Set(texts)]

/** A text with commas, cut. */
export const splitNames = (text: string): string[] =>
  dedup(
    text
      .split(',')
      .map(part => part.trim())
      .filter(part => part !== ''),
  )

/** Names by what they are: with an at sign they are addresses; what is neither is left out. */
export function sortNames(texts: readonly string[]): { dnsNames: string[]; emails: string[] } {
  const dnsNames: string[] = []
  const emails: string[] = []
  for (const text of texts) {
    if (text.includes('@')) emails.push(text)
    else {
      const name = hostnameOf(text)
      if (name !== undefined) dnsNames.push(name)
    }
  }
  return { dnsNames: dedup(dnsNames), emails: dedup(emails) }
}

/** Other names, each `<oid>;UTF8:<value>`. */
export function otherNamesOf(texts: readonly string[]): OtherName[] | Refusal {
  const names: OtherName[] = []
  for (const text of texts) {
    const name = parseOtherName(text)
    if (typeof name === 'string') return bad(`could not parse requested other SAN: ${name}`)
    names.push(name)
  }
  return names
}

/** What is wrong with addresses that are asked for; undefined for nothing. */
export function refuseAddresses(texts: readonly string[]): Refusal | undefined {
  const wrong = texts.find(text => isIP(text) === 0 || text.includes('%'))
  return wrong === undefined
    ? undefined
    : bad(`the value ${JSON.stringify(wrong)} is not a valid IP address`)
}

/** What is wrong with URIs that are asked for; undefined for nothing. */
export function refuseUris(texts: readonly string[]): Refusal | undefined {
  const wrong = texts.find(text => !/^[\x21-\x7e]+$/.test(text) || !URL.canParse(text))
  return wrong === undefined
    ? undefined
    : bad(`the provided URI Subject Alternative Name ${JSON.stringify(wrong)} is not a valid URI`)
}
