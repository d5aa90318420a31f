/**
 * From spawning node to the first acknowledged write: on an empty folder, and with 100,000
 * instances on disk.
 *
 * Nothing is loaded beside the program. The compile cache is the bench's own: its very first start
 * fills it and is named apart.
 */
import assert from 'node:assert/strict'
import { bodiesOf, fillCatalog, largeCatalog, serviceName } from './support/catalog.ts'
import { type Child, freePort, startProgram } from './support/child.ts'
import { call, must } from './support/client.ts'
import { bothSettings, type Cores, pinSelf } from './support/cores.ts'
import { isQuick, roundCount, type Series, seriesOf, sleep } from './support/rounds.ts'
import { printRow, say, time } from './support/row.ts'
import { agentWords, makeFolder, startAgent } from './support/servers.ts'

const INSTANCES = isQuick ? 10_000 : 100_000
const EMPTY_GOAL_MS = 700
const FULL_GOAL_MS = 4_000
const POLL_MS = 2

const full = await fullFolder()
for (const cores of bothSettings) {
  pinSelf(cores)
  const cache = makeFolder()
  const first = await startOnce(cores, makeFolder(), cache)
  await first.child.stop()
  const empty = await starts(cores, cache, makeFolder)
  report(`start to first write, empty (${cores.name})`, empty, {
    goalMs: EMPTY_GOAL_MS,
    note: `the very first start, without a compile cache, ${time(first.tookMs)}`,
  })
  const loaded = await starts(cores, cache, () => full)
  report(`start to first write, ${INSTANCES} instances (${cores.name})`, loaded, {
    goalMs: FULL_GOAL_MS,
    note: 'instances and a check of each on a tenth as many nodes',
  })
}

/** A data folder with the large catalog, made over HTTP and left as a stopped agent leaves it. */
async function fullFolder(): Promise<string> {
  const folder = makeFolder()
  const agent = await startAgent('0,1', { folder })
  await fillCatalog(agent.port, largeCatalog(INSTANCES))
  await agent.stop()
  return folder
}

async function starts(cores: Cores, cache: string, folder: () => string): Promise<Series> {
  const times: number[] = []
  for (let round = 0; round < roundCount; round++) {
    const used = folder()
    const { child, port, tookMs } = await startOnce(cores, used, cache)
    times.push(tookMs)
    if (used === full) await checkCatalog(port)
    await child.stop()
  }
  return seriesOf(times)
}

/** Spawns the program and puts until a put is acknowledged. */
async function startOnce(
  cores: Cores,
  folder: string,
  cache: string,
): Promise<{ child: Child; port: number; tookMs: number }> {
  const port = await freePort()
  const words = agentWords(folder, port, await freePort())
  const startedMs = performance.now()
  const child = await startProgram(cores.server, words, {
    isProbed: false,
    env: { NODE_COMPILE_CACHE: cache },
  })
  for (;;) {
    const answer = await call(port, 'PUT', '/v1/kv/started', `${startedMs}`).catch(() => undefined)
    if (answer?.status === 200) {
      assert.equal(answer.body.toString(), 'true')
      break
    }
    assert.ok(performance.now() - startedMs < 120_000, 'no write was acknowledged in two minutes')
    await sleep(POLL_MS)
  }
  const tookMs = performance.now() - startedMs
  // It says so only after its faces answer; until then a signal would cut the start short.
  await must(port, 'GET', '/v1/status/leader')
  return { child, port, tookMs }
}

async function checkCatalog(port: number): Promise<void> {
  const size = largeCatalog(INSTANCES)
  const name = serviceName(17)
  const { body } = await must(port, 'GET', `/v1/health/service/${name}?passing`)
  const ids = JSON.parse(body.toString()).map(
    (entry: { Service: { ID: string } }) => entry.Service.ID,
  )
  const expected = [...bodiesOf(size)].map(({ Service }) => Service as { ID: string } | undefined)
  assert.deepEqual(
    ids.toSorted(),
    expected.flatMap(one => (one?.ID.startsWith(`${name}-`) === true ? [one.ID] : [])).toSorted(),
  )
}

function report(
  figure: string,
  { min, median }: Series,
  { goalMs, note }: { readonly goalMs: number; readonly note: string },
): void {
  printRow({
    figure,
    ours: time(min),
    limit: 'absolute',
    goal: `under ${time(goalMs)}`,
    met: min < goalMs,
    peer: '6 to 10 s (recorded, Consul 1.19.2)',
    note: `median ${time(median)}; ${note}`,
  })
  say(`${figure}: ${time(min)} (median ${time(median)}); ${note}`)
}
