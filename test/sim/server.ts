/**
 * One server of a simulated cluster: everything of the product that needs no socket.
 *
 * Owns its lives: starting on what is on its disk, being killed, starting again. The engine of the
 * store, the registry's room, sessions, locks, renewals, the timekeeper and the asking of questions
 * are the product's own; `Seams` is where a planted mutant gets in.
 */
import { fromText } from '../../src/base/bytes.ts'
import { messageOf, OperatingError } from '../../src/base/errors.ts'
import type { Log } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { everybody, type Who } from '../../src/base/who.ts'
import {
  type RenewalItem,
  type RenewalOutcome,
  renewHere,
  SharedRenewals,
} from '../../src/cluster/renewals.run.ts'
import { Registry } from '../../src/registry/room.run.ts'
import { registryTimers } from '../../src/registry/timers.ts'
import { Asker } from '../../src/store/ask.ts'
import type { CheckpointFolder } from '../../src/store/etcd/checkpoint.ts'
import type { Etcd } from '../../src/store/etcd/client.ts'
import { type EtcdStore, openEtcdStore } from '../../src/store/etcd/engine.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { roles } from '../../src/store/role.ts'
import { put, type Store } from '../../src/store/store.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { type AnyDeadlineKind, type Renewals, Timekeeper } from '../../src/store/timekeeper.ts'
import { openGate, Writer } from '../../src/store/writer.ts'
import { CheckpointDisk } from './checkpoint-disk.ts'
import { Disk } from './disk.ts'
import type { EtcdCluster } from './etcd/cluster.ts'
import { Link, SimConnection } from './etcd/connection.ts'
import { Machine, type World } from './world.ts'

/** Where a mutant can put something else in the place of a part. Each gives what it was given. */
export interface Seams {
  readonly etcd: (etcd: Etcd, world: World) => Etcd
  readonly store: (store: Store, world: World) => Store
  /** The store as the timekeeper has it. */
  readonly timekeeperStore: (store: Store, world: World) => Store
  readonly kinds: (kinds: readonly AnyDeadlineKind[]) => readonly AnyDeadlineKind[]
  readonly renewals: (renewals: Renewals) => Renewals
  readonly own: (own: Store) => Store
  readonly checkpoint: (folder: CheckpointFolder) => CheckpointFolder
}

const same = <T>(part: T): T => part

/** The product as it is. */
export const sound: Seams = {
  etcd: same,
  store: same,
  timekeeperStore: same,
  kinds: same,
  renewals: same,
  own: same,
  checkpoint: same,
}

/** What runs in one life of a server. */
export interface Life {
  readonly machine: Machine
  /** The engine itself, whatever a mutant put before it. */
  readonly engine: EtcdStore
  readonly store: Store
  readonly asker: Asker
  readonly registry: Registry
  readonly timekeeper: Timekeeper
  readonly ending: AbortController
}

const PREFIX = 'gatehouse'
const OPEN_RETRY_MS = 500
/** Short sessions, so that many end in one run. */
const SESSION_TTL_MIN_MS = 500
const NEVER_MS = 3_600_000

export class Server {
  readonly at: number
  readonly id: string
  readonly links: readonly Link[]
  readonly disk: Disk
  readonly checkpoint: CheckpointDisk
  readonly #world: World
  readonly #cluster: EtcdCluster
  readonly #seams: Seams
  machine: Machine
  life: Life | undefined
  #lives = 0
  /** Set once all servers are there. */
  others: readonly Server[] = []
  /** Told of each life that has begun. */
  onStart: (life: Life) => void = () => {}

  constructor(world: World, cluster: EtcdCluster, at: number, seams: Seams) {
    this.at = at
    this.id = `s${at}`
    this.#world = world
    this.#cluster = cluster
    this.#seams = seams
    this.links = cluster.members.map(() => new Link())
    this.disk = new Disk(world, this.id)
    this.checkpoint = new CheckpointDisk(world)
    this.machine = this.#newMachine()
  }

  #newMachine(): Machine {
    return new Machine(this.#world, this.id, this.#world.between(0.95, 1.05))
  }

  /** Begins a life; whoever waits for it looks at `life`. */
  start(): void {
    if (this.machine.isDead) this.machine = this.#newMachine()
    void this.#open(this.machine)
  }

  kill(): void {
    this.machine.kill()
    const damage = this.checkpoint.crash()
    if (damage !== '') this.#world.trace(this.id, `the checkpoint ${damage}`)
    this.life?.ending.abort()
    this.life = undefined
    for (const link of this.links) link.open.clear()
  }

