/**
 * Rates are of kinds of requests and of addresses, whatever the face; the face of HTTP looks at
 * them closer (test/http/admission.test.ts).
 */
import t from 'tap'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { NO_RATES, RateGate } from '../../src/base/request-rates.ts'
import { FakeClock } from '../fake/clock.ts'

t.test('reads and writes are counted apart, of all and of one client', async t => {
  const clock = new FakeClock()
  const gate = new RateGate(
    { ...NO_RATES, mode: 'enforcing', readPerSecond: 0.1, clientWritePerSecond: 0.1 },
    { clock, log: silentLog, metrics: new Metrics(clock) },
  )
  t.ok(gate.isRated)
  t.same([gate.refuse('read')?.status, gate.refuse('read')?.status], [undefined, 429])
  t.equal(gate.refuse('write'), undefined, 'no rate is set for it')
  const write = (address: string) => gate.refuseClient('write', address)?.status
  t.same([write('10.0.0.1'), write('10.0.0.1'), write('10.0.0.2')], [undefined, 503, undefined])
  clock.elapse(10_000)
  t.equal(gate.refuse('read'), undefined)
  gate.setRates(NO_RATES)
  t.notOk(gate.isRated)
})
