/**
 * IP addresses as the DNS writes them: 4 or 16 bytes in A and AAAA records, hex digits in
 * `<hexip>.addr` names, digits from the end to the start under in-addr.arpa and ip6.arpa.
 *
 * Owns these conversions. Must never resolve a name nor accept what merely resembles an address
 * (octal, short forms, zones). Follows RFC 1035 §3.5, 3596 §2.5, 4291 §2.2 and 5952.
 */
import type { Bytes } from '../../base/bytes.ts'

const OCTET = /^(?:0|[1-9][0-9]{0,2})$/
const GROUP = /^[0-9a-f]{1,4}$/i
const HEX_ADDRESS = /^(?:[0-9a-f]{8}|[0-9a-f]{32})$/i
const NIBBLE = /^[0-9a-f]$/i
const V4_SIZE_BYTES = 4
const V6_SIZE_BYTES = 16
/** Eight groups of four digits, the last two of them as a dotted IPv4. */
const TEXT_MAX_CHARS = 45

/** An IPv4 (dotted) or IPv6 text to its 4 or 16 bytes; undefined when it is neither. */
export function addressFromText(text: string): Bytes | undefined {
  if (text.length > TEXT_MAX_CHARS) return undefined
  return text.includes(':') ? addressFromTextV6(text) : addressFromOctets(text.split('.'))
}

function addressFromOctets(octets: readonly string[]): Bytes | undefined {
  if (octets.length !== V4_SIZE_BYTES) return undefined
  let bytes = ''
  for (const octet of octets) {
    if (!OCTET.test(octet) || Number(octet) > 255) return undefined
    bytes += String.fromCharCode(Number(octet))
  }
  return bytes
}

function addressFromTextV6(text: string): Bytes | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const last = halves.length - 1
  const head = addressFromGroups(halves[0]!, last === 0)
  if (last === 0) return head?.length === V6_SIZE_BYTES ? head : undefined
  const tail = addressFromGroups(halves[1]!, true)
  if (head === undefined || tail === undefined) return undefined
  const missing = V6_SIZE_BYTES - head.length - tail.length
  // "::" stands for one or more groups of zeros.
  return missing >= 2 ? head + '\0'.repeat(missing) + tail : undefined
}

/** Groups between colons to bytes; the last one may be a dotted IPv4 where `isEnd`. */
function addressFromGroups(text: string, isEnd: boolean): Bytes | undefined {
  if (text === '') return ''
  const groups = text.split(':')
  let bytes = ''
  for (const [position, group] of groups.entries()) {
    if (isEnd && position === groups.length - 1 && group.includes('.')) {
      const v4 = addressFromOctets(group.split('.'))
      if (v4 === undefined) return undefined
      bytes += v4
    } else {
      if (!GROUP.test(group)) return undefined
      const value = Number.parseInt(group, 16)
      bytes += String.fromCharCode(value >> 8, value & 255)
    }
  }
  return bytes
}

/** 4 bytes to dotted text, 16 bytes to the canonical text of RFC 5952. */
export function addressToText(address: Bytes): string {
  if (address.length === V4_SIZE_BYTES) return Buffer.from(address, 'latin1').join('.')
  const groups: string[] = []
  for (let at = 0; at < V6_SIZE_BYTES; at += 2) {
    groups.push(((address.charCodeAt(at) << 8) | address.charCodeAt(at + 1)).toString(16))
  }
  if (address.startsWith(`${'\0'.repeat(10)}\xff\xff`)) {
    return `::ffff:${addressToText(address.slice(12))}`
  }
  const zeros = addressToTextZeros(groups)
  if (zeros.count < 2) return groups.join(':')
  const head = groups.slice(0, zeros.start).join(':')
  return `${head}::${groups.slice(zeros.start + zeros.count).join(':')}`
}

/** The first of the longest runs of zero groups. */
function addressToTextZeros(groups: readonly string[]): { start: number; count: number } {
  let best = { start: 0, count: 0 }
  let start = 0
  for (const [position, group] of groups.entries()) {
    if (group !== '0') start = position + 1
    else if (position + 1 - start > best.count) best = { start, count: position + 1 - start }
  }
  return best
}

/** The hex digits of an address, as in `7f000001.addr.dc1.consul`: 8 for IPv4, 32 for IPv6. */
export function addressToHex(address: Bytes): string {
  return Buffer.from(address, 'latin1').toString('hex')
}

/** 8 or 32 hex digits of either case to an address; undefined for anything else. */
export function addressFromHex(digits: string): Bytes | undefined {
  return HEX_ADDRESS.test(digits) ? Buffer.from(digits, 'hex').toString('latin1') : undefined
}

/**
 * The labels of a reverse name (`1 0 0 127 in-addr arpa`, or 32 nibbles and `ip6 arpa`, letters
 * of either case) to the whole address it stands for; undefined for any other name, also for one
 * that names only a network.
 */
export function addressFromReverse(labels: readonly Bytes[]): Bytes | undefined {
  const zone = labels.slice(-2).join('.').toLowerCase()
  const digits = labels.slice(0, -2).reverse()
  if (zone === 'in-addr.arpa') return addressFromOctets(digits)
  if (zone !== 'ip6.arpa' || digits.length !== 2 * V6_SIZE_BYTES) return undefined
  return digits.every(digit => NIBBLE.test(digit)) ? addressFromHex(digits.join('')) : undefined
}
