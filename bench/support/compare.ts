/**
 * One rate of ours beside its bare twin, the generator beside both, and the peer where it is named.
 *
 * Owns the way that all benches of rates go: start, fill, look at a sample, measure in turn, look
 * again, print a row.
 */
import assert from 'node:assert/strict'
import { type Peer, peerRate, startPeer } from '../peers.ts'
import type { LoopFigures } from './child.ts'
import { type Answer, bareOf } from './client.ts'
import { bothSettings, type Cores } from './cores.ts'
import { inTurn, roundCount, roundSeconds } from './rounds.ts'
import { loopText, printRow, rate, rateRow, say } from './row.ts'
import { idleLoop, type Server, startAgent, startBare } from './servers.ts'
import { type Load, runWrk } from './wrk.ts'

export interface Comparison {
  readonly figure: string
  /** Makes the server ready and gives a sample of its answer; throws when that is wrong. */
  readonly fill: (port: number) => Promise<Answer>
  readonly load: Omit<Load, 'port'>
  /** Looks at what is there after `round`; throws when that is wrong. */
  readonly check: (port: number, round: number) => Promise<void>
  readonly bare: 'get' | 'put'
  readonly limit: { readonly what: string; readonly goal: number }
  readonly peer: { readonly figure: number; readonly goal: number }
}

/** Compares with one core given, then with two. */
export async function compareRates(spec: Comparison): Promise<void> {
  for (const cores of bothSettings) await compareOn(cores, spec)
}

async function compareOn(cores: Cores, spec: Comparison): Promise<void> {
  const { figure, load, limit } = spec
  const ours = await startAgent(cores.server)
  const sample = await spec.fill(ours.port)
  const bare = await startBare(cores.server, spec.bare, bareOf(sample))
  const measure = (port: number) => async (round: number) =>
    (await runWrk(cores, { port, ...load }, { seconds: roundSeconds, round })).perSecond
  const rates = await inTurn({ ours: measure(ours.port), bare: measure(bare.port) })
  await bare.stop()
  await spec.check(ours.port, roundCount - 1)
  const loop = await loadedLoop(cores, ours, load)
  await ours.stop()
  const alone = await generatorAlone(cores, sample, load)
  assert.ok(alone > 0)
  const peer = await peerColumn(cores, spec, rates.ours.max)
  const idle = await idleLoop(cores.server)
  const note = `generator alone ${rate(alone)}; ${loopText(loop, idle)}`
  const row = rateRow(`${figure} (${cores.name})`, rates, limit, { peer, note })
  say(`${row.figure}: ${row.ours}, ${row.limit}; ${row.note}`)
  printRow(row)
}

async function loadedLoop(
  cores: Cores,
  { port, ask }: Server,
  load: Omit<Load, 'port'>,
): Promise<LoopFigures> {
  await ask('reset')
  await runWrk(cores, { port, ...load }, { seconds: roundSeconds, round: roundCount })
  return await ask<LoopFigures>('loop')
}

/** The generator against node:http with the same bytes: it must not be what limits. */
async function generatorAlone(
  cores: Cores,
  sample: Answer,
  load: Omit<Load, 'port'>,
): Promise<number> {
  const node = await startBare(cores.server, 'node', bareOf(sample))
  let best = 0
  for (let round = 0; round < 2; round++) {
    const { perSecond } = await runWrk(cores, { port: node.port, ...load }, { seconds: 1, round })
    best = Math.max(best, perSecond)
  }
  await node.stop()
  return best
}

async function peerColumn(cores: Cores, spec: Comparison, ours: number): Promise<string> {
  const peer: Peer | undefined = await startPeer(cores.server)
  if (peer === undefined) return peerRate(ours, spec.peer.figure, { goal: spec.peer.goal })
  await spec.fill(peer.port)
  let best = 0
  for (let round = 0; round < roundCount; round++) {
    const options = { seconds: roundSeconds, round }
    const { perSecond } = await runWrk(cores, { port: peer.port, ...spec.load }, options)
    best = Math.max(best, perSecond)
  }
  await peer.stop()
  return peerRate(ours, best, { goal: spec.peer.goal, measuredBy: peer.version })
}
