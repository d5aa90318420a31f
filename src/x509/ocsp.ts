/**
 * OCSP (RFC 6960): what is asked about certificates, and the signed answer.
 *
 * Owns the form of both. A request may come from anybody, so reading it is bounded and computes
 * nothing; a signature on it is passed over, as everybody may ask. Which answer is given is for who
 * knows the certificates.
 */
import { hash } from 'node:crypto'
import { limits } from '../base/limits.ts'
import { schemeOf, type ToSign, toSign } from './algorithm.ts'
import { keyBits, type ParsedCertificate, type Signer } from './certificate.ts'
import { type CrlReason, crlReasons } from './crl.ts'
import {
  childOf,
  contextTag,
  counted,
  DerError,
  type DerNode,
  expected,
  hexOfInteger,
  oidOf,
  readDer,
  smallInteger,
  Tag,
} from './der.ts'
import { element, joined, longTime, Outer, oidDer } from './encode.ts'
import { extensionDer, readExtensions } from './extension.ts'

/** One certificate that is asked about. */
export interface OcspQuestion {
  /** What the two hashes below were made with, as node names it. */
  readonly hash: string
  readonly issuerNameHash: Buffer
  readonly issuerKeyHash: Buffer
  /** Lower hex. */
  readonly serial: string
  /** All of that in DER, for the answer. */
  readonly certId: Buffer
}

export interface OcspRequest {
  readonly questions: readonly OcspQuestion[]
  /** To be repeated in the answer: the value of its extension. */
  readonly nonce: Buffer | undefined
}

const NONCE = '1.3.6.1.5.5.7.48.1.2'
const BASIC = '1.3.6.1.5.5.7.48.1.1'
const HASHES = new Map([
  ['1.3.14.3.2.26', 'sha1'],
  ['2.16.840.1.101.3.4.2.1', 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
])

/** Reads a request in DER. Throws DerError. */
export function readOcspRequest(der: Buffer): OcspRequest {
  const whole = expected(readDer(der), Tag.sequence)
  if (whole.children.length > 2) throw new DerError('another number of parts than expected')
  const parts = [...childOf(whole, 0, Tag.sequence).children]
  const take = (number: number): DerNode | undefined =>
    parts[0]?.tag === contextTag(number, true) ? parts.shift() : undefined
  const version = take(0)
  if (version !== undefined && smallInteger(childOf(version, 0, Tag.integer)) !== 0) {
    throw new DerError('another version')
  }
  // Who asks is told, and makes no difference.
  take(1)
  const list = parts.shift()
  const extensions = take(2)
  if (list === undefined || parts.length > 0) throw new DerError('a part that is not known')
  const questions = expected(list, Tag.sequence).children.map(question)
  if (questions.length === 0 || questions.length > limits.ocspQuestions) {
    throw new DerError('no certificates that are asked about, or too many')
  }
  const all =
    extensions === undefined ? [] : readExtensions(childOf(counted(extensions, 1), 0, undefined))
  return { questions, nonce: all.find(({ oid: name }) => name === NONCE)?.value }
}

function question(node: DerNode): OcspQuestion {
  if (expected(node, Tag.sequence).children.length > 2)
    throw new DerError('a part that is not known')
  const certId = counted(childOf(node, 0, Tag.sequence), 4)
  const algorithm = childOf(certId, 0, Tag.sequence)
  const name = HASHES.get(oidOf(childOf(algorithm, 0, Tag.oid)))
  if (name === undefined) throw new DerError('a hash that is not known')
  return {
    hash: name,
    issuerNameHash: childOf(certId, 1, Tag.octetString).content,
    issuerKeyHash: childOf(certId, 2, Tag.octetString).content,
    serial: hexOfInteger(childOf(certId, 3, Tag.integer)),
    certId: certId.whole,
  }
}

interface Hashes {
  readonly name: Buffer
  readonly key: Buffer
}

const kept = new WeakMap<ParsedCertificate, Map<string, Hashes>>()

/** Whether a question is about certificates of this issuer. */
export function isAskedOf(asked: OcspQuestion, issuer: ParsedCertificate): boolean {
  const all = kept.get(issuer) ?? new Map<string, Hashes>()
  kept.set(issuer, all)
  const hashes = all.get(asked.hash) ?? {
    name: hash(asked.hash, issuer.subject, 'buffer'),
    key: hash(asked.hash, keyBits(issuer.spki), 'buffer'),
  }
  all.set(asked.hash, hashes)
  return hashes.name.equals(asked.issuerNameHash) && hashes.key.equals(asked.issuerKeyHash)
}

/** What is said about one certificate. */
export interface OcspAnswer {
  readonly certId: Buffer
  readonly status: 'good' | 'unknown' | { readonly revokedAt: Date; readonly reason?: CrlReason }
  readonly thisUpdate: Date
  /** Left out where newer information is always to be had. */
  readonly nextUpdate?: Date | undefined
}

/** A whole answer. */
export interface OcspContent {
  readonly answers: readonly OcspAnswer[]
  readonly producedAt: Date
  readonly nonce?: Buffer | undefined
}

/** An answer that lacks its signature alone; the signer is the issuer that was asked about. */
export function ocspBody(
  { answers, producedAt, nonce }: OcspContent,
  signer: Signer & { readonly certificate: ParsedCertificate },
): ToSign {
  const { certificate, key } = signer
  const parts = [
    joined(BY_NAME, [certificate.subject]),
    longTime(producedAt),
    joined(Outer.sequence, answers.map(answerDer)),
  ]
  if (nonce !== undefined) {
    const extension = extensionDer({ oid: NONCE, critical: false, value: nonce })
    parts.push(joined(EXTENSIONS, [joined(Outer.sequence, [extension])]))
  }
  // Who asks has the signer's certificate: it is the issuer's. Some readers cannot take it twice.
  const work = toSign(joined(Outer.sequence, parts), schemeOf(key, signer))
  return { ...work, finish: signature => successful(work.finish(signature)) }
}

const BY_NAME = contextTag(1, true)
const EXTENSIONS = contextTag(1, true)
const SUCCESSFUL = Buffer.from('0a0100', 'hex')

function successful(basic: Buffer): Buffer {
  const bytes = [oidDer(BASIC), element(Tag.octetString, basic)]
  return joined(Outer.sequence, [
    SUCCESSFUL,
    joined(Outer.context0, [joined(Outer.sequence, bytes)]),
  ])
}

function answerDer({ certId, status, thisUpdate, nextUpdate }: OcspAnswer): Buffer {
  const next = nextUpdate && joined(Outer.context0, [longTime(nextUpdate)])
  return joined(Outer.sequence, [
    certId,
    statusDer(status),
    longTime(thisUpdate),
    ...(next === undefined ? [] : [next]),
  ])
}

function statusDer(status: OcspAnswer['status']): Buffer {
  if (status === 'good') return Buffer.of(contextTag(0, false), 0)
  if (status === 'unknown') return Buffer.of(contextTag(2, false), 0)
  const { revokedAt, reason } = status
  const code = reason && joined(Outer.context0, [Buffer.of(Tag.enumerated, 1, crlReasons[reason])])
  const parts = [longTime(revokedAt), ...(code === undefined ? [] : [code])]
  return joined(contextTag(1, true), parts)
}

const STATUS = { malformed: 1, internal: 2, tryLater: 3, unauthorized: 6 } as const

/** An answer that says why there is none (RFC 6960, 4.2.1); it carries no signature. */
export const ocspFailure = (why: keyof typeof STATUS): Buffer =>
  joined(Outer.sequence, [Buffer.of(Tag.enumerated, 1, STATUS[why])])
