/**
 * Cold rows on a simulated etcd: whatever befalls servers and members, reads and writes of them are
 * linearizable, and a page is of one moment. Reads that are as old as this server's view are found.
 */
import t from 'tap'
import { OperatingError } from '../../src/base/errors.ts'
import type { ColdRows } from '../../src/store/cold.ts'
import { del, put, type Store } from '../../src/store/store.ts'
import { secretCold } from '../../src/store/tables/secret.ts'
import { check, type HistoryEvent, type Model, tell } from '../linear/check.ts'
import { reached, untilBudget } from '../run/budget.ts'
import { EtcdCluster } from './etcd/cluster.ts'
import { compactSometimes, trouble } from './faults.ts'
import { type Seams, Server, sound } from './server.ts'
import { World } from './world.ts'

t.setTimeout(3_600_000)

const KEYS = ['c/1', 'c/2', 'c/3']
const SERVERS = 3
const TROUBLE_FROM_MS = 3_000
const TROUBLE_UNTIL_MS = 30_000
const END_MS = 40_000
const TIMEOUT_MS = 12_000

/** What a client asks; a scan reads all keys at once. */
type Input =
  | { readonly f: 'put'; readonly key: string; readonly value: number }
  | { readonly f: 'delete' | 'get'; readonly key: string }
  | { readonly f: 'scan' }

/** What was found; nothing for writes. */
type Output = readonly (number | undefined)[]

type State = Readonly<Record<string, number | undefined>>

const cold: Model<Input, Output, State> = {
  name: 'cold rows',
  initial: {},
  keysOf: input => ('key' in input ? [input.key] : KEYS),
  keyOf: state => KEYS.map(key => `${state[key]}`).join(),
  isRead: ({ f }) => f === 'get' || f === 'scan',
  step(state, input, output) {
    if (input.f === 'put') return [{ ...state, [input.key]: input.value }]
    if (input.f === 'delete') return [{ ...state, [input.key]: undefined }]
    const asked = input.f === 'get' ? [input.key] : KEYS
    const isSo = output === undefined || asked.every((key, i) => state[key] === output[i])
    return isSo ? [state] : []
  },
}

async function done({ store }: { readonly store: Store }, input: Input): Promise<Output> {
  if (input.f === 'get') {
    return [numberOf((await store.cold.get(secretCold, input.key))?.row.sealed)]
  }
  if (input.f === 'scan') {
    const rows = await store.cold.scan(secretCold, 'c/', { limit: 10 })
    return KEYS.map(key => numberOf(rows.find(row => row.key === key)?.row.sealed))
  }
  const { key } = input
  const row = {
    header: {},
    headerText: '',
    sealed: Buffer.from(`${'value' in input && input.value}`),
  }
  const op = input.f === 'put' ? put(secretCold, key, row) : del(secretCold, key)
  await store.write(() => ({ txn: [op], answer: undefined }))
  return []
}

const numberOf = (sealed: Buffer | undefined): number | undefined =>
  sealed === undefined ? undefined : Number(sealed.toString())

/** Clients of one cluster, until it is over. */
class ColdClients {
  readonly history: HistoryEvent<Input, Output>[] = []
  readonly #world: World
  readonly #servers: readonly Server[]
  #values = 0
  answered = 0

  constructor(world: World, servers: readonly Server[]) {
    this.#world = world
    this.#servers = servers
  }

  async run(name: string): Promise<void> {
    const { draw } = this.#world
    for (let at = 0; this.#world.nowMs < END_MS; at++) {
      const input = this.#input()
      // Who does not know what became of it goes on as somebody else.
      const process = `${name}/${at}`
      this.history.push({ process, kind: 'invoke', input })
      this.#world.trace(process, JSON.stringify(input))
      const end = await this.#ask(draw.pick(this.#servers), input)
      this.#world.trace(process, JSON.stringify(end))
      if (end.kind === 'ok') this.answered++
      this.history.push({ process, ...end })
      await this.#sleep(10, draw.chance(10) ? 2_000 : 300)
    }
  }

