/**
 * Shares: any threshold of them is enough, fewer tell nothing, and they are the shares that others
 * make and read.
 */
import fc from 'fast-check'
import t from 'tap'
import { systemRandom } from '../../../src/base/clock.ts'
import { combine, invert, multiply, split } from '../../../src/secrets/barrier/shamir.ts'
import { propertyRuns } from '../../run/budget.ts'

const hex = (text: string): Buffer => Buffer.from(text, 'hex')

t.test('the field is that of AES', async t => {
  // FIPS 197, 4.2 and 4.2.1.
  t.equal(multiply(0x57, 0x83), 0xc1)
  t.equal(multiply(0x57, 0x13), 0xfe)
  t.equal(multiply(0x57, 0x10), 0x07)
  t.equal(invert(0x53), 0xca)
  t.equal(invert(0), 0)
})

t.test('every product is that of polynomials, taken modulo x^8 + x^4 + x^3 + x + 1', async t => {
  let wrong = 0
  for (let a = 0; a < 256; a++) {
    for (let b = 0; b < 256; b++) if (multiply(a, b) !== slowProduct(a, b)) wrong++
  }
  t.equal(wrong, 0)
  for (let a = 1; a < 256; a++) if (multiply(a, invert(a)) !== 1) wrong++
  t.equal(wrong, 0)
})

/** Long multiplication, then long division. */
function slowProduct(a: number, b: number): number {
  let product = 0
  for (let bit = 0; bit < 8; bit++) if (b & (1 << bit)) product ^= a << bit
  for (let bit = 14; bit >= 8; bit--) if (product & (1 << bit)) product ^= 0x11b << (bit - 8)
  return product
}

t.test('shares of shamir-secret-sharing 0.0.4 are read', async t => {
  const shares = VECTORS.map(hex)
  const secret = hex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1cfdfeff')
  for (const [a, b, c] of [
    [0, 1, 2],
    [4, 2, 0],
    [3, 1, 4],
  ] as const) {
    t.strictSame(combine([shares[a]!, shares[b]!, shares[c]!]), secret)
  }
  t.strictSame(combine(shares), secret, 'all of them')
  t.notSame(combine(shares.slice(0, 2)), secret, 'one too few')
  t.strictSame(combine([hex(FAR[0]), hex(FAR[1])]), hex('ff00a5'), 'places up to 255')
})

t.test('any threshold of the shares gives the secret back', async () => {
  const wanted = fc
    .record({
      secret: fc.uint8Array({ minLength: 1, maxLength: 40 }),
      threshold: fc.integer({ min: 2, max: 12 }),
      more: fc.nat({ max: 12 }),
    })
    .chain(({ secret, threshold, more }) =>
      fc.record({
        secret: fc.constant(Buffer.from(secret)),
        threshold: fc.constant(threshold),
        count: fc.constant(threshold + more),
        order: fc.shuffledSubarray(
          Array.from({ length: threshold + more }, (_, i) => i),
          { minLength: threshold, maxLength: threshold + more },
        ),
      }),
    )
  fc.assert(
    fc.property(wanted, ({ secret, threshold, count, order }) => {
      const shares = split(secret, { count, threshold }, systemRandom)
      const places = new Set(shares.map(share => share.at(-1)))
      const got = combine(order.map(i => shares[i]!))
      return places.size === count && !places.has(0) && got?.equals(secret) === true
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('the largest number of shares', async t => {
  const secret = systemRandom.bytes(32)
  const shares = split(secret, { count: 255, threshold: 255 }, systemRandom)
  t.equal(new Set(shares.map(share => share.at(-1))).size, 255)
  t.strictSame(combine(shares), secret)
  t.notSame(combine(shares.slice(1)), secret)
})

t.test('one share fewer fits every secret as well as the true one', async t => {
  // With two shares of a threshold of three, each value at 0 has exactly one third share.
  const shares = split(Buffer.from([0x2a]), { count: 3, threshold: 3 }, systemRandom)
  const [a, b] = shares as [Buffer, Buffer]
  const place = shares[2]!.at(-1)!
  const seen = new Set<number>()
  for (let value = 0; value < 256; value++) {
    seen.add(combine([a, b, Buffer.from([value, place])])![0]!)
  }
  t.equal(seen.size, 256)
})

t.test('what cannot be shares of one secret is none', async t => {
  const [a, b, c] = split(hex('c0ffee'), { count: 3, threshold: 2 }, systemRandom) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  t.equal(combine([]), undefined)
  t.equal(combine([a]), undefined, 'one')
  t.equal(combine([a, a]), undefined, 'the same twice')
  t.equal(combine([a, b.subarray(1)]), undefined, 'of different lengths')
  t.equal(combine([a, Buffer.from([1, 2, 3, 0])]), undefined, 'at 0')
  t.equal(combine([Buffer.from([1]), Buffer.from([2])]), undefined, 'empty ones')
  t.strictSame(combine([b, c]), hex('c0ffee'))
})

/** Of a threshold of three. */
const VECTORS = [
  '8eb42b3a5fdf3641db24ec8df58b682e1a1b223960007f771f4daf23bdc6e6e63a',
  '0b7d7ac46b03d74655de2192c27ae4cad3787c4553b1ca960f31de18643fb5e29b',
  '1290c9d6730aad4383ac15d0e60fccc8f0c15741f00debdb71059dbf6e5439f8cf',
  '909f6edd05088ad181d5c2813b119d0c95d93bd683a594c50596d3ce4e316dfb82',
  '73189e3b612f90cb94e6e1b6883a553d2870e0ae7ecb85d7ab14d7dfbac7a3f046',
] as const

/** Two of 255 shares. */
const FAR = ['97892afa', '3672458c'] as const
