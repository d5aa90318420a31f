/**
 * Encrypting to an OpenPGP key (RFC 4880, RFC 6637): shares and root tokens for those who hold
 * them.
 *
 * Owns the few forms that this takes: public keys of version 4, RSA or ECDH, and one message to one
 * key. It reads no message, and trusts the key as it was handed in: whoever names it vouches for
 * it, so that signatures tell which part encrypts and are not verified. Everything read is bounded.
 */
import {
  constants,
  createCipheriv,
  createECDH,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  publicEncrypt,
} from 'node:crypto'
import type { WallMs } from '../../base/brand.ts'
import type { Random } from '../../base/clock.ts'

/** A key that can be encrypted to. */
export interface PgpKey {
  /** Of the primary key, in hexadecimal. */
  readonly fingerprint: string
  /** The part that encrypts. */
  readonly encrypting: PublicPart
}

interface PublicPart {
  readonly algorithm: number
  readonly createdS: number
  readonly fingerprint: Buffer
  readonly material: Buffer
}

const Tag = { session: 1, signature: 2, primary: 6, literal: 11, subkey: 14, sealed: 18, mdc: 19 }
const RSA: readonly number[] = [1, 2]
const ECDH = 18
/** Flags of a key that encrypts communication, or storage. */
const ENCRYPTS = 0x04 | 0x08
const KEY_TEXT_MAX_CHARS = 262_144

/** A key in base64; undefined where it cannot be read, or nothing of it encrypts by `now`. */
export function readPgpKey(text: string, now: WallMs): PgpKey | undefined {
  if (text.length > KEY_TEXT_MAX_CHARS || !/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(text))
    return undefined
  try {
    return readKey(packetsOf(Buffer.from(text, 'base64')), Math.floor(now / 1_000))
  } catch (error) {
    // What ends too early or says wrong lengths is no key.
    if (error instanceof RangeError) return undefined
    throw error
  }
}

interface Packet {
  readonly tag: number
  readonly body: Buffer
}

function packetsOf(bytes: Buffer): Packet[] {
  const packets: Packet[] = []
  for (let at = 0; at < bytes.length; ) {
    const head = bytes.readUInt8(at)
    if ((head & 0x80) === 0) throw new RangeError('no packet')
    const isNew = (head & 0x40) !== 0
    const { length, bodyAt } = isNew ? newLength(bytes, at + 1) : oldLength(bytes, at + 1, head & 3)
    if (bodyAt + length > bytes.length) throw new RangeError('a packet ends too early')
    const tag = isNew ? head & 0x3f : (head & 0x3c) >> 2
    packets.push({ tag, body: bytes.subarray(bodyAt, bodyAt + length) })
    at = bodyAt + length
  }
  return packets
}

interface Length {
  readonly length: number
  readonly bodyAt: number
}

function newLength(bytes: Buffer, at: number): Length {
  const first = bytes.readUInt8(at)
  if (first < 192) return { length: first, bodyAt: at + 1 }
  if (first < 224) {
    return { length: ((first - 192) << 8) + bytes.readUInt8(at + 1) + 192, bodyAt: at + 2 }
  }
  if (first < 255) throw new RangeError('keys have no partial lengths')
  return { length: bytes.readUInt32BE(at + 1), bodyAt: at + 5 }
}

function oldLength(bytes: Buffer, at: number, kind: number): Length {
  if (kind === 3) throw new RangeError('keys have no open lengths')
  const size = 1 << kind
  return { length: bytes.readUIntBE(at, size), bodyAt: at + size }
}

/** A part of a key with what its own signatures say of it. */
interface Candidate {
  readonly part: PublicPart
  flags: number | undefined
  lifetimeS: number
  isRevoked: boolean
}

function readKey(packets: readonly Packet[], nowS: number): PgpKey | undefined {
  const candidates: Candidate[] = []
  for (const { tag, body } of packets) {
    const isPart = tag === Tag.primary || tag === Tag.subkey
    if (candidates.length === 0 && tag !== Tag.primary) return undefined
    // A second primary key begins somebody else's.
    if (candidates.length > 0 && tag === Tag.primary) break
    if (isPart) {
      const part = partOf(body)
      candidates.push({ part, flags: undefined, lifetimeS: 0, isRevoked: false })
    } else if (tag === Tag.signature) applySignature(candidates.at(-1)!, body)
  }
  const [primary, ...subkeys] = candidates
  if (primary === undefined || primary.isRevoked || isOver(primary, nowS)) return undefined
  const usable = subkeys.filter(one => !one.isRevoked && !isOver(one, nowS) && encrypts(one))
  const newest = usable.sort((a, b) => b.part.createdS - a.part.createdS)[0]
  const chosen = newest ?? (encrypts(primary) ? primary : undefined)
  if (chosen === undefined || !canEncrypt(chosen.part)) return undefined
  return { fingerprint: primary.part.fingerprint.toString('hex'), encrypting: chosen.part }
}

