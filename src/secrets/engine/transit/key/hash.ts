/**
 * The hashes that transit knows, by the names that clients give them.
 *
 * Owns the table alone.
 */

export interface Hash {
  /** What node:crypto calls it. */
  readonly name: string
  readonly sizeBytes: number
  /** What stands before a digest in PKCS #1 v1.5 (RFC 8017, section 9.2, note 1). */
  readonly digestInfo: Buffer
}

const SHA2 = (name: string, sizeBytes: number, last: number): Hash => ({
  ...{ name, sizeBytes, digestInfo: digestInfoOf(sizeBytes, last) },
})

/** DigestInfo of the hashes under 2.16.840.1.101.3.4.2. */
const digestInfoOf = (sizeBytes: number, last: number): Buffer =>
  Buffer.from([
    ...[0x30, 17 + sizeBytes, 0x30, 13, 0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02],
    ...[last, 0x05, 0, 0x04, sizeBytes],
  ])

const SHA1: Hash = {
  name: 'sha1',
  sizeBytes: 20,
  digestInfo: Buffer.from('3021300906052b0e03021a05000414', 'hex'),
}

const hashes: ReadonlyMap<string, Hash> = new Map([
  ['sha1', SHA1],
  ['sha2-224', SHA2('sha224', 28, 4)],
  ['sha2-256', SHA2('sha256', 32, 1)],
  ['sha2-384', SHA2('sha384', 48, 2)],
  ['sha2-512', SHA2('sha512', 64, 3)],
  ['sha3-224', SHA2('sha3-224', 28, 7)],
  ['sha3-256', SHA2('sha3-256', 32, 8)],
  ['sha3-384', SHA2('sha3-384', 48, 9)],
  ['sha3-512', SHA2('sha3-512', 64, 10)],
])

export const DEFAULT_HASH = 'sha2-256'

/** The hash of a name, which may be anything. */
export const hashNamed = (name: string): Hash | undefined => hashes.get(name)
