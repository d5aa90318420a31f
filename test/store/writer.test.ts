/** Writes made for somebody: the order of what stands round a rule. */
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { everybody, type Who } from '../../src/base/who.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { isRefusal, put } from '../../src/store/store.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { type Gate, Writer } from '../../src/store/writer.ts'

const row = { value: Buffer.from('v'), flags: 0n, lockIndex: 0, session: '' }
const who: Who = { accessor: 'a1', rights: 'r1', may: () => true }

function storeOf(t: Test) {
  const store = openMemoryStore({
    tables: withSystemTables([kv]),
    clock: systemClock,
    random: systemRandom,
  })
  t.teardown(() => store.close())
  return store
}

t.test('admits, decides for whom was admitted, then judges', async t => {
  const steps: string[] = []
  const renewed: Who = { ...who, rights: 'r2' }
  const gate: Gate = {
    admit: (view, by) => {
      steps.push(`admit ${by.rights} at ${view.revision}`)
      return renewed
    },
    judge: (_view, by) => {
      steps.push(`judge ${by.rights}`)
      return undefined
    },
  }
  const store = storeOf(t)
  const written = await new Writer(store, gate).write(who, (_view, by) => {
    steps.push(`decide for ${by.rights}`)
    return { txn: [put(kv, 'a', row)], answer: true }
  })
  t.equal(isRefusal(written), false)
  t.strictSame(steps, ['admit r1 at 0', 'decide for r2', 'judge r2'])
  t.ok(store.view().get(kv, 'a'))
})

t.test('who is not admitted, or does what a condition forbids, changes nothing', async t => {
  const store = storeOf(t)
  const no = new Refusal(403, 'ACL not found')
  const decide = () => ({ txn: [put(kv, 'a', row)], answer: true })
  const refusing = (part: Partial<Gate>): Writer =>
    new Writer(store, { admit: (_view, by) => by, judge: () => undefined, ...part })
  let decided = 0
  const counted = () => {
    decided++
    return decide()
  }
  t.equal(await refusing({ admit: () => no }).write(who, counted), no)
  t.equal(decided, 0, 'the rule is not even asked')
  t.equal(await refusing({ judge: () => no }).write(who, counted), no)
  t.equal(store.view().get(kv, 'a'), undefined)
  const own = new Refusal(400, 'because')
  const judge = () => t.fail('a refusal needs no judge') as never
  t.equal(await refusing({ judge }).write(who, () => own), own)
})

t.test('the server itself passes the gate', async t => {
  const closed: Gate = {
    admit: () => new Refusal(403, 'no'),
    judge: () => new Refusal(403, 'no'),
  }
  const store = storeOf(t)
  const written = await new Writer(store, closed).write(everybody, () => ({
    txn: [put(kv, 'a', row)],
    answer: true,
  }))
  t.equal(isRefusal(written), false)
})

t.test('several rules in one transaction: what is refused is left out, by itself', async t => {
  const store = storeOf(t)
  const judged: string[] = []
  const gate: Gate = {
    admit: (_view, by) => by,
    judge(view, by) {
      judged.push(`${by.rights} with ${view.prefix(kv, '').length}`)
      return by.rights === 'r2' ? new Refusal(403, 'no') : undefined
    },
  }
  const part = (rights: string, key: string, txn = [put(kv, key, row)]) => ({
    who: () => ({ ...who, rights }),
    decide: () => ({ txn, answer: key }),
  })
  const records: Who[] = []
  const writer = new Writer(store, gate, by => {
    records.push(by)
    return undefined
  })
  const lacking = { who: () => who, decide: () => new Refusal(400, 'bad') }
  const parts = [part('r1', 'a'), part('r2', 'b'), lacking, part('r3', 'c'), part('r2', 'd', [])]
  const written = await writer.writeEach(who, parts)
  if (isRefusal(written)) throw new Error(written.text)
  const texts = written.answer.map(one => (isRefusal(one) ? `${one.status} ${one.text}` : one))
  t.strictSame(texts, ['a', '403 no', '400 bad', 'c', 'd'])
  t.strictSame(judged, ['r1 with 0', 'r2 with 1', 'r3 with 1'], 'no change is not judged')
  t.strictSame(
    store
      .view()
      .prefix(kv, '')
      .map(({ key }) => key),
    ['a', 'c'],
  )
  t.strictSame(records, [who], 'one record')
  const own = await writer.writeEach(everybody, [
    { who: () => everybody, decide: () => ({ txn: [put(kv, 'e', row)], answer: 1 }) },
  ])
  t.match(own, { answer: [1] })
  t.equal(records.length, 1, "nor is the server's own work")
  t.equal(judged.length, 3)
})
