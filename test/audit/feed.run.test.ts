/**
 * The way to one device: in order and without gaps, whatever the device does; later and later after
 * faults; and never in anybody's way.
 */
import t, { type Test } from 'tap'
import type { Device, Shipment, SinkSettings } from '../../src/audit/device.ts'
import { Feed } from '../../src/audit/feed.run.ts'
import { wallMs } from '../../src/base/brand.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { type Log, silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import type { Store } from '../../src/store/store.ts'
import { until } from '../clients/process.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { memoryStore } from './support.ts'

const sink: SinkSettings = { name: 'one', type: 'file', values: {} }

/** A device that notes what it is given, and does as the test says. */
class Double implements Device {
  readonly got: number[] = []
  writes = 0
  reopened = 0
  closed = 0
  isSettled = 0
  /** Called before a shipment is taken. */
  onWrite: (shipment: Shipment, signal: AbortSignal) => Promise<void> = async () => {}
  newestRecord: number | undefined
  findNewest: () => Promise<number | undefined> = async () => this.newestRecord

  async write(shipment: Shipment, signal: AbortSignal): Promise<void> {
    this.writes++
    await this.onWrite(shipment, signal)
    this.got.push(...shipment.records.map(({ sequence }) => sequence))
  }

  async settle(): Promise<void> {
    this.isSettled++
  }

  newest(): Promise<number | undefined> {
    return this.findNewest()
  }

  async reopen(): Promise<void> {
    this.reopened++
  }

  async close(): Promise<void> {
    this.closed++
  }
}

interface Made {
  readonly store: Store
  readonly device: Double
  readonly clock: FakeClock
  readonly log: string[]
  readonly metrics: Metrics
  feed(sequence?: number): Feed
}

function make(t: Test): Made {
  const store = memoryStore()
  const clock = new FakeClock()
  const device = new Double()
  const log: string[] = []
  const noting = (level: string) => (message: string) => void log.push(`${level}: ${message}`)
  const noted: Log = {
    ...silentLog,
    info: noting('info'),
    warn: noting('warn'),
    error: noting('error'),
  }
  const metrics = new Metrics(clock)
  const ports = { journal: store.journal, clock, random: systemRandom, log: noted, metrics }
  const feeds: Feed[] = []
  t.teardown(async () => {
    const stopping = Promise.all(feeds.map(feed => feed.stop()))
    await clock.advance(60_000)
    await stopping
    await store.close()
  })
  const feed = (sequence = 0): Feed => {
    const made = new Feed(sink, device, ports, sequence)
    feeds.push(made)
    made.start()
    return made
  }
  return { store, device, clock, log, metrics, feed }
}

async function append(store: Store, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await store.journal.append(Buffer.from(`{"i":${i}}`))
}

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i)

t.test('all that is there, then whatever comes', async t => {
  const { store, device, clock, feed } = make(t)
  await append(store, 3)
  const fed = feed()
  await until('the first', () => device.got.length === 3)
  await append(store, 2)
  await clock.advance(limits.auditRestMs)
  await until('the others', () => device.got.length === 5)
  t.same(device.got, range(1, 5))
  t.match(fed.state, { name: 'one', type: 'file', sequence: 5, lag: 0, fault: '' })
  t.equal(fed.settled, 0)
  await fed.settle()
  t.equal(fed.settled, 5)
  t.equal(device.isSettled, 1)
  await fed.settle()
  t.equal(device.isSettled, 1, 'once')
})

t.test('after a write records gather for a moment, and no longer than anybody waits', async t => {
  const { store, device, clock, feed } = make(t)
  const fed = feed()
  await append(store, 1)
  await until('the first, at once', () => device.got.length === 1)
  for (let i = 0; i < 10; i++) await append(store, 1)
  await clock.advance(limits.auditRestMs - 1)
  t.equal(device.writes, 1)
  await clock.advance(1)
  await until('the others', () => device.got.length === 11)
  t.equal(device.writes, 2, 'in one write')
  await append(store, limits.auditBatchRecords)
  await until('as many as one write takes', () => fed.lag === 0)
  await append(store, 1)
  const unfollow = fed.onTaken(() => {})
  await until('what somebody waits for', () => fed.lag === 0)
  unfollow()
  await append(store, 1)
  fed.reopen()
  await until('what lies behind a new file', () => fed.lag === 0)
})

t.test('it goes on behind what was noted, or what the device has itself', async t => {
  const { store, device, feed } = make(t)
  await append(store, 9)
  device.newestRecord = 6
  feed(4)
  await until('the rest', () => device.got.length === 3)
  t.same(device.got, [7, 8, 9])
})

t.test('a journal that began anew is fed from its begin', async t => {
  const { store, device, log, feed } = make(t)
  await append(store, 3)
  feed(100)
  await until('all', () => device.got.length === 3)
  t.same(device.got, [1, 2, 3])
  t.same(log, ['warn: an audit device has records of another journal'])
})

