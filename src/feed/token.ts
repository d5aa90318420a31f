/**
 * Resume tokens: where a reader of a feed stands, in his own keeping.
 *
 * Owns their form. A token says of which store, question, filter and rights the state is that its
 * holder has, each by a hash, and at which revision. It gives no right, and whoever forges one
 * deceives nobody but himself. The same on all servers of a cluster. Pure.
 */
import { hash } from 'node:crypto'
import { type Revision, revision } from '../base/brand.ts'

/** What a token is about. */
export interface Stand {
  /** The store's cluster and generation: a restore makes another one. */
  readonly store: string
  /** Topic and subject. */
  readonly question: string
  readonly filter: string
  readonly rights: string
}

const FORMAT = 1
const REVISION_SIZE_BYTES = 6
const PART_SIZE_BYTES = 4
const PARTS = ['store', 'question', 'filter', 'rights'] as const
const SIZE_BYTES = 1 + REVISION_SIZE_BYTES + PARTS.length * PART_SIZE_BYTES

/** The parts of a stand as a token holds them: made once, and used for all tokens of it. */
export const stampOf = (stand: Stand): Buffer =>
  Buffer.concat(PARTS.map(part => partOf(stand[part])))

const partOf = (text: string): Buffer => hash('sha256', text, 'buffer').subarray(0, PART_SIZE_BYTES)

/** The token of a state at a revision. */
export function tokenOf(stamp: Buffer, at: Revision): string {
  const bytes = Buffer.allocUnsafe(SIZE_BYTES)
  bytes[0] = FORMAT
  bytes.writeUIntBE(at, 1, REVISION_SIZE_BYTES)
  stamp.copy(bytes, 1 + REVISION_SIZE_BYTES)
  return bytes.toString('base64url')
}

/** What a token says; undefined for what is none. */
export function readToken(token: string): { at: Revision; stamp: Buffer } | undefined {
  if (!/^[\w-]+$/.test(token) || token.length > 2 * SIZE_BYTES) return undefined
  const bytes = Buffer.from(token, 'base64url')
  if (bytes.length !== SIZE_BYTES || bytes[0] !== FORMAT) return undefined
  if (bytes.toString('base64url') !== token) return undefined
  return {
    at: revision(bytes.readUIntBE(1, REVISION_SIZE_BYTES)),
    stamp: bytes.subarray(1 + REVISION_SIZE_BYTES),
  }
}

/** The first part in which two stamps differ; undefined where they are the same. */
export function differenceOf(one: Buffer, other: Buffer): keyof Stand | undefined {
  return PARTS.find((_, i) => {
    const from = i * PART_SIZE_BYTES
    return one.compare(other, from, from + PART_SIZE_BYTES, from, from + PART_SIZE_BYTES) !== 0
  })
}
