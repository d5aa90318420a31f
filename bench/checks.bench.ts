/**
 * 5,000 HTTP checks at 10 s on one agent: what they cost of a core, and what others notice.
 *
 * The limit is a program of node:http that makes the same requests. Nothing that checks say may
 * change while it is measured: then they cost the store nothing, which is asserted.
 */
import assert from 'node:assert/strict'
import { type Child, freePort, type LoopFigures, startNode } from './support/child.ts'
import { indexOf, must } from './support/client.ts'
import { bothSettings, type Cores, pinSelf } from './support/cores.ts'
import type { Latency, Probe } from './support/prober.ts'
import { isQuick, percentile, type Series, seriesOf, sleep } from './support/rounds.ts'
import { loopText, printRow, say, time } from './support/row.ts'
import { idleLoop, startAgent } from './support/servers.ts'

const CHECKS = isQuick ? 1_000 : 5_000
const INTERVAL_MS = isQuick ? 2_000 : 10_000
const ROUNDS = isQuick ? 2 : 3
const SHARE_GOAL = 1 / 3
const OTHERS_P99_MS = 20

const targetScript = new URL('./support/check-target.ts', import.meta.url).pathname
const bareScript = new URL('./support/bare-checks.ts', import.meta.url).pathname
const proberScript = new URL('./support/prober.ts', import.meta.url).pathname
const isReady = /^Ready\.$/m

// With a second core the work is the same: one setting says it all.
await measure(bothSettings[0]!)

async function measure(cores: Cores): Promise<void> {
  pinSelf(cores)
  const targetPort = await freePort()
  const target = await startNode(cores.client, [targetScript, `${targetPort}`], {
    isReady,
  })
  const bare = await bareShares(cores, target, targetPort)
  const ours = await oursShares(cores, target, targetPort)
  await target.stop()
  const figure = `${CHECKS} HTTP checks at ${INTERVAL_MS / 1_000} s (${cores.name})`
  const ratio = ours.shares.median / bare.median
  printRow({
    figure: `CPU of ${figure}`,
    ours: share(ours.shares.median),
    limit: `${ratio.toFixed(2)} times ${share(bare.median)} (node:http, the same requests)`,
    goal: `under ${share(SHARE_GOAL)}`,
    met: ours.shares.median < SHARE_GOAL,
    peer: '',
    note: `largest ${share(ours.shares.max)}, ${share(bare.max)}; no write of the store`,
  })
  printRow({
    figure: `others' p99 beside ${figure}`,
    ours: time(ours.p99Ms),
    limit: 'absolute',
    goal: `under ${OTHERS_P99_MS} ms`,
    met: ours.p99Ms < OTHERS_P99_MS,
    peer: '',
    note: loopText(ours.loop, await idleLoop(cores.server)),
  })
  say(`${figure}: ${share(ours.shares.median)}, bare ${share(bare.median)}`)
}

function share(of: number): string {
  return `${(100 * of).toFixed(1)} % of a core`
}

async function bareShares(cores: Cores, target: Child, targetPort: number): Promise<Series> {
  const words = ['--no-warnings', bareScript, targetPort, CHECKS, INTERVAL_MS]
  const bare = await startNode(cores.server, words.map(String), { isReady })
  await sleep(INTERVAL_MS)
  const shares = await sharesOf(bare, target)
  await bare.stop()
  return shares
}

async function oursShares(cores: Cores, target: Child, targetPort: number) {
  const agent = await startAgent(cores.server)
  await register(agent.port, targetPort)
  // All have run, and their first outputs and statuses are written.
  await untilPassing(agent.port)
  const before = indexOf(await must(agent.port, 'GET', '/v1/health/state/any'))
  const proberWords = ['--no-warnings', proberScript]
  const prober = await startNode(cores.client, proberWords)
  const probe: Probe = {
    port: agent.port,
    method: 'GET',
    path: '/v1/health/service/service-7?passing',
    connections: 4,
    pauseMs: 20,
  }
  const shares = await sharesOf(agent, target)
  await agent.ask('reset')
  await prober.ask('start', probe)
  await sleep(INTERVAL_MS)
  const latencies = await prober.ask<readonly Latency[]>('stop')
  const loop = await agent.ask<LoopFigures>('loop')
  const after = indexOf(await must(agent.port, 'GET', '/v1/health/state/any'))
  assert.equal(after, before, 'what does not change costs the store nothing')
  await Promise.all([agent.stop(), prober.stop()])
  const took = latencies.map(([, tookMs]) => tookMs)
  return { shares, loop, p99Ms: percentile(took, 0.99) }
}

/** The shares of a core that a process takes over whole intervals, while all checks run. */
async function sharesOf(child: Child, target: Child): Promise<Series> {
  const shares: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await target.ask('asked')
    const [fromMs, fromCpuMs] = [performance.now(), child.cpuMs()]
    await sleep(INTERVAL_MS)
    const tookMs = performance.now() - fromMs
    shares.push((child.cpuMs() - fromCpuMs) / tookMs)
    const asked = await target.ask<number>('asked')
    const expected = (CHECKS * tookMs) / INTERVAL_MS
    // An interval is a pause between runs: the time of a run, and a busy machine, come on top.
    assert.ok(Math.abs(asked - expected) < expected / 5, `${asked} asked, not ${expected}`)
  }
  return seriesOf(shares)
}

async function register(port: number, targetPort: number): Promise<void> {
  const PARALLEL = 32
  const from = Array.from({ length: PARALLEL }, (_, first) => first)
  const all = from.map(async first => {
    for (let id = first; id < CHECKS; id += PARALLEL) {
      const http = `http://127.0.0.1:${targetPort}/${id}`
      await must(port, 'PUT', '/v1/agent/service/register', {
        Name: `service-${id % 500}`,
        ID: `instance-${id}`,
        Port: targetPort,
        Check: { HTTP: http, Interval: `${INTERVAL_MS}ms` },
      })
    }
  })
  await Promise.all(all)
}

async function untilPassing(port: number): Promise<void> {
  const TRIES = 60
  for (let tries = 0; tries < TRIES; tries++) {
    await sleep(INTERVAL_MS / 4)
    const { body } = await must(port, 'GET', '/v1/health/state/critical')
    if (JSON.parse(body.toString()).length === 0) return
  }
  throw new Error('not all checks came to pass')
}
