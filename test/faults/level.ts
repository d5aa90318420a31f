/**
 * What the fault tests of the level engine share: opening a folder, writing to it at random,
 * remembering every state that it went through, and comparing.
 */
import { createHash } from 'node:crypto'
import { type Revision, revision } from '../../src/base/brand.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { OperatingError, Refusal } from '../../src/base/errors.ts'
import type { Frozen } from '../../src/store/cold.ts'
import { chainFault, type Journal, type JournalEntry } from '../../src/store/journal.ts'
import { type LevelOptions, openLevelStore } from '../../src/store/level/engine.ts'
import { type LocalStore, withSystemTables } from '../../src/store/local.ts'
import { type Change, del, type Op, put, type Store } from '../../src/store/store.ts'
import type { AnyTable } from '../../src/store/table.ts'
import { blobs, colds, testTables, things } from '../conformance/store.ts'
import type { Draw } from '../fake/random.ts'

const tables = withSystemTables(testTables)

/** Opens the store in a folder, with the tables of the conformance suite. */
export const openLevel = (
  folder: string,
  options: Partial<LevelOptions> = {},
): Promise<LocalStore> =>
  openLevelStore({ tables, clock: systemClock, random: systemRandom, folder, ...options })

const GROUPS = ['g1', 'g2', 'g3']
const KEYS = Array.from({ length: 24 }, (_, i) => `k${i % 3}/${i}`)
const PREFIXES = ['', 'k0/', 'k1/', 'k2/', 'none/']

/** Everything that can be told of a store, as text; equal stores have equal texts. */
export async function stateOf(store: Store, wanted: 'all' | 'readable' = 'all'): Promise<string> {
  const { view, cold } = await (wanted === 'all' ? frozenOf(store) : readableOf(store))
  const rows = tables.flatMap((table: AnyTable) =>
    [...view.entries<unknown>(table)].map(cell => ({
      ...cell,
      table: table.name,
      row: Buffer.isBuffer(cell.row) ? digest(cell.row) : cell.row,
    })),
  )
  return JSON.stringify({ revision: view.revision, sum: view.sum, rows, cold })
}

interface Whole {
  readonly view: Frozen['view']
  readonly cold: unknown[]
}

/** A view, and the cold rows that go with it. */
async function frozenOf(store: Store): Promise<Whole> {
  const frozen = await store.freeze()
  const cold: unknown[] = []
  try {
    for await (const page of frozen.cold(colds)) {
      for (const { key, body } of page) cold.push([key, body.toString('latin1')])
    }
  } finally {
    await frozen.release()
  }
  return { view: frozen.view, cold }
}

/** The same, without the cold rows that are damage. */
async function readableOf(store: Store): Promise<Whole> {
  const cold: unknown[] = []
  for (const key of KEYS.toSorted((a, b) => (a < b ? -1 : 1))) {
    const found = await store.cold.get(colds, key).catch((error: OperatingError) => {
      if (error.code !== 'damaged') throw error
    })
    if (found !== undefined) cold.push([key, colds.codec.encode(found.row).toString('latin1')])
  }
  return { view: store.view() as Whole['view'], cold }
}

/**
 * What blocking queries answer with, beside the rows: none of it may go back over a restart. A
 * scope that nothing touched answers with the floor.
 */
export function indexesOf(store: Store): Record<string, number> {
  const view = store.view()
  const indexes: Record<string, number> = {}
  for (const table of tables as AnyTable[]) {
    if (!table.isCold) indexes[`table ${table.name}`] = view.newest(table)
  }
  for (const prefix of PREFIXES) {
    const newest = view.prefix(blobs, prefix).map(cell => cell.modRevision as number)
    const gone = Math.max(view.floor(blobs), view.newestTombstone(blobs, prefix))
    indexes[`prefix ${prefix}`] = Math.max(gone, ...newest)
  }
  for (const group of GROUPS) indexes[`scope ${group}`] = store.scopes.newest(`group/${group}`)
  return indexes
}

const digest = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex')

/** What a folder that was opened with damage accepted says of it in its journal. */
const ACCEPTED = /"event":"damage accepted"/

/** A store's whole past: the state at each revision, each change, and each record. */
export class History {
  readonly states = new Map<number, string>()
  readonly changes = new Map<number, string>()
  readonly records = new Map<number, string>()
  newest: Revision = revision(0)
  newestRecord = 0

  /** Remembers the store as it is, and what came since the last call. */
  async note(store: Store): Promise<void> {
    const { revision: at } = store.view()
    for (const change of await changesAfter(store, this.newest)) {
      this.changes.set(change.revision, describe(change))
    }
    this.states.set(at, await stateOf(store))
    this.newest = at
    for (const record of await store.journal.read(this.newestRecord + 1, 1_000)) {
      this.records.set(record.sequence, record.text.toString('utf8'))
      this.newestRecord = record.sequence
    }
  }

