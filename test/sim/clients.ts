/**
 * The clients of a simulated cluster: they hop between servers, and write down what they were told.
 *
 * Owns the histories. Each client does one operation at a time; what it was not answered in time is
 * unknown to it. Holds no invariant but those that a client could see by itself.
 */
import { fromText } from '../../src/base/bytes.ts'
import { messageOf, OperatingError, Refusal } from '../../src/base/errors.ts'
import { everybody } from '../../src/base/who.ts'
import { serviceHealth } from '../../src/registry/health.ts'
import { kvEntry, kvTree } from '../../src/registry/kv.ts'
import { type Asked, Departure, type Question } from '../../src/store/ask.ts'
import type { Cell } from '../../src/store/table.ts'
import type { KvRow } from '../../src/store/tables/kv.ts'
import type { HistoryEvent } from '../linear/check.ts'
import type {
  Found,
  KeyAction,
  KeyInput,
  KeyOutput,
  LifeInput,
  LifeOutput,
  LockInput,
  LockOutput,
  LockRestoring,
  Restoring,
} from '../linear/models.ts'
import { checkRow, nodeRow, serviceRow } from '../registry/rules.ts'
import type { Oracle } from './oracle.ts'
import type { Archive } from './restores.ts'
import { caller, type Life, type Server } from './server.ts'
import type { World } from './world.ts'

/** Thrown to a client. `surely`: nothing was done. */
class Failed extends Error {
  readonly surely: boolean

  constructor(text: string, surely: boolean) {
    super(text)
    this.surely = surely
  }
}

export interface Histories {
  readonly keys: HistoryEvent<KeyInput | Restoring, KeyOutput>[]
  readonly locks: HistoryEvent<LockInput | LockRestoring, LockOutput>[]
  readonly sessions: HistoryEvent<LifeInput, LifeOutput>[]
}

const TIMEOUT_MS = 13_000
const PLAIN = ['a/0', 'a/1', 'b/0', 'b/1']
const PAIR = ['p/0', 'p/1']
const LOCKS = ['lock/0', 'lock/1']
const NODE = 'n1'

export class Clients {
  readonly histories: Histories = { keys: [], locks: [], sessions: [] }
  readonly #world: World
  readonly #servers: readonly Server[]
  readonly #oracle: Oracle
  #requests = 0
  #values = 0
  #isOver = false
  /** How many operations were answered, and how many not. */
  answered = 0
  unknown = 0

  constructor(world: World, servers: readonly Server[], oracle: Oracle) {
    this.#world = world
    this.#servers = servers
    this.#oracle = oracle
  }

