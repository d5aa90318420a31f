/**
 * Moving an archive between engines, as tests: equal rows and equal answers on the other side.
 *
 * Owns random states and the comparison. Takes a list of engines; every ordered pair is tried.
 */
import fc from 'fast-check'
import type { Test } from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { restoreSnapshot, saveSnapshot } from '../../src/store/snapshot.ts'
import { del, put, type Store } from '../../src/store/store.ts'
import type { AnyTable } from '../../src/store/table.ts'
import { blobs, colds, type Thing, testTables, things } from './store.ts'

/** An engine that archives are moved from and to. */
export interface ArchiveEngine {
  readonly name: string
  /** Opens an empty store of the given tables (system tables are added by it). */
  make(t: Test): Promise<Store>
  /** Random states tried from and to it, since some engines are slower than others. */
  readonly runs: number
}

/** Reads an archive into memory. */
export async function archiveOf(
  store: Store,
  tables: readonly AnyTable[] = testTables,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of saveSnapshot(store, tables)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** An archive in pieces of a size, as from a socket. */
export async function* inPieces(archive: Buffer, sizeBytes = 10_000): AsyncIterable<Buffer> {
  for (let at = 0; at < archive.length; at += sizeBytes) yield archive.subarray(at, at + sizeBytes)
}

/** Everything that a client can tell from a store's rows; revisions are the engine's own. */
export function contentOf(store: Store, tables: readonly AnyTable[] = testTables): unknown {
  const view = store.view()
  return tables.map(table => ({
    rows: [...view.entries<unknown>(table)]
      .filter(({ lease }) => lease === '')
      .map(({ key, row, createIndex, modifyIndex }) => ({ key, row, createIndex, modifyIndex })),
    indexes: Object.keys(table.indexes).map(index =>
      view
        .distinct(table, index)
        .map(value => [value, view.find<unknown>(table, index, value).map(({ key }) => key)]),
    ),
  }))
}

/** The same of cold rows, as an archive tells of them. */
async function coldContentOf(
  store: Store,
  tables: readonly AnyTable[] = testTables,
): Promise<unknown> {
  const frozen = await store.freeze()
  const rows: unknown[] = []
  for (const table of tables.filter(({ isCold }) => isCold)) {
    for await (const page of frozen.cold(table)) {
      rows.push(...page.map(({ body, ...row }) => ({ ...row, body: body.toString('latin1') })))
    }
  }
  await frozen.release()
  return rows
}

const key = fc.oneof(
  fc.constantFrom('a', 'b', 'c/1', 'c/2', 'd'),
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map(n => String.fromCharCode(n)) }),
)
const group = fc.constantFrom('', 'g', 'h', '\u0000', 'ü')
const thing = fc.record({ group, tags: fc.array(group, { maxLength: 3 }), size: fc.nat() })
const blob = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)),
  fc.integer({ min: 0, max: 200_000 }).map(size => Buffer.alloc(size, 'x')),
)
const op = fc.oneof(
  fc.record({ key, thing }),
  fc.record({ key, blob }),
  fc.record({ key, blob, leased: fc.constant(true) }),
  fc.record({ key, cold: thing }),
  fc.record({ gone: key }),
)
const state = fc.array(fc.array(op, { maxLength: 6 }), { maxLength: 12 })

type State = typeof state extends fc.Arbitrary<infer S> ? S : never

/** Writes a random state; some rows hang on a lease and must not travel. */
async function fill(store: Store, txns: State): Promise<void> {
  const lease = await store.grant(60_000)
  for (const txn of txns) {
    await store.write(() => ({
      txn: txn.flatMap(one => {
        if ('gone' in one)
          return (testTables as readonly AnyTable[]).map(table => del(table, one.gone))
        if ('cold' in one) return [put<Thing>(colds, one.key, one.cold)]
        if ('thing' in one) return [put<Thing>(things, one.key, one.thing)]
        return [put(blobs, one.key, one.blob, 'leased' in one ? lease.id : '')]
      }),
      answer: undefined,
    }))
  }
}

/** Runs the suite over every ordered pair of the engines. */
export function snapshotConformance(t: Test, engines: readonly ArchiveEngine[]): void {
  for (const from of engines) {
    for (const to of engines) {
      t.test(`moves from ${from.name} to ${to.name}`, t => moves(t, from, to))
    }
  }
}

async function moves(t: Test, from: ArchiveEngine, to: ArchiveEngine): Promise<void> {
  const [source, target] = [await from.make(t), await to.make(t)]
  const property = fc.asyncProperty(state, state, async (first, second) => {
    await fill(source, first)
    await fill(target, second)
    const content = contentOf(source)
    const cold = await coldContentOf(source)
    const indexBefore = target.indexOf(target.view().revision)
    const archive = await archiveOf(source)
    const restored = await restoreSnapshot(target, inPieces(archive))
    if (restored instanceof Refusal) throw new Error(restored.text)
    t.same(contentOf(target), content, 'equal rows, indexes and answers')
    t.same(contentOf(source), content, 'the source is as it was')
    t.same(await coldContentOf(target), cold, 'equal cold rows')
    t.same(await coldContentOf(source), cold)
    const leased = testTables.flatMap((table: AnyTable) => [
      ...target.view().entries<unknown>(table),
    ])
    t.ok(
      leased.every(cell => cell.lease === ''),
      'what hung on a lease stayed behind',
    )
    const sourceIndex = source.indexOf(source.view().revision)
    t.ok(restored.index > sourceIndex && restored.index > indexBefore, 'no index goes back')
    t.ok(target.scopes.newest('group/g') >= restored.revision)
    t.ok((await archiveOf(target)).length > 0)
    return t.passing()
  })
  await fc.assert(property, { numRuns: Math.min(from.runs, to.runs) })
  // Archives of equal content differ in what they say of their store alone.
  const back = await restoreSnapshot(source, inPieces(await archiveOf(target)))
  t.notOk(back instanceof Refusal)
  t.same(contentOf(source), contentOf(target))
  t.same(await coldContentOf(source), await coldContentOf(target))
  await source.close()
  await target.close()
}
