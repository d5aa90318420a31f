/** Several servers on one etcd: nothing is lost and no rule is broken between them. */
import t from 'tap'
import { AssertionError } from '../../../src/base/assert.ts'
import { Refusal } from '../../../src/base/errors.ts'
import { limits } from '../../../src/base/limits.ts'
import { connectEtcd, type TxnRequest, warningsFor } from '../../../src/store/etcd/client.ts'
import { connectMember } from '../../../src/store/etcd/cluster.ts'
import type { EtcdStore } from '../../../src/store/etcd/engine.ts'
import { Overlay } from '../../../src/store/overlay.ts'
import { del, put } from '../../../src/store/store.ts'
import { blobs, things } from '../../conformance/store.ts'
import { absent } from '../../run/clients.ts'
import { startEtcd } from './member.ts'
import { openOn, openRaw, until, wrapped } from './stores.ts'

const text = (value: string) => Buffer.from(value)
const thing = (group: string, size = 0) => ({ group, tags: [], size })

t.test('etcd', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)
  const openBoth = async (test: typeof t, prefix: string): Promise<[EtcdStore, EtcdStore]> => [
    await openOn(test, member, { prefix, serverId: 'one' }),
    await openOn(test, member, { prefix, serverId: 'other' }),
  ]

  t.test('shared: what one server answered, the other reads', async t => {
    const [one, other] = await openBoth(t, 'reads')
    for (let i = 0; i < 10; i++) {
      const [writer, reader] = i % 2 === 0 ? [one, other] : [other, one]
      await writer.write(() => ({ txn: [put(blobs, 'k', text(String(i)))], answer: null }))
      await reader.readIndex()
      t.equal(reader.view().get(blobs, 'k')?.row.toString(), String(i))
    }
    t.equal(one.status().sum, other.status().sum)
    t.equal(one.status().clusterId, other.status().clusterId)
  })

  t.test('shared: no increment is lost', async t => {
    const both = await openBoth(t, 'counter')
    await both[0].write(() => ({ txn: [put(things, 'counter', thing('c'))], answer: null }))
    await both[1].readIndex()
    const increments = both.flatMap(store =>
      Array.from({ length: 25 }, () =>
        store.write(view => {
          const { size } = view.get(things, 'counter')!.row
          return { txn: [put(things, 'counter', thing('c', size + 1))], answer: null }
        }),
      ),
    )
    await Promise.all(increments)
    await Promise.all(both.map(store => store.readIndex()))
    t.same(
      both.map(store => store.view().get(things, 'counter')?.row.size),
      [50, 50],
    )
  })

  t.test('shared: several rules as one, each over what the last one did', async t => {
    const both = await openBoth(t, 'overlay')
    const accounts = ['a', 'b', 'c']
    await both[0].write(() => ({
      txn: accounts.map(key => put(things, key, thing('account', 100))),
      answer: null,
    }))
    await both[1].readIndex()
    const move = (store: EtcdStore, from: string, to: string) =>
      store.write(view => {
        const overlay = new Overlay(view)
        for (const [key, by] of [
          [from, -1],
          [to, 1],
        ] as const) {
          const { size } = overlay.get(things, key)!.row
          overlay.apply([put(things, key, thing('account', size + by))])
        }
        const sizes = overlay.find(things, 'group', 'account').map(({ row }) => row.size)
        const total = sizes.reduce((sum, size) => sum + size, 0)
        return total === 300 ? { txn: overlay.ops, answer: null } : new Refusal(500, `${total}`)
      })
    const moves = Array.from({ length: 30 }, (_, i) =>
      move(both[i % 2]!, accounts[i % 3]!, accounts[(i + 1) % 3]!),
    )
    for (const moved of await Promise.all(moves)) t.notOk(moved instanceof Refusal)
    await Promise.all(both.map(store => store.readIndex()))
    for (const store of both) {
      const sizes = accounts.map(key => store.view().get(things, key)?.row.size)
      t.same(sizes, [100, 100, 100], 'each gave and took ten times')
    }
  })

  t.test('shared: a rule over a guarded index holds against both', async t => {
    const both = await openBoth(t, 'index')
    // Each may leave only while another one stays.
    const enter = (store: EtcdStore, key: string) =>
      store.write(() => ({ txn: [put(things, key, thing('room'))], answer: null }))
    const leave = (store: EtcdStore, key: string) =>
      store.write(view => {
        if (view.find(things, 'group', 'room').length <= 1) return new Refusal(409, 'the last one')
        return { txn: [del(things, key)], answer: null }
      })
    for (let round = 0; round < 10; round++) {
      await Promise.all([enter(both[0], 'a'), enter(both[1], 'b')])
      const left = await Promise.all([leave(both[0], 'a'), leave(both[1], 'b')])
      t.equal(left.filter(result => result instanceof Refusal).length, 1)
    }
  })

  t.test('shared: a rule over a prefix, and over a wider one, holds against both', async t => {
    const both = await openBoth(t, 'prefix')
    for (const prefix of ['p/', 'p', '']) {
      const add = (store: EtcdStore, i: number) =>
        store.write(view => {
          if (view.prefix(blobs, prefix).length >= 3) return new Refusal(409, 'full')
          return { txn: [put(blobs, `p/${i}`, text('1'))], answer: null }
        })
      const results = await Promise.all([0, 1, 2, 3, 4, 5].map(i => add(both[i % 2]!, i)))
      t.equal(results.filter(result => result instanceof Refusal).length, 3, `'${prefix}'`)
      await both[0].write(view => ({
        txn: view.prefix(blobs, 'p/').map(({ key }) => del(blobs, key)),
        answer: null,
      }))
      await both[1].readIndex()
    }
  })

  t.test('shared: a rule over the values of an index holds against both', async t => {
    const both = await openBoth(t, 'distinct')
    const open = (store: EtcdStore, i: number) =>
      store.write(view => {
        if (view.distinct(things, 'group').length >= 2) return new Refusal(409, 'enough groups')
        return { txn: [put(things, `t${i}`, thing(`group ${i}`))], answer: null }
      })
    const results = await Promise.all([0, 1, 2, 3].map(i => open(both[i % 2]!, i)))
    t.equal(results.filter(result => result instanceof Refusal).length, 2)
  })

  t.test('shared: a refusal stands on what is so now', async t => {
    const [one, other] = await openBoth(t, 'refusal')
    await one.write(() => ({ txn: [put(blobs, 'k', text('1'))], answer: null }))
    await other.readIndex()
    // Asked at once after the other server's answer, the view may be older.
    for (let i = 0; i < 10; i++) {
      const [writer, asker] = i % 2 === 0 ? [one, other] : [other, one]
      const wanted = String(i + 2)
      await writer.write(() => ({ txn: [put(blobs, 'k', text(wanted))], answer: null }))
      const answer = await asker.write(view => {
        const found = view.get(blobs, 'k')!.row.toString()
        return new Refusal(409, found)
      })
      t.same(answer, new Refusal(409, wanted))
    }
  })

  t.test('shared: the same now and the same random at every try', async t => {
    const [one, other] = await openBoth(t, 'again')
    await one.write(() => ({ txn: [put(blobs, 'k', text('1'))], answer: null }))
    await other.readIndex()
    const seen = new Set<string>()
    let runs = 0
    const write = (store: EtcdStore) =>
      store.write((view, now, random) => {
        view.get(blobs, 'k')
        if (store === other) {
          runs++
          seen.add(`${now} ${random.uuid()}`)
        }
        return { txn: [put(blobs, 'k', text('2'))], answer: null }
      })
    for (let i = 0; i < 50 && runs <= i; i++) await Promise.all([write(one), write(other)])
    t.ok(runs > 1, 'one was decided again')
    t.equal(seen.size, runs - 1)
  })

  t.test('shared: as many operations as any engine takes', async t => {
    const [one, other] = await openBoth(t, 'large')
    const txn = Array.from({ length: limits.transactionOps }, (_, i) =>
      put(things, `t${i}`, thing(`g${i % 7}`)),
    )
    await one.write(() => ({ txn, answer: null }))
    await other.readIndex()
    t.equal(other.view().count(things), limits.transactionOps)
    t.equal(
      new Set(
        other
          .view()
          .prefix(things, '')
          .map(c => c.modRevision),
      ).size,
      1,
    )
    const over = [...txn, put(things, 'one more', thing('g'))]
    await t.rejects(
      one.write(() => ({ txn: over, answer: null })),
      { code: 'limit' },
    )
    const heavy = Array.from({ length: 20 }, (_, i) => put(blobs, `b${i}`, Buffer.alloc(100_000)))
    await t.rejects(
      one.write(() => ({ txn: heavy, answer: null })),
      { code: 'limit' },
    )
  })

  t.test('shared: a rule that read more keys than etcd compares', async t => {
    const both = await openBoth(t, 'many')
    const keys = Array.from({ length: 200 }, (_, i) => `k/${i}`)
    await both[0].write(() => ({
      txn: keys.map(key => put(blobs, key, text('1'))),
      answer: null,
    }))
    await both[1].readIndex()
    // Whoever sees all of them deletes one: of two at a time, only one may see all.
    const take = (store: EtcdStore, key: string) =>
      store.write(view => {
        if (!keys.every(one => view.get(blobs, one))) return new Refusal(409, 'one is missing')
        return { txn: [del(blobs, key)], answer: null }
      })
    for (const round of [0, 1, 2]) {
      const taken = await Promise.all([take(both[0], `k/${round}`), take(both[1], 'k/150')])
      t.equal(taken.filter(result => result instanceof Refusal).length, 1)
      await both[0].write(() => ({
        txn: keys.map(key => put(blobs, key, text('1'))),
        answer: null,
      }))
      await both[1].readIndex()
    }
  })

  t.test('shared: what has no guard cannot be read as a range', async t => {
    const [one] = await openBoth(t, 'unguarded')
    const find = one.write(view => ({ txn: [], answer: view.find(things, 'tag', 'x') }))
    await t.rejects(find, AssertionError)
    const prefix = one.write(view => ({ txn: [], answer: view.prefix(things, '') }))
    await t.rejects(prefix, AssertionError)
  })

  t.test('shared: a lease that another ended', async t => {
    const [one, other] = await openBoth(t, 'lease')
    const lease = await one.grant(60_000)
    await one.write(() => ({ txn: [put(blobs, 'leased', text('1'), lease.id)], answer: null }))
    await other.readIndex()
    t.match(other.view().get(blobs, 'leased'), { lease: lease.id })
    const raw = await openRaw(t, member)
    await raw.revoke(lease.id)
    await until(() => one.view().get(blobs, 'leased') === undefined)
    t.equal(await one.keepAlive(lease.id), false)
    await one.revoke(lease.id)
    const late = other.write(() => ({ txn: [put(blobs, 'x', text('1'), lease.id)], answer: null }))
    await t.rejects(late, { code: 'lease', outcome: 'none' })
  })

  t.test('shared: a lease ends between the rule and its transaction', async t => {
    const raw = await openRaw(t, member)
    let lease = ''
    const store = await openOn(t, member, {
      prefix: 'ends',
      serverId: 'one',
      connect: async endpoints => {
        const etcd = await connectEtcd(endpoints)
        const txn = async (request: TxnRequest) => {
          const ending = lease
          lease = ''
          if (ending !== '') await raw.revoke(ending)
          return etcd.txn(request)
        }
        return wrapped(etcd, { txn })
      },
    })
    const granted = await store.grant(60_000)
    await store.write(() => ({ txn: [put(blobs, 'held', text('1'), granted.id)], answer: null }))
    lease = granted.id
    const answer = await store.write(view => {
      const held = view.get(blobs, 'held') !== undefined
      return { txn: [put(blobs, 'seen', text('1'))], answer: held }
    })
    t.match(answer, { answer: false })
  })

  t.test('shared: a store that cannot be reached says how to start etcd', async t => {
    const opening = openOn(
      t,
      { ...member, endpoint: 'http://127.0.0.1:1' },
      { prefix: 'x', serverId: 'one' },
    )
    await t.rejects(opening, { code: 'unavailable', message: /127\.0\.0\.1:1 .*etcd --data-dir/ })
    const secured = openOn(
      t,
      { ...member, endpoint: 'https://127.0.0.1:1' },
      { prefix: 'x', serverId: 'one' },
    )
    await t.rejects(secured, { code: 'unavailable', message: /https:\/\/127\.0\.0\.1:1 / })
  })

  t.test('shared: the next endpoint is used when one is away', async t => {
    const store = await openOn(t, member, {
      prefix: 'endpoints',
      serverId: 'one',
      endpoints: ['http://127.0.0.1:1', member.endpoint],
    })
    t.match(await store.write(() => ({ txn: [put(blobs, 'k', text('1'))], answer: 1 })), {
      answer: 1,
    })
    const operator = await connectMember(member.endpoint)
    t.teardown(() => operator.close())
    t.same(store.warnings, warningsFor((await operator.status()).version))
  })
})