t.test('a device that fails gets the same again, later and later, and is told of once', async t => {
  const { store, device, clock, log, metrics, feed } = make(t)
  await append(store, 2)
  device.onWrite = () => Promise.reject(new Error('no route to host'))
  const fed = feed()
  await until('a try', () => device.writes === 1)
  await settled()
  t.match(fed.state, { sequence: 0, lag: 2, fault: 'no route to host' })
  let waitedMs = 0
  for (const tries of [2, 3, 4, 5]) {
    const before = waitedMs
    while (device.writes < tries) {
      await clock.advance(50)
      waitedMs += 50
    }
    const stepMs = limits.auditRetryMs * 2 ** (tries - 2)
    t.ok(waitedMs - before >= stepMs && waitedMs - before <= stepMs * 1.25 + 50, `try ${tries}`)
  }
  t.ok(device.closed >= 4, 'each begins anew')
  t.same(log, ['warn: an audit device takes nothing'])
  device.onWrite = async () => {}
  await append(store, 1)
  await clock.advance(limits.auditRetryMaxMs * 2)
  await until('all', () => device.got.length === 3)
  t.same(device.got, [1, 2, 3])
  t.same(log, ['warn: an audit device takes nothing', 'info: an audit device takes records again'])
  const errors = metrics.counter('audit.sink.errors', '', { sink: 'one' })
  t.equal(errors.total.sum, 5)
  t.equal(fed.lag, 0)
})

t.test('a device that hangs is left at its deadline, even if it minds no signal', async t => {
  const { store, device, clock, feed } = make(t)
  await append(store, 1)
  let signal: AbortSignal | undefined
  device.onWrite = (_, given) => {
    signal = given
    return new Promise(() => {})
  }
  const fed = feed()
  await until('it hangs', () => device.writes === 1)
  await append(store, 500)
  t.equal(store.journal.head().sequence, 501, 'nobody is held up')
  await clock.advance(limits.auditWriteTimeoutMs - 1)
  t.equal(fed.state.fault, '')
  await clock.advance(1)
  t.match(fed.state.fault, /nothing was taken within 10000 ms/)
  t.ok(signal?.aborted)
  device.onWrite = async () => {}
  await clock.advance(limits.auditRetryMaxMs)
  await until('all', () => device.got.length === 501)
  t.same(device.got, range(1, 501), 'from the journal, in order')
})

t.test('a shipment has its bounds', async t => {
  const { store, device, clock, feed } = make(t)
  const large = Buffer.from(JSON.stringify({ x: 'x'.repeat(100_000) }))
  for (let i = 0; i < 5; i++) await store.journal.append(large)
  await append(store, 1_000)
  const sizes: [number, number][] = []
  device.onWrite = async ({ lines }) => {
    sizes.push([lines.length, lines.reduce((sum, { length }) => sum + length, 0)])
  }
  feed()
  await until('all', async () => {
    await clock.advance(limits.auditRestMs)
    return device.got.length === 1_005
  })
  t.same(device.got, range(1, 1_005))
  t.ok(
    sizes.every(
      ([count, size]) => count <= limits.auditBatchRecords && size <= limits.auditBatchSizeBytes,
    ),
  )
})

t.test('what was trimmed before the device had it is told', async t => {
  const { store, device, clock, log, metrics, feed } = make(t)
  await append(store, 2)
  let isFailing = true
  device.onWrite = async () => {
    if (isFailing) throw new Error('no')
  }
  feed()
  await until('a try', () => device.writes === 1)
  await append(store, 600)
  await store.journal.trim(store.journal.excess(0, wallMs(0)))
  await append(store, 1)
  const floor = store.journal.floor().sequence
  t.ok(floor > 100)
  isFailing = false
  await clock.advance(limits.auditRetryMaxMs)
  await until('the rest', () => device.got.at(-1) === 603)
  t.equal(device.got[0], floor + 1)
  t.match(log, ['warn: an audit device takes nothing', 'error: an audit device will never get'])
  t.equal(metrics.counter('audit.sink.lost', '', { sink: 'one' }).total.sum, floor)
})

t.test('a device that cannot tell what it has is asked again before it is written to', async t => {
  const { store, device, clock, feed } = make(t)
  await append(store, 5)
  let asked = 0
  device.findNewest = async () => {
    if (asked++ < 2) throw new Error('the folder is missing')
    return 4
  }
  feed()
  await until('asked', () => asked === 1)
  await clock.advance(limits.auditRetryMaxMs)
  await until('the rest', () => device.got.length === 1)
  t.same(device.got, [5], 'nothing twice')
})

t.test('reopening comes before the next write, also while nothing is there', async t => {
  const { store, device, feed } = make(t)
  const fed = feed()
  await settled()
  fed.reopen()
  await until('reopened', () => device.reopened === 1)
  await append(store, 1)
  await until('it goes on', () => device.got.length === 1)
})

t.test('a stop waits a while for what is there, and no longer', async t => {
  const { store, device, clock, feed } = make(t)
  await append(store, 300)
  const fed = feed()
  await fed.stop()
  t.same(device.got, range(1, 300), 'a device that takes records gets them')
  t.equal(fed.settled, 300)
  const hanging = make(t)
  await append(hanging.store, 1)
  hanging.device.onWrite = () => new Promise(() => {})
  const stuck = hanging.feed()
  await until('it hangs', () => hanging.device.writes === 1)
  let isOver = false
  const stopping = stuck.stop().then(() => {
    isOver = true
  })
  await settled()
  t.notOk(isOver)
  await hanging.clock.advance(limits.auditStopMs)
  await stopping
  t.equal(stuck.settled, 0)
  t.ok(clock.timers === 0 && hanging.clock.timers === 0, 'no timer is left')
})
