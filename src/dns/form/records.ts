/**
 * The records that several forms are made of.
 *
 * Owns how addresses, targets and node meta look in the DNS. Values that have no wire form are
 * left out where the answer is encoded, not here.
 */
import { fromText } from '../../base/bytes.ts'
import type { NodeRow } from '../../store/tables/node.ts'
import {
  addressFromText,
  addressToHex,
  addressToText,
  ClassCode,
  type DnsRecord,
  type KnownType,
  TypeCode,
} from '../../wire/dns/mod.ts'
import type { DnsConfig } from '../config.ts'
import type { Zone } from '../name.ts'
import { type Ask, wants } from './declare.ts'

export type AddressRecord = Extract<DnsRecord, { readonly type: 'A' | 'AAAA' }>

const V4_SIZE_BYTES = 4

/** The name of a node: what NS and SRV records point to. */
export const nodeName = ({ config }: Pick<Ask, 'config'>, zone: Zone, node: string): string =>
  `${escaped(node)}.node.${config.datacenter}.${zone.text}`

/** The name of a service, as addresses lead back to it. */
export const serviceName = ({ config }: Pick<Ask, 'config'>, zone: Zone, service: string): string =>
  `${escaped(service)}.service.${config.datacenter}.${zone.text}`

/** A registered name as a part of a domain name: its dots divide labels, nothing escapes. */
const escaped = (name: string): string => name.replaceAll('\\', '\\\\')

/** The name that stands for an address; undefined where the text is no address. */
export function addressName({ config, zone }: Ask, address: string): string | undefined {
  const bytes = addressFromText(address)
  return bytes && `${addressToHex(bytes)}.addr.${config.datacenter}.${zone.text}`
}

/** The A or AAAA record of an address; undefined where the text is none. */
export function addressRecord(
  name: string,
  address: string,
  ttlS: number,
): AddressRecord | undefined {
  const bytes = addressFromText(address)
  if (bytes === undefined) return undefined
  const type = bytes.length === V4_SIZE_BYTES ? 'A' : 'AAAA'
  // In one form, so that equal addresses are seen to be equal.
  return { name, class: ClassCode.IN, ttlS, type, data: addressToText(bytes) }
}

/** A host name that was registered as an address, with its final dot; undefined for none. */
export function hostName(address: string): string | undefined {
  if (address === '' || addressFromText(address) !== undefined) return undefined
  return address.endsWith('.') ? address : `${address}.`
}

/** Whether the question takes a CNAME record: it asks for an address, or for that record. */
export const wantsHost = (ask: Ask): boolean =>
  wants(ask, 'A') || wants(ask, 'AAAA') || wants(ask, 'CNAME')

/** Whether a question about a service is given this record. Consul answers TXT like ANY. */
export const wantsOfService = (ask: Ask, type: KnownType): boolean =>
  wants(ask, type) || ask.typeCode === TypeCode.TXT

/** The record that says where else to look. */
export function cnameRecord(name: string, target: string, ttlS: number): DnsRecord {
  return { name, class: ClassCode.IN, ttlS, type: 'CNAME', data: target }
}

/**
 * A node's meta as TXT records: `key=value` with the quoting of RFC 1464, or the value alone for a
 * key `rfc1035-…`.
 */
export function metaRecords(name: string, { meta }: NodeRow, ttlS: number): DnsRecord[] {
  return Object.entries(meta).map(([key, value]) => {
    const text = /^rfc1035-/i.test(key) ? value : `${quotedKey(key)}=${quoted(value)}`
    return { name, class: ClassCode.IN, ttlS, type: 'TXT', data: [fromText(text)] }
  })
}

const quoted = (text: string): string => text.replaceAll('`', '``')
/** RFC 1464: grave accents quote themselves, equals signs, and the spaces around a key. */
const quotedKey = (key: string): string =>
  quoted(key)
    .replaceAll('=', '`=')
    .replace(/^ +| +$/g, spaces => '` '.repeat(spaces.length))

/** The SOA record of a domain. Its serial is the time, which nobody transfers by. */
export function soaRecord(zone: Zone, { dns }: DnsConfig, nowS: number): DnsRecord {
  const { soa } = dns
  return {
    name: zone.text,
    class: ClassCode.IN,
    ttlS: soa.minTtlSeconds,
    type: 'SOA',
    data: {
      mname: `ns.${zone.text}`,
      rname: `hostmaster.${zone.text}`,
      serial: nowS >>> 0,
      refreshS: soa.refreshSeconds,
      retryS: soa.retrySeconds,
      expireS: soa.expireSeconds,
      minimumS: soa.minTtlSeconds,
    },
  }
}
