/**
 * The client's example before three servers that are killed one by one, each while it is followed:
 * no change is lost, repeated or invented.
 */
import t from 'tap'
import { absent } from '../run/clients.ts'
import { faultsOf, followThroughKills, type Run } from './client-through-kills.ts'

t.setTimeout(170_000)

t.test('servers are killed one by one', { skip: absent('etcd') }, async t => {
  const run = await followThroughKills(t, 1, false)
  t.same(faultsOf(run).slice(0, 20), [])
  t.ok(run.losses >= 3, 'each kill was felt')
  t.same(run.instances, ['added'], 'what it offers was there all the time')
  const acknowledged = run.ledger.filter(({ revision }) => revision !== undefined).length
  t.ok(acknowledged > 100, `${acknowledged} writes were acknowledged`)
  t.comment(`${acknowledged} writes, ${run.changes.length} changes, ${run.losses} losses`)
})

t.test('what the verdict is worth', async t => {
  const written = (key: string, value: string, revision?: number) => ({ key, value, revision })
  const run: Run = {
    ledger: [written('a', '1', 5), written('a', '2', 6), written('b', '1', 7), written('b', '2')],
    changes: [
      { kind: 'added', key: 'a', revision: 6, value: '2' },
      { kind: 'added', key: 'b', revision: 7, value: '1' },
    ],
    view: { a: 6, b: 7 },
    store: { a: 6, b: 7 },
    losses: 0,
    instances: [],
  }
  const { changes } = run
  const [a, b] = changes
  t.same(faultsOf(run), [])
  t.match(faultsOf({ ...run, changes: [a!] }), [/^lost: b at 7/])
  t.match(faultsOf({ ...run, changes: [a!, b!, b!] }), [/repeated/])
  t.match(faultsOf({ ...run, changes: [a!, { ...b!, value: '9' }] }), [/nobody wrote/])
  t.match(faultsOf({ ...run, changes: [a!, { ...b!, revision: 9 }] }), [/acknowledged at 7/])
  t.match(faultsOf({ ...run, changes: [a!, { ...b!, kind: 'changed' }] }), [/does not fit/])
  t.match(faultsOf({ ...run, store: { a: 6 } }), [/in the store/])
  t.same(
    faultsOf({
      ...run,
      changes: [...changes, { ...b!, kind: 'changed', revision: 8, value: '2' }],
      view: { a: 6, b: 8 },
      store: { a: 6, b: 8 },
    }),
    [],
    'what nobody was told of may be done',
  )
})
