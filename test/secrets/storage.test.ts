/** Areas of sealed rows: a rule lists what it would find if its own changes were written. */
import fc from 'fast-check'
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { Draft } from '../../src/secrets/storage.ts'
import { propertyRuns } from '../run/budget.ts'
import { keyringOf, openStore } from './barrier/world.ts'

const barrier = keyringOf(1)
const PATHS = ['a', 'a-', 'a/1', 'a/2', 'a/2/3', 'ab', 'b/1', 'ä/ö', 'z']
const path = fc.constantFrom(...PATHS)

/** The slow way: all paths, cut behind their first slash. */
function levelOf(paths: ReadonlySet<string>, folder: string, after: string, limit: number) {
  const byBytes = (one: string, other: string) =>
    Buffer.compare(Buffer.from(one), Buffer.from(other))
  const names = [...paths]
    .filter(one => one.startsWith(folder))
    .map(one => one.slice(folder.length).replace(/\/.*$/, '/'))
  const sorted = [...new Set(names)].sort(byBytes).filter(name => byBytes(name, after) > 0)
  return limit > 0 ? sorted.slice(0, limit) : sorted
}

t.test('lists of folders, over rows that are and rows that are about to change', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(path),
      fc.uniqueArray(path, { maxLength: 4 }),
      fc.uniqueArray(path, { maxLength: 4 }),
      fc.record({
        folder: fc.constantFrom('', 'a/', 'ä/', 'c/'),
        after: fc.constantFrom('', 'a', 'a/', 'a/x', 'b/'),
        limit: fc.nat({ max: 4 }),
      }),
      async (stored, added, removed, { folder, after, limit }) => {
        const store = openStore()
        const draftOn = () => new Draft(store.view(), barrier, wallMs(1), systemRandom)
        await store.write((view, now, random) => {
          const draft = new Draft(view, barrier, now, random)
          for (const one of stored) draft.area('root', 'test').put(one, 1)
          for (const one of PATHS) draft.area('root', 'tesu').put(one, 1)
          return { txn: draft.ops(), answer: true }
        })
        const storage = draftOn().area('root', 'test')
        for (const one of added) storage.put(one, 1)
        for (const one of removed) storage.delete(one)
        const paths = new Set([...stored, ...added].filter(one => !removed.includes(one)))
        const wanted = levelOf(paths, folder, after, limit)
        const keys = storage.keys(folder, 2)
        const below = [...paths].filter(one => one.startsWith(folder))
        const isRight = keys.length === Math.min(2, below.length)
        return isRight && storage.list(folder, { after, limit }).join() === wanted.join()
      },
    ),
    { numRuns: propertyRuns() },
  )
})
