/**
 * Extensions of certificates and requests (RFC 5280, 4.2): written and read.
 *
 * Owns the form of each that is known. What does not change from one certificate of a role to the
 * next (usages, constraints, places) is encoded once and kept.
 */
import { Recent } from '../base/recent.ts'
import {
  booleanOf,
  childOf,
  contextTag,
  counted,
  DerError,
  type DerNode,
  expected,
  oidOf,
  readDer,
  smallInteger,
  Tag,
} from './der.ts'
import {
  ascii,
  asn1,
  bitString,
  bytesOf,
  ContentError,
  element,
  explicit,
  implicit,
  integer,
  joined,
  type Node,
  numberBytes,
  Outer,
  oid,
  oidDer,
  sequence,
  universal,
  yes,
} from './encode.ts'
import {
  asciiOf,
  type GeneralNames,
  generalNamesDer,
  type NameConstraints,
  namesAmong,
  noNames,
  readGeneralNames,
  readSubtrees,
  subtreeNodes,
} from './general-name.ts'
import { textOf } from './name.ts'

export const ExtensionOid = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  invalidityDate: '2.5.29.24',
  deltaIndicator: '2.5.29.27',
  nameConstraints: '2.5.29.30',
  crlPoints: '2.5.29.31',
  policies: '2.5.29.32',
  authorityKeyId: '2.5.29.35',
  extendedUsage: '2.5.29.37',
  freshestCrl: '2.5.29.46',
  authorityInfo: '1.3.6.1.5.5.7.1.1',
  acmeIdentifier: '1.3.6.1.5.5.7.1.31',
} as const