  /**
   * Lets the checkpoint, while the server is down, become one of another history: of a cluster that
   * was made from a snapshot of this one, and written to. Over once `machine` is killed.
   */
  async goAstray(machine: Machine): Promise<void> {
    const world = this.#world
    const random = world.random(`${this.id}/astray/${this.#lives++}`)
    const cluster = this.#cluster.fork()
    const links = cluster.members.map(() => new Link())
    try {
      const engine = await openEtcdStore({
        ...{ endpoints: [], prefix: PREFIX, serverId: this.id, clock: machine, random },
        own: new Disk(world, `${this.id}/astray`).open(machine),
        tables: withSystemTables(registryTables),
        checkpointFolder: this.checkpoint.on(machine),
        connect: async () => new SimConnection(cluster, machine, links, 0),
      })
      const writes = 1 + world.draw.below(60)
      // What clients write soon shows as a contradiction; what they never do, nothing but the
      // mark tells of.
      const folder = writes % 2 === 0 ? 'astray/' : ''
      for (let left = writes; left > 0; left--) {
        const value = Buffer.from(`astray ${left}`)
        const row = { value, flags: 0n, session: '', lockIndex: 0 }
        const key = fromText(folder + world.draw.pick(['a/0', 'a/1', 'b/0', 'other']))
        await engine.write(() => ({ txn: [put(kv, key, row)], answer: 0 }))
      }
      await engine.close()
      world.trace(this.id, `has a checkpoint of another history, at ${cluster.mvcc.revision}`)
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error
    }
  }

  async #open(machine: Machine): Promise<void> {
    const world = this.#world
    const random = world.random(`${this.id}/${this.#lives++}`)
    const own = this.#seams.own(this.disk.open(machine))
    try {
      const engine = await openEtcdStore({
        ...{ endpoints: [], prefix: PREFIX, serverId: this.id, clock: machine, random, own },
        tables: withSystemTables(registryTables),
        checkpointFolder: this.#seams.checkpoint(this.checkpoint.on(machine)),
        connect: async () =>
          this.#seams.etcd(new SimConnection(this.#cluster, machine, this.links, this.at), world),
      })
      if (machine.isDead) return
      this.life = this.#compose(machine, engine)
      const { warnings } = engine
      world.trace(this.id, `is up ${warnings.join()}`)
      this.onStart(this.life)
    } catch (error) {
      if (machine.isDead) return
      world.trace(this.id, `cannot start: ${messageOf(error)}`)
      machine.after(OPEN_RETRY_MS, () => void this.#open(machine))
    }
  }

  #compose(machine: Machine, engine: EtcdStore): Life {
    const world = this.#world
    const random = world.random(`${this.id}/life/${this.#lives}`)
    const store = this.#seams.store(engine, world)
    const log = this.#log()
    const timeouts = new Timeouts(machine)
    const timekeeper = new Timekeeper(
      { store: this.#seams.timekeeperStore(store, world), clock: machine, random, log },
      { role: 'registry', holder: this.id, kinds: this.#seams.kinds(registryTimers(NEVER_MS)) },
    )
    const ask = (items: readonly RenewalItem[]) => this.#askHolder(store, items)
    const renewals = this.#seams.renewals(new SharedRenewals({ timekeeper, clock: machine, ask }))
    const writer = new Writer(store, openGate, recordOf)
    const registry = new Registry({
      ...{ store, writer, renewals, timeouts, log, clock: machine },
      ...{ metrics: new Metrics(machine), sessionTtlMinMs: SESSION_TTL_MIN_MS },
    })
    timekeeper.start()
    const asker = new Asker(store, timeouts)
    const ending = new AbortController()
    return { machine, engine, store, asker, registry, timekeeper, ending }
  }

  /** Hands renewals to the server that keeps the time, over the network between servers. */
  #askHolder(
    store: Store,
    items: readonly RenewalItem[],
  ): Promise<readonly RenewalOutcome[]> | undefined {
    const holder = store.view().get(roles, 'registry')?.row.holder
    const other = this.others.find(({ id }) => id === holder)
    if (other === undefined || other === this) return undefined
    const { machine } = this
    return new Promise((resolve, reject) => {
      const late = machine.after(2_000, () => reject(new Error('no answer in time')))
      const back = (settle: () => void) => () => {
        this.#world.after(this.#world.between(0.1, 2), () =>
          machine.reach(() => {
            late.clear()
            settle()
          }),
        )
      }
      this.#world.after(this.#world.between(0.1, 2), () =>
        other.machine.reach(() => {
          const { life } = other
          if (life === undefined) return
          renewHere(life.store, life.timekeeper, items).then(
            outcomes => back(() => resolve(outcomes))(),
            error => back(() => reject(error))(),
          )
        }),
      )
    })
  }

  #log(): Log {
    const tell = (message: string, fields: object = {}): void =>
      this.#world.trace(this.id, `log: ${message} ${JSON.stringify(fields)}`)
    return { trace: () => {}, debug: () => {}, info: tell, warn: tell, error: tell }
  }
}

/** Records hold the id of the request and nothing else. */
const recordOf = ({ request }: Who) =>
  request === undefined ? undefined : () => Buffer.from(JSON.stringify({ id: request.id }))

/** Somebody who makes one request, so that it is recorded. */
export function caller(id: string): Who {
  const request = {
    ...{ id, operation: 'PUT /v1/kv/{key}', name: '', query: '', remote: '', body: undefined },
    ...{ bodySizeBytes: 0, overrides: false, isRenewal: false, recorded: false },
    ...{ advisories: [], overridden: [], refusedBy: undefined },
  }
  return { accessor: everybody.accessor, rights: everybody.rights, may: everybody.may, request }
}
