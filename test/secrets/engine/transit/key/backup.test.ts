/** Backups with anything in any place are restored or refused; nothing else ever comes of them. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import tap from 'tap'
import { Refusal } from '../../../../../src/base/errors.ts'
import { parseExact, stringifyExact } from '../../../../../src/base/exact-json.ts'
import { readBackup } from '../../../../../src/secrets/engine/transit/key/backup.ts'
import { propertyRuns } from '../../../../run/budget.ts'
import { vectorsIn } from '../transit.ts'
import type { KeyVector } from '../vectors/vectors.ts'

const { keys } = vectorsIn<{ keys: KeyVector[] }>('keys.json')
// Without the newline at the end: cut off there, a backup would still be whole.
const texts = keys.map(({ backup }) => Buffer.from(backup, 'base64').toString().trimEnd())

type Part = Record<string, unknown> | unknown[]

/** All places in a value: what holds them, and their name there. */
function placesIn(value: unknown): { readonly holder: Part; readonly name: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const holder = value as Part
  return Object.keys(holder).flatMap(name => [
    { holder, name },
    ...placesIn((holder as Record<string, unknown>)[name]),
  ])
}

const strange = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.bigInt(),
  fc.constantFrom('constructor', '__proto__', '', 'AAAA', [], {}, null, -1, 1e300, 2 ** 31),
)

tap.test('a backup with something else in a place is no more than refused', t => {
  fc.assert(
    fc.property(
      fc.nat(texts.length - 1),
      fc.nat(),
      strange,
      fc.boolean(),
      (which, at, value, gone) => {
        const whole = parseExact(texts[which]!)
        const places = placesIn(whole)
        const { holder, name } = places[at % places.length]!
        if (gone && !Array.isArray(holder)) delete holder[name]
        else Object.defineProperty(holder, name, { value, enumerable: true })
        const read = readBackup(Buffer.from(stringifyExact(whole)).toString('base64'))
        if (read instanceof Refusal) return assert.equal(read.status, 400)
        for (const { version, createdAtMs } of read.versions) {
          assert.ok(version >= 1 && version <= read.row.latest)
          assert.ok(new Date(createdAtMs).toISOString() !== '')
        }
      },
    ),
    { numRuns: propertyRuns() * 5 },
  )
  t.end()
})

tap.test('a backup that is cut off or spoilt is no more than refused', t => {
  fc.assert(
    fc.property(fc.nat(texts.length - 1), fc.nat(), fc.nat(255), (which, at, byte) => {
      const bytes = Buffer.from(texts[which]!)
      const place = at % bytes.length
      const cut = readBackup(bytes.subarray(0, place).toString('base64'))
      assert.ok(cut instanceof Refusal && cut.status === 400)
      bytes[place] = byte
      const spoilt = readBackup(bytes.toString('base64'))
      assert.ok(!(spoilt instanceof Refusal) || spoilt.status === 400)
    }),
    { numRuns: propertyRuns() },
  )
  t.end()
})
