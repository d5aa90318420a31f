/**
 * The store while RSA keys are generated in a thread of the same process: the pool of threads that
 * the disk needs is not the keys' place, and the loop goes on.
 *
 * The thread is the bench's: this step of the product has no keys to generate yet. It stands for
 * the rule that heavy arithmetic runs in threads of our own.
 */
import assert from 'node:assert/strict'
import { type LoopFigures, startNode } from './support/child.ts'
import { must } from './support/client.ts'
import { bothSettings, type Cores, pinSelf } from './support/cores.ts'
import type { Latency, Probe } from './support/prober.ts'
import { inTurn, isQuick, percentile, roundCount, sleep } from './support/rounds.ts'
import { loopText, printRow, say, time } from './support/row.ts'
import { idleLoop, startAgent } from './support/servers.ts'

const KEYS = isQuick ? 20 : 100
const BITS = 2_048
const IDLE_MS = 2_000
const P99_TIMES = 2
const SLICE_GOAL_MS = 5

const proberScript = new URL('./support/prober.ts', import.meta.url).pathname

for (const cores of bothSettings) {
  pinSelf(cores)
  await measure(cores)
}

async function measure(cores: Cores): Promise<void> {
  const agent = await startAgent(cores.server)
  const prober = await startNode(cores.client, ['--no-warnings', proberScript])
  const probe: Probe = {
    port: agent.port,
    method: 'PUT',
    path: '/v1/kv/probed',
    connections: 1,
    pauseMs: 1,
  }
  let writes = 0
  const during = async (work: () => Promise<unknown>): Promise<number> => {
    await prober.ask('start', probe)
    await work()
    const latencies = await prober.ask<readonly Latency[]>('stop')
    writes += latencies.length
    return percentile(
      latencies.map(([, tookMs]) => tookMs),
      0.99,
    )
  }
  await agent.ask('reset')
  const p99 = await inTurn({
    idle: () => during(() => sleep(IDLE_MS)),
    keys: () => during(() => agent.ask('keys', { count: KEYS / roundCount, bits: BITS })),
  })
  const loop = await agent.ask<LoopFigures>('loop')
  const { body } = await must(agent.port, 'GET', '/v1/kv/probed?raw')
  assert.equal(body.toString(), `${writes}`, 'the last write is there')
  await Promise.all([agent.stop(), prober.stop()])
  const ratio = p99.keys.min / p99.idle.min
  const name = `while ${KEYS} RSA-${BITS} keys are generated (${cores.name})`
  const medians = `medians ${time(p99.keys.median)}, ${time(p99.idle.median)}`
  printRow({
    figure: `p99 of a synced write ${name}`,
    ours: time(p99.keys.min),
    limit: `${ratio.toFixed(2)} times ${time(p99.idle.min)} (idle)`,
    goal: `at most ${P99_TIMES}`,
    met: ratio <= P99_TIMES,
    peer: '',
    note: `${medians}; ${writes} writes`,
  })
  printRow({
    figure: `longest slice of ours ${name}`,
    ours: time(loop.longestSliceMs),
    limit: 'absolute',
    goal: `under ${SLICE_GOAL_MS} ms`,
    met: loop.longestSliceMs < SLICE_GOAL_MS,
    peer: '',
    note: loopText(loop, await idleLoop(cores.server)),
  })
  say(`p99 ${name}: ${time(p99.keys.min)}, ${ratio.toFixed(2)} times idle; ${medians}`)
}
