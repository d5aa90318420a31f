/**
 * DNS answers over UDP: a mix of A, SRV and names that are not there, eight clients.
 *
 * The limit is a bare node:dgram socket that gives one fixed answer with two addresses. Peers'
 * figures are recorded ones (both cores of a machine with two).
 */
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { peerRate } from './peers.ts'
import { freePort, type LoopFigures, probed, startNode } from './support/child.ts'
import { bothSettings, type Cores } from './support/cores.ts'
import { type DnsLoadResult, missShare, runDnsperf, writeQuestions } from './support/dns-load.ts'
import { inTurn, roundSeconds } from './support/rounds.ts'
import { loopText, printRow, rate, rateRow, say } from './support/row.ts'
import { idleLoop, makeFolder, type Server } from './support/servers.ts'

const server = fileURLToPath(new URL('./support/dns-server.ts', import.meta.url))
const file = writeQuestions(makeFolder())
const recorded = { consul: 10_800, coredns: 38_600 } as const
const SHARE_TOLERANCE = 0.01

for (const cores of bothSettings) await compareOn(cores)

async function compareOn(cores: Cores): Promise<void> {
  const ours = await start(cores, 'ours')
  const bare = await start(cores, 'bare')
  const rates = await inTurn({
    ours: async () => checked(await load(cores, ours)).perSecond,
    bare: async () => (await load(cores, bare)).perSecond,
  })
  await bare.stop()
  await ours.ask('reset')
  checked(await load(cores, ours))
  const loop = await ours.ask<LoopFigures>('loop')
  await ours.stop()
  const idle = await idleLoop(cores.server)
  const limit = { what: 'bare node:dgram, one fixed answer', goal: 0.7 }
  const coredns = `CoreDNS 1.12.4 ${rate(recorded.coredns)} (recorded)`
  const row = rateRow(
    `DNS answers, mix of A, SRV, miss over 100 names (${cores.name})`,
    rates,
    limit,
    {
      peer: `${peerRate(rates.ours.max, recorded.consul, { goal: 4 })}; ${coredns}`,
      note: loopText(loop, idle),
    },
  )
  say(`${row.figure}: ${row.ours}, ${row.limit}; ${row.note}`)
  printRow(row)
}

async function start(cores: Cores, kind: 'ours' | 'bare'): Promise<Server> {
  const port = await freePort()
  const words = [...probed, server, kind, `${port}`]
  return { ...(await startNode(cores.server, words, { isReady: /^Ready\.$/m })), port }
}

function load(cores: Cores, { port }: Server): Promise<DnsLoadResult> {
  return runDnsperf(cores, port, { file, seconds: roundSeconds })
}

/** Every name that exists was found, every other was not, and nothing else was said. */
function checked(result: DnsLoadResult): DnsLoadResult {
  const { NOERROR = 0, NXDOMAIN = 0, ...others } = result.codes
  assert.deepEqual(others, {}, 'no other codes')
  const share = NXDOMAIN / (NOERROR + NXDOMAIN)
  assert.ok(Math.abs(share - missShare) < SHARE_TOLERANCE, `${share} of the answers were misses`)
  return result
}
