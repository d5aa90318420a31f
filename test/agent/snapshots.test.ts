/**
 * The archives of a store as the faces have them.
 */
import t from 'tap'
import { snapshotsOf } from '../../src/agent/snapshots.ts'
import { allTables, openMemory } from '../http/engines.ts'

t.test('out and in', async t => {
  const store = await openMemory()
  t.teardown(() => store.close())
  const snapshots = snapshotsOf(store, allTables)
  const pieces: Buffer[] = []
  for await (const piece of snapshots.save()) pieces.push(piece)
  const before = snapshots.index()
  t.equal(await snapshots.restore(inOrder(pieces)), undefined)
  t.ok(snapshots.index() > before)
  t.match(await snapshots.restore(inOrder([Buffer.from('x')])), { status: 500 })
})

async function* inOrder(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces
}
