/** Many writes share few transactions of etcd's, and each gets its own answer. */
import t, { type Test } from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { RpcError } from '../../../src/base/io/grpc.ts'
import { limits } from '../../../src/base/limits.ts'
import { connectEtcd, type Etcd, type TxnRequest } from '../../../src/store/etcd/client.ts'
import type { EtcdStore } from '../../../src/store/etcd/engine.ts'
import { del, put } from '../../../src/store/store.ts'
import { blobs, things } from '../../conformance/store.ts'
import { absent } from '../../run/clients.ts'
import { type Member, startEtcd } from './member.ts'
import { hurriedClock, openOn, openRaw, until, wrapped } from './stores.ts'

const lost = (): RpcError => new RpcError('UNAVAILABLE', 'the connection was lost', true)
const write = (store: EtcdStore, key: string, text = '1') =>
  store.write(() => ({ txn: [put(blobs, key, Buffer.from(text))], answer: text }))

/** How many transactions of ours share this one. */
const shares = ({ success }: TxnRequest): number => success.filter(op => 'requestTxn' in op).length

type Txn = (etcd: Etcd, request: TxnRequest) => ReturnType<Etcd['txn']>

/** A store whose transactions go through `meet.txn`, with those that were sent. */
async function openMet(t: Test, member: Member, prefix: string, options = {}) {
  const meet: { txn: Txn; sent: TxnRequest[] } = {
    txn: (etcd, request) => etcd.txn(request),
    sent: [],
  }
  const connect = async (endpoints: readonly string[]): Promise<Etcd> => {
    const etcd = await connectEtcd(endpoints)
    return wrapped(etcd, {
      txn: request => {
        meet.sent.push(request)
        return meet.txn(etcd, request)
      },
    })
  }
  const store = await openOn(t, member, { prefix, serverId: 'one', connect, ...options })
  meet.sent = []
  return { store, meet }
}