/** Whether numbers, curve and ciphers of a part are right: known before anything depends on it. */
function canEncrypt(part: PublicPart): boolean {
  try {
    wrapSession(part, Buffer.alloc(SESSION_KEY_SIZE_BYTES + 3))
    return true
  } catch {
    // OpenSSL tells in many ways that numbers are no key.
    return false
  }
}

const isOver = ({ part, lifetimeS }: Candidate, nowS: number): boolean =>
  lifetimeS > 0 && part.createdS + lifetimeS <= nowS

const encrypts = ({ part, flags }: Candidate): boolean =>
  (RSA.includes(part.algorithm) || part.algorithm === ECDH) &&
  (flags === undefined || (flags & ENCRYPTS) !== 0)

function partOf(body: Buffer): PublicPart {
  if (body.readUInt8(0) !== 4) throw new RangeError('keys of version 4 alone')
  const head = Buffer.from([0x99, body.length >> 8, body.length & 0xff])
  const fingerprint = createHash('sha1').update(head).update(body).digest()
  const material = body.subarray(6)
  return { algorithm: body.readUInt8(5), createdS: body.readUInt32BE(1), fingerprint, material }
}

/** Types of signatures: of a user id, of a subkey, on a key itself, and their revocations. */
const SELF = [0x10, 0x11, 0x12, 0x13, 0x18, 0x1f]
const REVOCATIONS = [0x20, 0x28]
const KEY_LIFETIME = 9
const KEY_FLAGS = 27

function applySignature(to: Candidate, body: Buffer): void {
  if (body.readUInt8(0) !== 4) return
  const type = body.readUInt8(1)
  if (REVOCATIONS.includes(type)) to.isRevoked = true
  if (!SELF.includes(type)) return
  const hashed = body.subarray(6, 6 + body.readUInt16BE(4))
  for (let at = 0; at < hashed.length; ) {
    const { length, bodyAt } = newLength(hashed, at)
    const subtype = hashed.readUInt8(bodyAt) & 0x7f
    if (subtype === KEY_LIFETIME) to.lifetimeS = hashed.readUInt32BE(bodyAt + 1)
    if (subtype === KEY_FLAGS && length > 1) to.flags = hashed.readUInt8(bodyAt + 1)
    at = bodyAt + length
  }
}

const AES_256 = 9
const SESSION_KEY_SIZE_BYTES = 32
const BLOCK_SIZE_BYTES = 16

/** A message that the holder of the key alone can read: binary, as `gpg --decrypt` takes it. */
export function encryptTo({ encrypting }: PgpKey, content: Buffer, random: Random): Buffer {
  const key = random.bytes(SESSION_KEY_SIZE_BYTES)
  const sum = key.reduce((a, b) => a + b, 0) & 0xffff
  const session = Buffer.from([AES_256, ...key, sum >> 8, sum & 0xff])
  const wrapped = wrapSession(encrypting, session)
  const keyId = encrypting.fingerprint.subarray(-8)
  const head = Buffer.concat([Buffer.from([3]), keyId, Buffer.from([encrypting.algorithm])])
  const literal = packet(Tag.literal, Buffer.from([0x62, 0, 0, 0, 0, 0]), content)
  const start = random.bytes(BLOCK_SIZE_BYTES)
  const body = Buffer.concat([start, start.subarray(-2), literal, Buffer.from([0xd3, 0x14])])
  const cipher = createCipheriv('aes-256-cfb', key, Buffer.alloc(BLOCK_SIZE_BYTES))
  const sealed = [cipher.update(body), cipher.update(hash('sha1', body, 'buffer')), cipher.final()]
  for (const secret of [key, session, body, literal]) secret.fill(0)
  return Buffer.concat([
    packet(Tag.session, head, wrapped),
    packet(Tag.sealed, Buffer.from([1]), ...sealed),
  ])
}

const wrapSession = (part: PublicPart, session: Buffer): Buffer =>
  part.algorithm === ECDH ? toCurve(part, session) : toRsa(part, session)

