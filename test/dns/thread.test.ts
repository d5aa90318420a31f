/** What the thread of DNS tells of its answers; what it answers is tested with the thread. */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { Tally } from '../../src/dns/thread.ts'
import type { Told } from '../../src/dns/thread-messages.ts'
import { FakeClock } from '../fake/clock.ts'

t.test('it tells once for many, each kind with the time that was taken last', async t => {
  const clock = new FakeClock()
  const told: Told[] = []
  const tally = new Tally(clock, one => told.push(structuredClone(one)))
  let timed = 0
  for (let i = 0; i < 40; i++) {
    const startedMs = tally.begin()
    if (startedMs !== undefined) {
      timed++
      await clock.advance(2)
    }
    tally.answered(i % 2 === 0 ? 1 : 33, 0, i === 7, startedMs)
  }
  t.equal(timed, 3, 'one in sixteen')
  tally.dropped()
  t.equal(told.length, 0)
  await clock.advance(limits.dnsThreadTellsMs)
  t.strictSame(told, [
    {
      ...{ udp: 40, dropped: 1, cut: 1 },
      answers: [
        { typeCode: 1, rcode: 0, tookMs: 2, count: 20 },
        { typeCode: 33, rcode: 0, tookMs: 0, count: 20 },
      ],
    },
  ])
  await clock.advance(10 * limits.dnsThreadTellsMs)
  t.equal(told.length, 1, 'nothing is told where nothing was done')
  tally.answered(1, 3, false, undefined)
  await clock.advance(limits.dnsThreadTellsMs)
  t.strictSame(told[1]?.answers, [{ typeCode: 1, rcode: 3, tookMs: 0, count: 1 }])
})
