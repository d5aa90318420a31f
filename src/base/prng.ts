/**
 * Seeded randomness: the same seed gives the same numbers, for decides that are run again and for
 * simulations. Owns one small generator (SplitMix-like, 32 bits); never for keys or tokens of the
 * outside world unless the seed itself came from the system's entropy, as `seedFrom` takes care of.
 */
import { createHash } from 'node:crypto'
import type { Random } from './clock.ts'

/** As much as the longest keys hold that are drawn of it. */
const SEED_SIZE_BYTES = 32

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

/**
 * A quick draw of fractions in [0, 1): for choices by the thousand that nobody gains from guessing.
 * Leaves nothing behind that would have to be collected, as hashes and the system's entropy do.
 * Of `seed` 16 bytes are used. Chris Doty-Humphrey's generator of 128 bits (sfc32).
 */
export function quickRandom(seed: Buffer): Pick<Random, 'fraction'> {
  let [a, b, c, counter] = [0, 4, 8, 12].map(at => seed.readUInt32LE(at)) as Four
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  // The first values tell of the seed's bytes.
  for (let round = 0; round < WARM_UP_ROUNDS; round++) next()
  return { fraction: () => next() / 2 ** 32 }
}

type Four = [number, number, number, number]
const WARM_UP_ROUNDS = 12
