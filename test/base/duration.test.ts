/**
 * Durations as Go reads and prints them.
 */
import fc from 'fast-check'
import t from 'tap'
import { formatDuration, parseDurationMs } from '../../src/base/duration.ts'
import { propertyRuns } from '../run/budget.ts'

t.test('texts that Go takes', async t => {
  const cases: [string, number][] = [
    ['0', 0],
    ['5s', 5_000],
    ['+5s', 5_000],
    ['-5s', -5_000],
    ['-0', 0],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['1.s', 1_000],
    ['10ms', 10],
    ['1us', 0.001],
    ['1µs', 0.001],
    ['1μs', 0.001],
    ['100ns', 0.0001],
    ['1h1m1s1ms', 3_661_001],
    ['2540400h', 2_540_400 * 3_600_000],
  ]
  for (const [text, ms] of cases) t.ok(Math.abs(parseDurationMs(text)! - ms) < 1e-9, text)
})

t.test('texts that Go refuses', async t => {
  const texts = ['', '5', 's', '5d', '5 s', 's5', '1h-30m', '--5s', '.s', '5S', '1e3s', '2562048h']
  for (const text of [...texts, '+', '-', ' 5s', '5s ', '0x5s', '٥s']) {
    t.equal(parseDurationMs(text), undefined, JSON.stringify(text))
  }
})

t.test('printed as Go does', async t => {
  const cases: [number, string][] = [
    [0, '0s'],
    [1, '1ms'],
    [1_500, '1.5s'],
    [60_000, '1m0s'],
    [3_600_000, '1h0m0s'],
    [5_400_000, '1h30m0s'],
    [-90_000, '-1m30s'],
    [0.0015, '1.5µs'],
    [0.0001, '100ns'],
    [86_400_000, '24h0m0s'],
    [962_072_674_295, '267242h24m34.295s'],
    [59_000.5, '59.0005s'],
    [1_999.9999999, '2s'],
    [999.9999999, '1s'],
    [59_999.999999, '59.999999999s'],
  ]
  for (const [ms, text] of cases) t.equal(formatDuration(ms), text)
})

t.test('what is printed is read again', async t => {
  const ms = fc.integer({ min: -(2 ** 40), max: 2 ** 40 })
  const property = fc.property(ms, ms => parseDurationMs(formatDuration(ms)) === ms)
  fc.assert(property, { numRuns: propertyRuns() })
  t.pass('equal')
})
