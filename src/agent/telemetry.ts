/**
 * Where the agent sends its metrics by itself, and the gauges of the machine.
 *
 * Owns the sinks' life: fed whenever an interval ends, closed with the agent.
 */
import { isIP } from 'node:net'
import { availableParallelism, cpus, freemem, loadavg, totalmem, uptime } from 'node:os'
import type { Resolver } from '../base/io/dns2.ts'
import { type MetricsSink, type SinkPorts, tcpSink, udpSink } from '../base/io/metrics-sink.ts'
import type { Log } from '../base/log.ts'
import type { Metrics } from '../base/metrics.ts'
import type { MetricNaming } from '../base/metrics-forms.ts'
import { dogstatsdLines, statsdLines } from '../base/metrics-lines.ts'
import type { Config } from './config.ts'

export interface TelemetryPorts {
  readonly metrics: Metrics
  readonly log: Log
  readonly resolver: Resolver
  /** Asked at each interval, so that a reload is followed. */
  readonly naming: () => MetricNaming
}

/** Feeds the sinks that are configured; gives what ends that. */
export function startSinks(telemetry: Config['telemetry'], ports: TelemetryPorts): () => void {
  const { metrics, naming, resolver, log } = ports
  const sinkPorts: SinkPorts = {
    log,
    addressesOf: async host => (isIP(host) === 0 ? resolver.addressesOf(host) : [host]),
  }
  const { statsd, statsite, dogstatsd, dogstatsdTags } = telemetry
  const sinks: { readonly sink: MetricsSink; readonly lines: () => string[] }[] = []
  const plain = (): string[] => statsdLines(metrics, naming())
  if (statsd !== undefined) sinks.push({ sink: udpSink(statsd, sinkPorts), lines: plain })
  if (statsite !== undefined) sinks.push({ sink: tcpSink(statsite, sinkPorts), lines: plain })
  if (dogstatsd !== undefined) {
    const lines = (): string[] => dogstatsdLines(metrics, naming(), dogstatsdTags)
    sinks.push({ sink: udpSink(dogstatsd, sinkPorts), lines })
  }
  if (telemetry.hostMetrics) addHostGauges(metrics)
  if (sinks.length === 0) return () => {}
  const stop = metrics.onInterval(() => {
    for (const { sink, lines } of sinks) void sink.send(lines())
  })
  return () => {
    stop()
    for (const { sink } of sinks) sink.close()
  }
}

/** What `enable_host_metrics` adds, under Consul's names. */
function addHostGauges(metrics: Metrics): void {
  const host = (name: string, help: string, read: () => number): void =>
    metrics.gauge(`host.${name}`, help, read)
  host('memory.total', 'Memory of the machine, bytes.', totalmem)
  host('memory.free', 'Memory that nobody uses, bytes.', freemem)
  host('memory.used', 'Memory that is used, bytes.', () => totalmem() - freemem())
  host('memory.used_percent', 'Memory that is used.', () => (1 - freemem() / totalmem()) * 100)
  host('uptime', 'Seconds since the machine started.', uptime)
  host('load.per_cpu', 'Load of the last minute for each processor.', () => {
    return loadavg()[0]! / availableParallelism()
  })
  const times = ['user', 'sys', 'idle'] as const
  for (const name of times) {
    const label = name === 'sys' ? 'system' : name
    const read = (): number => cpus().reduce((sum, { times }) => sum + times[name], 0)
    host(`cpu.total.${label}_ms`, 'Time of all processors since the start, milliseconds.', read)
  }
}
