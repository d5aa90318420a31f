/**
 * Names that certificates are asked for, as requests write them.
 *
 * Owns what is a host name and what an e-mail address, and how other names are written. Whether a
 * name may be had is for whoever issues.
 */
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { Refusal } from '../../../base/errors.ts'
import { isOid } from '../../../x509/encode.ts'
import type { OtherName } from '../../../x509/general-name.ts'
import { bad } from './refusals.ts'

const LABEL = '([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const HOSTNAME = new RegExp(`^(\\*\\.)?(${LABEL}\\.)*${LABEL}\\.?$`)
const LABEL_CHARS = 63
const NAME_CHARS = 253

/** A name of a host in ASCII, a wildcard before it or not; undefined for what is none. */
export function hostnameOf(text: string): string | undefined {
  const isWild = text.startsWith('*.')
  const bare = isWild ? text.slice(2) : text
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  const ascii = /^[\x00-\x7f]*$/.test(bare) ? bare : domainToASCII(bare)
  const name = isWild ? `*.${ascii}` : ascii
  const isShort = name.length <= NAME_CHARS && name.split('.').every(l => l.length <= LABEL_CHARS)
  return isShort && HOSTNAME.test(name) ? name : undefined
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
    const name = otherNameOf(text)
    if (name instanceof Refusal) return bad(`could not parse requested other SAN: ${name.text}`)
    names.push(name)
  }
  return names
}

function otherNameOf(text: string): OtherName | Refusal {
  const quoted = JSON.stringify(text)
  const semicolon = text.indexOf(';')
  if (semicolon === -1) return bad(`expected a semicolon in other SAN ${quoted}`)
  const [oid, rest] = [text.slice(0, semicolon), text.slice(semicolon + 1)]
  const colon = rest.indexOf(':')
  if (colon === -1) return bad(`expected a colon in other SAN ${quoted}`)
  if (!/^utf-?8$/i.test(rest.slice(0, colon))) {
    return bad(
      `only utf8 other SANs are supported; found non-supported type in other SAN ${quoted}`,
    )
  }
  if (!isOid(oid)) return bad(`${JSON.stringify(oid)} is no object identifier`)
  return { oid, value: rest.slice(colon + 1) }
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
