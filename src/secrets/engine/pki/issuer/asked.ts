/**
 * What requests of all kinds ask for in the same words: names of rows, forms of answers.
 *
 * Owns those words' refusals.
 */
import type { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import type { Call } from '../../../declare.ts'
import type { Storage } from '../../../storage.ts'
import { bad } from '../refusals.ts'
import { issuerAt, issuerNamed, keyAt, keyNamed } from '../rows.ts'

const NAME = /^\w([\w.-]*\w)?$/
const isName = (text: string): boolean => NAME.test(text) && text.length <= limits.pkiNameChars

interface Named {
  readonly data: Call['data']
  readonly storage: Storage
}

/** Whether a request says a field, and not only that it is null. */
export const isGiven = ({ data }: Pick<Named, 'data'>, name: string): boolean =>
  Object.hasOwn(data, name) && data[name] !== null

/** The name for an issuer; '' where none is said. `own` is the id of who has it already. */
export function askedIssuerName(call: Named, said: string | undefined, own = ''): string | Refusal {
  if (!isGiven(call, 'issuer_name')) return ''
  const name = (said ?? '').trim()
  if (name === '') return bad('expected non-empty issuer name')
  if (name.toLowerCase() === 'default') {
    return bad("reserved keyword 'default' can not be used as issuer name")
  }
  if (!isName(name)) return bad('issuer name contained invalid characters')
  const holder = issuerAt(call.storage, name)?.id ?? issuerNamed(call.storage, name)
  return holder === undefined || holder === own ? name : bad('issuer name already in use')
}

/** The name for a key; '' where none is said. */
export function askedKeyName(call: Named, said: string | undefined, own = ''): string | Refusal {
  if (!isGiven(call, 'key_name')) return ''
  const name = (said ?? '').trim()
  if (name.toLowerCase() === 'default') {
    return bad("reserved keyword 'default' can not be used as key name")
  }
  if (!isName(name)) return bad('key name contained invalid characters')
  const holder = keyAt(call.storage, name)?.id ?? keyNamed(call.storage, name)
  return holder === undefined || holder === own ? name : bad('key name already in use')
}

const formats = ['pem', 'der', 'pem_bundle'] as const
export type Format = (typeof formats)[number]

/** The form of an answer. */
export function askedFormat(said: string | undefined): Format | Refusal {
  const format = formats.find(each => each === said)
  return format ?? bad('the "format" path parameter must be "pem", "der", or "pem_bundle"')
}

const NO_URLS =
  "This mount hasn't configured any authority information access (AIA) fields; this may make it " +
  'harder for systems to find missing certificates in the chain or to validate revocation status ' +
  'of certificates. Consider updating /config/urls or the newly generated issuer with this ' +
  'information.'

/** Said wherever something is made that tells no addresses. */
export const warnings = {
  noUrls: NO_URLS,
  noUrlsInRequest:
    `${NO_URLS} Since this certificate is an intermediate, it might be useful to regenerate this ` +
    'certificate after fixing this problem for the root mount.',
  noSubject:
    'This issuer certificate was generated without a Subject; this makes it likely that issuing ' +
    'leaf certs with this certificate will cause TLS validation libraries to reject this certificate.',
  noKeyOfDefault:
    'The default issuer has no key associated with it. Some operations like issuing certificates ' +
    'and signing CRLs will be unavailable with the requested default issuer until a key is ' +
    'imported or the default issuer is changed.',
} as const

/** That no authority may stand below. */
export const noLength = (what: 'generated' | 'signed'): string =>
  `Max path length of the ${what} certificate is zero. This certificate cannot be used to issue intermediate CA certificates.`