  /** Lets them all begin. What goes wrong in one of them is given to `fail`. */
  start(fail: (error: unknown) => void): void {
    const run = (work: Promise<void>): void => void work.catch(fail)
    run(this.#register())
    for (let at = 0; at < 5; at++) run(this.#writeKeys(`k${at}`))
    for (let at = 0; at < 3; at++) run(this.#lock(`l${at}`))
    for (const key of [...PLAIN, ...LOCKS]) run(this.#watch(`w/${key}`, entryOf(key)))
    for (const node of ['g1', 'g2']) run(this.#registerServices(node))
    for (const prefix of ['a/', 'p/']) run(this.#watch(`w/${prefix}`, treeOf(prefix)))
    for (const name of ['web', 'db']) run(this.#watch(`w/${name}`, healthOf(name)))
  }

  /** They do nothing new from now on. */
  stop(): void {
    this.#isOver = true
  }

  #sleep(least: number, most: number): Promise<void> {
    return new Promise(resolve => void this.#world.after(this.#world.between(least, most), resolve))
  }

  /** Sends a request to a server. Rejects with Failed. */
  #ask<T>(server: Server, work: (life: Life, id: string) => Promise<T>, writes = true): Promise<T> {
    const id = `r${this.#requests++}`
    const world = this.#world
    return new Promise<T>((resolve, reject) => {
      const late = world.after(TIMEOUT_MS, () => reject(new Failed('no answer in time', false)))
      const done = (settle: () => void): void => {
        late.clear()
        settle()
      }
      const { life, machine } = server
      world.after(world.between(0.1, 2), () => {
        if (life === undefined || machine.isDead) {
          done(() => reject(new Failed('refused', true)))
          return
        }
        const reply = (settle: () => void): void => {
          if (machine.isDead || world.draw.chance(0.3)) return
          world.after(world.between(0.1, 2), () => done(settle))
        }
        machine.reach(() => {
          work(life, id)
            .then(
              result => {
                if (writes && !machine.isDead && !server.disk.ids.has(id)) {
                  this.#oracle.fail(`${server.id} answered ${id} before its record was durable`)
                }
                reply(() => resolve(result))
              },
              error => reply(() => reject(error)),
            )
            .catch(reject)
        })
      })
    })
  }

  /** Does an operation and writes down how it ended. Undefined: it failed, or nobody knows. */
  async #record<I, O>(
    history: HistoryEvent<I, O>[],
    process: string,
    input: I,
    work: () => Promise<O>,
  ): Promise<O | undefined> {
    const what = `${JSON.stringify(input)}`
    history.push({ process, kind: 'invoke', input })
    this.#world.trace(process, what)
    try {
      const output = await work()
      history.push({ process, kind: 'ok', output })
      this.#world.trace(process, `${what} -> ${JSON.stringify(output)}`)
      this.answered++
      return output
    } catch (error) {
      if (!(error instanceof Failed || error instanceof OperatingError)) throw error
      const isSure = error instanceof Failed ? error.surely : error.outcome === 'none'
      history.push({ process, kind: isSure ? 'fail' : 'unknown' })
      if (!isSure) this.unknown++
      this.#world.trace(process, `${what} -> ${isSure ? 'failed' : 'unknown'}: ${messageOf(error)}`)
      return undefined
    }
  }

  async #register(): Promise<void> {
    const node = { node: NODE, id: '', address: '10.0.0.1', taggedAddresses: {}, meta: {} }
    const registration = { node, skipNodeUpdate: false, service: undefined, checks: [] }
    for (;;) {
      const server = this.#world.draw.pick(this.#servers)
      try {
        await this.#ask(server, (life, id) => life.registry.register(caller(id), registration))
        return
      } catch (error) {
        if (!(error instanceof Failed || error instanceof OperatingError)) throw error
        await this.#sleep(50, 200)
      }
    }
  }

  /** An agent that registers, changes and deregisters what runs on its node. */
  async #registerServices(node: string): Promise<void> {
    const { draw } = this.#world
    while (!this.#isOver) {
      const server = draw.pick(this.#servers)
      const name = draw.pick(['web', 'db'])
      const isGone = draw.chance(25)
      const status = draw.pick(['passing', 'warning', 'critical'] as const)
      const about = { serviceId: name, serviceName: name, status }
      const registration = {
        ...{ node: nodeRow(node), skipNodeUpdate: draw.chance(50) },
        ...{ service: serviceRow(node, name), checks: [checkRow(node, `c/${name}`, about)] },
      }
      this.#world.trace(node, `${isGone ? 'deregisters' : status} ${name}`)
      try {
        await this.#ask(server, ({ registry }, id) =>
          isGone
            ? registry.deregister(caller(id), { node, serviceId: name, checkId: '' })
            : registry.register(caller(id), registration),
        )
      } catch (error) {
        if (!(error instanceof Failed || error instanceof OperatingError)) throw error
      }
      await this.#sleep(100, draw.chance(10) ? 5_000 : 1_500)
    }
  }

  // --- keys

  async #writeKeys(process: string): Promise<void> {
    const { draw } = this.#world
    let server = draw.pick(this.#servers)
    const seen = new Map<string, number>()
    await this.#sleep(0, 500)
    while (!this.#isOver) {
      if (draw.chance(15)) server = draw.pick(this.#servers)
      await this.#oneKey(process, server, seen)
      await this.#sleep(5, draw.chance(5) ? 3_000 : 400)
    }
  }

  #value(): string {
    return `v${this.#values++}`
  }

  async #oneKey(process: string, server: Server, seen: Map<string, number>): Promise<void> {
    const { draw } = this.#world
    const kind = draw.below(100)
    if (kind < 25) {
      const actions = PAIR.filter(() => draw.chance(80)).map(key => this.#action(key, seen))
      if (actions.length > 0) await this.#transact(process, server, actions, seen)
      return
    }
    const key = draw.pick(PLAIN)
    if (kind < 50) await this.#get(process, server, key, seen)
    else await this.#single(process, server, this.#action(key, seen))
  }

  #action(key: string, seen: ReadonlyMap<string, number>): KeyAction {
    const { draw } = this.#world
    const index = seen.get(key) ?? 0
    const kind = draw.below(100)
    if (kind < 40) return { f: 'put', key, value: this.#value() }
    if (kind < 55) return { f: 'get', key }
    if (kind < 65) return { f: 'delete', key }
    // The API deletes by index only what is there.
    const value = index > 0 && draw.chance(20) ? undefined : this.#value()
    return { f: 'cas', key, index, value }
  }

  /** A read as the API answers it by default. */
  async #get(
    process: string,
    server: Server,
    key: string,
    seen: Map<string, number>,
  ): Promise<void> {
    await this.#record(this.histories.keys, process, { f: 'get', key }, async () => {
      const found = await this.#ask(server, life => read(life, key), false)
      seen.set(key, found?.index ?? 0)
      return { done: true, found: [found] }
    })
  }

