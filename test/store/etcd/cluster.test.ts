/** What an operator of etcd asks and orders. */
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { connectMember, type EtcdOperator } from '../../../src/store/etcd/cluster.ts'
import { absent } from '../../run/clients.ts'
import { type Member, startCluster, startEtcd } from './member.ts'
import { openRaw, until } from './stores.ts'

async function operate(t: Test, member: Member): Promise<EtcdOperator> {
  const operator = await connectMember(member.endpoint)
  t.teardown(() => operator.close())
  return operator
}

t.test('cluster: members', { skip: absent('etcd') }, async t => {
  const [one, other, third] = await startCluster(t, 3, {
    // Else members can be added only after five seconds.
    flags: ['--strict-reconfig-check=false'],
  })
  const operator = await operate(t, one!)
  const members = await operator.members()
  t.same(members.map(({ name }) => name).sort(), ['m1', 'm2', 'm3'])
  const status = await operator.status()
  t.match(status, { version: /^3\./, isLearner: false, errors: [] })
  t.ok(members.some(({ id }) => id === status.memberId))
  t.ok(members.some(({ id }) => id === status.leaderId))
  t.ok(status.sizeBytes >= status.usedSizeBytes && status.usedSizeBytes > 0)
  t.ok(status.raftIndex >= status.raftAppliedIndex && status.raftTerm > 0)

  const leader = await leaderAmong(t, [one!, other!, third!])
  const to = members.find(({ id }) => id !== leader.id)!
  await leader.operator.moveLeader(to.id)
  await until(async () => (await operator.status()).leaderId === to.id)

  const added = await operator.add(['http://127.0.0.1:1'], true)
  t.match(added, { name: '', isLearner: true, peerUrls: ['http://127.0.0.1:1'], clientUrls: [] })
  await operator.update(added.id, ['http://127.0.0.1:2'])
  const listed = async () => (await operator.members()).find(({ id }) => id === added.id)
  await until(async () => (await listed())?.peerUrls[0] === 'http://127.0.0.1:2')
  await t.rejects(operator.promote(added.id), { code: 'FAILED_PRECONDITION' })
  await operator.remove(added.id)
  t.equal(await listed(), undefined)
  await t.rejects(operator.remove(added.id), { code: 'NOT_FOUND' })
})

async function leaderAmong(t: Test, members: readonly Member[]) {
  for (const member of members) {
    const operator = await operate(t, member)
    const { memberId, leaderId } = await operator.status()
    if (memberId === leaderId) return { operator, id: memberId }
  }
  throw new Error('there is no leader')
}

t.test('cluster: one member and its file', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t, '--quota-backend-bytes', String(1 << 20))
  const operator = await operate(t, member)
  const raw = await openRaw(t, member)
  const put = (at: number) =>
    raw.txn({
      success: [{ requestPut: { key: Buffer.from(`${at}`), value: Buffer.alloc(200_000) } }],
    })
  const fill = async (): Promise<void> => {
    for (let at = 0; ; at++) await put(at)
  }
  await t.rejects(fill(), { code: 'RESOURCE_EXHAUSTED' })
  const { memberId, revision } = await operator.status()
  t.match(await operator.alarms(), [{ memberId, kind: 'NOSPACE' }])
  t.match(await raw.usage(), { isFull: true, isCorrupt: false })

  const hashed = await operator.hash(0)
  t.match(await operator.hash(revision), { hash: hashed.hash, revision })
  const chunks: Buffer[] = []
  for await (const chunk of operator.snapshot()) chunks.push(chunk)
  const file = Buffer.concat(chunks)
  const sum = createHash('sha256').update(file.subarray(0, -32)).digest()
  t.ok(sum.equals(file.subarray(-32)), 'the snapshot ends with its own hash')

  await raw.txn({
    success: [{ requestDeleteRange: { key: Buffer.from('0'), rangeEnd: Buffer.from(':') } }],
  })
  await operator.compact((await operator.status()).revision)
  t.not((await operator.hash(0)).compactRevision, hashed.compactRevision)
  const before = await operator.status()
  await operator.defragment()
  const after = await operator.status()
  t.ok(after.sizeBytes < before.sizeBytes)
  await operator.disarm({ memberId, kind: 'NOSPACE' })
  t.same(await operator.alarms(), [])
  await put(0)
  t.match(await raw.usage(), { isFull: false })
})
