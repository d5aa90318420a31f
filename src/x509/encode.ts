/**
 * What certificates and requests for them are made of: DER by node-forge, in the forms of RFC 5280.
 *
 * Owns the encoding alone. Nothing that came from others is read by it: that is der.ts's.
 */
import type { KeyObject } from 'node:crypto'
import { isIPv4, SocketAddress } from 'node:net'
import forge from 'node-forge'

/** Parts of a name, in order, by the short names of RFC 4514. */
export type DistinguishedName = readonly (readonly [NamePart, string])[]
type NamePart = keyof typeof NAME_OIDS

/** A PEM text of one block. */
export function pemOf(label: string, der: Buffer): string {
  const PEM_COLUMNS = /.{1,64}/g
  const lines = der.toString('base64').match(PEM_COLUMNS) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

export const { asn1 } = forge
export type Node = forge.asn1.Asn1

const NAME_OIDS = {
  CN: '2.5.4.3',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
} as const
/** Its types know only the older form. */
type FromDer = (
  bytes: forge.util.ByteStringBuffer,
  options: { strict: boolean; parseAllBytes: boolean; decodeBitStrings: boolean },
) => Node

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
/** The DER of a node. */
export const bytesOf = (node: Node): Buffer => Buffer.from(asn1.toDer(node).getBytes(), 'latin1')
/** Bit strings stay as they are: a public key may look like DER by chance. */
export const parsed = (der: Uint8Array): Node =>
  (asn1.fromDer as unknown as FromDer)(forge.util.createBuffer(binary(der)), {
    strict: true,
    parseAllBytes: true,
    decodeBitStrings: false,
  })

/** A node with a universal tag. */
export const universal = (type: forge.asn1.Type, value: string | Node[]): Node =>
  asn1.create(asn1.Class.UNIVERSAL, type, typeof value !== 'string', value)
/** A SEQUENCE. */
export const sequence = (nodes: Node[]): Node => universal(asn1.Type.SEQUENCE, nodes)
/** A SET; its members are in DER's order already. */
export const set = (nodes: Node[]): Node => universal(asn1.Type.SET, nodes)
/** An INTEGER, of bytes that are in its form already. */
export const integer = (bytes: Uint8Array): Node => universal(asn1.Type.INTEGER, binary(bytes))
/** An OCTET STRING. */
export const octets = (bytes: Uint8Array): Node => universal(asn1.Type.OCTETSTRING, binary(bytes))
/** A BIT STRING. */
export const bitString = (bytes: Uint8Array, unusedBits = 0): Node =>
  universal(asn1.Type.BITSTRING, String.fromCharCode(unusedBits) + binary(bytes))
/** An OBJECT IDENTIFIER, from its dotted text. */
export const oid = (name: string): Node => universal(asn1.Type.OID, asn1.oidToDer(name).getBytes())
/** TRUE. */
export const yes = (): Node => universal(asn1.Type.BOOLEAN, String.fromCharCode(0xff))
/** `[tag]` around nodes. */
export const explicit = (tag: number, nodes: Node[]): Node =>
  asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, true, nodes)
/** `[tag]` instead of the tag of a primitive. */
export const implicit = (tag: number, bytes: Uint8Array): Node =>
  asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, false, binary(bytes))

/** No leading zeros but the one that keeps a number positive. */
export function positive(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex(byte => byte !== 0)
  const rest = Buffer.from(start === -1 ? [0] : bytes.subarray(start))
  return (rest[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.of(0), rest]) : rest
}

/** A name as it stands in a certificate. */
export function nameOf(name: DistinguishedName): Node {
  const parts = name.map(([part, value]) => {
    const bytes = Buffer.from(value, 'utf8')
    const type = part === 'C' ? asn1.Type.PRINTABLESTRING : asn1.Type.UTF8
    const pair = sequence([oid(NAME_OIDS[part]), universal(type, binary(bytes))])
    return universal(asn1.Type.SET, [pair])
  })
  return sequence(parts)
}

/** Names beside the subject. */
export interface AlternativeNames {
  readonly dnsNames: readonly string[]
  readonly addresses: readonly string[]
  readonly uris: readonly string[]
}

/** The extension that holds them (RFC 5280, 4.2.1.6); none where there are no names. */
export function alternativeNames({ dnsNames, uris, addresses }: AlternativeNames): Node[] {
  const names = [
    ...dnsNames.map(name => implicit(2, Buffer.from(name, 'latin1'))),
    ...uris.map(uri => implicit(6, Buffer.from(uri, 'latin1'))),
    ...addresses.map(address => implicit(7, addressBytes(address))),
  ]
  return names.length === 0 ? [] : [extension('2.5.29.17', false, sequence(names))]
}

/** An extension of a certificate. */
export const extension = (name: string, critical: boolean, value: Node): Node =>
  sequence([oid(name), ...(critical ? [yes()] : []), octets(bytesOf(value))])

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const { address: plain } = new SocketAddress({ address, family: 'ipv6' })
  const [head = '', tail] = plain.split('::')
  const wordsOf = (text = ''): number[] => (text === '' ? [] : text.split(':').flatMap(readWord))
  const [before, after] = [wordsOf(head), wordsOf(tail)]
  const WORDS = 8
  const gap = Array.from({ length: WORDS - before.length - after.length }, () => 0)
  const words = tail === undefined ? before : [...before, ...gap, ...after]
  return Buffer.from(words.flatMap(word => [word >> 8, word & 0xff]))
}

/** One word of an IPv6 address, or the two that an IPv4 address at its end is. */
function readWord(text: string): number[] {
  if (!text.includes('.')) return [Number.parseInt(text, 16)]
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number)
  return [(a << 8) | b, (c << 8) | d]
}

/** How a key signs: the hash that node:crypto is to be told, and the algorithm's identifier. */
export function signatureOf(key: KeyObject): { hash: string | null; identifier: Node } {
  const none = universal(asn1.Type.NULL, '')
  switch (key.asymmetricKeyType) {
    case 'ec':
      return { hash: 'sha256', identifier: sequence([oid('1.2.840.10045.4.3.2')]) }
    case 'rsa':
      return { hash: 'sha256', identifier: sequence([oid('1.2.840.113549.1.1.11'), none]) }
    case 'ed25519':
      return { hash: null, identifier: sequence([oid('1.3.101.112')]) }
    default:
      throw new Error('a key that signs must be of EC, RSA or Ed25519')
  }
}