  #input(): Input {
    const { draw } = this.#world
    const key = draw.pick(KEYS)
    const kind = draw.below(10)
    if (kind < 4) return { f: 'put', key, value: ++this.#values }
    if (kind < 5) return { f: 'delete', key }
    return kind < 8 ? { f: 'get', key } : { f: 'scan' }
  }

  #sleep(least: number, most: number): Promise<void> {
    return new Promise(resolve => void this.#world.after(this.#world.between(least, most), resolve))
  }

  #ask({ life, machine }: Server, input: Input): Promise<End> {
    return new Promise(resolve => {
      const late = this.#world.after(TIMEOUT_MS, () => resolve({ kind: 'unknown' }))
      const settle = (end: End): void => {
        late.clear()
        resolve(end)
      }
      if (life === undefined || machine.isDead) {
        settle({ kind: 'fail' })
        return
      }
      machine.reach(() => {
        done(life, input).then(
          output => settle({ kind: 'ok', output }),
          error => {
            if (!(error instanceof OperatingError)) throw error
            settle({ kind: error.outcome === 'none' ? 'fail' : 'unknown' })
          },
        )
      })
    })
  }
}

type End = { readonly kind: 'ok'; readonly output: Output } | { readonly kind: 'fail' | 'unknown' }

/** One run; what does not hold, '' for nothing. */
async function simulate(
  seed: number,
  seams: Seams,
): Promise<{ readonly problem: string; readonly answered: number }> {
  const world = new World(seed, { traced: false })
  const cluster = new EtcdCluster(world, { bugs: [] })
  const servers = Array.from({ length: SERVERS }, (_, at) => new Server(world, cluster, at, seams))
  for (const server of servers) {
    server.others = servers
    server.start()
  }
  compactSometimes({ world, cluster, servers })
  trouble({ world, cluster, servers }, TROUBLE_FROM_MS, TROUBLE_UNTIL_MS)
  const clients = new ColdClients(world, servers)
  let broken: unknown
  for (let at = 0; at < 4; at++) {
    clients.run(`c${at}`).catch((error: unknown) => {
      broken ??= error
    })
  }
  await world.run(END_MS + 2 * TIMEOUT_MS)
  for (const server of servers) server.kill()
  if (broken !== undefined) throw broken
  const verdict = check(cold, clients.history)
  const problem = verdict.ok === false ? tell(verdict.counterexample.slice(-20)).toString() : ''
  return { problem, answered: clients.answered }
}

t.test('reads and writes of cold rows are linearizable', async t => {
  let answered = 0
  const count = await untilBudget(
    'simulated clusters with cold rows',
    300,
    async seed => {
      const outcome = await simulate(7_000 + seed, sound)
      if (outcome.problem !== '') throw new Error(`seed ${seed}: ${outcome.problem}`)
      answered += outcome.answered
    },
    5,
  )
  reached('operations on cold rows', answered)
  t.ok(answered > 50 * count, `${answered} answered`)
})

/** Reads what this server's view knew, as all other rows are read without asking. */
const stale: Seams = {
  ...sound,
  store: store => {
    const old: Pick<ColdRows, 'get' | 'scan'> = {
      async get(table, key) {
        return (await old.scan(table, '', { limit: 10 })).find(row => row.key === key)
      },
      async scan(table) {
        const frozen = await store.freeze()
        const rows = []
        for await (const page of frozen.cold(table)) {
          for (const { key, body } of page) {
            rows.push({ key, row: table.codec.decode(body), modRevision: frozen.view.revision })
          }
        }
        return rows
      },
    }
    return new Proxy(store, {
      get(target, name) {
        if (name === 'cold') return old
        const found = Reflect.get(target, name, target)
        return typeof found === 'function' ? found.bind(target) : found
      },
    })
  },
}

t.test('reads that may be old are found out', async t => {
  let found = ''
  let seed = 0
  for (; found === '' && seed < 40; seed++) found = (await simulate(seed, stale)).problem
  t.not(found, '', `found after ${seed} seeds`)
})
