/** The row of a grant goes with its token, whoever can open it. */
import t from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { withSystemTables } from '../../../src/store/local.ts'
import { openMemoryStore } from '../../../src/store/memory/engine.ts'
import { put } from '../../../src/store/store.ts'
import { endOfGrant, GRANTS_AREA } from '../../../src/store/tables/grant.ts'
import { secretData, secretTables } from '../../../src/store/tables/secret.ts'

t.test('nothing where there is none, and no other one', async t => {
  const tables = withSystemTables(secretTables)
  const store = openMemoryStore({ tables, clock: systemClock, random: systemRandom })
  t.teardown(() => store.close())
  const row = { header: {}, headerText: '', sealed: Buffer.from('sealed') }
  const keys = ['aa', 'ab', 'b'].map(key => `root/${GRANTS_AREA}/${key}`)
  await store.write(() => ({ txn: keys.map(key => put(secretData, key, row)), answer: true }))
  t.strictSame(endOfGrant(store.view(), 'a'), [])
  await store.write(view => ({ txn: endOfGrant(view, 'aa'), answer: true }))
  t.strictSame(
    [...store.view().entries(secretData)].map(({ key }) => key),
    keys.slice(1),
  )
})
