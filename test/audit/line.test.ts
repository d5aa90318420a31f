/**
 * Lines of devices: they prove themselves, and tell what is missing, changed, moved or torn.
 */
import t from 'tap'
import { LineProof, lineOf, type Proof, parseLine } from '../../src/audit/line.ts'
import { limits } from '../../src/base/limits.ts'
import { seeded } from '../fake/random.ts'
import { isLong, untilBudget } from '../run/budget.ts'
import { shipment } from './support.ts'

const linesOf = (count: number): string[] =>
  shipment(count).lines.map(line => line.toString('utf8').trimEnd())

function prove(lines: readonly string[], proof = new LineProof()): Proof {
  for (const [at, line] of lines.entries()) proof.take(line, `line ${at + 1}`)
  return proof.result()
}

t.test('a line is the record with its chain, and is read back', async t => {
  const { records } = shipment(2)
  const line = lineOf(records[1]!).toString('utf8')
  t.match(line, /^\{"v":1,"seq":2,"time":"[^"]+","server":.*,"chain":"[0-9a-f]{64}"\}\n$/)
  t.equal(JSON.parse(line).seq, 2)
  const read = parseLine(line.trimEnd())!
  t.same(read.text, records[1]!.text)
  t.same(read.chain, records[1]!.chain)
  for (const bad of [
    '',
    '{}',
    'x',
    line.slice(0, 50),
    line.trimEnd().slice(1),
    'x'.repeat(limits.auditLineChars + 1),
  ]) {
    t.equal(parseLine(bad), undefined, bad.slice(0, 20))
  }
})

t.test('whole lines are proven, from the first on or from any other', async t => {
  const lines = linesOf(10)
  t.match(prove(lines), {
    count: 10,
    first: 1,
    last: 10,
    faults: [],
    isAnchored: true,
    repeated: 0,
  })
  t.match(prove(lines.slice(4)), { count: 6, first: 5, last: 10, faults: [], isAnchored: false })
  const { records } = shipment(3)
  const anchored = new LineProof(records[0]!)
  t.match(
    prove(
      records.slice(1).map(record => lineOf(record).toString().trimEnd()),
      anchored,
    ),
    {
      faults: [],
      isAnchored: true,
      last: 3,
    },
  )
  t.match(prove([]), { count: 0, first: 0, last: 0 })
})

t.test('what is wrong is named with its line', async t => {
  const lines = linesOf(10)
  const without = (...gone: number[]): string[] => lines.filter((_, at) => !gone.includes(at))
  t.same(prove(without(4)).faults, ['line 5: record 5 is missing'])
  t.same(prove(without(4, 5)).faults, ['line 5: records 5 to 6 are missing'])
  const changed = lines.with(3, lines[3]!.replace('"i":4', '"i":5'))
  t.same(prove(changed).faults, ['line 4: record 4 does not fit its chain: it was changed'])
  const torn = lines.with(3, lines[3]!.slice(0, 60))
  t.match(prove(torn).faults, [
    'line 4: no record, or not the whole of one',
    'line 5: record 4 is missing',
  ])
  const swapped = [...lines.slice(0, 3), lines[4]!, lines[3]!, ...lines.slice(5)]
  t.match(prove(swapped).faults, [
    'line 4: record 4 is missing',
    'line 5: record 4 stands behind record 5',
  ])
})

t.test('what was sent again is no fault, unless it says something else', async t => {
  const lines = linesOf(10)
  const again = [...lines.slice(0, 6), ...lines.slice(2, 6), ...lines.slice(6)]
  t.match(prove(again), { count: 10, repeated: 4, faults: [], last: 10 })
  const forged = [...lines.slice(0, 6), lines[2]!.replace('"i":3', '"i":9'), ...lines.slice(6)]
  t.same(prove(forged).faults.length, 2)
})

t.test('any one change of any line is found', async t => {
  const lines = linesOf(20)
  const count = await untilBudget('changed lines', 20_000, index => {
    const draw = seeded(index)
    const at = draw.below(lines.length)
    const line = lines[at]!
    const place = draw.below(line.length)
    const char = String.fromCharCode(32 + draw.below(95))
    if (char === line[place]) return
    const changed = line.slice(0, place) + char + line.slice(place + 1)
    const { faults } = prove(lines.with(at, changed))
    if (faults.length === 0) throw new Error(`case ${index}: ${changed}`)
  })
  t.ok(count >= (isLong ? 20_000 : 1))
})

t.test('a proof names so many faults, and no more', async t => {
  const { faults } = prove(Array.from({ length: 100 }, () => 'nonsense'))
  t.equal(faults.length, limits.auditFaultsKept)
})
