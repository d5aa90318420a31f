/** etcd is killed and started again under load: no acknowledged write is lost. */
import t from 'tap'
import { OperatingError, type Outcome, Refusal } from '../../../src/base/errors.ts'
import type { EtcdStore } from '../../../src/store/etcd/engine.ts'
import { put } from '../../../src/store/store.ts'
import { blobs, colds, things } from '../../conformance/store.ts'
import { untilBudget } from '../../run/budget.ts'
import { absent } from '../../run/clients.ts'
import { startEtcd } from './member.ts'
import { openOn, until } from './stores.ts'

/** What each write was answered with, by its number. */
type Answers = Map<string, Outcome | 'answered'>

/** Each write adds a row of its own and counts one up: a row without its count would be torn. */
async function writeOne(store: EtcdStore, name: string, answers: Answers): Promise<void> {
  try {
    const written = await store.write(view => {
      const size = view.get(things, 'count')?.row.size ?? 0
      return {
        txn: [
          put(blobs, name, Buffer.from(name)),
          put(colds, name, { group: 'g', tags: [], size }),
          put(things, 'count', { group: 'g', tags: [], size: size + 1 }),
        ],
        answer: null,
      }
    })
    if (!(written instanceof Refusal)) answers.set(name, 'answered')
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error
    answers.set(name, error.outcome)
  }
}

t.test('etcd', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)
  const stores = [
    await openOn(t, member, { prefix: 'crash', serverId: 'one' }),
    await openOn(t, member, { prefix: 'crash', serverId: 'other' }),
  ]
  const answers: Answers = new Map()
  let names = 0

  const killOnce = async (round: number): Promise<void> => {
    let stopping = false
    const load = stores.map(async store => {
      while (!stopping) {
        const burst = Array.from({ length: 4 }, () => writeOne(store, `w/${names++}`, answers))
        await Promise.all(burst)
      }
    })
    const before = answers.size
    await until(() => answers.size >= before + 8 + (round % 5))
    await member.kill()
    await member.start()
    const after = answers.size
    await until(() => answers.size >= after + 8)
    stopping = true
    await Promise.all(load)
  }
  await untilBudget('kills of etcd under load', 100, killOnce, 2)

  await Promise.all(stores.map(store => store.readIndex()))
  const fresh = await openOn(t, member, { prefix: 'crash', serverId: 'fresh' })
  await until(() => stores.every(store => store.view().revision >= fresh.view().revision))
  for (const store of stores) t.equal(store.status().sum, fresh.status().sum)
  const rows = new Set(
    fresh
      .view()
      .prefix(blobs, 'w/')
      .map(({ key }) => key),
  )
  const wrong = [...answers].filter(([name, answer]) => {
    if (answer === 'unknown') return false
    return rows.has(name) !== (answer === 'answered' || answer === 'done')
  })
  t.same(wrong, [], 'every answer is true')
  t.equal(fresh.view().get(things, 'count')?.row.size, rows.size, 'each was applied once')
  t.equal(await fresh.cold.prove(), rows.size)
  for (const name of rows) {
    const cold = await fresh.cold.get(colds, name)
    t.equal(cold?.modRevision, fresh.view().get(blobs, name)?.modRevision)
  }
})