  async #single(process: string, server: Server, action: KeyAction): Promise<void> {
    if (action.f === 'get') return
    await this.#record(this.histories.keys, process, action, () =>
      this.#ask(server, async ({ registry }, id) => {
        const key = fromText(action.key)
        const isDeletion = action.f === 'delete' || action.value === undefined
        const cas = action.f === 'cas' ? action.index : undefined
        const done = isDeletion
          ? await registry.deleteKv(caller(id), key, cas)
          : await registry.putKv(caller(id), putOf(action.key, action.value!, { cas }))
        return { done: answer(done), found: [] }
      }),
    )
  }

  async #transact(
    process: string,
    server: Server,
    actions: readonly KeyAction[],
    seen: Map<string, number>,
  ): Promise<void> {
    const ops = actions.map(action => {
      const base = { kind: 'KV' as const, key: fromText(action.key), flags: 0n, session: '' }
      const index = action.f === 'cas' ? action.index : 0
      const value = Buffer.from(('value' in action && action.value) || '')
      const isDeletion = action.f === 'cas' && action.value === undefined
      const verbs = { get: 'get-or-empty', put: 'set', delete: 'delete', cas: 'cas' }
      return { ...base, index, value, verb: isDeletion ? 'delete-cas' : verbs[action.f] }
    })
    const input: KeyInput = { f: 'txn', actions }
    await this.#record(this.histories.keys, process, input, () =>
      this.#ask(server, async ({ registry }, id) => {
        const written = await registry.transact(caller(id), ops)
        if (written instanceof Refusal) throw new Failed(written.text, true)
        if ('faults' in written.answer) return { done: false, found: [] }
        const found = new Map<string, Found>()
        for (const result of written.answer.results) {
          if (result.kind !== 'KV' || !('cell' in result) || result.shows !== 'value') continue
          const { key, row, modifyIndex } = result.cell
          found.set(key, { value: row.value.toString(), index: modifyIndex })
        }
        const gets = actions.filter(({ f }) => f === 'get').map(({ key }) => key)
        for (const key of gets) seen.set(key, found.get(key)?.index ?? 0)
        return { done: true, found: gets.map(key => found.get(key)) }
      }),
    )
  }

  // --- locks and sessions

  async #lock(process: string): Promise<void> {
    const { draw } = this.#world
    await this.#sleep(500, 2_000)
    for (let life = 0; !this.#isOver; life++) {
      const name = `${process}.${life}`
      const session = await this.#createSession(name)
      if (session === undefined) await this.#sleep(100, 1_000)
      else await this.#useSession(name, session)
      if (draw.chance(20)) await this.#sleep(1_000, 4_000)
    }
  }

  async #createSession(process: string): Promise<string | undefined> {
    const { draw } = this.#world
    const server = draw.pick(this.#servers)
    const lockDelayMs = draw.pick([0, 1_000, 2_000])
    const request = {
      ...{ name: '', node: NODE, lockDelayMs, behavior: 'release', ttl: draw.pick(['1s', '2s']) },
      ...{ nodeChecks: [], serviceChecks: [] },
    }
    const { sessions } = this.histories
    // It may be there, and in an archive, before its id is told: it begins where it is asked for.
    const input = { f: 'create' as const, id: '' }
    const invoked: HistoryEvent<LifeInput, LifeOutput> = { process, kind: 'invoke', input }
    sessions.push(invoked)
    const forget = (): undefined => void sessions.splice(sessions.indexOf(invoked), 1)
    try {
      const id = await this.#ask(server, ({ registry }, id) =>
        registry.createSession(caller(id), request),
      )
      if (id instanceof Refusal) return forget()
      this.#world.trace(process, `session ${id}`)
      input.id = id
      sessions.push({ process, kind: 'ok', output: { alive: true } })
      return id
    } catch (error) {
      if (!(error instanceof Failed || error instanceof OperatingError)) throw error
      return forget()
    }
  }

  async #useSession(process: string, session: string): Promise<void> {
    const { draw } = this.#world
    let server = draw.pick(this.#servers)
    while (!this.#isOver) {
      if (draw.chance(15)) server = draw.pick(this.#servers)
      const before = this.unknown
      const kind = draw.below(100)
      if (kind < 45) {
        if (!(await this.#renew(process, server, session))) return
      } else if (kind < 70) await this.#tryLock(process, server, session, 'acquire')
      else if (kind < 80) await this.#tryLock(process, server, session, 'release')
      else if (kind < 95) await this.#look(process, server)
      else {
        await this.#end(process, server, session)
        return
      }
      if (this.unknown > before) return
      // Now and then its owner sleeps over its end.
      await this.#sleep(20, draw.chance(8) ? 6_000 : 600)
    }
  }

  async #renew(process: string, server: Server, id: string): Promise<boolean> {
    const input: LifeInput = { f: 'renew', id }
    const sinceMs = this.#world.nowMs
    const output = await this.#record(this.histories.sessions, process, input, () =>
      this.#ask(
        server,
        async ({ registry }, request) => {
          const renewed = await registry.renewSession(caller(request), id)
          if (!(renewed instanceof Refusal)) return { alive: true }
          if (renewed.status === 404) return { alive: false }
          throw new Failed(renewed.text, true)
        },
        false,
      ),
    )
    if (output?.alive === true) this.#oracle.heard(id, sinceMs)
    return output?.alive !== false
  }

  async #end(process: string, server: Server, id: string): Promise<void> {
    this.#oracle.unwanted(id)
    // Somebody may be about to take a lock with it in the same moment.
    if (this.#world.draw.chance(60)) {
      const other = this.#world.draw.pick(this.#servers)
      const taking = this.#tryLock(`${process}.late`, other, id, 'acquire')
      await Promise.all([taking, this.#destroy(process, server, id)])
    } else await this.#destroy(process, server, id)
  }

  async #destroy(process: string, server: Server, id: string): Promise<void> {
    await this.#record(this.histories.sessions, process, { f: 'end', id }, () =>
      this.#ask(server, async ({ registry }, request) => {
        await registry.destroySession(caller(request), id)
        return { alive: true }
      }),
    )
  }

  async #tryLock(
    process: string,
    server: Server,
    session: string,
    f: 'acquire' | 'release',
  ): Promise<void> {
    const key = this.#world.draw.pick(LOCKS)
    await this.#record(this.histories.locks, process, { f, key, session }, () =>
      this.#ask(server, async ({ registry }, id) => {
        const put = putOf(key, '', { [f]: session })
        const done = await registry.putKv(caller(id), put)
        if (done instanceof Refusal) throw new Failed(done.text, true)
        return { done }
      }),
    )
  }

  async #look(process: string, server: Server): Promise<void> {
    const key = this.#world.draw.pick(LOCKS)
    await this.#record(this.histories.locks, process, { f: 'look', key }, () =>
      this.#ask(
        server,
        async life => {
          const cell = await cellOf(life, key)
          return { holder: cell?.row.session ?? '', fence: cell?.row.lockIndex ?? 0 }
        },
        false,
      ),
    )
  }

  // --- restores

  /** Restores an archive at a server. Says whether it did, surely did nothing, or nobody knows. */
  async restore(
    server: Server,
    process: string,
    { keys, sessions }: Archive,
    work: (life: Life) => Promise<unknown>,
  ): Promise<'done' | 'failed' | 'unknown'> {
    const now: { end: 'done' | 'failed' | 'unknown' } = { end: 'unknown' }
    const restoring = (async () => {
      try {
        await this.#ask(server, work, false)
        now.end = 'done'
      } catch (error) {
        if (!(error instanceof Failed || error instanceof OperatingError)) throw error
        const isSure = error instanceof Failed ? error.surely : error.outcome === 'none'
        if (isSure) now.end = 'failed'
        this.#world.trace(process, messageOf(error))
      }
    })()
    const note = <I, O>(history: HistoryEvent<I, O>[], name: string, input: I, output: O): void => {
      const id = `${process}.${name}`
      history.push({ process: id, kind: 'invoke', input })
      const end = (): void => {
        if (now.end === 'done') history.push({ process: id, kind: 'ok', output })
        else history.push({ process: id, kind: now.end === 'failed' ? 'fail' : 'unknown' })
      }
      ends.push(end)
    }
    const ends: (() => void)[] = []
    const entry = (key: string): [string, Found] => {
      const held = keys.get(fromText(key))
      return [key, held && { value: held.row.value.toString(), index: held.index }]
    }
    for (const some of [...PLAIN.map(key => [key]), PAIR]) {
      const entries = Object.fromEntries(some.map(entry))
      note(this.histories.keys, some[0]!, { f: 'restore', entries }, { done: true, found: [] })
    }
    for (const key of LOCKS) {
      const row = keys.get(fromText(key))?.row
      const input = { key, holder: row?.session ?? '', fence: row?.lockIndex ?? 0 }
      note(this.histories.locks, key, { f: 'restore', ...input }, { done: true })
    }
    for (const id of sessions) {
      note(this.histories.sessions, id, { f: 'restore', id }, { alive: true })
    }
    this.#world.trace(process, `on ${server.id}`)
    await restoring
    this.#world.trace(process, now.end)
    for (const end of ends) end()
    return now.end
  }

  // --- blocking reads

  /** Follows one question from server to server: its index never goes back. */
  async #watch(process: string, { question, show }: Followed): Promise<void> {
    const { draw } = this.#world
    const name = question.key
    let [index, shown] = [0, '']
    let server = draw.pick(this.#servers)
    while (!this.#isOver) {
      if (draw.chance(40)) server = draw.pick(this.#servers)
      const waitMs = this.#world.between(100, 6_000)
      const last = index
      try {
        const got = await this.#ask(
          server,
          async life => {
            const asked = await askOf(life, question, last, waitMs)
            return { index: asked.index, text: show(asked) }
          },
          false,
        )
        this.#world.trace(process, `${server.id} at ${got.index}: ${got.text}`)
        if (got.index < index) {
          this.#oracle.fail(`the index of ${name} went from ${index} back to ${got.index}`)
        }
        if (got.index === index && index > 0 && got.text !== shown) {
          this.#oracle.fail(`${name} is two things at index ${index}: ${shown} and ${got.text}`)
        }
        index = got.index
        shown = got.text
      } catch (error) {
        if (!(error instanceof Failed || error instanceof OperatingError)) throw error
        await this.#sleep(50, 300)
      }
      if (draw.chance(20)) await this.#sleep(0, 500)
    }
  }

  /** Reads everything once more from every server, for the end of the histories. */
  async readAll(): Promise<void> {
    for (const server of this.#servers) {
      for (const key of [...PLAIN, ...PAIR]) {
        await this.#get(`end.${server.id}.${key}`, server, key, new Map())
      }
      for (const key of LOCKS) await this.#look(`end.${server.id}.${key}`, server)
    }
  }
}