t.test('etcd', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)

  t.test('committer: independent writes go together, in one revision', async t => {
    const { store, meet } = await openMet(t, member, 'together')
    const all = Array.from({ length: 300 }, (_, i) => write(store, `k/${i}`))
    const written = await Promise.all(all)
    const transactions = meet.sent.filter(request => request.success.length > 1)
    t.ok(transactions.length <= 8, `${transactions.length} transactions`)
    const revisions = new Set(written.map(one => !(one instanceof Refusal) && one.revision))
    t.equal(revisions.size, transactions.length)
    for (let i = 0; i < 300; i++) t.ok(store.view().get(blobs, `k/${i}`))
    const fresh = await openOn(t, member, { prefix: 'together', serverId: 'fresh' })
    t.equal(fresh.status().sum, store.status().sum)
  })

  t.test('committer: writes of the same row are done in the order of their calls', async t => {
    const { store } = await openMet(t, member, 'order')
    const append = (i: number) =>
      store.write(view => {
        const before = view.get(blobs, 'list')?.row.toString() ?? ''
        return { txn: [put(blobs, 'list', Buffer.from(`${before} ${i}`))], answer: before }
      })
    const refuse = () =>
      store.write(view => new Refusal(409, view.get(blobs, 'list')?.row.toString() ?? ''))
    const calls = Array.from({ length: 12 }, (_, i) => (i % 4 === 3 ? refuse() : append(i)))
    const others = Array.from({ length: 50 }, (_, i) => write(store, `other/${i}`))
    const answers = await Promise.all(calls)
    await Promise.all(others)
    let list = ''
    for (const [i, answer] of answers.entries()) {
      if (i % 4 === 3) t.same(answer, new Refusal(409, list))
      else t.match(answer, { answer: list })
      if (i % 4 !== 3) list += ` ${i}`
    }
    t.equal(store.view().get(blobs, 'list')?.row.toString(), list)
  })

  t.test('committer: a write does not wait for what it has nothing in common with', async t => {
    const { store, meet } = await openMet(t, member, 'apart')
    await write(store, 'warm')
    let release = (): void => {}
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    meet.txn = async (etcd, request) => {
      meet.txn = (etcd, request) => etcd.txn(request)
      await held
      return etcd.txn(request)
    }
    const slow = write(store, 'slow')
    await new Promise(setImmediate)
    t.match(await write(store, 'quick'), { answer: '1' })
    const same = write(store, 'slow', '2')
    t.match(await write(store, 'quick', '2'), { answer: '2' })
    t.equal(store.view().get(blobs, 'slow'), undefined)
    release()
    t.match(await Promise.all([slow, same]), [{ answer: '1' }, { answer: '2' }])
    t.equal(store.view().get(blobs, 'slow')?.row.toString(), '2')
  })

  t.test('committer: one loses to another server, the others are done', async t => {
    const { store, meet } = await openMet(t, member, 'loser')
    const other = await openOn(t, member, { prefix: 'loser', serverId: 'other' })
    await write(store, 'k/3')
    let runs = 0
    meet.txn = async (etcd, request) => {
      if (shares(request) > 1 && runs === 0) {
        runs++
        await write(other, 'k/3', 'theirs')
      }
      return etcd.txn(request)
    }
    const seen: string[] = []
    const all = Array.from({ length: 10 }, (_, i) =>
      store.write(view => {
        const before = view.get(blobs, `k/${i}`)?.row.toString() ?? ''
        if (i === 3) seen.push(before)
        return { txn: [put(blobs, `k/${i}`, Buffer.from(`${before}+`))], answer: i }
      }),
    )
    t.match(
      await Promise.all(all),
      all.map((_, i) => ({ answer: i })),
    )
    t.same(seen, ['1', 'theirs'])
    for (let i = 0; i < 10; i++) {
      t.equal(store.view().get(blobs, `k/${i}`)?.row.toString(), i === 3 ? 'theirs+' : '+')
    }
  })

  for (const isApplied of [true, false]) {
    t.test(`committer: a shared answer is lost, ${isApplied ? 'applied' : 'not'}`, async t => {
      const prefix = `lost-${isApplied}`
      const { store, meet } = await openMet(t, member, prefix)
      const other = await openOn(t, member, { prefix, serverId: 'other' })
      await Promise.all(['gone', 'stays', 'k/1'].map(key => write(store, key)))
      await other.readIndex()
      let late: TxnRequest | undefined
      meet.txn = async (etcd, request) => {
        if (shares(request) < 2 || late !== undefined) return etcd.txn(request)
        late = request
        await write(other, 'k/1', 'theirs')
        await other.write(() => ({ txn: [del(blobs, 'stays')], answer: null }))
        if (isApplied) await etcd.txn(request)
        throw lost()
      }
      const count = (key: string) =>
        store.write(view => {
          const before = view.get(blobs, key)?.row.toString() ?? ''
          return { txn: [put(blobs, key, Buffer.from(`${before}+`))], answer: before }
        })
      const remove = (key: string) =>
        store.write(view => {
          if (view.get(blobs, key) === undefined) return new Refusal(404, 'gone already')
          return { txn: [del(blobs, key)], answer: 'deleted' }
        })
      const answers = await Promise.all([
        count('k/0'),
        count('k/1'),
        remove('gone'),
        remove('stays'),
      ])
      t.match(answers, [
        { answer: '' },
        { answer: 'theirs' },
        { answer: 'deleted' },
        new Refusal(404, 'gone already'),
      ])
      t.equal(store.view().get(blobs, 'k/0')?.row.toString(), '+', 'done once')
      t.equal(store.view().get(blobs, 'k/1')?.row.toString(), 'theirs+')
      const raw = await openRaw(t, member)
      t.match(await raw.txn(late!), { succeeded: false }, 'it can come no more')
    })
  }

  t.test('committer: an answer that does not come is not waited for', async t => {
    const { store, meet } = await openMet(t, member, 'silent', { clock: hurriedClock })
    await write(store, 'k')
    let silent = 0
    meet.txn = (etcd, request) => {
      if (silent++ > 0) return etcd.txn(request)
      return new Promise(() => {})
    }
    t.match(await Promise.all([write(store, 'a'), write(store, 'b')]), [
      { answer: '1' },
      { answer: '1' },
    ])
    t.match(store.view().get(blobs, 'a'), { version: 1 })
  })

  t.test('committer: what etcd refuses of one makes no other one fail', async t => {
    const { store, meet } = await openMet(t, member, 'poison')
    const isPoisoned = ({ success }: TxnRequest): boolean =>
      success.some(op =>
        'requestTxn' in op
          ? isPoisoned(op.requestTxn)
          : 'requestPut' in op && op.requestPut.value.includes('poison'),
      )
    meet.txn = (etcd, request) => {
      if (!isPoisoned(request)) return etcd.txn(request)
      return Promise.reject(
        new RpcError('PERMISSION_DENIED', 'etcdserver: permission denied', true),
      )
    }
    const all = ['a', 'b', 'c', 'd'].map(key => write(store, key, key === 'c' ? 'poison' : '1'))
    const results = await Promise.allSettled(all)
    t.same(
      results.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    )
    t.match(results[2], { reason: { outcome: 'none', message: /permission denied/ } })
  })

  t.test('committer: a restore is met by writes under way', async t => {
    const { store } = await openMet(t, member, 'restored')
    await write(store, 'k/old')
    let stopping = false
    let done = 0
    const load = Array.from({ length: 8 }, async (_, i) => {
      for (let at = 0; !stopping; at++) {
        await write(store, `k/${i}/${at % 20}`)
        done++
      }
    })
    await until(() => done > 50)
    await store.restore({ rows: [], index: 0, verify: () => {} })
    const before = done
    await until(() => done > before + 50)
    stopping = true
    await Promise.all(load)
    t.equal(store.view().get(blobs, 'k/old'), undefined)
    const fresh = await openOn(t, member, { prefix: 'restored', serverId: 'fresh' })
    t.equal(fresh.status().sum, store.status().sum)
  })

  t.test('committer: many writers of few rows, on two servers', async t => {
    const both = [
      await openOn(t, member, { prefix: 'few', serverId: 'one' }),
      await openOn(t, member, { prefix: 'few', serverId: 'other' }),
    ]
    const rows = Array.from({ length: 5 }, (_, i) => `t${i}`)
    const move = (store: EtcdStore, i: number) =>
      store.write(view => {
        const [from, to] = [rows[i % 5]!, rows[(i * 3 + 1) % 5]!]
        const size = (key: string) => view.get(things, key)?.row.size ?? 0
        if (from === to) return { txn: [], answer: null }
        const row = (size: number) => ({ group: 'g', tags: [], size })
        return {
          txn: [put(things, from, row(size(from) - 1)), put(things, to, row(size(to) + 1))],
          answer: null,
        }
      })
    await Promise.all(Array.from({ length: 120 }, (_, i) => move(both[i % 2]!, i)))
    await Promise.all(both.map(store => store.readIndex()))
    for (const store of both) {
      const sizes = rows.map(key => store.view().get(things, key)?.row.size ?? 0)
      t.equal(
        sizes.reduce((sum, size) => sum + size),
        0,
      )
      const versions = rows.map(key => store.view().get(things, key)?.version ?? 0)
      t.equal(
        versions.reduce((sum, version) => sum + version),
        2 * Array.from({ length: 120 }, (_, i) => i).filter(i => i % 5 !== (i * 3 + 1) % 5).length,
      )
    }
    t.equal(both[0]!.status().sum, both[1]!.status().sum)
  })
})

t.test('committer: as many at once as there may be', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)
  const { store, meet } = await openMet(t, member, 'lanes')
  let inFlight = 0
  let most = 0
  meet.txn = async (etcd, request) => {
    most = Math.max(most, ++inFlight)
    try {
      return await etcd.txn(request)
    } finally {
      inFlight--
    }
  }
  await Promise.all(Array.from({ length: 1_000 }, (_, i) => write(store, `k/${i}`)))
  t.equal(most, limits.etcdLanes)
})