/** The nine usages of RFC 5280, 4.2.1.3, in the order of their bits. */
export const keyUsages = [
  'digitalSignature',
  'contentCommitment',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const
export type KeyUsage = (typeof keyUsages)[number]

const USAGE_OIDS = {
  any: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  ipsecEndSystem: '1.3.6.1.5.5.7.3.5',
  ipsecTunnel: '1.3.6.1.5.5.7.3.6',
  ipsecUser: '1.3.6.1.5.5.7.3.7',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  OCSPSigning: '1.3.6.1.5.5.7.3.9',
  microsoftServerGatedCrypto: '1.3.6.1.4.1.311.10.3.3',
  netscapeServerGatedCrypto: '2.16.840.1.113730.4.1',
  microsoftCommercialCodeSigning: '1.3.6.1.4.1.311.2.1.22',
  microsoftKernelCodeSigning: '1.3.6.1.4.1.311.61.1.1',
} as const
export type ExtendedUsage = keyof typeof USAGE_OIDS
/** Their names. */
export const extendedUsages = Object.keys(USAGE_OIDS) as readonly ExtendedUsage[]
const oidsOfUsages = new Map<string, string>(Object.entries(USAGE_OIDS))
const usagesOfOids = new Map<string, string>(
  Object.entries(USAGE_OIDS).map(([usage, name]) => [name, usage]),
)

/** The identifier of an extended usage, by its name or as it is. */
export const extendedUsageOid = (usage: string): string => oidsOfUsages.get(usage) ?? usage

/** Places of the authority (RFC 5280, 4.2.2.1): URLs. */
export interface AuthorityPlaces {
  readonly issuers: readonly string[]
  readonly ocsp: readonly string[]
}

export interface Policy {
  readonly oid: string
  /** URL of the statement of practice. */
  readonly cps?: string | undefined
  readonly notice?: string | undefined
}

/** An extension as it stands there; `value` is what its octet string holds. */
export interface RawExtension {
  readonly oid: string
  readonly critical: boolean
  readonly value: Buffer
}

// --- written

/** A whole extension in DER. */
export function extensionDer({ oid: name, critical, value }: RawExtension): Buffer {
  const [type, content] = [oidDer(name), element(Tag.octetString, value)]
  return joined(Outer.sequence, critical ? [type, YES, content] : [type, content])
}

const YES = bytesOf(yes())

const one = (name: string, critical: boolean, value: Node): Buffer =>
  extensionDer({ oid: name, critical, value: bytesOf(value) })

const KEPT = 512
const kept = new Recent<string, Buffer>(KEPT)

/** Gives what was encoded for the same words before. */
function once(kind: string, words: readonly string[], encode: () => Buffer): Buffer {
  const key = JSON.stringify([kind, ...words])
  const found = kept.get(key)
  if (found !== undefined) return found
  const made = encode()
  kept.set(key, made)
  return made
}

/** Whether it is an authority, and of how many below it. */
export function basicConstraints(
  isAuthority: boolean,
  pathLength: number | undefined,
  critical: boolean,
): Buffer {
  return once('constraints', [String([isAuthority, pathLength, critical])], () => {
    const length = pathLength === undefined ? [] : [integer(numberBytes(pathLength))]
    return one(
      ExtensionOid.basicConstraints,
      critical,
      sequence(isAuthority ? [yes(), ...length] : []),
    )
  })
}

/** What the key is for; at least one usage. */
export function keyUsage(usages: readonly KeyUsage[]): Buffer {
  return once('usage', usages, () => {
    const places = usages.map(usage => keyUsages.indexOf(usage))
    const last = Math.max(...places)
    const bytes = Buffer.alloc(last >= 8 ? 2 : 1)
    for (const place of places) bytes[place >> 3]! |= 0x80 >> (place & 7)
    return one(ExtensionOid.keyUsage, true, bitString(bytes, 7 - (last & 7)))
  })
}

/** Extended usages by name or identifier. Throws ContentError. */
export function extendedUsage(usages: readonly string[]): Buffer {
  return once('extended', usages, () => {
    const list = usages.map(usage => oid(extendedUsageOid(usage)))
    return one(ExtensionOid.extendedUsage, false, sequence(list))
  })
}

/** Names beside the subject; critical where the subject is empty. */
export const subjectNames = (names: Partial<GeneralNames>, critical: boolean): Buffer =>
  extensionDer({ oid: ExtensionOid.subjectNames, critical, value: generalNamesDer(names) })

export const subjectKeyId = (keyId: Buffer): Buffer =>
  extensionDer({
    oid: ExtensionOid.subjectKeyId,
    critical: false,
    value: element(Tag.octetString, keyId),
  })

export const authorityKeyId = (keyId: Buffer): Buffer =>
  one(ExtensionOid.authorityKeyId, false, sequence([implicit(0, keyId)]))

/** Name constraints. Throws ContentError. */
export function nameConstraints({ permitted, excluded }: NameConstraints): Buffer {
  const sides = [subtreeNodes(permitted), subtreeNodes(excluded)]
  const nodes = sides.flatMap((side, at) => (side.length === 0 ? [] : [explicit(at, side)]))
  if (nodes.length === 0) throw new ContentError('name constraints without a name')
  return one(ExtensionOid.nameConstraints, true, sequence(nodes))
}

const uriNode = (uri: string): Node => implicit(6, ascii(uri))
const OCSP_METHOD = '1.3.6.1.5.5.7.48.1'
const ISSUERS_METHOD = '1.3.6.1.5.5.7.48.2'

/** Where the issuer's certificate and its OCSP answers are. Throws ContentError. */
export function authorityInfo({ issuers, ocsp }: AuthorityPlaces): Buffer {
  return once('info', [...ocsp, '', ...issuers], () =>
    one(
      ExtensionOid.authorityInfo,
      false,
      sequence([
        ...ocsp.map(uri => sequence([oid(OCSP_METHOD), uriNode(uri)])),
        ...issuers.map(uri => sequence([oid(ISSUERS_METHOD), uriNode(uri)])),
      ]),
    ),
  )
}

/** Where the lists of revoked certificates are: one point for each place, as Go does. */
export function crlPoints(uris: readonly string[], isDelta = false): Buffer {
  const name = isDelta ? ExtensionOid.freshestCrl : ExtensionOid.crlPoints
  return once(name, uris, () => {
    const points = uris.map(uri => sequence([explicit(0, [explicit(0, [uriNode(uri)])])]))
    return one(name, false, sequence(points))
  })
}

const CPS_QUALIFIER = '1.3.6.1.5.5.7.2.1'
const NOTICE_QUALIFIER = '1.3.6.1.5.5.7.2.2'

/** Certificate policies. Throws ContentError. */
export function policiesExtension(policies: readonly Policy[]): Buffer {
  const words = policies.flatMap(({ oid: name, cps = '', notice = '' }) => [name, cps, notice])
  return once('policies', words, () => {
    const nodes = policies.map(({ oid: name, cps, notice }) => {
      const qualifiers = [
        ...(cps ? [qualifier(CPS_QUALIFIER, ia5(cps))] : []),
        ...(notice ? [qualifier(NOTICE_QUALIFIER, sequence([utf8(notice)]))] : []),
      ]
      return sequence([oid(name), ...(qualifiers.length === 0 ? [] : [sequence(qualifiers)])])
    })
    return one(ExtensionOid.policies, false, sequence(nodes))
  })
}

const qualifier = (name: string, value: Node): Node => sequence([oid(name), value])
const ia5 = (text: string): Node =>
  universal(0x16 as typeof asn1.Type.UTF8, ascii(text).toString('latin1'))
const utf8 = (text: string): Node =>
  universal(asn1.Type.UTF8, Buffer.from(text, 'utf8').toString('latin1'))

// --- read

/** The extensions of a list, none twice. Throws DerError. */
export function readExtensions(list: DerNode): RawExtension[] {
  const extensions: RawExtension[] = []
  const seen = new Set<string>()
  for (const node of expected(list, Tag.sequence).children) {
    const name = oidOf(childOf(expected(node, Tag.sequence), 0, Tag.oid))
    if (seen.has(name)) throw new DerError('an extension that is there twice')
    seen.add(name)
    const isLong = node.children.length === 3
    const critical = isLong && booleanOf(childOf(node, 1, Tag.boolean))
    // FALSE is what it is anyhow, and DER leaves that out; OpenSSL and Go take it.
    const { content: value } = childOf(
      counted(node, isLong ? 3 : 2),
      isLong ? 2 : 1,
      Tag.octetString,
    )
    extensions.push({ oid: name, critical, value })
  }
  return extensions
}

/** What the known extensions say. */
export interface KnownExtensions {
  readonly isAuthority: boolean
  readonly pathLength: number | undefined
  readonly usages: readonly KeyUsage[]
  /** By name where it has one, else by identifier. */
  readonly extendedUsages: readonly string[]
  readonly names: GeneralNames
  readonly subjectKeyId: Buffer | undefined
  readonly authorityKeyId: Buffer | undefined
  readonly constraints: NameConstraints | undefined
  readonly policies: readonly Policy[]
  readonly aia: AuthorityPlaces
  readonly crl: readonly string[]
  readonly deltaCrl: readonly string[]
}

/** Reads the known ones among them. Throws DerError where one has not its form. */
export function knownExtensions(list: readonly RawExtension[]): KnownExtensions {
  const nodeOf = (name: string): DerNode | undefined => {
    const found = list.find(({ oid: each }) => each === name)
    return found && readDer(found.value)
  }
  const read = <T>(name: string, use: (node: DerNode) => T, missing: T): T => {
    const node = nodeOf(name)
    return node === undefined ? missing : use(node)
  }
  return {
    ...read(ExtensionOid.basicConstraints, readConstraints, {
      isAuthority: false,
      pathLength: undefined,
    }),
    usages: read(ExtensionOid.keyUsage, readUsages, []),
    extendedUsages: read(ExtensionOid.extendedUsage, readExtendedUsages, []),
    names: read(ExtensionOid.subjectNames, readGeneralNames, noNames),
    subjectKeyId: read<Buffer | undefined>(
      ExtensionOid.subjectKeyId,
      node => expected(node, Tag.octetString).content,
      undefined,
    ),
    authorityKeyId: read<Buffer | undefined>(ExtensionOid.authorityKeyId, readKeyId, undefined),
    constraints: read<NameConstraints | undefined>(
      ExtensionOid.nameConstraints,
      readNameConstraints,
      undefined,
    ),
    policies: read(ExtensionOid.policies, readPolicies, []),
    aia: read(ExtensionOid.authorityInfo, readPlaces, { issuers: [], ocsp: [] }),
    crl: read(ExtensionOid.crlPoints, readPoints, []),
    deltaCrl: read(ExtensionOid.freshestCrl, readPoints, []),
  }
}

function readConstraints(node: DerNode): {
  isAuthority: boolean
  pathLength: number | undefined
} {
  const parts = [...expected(node, Tag.sequence).children]
  const isAuthority = parts[0]?.tag === Tag.boolean && booleanOf(parts.shift() as DerNode)
  const length = parts.shift()
  if (parts.length > 0) throw new DerError('another number of parts than expected')
  return { isAuthority, pathLength: length === undefined ? undefined : smallInteger(length) }
}

function readUsages(node: DerNode): KeyUsage[] {
  const bits = bitsOf(node)
  return keyUsages.filter((_, at) => bits.charAt(at) === '1')
}

/** The bits of a bit string as text; what is not used of the last byte must be zero. */
function bitsOf(node: DerNode): string {
  const [unused = 8, ...bytes] = expected(node, Tag.bitString).content
  const bits = bytes.map(byte => byte.toString(2).padStart(8, '0')).join('')
  const end = bits.length - unused
  if (unused > 7 || end < 0 || bits.slice(end).includes('1')) {
    throw new DerError('a bit string of another form')
  }
  return bits.slice(0, end)
}

function readExtendedUsages(node: DerNode): string[] {
  return expected(node, Tag.sequence).children.map(each => {
    const name = oidOf(each)
    return usagesOfOids.get(name) ?? name
  })
}

/** The parts of a sequence that may all be missing, by their place in `tags`. Throws DerError. */
function partsOf(node: DerNode, tags: readonly number[]): (DerNode | undefined)[] {
  const parts: (DerNode | undefined)[] = tags.map(() => undefined)
  let from = 0
  for (const part of expected(node, Tag.sequence).children) {
    const at = tags.indexOf(part.tag, from)
    if (at === -1) throw new DerError('a part that is not known')
    parts[at] = part
    from = at + 1
  }
  return parts
}

function readKeyId(node: DerNode): Buffer | undefined {
  const parts = partsOf(node, [contextTag(0, false), contextTag(1, true), contextTag(2, false)])
  return parts[0]?.content
}

function readNameConstraints(node: DerNode): NameConstraints {
  const [permitted, excluded] = partsOf(node, [contextTag(0, true), contextTag(1, true)])
  return {
    permitted: permitted === undefined ? {} : readSubtrees(permitted),
    excluded: excluded === undefined ? {} : readSubtrees(excluded),
  }
}

function readPolicies(node: DerNode): Policy[] {
  return expected(node, Tag.sequence).children.map(each => {
    const name = oidOf(childOf(expected(each, Tag.sequence), 0, Tag.oid))
    let cps: string | undefined
    let notice: string | undefined
    const [, qualifiers, ...more] = each.children
    if (more.length > 0) throw new DerError('a part that is not known')
    for (const one of qualifiers === undefined ? [] : expected(qualifiers, Tag.sequence).children) {
      const kind = childOf(counted(expected(one, Tag.sequence), 2), 0, Tag.oid)
      const value = childOf(one, 1, undefined)
      if (oidOf(kind) === CPS_QUALIFIER) cps ??= textOf(value)
      else if (oidOf(kind) === NOTICE_QUALIFIER) notice ??= noticeOf(value)
    }
    return { oid: name, cps, notice }
  })
}

/** The text of a notice, which may also have a reference and no text. */
function noticeOf(node: DerNode): string | undefined {
  const text = node.children.find(({ tag }) => tag !== Tag.sequence)
  return text && textOf(text)
}

function readPlaces(node: DerNode): AuthorityPlaces {
  const issuers: string[] = []
  const ocsp: string[] = []
  for (const each of expected(node, Tag.sequence).children) {
    const method = oidOf(childOf(counted(expected(each, Tag.sequence), 2), 0, Tag.oid))
    const place = childOf(each, 1, undefined)
    if (place.tag !== URI_TAG) continue
    if (method === OCSP_METHOD) ocsp.push(asciiOf(place.content))
    else if (method === ISSUERS_METHOD) issuers.push(asciiOf(place.content))
  }
  return { issuers, ocsp }
}

const URI_TAG = contextTag(6, false)
const POINT_TAGS = [contextTag(0, true), contextTag(1, false), contextTag(2, true)]

/** URLs of all points; those that are told by a directory name have none. */
function readPoints(node: DerNode): string[] {
  const points = expected(node, Tag.sequence).children
  if (points.length === 0) throw new DerError('a part is missing')
  return points.flatMap(point => {
    const [place, , by] = partsOf(point, POINT_TAGS)
    if (place === undefined && by === undefined) throw new DerError('a part is missing')
    const name = place && childOf(counted(place, 1), 0, undefined)
    if (name === undefined) return []
    if (name.tag === contextTag(1, true)) {
      for (const pair of name.children) counted(expected(pair, Tag.sequence), 2)
      return []
    }
    return namesAmong(expected(name, contextTag(0, true)).children).uris
  })
}
