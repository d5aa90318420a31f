/** Prepared queries as agents without a store follow them. */
import t from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { resolveQuery } from '../../src/registry/query-execute.ts'
import { isWithheld, queryInterest, queryKind } from '../../src/registry/query-interest.ts'
import type { View } from '../../src/store/ask.ts'
import { del, isRefusal, type Op, put } from '../../src/store/store.ts'
import { type QueryRow, queries } from '../../src/store/tables/query.ts'
import { settled } from '../fake/clock.ts'
import { DirectWay, openStore, publish, replicaBy } from '../store/replica/world.ts'
import { queryRow } from './rules.ts'

const ID = '0f3c7a52-1111-4222-8333-444455556666'
const OTHER_ID = '0f3c7a52-1111-4222-8333-444455556667'
const template = { type: 'name_prefix_match', regexp: '', removeEmptyTags: false }
const NOBODY = { id: '', token: '' }

const named = (id: string, name: string, more: Partial<QueryRow> = {}): Op => {
  const row = queryRow(id, { name, ...more })
  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what templates are made of
  const service = more.template === undefined ? 'web' : '${name.suffix}'
  return put(queries, id, { ...row, service: { ...row.service, service } })
}

/** Which query a name means, and which service it asks for. */
const meant = (view: View, name: string): string => {
  const found = resolveQuery(view, name)
  if (found === undefined) return 'none'
  return isRefusal(found) ? found.text : `${found.id} ${found.service.service} ${found.token}`
}

t.test(
  'a name means the same on a replica, whatever it follows and however they change',
  async t => {
    const store = openStore(systemClock)
    const kinds = [queryKind]
    const publisher = publish(store, systemClock, undefined, kinds)
    const replica = replicaBy(new DirectWay(publisher), systemClock, { kinds })
    t.teardown(async () => {
      await replica.close()
      publisher.close()
      await store.close()
    })
    const names = ['saved', 'SAVED', ID, ID.toUpperCase(), 'geo-db', 'geo-eu-db', 'other', '']
    const changes: readonly Op[] = [
      named(ID, 'saved'),
      named('any', '', { template }),
      named('geo', 'geo-', { template }),
      named('eu', 'geo-eu-', { template }),
      named(ID, 'renamed'),
      named('exact', 'geo-eu-db'),
      del(queries, 'any'),
      del(queries, 'eu'),
      del(queries, ID),
      del(queries, 'exact'),
    ]
    for (const change of changes) {
      await store.write(() => ({ txn: [change], answer: undefined }))
      for (const name of names) {
        await replica.ensure([queryInterest(name)], NOBODY)
        while (replica.view().revision < store.view().revision) await settled()
        const here = meant(replica.view() as unknown as View, name)
        t.equal(here, meant(store.view() as View, name), `${name} after ${change.key}`)
      }
    }
  },
)

t.test('a token in a query stays with the servers', async t => {
  const store = openStore(systemClock)
  const kinds = [queryKind]
  const publisher = publish(store, systemClock, undefined, kinds)
  const replica = replicaBy(new DirectWay(publisher), systemClock, { kinds })
  t.teardown(async () => {
    await replica.close()
    publisher.close()
    await store.close()
  })
  await store.write(() => ({
    txn: [named(OTHER_ID, 'held', { token: 'sealed secret' })],
    answer: 1,
  }))
  await replica.ensure([queryInterest('held')], NOBODY)
  const row = replica.view().get(queries, OTHER_ID)?.row
  t.ok(row !== undefined && isWithheld(row))
  t.notMatch(JSON.stringify(row), /sealed secret/)
})
