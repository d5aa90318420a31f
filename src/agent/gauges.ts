/**
 * The gauges of the agent as a whole: what its store holds, who waits, and how the process fares.
 *
 * Owns their names: Consul's where it has them, `runtime.` and `rpc.` names of ours beside them.
 * Each is read when somebody looks, and must be cheap then.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { limits } from '../base/limits.ts'
import type { Metrics } from '../base/metrics.ts'
import { inSlices } from '../base/slices.ts'
import type { Timeouts } from '../base/timeouts.ts'
import { type ClientFacts, type ClusterPort, peersOf } from '../cluster/port.ts'
import type { Asker } from '../store/ask.ts'
import type { Store } from '../store/store.ts'
import { kv } from '../store/tables/kv.ts'
import { nodes } from '../store/tables/node.ts'
import { services } from '../store/tables/service.ts'
import { sessions } from '../store/tables/session.ts'

export interface GaugePorts {
  readonly metrics: Metrics
  readonly store: Store
  readonly asker: Asker
  readonly timeouts: Timeouts
  /** Timers that are set, all of the process. */
  readonly timers: () => number
  readonly datacenter: string
  readonly nodeId: string
  readonly cluster: Pick<ClusterPort, 'servers' | 'clients' | 'leader' | 'failureTolerance'>
}

/** Adds all gauges; gives what ends the observation that some need. */
export function addGauges(ports: GaugePorts): () => void {
  const { metrics, store, asker, datacenter, nodeId, cluster } = ports
  const labels = { datacenter }
  const state = (name: string, help: string, read: () => number): void =>
    metrics.gauge(`state.${name}`, help, read, labels)
  state('nodes', 'Nodes in the catalog.', () => store.view().count(nodes))
  state('service_instances', 'Instances in the catalog.', () => store.view().count(services))
  state('kv_entries', 'Keys of the key/value store.', () => store.view().count(kv))
  state('sessions', 'Sessions.', () => store.view().count(sessions))
  const alive = (): number => cluster.servers().filter(one => one.status === 'alive').length
  metrics.gauge('members.servers', 'Servers that are alive.', alive, labels)
  const clients = clientCount(ports)
  metrics.gauge('members.clients', "Alive agents that are no servers'.", clients, labels)
  metrics.gauge('autopilot.healthy', 'Whether all servers are well: 1 or 0.', () =>
    peersOf(cluster).every(({ isHealthy }) => isHealthy) ? 1 : 0,
  )
  const tolerance = (): number => cluster.failureTolerance()
  metrics.gauge('autopilot.failure_tolerance', 'Servers that may fail.', tolerance)
  metrics.gauge('server.is_leader', 'Whether this server keeps the time: 1 or 0.', () =>
    cluster.leader()?.nodeId === nodeId ? 1 : 0,
  )
  metrics.gauge('server.view_age', 'Milliseconds since the view was the newest for sure.', () => {
    const ageMs = asker.age.ageMs()
    return Number.isFinite(ageMs) ? Math.round(ageMs) : 0
  })
  metrics.gauge('raft.applied_index', 'Revision that is shown.', () => store.view().revision)
  metrics.gauge('raft.last_index', 'Revision that is durable.', () => store.status().revision)
  return addProcessGauges(ports)
}

/**
 * Counts the agents that live when the store has changed: at once where there are few nodes, else
 * in slices, so that who looks then sees what was counted after the look before.
 */
function clientCount({ store, cluster }: Pick<GaugePorts, 'store' | 'cluster'>): () => number {
  let counted = 0
  let countedAt = -1
  let isCounting = false
  const isAlive = (client: ClientFacts | undefined): boolean => client?.isAlive === true
  return () => {
    const { revision } = store.view()
    if (revision === countedAt || isCounting) return counted
    countedAt = revision
    if (store.view().count(nodes) <= limits.gaugeNodes) {
      counted = [...cluster.clients()].filter(isAlive).length
      return counted
    }
    isCounting = true
    let found = 0
    const count = (client: ClientFacts | undefined): void => {
      if (isAlive(client)) found++
    }
    void inSlices(cluster.clients(), count).then(() => {
      counted = found
      isCounting = false
    })
    return counted
  }
}

/** Those of any agent's process; gives what ends the observation that some need. */
export function addProcessGauges(
  ports: Pick<GaugePorts, 'metrics' | 'asker' | 'timeouts' | 'timers'>,
): () => void {
  const { metrics, asker, timeouts, timers } = ports
  metrics.gauge('rpc.queries_blocking', 'Blocking queries.', () => asker.waiting)
  metrics.gauge('runtime.timeouts', 'Coarse time-outs that are set.', () => timeouts.waiting)
  metrics.gauge('runtime.timers', 'Timers that are set.', timers)
  const handles = (): number => process.getActiveResourcesInfo().length
  metrics.gauge('runtime.num_goroutines', 'Handles and requests that hold the loop.', handles)
  const memory = process.memoryUsage
  metrics.gauge(
    'runtime.alloc_bytes',
    'Memory of objects that are in use.',
    () => memory().heapUsed,
  )
  metrics.gauge('runtime.sys_bytes', 'Memory of the process.', () => memory.rss())
  return observeCollections(metrics, asker)
}

const { NODE_PERFORMANCE_GC_MAJOR } = constants

/** What the entries of the collector have besides. */
type Collection = PerformanceEntry & { readonly detail: { readonly kind?: number } }

/** What lives after a full collection, and how many waited then. */
interface Live {
  readonly sizeBytes: number
  readonly waiting: number
}

/** Fewer waiters more tell nothing: their memory is lost among that of others. */
const TELLING_WAITERS = 1_000

/**
 * Pauses of the collector; and what a waiter costs, told by two full collections between which
 * their number changed: what else grew meanwhile counts to it, so it is an upper bound.
 */
function observeCollections(metrics: Metrics, asker: Asker): () => void {
  const pauses = metrics.sample('runtime.gc_pause_ns', 'Pauses of the collector, nanoseconds.')
  let runs = 0
  let fullRuns = 0
  let fewest: Live | undefined
  let bytesPerWaiter = 0
  let live = 0
  const observer = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) {
      runs++
      pauses.add(entry.duration * NS_PER_MS)
      const { kind } = (entry as Collection).detail
      if (kind === NODE_PERFORMANCE_GC_MAJOR) note()
    }
  })
  const note = (): void => {
    const { heapUsed, external } = process.memoryUsage()
    const now = { sizeBytes: heapUsed + external, waiting: asker.waiting }
    live = now.sizeBytes
    fullRuns++
    if (fewest !== undefined && now.waiting - fewest.waiting >= TELLING_WAITERS) {
      const grown = Math.max(0, now.sizeBytes - fewest.sizeBytes)
      bytesPerWaiter = grown / (now.waiting - fewest.waiting)
    }
    if (fewest === undefined || now.waiting <= fewest.waiting) fewest = now
  }
  observer.observe({ entryTypes: ['gc'] })
  metrics.gauge('runtime.total_gc_runs', 'Collections since the start.', () => runs)
  metrics.gauge('runtime.full_collections', 'Full ones among them.', () => fullRuns)
  const total = (): number => pauses.total.sum
  metrics.gauge('runtime.total_gc_pause_ns', 'All pauses, nanoseconds.', total)
  metrics.gauge('runtime.live_bytes', 'Memory in use after the last full collection.', () => live)
  const help = 'Bytes that a blocking query costs, by the last two full collections.'
  metrics.gauge('rpc.bytes_per_blocking_query', help, () => bytesPerWaiter)
  return () => observer.disconnect()
}

const NS_PER_MS = 1e6
