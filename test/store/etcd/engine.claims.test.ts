/**
 * What the engine takes for granted of etcd, each tried against the real one: where a newer version
 * behaves differently, a test here says so by its name.
 */
import t, { type Test } from 'tap'
import type { RpcError } from '../../../src/base/io/grpc.ts'
import type { Etcd, RequestOp, TxnRequest, WatchResponse } from '../../../src/store/etcd/client.ts'
import { connectMember } from '../../../src/store/etcd/cluster.ts'
import { absent } from '../../run/clients.ts'
import { progressEvery, startEtcd } from './member.ts'
import { openRaw, until } from './stores.ts'

const key = (name: string): Buffer => Buffer.from(name)
const put = (name: string, value: string | Buffer = 'v', lease?: string): RequestOp => ({
  requestPut: {
    key: key(name),
    value: Buffer.from(value),
    ...(lease === undefined ? {} : { lease }),
  },
})
const del = (name: string): RequestOp => ({ requestDeleteRange: { key: key(name) } })
const get = (name: string, revision = 0): RequestOp => ({
  requestRange: { key: key(name), revision },
})
const txn = (...success: RequestOp[]): RequestOp => ({ requestTxn: { success } })
const mod = (name: string, at: number, result: 'EQUAL' | 'LESS' = 'EQUAL') =>
  ({ key: key(name), target: 'MOD', result, modRevision: at }) as const

