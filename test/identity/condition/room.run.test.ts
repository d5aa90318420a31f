/**
 * Conditions on a store, and the writes that they govern: the gate asks for them.
 */
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { access, Caller, everybody } from '../../../src/base/who.ts'
import { prepareConditions } from '../../../src/identity/condition/evaluate.ts'
import { conditionGate } from '../../../src/identity/condition/gate.ts'
import { Conditions } from '../../../src/identity/condition/room.run.ts'
import { put } from '../../../src/store/store.ts'
import { type ConditionRow, conditions } from '../../../src/store/tables/acl-condition.ts'
import { kv } from '../../../src/store/tables/kv.ts'
import { openGate, Writer } from '../../../src/store/writer.ts'
import { openMemory } from '../../http/engines.ts'
import { factsOf } from './support.ts'

const row = (more: Partial<ConditionRow> = {}): ConditionRow => ({
  name: 'c',
  description: '',
  expression: 'request.name != "secret"',
  level: 'hard-mandatory',
  operations: [{ resource: 'key', name: undefined, prefix: undefined }],
  enabled: true,
  ...more,
})

t.test('a condition holds from its write to its deletion', async t => {
  const store = await openMemory()
  t.teardown(() => store.close())
  const token = factsOf().token()
  const writer = new Writer(
    store,
    conditionGate(openGate, () => token),
  )
  const room = new Conditions(writer)
  const request = { ...factsOf().request }
  const write = async (key: string): Promise<string> => {
    const written = await writer.write(new Caller(everybody, request), (_view, who) => {
      who.may(access('write', 'key', key))
      const value = { value: Buffer.from('x'), flags: 0n, session: '', lockIndex: 0 }
      return { txn: [put(kv, key, value)], answer: true }
    })
    return written instanceof Refusal ? written.text : 'written'
  }
  t.equal(await write('secret'), 'written')
  t.match(await room.put(everybody, row()), { name: 'c' })
  t.equal(await write('secret'), 'Permission denied: condition "c" (hard-mandatory) does not hold')
  t.equal(await write('other'), 'written')
  t.equal(store.view().get(conditions, 'c')?.row.name, 'c')
  prepareConditions(store.view())
  await room.put(everybody, row({ level: 'advisory' }))
  t.equal(await write('secret'), 'written')
  t.same(request.advisories, ['c'])
  t.equal(await write('other'), 'written')
  t.same(request.advisories, [], 'each judgement stands for itself')
  await room.put(everybody, row({ enabled: false }))
  t.equal(await write('secret'), 'written')
  t.equal(await room.delete(everybody, 'C'), true)
  t.match(await room.delete(everybody, 'c'), { status: 404 })
  t.match(await room.put(everybody, row({ expression: '1' })), { status: 400 })
})
