/**
 * The holder's judging of 100,000 nodes on three servers: what its pieces take, and that one server
 * that falls silent with a third of them marks nobody while others reach them.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { seededRandom } from '../../src/base/prng.ts'
import { Liveness, type ProbeOrder } from '../../src/cluster/liveness.ts'

const NODES = 100_000
const SERVERS = ['s0', 's1', 's2']
/** Processor time of this thread: on a machine that others use, too, the clock tells of them. */
const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
const round = (value: number): number => Number(value.toFixed(1))

t.test('a hundred thousand nodes', async t => {
  let nowMs = 1_000
  const liveness = new Liveness(
    {
      random: seededRandom(Buffer.from('holder')),
      distanceS: () => Number.POSITIVE_INFINITY,
      storedOf: () => 'passing',
    },
    nowMs,
  )
  const ids = Array.from({ length: NODES }, (_, at) => `n${at}`)
  for (const id of ids) liveness.known(id, `${id}:1`, 'passing', nowMs)
  let longestReportMs = 0
  for (const [server, name] of SERVERS.entries()) {
    const own = ids.filter((_, at) => at % SERVERS.length === server)
    for (let at = 0; at < own.length; at += limits.livenessReportNodes) {
      const page = own.slice(at, at + limits.livenessReportNodes)
      const came = page.map(id => ({ id, address: `${id}:1` }))
      const isLast = at + page.length === own.length
      const whole = { isFirst: at === 0, isLast }
      const startedMs = cpuMs()
      liveness.report(name, { came, silent: [], left: [], whole }, nowMs)
      longestReportMs = Math.max(longestReportMs, cpuMs() - startedMs)
    }
  }
  t.equal(liveness.status.nodes.heard, NODES)

  const quiet = { came: [], silent: [], left: [] }
  let ticksMs: number[] = []
  const slowest = (part: number): number => {
    const sorted = ticksMs.toSorted((a, b) => a - b)
    return round(sorted[Math.ceil(part * sorted.length) - 1]!)
  }
  let orders = 0
  let mostOrders = 0
  let marks = 0
  const pending: ProbeOrder[] = []
  const run = (seconds: number, reporting: readonly string[]): void => {
    for (const endMs = nowMs + seconds * 1_000; nowMs < endMs; nowMs += limits.livenessTickMs) {
      if (nowMs % 1_000 === 0) for (const name of reporting) liveness.report(name, quiet, nowMs)
      for (const { prober, target } of pending.splice(0)) {
        liveness.probed(prober, target, true, nowMs)
      }
      for (let isMore = true; isMore; ) {
        const startedMs = cpuMs()
        const ticked = liveness.tick(nowMs)
        ticksMs.push(cpuMs() - startedMs)
        pending.push(...ticked.orders)
        orders += ticked.orders.length
        mostOrders = Math.max(mostOrders, ticked.orders.length)
        marks += ticked.marks.length
        isMore = ticked.isMore
      }
    }
  }
  run(20, SERVERS)
  t.equal(marks, 0)
  const steadyMs = slowest(0.99)
  ticksMs = []
  run(120, SERVERS.slice(1))
  const { nodes, brake } = liveness.status
  t.equal(marks, 0)
  t.ok(mostOrders < limits.livenessOrdersPerTick + limits.probers, `${mostOrders} in one piece`)
  t.match(brake?.reason, /fell silent within 10 s/)
  t.equal(nodes.heard + nodes.suspect + nodes.vouched, NODES)
  t.comment(
    `a page of ${limits.livenessReportNodes} takes up to ${round(longestReportMs)} ms; ticks (p99) ` +
      `${steadyMs} ms, with a third silent ${slowest(0.99)} ms (the longest ${slowest(1)} ms); after ` +
      `two minutes others had reached ${nodes.vouched} of ${NODES - nodes.heard}, by ${orders} orders`,
  )
})
