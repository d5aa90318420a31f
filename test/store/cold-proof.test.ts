/**
 * The proof of cold rows as a duty: when it comes, and what is told of damage.
 */
import t from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { OperatingCode, OperatingError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { type LiveLog, silentLog } from '../../src/base/log.ts'
import { coldProof } from '../../src/store/cold-proof.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { put, type Store } from '../../src/store/store.ts'
import { colds, testTables } from '../conformance/store.ts'
import { FakeClock } from '../fake/clock.ts'

t.test('once a day, and damage is told', async t => {
  const clock = new FakeClock()
  const options = { tables: withSystemTables(testTables), clock, random: systemRandom }
  const store = openMemoryStore(options)
  await store.write(() => ({
    txn: [put(colds, 'a', { group: 'c', tags: [], size: 1 })],
    answer: undefined,
  }))
  const told: string[] = []
  const log: LiveLog = {
    ...silentLog,
    info: (text, fields) => void told.push(`${text} ${JSON.stringify(fields)}`),
    error: (text, fields) => void told.push(`${text} ${JSON.stringify(fields)}`),
  }
  let isDamaged = false
  const prove: Store['cold']['prove'] = () =>
    isDamaged
      ? Promise.reject(new OperatingError(OperatingCode.damaged, 'a row is gone'))
      : store.cold.prove()
  const cold = { ...store.cold, prove }
  const ports = { store: { supports: store.supports, scopes: store.scopes, cold }, clock, log }
  const stop = new AbortController()
  const duty = coldProof(ports as never)(stop.signal, decide => decide)
  await clock.advance(limits.coldProofFirstMs)
  t.same(told, ['cold rows were proven {"rows":1}'])
  isDamaged = true
  await clock.advance(limits.coldProofMs - 1)
  t.equal(told.length, 1)
  await clock.advance(1)
  t.equal(told[1], 'cold rows could not be proven {"error":"a row is gone"}')
  stop.abort()
  await duty
  await store.close()
})
