/**
 * The roots of the agents' CA as a server holds them: sealed, opened when something is signed.
 *
 * Owns which root signs, which are trusted, and the making of new ones. Draws no randomness and
 * looks at no clock but what it is handed. Must never give out a private key.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { NONCE_SIZE_BYTES } from '../base/aead.ts'
import { assert } from '../base/assert.ts'
import type { WallMs } from '../base/brand.ts'
import type { Random } from '../base/clock.ts'
import type { CaRootRow, CaUse } from '../store/tables/cluster.ts'
import {
  crossesOf,
  issueLeaf,
  type Leaf,
  type LeafSubject,
  makeRoot,
  SERIAL_SIZE_BYTES,
  type SigningRoot,
} from './ca.ts'
import type { ClusterKey } from './cluster-key.ts'

const placeOf = (use: CaUse, generation: number): string => `ca/${use}/${generation}`

export class RootKeys {
  readonly #key: ClusterKey
  /** The newest first. */
  readonly #rows: readonly CaRootRow[]

  constructor(key: ClusterKey, rows: readonly CaRootRow[]) {
    this.#key = key
    this.#rows = rows.toSorted((a, b) => b.generation - a.generation)
  }

  /** Whether every root can be opened: with another cluster key none can. */
  get isOpen(): boolean {
    return this.#rows.every(row => this.#open(row) !== undefined)
  }

  /** The generation that signs. */
  generationOf(use: CaUse): number {
    return this.#of(use)[0]?.generation ?? 0
  }

  /** What is trusted, in PEM, the newest first. */
  trusted(use: CaUse): readonly string[] {
    return this.#of(use)
      .filter(({ retiredAtMs }) => retiredAtMs === 0)
      .map(({ certificate }) => certificate)
  }

  /** Issues a leaf by the newest root. */
  issue(
    use: CaUse,
    subject: LeafSubject,
    publicKey: KeyObject,
    { now, random }: { readonly now: WallMs; readonly random: Random },
  ): Leaf {
    const rows = this.#of(use)
    const root = this.#signing(use)
    assert(root !== undefined, `there is a root for ${use}`)
    const serial = random.bytes(SERIAL_SIZE_BYTES)
    return issueLeaf(subject, publicKey, root, crossesOf(rows), { serial, now })
  }

  /** A new root behind the newest, sealed. */
  next(use: CaUse, clusterId: string, now: WallMs, random: Random): CaRootRow {
    const before = this.#signing(use)
    const generation = (before?.generation ?? 0) + 1
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const root = makeRoot({
      ...{ use, generation, clusterId, now, before },
      ...{ publicKey: pair.publicKey, key: pair.privateKey },
      serial: random.bytes(SERIAL_SIZE_BYTES),
    })
    const bytes = pair.privateKey.export({ type: 'pkcs8', format: 'der' })
    const nonce = random.bytes(NONCE_SIZE_BYTES)
    const sealedKey = this.#key.seal(bytes, placeOf(use, generation), nonce)
    const { certificate, cross } = root
    return { use, generation, certificate, cross, sealedKey, createdAtMs: now, retiredAtMs: 0 }
  }

  #of(use: CaUse): CaRootRow[] {
    return this.#rows.filter(row => row.use === use)
  }

  #signing(use: CaUse): SigningRoot | undefined {
    const [row] = this.#of(use)
    const key = row === undefined ? undefined : this.#open(row)
    if (row === undefined || key === undefined) return undefined
    const { generation, certificate, cross } = row
    return { use, generation, certificate, cross, key }
  }

  #open({ use, generation, sealedKey }: CaRootRow): KeyObject | undefined {
    const bytes = this.#key.open(sealedKey, placeOf(use, generation))
    if (bytes === undefined) return undefined
    return createPrivateKey({ key: bytes, type: 'pkcs8', format: 'der' })
  }
}
