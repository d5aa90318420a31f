/**
 * General names (RFC 5280, 4.2.1.6): what a certificate is for beside its subject.
 *
 * Owns their kinds, written and read. Kinds that nobody here understands are kept as they came.
 */
import { isIP, isIPv4, SocketAddress } from 'node:net'
import {
  childOf,
  contextTag,
  counted,
  DerError,
  type DerNode,
  expected,
  oidOf,
  Tag,
} from './der.ts'
import {
  ascii,
  asn1,
  ContentError,
  element,
  implicit,
  joined,
  type Node,
  Outer,
  oidDer,
  universal,
} from './encode.ts'
import { readName, textOf } from './name.ts'

/** Names by their kind; the order within a kind is kept. */
export interface GeneralNames {
  /** ASCII, as they were written. */
  readonly dnsNames: readonly string[]
  readonly emails: readonly string[]
  /** IPv4 and IPv6, in node's spelling. */
  readonly addresses: readonly string[]
  readonly uris: readonly string[]
  /** Names of kinds that an identifier tells, whose values are UTF-8 strings. */
  readonly others: readonly OtherName[]
  /** All other kinds, each a whole element in DER. */
  readonly rest: readonly Buffer[]
}

export interface OtherName {
  readonly oid: string
  readonly value: string
}

/** No names at all. */
export const noNames: GeneralNames = {
  dnsNames: [],
  emails: [],
  addresses: [],
  uris: [],
  others: [],
  rest: [],
}

const Kind = {
  other: 0,
  email: 1,
  dns: 2,
  x400: 3,
  directory: 4,
  edi: 5,
  uri: 6,
  address: 7,
} as const
const REGISTERED = 8

/**
 * The names, encoded, in Go's order: DNS, email, address, URI, and the others behind. Throws
 * ContentError.
 */
export function generalNamesDer(names: Partial<GeneralNames>): Buffer {
  const { dnsNames = [], emails = [], addresses = [], uris = [], others = [], rest = [] } = names
  return joined(Tag.sequence, [
    ...dnsNames.map(name => plain(Kind.dns, ascii(name))),
    ...emails.map(email => plain(Kind.email, ascii(email))),
    ...addresses.map(address => plain(Kind.address, addressBytes(address))),
    ...uris.map(uri => plain(Kind.uri, ascii(uri))),
    ...others.map(otherDer),
    ...rest,
  ])
}

const plain = (kind: number, content: Buffer): Buffer => element(contextTag(kind, false), content)

function otherDer({ oid, value }: OtherName): Buffer {
  if (!value.isWellFormed()) throw new ContentError('a name that is not whole Unicode')
  const text = element(Tag.utf8String, Buffer.from(value, 'utf8'))
  return joined(contextTag(Kind.other, true), [oidDer(oid), joined(Outer.context0, [text])])
}

/** Reads a sequence of general names. Throws DerError. */
export const readGeneralNames = (list: DerNode): GeneralNames =>
  namesAmong(expected(list, Tag.sequence).children)

/** Sorts general names by their kind. Throws DerError. */
export function namesAmong(nodes: readonly DerNode[]): GeneralNames {
  const dnsNames: string[] = []
  const emails: string[] = []
  const addresses: string[] = []
  const uris: string[] = []
  const others: OtherName[] = []
  const rest: Buffer[] = []
  for (const node of nodes) {
    const { tag, content } = node
    if (tag === contextTag(Kind.dns, false)) dnsNames.push(asciiOf(content))
    else if (tag === contextTag(Kind.email, false)) emails.push(asciiOf(content))
    else if (tag === contextTag(Kind.uri, false)) uris.push(asciiOf(content))
    else if (tag === contextTag(Kind.address, false)) addresses.push(addressOf(content))
    else if (tag === contextTag(Kind.other, true)) {
      const other = otherOf(node)
      if (other === undefined) rest.push(node.whole)
      else others.push(other)
    } else if (tag === contextTag(Kind.directory, true)) {
      readName(childOf(counted(node, 1), 0, Tag.sequence))
      rest.push(node.whole)
    } else if (restTags.includes(tag)) rest.push(node.whole)
    else throw new DerError('a kind of name that is not known')
  }
  return { dnsNames, emails, addresses, uris, others, rest }
}

const restTags: readonly number[] = [
  contextTag(Kind.x400, true),
  contextTag(Kind.directory, true),
  contextTag(Kind.edi, true),
  contextTag(REGISTERED, false),
]

/** Undefined where its value is no UTF-8 string. */
function otherOf(node: DerNode): OtherName | undefined {
  const kind = oidOf(childOf(counted(node, 2), 0, Tag.oid))
  const value = childOf(counted(childOf(node, 1, contextTag(0, true)), 1), 0, undefined)
  return value.tag === Tag.utf8String ? { oid: kind, value: textOf(value) } : undefined
}

