/**
 * Lists that somebody puts together himself, signed by an issuer: of other lists that it signed, or
 * of whatever he says.
 *
 * Owns what may stand in one. Nothing of it is kept.
 */
import { Refusal } from '../../../../base/errors.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import { limits } from '../../../../base/limits.ts'
import { signBy } from '../../../../x509/algorithm.ts'
import {
  type CrlContent,
  crlBody,
  crlEntry,
  type ParsedCrl,
  readCrl,
} from '../../../../x509/crl.ts'
import { DerError } from '../../../../x509/der.ts'
import { ContentError, isOid } from '../../../../x509/encode.ts'
import { ExtensionOid, type RawExtension } from '../../../../x509/extension.ts'
import { pemBlocks, pemOf } from '../../../../x509/pem.ts'
import { type Answer, type Call, path, prepared } from '../../../declare.ts'
import { any, int, type Json, list, str, toDurationMs, type Values } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import { choiceOf } from '../algorithm.ts'
import { issuerRef } from '../issuer/fields.ts'
import { issuerFor, type SigningIssuer } from '../issuer/stored.ts'
import { bad } from '../refusals.ts'
import { momentOf, notAMoment } from '../role/times.ts'
import { serialText } from '../serial.ts'

const fields = {
  issuer_ref: issuerRef,
  crl_number: int('The number of the list.', { initial: 0 }),
  delta_crl_base_number: int('The number of the list that this one adds to; -1 for a whole one.', {
    initial: -1,
  }),
  next_update: str('How long it holds.', { initial: '72h' }),
  format: str('`pem`, or `der` in base64.', { initial: 'pem' }),
}
const resignFields = { ...fields, crls: list('Lists that the issuer signed, in PEM.') }
const signFields = {
  ...fields,
  revoked_certs: any(
    'Certificates: a list of objects with `serial_number`, `revocation_time` and `extensions`.',
  ),
  extensions: any('Extensions: a list of objects with `id`, `critical` and `value` in base64.'),
}

const crlShape = shape.object({ crl: shape.text })

/** What is signed. */
type Wanted = Pick<CrlContent, 'number' | 'deltaOf' | 'thisUpdate' | 'nextUpdate'>
type Entries = Pick<CrlContent, 'entries' | 'extra'> & { readonly warnings?: readonly string[] }

/** The paths on a server with these ports. */
export function signListPaths({ arithmetic }: { readonly arithmetic: Pick<Arithmetic, 'sign'> }) {
  const signed = async (
    call: Call<typeof fields>,
    entriesFor: (issuer: SigningIssuer) => Entries | Refusal,
  ): Promise<Answer | Refusal> => {
    const wanted = wantedOf(call.fields, call.now)
    if (wanted instanceof Refusal) return wanted
    const issuer = issuerFor(call.storage, call.fields.issuer_ref!, 'crl-signing')
    if (issuer instanceof Refusal) return issuer
    const entries = entriesFor(issuer)
    if (entries instanceof Refusal) return entries
    const { certificate, key, row } = issuer
    const signer = { certificate, key, ...choiceOf(row.revocationAlgorithm, key) }
    const work = await crlBody({ ...wanted, ...entries }, signer)
    const der = await signBy(arithmetic, work, key)
    const isDer = call.fields.format!.toLowerCase() === 'der'
    const crl = isDer ? der.toString('base64') : pemOf('X509 CRL', der).trimEnd()
    return { data: { crl }, warnings: entries.warnings ?? [] }
  }
  return [
    path({
      pattern: 'issuer/{issuer_ref}/resign-crls',
      help: {
        synopsis: 'Joins lists that an issuer signed elsewhere.',
        description: 'As those of several clusters that have the same issuer.',
      },
      fields: resignFields,
      access: 'authorized',
      operations: {
        update: prepared<typeof resignFields, Answer>({
          summary: 'Gives one list of many.',
          effect: 'reads',
          answer: crlShape,
          prepare: call =>
            signed(call as unknown as Call<typeof fields>, issuer =>
              joinedEntries(call.fields.crls ?? [], issuer),
            ),
          run: call => call.prepared,
        }),
      },
    }),
    path({
      pattern: 'issuer/{issuer_ref}/sign-revocation-list',
      help: {
        synopsis: 'Signs a list that is put together by hand.',
        description: 'Of whatever certificates: nothing of it is looked up, or kept.',
      },
      fields: signFields,
      access: 'authorized',
      operations: {
        update: prepared<typeof signFields, Answer>({
          summary: 'Gives a list.',
          effect: 'reads',
          answer: crlShape,
          prepare: call =>
            signed(call as unknown as Call<typeof fields>, () => saidEntries(call.fields)),
          run: call => call.prepared,
        }),
      },
    }),
  ]
}

function wantedOf(said: Values<typeof fields>, nowMs: number): Wanted | Refusal {
  const { crl_number: number, delta_crl_base_number: base, next_update, format } = said
  if (!/^(pem|der)$/i.test(format!)) return bad(`unknown format value of ${format}`)
  const forMs = toDurationMs(next_update!)
  if (forMs === undefined) return bad('invalid value for next_update')
  if (forMs <= 0) return bad('next_update parameter must be greater than 0')
  if (number! < 0) return bad('crl_number parameter must be 0 or greater')
  if (base! < -1) return bad('delta_crl_base_number parameter must be -1 or greater')
  return {
    number: number!,
    deltaOf: base === -1 ? undefined : base,
    thisUpdate: new Date(nowMs),
    nextUpdate: new Date(nowMs + forMs),
  }
}

