/**
 * The heartbeat of an agent: when it beats, and when it takes another server.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/prng.ts'
import { ORIGIN } from '../../src/base/vivaldi.ts'
import { type Beat, Heartbeat, type Pace } from '../../src/cluster/liveness-agent.run.ts'
import { Prober, type ProberPorts } from '../../src/cluster/probe.run.ts'
import { FakeClock } from '../fake/clock.ts'

interface Opened {
  readonly beats: Beat[]
  isCancelled: boolean
  pace(pace: Pace): void
  end(): void
}

function agent(ask: ProberPorts['ask'] = async () => ({ coordinate: ORIGIN })) {
  const clock = new FakeClock()
  const random = seededRandom(Buffer.from('agent'))
  const prober = new Prober({ clock, random, ask })
  const streams: Opened[] = []
  const heartbeat = new Heartbeat({
    ...{ clock, random, log: silentLog, prober, address: () => 'here:1' },
    open(pace, onEnd) {
      const beats: Beat[] = []
      const opened = { beats, isCancelled: false, pace, end: () => onEnd('gone') }
      streams.push(opened)
      return {
        serverId: `s${streams.length}`,
        send: beat => beats.push(beat),
        cancel() {
          opened.isCancelled = true
        },
      }
    },
  })
  heartbeat.start()
  t.teardown(() => heartbeat.stop(false))
  const echo = (): void => {
    const stream = streams.at(-1)!
    const asked = stream.beats.findLast(beat => beat.echo !== undefined)!.echo!
    stream.pace({ echo: asked, coordinate: ORIGIN })
  }
  return { clock, prober, heartbeat, streams, echo }
}

t.test('the first beat says where it is reached; the others are empty', async t => {
  const { clock, streams, echo } = agent()
  t.strictSame(streams[0]!.beats, [{ address: 'here:1', echo: 1 }])
  echo()
  await clock.advance(limits.heartbeatMs * 4)
  t.ok(streams[0]!.beats.length >= 5, 'a beat at least every so often')
  t.strictSame(streams[0]!.beats[1], {})
})

t.test('the server says how often, within bounds', async t => {
  const { clock, streams, echo } = agent()
  echo()
  streams[0]!.pace({ beatMs: 10_000 })
  await clock.advance(2_500)
  const before = streams[0]!.beats.length
  await clock.advance(7_000)
  t.equal(streams[0]!.beats.length, before)
  streams[0]!.pace({ beatMs: 1 })
  await clock.advance(10_000)
  t.ok(streams[0]!.beats.length - before < 60)
})

t.test('where no echo comes it takes another server', async t => {
  const { clock, streams, echo } = agent()
  await clock.advance(limits.echoTimeoutMs + limits.heartbeatMs)
  t.equal(streams.length, 2)
  t.equal(streams[0]!.isCancelled, true)
  echo()
  await clock.advance(limits.echoMs + limits.heartbeatMs)
  t.equal(streams.length, 2)
  t.equal(streams[1]!.beats.filter(beat => beat.echo !== undefined).length, 2)
  await clock.advance(limits.echoTimeoutMs + limits.heartbeatMs)
  t.equal(streams.length, 3)
})

t.test(
  'where the stream ends it opens another, and what an old one says counts no more',
  async t => {
    const { clock, streams, heartbeat } = agent()
    streams[0]!.end()
    t.equal(streams.length, 2)
    t.equal(heartbeat.serverId, 's2')
    streams[0]!.end()
    streams[0]!.pace({ beatMs: 30_000 })
    t.equal(streams.length, 2)
    await clock.advance(limits.heartbeatMs)
    t.equal(streams[1]!.beats.length, 2)
  },
)

t.test('a peer that says that nobody hears it makes it connect anew, not too often', async t => {
  const { clock, streams, prober } = agent()
  prober.answer(true)
  t.equal(streams.length, 1)
  await clock.advance(limits.rehearMs)
  prober.answer(false)
  t.equal(streams.length, 1)
  prober.answer(true)
  prober.answer(true)
  t.equal(streams.length, 2)
})

t.test('what it is to look after it tells at once', async t => {
  const asked: string[] = []
  const { clock, streams } = agent(async ({ id, address }, isSilent) => {
    asked.push(`${id} ${address} ${isSilent}`)
    if (id === 'dead') throw new Error('nobody')
    return { coordinate: id === 'odd' ? undefined : ORIGIN }
  })
  const order = (id: string, isSilent = true) => ({ id, address: 'there:1', isSilent })
  streams[0]!.pace({ orders: [order('well'), order('dead'), order('odd'), order('far', false)] })
  await clock.advance(0)
  const findings = streams[0]!.beats.flatMap(beat => beat.findings ?? [])
  t.strictSame(
    findings.toSorted((a, b) => (a.target < b.target ? -1 : 1)),
    [
      { target: 'dead', isReachable: false },
      { target: 'odd', isReachable: true },
      { target: 'well', isReachable: true },
    ],
  )
  t.strictSame(
    asked.filter(one => one.startsWith('well')),
    ['well there:1 true', 'well there:1 false'],
  )
  t.strictSame(
    asked.filter(one => one.startsWith('far')),
    ['far there:1 false', 'far there:1 false'],
  )
})

t.test('it makes so many probes at a time and says nothing of the rest', async t => {
  const { clock, streams } = agent(() => new Promise(() => {}))
  const order = (at: number) => ({ id: `${at}`, address: 'there:1', isSilent: true })
  const count = limits.probesInFlight + 1
  streams[0]!.pace({ orders: Array.from({ length: count }, (_, at) => order(at)) })
  await clock.advance(0)
  t.strictSame(
    streams[0]!.beats.flatMap(beat => beat.findings ?? []),
    [],
  )
})

t.test('it says where it stands once it knows, and again when it has moved', async t => {
  const { clock, prober, streams, echo } = agent()
  echo()
  prober.measured('p', ORIGIN, 20)
  await clock.advance(limits.heartbeatMs)
  const told = () =>
    streams.flatMap(({ beats }) => beats.filter(beat => beat.coordinate !== undefined))
  t.equal(told().length, 1)
  await clock.advance(limits.coordinateMs * 2)
  t.equal(told().length, 1)
  for (let at = 0; at < 10; at++) prober.measured('p', ORIGIN, 60)
  await clock.advance(limits.heartbeatMs * 2)
  t.equal(told().length, 2)
})

t.test('who leaves says so, who stops is gone', async t => {
  const one = agent()
  one.heartbeat.stop(true)
  t.match(one.streams[0]!.beats.at(-1), { leaves: true })
  const other = agent()
  other.heartbeat.stop(false)
  t.equal(other.streams[0]!.isCancelled, true)
  other.streams[0]!.end()
  await other.clock.advance(60_000)
  t.equal(other.streams.length, 1)
  t.equal(other.clock.timers, 0)
})
