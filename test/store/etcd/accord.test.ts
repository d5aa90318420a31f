/** Each contradiction is told, and what fits is let pass. */
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { Accord, checkSuccession } from '../../../src/store/etcd/accord.ts'
import type { WatchEvent } from '../../../src/store/etcd/client.ts'
import { int64 } from '../../sim/etcd/mvcc.ts'

/** A head row's event, as its writer's view was. */
function head(at: number, version: number, claim: string, type: 'PUT' | 'DELETE' = 'PUT') {
  const value = Buffer.from(`7 token ${claim}`)
  const numbers = { createRevision: int64(1), modRevision: int64(at), version: int64(version) }
  const kv = { key: Buffer.from('head'), value, ...numbers, lease: int64(0) }
  return { type, kv } satisfies WatchEvent
}

function startedAt(revision: number, sum: number): Accord {
  const accord = new Accord()
  accord.restart(1, { revision, sum })
  return accord
}

t.test('views of other servers', async t => {
  const accord = startedAt(10, 500)
  accord.note({ revision: 12, sum: 600 })
  t.equal(accord.claim(), '1 12 600')
  accord.heard('a', head(13, 4, '1 12 600'))
  accord.heard('a', head(14, 5, '1 11 500'))
  accord.heard('b', head(15, 1, '1 9 1'))
  accord.heard('b', head(16, 2, '2 12 601'))
  accord.heard('b', head(17, 3, ''))
  t.throws(() => accord.heard('b', head(18, 4, '1 12 601')), /different rows at revision 12/)
  t.throws(() => accord.heard('b', head(18, 5, '1 11 600')), /different rows at revision 11/)
})

t.test('head rows follow one another', async t => {
  const accord = startedAt(10, 500)
  accord.heard('a', head(11, 4, '1 10 500'))
  t.throws(() => accord.heard('a', head(13, 6, '1 10 500')), /written 6 times, and 4 times/)
  accord.heard('a', head(13, 0, '', 'DELETE'))
  accord.heard('a', head(14, 1, '1 10 500'))
  accord.restart(1, { revision: 20, sum: 7 })
  accord.heard('a', head(21, 9, '1 20 7'))
})

t.test('revisions never go down', async t => {
  const accord = startedAt(10, 500)
  accord.committed(12, 9)
  t.throws(() => accord.committed(12, 12), /gave revision 12 to a write, after 12/)
  accord.headRead(12, 12)
  t.throws(() => accord.headRead(11, 12), /of revision 11, and was of 12/)
  accord.pointRead(12, accord.newestHead)
  t.throws(() => accord.pointRead(11, accord.newestHead), /of revision 11, and was of 12/)
  accord.etcdAt(13, 13)
  t.throws(() => accord.etcdAt(12, 13), /etcd is at revision 12 and was at 13 before/)
})

t.test('a head row that the watch left out', async t => {
  const accord = startedAt(10, 500)
  accord.shown(9)
  accord.shown(10)
  t.throws(() => accord.shown(11), /left out the head row of revision 11/)
  accord.heard('a', head(11, 1, ''))
  accord.shown(11)
})

t.test('what a row was before its event', async t => {
  const cell = { version: 3 } as Parameters<typeof checkSuccession>[1]
  checkSuccession(head(5, 1, ''), undefined)
  checkSuccession(head(5, 4, ''), cell)
  checkSuccession(head(5, 0, '', 'DELETE'), cell)
  t.throws(() => checkSuccession(head(5, 2, ''), undefined), /version 2 of a row after 0/)
  t.throws(() => checkSuccession(head(5, 1, ''), cell), /version 1 of a row after 3/)
  t.throws(() => checkSuccession(head(5, 0, '', 'DELETE'), undefined), /was not there/)
})

t.test('views are kept up to a bound', async t => {
  const accord = startedAt(0, 0)
  const count = 3 * limits.etcdAccordViews
  for (let at = 1; at <= count; at++) accord.note({ revision: at, sum: at })
  accord.heard('a', head(count + 1, 1, `1 ${count} ${count}`))
  accord.heard('a', head(count + 2, 2, '1 1 999'))
  t.throws(() => accord.heard('a', head(count + 3, 3, `1 ${count} 1`)), /different rows/)
})
