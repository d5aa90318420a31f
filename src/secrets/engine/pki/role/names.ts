/**
 * Names that certificates carry: what is one of a host, of an address, and what a pattern means.
 *
 * Owns the forms alone; what a role gives is decided in check.ts. Pure.
 */
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { parseNetwork, plainAddress, plainRange } from '../../../../base/networks.ts'
import { isOid } from '../../../../x509/encode.ts'
import { addressBytes } from '../../../../x509/general-name.ts'

/** RFC 1035, 2.3.4: octets of a label, and characters of a name without its last dot. */
const LABEL_CHARS = 63
const NAME_CHARS = 253
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is what is meant
const ASCII = /^[\x00-\x7f]*$/

/**
 * A name in the letters that certificates take: what has others is converted (UTS 46). Undefined
 * where it cannot be, is empty or too long.
 */
export function toAscii(name: string): string | undefined {
  const ascii = ASCII.test(name) ? name : converted(name)
  if (ascii === undefined || !areLabels(ascii)) return undefined
  // What says that it is converted text must be.
  const isEncoded = /(^|\.)xn--/i.test(ascii)
  return isEncoded && domainToASCII(ascii) === '' ? undefined : ascii
}

/** Whether no part between dots is empty or too long, nor the whole; a dot may stand at its end. */
export function areLabels(name: string): boolean {
  const whole = name.endsWith('.') ? name.slice(0, -1) : name
  if (whole === '' || whole.length > NAME_CHARS) return false
  return whole.split('.').every(label => label !== '' && label.length <= LABEL_CHARS)
}

/** The conversion takes other signs for a dot, and what stands behind it for a path. */
function converted(name: string): string | undefined {
  const ascii = /[\s/\\?#@:%<>[\]^|]/u.test(name) ? '' : domainToASCII(name)
  return ascii === '' ? undefined : ascii
}

/** Whether an ASCII name is one of a host; `*.` may stand before it, and a dot behind. */
export function isHostname(name: string): boolean {
  const rest = name.startsWith('*.') ? name.slice(2) : name
  const whole = rest.endsWith('.') ? rest.slice(0, -1) : rest
  return whole.length <= NAME_CHARS && whole.split('.').every(label => LABEL.test(label))
}

/** Whether a label with one `*` is one of RFC 6125, 6.4.3: alone, or before, in or behind text. */
export function isWildcardLabel(label: string): boolean {
  const [before, after, ...more] = label.split('*')
  if (after === undefined || more.length > 0) return false
  return [before!, after].every(part => part === '' || LABEL.test(part))
}

/**
 * Whether a text is of a pattern, in which `*` stands for any characters. Linear in the text for
 * each `*`; letters count as they are written.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  const parts = pattern.split('*')
  if (parts.length === 1) return pattern === text
  const first = parts[0]!
  const last = parts.at(-1)!
  if (text.length < first.length + last.length) return false
  if (!text.startsWith(first) || !text.endsWith(last)) return false
  const end = text.length - last.length
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found === -1 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

/** An IP address in its one spelling; undefined where a text is none, or is one of a zone. */
export function addressOf(text: string): string | undefined {
  return isIP(text) === 0 || text.includes('%') ? undefined : plainAddress(text)
}

/** A range as Go writes it: the first address of it, and its bits. */
export function cidrText(text: string): string {
  const [address, bits] = plainRange(text)
  const isV4 = isIP(address) === 4
  const value = addressValue(address)
  const host = BigInt((isV4 ? 32 : 128) - bits)
  return `${addressText((value >> host) << host, isV4)}/${bits}`
}

const addressValue = (address: string): bigint =>
  BigInt(`0x${addressBytes(address).toString('hex')}`)

function addressText(value: bigint, isV4: boolean): string {
  if (isV4) return [24n, 16n, 8n, 0n].map(shift => (value >> shift) & 0xffn).join('.')
  const groups = Array.from({ length: 8 }, (_, at) =>
    ((value >> BigInt(112 - at * 16)) & 0xffffn).toString(16),
  )
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

/** Whether a range is one that `Networks` takes. */
export const isRange = (text: string): boolean =>
  text.includes('/') && parseNetwork(text) !== undefined

/** A name of another kind: an identifier, and a text or pattern. */
export interface OtherText {
  readonly oid: string
  readonly value: string
}

/** Reads `<oid>;UTF8:<value>`; a text says what is wrong. */
export function parseOtherName(text: string): OtherText | string {
  const shown = JSON.stringify(text)
  const semicolon = text.indexOf(';')
  if (semicolon === -1) return `expected a semicolon in other SAN ${shown}`
  const colon = text.indexOf(':', semicolon)
  if (colon === -1) return `expected a colon in other SAN ${shown}`
  if (!/^utf-?8$/i.test(text.slice(semicolon + 1, colon))) {
    return `only utf8 other SANs are supported; found non-supported type in other SAN ${shown}`
  }
  const oid = text.slice(0, semicolon)
  if (!isOid(oid)) return `not an object identifier in other SAN ${shown}`
  return { oid, value: text.slice(colon + 1) }
}

/** Whether a certificate can carry a text as a name: ASCII that is printed, without spaces. */
export const isPlain = (text: string): boolean => /^[\x21-\x7e]+$/.test(text)

/**
 * Whether a text is a URI that names one thing (RFC 3986): with a scheme, and without segments that
 * mean another one than they say.
 */
export const isPlainUri = (uri: string): boolean =>
  isPlain(uri) && /^[a-z][a-z0-9+.-]*:/i.test(uri) && URL.canParse(uri) && !RELATIVE.test(uri)

const RELATIVE = /(^|[/\\])(\.|%2e){1,2}([/\\?#]|$)/i
