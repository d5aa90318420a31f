/**
 * What an operation costs with 100,000 instances, against the same one with 1,000, where the
 * answer is of equal size.
 *
 * Two agents stand beside each other and are loaded in turn.
 */
import assert from 'node:assert/strict'
import { fillCatalog, instanceBody, largeCatalog, serviceName } from './support/catalog.ts'
import type { LoopFigures } from './support/child.ts'
import { indexOf, must } from './support/client.ts'
import { bothSettings, type Cores } from './support/cores.ts'
import { inTurn, isQuick, roundSeconds } from './support/rounds.ts'
import { loopText, printRow, rate, say } from './support/row.ts'
import { idleLoop, makeFolder, startAgent } from './support/servers.ts'
import { type Requests, runWrk } from './support/wrk.ts'

const SMALL = 1_000
const LARGE = isQuick ? 10_000 : 100_000
const PER_SERVICE = 20
/** As many services are asked for in both: those that the small catalog has. */
const SERVICES = SMALL / PER_SERVICE
const COST_TIMES = 1.3

const change = `
  local id = i % ${SERVICES}
  local words = { id = id, release = string.format("%d-%d", round, i) }
  local body = string.gsub([[${templateOf()}]], "@(%l+)@", words)
  local put = wrk.format("PUT", "/v1/catalog/register", nil, body)`
const get = `wrk.format("GET", "/v1/health/service/service-" .. (i % ${SERVICES}))`

const operations: Readonly<Record<string, Requests>> = {
  'health read': { count: SERVICES, lua: `return ${get}`, again: true },
  register: { count: 150_000, lua: `${change}\n  return put` },
  'register, then health read': {
    count: 150_000,
    lua: `
  local turn = i
  i = math.floor(i / 2)
  if turn % 2 == 1 then return ${get} end
  ${change}
  return put`,
  },
}

const folders = { small: makeFolder(), large: makeFolder() }
for (const [name, size] of [
  ['small', SMALL],
  ['large', LARGE],
] as const) {
  const agent = await startAgent('0,1', { folder: folders[name] })
  await fillCatalog(agent.port, largeCatalog(size))
  await agent.stop()
}
for (const cores of bothSettings) await measure(cores)

async function measure(cores: Cores): Promise<void> {
  const small = await startAgent(cores.server, { folder: folders.small })
  const large = await startAgent(cores.server, { folder: folders.large })
  const idle = await idleLoop(cores.server)
  for (const [name, requests] of Object.entries(operations)) {
    await large.ask('reset')
    const load = (port: number) => async (round: number) => {
      // Another round of the same agent must not bring what the one before has brought.
      const tag = round + (Math.floor(performance.now()) % 1e6) * 10
      const given = await runWrk(cores, { port, requests }, { seconds: roundSeconds, round: tag })
      return given.perSecond
    }
    const rates = await inTurn({ small: load(small.port), large: load(large.port) })
    const loop = await large.ask<LoopFigures>('loop')
    await check(small.port)
    await check(large.port)
    const ratio = rates.small.max / rates.large.max
    const figure = `growth: ${name}, ${LARGE} against ${SMALL} instances (${cores.name})`
    const medians = `medians ${rate(rates.large.median)}, ${rate(rates.small.median)}`
    printRow({
      figure,
      ours: rate(rates.large.max),
      limit: `costs ${ratio.toFixed(2)} times (${rate(rates.small.max)})`,
      goal: `at most ${COST_TIMES}`,
      met: ratio <= COST_TIMES,
      peer: '',
      note: `${medians}; ${loopText(loop, idle)}`,
    })
    say(`${figure}: ${ratio.toFixed(2)} times`)
  }
  await Promise.all([small.stop(), large.stop()])
}

/** Instance number `id` is on the node of the same number and of the service of that number. */
function templateOf(): string {
  return JSON.stringify(instanceBody(4_711, 17, 'service-@id@', '@release@'))
    .replaceAll('node-17', 'node-@id@')
    .replaceAll('@id@-4711', '@id@-@id@')
}

async function check(port: number): Promise<void> {
  const answer = await must(port, 'GET', `/v1/health/service/${serviceName(SERVICES - 1)}`)
  indexOf(answer)
  assert.equal(JSON.parse(answer.body.toString()).length, PER_SERVICE)
}
