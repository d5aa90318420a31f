/** Transactions whose answer is lost: settled before anything is answered. */
import t, { type Test } from 'tap'
import { OperatingError, Refusal } from '../../../src/base/errors.ts'
import { RpcError } from '../../../src/base/io/grpc.ts'
import { connectEtcd, type Etcd, type TxnRequest } from '../../../src/store/etcd/client.ts'
import type { EtcdStore } from '../../../src/store/etcd/engine.ts'
import { put } from '../../../src/store/store.ts'
import { blobs } from '../../conformance/store.ts'
import { absent } from '../../run/clients.ts'
import { type Member, startEtcd } from './member.ts'
import { hurriedClock, openOn, openRaw, until, wrapped } from './stores.ts'

const write = (store: EtcdStore, key: string, text = '1') =>
  store.write(() => ({ txn: [put(blobs, key, Buffer.from(text))], answer: text }))

const lost = (): RpcError => new RpcError('UNAVAILABLE', 'the connection was lost', true)

/** A store whose transactions go through `txn` while `faulty.on`, and that can be made blind. */
async function openFaulty(
  t: Test,
  member: Member,
  prefix: string,
  txn: (etcd: Etcd, request: TxnRequest) => ReturnType<Etcd['txn']>,
) {
  const faulty = { on: false, blind: false }
  const connect = async (endpoints: readonly string[]): Promise<Etcd> => {
    const etcd = await connectEtcd(endpoints)
    return wrapped(etcd, {
      txn: request => (faulty.on ? txn(etcd, request) : etcd.txn(request)),
      range: request => (faulty.blind ? Promise.reject(lost()) : etcd.range(request)),
    })
  }
  const store = await openOn(t, member, { prefix, serverId: 'one', connect, clock: hurriedClock })
  return { store, faulty }
}

t.test('etcd', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)

  t.test('lane: the reply is lost after the transaction was applied', async t => {
    let dropped = 0
    const { store, faulty } = await openFaulty(t, member, 'reply', async (etcd, request) => {
      await etcd.txn(request)
      faulty.on = false
      dropped++
      throw lost()
    })
    await write(store, 'before')
    faulty.on = true
    const written = await write(store, 'k')
    t.match(written, { answer: '1' })
    t.equal(dropped, 1)
    t.match(store.view().get(blobs, 'k'), { version: 1 })
    t.match(await write(store, 'k', '2'), { answer: '2' })
    t.match(store.view().get(blobs, 'k'), { version: 2 })
  })

  t.test('lane: the request is lost before it was applied', async t => {
    const { store, faulty } = await openFaulty(t, member, 'request', async () => {
      faulty.on = false
      throw lost()
    })
    faulty.on = true
    t.match(await write(store, 'k'), { answer: '1' })
    t.match(store.view().get(blobs, 'k'), { version: 1 })
  })

  t.test('lane: a request that comes late is fenced off', async t => {
    let late: TxnRequest | undefined
    const { store, faulty } = await openFaulty(t, member, 'late', async (_etcd, request) => {
      faulty.on = false
      late = request
      throw lost()
    })
    await write(store, 'k')
    faulty.on = true
    t.match(await write(store, 'k', '2'), { answer: '2' })
    const raw = await openRaw(t, member)
    t.match(await raw.txn(late!), { succeeded: false })
    t.match(store.view().get(blobs, 'k'), { version: 2 })
  })

  t.test('lane: nothing comes late after another answer was given', async t => {
    let late: TxnRequest | undefined
    const { store, faulty } = await openFaulty(t, member, 'answered', async (_etcd, request) => {
      faulty.on = false
      late = request
      throw lost()
    })
    await write(store, 'k')
    faulty.on = true
    let runs = 0
    const answer = await store.write(() => {
      runs++
      if (runs > 1) return new Refusal(409, 'too late')
      return { txn: [put(blobs, 'k', Buffer.from('2'))], answer: null }
    })
    t.same(answer, new Refusal(409, 'too late'))
    const raw = await openRaw(t, member)
    t.match(await raw.txn(late!), { succeeded: false })
  })

  t.test('lane: the reply to the fence is lost too', async t => {
    let lostCount = 0
    const { store, faulty } = await openFaulty(t, member, 'fence', async (etcd, request) => {
      lostCount++
      faulty.on = lostCount < 2
      if (lostCount === 2) await etcd.txn(request)
      throw lost()
    })
    await write(store, 'k')
    faulty.on = true
    t.match(await write(store, 'k', '2'), { answer: '2' })
    t.equal(lostCount, 2)
    t.match(store.view().get(blobs, 'k'), { version: 2 })
  })

  t.test('lane: what cannot be settled is uncertain, and the next write goes on', async t => {
    const { store, faulty } = await openFaulty(t, member, 'uncertain', async (etcd, request) => {
      await etcd.txn(request)
      throw lost()
    })
    await write(store, 'k')
    faulty.on = true
    faulty.blind = true
    await t.rejects(write(store, 'k', '2'), { code: 'uncertain', outcome: 'unknown' })
    faulty.on = false
    faulty.blind = false
    t.match(await write(store, 'l'), { answer: '1' })
    t.match(store.view().get(blobs, 'k'), { version: 2 })
  })

  t.test('lane: nothing was sent, so nothing happened', async t => {
    const unsent = new RpcError('UNAVAILABLE', 'No connection established', false)
    let tries = 0
    const { store, faulty } = await openFaulty(t, member, 'unsent', async () => {
      tries++
      throw unsent
    })
    faulty.on = true
    await t.rejects(write(store, 'k'), { code: 'unavailable', outcome: 'none' })
    t.ok(tries > 1)
    t.equal(store.view().get(blobs, 'k'), undefined)
  })

  t.test('lane: an earlier run of this server whose last transaction comes late', async t => {
    let late: TxnRequest | undefined
    const { store: first, faulty } = await openFaulty(t, member, 'rerun', async (_, request) => {
      late ??= request
      throw lost()
    })
    await write(first, 'k')
    faulty.on = true
    faulty.blind = true
    await t.rejects(write(first, 'k', 'late'), { code: 'uncertain' })
    const second = await openOn(t, member, { prefix: 'rerun', serverId: 'one' })
    await write(second, 'other')
    const raw = await openRaw(t, member)
    t.match(await raw.txn(late!), { succeeded: false }, 'too late: its number was taken')
    await first.close()
  })

  t.test('lane: two that run under one name do not lose writes', async t => {
    const one = await openOn(t, member, { prefix: 'name', serverId: 'same' })
    const other = await openOn(t, member, { prefix: 'name', serverId: 'same' })
    const all = [one, other].flatMap(store =>
      Array.from({ length: 10 }, (_, i) => write(store, `k${i}`)),
    )
    await Promise.all(all)
    await until(() => one.view().revision === other.view().revision)
    for (let i = 0; i < 10; i++) t.equal(one.view().get(blobs, `k${i}`)?.version, 2)
  })
})

t.test('lane: etcd is full', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t, '--quota-backend-bytes', String(1 << 20))
  const store = await openOn(t, member, { prefix: 'full', serverId: 'one' })
  let applied = 0
  const fill = async (): Promise<void> => {
    for (;;) {
      await store.write(() => ({
        txn: [put(blobs, `k${applied}`, Buffer.alloc(200_000))],
        answer: null,
      }))
      applied++
    }
  }
  await t.rejects(fill(), { code: 'disk', outcome: 'none' })
  t.ok(applied > 0)
  t.equal(store.view().get(blobs, `k${applied}`), undefined)
  t.ok(await store.readIndex(), 'reads go on')
  await t.rejects(write(store, 'more'), OperatingError)
})