t.test('claims', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t, ...progressEvery('100ms'))
  const etcd = await openRaw(t, member)
  const operator = await connectMember(member.endpoint)
  t.teardown(() => operator.close())
  const { version } = await operator.status()
  const claim = (text: string, body: (t: Test) => Promise<void>) =>
    t.test(`etcd ${version}: ${text}`, body)
  const write = async (...ops: RequestOp[]): Promise<number> =>
    (await etcd.txn({ success: ops })).header.revision.toNumber()

  claim('a transaction is one revision', async t => {
    const at = await write(put('one/a'), put('one/b'), del('one/absent'))
    const { kvs } = await etcd.range({ key: key('one/'), rangeEnd: key('one0') })
    t.same(
      kvs.map(({ modRevision }) => modRevision.toNumber()),
      [at, at],
    )
  })

  claim('what changes nothing makes no revision', async t => {
    const at = await write(put('none/a'))
    t.equal(await write(del('none/absent'), get('none/a')), at)
    const failed = { compare: [mod('none/a', 1)], success: [put('none/b')] }
    t.match(await etcd.txn(failed), { succeeded: false })
    t.equal(await write(), at)
  })

  claim('a compare of a range does not notice a deletion', async t => {
    const at = await write(put('range/a'), put('range/b'))
    await write(del('range/a'))
    const span = { ...mod('range/', at + 1, 'LESS'), rangeEnd: key('range0') }
    t.match(await etcd.txn({ compare: [span], success: [] }), { succeeded: true })
    await write(put('range/c'))
    t.match(await etcd.txn({ compare: [span], success: [] }), { succeeded: false })
  })

  claim('an empty range and an absent key compare as revision 0', async t => {
    const empty = { ...mod('nothing/', 1, 'LESS'), rangeEnd: key('nothing0') }
    t.match(await etcd.txn({ compare: [empty, mod('nothing/a', 0)], success: [] }), {
      succeeded: true,
    })
  })

  claim('nested compares are all evaluated before any write', async t => {
    await write(del('nest/a'))
    const nested = (name: string): RequestOp => ({
      requestTxn: { compare: [mod('nest/a', 0)], success: [put(name)] },
    })
    const { responses } = await etcd.txn({ success: [nested('nest/a'), nested('nest/b')] })
    t.same(
      responses.map(({ responseTxn }) => responseTxn?.succeeded),
      [true, true],
    )
  })

  claim('a nested transaction can fail while others are done', async t => {
    const fails: RequestOp = {
      requestTxn: { compare: [mod('some/x', 1)], success: [put('some/a')] },
    }
    const { succeeded, responses } = await etcd.txn({ success: [fails, txn(put('some/b'))] })
    t.ok(succeeded)
    t.same(
      responses.map(({ responseTxn }) => responseTxn?.succeeded),
      [false, true],
    )
    t.equal((await etcd.range({ key: key('some/a') })).kvs.length, 0)
  })

  claim('a key that is written twice is refused, nested or not', async t => {
    const twice = { code: 'INVALID_ARGUMENT', message: /duplicate key/ }
    await t.rejects(etcd.txn({ success: [put('twice'), put('twice')] }), twice)
    await t.rejects(etcd.txn({ success: [txn(put('twice')), txn(put('twice'))] }), twice)
    await t.rejects(etcd.txn({ success: [txn(put('twice')), put('twice')] }), twice)
    t.equal((await etcd.range({ key: key('twice') })).kvs.length, 0, 'nothing was done')
  })

  claim('128 operations wide, level by level from the top down', async t => {
    const puts = (count: number, name: string): RequestOp[] =>
      Array.from({ length: count }, (_, i) => put(`wide/${name}/${i}`))
    const tooMany = { code: 'INVALID_ARGUMENT', message: /too many operations/ }
    await write(...puts(128, 'flat'))
    await t.rejects(write(...puts(129, 'flat')), tooMany)
    const beside = (top: number, inner: number) =>
      write(...puts(top - 1, 'top'), txn(...puts(inner, 'inner')))
    await beside(64, 64)
    await t.rejects(beside(64, 65), tooMany)
    const groups = Array.from({ length: 64 }, (_, i) => txn(...puts(64, `group ${i}`)))
    await write(...groups)
    t.pass('64 groups of 64')
    const compares = (count: number): TxnRequest => ({
      compare: Array.from({ length: count }, () => mod('wide/absent', 0)),
      success: [],
    })
    await etcd.txn(compares(128))
    await t.rejects(etcd.txn(compares(129)), tooMany)
  })

  claim('a request of more than 1.5 MiB is refused', async t => {
    await write(put('size', Buffer.alloc(1_400_000)))
    await t.rejects(write(put('size', Buffer.alloc(1_700_000))), {
      code: 'INVALID_ARGUMENT',
      message: /request is too large/,
    })
  })

  claim(
    'a lease takes its keys with it in one revision, and none can be put on it any more',
    async t => {
      const { id } = await etcd.grant(60)
      await write(put('lease/a', 'v', id), put('lease/b', 'v', id))
      await etcd.revoke(id)
      t.equal((await etcd.range({ key: key('lease/'), rangeEnd: key('lease0') })).kvs.length, 0)
      const late = etcd.txn({ success: [txn(put('lease/c')), txn(put('lease/d', 'v', id))] })
      await t.rejects(late, { code: 'NOT_FOUND', message: /lease not found/ })
      t.equal((await etcd.range({ key: key('lease/c') })).kvs.length, 0, 'the whole is refused')
      t.equal(await etcd.keepAlive(id), 0)
    },
  )

  claim('a pinned revision is read until it is compacted', async t => {
    const at = await write(put('pin', '1'))
    await write(put('pin', '2'))
    const pinned = () => etcd.range({ key: key('pin'), revision: at })
    t.equal((await pinned()).kvs[0]?.value.toString(), '1')
    const { responses } = await etcd.txn({ success: [get('pin', at)] })
    t.equal(responses[0]?.responseRange?.kvs[0]?.value.toString(), '1', 'in a transaction too')
    await etcd.compact(await write(put('pin', '3')))
    const compacted = { code: 'OUT_OF_RANGE', message: /has been compacted/ }
    await t.rejects(pinned(), compacted)
    await t.rejects(etcd.range({ key: key('pin'), revision: at + 1_000_000 }), {
      code: 'OUT_OF_RANGE',
      message: /future revision/,
    })
  })

  claim('a watch behind what is compacted says from where on it can be', async t => {
    const at = await write(put('behind', '1'))
    const compacted = await write(put('behind', '2'))
    await etcd.compact(compacted)
    const responses: WatchResponse[] = []
    const watch = watchOn(etcd, 'behind', at, responses)
    await until(() => responses.some(({ canceled }) => canceled))
    const last = responses.at(-1)!
    t.equal(last.compactRevision.toNumber(), compacted)
    watch.cancel()
  })

  claim('a watch tells what it is without events, up to where it is', async () => {
    const at = await write(put('progress'))
    const responses: WatchResponse[] = []
    const watch = watchOn(etcd, 'progress', at + 1, responses)
    await write(put('elsewhere'))
    await until(() =>
      responses.some(({ created, events, header }) => {
        return !created && events.length === 0 && header.revision.toNumber() > at
      }),
    )
    watch.cancel()
  })

  claim('a large revision comes in fragments, and without a limit of ours', async t => {
    const value = Buffer.alloc(20_000)
    const groups = Array.from({ length: 60 }, (_, i) => txn(put(`frag/${i}`, value)))
    const at = await write(...groups)
    // More than one message of gRPC's usual 4 MiB, all in one revision and the next.
    for (let more = 0; more < 5; more++) await write(...groups)
    const responses: WatchResponse[] = []
    const watch = watchOn(etcd, 'frag/', at, responses)
    await until(() => responses.reduce((sum, { events }) => sum + events.length, 0) === 360)
    t.ok(
      responses.some(({ fragment }) => fragment),
      'in pieces',
    )
    const revisions = responses.flatMap(({ events }) =>
      events.map(({ kv }) => kv.modRevision.toNumber()),
    )
    t.same(
      revisions,
      revisions.toSorted((a, b) => a - b),
      'in order',
    )
    t.equal(revisions[0], at)
    watch.cancel()
  })

  claim('the newest of a range by revision is found with one answer', async t => {
    await write(put('head/a'))
    await write(put('head/b'))
    const at = await write(put('head/a'))
    const { kvs } = await etcd.range({
      ...{ key: key('head/'), rangeEnd: key('head0'), limit: 1 },
      ...{ sortTarget: 'MOD', sortOrder: 'DESCEND' },
    })
    t.equal(kvs[0]?.modRevision.toNumber(), at)
  })

  claim('what asks for keys alone gets revisions without values', async t => {
    const at = await write(put('alone', 'value'))
    const { kvs } = await etcd.range({ key: key('alone'), keysOnly: true })
    t.same([kvs[0]?.value.length, kvs[0]?.modRevision.toNumber()], [0, at])
  })
})

