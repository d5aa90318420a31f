/**
 * A server on an etcd of three members: writes beside a bare client of etcd's, linearizable reads
 * beside stale ones, and a restart with many instances.
 */
import assert from 'node:assert/strict'
import { fillCatalog, largeCatalog } from './support/catalog.ts'
import { must } from './support/client.ts'
import { bothSettings, pinSelf } from './support/cores.ts'
import { barePuts, startEtcd } from './support/etcd.ts'
import { inTurn, isQuick, roundSeconds, type Series, seriesOf } from './support/rounds.ts'
import { printRow, rate, rateRow, say, time } from './support/row.ts'
import { makeFolder, type Server, startAgent } from './support/servers.ts'
import { runWrk } from './support/wrk.ts'

const KEYS = 1_000
const PUTS = 60_000
const PUT_GOAL = 2
const GET_GOALS = [
  { connections: 256, goal: 0.75 },
  { connections: 64, goal: 0.3 },
]
const INSTANCES = isQuick ? 10_000 : 100_000
const START_GOAL_MS = 5_000
const STARTS = 2
const PADDING = 'x'.repeat(48)
const NO_PEER = 'none: CONSUL_BIN was not given'

const cores = bothSettings.at(-1)!
pinSelf(cores)
const endpoints = await startEtcd()
const list = endpoints.map(one => `"${one}"`).join(', ')
const etcdWords = [
  '-hcl',
  `store { engine = "etcd" etcd { endpoints = [${list}] } }`,
  '-hcl',
  'acl { enabled = false }',
]
const folder = makeFolder()
const start = (): Promise<Server> => startAgent(cores.server, { folder, more: etcdWords })

const server = await start()
await puts(server)
await gets(server)
await restarts(server)

async function puts({ port }: Server): Promise<void> {
  const connections = 256
  const lua = `
  local value = string.format("%d-%d-%s", round, i, "${PADDING}")
  return wrk.format("PUT", "/v1/kv/bench/" .. (i % ${KEYS}), nil, value)`
  const figures = await inTurn({
    bare: () => barePuts(cores.server, endpoints[0]!, connections, roundSeconds),
    ours: async round => {
      const load = { port, requests: { count: PUTS, lua } }
      const { perSecond } = await runWrk(cores, load, { seconds: roundSeconds, round, connections })
      const [entry] = JSON.parse((await must(port, 'GET', '/v1/kv/bench/7')).body.toString())
      const value = Buffer.from(entry.Value, 'base64').toString()
      assert.match(value, new RegExp(`^${round}-\\d+-x+$`))
      return perSecond
    },
  })
  const what = 'a bare client, one put a request'
  const figure = `KV PUT on etcd, ${connections} connections, 3 members`
  printRow(rateRow(figure, figures, { what, goal: PUT_GOAL }, { peer: NO_PEER }))
  sayRates(figure, figures)
}

async function gets({ port }: Server): Promise<void> {
  for (const { connections, goal } of GET_GOALS) {
    const side = (query: string) => async (round: number) => {
      const load = { port, path: `/v1/kv/bench/7${query}` }
      const seconds = roundSeconds
      return (await runWrk(cores, load, { seconds, round, connections })).perSecond
    }
    const figures = await inTurn({ bare: side('?stale'), ours: side('') })
    const figure = `linearizable GET on etcd, ${connections} connections`
    printRow(rateRow(figure, figures, { what: 'the stale GET', goal }, { peer: NO_PEER }))
    sayRates(figure, figures)
  }
}

async function restarts(first: Server): Promise<void> {
  await fillCatalog(first.port, largeCatalog(INSTANCES))
  await first.stop()
  const times: number[] = []
  for (let round = 0; round < STARTS; round++) {
    const beganMs = performance.now()
    const server = await start()
    times.push(performance.now() - beganMs)
    const { body } = await must(server.port, 'GET', '/v1/catalog/services')
    assert.ok(Object.keys(JSON.parse(body.toString())).length > 1)
    await server.stop()
  }
  const { min, median } = seriesOf(times)
  const figure = `restart on etcd, ${INSTANCES} instances`
  printRow({
    figure,
    ours: time(min),
    limit: 'absolute',
    goal: `under ${time(START_GOAL_MS)}`,
    met: min < START_GOAL_MS,
    peer: NO_PEER,
    note: `median ${time(median)}; from spawning node to ready`,
  })
  say(`${figure}: ${time(min)} (median ${time(median)})`)
}

function sayRates(figure: string, { ours, bare }: { ours: Series; bare: Series }): void {
  const ratio = (ours.max / bare.max).toFixed(2)
  say(`${figure}: ${rate(ours.max)}, ${ratio} of ${rate(bare.max)}`)
}
