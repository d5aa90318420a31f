/**
 * Keys that are drawn for authorities, and how they are told.
 *
 * Owns which kinds and sizes there are, and the forms of a private key. Draws none.
 */
import type { KeyObject } from 'node:crypto'
import type { Refusal } from '../../../../base/errors.ts'
import type { KeyKind } from '../../../../base/io/arithmetic.ts'
import type { SchemeChoice } from '../../../../x509/algorithm.ts'
import { bad } from '../refusals.ts'
import type { KeyType } from '../rows.ts'

const CURVES = new Map([
  [224, 'secp224r1'],
  [256, 'prime256v1'],
  [384, 'secp384r1'],
  [521, 'secp521r1'],
])
const USUAL_BITS: Readonly<Record<string, number>> = { rsa: 2_048, ec: 256 }
const RSA_BITS = [2_048, 3_072, 4_096, 8_192]

/** The kind of key that a request means; its bits are 0 for the usual. */
export function keyKindOf(type: string, wantedBits: number): KeyKind | Refusal {
  const bits = wantedBits === 0 && Object.hasOwn(USUAL_BITS, type) ? USUAL_BITS[type]! : wantedBits
  switch (type) {
    case 'rsa':
      if (bits < RSA_BITS[0]!) {
        return bad(`RSA keys < ${RSA_BITS[0]} bits are unsafe and not supported: got ${bits}`)
      }
      return RSA_BITS.includes(bits)
        ? { type, bits }
        : bad(`unsupported bit length for RSA key: ${bits}`)
    case 'ec': {
      const curve = CURVES.get(bits)
      return curve === undefined
        ? bad(`unsupported bit length for EC key: ${bits}`)
        : { type, curve }
    }
    case 'ed25519':
      return { type }
    default:
      return bad(`unknown key type ${type}`)
  }
}

/** How a key of a kind is to sign; curves have hashes of their own. */
export function schemeOfBits(type: string, bits: number, usePss: boolean): SchemeChoice | Refusal {
  if (type !== 'rsa') return {}
  switch (bits) {
    case 0:
    case 256:
      return { hash: 'sha256', usePss }
    case 384:
      return { hash: 'sha384', usePss }
    case 512:
      return { hash: 'sha512', usePss }
    default:
      return bad(`unsupported hash signature algorithm: ${bits}`)
  }
}

/** How a private key is to be told. */
export interface KeyForm {
  /** Whether in base64 instead of PEM. */
  readonly isDer: boolean
  /** Whether as PKCS #8, instead of the form that its kind had before. */
  readonly isPkcs8: boolean
}

/** A private key as answers tell it, without a line end behind it. */
export function keyText(key: KeyObject, { isDer, isPkcs8 }: KeyForm): string {
  const type = isPkcs8 ? 'pkcs8' : OLD_FORMS[key.asymmetricKeyType as KeyType]
  return isDer
    ? key.export({ type, format: 'der' } as { type: 'pkcs8'; format: 'der' }).toString('base64')
    : key
        .export({ type, format: 'pem' } as { type: 'pkcs8'; format: 'pem' })
        .toString()
        .trimEnd()
}

const OLD_FORMS = { rsa: 'pkcs1', ec: 'sec1', ed25519: 'pkcs8' } as const