/** ASCII, without the control characters that OpenSSL would show as something else. */
export function asciiOf(content: Buffer): string {
  const text = content.toString('latin1')
  if (!/^[\x20-\x7e]*$/.test(text)) throw new DerError('a name with other characters')
  return text
}

const IPV4_BYTES = 4
const IPV6_BYTES = 16

/** Bytes of an IP address. Throws ContentError where the text is none. */
/** An address as a certificate has it: 4 or 16 bytes. Throws ContentError where it is none. */
export function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  if (isIP(address) !== 6 || address.includes('%')) throw new ContentError('no IP address')
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

/** An address as node writes it: IPv6 in its shortest form. Throws DerError. */
export function addressOf(content: Buffer): string {
  if (content.length === IPV4_BYTES) return content.join('.')
  if (content.length !== IPV6_BYTES) throw new DerError('an address of another length')
  const words = Array.from({ length: 8 }, (_, at) => content.readUInt16BE(at * 2).toString(16))
  return new URL(`http://[${words.join(':')}]`).hostname.slice(1, -1)
}

/** What an authority may sign for; a kind that has no names here is not bounded. */
export interface NameSubtrees {
  readonly dnsNames?: readonly string[] | undefined
  readonly emails?: readonly string[] | undefined
  /** Ranges: `10.0.0.0/8`, `fd00::/8`. */
  readonly addresses?: readonly string[] | undefined
  readonly uris?: readonly string[] | undefined
}

/** Name constraints (RFC 5280, 4.2.1.10). */
export interface NameConstraints {
  readonly permitted: NameSubtrees
  readonly excluded: NameSubtrees
}

/** The subtrees of one side, each a sequence of its own. Throws ContentError. */
export function subtreeNodes(trees: NameSubtrees): Node[] {
  const { dnsNames = [], addresses = [], emails = [], uris = [] } = trees
  return [
    ...dnsNames.map(name => implicit(Kind.dns, ascii(name))),
    ...addresses.map(range => implicit(Kind.address, rangeBytes(range))),
    ...emails.map(email => implicit(Kind.email, ascii(email))),
    ...uris.map(uri => implicit(Kind.uri, ascii(uri))),
  ].map(name => universal(asn1.Type.SEQUENCE, [name]))
}

/** An address and its mask, as many bytes again. */
function rangeBytes(range: string): Buffer {
  const [address = '', bits = '', ...more] = range.split('/')
  const base = addressBytes(address)
  const prefix = Number(bits)
  if (more.length > 0 || !/^\d{1,3}$/.test(bits) || prefix > base.length * 8) {
    throw new ContentError('no range of IP addresses')
  }
  const mask = base.map((_, at) => (0xff00 >> Math.max(0, Math.min(8, prefix - at * 8))) & 0xff)
  return Buffer.concat([base.map((byte, at) => byte & (mask[at] ?? 0)), mask])
}

/** Reads the subtrees of one side. Throws DerError for kinds that are not known. */
export function readSubtrees(side: DerNode): Required<NameSubtrees> & { rest: readonly Buffer[] } {
  const dnsNames: string[] = []
  const emails: string[] = []
  const addresses: string[] = []
  const uris: string[] = []
  const rest: Buffer[] = []
  for (const tree of side.children) {
    // A distance from the base was never used by anybody, and is refused as Go does.
    const base = childOf(counted(expected(tree, Tag.sequence), 1), 0, undefined)
    const { tag, content } = base
    if (tag === contextTag(Kind.dns, false)) dnsNames.push(asciiOf(content))
    else if (tag === contextTag(Kind.email, false)) emails.push(asciiOf(content))
    else if (tag === contextTag(Kind.uri, false)) uris.push(asciiOf(content))
    else if (tag === contextTag(Kind.address, false)) addresses.push(rangeOf(content))
    else if (tag === contextTag(Kind.other, true) || restTags.includes(tag)) rest.push(base.whole)
    else throw new DerError('a kind of name that is not known')
  }
  return { dnsNames, emails, addresses, uris, rest }
}

function rangeOf(content: Buffer): string {
  const half = content.length / 2
  const [base, mask] = [content.subarray(0, half), content.subarray(half)]
  const bits = [...mask].map(byte => byte.toString(2).padStart(8, '0')).join('')
  if (content.length % 2 !== 0 || !/^1*0*$/.test(bits)) throw new DerError('a mask with gaps')
  return `${addressOf(base)}/${bits.replace(/0/g, '').length}`
}
