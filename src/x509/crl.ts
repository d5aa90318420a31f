/**
 * Lists of revoked certificates (RFC 5280, 5), whole ones and what changed since one.
 *
 * Owns their form. An entry is encoded once, by who revokes; a list joins a hundred thousand of
 * them in slices, so that nothing else waits for it.
 */

import type { KeyObject } from 'node:crypto'
import { limits } from '../base/limits.ts'
import { inSlices } from '../base/slices.ts'
import { isSignedBy, readScheme, schemeOf, type ToSign, toSign } from './algorithm.ts'
import { type ParsedCertificate, type Signer, sha1KeyId } from './certificate.ts'
import {
  childOf,
  contextTag,
  counted,
  DerError,
  type DerNode,
  expected,
  hexOfInteger,
  readDer,
  smallInteger,
  Tag,
  timeOf,
  wholeBits,
} from './der.ts'
import { element, headOf, joined, longTime, numberBytes, Outer, positive, time } from './encode.ts'
import {
  authorityKeyId,
  crlPoints,
  ExtensionOid,
  extensionDer,
  knownExtensions,
  type RawExtension,
  readExtensions,
} from './extension.ts'

/** Why a certificate was revoked (RFC 5280, 5.3.1); what is left out is "unspecified". */
export const crlReasons = {
  keyCompromise: 1,
  authorityCompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCrl: 8,
  privilegeWithdrawn: 9,
} as const
export type CrlReason = keyof typeof crlReasons

/** One revoked certificate. */
export interface Revocation {
  /** Lower hex. */
  readonly serial: string
  readonly revokedAt: Date
  readonly reason?: CrlReason | undefined
  /** When the key was lost, if that was before. */
  readonly invalidFrom?: Date | undefined
  /** Others than those of the two above. */
  readonly extra?: readonly RawExtension[] | undefined
}

/** An entry of a list, in DER. Throws ContentError for a date without a form. */
export function crlEntry(revocation: Revocation): Buffer {
  const { serial, revokedAt, reason, invalidFrom, extra = [] } = revocation
  const parts = [element(Tag.integer, positive(Buffer.from(serial, 'hex'))), time(revokedAt)]
  const extensions: Buffer[] = []
  if (reason !== undefined) {
    extensions.push(plain(ExtensionOid.reasonCode, enumerated(crlReasons[reason])))
  }
  if (invalidFrom !== undefined) {
    extensions.push(plain(ExtensionOid.invalidityDate, longTime(invalidFrom)))
  }
  for (const each of extra) extensions.push(extensionDer(each))
  if (extensions.length > 0) parts.push(joined(Outer.sequence, extensions))
  return joined(Outer.sequence, parts)
}

const plain = (name: string, value: Buffer): Buffer =>
  extensionDer({ oid: name, critical: false, value })
const enumerated = (value: number): Buffer => Buffer.of(Tag.enumerated, 1, value)
const wholeNumber = (value: number): Buffer => element(Tag.integer, numberBytes(value))

/** What a list is to say. */
export interface CrlContent {
  /** Always greater than that of the list before. */
  readonly number: number
  readonly thisUpdate: Date
  readonly nextUpdate: Date
  /** As `crlEntry` gives them. */
  readonly entries: readonly Buffer[]
  /** The number of the whole list that this one adds to; undefined for a whole one. */
  readonly deltaOf?: number | undefined
  /** URLs of the lists of what changed since this one. */
  readonly deltaCrl?: readonly string[] | undefined
  /** Others, behind those above. */
  readonly extra?: readonly RawExtension[] | undefined
}

/** Who signs a list: always with a certificate. */
export type CrlSigner = Signer & { readonly certificate: ParsedCertificate }

/**
 * A list that lacks its signature alone. Gives the loop back while it joins many entries. That the
 * signer may sign lists is for the caller to know.
 */
export async function crlBody(content: CrlContent, signer: CrlSigner): Promise<ToSign> {
  const { number, thisUpdate, nextUpdate, entries, deltaOf, deltaCrl = [], extra = [] } = content
  const { certificate, key } = signer
  const scheme = schemeOf(key, signer)
  const front = Buffer.concat([
    VERSION,
    scheme.identifier,
    certificate.subject,
    time(thisUpdate),
    time(nextUpdate),
  ])
  const extensions = [
    authorityKeyId(certificate.subjectKeyId ?? sha1KeyId(certificate.spki)),
    plain(ExtensionOid.crlNumber, wholeNumber(number)),
  ]
  if (deltaOf !== undefined) {
    const value = wholeNumber(deltaOf)
    extensions.push(extensionDer({ oid: ExtensionOid.deltaIndicator, critical: true, value }))
  } else if (deltaCrl.length > 0) extensions.push(crlPoints(deltaCrl, true))
  for (const each of extra) extensions.push(extensionDer(each))
  const back = joined(Outer.context0, [joined(Outer.sequence, extensions)])
  return toSign(await around(front, entries, back), scheme)
}

