/**
 * The same as client.cluster.test.ts for longer: each server is killed ten times, its member of
 * etcd with it.
 */
import t from 'tap'
import { absent } from '../run/clients.ts'
import { faultsOf, followThroughKills } from './client-through-kills.ts'

const ROUNDS = Number(process.env.GATEHOUSE_ROUNDS ?? 10)

t.test('servers and their members are killed', { skip: absent('etcd') }, async t => {
  const run = await followThroughKills(t, ROUNDS, true)
  t.same(faultsOf(run).slice(0, 20), [])
  t.ok(run.losses >= 3 * ROUNDS, 'each kill was felt')
  t.comment(`${run.ledger.length} writes, ${run.changes.length} changes, ${run.losses} losses`)
})