  /** Throws unless the store is what it was at its revision, and tells the same past. */
  async check(store: Store): Promise<void> {
    const { revision: at } = store.view()
    const wanted = this.states.get(at)
    if (wanted === undefined) throw new Error(`it never was at revision ${at}`)
    const state = await stateOf(store)
    if (state !== wanted) {
      throw new Error(`at revision ${at} it has\n${state}\nand had\n${wanted}`)
    }
    for (const change of await changesAfter(store, store.status().compacted)) {
      const told = describe(change)
      const was = this.changes.get(change.revision)
      if (told !== was) throw new Error(`its feed tells\n${told}\nand told\n${was}`)
    }
    await this.#checkJournal(store.journal)
  }

  async #checkJournal(journal: Journal): Promise<void> {
    let mark = journal.floor()
    for (const record of await journal.read(1, 1_000)) {
      const fault = chainFault(mark, record)
      if (fault !== undefined) throw new Error(`of its journal, ${fault}`)
      mark = record
      const text = record.text.toString('utf8')
      const was = this.records.get(record.sequence)
      if (text !== was && !ACCEPTED.test(text)) {
        throw new Error(`its journal says\n${text}\nand said\n${was}`)
      }
    }
    if (mark.sequence !== journal.head().sequence) throw new Error('its journal ends early')
  }
}

function describe({ revision: at, events }: Change): string {
  return JSON.stringify({
    at,
    events: events.map(({ table, key, after }) => [
      table.name,
      key,
      after && { ...after, row: Buffer.isBuffer(after.row) ? digest(after.row) : after.row },
    ]),
  })
}

/** All changes after a revision. */
export async function changesAfter(store: Store, after: Revision): Promise<Change[]> {
  const { revision: newest } = store.view()
  const cursor = store.feed(after)
  const changes: Change[] = []
  let at: number = after
  while (at < newest) {
    const change = await cursor.next(new AbortController().signal)
    if (change === undefined || change === 'resync') throw new Error(`feed: ${change} at ${at}`)
    changes.push(change)
    if (change.revision !== at + 1) throw new Error(`feed: ${change.revision} after ${at}`)
    at = change.revision
  }
  return changes
}

/** A random transaction: puts of equal and of new values, deletions, now and then a large row. */
export function randomTxn(draw: Draw, lease = ''): Op[] {
  return Array.from({ length: 1 + draw.below(4) }, () => {
    const key = draw.pick(KEYS)
    const kind = draw.below(13)
    if (kind === 10) return del(colds, key)
    if (kind > 10) {
      const tags = Array.from({ length: draw.below(40) }, () => 'tag')
      return put(colds, key, { group: draw.pick(GROUPS), tags, size: draw.below(3) })
    }
    if (kind < 2) return del(blobs, key)
    if (kind < 3) return del(things, key)
    if (kind < 6) {
      return put(things, key, { group: draw.pick(GROUPS), tags: ['x'], size: draw.below(3) })
    }
    const sizeBytes = draw.chance(3) ? 40_000 + draw.below(40_000) : draw.below(120)
    // Noise, or it would be packed away; from few values, so that equal ones are written again.
    const noise = draw.below(4)
    const value = Buffer.from(Array.from({ length: sizeBytes }, (_, i) => (i * i + noise) % 251))
    return put(blobs, key, value, draw.chance(20) ? lease : '')
  })
}

/** The record of a write; now and then one that does not fit into a block of LevelDB's log. */
export function recordOf(draw: Draw): JournalEntry {
  const note = 'x'.repeat(draw.chance(5) ? 40_000 : draw.below(300))
  return outcome => Buffer.from(JSON.stringify({ ...outcome, note }))
}

/** Writes `count` random transactions, one to four at a time, and notes each state. */
export async function writeAtRandom(
  store: Store,
  draw: Draw,
  count: number,
  noted: (store: Store) => Promise<void>,
): Promise<void> {
  const lease = await store.grant(3_600_000)
  await noted(store)
  for (let done = 0; done < count; ) {
    const together = Math.min(count - done, draw.chance(30) ? 1 + draw.below(4) : 1)
    const writes = Array.from({ length: together }, () => {
      const txn = randomTxn(draw, lease.id)
      const record = draw.chance(50) ? recordOf(draw) : undefined
      return store.write(() => ({ txn, answer: undefined }), record)
    })
    if (draw.chance(15)) await store.journal.append(Buffer.from(`{"by":"itself ${done}"}`))
    for (const written of await Promise.all(writes)) {
      if (written instanceof Refusal) throw new Error(written.text)
    }
    // By itself: it lies in a file.
    if (draw.chance(20)) await store.journal.append(`{"by":"itself","after":${done}}`)
    done += together
    await noted(store)
  }
}

/** What opening a folder came to: the store, or why it was refused. */
export async function tryOpen(
  folder: string,
  options: Partial<LevelOptions> = {},
): Promise<LocalStore | OperatingError> {
  try {
    return await openLevel(folder, options)
  } catch (error) {
    if (error instanceof OperatingError) return error
    throw error
  }
}
