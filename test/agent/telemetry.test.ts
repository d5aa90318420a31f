/**
 * Sinks as they are configured: fed at the end of each interval, with the naming of that moment.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import t from 'tap'
import { startSinks } from '../../src/agent/telemetry.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createResolver } from '../../src/base/io/dns2.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { until } from '../clients/process.ts'

const none = {
  prefix: 'consul',
  hostName: undefined,
  prefixFilter: [],
  filterDefault: true,
  prometheusRetentionMs: 0,
  statsd: undefined,
  statsite: undefined,
  dogstatsd: undefined,
  dogstatsdTags: [],
  hostMetrics: false,
}

t.test('statsd and DogStatsD get what was counted', async t => {
  const open = async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    t.teardown(() => socket.close())
    const got: string[] = []
    socket.on('message', message => got.push(message.toString()))
    return { at: { host: '127.0.0.1', port: socket.address().port }, got }
  }
  const [plain, dog] = [await open(), await open()]
  const metrics = new Metrics(systemClock)
  let prefix = 'consul'
  const telemetry = { ...none, statsd: plain.at, dogstatsd: dog.at, dogstatsdTags: ['a:b'] }
  const stop = startSinks(telemetry, {
    metrics,
    log: silentLog,
    resolver: createResolver({ clock: systemClock }),
    naming: () => ({ ...none, prefix }),
  })
  const counter = metrics.counter('raft.apply', 'writes')
  counter.add(2)
  metrics.endInterval()
  await until('both came', () => plain.got.length > 0 && dog.got.length > 0)
  t.same(plain.got, ['consul.raft.apply:2|c\n'])
  t.same(dog.got, ['consul.raft.apply:2|c|#a:b\n'])
  prefix = 'other'
  counter.add()
  metrics.endInterval()
  await until('the next came', () => plain.got.length > 1)
  t.equal(plain.got[1], 'other.raft.apply:1|c\n')
  stop()
})

t.test('gauges of the machine, when asked for', async t => {
  const metrics = new Metrics(systemClock)
  const ports = {
    metrics,
    log: silentLog,
    resolver: createResolver({ clock: systemClock }),
    naming: () => none,
  }
  startSinks(none, ports)()
  t.same(metrics.all(), [])
  startSinks({ ...none, hostMetrics: true }, ports)()
  const names = metrics.all().map(({ name }) => name)
  t.ok(names.includes('host.memory.used_percent') && names.includes('host.uptime'))
})
