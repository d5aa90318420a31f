/**
 * What somebody else notices while a bench's load goes on.
 *
 * Owns how the prober is started and what is made of its latencies.
 */
import { startNode } from './child.ts'
import type { Cores } from './cores.ts'
import type { Latency, Probe } from './prober.ts'
import { percentile } from './rounds.ts'

const proberScript = new URL('./prober.ts', import.meta.url).pathname

/** The 99th percentile of single requests while something else goes on, in milliseconds. */
export async function p99During(
  cores: Cores,
  probe: Probe,
  work: () => Promise<unknown>,
): Promise<number> {
  const prober = await startNode(cores.client, ['--no-warnings', proberScript])
  await prober.ask('start', probe)
  await work()
  const latencies = await prober.ask<readonly Latency[]>('stop')
  await prober.stop()
  return percentile(
    latencies.map(([, tookMs]) => tookMs),
    0.99,
  )
}
