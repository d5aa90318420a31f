/**
 * Seeded randomness: the same seed gives the same numbers, for decides that are run again and for
 * simulations. Owns one small generator (SplitMix-like, 32 bits); never for keys or tokens of the
 * outside world unless the seed itself came from the system's entropy, as `seedFrom` takes care of.
 */
import { createHash } from 'node:crypto'
import type { Random } from './clock.ts'

const SEED_SIZE_BYTES = 16

/** A fresh seed from a source of randomness. */
export const seedFrom = (random: Random): Buffer => random.bytes(SEED_SIZE_BYTES)

/**
 * A Random that gives the same values for the same seed: a hash of the seed and a counter. Nothing
 * is computed before the first value is asked for, since most rules ask for none.
 */
export function seededRandom(seed: Buffer): Random {
  let counter = 0
  const block = (): Buffer => createHash('sha256').update(seed).update(String(counter++)).digest()
  const bytes = (sizeBytes: number): Buffer => {
    const blocks: Buffer[] = []
    for (let size = 0; size < sizeBytes; size += 32) blocks.push(block())
    return Buffer.concat(blocks, sizeBytes)
  }
  return {
    bytes,
    fraction: () => block().readUIntBE(0, 6) / 2 ** 48,
    uuid: () => {
      const raw = bytes(16)
      raw[6] = (raw[6]! & 0x0f) | 0x40
      raw[8] = (raw[8]! & 0x3f) | 0x80
      const hex = raw.toString('hex')
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    },
  }
}
