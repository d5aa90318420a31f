/**
 * Keys that are drawn for certificates and told once.
 *
 * Owns their forms. What node:crypto exports of a curve's key is put together here: its own
 * encoders take three times as long as drawing the key. Keeps no key.
 */
import { createECDH, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import { joined } from '../../../../x509/encode.ts'
import { pemOf } from '../../../../x509/pem.ts'

/** A key that was drawn. */
export interface DrawnKey {
  readonly type: 'rsa' | 'ec' | 'ed25519'
  /** Its public half, as certificates carry it. */
  readonly spki: Buffer
  /** In the form that its kind had before PKCS #8: PKCS #1, SEC 1; Ed25519 had none. */
  readonly own: Buffer
  readonly pkcs8: Buffer
}

/** A kind of key that a role gives. */
export interface KeyWanted {
  readonly type: string
  readonly bits: number
}

/** Draws a key: of a curve at once, of RSA in a thread. */
export function drawKey(
  arithmetic: Arithmetic,
  { type, bits }: KeyWanted,
): DrawnKey | Promise<DrawnKey> {
  if (type === 'ed25519') return ed25519Key()
  const curve = type === 'ec' ? CURVES.get(bits) : undefined
  if (curve !== undefined) return curveKey(curve)
  return arithmetic.generateKey({ type: 'rsa', bits }).then(rsaKey)
}

interface Curve {
  readonly name: string
  /** Of a coordinate, and of the private number. */
  readonly sizeBytes: number
  /** The identifier, in DER. */
  readonly oid: Buffer
}

const CURVES = new Map<number, Curve>([
  [224, { name: 'secp224r1', sizeBytes: 28, oid: Buffer.from('06052b81040021', 'hex') }],
  [256, { name: 'prime256v1', sizeBytes: 32, oid: Buffer.from('06082a8648ce3d030107', 'hex') }],
  [384, { name: 'secp384r1', sizeBytes: 48, oid: Buffer.from('06052b81040022', 'hex') }],
  [521, { name: 'secp521r1', sizeBytes: 66, oid: Buffer.from('06052b81040023', 'hex') }],
])

/** Tags of X.690; the last two are context's. */
const Tag = { sequence: 0x30, octets: 0x04, bits: 0x03, first: 0xa0, second: 0xa1 } as const
const VERSION_0 = Buffer.from('020100', 'hex')
const VERSION_1 = Buffer.from('020101', 'hex')
const WHOLE = Buffer.of(0)
const EC_KEY = Buffer.from('06072a8648ce3d0201', 'hex')
const ED25519 = Buffer.from('300506032b6570', 'hex')

function curveKey({ name, sizeBytes, oid }: Curve): DrawnKey {
  // A pair for key agreement is drawn as any other, and gives its numbers for a third of the price.
  const pair = createECDH(name)
  const point = joined(Tag.bits, [WHOLE, pair.generateKeys()])
  const number = pair.getPrivateKey()
  const padded = Buffer.concat([Buffer.alloc(sizeBytes - number.length), number])
  const secret = joined(Tag.octets, [padded])
  const kind = joined(Tag.sequence, [EC_KEY, oid])
  const behind = joined(Tag.second, [point])
  const inner = joined(Tag.sequence, [VERSION_1, secret, behind])
  return {
    type: 'ec',
    spki: joined(Tag.sequence, [kind, point]),
    own: joined(Tag.sequence, [VERSION_1, secret, joined(Tag.first, [oid]), behind]),
    pkcs8: joined(Tag.sequence, [VERSION_0, kind, joined(Tag.octets, [inner])]),
  }
}

function ed25519Key(): DrawnKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const point = joined(Tag.bits, [WHOLE, rawOf(publicKey, 'raw-public')])
  const secret = joined(Tag.octets, [joined(Tag.octets, [rawOf(privateKey, 'raw-private')])])
  const pkcs8 = joined(Tag.sequence, [VERSION_0, ED25519, secret])
  return { type: 'ed25519', spki: joined(Tag.sequence, [ED25519, point]), own: pkcs8, pkcs8 }
}

/** Node's types do not know these formats yet. */
const rawOf = (key: KeyObject, format: 'raw-private' | 'raw-public'): Buffer =>
  key.export({ format } as never) as unknown as Buffer

function rsaKey(key: KeyObject): DrawnKey {
  const own = key.export({ type: 'pkcs1', format: 'der' })
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' })
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  return { type: 'rsa', spki, own, pkcs8 }
}

const LABELS = { rsa: 'RSA PRIVATE KEY', ec: 'EC PRIVATE KEY', ed25519: 'PRIVATE KEY' } as const

/** A key as answers tell it: in PEM, or in base64; in the form that its kind had, or PKCS #8. */
export function keyText(
  { type, own, pkcs8 }: DrawnKey,
  { isDer, isPkcs8 }: { readonly isDer: boolean; readonly isPkcs8: boolean },
): string {
  const der = isPkcs8 ? pkcs8 : own
  return isDer
    ? der.toString('base64')
    : pemOf(isPkcs8 ? 'PRIVATE KEY' : LABELS[type], der).trimEnd()
}
