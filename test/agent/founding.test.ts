/** Servers that found a cluster together, over real sockets, killed at every write. */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type EnterConfig, type Entered, enterCluster } from '../../src/agent/enter.ts'
import { foundTogether } from '../../src/agent/founding.ts'
import { foregroundClock, systemRandom } from '../../src/base/clock.ts'
import { writeFileAtomic } from '../../src/base/io/file.ts'
import { silentLog } from '../../src/base/log.ts'
import { joinTokenText } from '../../src/cluster/join-token.ts'
import { NO_JOIN } from '../cluster/alone.ts'
import { isLong, untilBudget } from '../run/budget.ts'

const TOKEN = joinTokenText({ id: 'dddddddd-0000-4000-8000-000000000001', secret: 'f'.repeat(43) })
const idOf = (at: number): string => `aaaaaaaa-0000-4000-8000-00000000000${at}`

let nextPort = 21_000 + (process.pid % 90) * 10

function configsOf(t: Test, count: number, expect: number, token = TOKEN): EnterConfig[] {
  const folder = t.testdir()
  const ports = Array.from({ length: count }, () => nextPort++)
  const places = ports.map(port => `127.0.0.1:${port}`)
  return ports.map((server, at) => ({
    dataDir: join(folder, `${at}`),
    nodeId: idOf(at),
    nodeName: `server-${at}`,
    advertiseAddress: '127.0.0.1',
    bindAddress: '127.0.0.1',
    isServer: true,
    ports: {
      dns: -1,
      http: -1,
      https: -1,
      secrets: -1,
      grpc: -1,
      grpcTls: -1,
      server,
      serfLan: -1,
      serfWan: -1,
    },
    join: { ...NO_JOIN, expect, token, places: places.filter((_, each) => each !== at) },
  }))
}

/** Where the cases begin: each run another place, so that a few short runs see all of them. */
const resumedAt = (): number =>
  isLong ? 0 : Number(process.env.GATEHOUSE_SEED ?? Math.floor(Date.now() / 1_000)) % 24

class Killed extends Error {}

/** A world whose process ends at its nth write; before it is done, or after. */
function worldOf(killAt = -1, isAfter = false) {
  let writes = 0
  const write = async (path: string, text: string | Buffer): Promise<void> => {
    const isLast = writes++ === killAt
    if (isLast && !isAfter) throw new Killed('killed')
    await writeFileAtomic(path, text)
    if (isLast) throw new Killed('killed')
  }
  return { clock: foregroundClock, random: systemRandom, log: silentLog, write }
}

async function endOf(t: Test, entered: Entered[]): Promise<void> {
  const [first] = entered
  const { clusterId, clusterKey, foundation, roots } = first!.membership
  for (const { membership } of entered) {
    t.equal(membership.clusterId, clusterId)
    t.same(membership.clusterKey?.bytes(), clusterKey?.bytes())
    t.same(membership.foundation, foundation)
    t.same(membership.roots, roots)
  }
  for (const { membership, stopFounding } of entered) {
    await stopFounding()
    await membership.stop()
  }
}

t.test('three servers found one cluster', async t => {
  const configs = configsOf(t, 3, 3)
  const entered = await Promise.all(configs.map(config => enterCluster(config, worldOf())))
  t.equal(entered[0]!.membership.foundation?.founders.length, 3)
  t.equal(entered[0]!.membership.foundation?.maker, idOf(0))
  await endOf(t, entered)
})

t.test('killed at any write, each of them, a start goes on where it was', async t => {
  let kills = 0
  const WRITES = 4
  const first = resumedAt()
  const kill = async (count: number): Promise<void> => {
    const index = (first + count) % (6 * WRITES)
    const at = index % WRITES
    const victim = Math.floor(index / WRITES) % 3
    const isAfter = index >= 3 * WRITES
    const configs = configsOf(t, 3, 3)
    const entering = configs.map((config, each) => {
      const first = enterCluster(config, worldOf(each === victim ? at : -1, isAfter))
      return first.catch((error: unknown) => {
        if (!(error instanceof Killed)) throw error
        kills++
        return enterCluster(config, worldOf())
      })
    })
    await endOf(t, await Promise.all(entering))
  }
  const count = await untilBudget('kills of founding servers', 6 * WRITES, kill, 6)
  t.ok(kills >= count / 2, `${kills} kills in ${count} foundings`)
})

t.test('a token that is another one', async t => {
  const [one, two] = configsOf(t, 2, 2)
  const other = { ...two!, join: { ...two!.join, token: TOKEN.replace('ffff', 'gggg') } }
  const ending = new AbortController()
  const both = [one!, other].map(config =>
    enterCluster(config, { ...worldOf(), signal: ending.signal }),
  )
  await t.rejects(Promise.race(both), { message: /join token/ })
  ending.abort()
  await Promise.allSettled(both)
})

t.test('one of three with another token stops, and the others go on', async t => {
  const configs = configsOf(t, 3, 3)
  const [one, two, three] = configs as [EnterConfig, EnterConfig, EnterConfig]
  const wrong = { ...two, join: { ...two.join, token: TOKEN.replace('ffff', 'gggg') } }
  const told: object[] = []
  const warn = (text: string, fields: object = {}): void => void told.push({ text, ...fields })
  const right = [one, three].map(config =>
    enterCluster(config, { ...worldOf(), log: { ...silentLog, warn } }),
  )
  await t.rejects(enterCluster(wrong, worldOf()), { message: /join token/ })
  const text = 'founding: a server has another join token'
  const named = told.filter(one => 'address' in one && String(one.address).startsWith('127.0.0.1'))
  t.ok(named.length >= 2, 'each of the others has said so')
  for (const one of named) t.match(one, { text })
  // Corrected, it founds with them.
  await endOf(t, await Promise.all([...right, enterCluster(two, worldOf())]))
})

t.test('another number of servers', async t => {
  const [one, two] = configsOf(t, 2, 2)
  const other = { ...two!, join: { ...two!.join, expect: 3 } }
  const ending = new AbortController()
  const told: string[] = []
  const debug = (_text: string, fields: object = {}): void => void told.push(JSON.stringify(fields))
  const world = { ...worldOf(), log: { ...silentLog, warn: debug }, signal: ending.signal }
  const both = [one!, other].map(config => enterCluster(config, world))
  while (!told.some(text => text.includes('bootstrap_expect is'))) {
    await new Promise(resolve => setImmediate(resolve))
  }
  ending.abort()
  await Promise.allSettled(both)
  t.pass()
})

t.test('the entry points', async t => {
  t.type(foundTogether, 'function')
})
