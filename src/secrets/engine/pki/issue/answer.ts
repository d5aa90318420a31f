/**
 * How certificates that were given are told.
 *
 * Owns the three formats, and what of a chain is told. The texts of an issuer are made once.
 */

import type { Refusal } from '../../../../base/errors.ts'
import { pemOf } from '../../../../x509/pem.ts'
import type { Storage } from '../../../storage.ts'
import { chainOf } from '../issuer/chain.ts'
import type { StoredIssuer } from '../issuer/stored.ts'
import { bad } from '../refusals.ts'
import { serialText } from '../serial.ts'
import type { Signed } from './give.ts'
import { type DrawnKey, keyText } from './key.ts'

const formats = ['pem', 'der', 'pem_bundle']

/** What is wrong with a format; undefined for nothing. */
export const refuseFormat = (format: string): Refusal | undefined =>
  formats.includes(format) ? undefined : WRONG_FORMAT
const WRONG_FORMAT = bad('the "format" path parameter must be "pem", "der", or "pem_bundle"')

/** How it is to be told. */
export interface Form {
  readonly format: string
  /** `pkcs8`; all else is the form of the kind of key. */
  readonly privateKeyFormat: string
  /** Whether who signed itself is left out of the chain. */
  readonly isRootless: boolean
}

/** What is told of a certificate, and of the key that was drawn for it. */
export function dataOf(
  storage: Storage,
  { decided, der, serial }: Signed,
  { format, privateKeyFormat, isRootless }: Form,
  key: DrawnKey | undefined,
): Record<string, unknown> {
  const { issuer, content } = decided
  const isDer = format === 'der'
  const texts = textsOf(storage, issuer)
  const chain = isRootless ? texts.rootless : texts.all
  const told = chain.map(({ pem, base64 }) => (isDer ? base64 : pem))
  const certificate = isDer ? der.toString('base64') : pemOf('CERTIFICATE', der).trimEnd()
  const plain = key && keyText(key, { isDer, isPkcs8: false })
  const bundle = [...(plain === undefined ? [] : [plain]), certificate]
  return {
    ...(told.length > 0 && { ca_chain: told }),
    certificate:
      format === 'pem_bundle'
        ? [...bundle, ...texts.all.map(each => each.pem)].join('\n')
        : certificate,
    expiration: unixOf(content.notAfter),
    issuing_ca: isDer ? texts.own.base64 : texts.own.pem,
    not_before: unixOf(content.notBefore),
    ...(key !== undefined && {
      private_key: privateKeyFormat === 'pkcs8' ? keyText(key, { isDer, isPkcs8: true }) : plain,
      private_key_type: key.type,
    }),
    serial_number: serialText(serial),
  }
}

const unixOf = (date: Date): number => Math.floor(date.getTime() / 1_000)

interface Text {
  readonly pem: string
  readonly base64: string
}

interface Texts {
  readonly own: Text
  readonly all: readonly Text[]
  /** Without those who signed themselves. */
  readonly rootless: readonly Text[]
}

/** Chains are the same list until one may become another. */
const kept = new WeakMap<readonly StoredIssuer[], Texts>()

function textsOf(storage: Storage, issuer: StoredIssuer): Texts {
  const chain = chainOf(storage, issuer.row)
  const known = kept.get(chain)
  if (known !== undefined) return known
  const whole = chain.some(({ row }) => row.id === issuer.row.id) ? chain : [issuer, ...chain]
  const texts = {
    own: textOf(issuer),
    all: whole.map(textOf),
    rootless: whole.filter(each => !isRoot(each)).map(textOf),
  }
  kept.set(chain, texts)
  return texts
}

const textOf = ({ pem, row }: StoredIssuer): Text => ({ pem, base64: row.der })

/** Whether a certificate was signed by its own key. */
function isRoot({ certificate }: StoredIssuer): boolean {
  const { authorityKeyId: above, subjectKeyId: own, isSelfIssued } = certificate
  if (above !== undefined && own !== undefined) return above.equals(own)
  return isSelfIssued && certificate.verify(certificate.publicKey)
}