function watchOn(etcd: Etcd, from: string, startRevision: number, responses: WatchResponse[]) {
  const begin = key(from)
  const rangeEnd = Buffer.from(begin)
  rangeEnd[rangeEnd.length - 1]! += 1
  const request = { key: begin, rangeEnd, startRevision }
  return etcd.watch(
    { ...request, fragment: true, progressNotify: true },
    {
      onResponse: response => responses.push(response),
      onEnd: (error: RpcError | undefined) => {
        if (error !== undefined) responses.length = 0
      },
    },
  )
}

t.test('claims: what is full', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t, '--quota-backend-bytes', String(1 << 20))
  const etcd = await openRaw(t, member)
  const fill = async (): Promise<void> => {
    for (let at = 0; ; at++) await etcd.txn({ success: [put(`${at}`, Buffer.alloc(200_000))] })
  }
  await t.rejects(fill(), { code: 'RESOURCE_EXHAUSTED', message: /space exceeded/ })
  t.match(await etcd.usage(), { isFull: true })
  t.ok((await etcd.range({ key: key('0') })).kvs[0], 'it is read')
  t.match(await etcd.txn({ success: [del('0')] }), { succeeded: true }, 'and deleted from')
  await t.rejects(etcd.txn({ success: [put('small')] }), { code: 'RESOURCE_EXHAUSTED' })
})
