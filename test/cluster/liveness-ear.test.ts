/**
 * What a server hears, and that the holder ends up knowing it, whatever gets lost on the way.
 */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { Ear, type EarReport } from '../../src/cluster/liveness-ear.ts'
import { propertyRuns } from '../run/budget.ts'

const idsOf = ({ came, silent, left }: EarReport) => ({
  came: came.map(({ id }) => id),
  silent,
  left,
})

t.test('who came, who is silent, who left', async t => {
  const ear = new Ear()
  const streams = ['a', 'b', 'c'].map(id => ear.opened(id, `${id}:1`, 0))
  t.strictSame(idsOf(ear.take(0)), { came: ['a', 'b', 'c'], silent: [], left: [] })
  t.strictSame(idsOf(ear.take(0)), { came: [], silent: [], left: [] })
  ear.beat('a', streams[0]!, limits.silenceMs - 1)
  ear.left('c', streams[2]!)
  t.strictSame(idsOf(ear.take(limits.silenceMs)), { came: [], silent: ['b'], left: ['c'] })
  t.equal(ear.beat('b', streams[1]!, limits.silenceMs), false, 'given up: it connects anew')
  t.equal(ear.size, 1)
})

t.test('a stream that ended may be replaced within a moment', async t => {
  const ear = new Ear()
  const first = ear.opened('a', 'a:1', 0)
  ear.take(0)
  ear.closed('a', first, 100)
  ear.take(limits.reconnectMs)
  const second = ear.opened('a', 'a:1', limits.reconnectMs)
  ear.closed('a', first, limits.reconnectMs)
  t.strictSame(idsOf(ear.take(5_000)), { came: [], silent: [], left: [] })
  t.equal(ear.beat('a', first, 5_000), false)
  ear.closed('a', second, 5_000)
  t.strictSame(idsOf(ear.take(5_000 + limits.reconnectMs)).silent, ['a'])
})

t.test('with more agents each beats less often, and silence is judged by that', async t => {
  const ear = new Ear()
  t.equal(ear.paceMs, limits.heartbeatMs)
  const count = limits.heartbeatsPerSecond * 10
  for (let at = 0; at < count; at++) ear.opened(`${at}`, '', 0)
  t.equal(ear.paceMs, 10_000)
  while (ear.hasMore) ear.take(0)
  t.equal(ear.take(29_999).silent.length, 0)
  let silent = ear.take(30_000).silent.length
  t.equal(silent, limits.livenessReportNodes, 'a report has its bound')
  while (ear.hasMore) silent += ear.take(30_000).silent.length
  t.equal(silent, count)
})

const agent = fc.nat(7)
const event = fc.oneof(
  fc.record({ open: agent }),
  fc.record({ beat: agent }),
  fc.record({ close: agent }),
  fc.record({ leave: agent }),
  fc.record({ wait: fc.nat(8_000) }),
  fc.record({ tell: fc.constantFrom('arrives', 'lost', 'answer lost', 'holder anew') }),
)

t.test('in the end the holder knows what is heard', async () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), events => {
      const ear = new Ear()
      const streams = new Map<string, number>()
      let known = new Set<string>()
      let listed: Set<string> | undefined
      let nowMs = 0
      const apply = ({ came, silent, left, whole }: EarReport): void => {
        if (whole?.isFirst === true) listed = new Set()
        for (const { id } of came) {
          known.add(id)
          listed?.add(id)
        }
        for (const id of [...silent, ...left]) known.delete(id)
        if (whole?.isLast !== true || listed === undefined) return
        known = new Set([...known].filter(id => listed!.has(id)))
        listed = undefined
      }
      const tell = (how: string): void => {
        const report = ear.take(nowMs)
        if (how === 'holder anew') {
          known = new Set()
          ear.untold(report)
          ear.startWhole()
          return
        }
        if (how !== 'lost') apply(report)
        if (how !== 'arrives') ear.untold(report)
      }
      for (const one of events) {
        const [kind, value] = Object.entries(one)[0] as [string, number | string]
        const id = `n${value}`
        if (kind === 'open') streams.set(id, ear.opened(id, 'x', nowMs))
        else if (kind === 'wait') nowMs += Number(value)
        else if (kind === 'tell') tell(String(value))
        else if (streams.has(id)) {
          const stream = streams.get(id)!
          if (kind === 'beat') ear.beat(id, stream, nowMs)
          else if (kind === 'close') ear.closed(id, stream, nowMs)
          else ear.left(id, stream)
        }
      }
      do tell('arrives')
      while (ear.hasMore)
      const heard = [...streams].filter(([id, stream]) => ear.isCurrent(id, stream))
      const wrong = heard.filter(([id]) => !known.has(id))
      if (heard.length !== known.size || wrong.length > 0) {
        throw new Error(`heard ${heard.map(([id]) => id)}, known ${[...known]}`)
      }
    }),
    { numRuns: propertyRuns() * 5 },
  )
})