function packet(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const length = Buffer.alloc(5, 0xff)
  length.writeUInt32BE(body.length, 1)
  return Buffer.concat([Buffer.from([0xc0 | tag]), length, body])
}

/** A number as OpenPGP writes one: its bits, then its bytes. */
function mpi(number: Buffer): Buffer {
  let at = 0
  while (at < number.length - 1 && number[at] === 0) at++
  const bytes = number.subarray(at)
  const bits = bytes.length * 8 - (Math.clz32(bytes[0] ?? 0) - 24)
  return Buffer.concat([Buffer.from([bits >> 8, bits & 0xff]), bytes])
}

/** The numbers at the beginning of a part's material. */
function mpisOf(material: Buffer, count: number): Buffer[] {
  const numbers: Buffer[] = []
  for (let at = 0; numbers.length < count; ) {
    const end = at + 2 + ((material.readUInt16BE(at) + 7) >> 3)
    if (end > material.length) throw new RangeError('a number ends too early')
    numbers.push(material.subarray(at + 2, end))
    at = end
  }
  return numbers
}

function toRsa({ material }: PublicPart, session: Buffer): Buffer {
  const [n = '', e = ''] = mpisOf(material, 2).map(number => number.toString('base64url'))
  const key = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })
  return mpi(publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, session))
}

/** Curves by their object identifiers, with what node:crypto calls them. */
const CURVES: ReadonlyMap<string, string> = new Map([
  ['2b060104019755010501', 'x25519'],
  ['2a8648ce3d030107', 'prime256v1'],
  ['2b81040022', 'secp384r1'],
  ['2b81040023', 'secp521r1'],
])
const HASHES: ReadonlyMap<number, string> = new Map([
  [8, 'sha256'],
  [9, 'sha384'],
  [10, 'sha512'],
])
const WRAP_KEY_SIZE_BYTES: ReadonlyMap<number, number> = new Map([
  [7, 16],
  [8, 24],
  [9, 32],
])
/** The session key is padded to this, so that its length does not tell which cipher it is for. */
const PADDED_SIZE_BYTES = 40

function toCurve({ material, fingerprint }: PublicPart, session: Buffer): Buffer {
  const oidEnd = 1 + material.readUInt8(0)
  const [point = Buffer.alloc(0)] = mpisOf(material.subarray(oidEnd), 1)
  const kdf = material.subarray(oidEnd + 2 + point.length)
  const curve = CURVES.get(material.toString('hex', 1, oidEnd)) ?? unsupported()
  const hashName = HASHES.get(kdf.readUInt8(2)) ?? unsupported()
  const wrapSize = WRAP_KEY_SIZE_BYTES.get(kdf.readUInt8(3)) ?? unsupported()
  const { ephemeral, shared } = curve === 'x25519' ? agreeX25519(point) : agreeNist(curve, point)
  const sender = Buffer.from('Anonymous Sender    ')
  const about = [material.subarray(0, oidEnd), Buffer.from([ECDH]), kdf.subarray(0, 4), sender]
  const derived = createHash(hashName)
    .update(Buffer.from([0, 0, 0, 1]))
    .update(shared)
  for (const part of [...about, fingerprint]) derived.update(part)
  const wrapKey = derived.digest().subarray(0, wrapSize)
  const padding = PADDED_SIZE_BYTES - session.length
  const padded = Buffer.concat([session, Buffer.alloc(padding, padding)])
  const iv = Buffer.alloc(8, 0xa6)
  const wrap = createCipheriv(`id-aes${wrapSize * 8}-wrap`, wrapKey, iv)
  const wrapped = Buffer.concat([wrap.update(padded), wrap.final()])
  for (const secret of [shared, wrapKey, padded]) secret.fill(0)
  return Buffer.concat([mpi(ephemeral), Buffer.from([wrapped.length]), wrapped])
}

function unsupported(): never {
  throw new RangeError('a curve or a cipher of it is not known')
}

interface Agreed {
  readonly ephemeral: Buffer
  readonly shared: Buffer
}

function agreeX25519(point: Buffer): Agreed {
  const x = point.subarray(1).toString('base64url')
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' })
  const own = generateKeyPairSync('x25519')
  const ownX = Buffer.from(own.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  const shared = diffieHellman({ privateKey: own.privateKey, publicKey })
  return { ephemeral: Buffer.concat([Buffer.from([0x40]), ownX]), shared }
}

function agreeNist(curve: string, point: Buffer): Agreed {
  const own = createECDH(curve)
  own.generateKeys()
  return { ephemeral: own.getPublicKey(), shared: own.computeSecret(point) }
}