function putOf(
  key: string,
  value: string,
  how: { readonly cas?: number | undefined; readonly acquire?: string; readonly release?: string },
) {
  const { cas, acquire, release } = how
  return { key: fromText(key), value: Buffer.from(value), flags: 0n, cas, acquire, release }
}

function answer(done: boolean | Refusal): boolean {
  if (done instanceof Refusal) throw new Failed(done.text, true)
  return done
}

interface Followed {
  readonly question: Question<unknown>
  readonly show: (asked: Asked) => string
}

function answered<T>(question: Question<T> | Refusal, show: (read: T) => string): Followed {
  if (question instanceof Refusal) throw new Error(question.text)
  return { question, show: ({ view }) => show(question.read(view)) }
}

const entryOf = (key: string): Followed =>
  answered(kvEntry(everybody, fromText(key)), cell => String(cell?.modifyIndex))

const treeOf = (prefix: string): Followed =>
  answered(kvTree(everybody, fromText(prefix)), cells =>
    cells.map(({ key, modifyIndex }) => `${key}@${modifyIndex}`).join(),
  )

const healthOf = (name: string): Followed =>
  answered(serviceHealth(everybody, name, { tags: [], meta: [], passing: false }), instances =>
    [...instances]
      .map(({ node, service, checks }) => {
        const states = checks.map(({ row }) => row.status)
        return `${node.row.node}/${service.row.id}@${service.modifyIndex}:${states}`
      })
      .join(),
  )

function askOf<T>(
  life: Life,
  question: Question<T>,
  index: number,
  waitMs: number,
): Promise<Asked> {
  const options = { consistency: 'default', index, waitMs } as const
  return new Promise((resolve, reject) => {
    life.asker.ask(question, options, new Departure(), { answer: resolve, fail: reject })
  })
}

async function cellOf(life: Life, key: string): Promise<Cell<KvRow> | undefined> {
  const entry = kvEntry(everybody, fromText(key))
  if (entry instanceof Refusal) throw new Error(entry.text)
  const { view } = await askOf(life, entry, 0, 0)
  return entry.read(view)
}

async function read(life: Life, key: string): Promise<Found> {
  const cell = await cellOf(life, key)
  return cell && { value: cell.row.value.toString(), index: cell.modifyIndex }
}