/** The entries of all lists: of one serial number the oldest, without what is said beside. */
function joinedEntries(
  texts: readonly string[],
  { certificate }: SigningIssuer,
): Entries | Refusal {
  const sizeChars = texts.reduce((sum, text) => sum + text.length, 0)
  if (sizeChars > limits.pkiResignedChars) {
    return bad(`the lists must not be longer than ${limits.pkiResignedChars} characters together`)
  }
  const oldest = new Map<string, Date>()
  const warnings: string[] = []
  for (const [at, text] of texts.entries()) {
    const crl = crlIn(text)
    if (crl === undefined) return bad(`failed decoding crl ${at}`)
    if (!crl.verify(certificate.publicKey)) {
      return bad(`CRL index: ${at} was not signed by requested issuer`)
    }
    for (const { serial, revokedAt } of crl.entries) {
      const before = oldest.get(serial)
      if (before !== undefined && +before !== +revokedAt) {
        warnings.push(
          `Duplicate serial ${serialText(serial)} with different revocation times detected, using oldest revocation time`,
        )
      }
      if (before === undefined || revokedAt < before) oldest.set(serial, revokedAt)
    }
  }
  const entries = [...oldest].map(([serial, revokedAt]) => crlEntry({ serial, revokedAt }))
  return { entries, warnings }
}

function crlIn(text: string): ParsedCrl | undefined {
  try {
    const [block] = pemBlocks(text)
    return block && readCrl(block.der)
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

/** The entries that somebody wrote down. */
function saidEntries({ revoked_certs, extensions }: Values<typeof signFields>): Entries | Refusal {
  const certs = listOf(revoked_certs)
  if (certs === undefined) return bad("'revoked_certs' is no list of objects")
  if (certs.length > limits.pkiSignedEntries) {
    return bad(`a list has at most ${limits.pkiSignedEntries} entries that are written down`)
  }
  const seen = new Map<string, number>()
  const entries: Buffer[] = []
  for (const [at, cert] of certs.entries()) {
    const entry = saidEntry(cert)
    if (entry instanceof Refusal) return bad(`failed parsing entry ${at}: ${entry.text}`)
    const before = seen.get(entry.serial)
    if (before !== undefined) {
      return bad(
        `duplicate serial number: ${serialText(entry.serial)}, original entry ${before} and ${at}`,
      )
    }
    seen.set(entry.serial, at)
    entries.push(entry.der)
  }
  const extra = extensionsIn(extensions)
  return extra instanceof Refusal ? extra : { entries, extra }
}

type Said = { readonly [key: string]: Json }

/** The objects of a list; undefined where it is something else. */
function listOf(value: Json | undefined): Said[] | undefined {
  if (value === undefined || value === null || value === '') return []
  const isList =
    Array.isArray(value) && value.every(each => typeof each === 'object' && each !== null)
  return isList ? (value as Said[]) : undefined
}

function saidEntry(cert: Said): { readonly serial: string; readonly der: Buffer } | Refusal {
  const text = typeof cert.serial_number === 'string' ? cert.serial_number : ''
  const serial = text.replace(/[:. -]/g, '').toLowerCase()
  if (!/^([0-9a-f]{2}){1,20}$/.test(serial)) return bad("'serial_number' is none in hex")
  const revokedAt = revokedAtOf(cert.revocation_time)
  if (revokedAt instanceof Refusal) return revokedAt
  const extra = extensionsIn(cert.extensions)
  if (extra instanceof Refusal) return extra
  try {
    return { serial, der: crlEntry({ serial, revokedAt, extra }) }
  } catch (error) {
    if (error instanceof ContentError) return bad(error.message)
    throw error
  }
}

/** Seconds since 1970, or a text of RFC 3339. */
function revokedAtOf(value: Json | undefined): Date | Refusal {
  if (value === undefined || value === null) return bad("missing 'revocation_time' field")
  const seconds = typeof value === 'string' && !/^\d{1,12}$/.test(value) ? undefined : Number(value)
  const atMs =
    seconds === undefined ? (momentOf(String(value)) ?? notAMoment(String(value))) : seconds * 1_000
  if (atMs instanceof Refusal) return atMs
  return atMs >= 0 && Number.isFinite(atMs) ? new Date(atMs) : bad("'revocation_time' is no time")
}

const reserved = new Map<string, string>([
  [ExtensionOid.authorityKeyId, 'authority key object identifier'],
  [ExtensionOid.crlNumber, 'crl number object identifier'],
  [ExtensionOid.deltaIndicator, 'delta crl object identifier'],
])

function extensionsIn(value: Json | undefined): RawExtension[] | Refusal {
  const all = listOf(value)
  if (all === undefined) return bad("'extensions' field did not contain a slice")
  const extensions: RawExtension[] = []
  for (const { id, critical, value: text } of all) {
    if (typeof id !== 'string' || !isOid(id)) return bad("'id' is no object identifier")
    const what = reserved.get(id)
    if (what !== undefined) return bad(`${what} (${id}) is reserved`)
    if (extensions.some(each => each.oid === id)) return bad(`duplicate extension id: ${id}`)
    if (typeof text !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
      return bad("failed base64 decoding 'value' field")
    }
    const isCritical = critical === true || critical === 'true'
    extensions.push({ oid: id, critical: isCritical, value: Buffer.from(text, 'base64') })
  }
  return extensions
}
