/**
 * What must hold at each step of a simulation, told from what etcd has decided and nothing else.
 *
 * Owns the truth: rows, sums, sessions and locks as the log makes them. Servers' views, feeds and
 * answers are held against it. Knows the layout of rows but uses no code of the engine.
 */
import { fromBuffer } from '../../src/base/bytes.ts'
import { withSystemTables } from '../../src/store/local.ts'
import type { RestoredRow } from '../../src/store/store.ts'
import { rowSum, seal } from '../../src/store/table.ts'
import type { KvRow } from '../../src/store/tables/kv.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import type { SessionRow } from '../../src/store/tables/session.ts'
import { TableSet, toCell } from '../../src/store/tables.ts'
import { addSums } from '../../src/store/view.ts'
import type { EtcdCluster } from './etcd/cluster.ts'
import type { Life, Server } from './server.ts'
import type { World } from './world.ts'

/** An invariant that does not hold. */
class Broken extends Error {
  override readonly name = 'Broken'
}

/** Clocks may run so much faster than others, and timers are looked at in ticks. */
const FASTER = 1.06 * 1.06

interface Content {
  readonly values: Map<string, Buffer>
  sum: number
}

interface Restore {
  readonly values: ReadonlyMap<string, Buffer>
  readonly index: number
  /** It cannot succeed. */
  readonly isSpoilt: boolean
  isDone: boolean
  told: 'done' | 'failed' | 'unknown'
}

interface Session {
  readonly ttlMs: number
  readonly lockDelayMs: number
  /** The latest time from which nobody may have heard of it. */
  heardMs: number
  /** Somebody has asked for its end. */
  isUnwanted: boolean
}

export class Oracle {
  readonly #world: World
  readonly #cluster: EtcdCluster
  readonly #tables = new TableSet(withSystemTables(registryTables))
  /** The rows of each generation, and their sums. */
  readonly #generations = new Map<number, Content>()
  #current = 1
  /** What a public index is above its revision. */
  #indexOffset = 0
  readonly #restores = new Map<number, Restore>()
  /** The sum of all rows at each revision; where there is none, that of the one before holds. */
  readonly #sums: number[] = [0, 0]
  readonly #sessions = new Map<string, Session>()
  readonly #delayedUntilMs = new Map<string, number>()
  /** The holder of the timekeeper's role. */
  #holder = ''
  readonly #checked = new Map<Life, unknown>()
  /** How many sessions ended by their time, for whoever wants to know that some did. */
  lapses = 0

  constructor(world: World, cluster: EtcdCluster) {
    this.#world = world
    this.#cluster = cluster
    cluster.onCommit = at => this.#take(at)
  }

  fail(what: string): never {
    this.#world.trace('!', what)
    throw new Broken(what)
  }

  sumAt(revision: number): number {
    for (let at = revision; at > 0; at--) {
      const sum = this.#sums[at]
      if (sum !== undefined) return sum
    }
    return 0
  }

  /** A session is known to be alive since its owner asked at this time. */
  heard(session: string, sinceMs: number): void {
    const known = this.#sessions.get(session)
    if (known !== undefined) known.heardMs = Math.max(known.heardMs, sinceMs)
  }

  unwanted(session: string): void {
    const known = this.#sessions.get(session)
    if (known !== undefined) known.isUnwanted = true
  }

