/** Shared reads: everybody gets an answer to a read that was sent after he came. */
import t from 'tap'
import { SharedRead } from '../../../src/store/etcd/patience.ts'

const sameAs = async <T>(given: T): Promise<T> => given

/** Reads that end when the test says so; each answers with its number. */
function openReads() {
  const ends: { resolve: () => void; reject: () => void }[] = []
  const shared = new SharedRead(() => {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    const number = ends.length
    ends.push({
      resolve: () => resolve(number),
      reject: () => reject(new Error(`read ${number} failed`)),
    })
    return promise
  }, sameAs)
  return { shared, ends }
}

t.test('patience: one read in flight, one gathering', async t => {
  const { shared, ends } = openReads()
  const first = shared.get()
  const gathered = [shared.get(), shared.get(), shared.get()]
  t.equal(ends.length, 1, 'the others wait, since that read was sent before they came')
  ends[0]!.resolve()
  t.equal(await first, 0)
  await new Promise(setImmediate)
  t.equal(ends.length, 2, 'one read for all who gathered')
  const later = shared.get()
  ends[1]!.resolve()
  t.same(await Promise.all(gathered), [1, 1, 1])
  await new Promise(setImmediate)
  ends[2]!.resolve()
  t.equal(await later, 2, 'who came while it was in flight got the next')
  await new Promise(setImmediate)
  const alone = shared.get()
  t.equal(ends.length, 4, 'nothing in flight: sent at once')
  ends[3]!.resolve()
  t.equal(await alone, 3)
})

t.test('patience: never two in flight, whenever callers come', async t => {
  let inFlight = 0
  let most = 0
  const shared = new SharedRead(async () => {
    inFlight++
    most = Math.max(most, inFlight)
    for (let turns = 0; turns < 3; turns++) await null
    inFlight--
  }, sameAs)
  const calls: Promise<void>[] = []
  for (let i = 0; i < 200; i++) {
    calls.push(shared.get())
    for (let turns = 0; turns < i % 7; turns++) await null
  }
  await Promise.all(calls)
  t.equal(most, 1)
})

t.test('patience: a read that fails fails its own callers alone', async t => {
  const { shared, ends } = openReads()
  const first = shared.get()
  const second = shared.get()
  ends[0]!.reject()
  await t.rejects(first, /read 0 failed/)
  await new Promise(setImmediate)
  ends[1]!.resolve()
  t.equal(await second, 1)
})
