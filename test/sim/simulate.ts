/**
 * One run of a whole cluster under a seed: three servers, three members of etcd, clients, faults.
 *
 * Owns the course of a run: a quiet beginning, the troubled time, a quiet end in which everything
 * must come right, and the verdict. The same seed and options give the same run, to the byte.
 */
import { check, tell } from '../linear/check.ts'
import { keys, lock, session } from '../linear/models.ts'
import { Clients } from './clients.ts'
import { type Bug, EtcdCluster } from './etcd/cluster.ts'
import { compactSometimes, trouble } from './faults.ts'
import { Oracle } from './oracle.ts'
import { Restores } from './restores.ts'
import { type Seams, Server, sound } from './server.ts'
import { World } from './world.ts'

export interface SimulateOptions {
  readonly traced?: boolean
  readonly seams?: Seams
  readonly bugs?: readonly Bug[]
}

/** What a run came to. */
export interface Outcome {
  readonly seed: number
  /** What does not hold; '' when all is well. */
  readonly problem: string
  readonly trace: readonly string[]
  /** Equal for equal runs. */
  readonly fingerprint: string
  readonly answered: number
  readonly unknown: number
  readonly lapses: number
  /** What servers stopped with. */
  readonly faults: readonly string[]
}

const SERVERS = 3
const TROUBLE_FROM_MS = 3_000
const TROUBLE_UNTIL_MS = 42_000
const STOP_MS = 55_000
const END_MS = 60_000
/** What a client waits for at most, and a little. */
const LAST_MS = 80_000

export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Outcome> {
  const world = new World(seed, { traced: options.traced ?? false })
  const cluster = new EtcdCluster(world, { bugs: options.bugs ?? [] })
  const oracle = new Oracle(world, cluster)
  const seams = options.seams ?? sound
  const servers = Array.from({ length: SERVERS }, (_, at) => new Server(world, cluster, at, seams))
  const clients = new Clients(world, servers, oracle)
  let broken: unknown
  const fail = (error: unknown): void => {
    broken ??= error
  }
  for (const server of servers) {
    server.others = servers
    server.onStart = life => void oracle.follow(life).catch(fail)
    server.start()
  }
  world.afterEach = () => {
    oracle.inspect(servers)
    if (broken !== undefined) throw broken
  }
  clients.start(fail)
  compactSometimes({ world, cluster, servers })
  trouble({ world, cluster, servers }, TROUBLE_FROM_MS, TROUBLE_UNTIL_MS)
  new Restores(world, servers, oracle, clients).start(TROUBLE_FROM_MS, TROUBLE_UNTIL_MS, fail)
  let problem = ''
  try {
    await world.run(STOP_MS)
    clients.stop()
    await world.run(END_MS)
    void clients.readAll().catch(fail)
    await world.run(LAST_MS)
    problem = problemAtEnd(servers) || problemOfHistories(clients)
  } catch (error) {
    problem = error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : 'thrown'
  }
  const faults = servers.flatMap(({ life, id }) => {
    const fault = life?.engine.status().fault ?? ''
    return fault === '' ? [] : [`${id}: ${fault}`]
  })
  for (const server of servers) server.kill()
  return {
    ...{ seed, problem, trace: world.traced, fingerprint: world.fingerprint, faults },
    ...{ answered: clients.answered, unknown: clients.unknown, lapses: oracle.lapses },
  }
}

/** Everything was mended a while ago: all servers are well and agree. */
function problemAtEnd(servers: readonly Server[]): string {
  for (const { id, life } of servers) {
    if (life === undefined) return `${id} has not come up`
    const { fault } = life.engine.status()
    if (fault !== '') return `${id} has a fault: ${fault}`
  }
  const states = servers.map(({ life }) => life!.engine.status())
  const sums = new Set(states.map(({ revision, sum }) => `${revision}/${sum}`))
  if (sums.size > 1) return `servers differ at the end: ${[...sums].join(', ')}`
  if (!servers.some(({ life }) => life!.timekeeper.holding)) return 'nobody keeps the time'
  return ''
}

function problemOfHistories({ histories }: Clients): string {
  for (const verdict of [
    check(keys, histories.keys),
    check(lock, histories.locks),
    check(session, histories.sessions),
  ]) {
    if (verdict.ok === undefined) return `too much to check: ${verdict.keys.join()}`
    if (!verdict.ok) return `not linearizable:\n${tell(verdict.counterexample.slice(-20))}`
  }
  return ''
}
