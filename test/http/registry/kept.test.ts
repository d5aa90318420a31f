/** The paths that an agent without a store may answer from what it keeps. */
import t from 'tap'
import { keptPaths } from '../../../src/http/registry/kept.ts'
import { startFace } from '../harness.ts'

t.test('they read alone, and are declared as servers declare them', async t => {
  const { paths } = await startFace(t)
  const kept = keptPaths('dc1', 'here')
  t.ok(kept.length > 5)
  for (const { path, where, operations } of kept) {
    const declared = paths.find(each => each.path === path)
    t.same(Object.keys(operations), ['GET'], path)
    t.equal(where, 'servers', path)
    t.equal(operations.GET?.summary, declared?.operations.GET?.summary, path)
  }
})
