/**
 * Restores of archives while clients work: on any server, from any time, cut off anywhere.
 *
 * Owns which archives are made and how they are spoilt, and tells histories and oracle what the
 * store must be afterwards. An archive of another cluster has indexes far above ours.
 */
import { OperatingCode, OperatingError } from '../../src/base/errors.ts'
import { withSystemTables } from '../../src/store/local.ts'
import type { RestoreContent, RestoredRow } from '../../src/store/store.ts'
import { type KvRow, kv } from '../../src/store/tables/kv.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import type { Version } from '../../src/store/view.ts'
import type { Clients } from './clients.ts'
import type { Oracle } from './oracle.ts'
import type { Life, Server } from './server.ts'
import type { Machine, World } from './world.ts'

/** A store as it was. */
export interface Archive {
  readonly index: number
  readonly rows: readonly RestoredRow[]
  /** Keys and sessions as clients see them. */
  readonly keys: ReadonlyMap<string, { readonly row: KvRow; readonly index: number }>
  readonly sessions: readonly string[]
}

/** Of one restore in so many the archive ends too soon, or its sums do not fit. */
const CUT_OFF_PERCENT = 25
const DAMAGED_PERCENT = 10

const archived = withSystemTables(registryTables)
  .filter(({ internal, ofCluster }) => !internal && !ofCluster)
  .toSorted((a, b) => (a.prefix < b.prefix ? -1 : 1))

export class Restores {
  readonly #world: World
  readonly #servers: readonly Server[]
  readonly #oracle: Oracle
  readonly #clients: Clients
  #count = 0

  constructor(world: World, servers: readonly Server[], oracle: Oracle, clients: Clients) {
    this.#world = world
    this.#servers = servers
    this.#oracle = oracle
    this.#clients = clients
  }

  /** None to two between two times. What goes wrong is given to `fail`. */
  start(fromMs: number, untilMs: number, fail: (error: unknown) => void): void {
    const { draw } = this.#world
    for (let left = draw.below(3); left > 0; left--) {
      this.#world.after(this.#world.between(fromMs, untilMs), () => {
        const life = draw.pick(this.#servers).life
        if (life === undefined) return
        const archive = this.#archiveOf(life)
        this.#world.trace(life.machine.name, `an archive at index ${archive.index}`)
        const inMs = draw.chance(30) ? 0 : this.#world.between(0, 8_000)
        this.#world.after(inMs, () => void this.#restore(archive).catch(fail))
      })
    }
  }

  #archiveOf({ engine }: Life): Archive {
    const view: Version = engine.view()
    const moreBy = this.#world.draw.pick([0, 0, 100_000])
    const rows: RestoredRow[] = []
    for (const table of archived) {
      for (const { key, row, createIndex, modifyIndex, lease } of view.entries<unknown>(table)) {
        if (lease !== '') continue
        const indexes = { createIndex: createIndex + moreBy, modifyIndex: modifyIndex + moreBy }
        rows.push({ key: table.prefix + key, body: table.codec.encode(row), ...indexes })
      }
    }
    const keys = new Map<string, { row: KvRow; index: number }>()
    for (const { key, row, modifyIndex } of view.entries(kv)) {
      keys.set(key, { row, index: modifyIndex + moreBy })
    }
    const sessions = rows.flatMap(({ key }) => /^session\/(.*)$/.exec(key)?.[1] ?? [])
    return { index: engine.indexOf(view.revision) + moreBy, rows, keys, sessions }
  }

  async #restore(archive: Archive): Promise<void> {
    const { draw } = this.#world
    const number = this.#count++
    const server = draw.pick(this.#servers)
    const spoilt = draw.chance(CUT_OFF_PERCENT)
      ? 'cut off'
      : draw.chance(DAMAGED_PERCENT)
        ? 'damaged'
        : ''
    // By this row the oracle knows which archive it was.
    const value = Buffer.from(String(number))
    const body = kv.codec.encode({ value, flags: 0n, session: '', lockIndex: 0 } as KvRow)
    const mark = { key: `${kv.prefix}restored`, body, createIndex: 1, modifyIndex: 1 }
    const others = archive.rows.filter(({ key }) => key !== mark.key)
    const rows = [...others, mark].sort((a, b) => (a.key < b.key ? -1 : 1))
    this.#oracle.expect(number, rows, archive.index, spoilt !== '')
    const end = draw.below(rows.length)
    const told = await this.#clients.restore(server, `restore.${number}`, archive, life =>
      life.store.restore(this.#content(rows, archive.index, life.machine, spoilt, end)),
    )
    this.#oracle.told(number, told)
  }

  #content(
    rows: readonly RestoredRow[],
    index: number,
    machine: Machine,
    spoilt: string,
    end: number,
  ): RestoreContent {
    const damaged = (text: string) => new OperatingError(OperatingCode.damaged, text)
    const isSlow = this.#world.draw.chance(50)
    const world = this.#world
    async function* read(): AsyncGenerator<RestoredRow> {
      for (const [at, row] of rows.entries()) {
        if (spoilt === 'cut off' && at === end) throw damaged('the archive ends too soon')
        if (isSlow) {
          await new Promise<void>(resolve => void machine.after(world.between(0, 60), resolve))
        }
        yield row
      }
    }
    return {
      rows: read(),
      index,
      verify() {
        if (spoilt !== '') throw damaged('the sums of the archive do not fit')
      },
    }
  }
}