const VERSION = Buffer.from('020101', 'hex')

/** The body: what stands before the entries, the entries, what stands behind them. */
async function around(front: Buffer, entries: readonly Buffer[], back: Buffer): Promise<Buffer> {
  let entriesSizeBytes = 0
  for (const entry of entries) entriesSizeBytes += entry.length
  // A list without entries leaves their sequence out.
  const head = entries.length === 0 ? NOTHING : headOf(Outer.sequence, entriesSizeBytes)
  const sizeBytes = front.length + head.length + entriesSizeBytes + back.length
  const whole = headOf(Outer.sequence, sizeBytes)
  const body = Buffer.allocUnsafe(whole.length + sizeBytes)
  let at = 0
  const add = (part: Buffer): void => {
    body.set(part, at)
    at += part.length
  }
  add(whole)
  add(front)
  add(head)
  const LOOK_EVERY = 1_024
  await inSlices(entries, add, LOOK_EVERY)
  add(back)
  return body
}

const NOTHING = Buffer.alloc(0)

/** A list that was read. */
export interface ParsedCrl {
  readonly issuer: Buffer
  readonly thisUpdate: Date
  readonly nextUpdate: Date | undefined
  readonly number: number | undefined
  readonly deltaOf: number | undefined
  readonly authorityKeyId: Buffer | undefined
  readonly entries: readonly Revocation[]
  /** Whether this key signed it. */
  verify(issuerKey: KeyObject): boolean
}

/** Reads a list in DER, up to `limits.crlSizeBytes`. Throws DerError. */
export function readCrl(der: Buffer): ParsedCrl {
  const bounds = { sizeBytes: limits.crlSizeBytes, nodes: limits.crlNodes }
  const whole = counted(expected(readDer(der, bounds), Tag.sequence), 3)
  const body = childOf(whole, 0, Tag.sequence)
  const parts = [...body.children]
  const version = parts[0]?.tag === Tag.integer ? smallInteger(parts.shift()!) : 0
  const [algorithm, issuer, thisUpdate, ...rest] = parts
  if (algorithm === undefined || issuer === undefined || thisUpdate === undefined) {
    throw new DerError('a part is missing')
  }
  const outer = childOf(whole, 1, Tag.sequence)
  if (version > 1 || !outer.whole.equals(algorithm.whole))
    throw new DerError('no list that is known')
  const next = isTime(rest[0]) ? timeOf(rest.shift()!) : undefined
  const list = rest[0]?.tag === Tag.sequence ? rest.shift() : undefined
  const last = rest[0]?.tag === contextTag(0, true) ? rest.shift() : undefined
  if (rest.length > 0) throw new DerError('a part that is not known')
  const extensions =
    last === undefined ? [] : readExtensions(childOf(counted(last, 1), 0, undefined))
  const numberOf = (name: string): number | undefined => {
    const found = extensions.find(({ oid }) => oid === name)
    return found && smallInteger(readDer(found.value))
  }
  const signature = wholeBits(childOf(whole, 2, Tag.bitString))
  return {
    issuer: expected(issuer, Tag.sequence).whole,
    thisUpdate: timeOf(thisUpdate),
    nextUpdate: next,
    number: numberOf(ExtensionOid.crlNumber),
    deltaOf: numberOf(ExtensionOid.deltaIndicator),
    authorityKeyId: knownExtensions(extensions).authorityKeyId,
    entries: (list?.children ?? []).map(readEntry),
    verify: key => isSignedBy(readScheme(outer), body.whole, key, signature),
  }
}

const isTime = (node: DerNode | undefined): boolean =>
  node?.tag === Tag.utcTime || node?.tag === Tag.generalizedTime

const reasonsByCode = new Map<number, CrlReason>(
  (Object.keys(crlReasons) as CrlReason[]).map(reason => [crlReasons[reason], reason]),
)

/** A reason by its code; undefined for "unspecified" and for what is none. */
export const crlReasonOf = (code: number): CrlReason | undefined => reasonsByCode.get(code)

function readEntry(node: DerNode): Revocation {
  const serial = hexOfInteger(childOf(expected(node, Tag.sequence), 0, Tag.integer))
  const revokedAt = timeOf(childOf(node, 1, undefined))
  const third = node.children[2]
  if (third === undefined) return { serial, revokedAt }
  const extensions = readExtensions(third)
  const code = extensions.find(({ oid }) => oid === ExtensionOid.reasonCode)
  const since = extensions.find(({ oid }) => oid === ExtensionOid.invalidityDate)
  return {
    ...{ serial, revokedAt },
    reason: code && crlReasonOf(expected(readDer(code.value), Tag.enumerated).content[0] ?? 0),
    invalidFrom: since && timeOf(readDer(since.value)),
  }
}
