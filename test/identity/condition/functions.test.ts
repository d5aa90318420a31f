/**
 * The functions of conditions: times against the runtime's own, whatever the machine's zone is.
 */
import fc from 'fast-check'
import t from 'tap'
import {
  isInCidr,
  isMatch,
  TIME_PARTS,
  timePart,
  zoneProblem,
} from '../../../src/identity/condition/functions.ts'
import { Meter } from '../../../src/identity/condition/meter.ts'
import { propertyRuns } from '../../run/budget.ts'

const meter = new Meter()
const partsAt = (iso: string, zone = ''): number[] =>
  TIME_PARTS.map(part => {
    meter.start(10_000)
    return Number(timePart(part, Date.parse(iso), zone, meter))
  })

t.test('parts of times', async t => {
  //   year, month, date, day of month, of week, of year, hours, minutes, seconds, milliseconds
  t.same(partsAt('2026-11-23T09:30:15.250Z'), [2026, 10, 23, 22, 1, 326, 9, 30, 15, 250])
  t.same(partsAt('2026-01-01T00:00:00Z'), [2026, 0, 1, 0, 4, 0, 0, 0, 0, 0])
  t.same(partsAt('2024-12-31T23:59:59Z'), [2024, 11, 31, 30, 2, 365, 23, 59, 59, 0])
  t.same(partsAt('2026-11-23T23:30:00Z', '+01:00'), [2026, 10, 24, 23, 2, 327, 0, 30, 0, 0])
  t.same(partsAt('2026-11-23T00:30:00Z', '-05:30'), [2026, 10, 22, 21, 0, 325, 19, 0, 0, 0])
  t.same(partsAt('2026-11-23T00:30:00Z', 'UTC'), partsAt('2026-11-23T00:30:00Z'))
  t.same(partsAt('2026-11-23T09:30:15.250Z', 'Europe/Berlin').slice(6), [10, 30, 15, 250])
  t.same(partsAt('2026-07-23T09:30:00Z', 'Europe/Berlin').slice(6, 8), [11, 30])
  // An hour that this zone does not have on that day.
  t.same(partsAt('2026-03-29T01:30:00Z', 'Europe/Berlin').slice(6, 8), [3, 30])
  t.same(partsAt('2026-03-29T02:30:00Z').slice(6, 8), [2, 30])
  t.equal(zoneProblem('America/New_York'), undefined)
  t.equal(zoneProblem('x'), 'there is no time zone "x"')
})

t.test('days of any time are those of the calendar', async () => {
  const time = fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
  fc.assert(
    fc.property(time, date => {
      meter.start(10_000)
      const of = (part: (typeof TIME_PARTS)[number]): number =>
        Number(timePart(part, date.getTime(), '', meter))
      const start = Date.UTC(of('getFullYear'), of('getMonth'), of('getDate'))
      if (new Date(start).toISOString().slice(0, 10) !== date.toISOString().slice(0, 10)) {
        throw new Error(date.toISOString())
      }
      const first = Date.UTC(of('getFullYear'), 0, 1 + of('getDayOfYear'))
      if (first !== start) throw new Error(`day ${of('getDayOfYear')} of ${date.toISOString()}`)
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('addresses in ranges', async t => {
  t.ok(isInCidr('10.1.2.3', '10.0.0.0/8'))
  t.ok(isInCidr('::ffff:10.1.2.3', '10.0.0.0/8'), 'in another spelling')
  t.ok(isInCidr('fd00::1', 'fd00::/8'))
  t.ok(isInCidr('192.0.2.1', '192.0.2.1'))
  t.notOk(isInCidr('11.1.2.3', '10.0.0.0/8'))
  t.notOk(isInCidr('fd00::1', '10.0.0.0/8'))
  t.throws(() => isInCidr('here', '10.0.0.0/8'), /no address/)
  t.throws(() => isInCidr('10.1.2.3', '10.0.0.0/33'), /no range/)
})

t.test('patterns cost what they take, and end when there is no more', async t => {
  meter.start(10_000)
  t.equal(isMatch('aaab', 'a+b$', meter), true)
  t.ok(meter.left < 10_000)
  meter.start(100)
  t.throws(() => isMatch('x'.repeat(100_000), '(x+x+)+y', meter))
  t.ok(meter.left <= 0)
})
