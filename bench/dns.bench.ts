/**
 * DNS answers over UDP: a mix of A, SRV and names that are not there, eight clients.
 *
 * The limit is a bare node:dgram socket that gives one fixed answer with two addresses. Peers'
 * figures are recorded ones (both cores of a machine with two).
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { peerRate } from './peers.ts'
import { freePort, type LoopFigures, probed, startNode, startProgram } from './support/child.ts'
import { must } from './support/client.ts'
import { bothSettings, type Cores } from './support/cores.ts'
import {
  type DnsLoadResult,
  missShare,
  registrations,
  runDnsperf,
  writeQuestions,
} from './support/dns-load.ts'
import { inTurn, roundSeconds } from './support/rounds.ts'
import { loopText, printRow, rate, rateRow, say } from './support/row.ts'
import { agentWords, idleLoop, makeFolder, type Server } from './support/servers.ts'

const bareServer = fileURLToPath(new URL('./support/bare-dns.ts', import.meta.url))
const file = writeQuestions(makeFolder())
const recorded = { consul: 10_800, coredns: 38_600 } as const
const SHARE_TOLERANCE = 0.01
const MICROS_PER_TICK = 10_000

for (const cores of bothSettings) await compareOn(cores)

async function compareOn(cores: Cores): Promise<void> {
  const ours = await startOurs(cores)
  const bare = await startBare(cores)
  const rates = await inTurn({
    ours: async () => checked(await load(cores, ours)).perSecond,
    bare: async () => (await load(cores, bare)).perSecond,
  })
  const bareCpu = await cpuPerAnswer(cores, bare)
  await bare.stop()
  await ours.ask('reset')
  const oursCpu = await cpuPerAnswer(cores, ours)
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
      // On a machine that does other things too this tells more than the rates.
      note: `CPU an answer ${oursCpu}, bare ${bareCpu}; ${loopText(loop, idle)}`,
    },
  )
  say(`${row.figure}: ${row.ours}, ${row.limit}; ${row.note}`)
  printRow(row)
}

/** Our program with the services registered; its port is that of DNS. */
async function startOurs(cores: Cores): Promise<Server> {
  const http = await freePort()
  const port = await freePort()
  const words = agentWords(makeFolder(), http, port)
  const child = await startProgram(cores.server, words, { isReady: /^Ready\.$/m })
  for (const body of registrations()) await must(http, 'PUT', '/v1/catalog/register', body)
  return { ...child, port }
}

async function startBare(cores: Cores): Promise<Server> {
  const port = await freePort()
  const words = [...probed, bareServer, `${port}`]
  return { ...(await startNode(cores.server, words, { isReady: /^Ready\.$/m })), port }
}

/** What an answer costs the server's process, all threads, system included: `8.91 µs`. */
async function cpuPerAnswer(cores: Cores, server: Server): Promise<string> {
  const before = cpuTicks(server)
  const { answers } = await load(cores, server)
  const micros = ((cpuTicks(server) - before) * MICROS_PER_TICK) / answers
  return `${micros.toFixed(2)} µs`
}

/** proc(5): user and system time are the 14th and 15th field, in hundredths of a second. */
function cpuTicks({ pid }: Server): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
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