  get #values(): Map<string, Buffer> {
    return this.#contentOf(this.#current).values
  }

  #contentOf(generation: number): Content {
    const content = this.#generations.get(generation) ?? { values: new Map(), sum: 0 }
    this.#generations.set(generation, content)
    return content
  }

  // --- restores

  /** An archive is being restored: what the store must be if that succeeds, and whether it can. */
  expect(number: number, rows: readonly RestoredRow[], index: number, isSpoilt: boolean): void {
    const values = new Map(rows.map(row => [row.key, seal(row.body, row)]))
    this.#restores.set(number, { values, index, isSpoilt, isDone: false, told: 'unknown' })
  }

  /** What was said of it. */
  told(number: number, told: Restore['told']): void {
    const restore = this.#restores.get(number)!
    restore.told = told
    if (told === 'done' && !restore.isDone) this.fail(`restore ${number} has changed nothing`)
    if (told === 'failed' && restore.isDone) this.fail(`restore ${number} failed, and was done`)
  }

  /** Another generation is the store: it must be all of an archive, under indexes never given. */
  #flip(at: number, key: string, value: Buffer): void {
    const { number, indexOffset } = JSON.parse(value.toString())
    const offset = this.#indexOffset
    this.#indexOffset = indexOffset
    if (number === this.#current) return
    this.#current = number
    this.#world.trace('etcd', `generation ${number} at ${at}, indexes ${indexOffset} above`)
    const mark = this.#values.get('kv/restored')
    if (mark === undefined) this.fail(`generation ${number} is no archive's (${key})`)
    const which = Number(this.#decode<KvRow>('kv/restored', mark).value.toString())
    const restore = this.#restores.get(which)
    if (restore === undefined || restore.isDone) this.fail(`restore ${which} is done twice`)
    if (restore.isSpoilt || restore.told === 'failed') {
      this.fail(`restore ${which} was ${restore.isSpoilt ? 'spoilt' : 'given up'}, and was done`)
    }
    restore.isDone = true
    for (const name of new Set([...restore.values.keys(), ...this.#values.keys()])) {
      const [is, wanted] = [this.#values.get(name), restore.values.get(name)]
      if (is === undefined || wanted === undefined || !is.equals(wanted)) {
        this.fail(`restore ${which} made something else of ${name} than the archive has`)
      }
    }
    if (indexOffset < offset) this.fail(`restore ${which} lowers all indexes`)
    if (at + indexOffset <= restore.index) {
      this.fail(`index ${at + indexOffset} after restore ${which} of index ${restore.index}`)
    }
    this.#holder = ''
    this.#delayedUntilMs.clear()
    for (const name of this.#values.keys()) {
      if (!name.startsWith('session/')) continue
      const id = name.slice('session/'.length)
      const { ttlMs, lockDelayMs } = this.#decode<SessionRow>(name, this.#values.get(name)!)
      const isUnwanted = this.#sessions.get(id)?.isUnwanted ?? false
      this.#sessions.set(id, { ttlMs, lockDelayMs, heardMs: this.#world.nowMs, isUnwanted })
    }
  }

  // --- what etcd decides

  #take(at: number): void {
    let flip: { readonly key: string; readonly value: Buffer } | undefined
    const rows: { key: string; before: Buffer | undefined; after: Buffer | undefined }[] = []
    let author = ''
    for (const { type, kv } of this.#cluster.mvcc.eventsAt(at)) {
      const name = fromBuffer(kv.key)
      author = /\/system\/head\/(\w+)/.exec(name)?.[1] ?? author
      if (name === 'gatehouse/system/generation') flip = { key: name, value: kv.value }
      const [, number, key] = /^gatehouse\/(\d+)\/(?!guard\/)(.*)$/s.exec(name) ?? []
      if (key === undefined) continue
      const content = this.#contentOf(Number(number))
      const before = content.values.get(key)
      const after = type === 'PUT' ? kv.value : undefined
      if (before !== undefined) content.sum = addSums(content.sum, -rowSum(key, before))
      if (after !== undefined) content.sum = addSums(content.sum, rowSum(key, after))
      if (after === undefined) content.values.delete(key)
      else content.values.set(key, after)
      if (Number(number) === this.#current) rows.push({ key, before, after })
    }
    if (flip !== undefined) this.#flip(at, flip.key, flip.value)
    this.#sums[at] = this.#contentOf(this.#current).sum
    const ended = new Set<string>()
    for (const row of rows) this.#judgeSession(row, author, ended)
    for (const row of rows) this.#judgeLock(row, ended)
    if (ended.size > 0) this.#judgeEnds(ended)
    for (const { key, after } of rows) {
      if (key !== 'system/role/registry') continue
      this.#holder = after === undefined ? '' : this.#decode<{ holder: string }>(key, after).holder
      this.#world.trace('etcd', `role of ${this.#holder || 'nobody'} at ${at}`)
    }
  }

  #decode<R>(key: string, value: Buffer): R {
    const none = { createRevision: 0, modRevision: 0, version: 1, lease: '' }
    const table = this.#tables.of(key)
    return toCell(table, key, value, none as Parameters<typeof toCell>[3], 0).row as R
  }

  #judgeSession(
    { key, after }: { key: string; after: Buffer | undefined },
    author: string,
    ended: Set<string>,
  ): void {
    if (!key.startsWith('session/')) return
    const id = key.slice('session/'.length)
    const { nowMs } = this.#world
    if (after !== undefined) {
      const { ttlMs, lockDelayMs } = this.#decode<SessionRow>(key, after)
      this.#sessions.set(id, { ttlMs, lockDelayMs, heardMs: nowMs, isUnwanted: false })
      return
    }
    ended.add(id)
    const session = this.#sessions.get(id)!
    if (session.isUnwanted) return
    this.lapses++
    this.#world.trace('etcd', `session ${id.slice(0, 8)} lapses by ${author}`)
    if (author !== this.#holder) {
      this.fail(`${author} ended a session, but the role is ${this.#holder || 'nobody'}'s`)
    }
    const agedMs = nowMs - session.heardMs
    if (agedMs < (session.ttlMs * 2) / FASTER) {
      this.fail(`session ${id} ended ${agedMs} ms after it was heard of, of ${session.ttlMs * 2}`)
    }
  }

  #judgeLock(
    { key, before, after }: { key: string; before: Buffer | undefined; after: Buffer | undefined },
    ended: ReadonlySet<string>,
  ): void {
    if (!key.startsWith('kv/lock/')) return
    const was = before === undefined ? undefined : this.#decode<KvRow>(key, before)
    const is = after === undefined ? undefined : this.#decode<KvRow>(key, after)
    const [old, holder] = [was?.session ?? '', is?.session ?? '']
    if (old === holder) return
    const { nowMs } = this.#world
    if (holder === '') {
      const session = this.#sessions.get(old)
      if (!ended.has(old) || session === undefined) return
      this.#delayedUntilMs.set(key, nowMs + session.lockDelayMs / FASTER)
      return
    }
    this.#world.trace('etcd', `${key} is of ${holder.slice(0, 8)}, fence ${is!.lockIndex}`)
    if (old !== '') this.fail(`${key} went from one holder to the next`)
    if (!this.#values.has(`session/${holder}`))
      this.fail(`${key} is held by a session that is over`)
    if (was !== undefined && is!.lockIndex <= was.lockIndex)
      this.fail(`${key}: its fence went back`)
    const earlyMs = (this.#delayedUntilMs.get(key) ?? 0) - nowMs
    if (earlyMs > 0) this.fail(`${key} was taken ${earlyMs} ms before its lock delay was over`)
  }

  /** What ended sessions held is free. */
  #judgeEnds(ended: ReadonlySet<string>): void {
    for (const [key, value] of this.#values) {
      if (!key.startsWith('kv/lock/')) continue
      const { session } = this.#decode<KvRow>(key, value)
      if (ended.has(session)) this.fail(`${key} is still of ${session}, which is over`)
    }
  }

  // --- what servers show

  /** Looks at every server: cheap where nothing has changed. */
  inspect(servers: readonly Server[]): void {
    for (const { life, id } of servers) {
      if (life === undefined) continue
      const view = life.engine.view()
      const known = this.#checked.get(life) as typeof view | undefined
      if (view === known) continue
      if (known !== undefined && view.revision < known.revision) {
        this.fail(`the view of ${id} went from ${known.revision} back to ${view.revision}`)
      }
      this.#checked.set(life, view)
      if (view.sum === this.sumAt(view.revision)) continue
      this.fail(`the view of ${id} at revision ${view.revision} is not what etcd decided`)
    }
  }

  /** Follows the feed of a life, and holds what it tells against the log. */
  async follow({ store, ending, machine }: Life): Promise<void> {
    const { signal } = ending
    while (!signal.aborted) {
      const view = store.view()
      let at: number = view.revision
      let sum = view.sum
      const cursor = store.feed(view.revision)
      for (;;) {
        const change = await cursor.next(signal)
        if (change === undefined || machine.isDead) return
        if (change === 'resync') break
        if (change.revision <= at) this.fail(`the feed of ${machine.name} went back to ${at}`)
        at = change.revision
        for (const { before, after } of change.events) {
          sum = addSums(sum, (after?.sum ?? 0) - (before?.sum ?? 0))
        }
        if (sum !== this.sumAt(at)) {
          this.fail(`the feed of ${machine.name} lacks something up to revision ${at}`)
        }
      }
    }
  }
}
