/** Durations: any text is one or is not, at once, and what is printed reads the same again. */
import t from 'tap'
import { formatDuration, parseDurationMs } from '../../src/base/duration.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, stockOf } from './mutate.ts'

const texts = [
  '1h30m',
  '500ms',
  '-1.5s',
  '+0.25h',
  '0',
  '10s',
  '1us1ns',
  '3µs',
  '2μs',
  '.5m',
  '7.s',
]
const stock = stockOf(texts, ['h', 'm', 's', 'ms', '.', '-', '9223372036', '0000000000', '1e9'])
/** Go's grammar: a sign, then numbers each with a unit, or a lone 0. */
const GRAMMAR = /^[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$/
const PARTS = /([\d.]+)([^\d.]+)/g
const UNITS = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 36e5 }
const LONGEST_MS = 9_223_372_036_854

t.test('any text', async t => {
  const count = await untilBudget(
    'durations',
    1_500_000,
    casesOf({ make: draw => mutated(draw, stock).toString(), run: hold, show: JSON.stringify }),
  )
  t.ok(count > 0)
})

function hold(text: string): void {
  const given = parseDurationMs(text)
  const wanted = expected(text)
  const isAsExpected = wanted === undefined ? given === undefined : isNear(given, wanted)
  if (!isAsExpected) throw new Error(`${given} instead of ${wanted}`)
  if (given === undefined) return
  const printed = formatDuration(given)
  if (!isNear(parseDurationMs(printed), given)) throw new Error(`${given} is printed as ${printed}`)
}

function expected(text: string): number | undefined {
  if (!GRAMMAR.test(text)) return undefined
  const parts = [...text.matchAll(PARTS)]
  const sizes = parts.map(([, count, unit]) => Number(count) * UNITS[unit as keyof typeof UNITS])
  const sum = sizes.reduce((total, size) => total + size, 0)
  if (sum > LONGEST_MS) return undefined
  return text.startsWith('-') ? -sum : sum
}

/** Within half a nanosecond, or what a number of this size cannot hold. */
function isNear(given: number | undefined, wanted: number): boolean {
  return given !== undefined && Math.abs(given - wanted) <= 0.5e-6 + Math.abs(wanted) * 2 ** -50
}
