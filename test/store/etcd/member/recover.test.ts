/** Rebuilding a cluster from one disk of three, with real members. */
import {
  cpSync,
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { foregroundClock, systemRandom } from '../../../../src/base/clock.ts'
import { silentLog } from '../../../../src/base/log.ts'
import { connectMember, type EtcdMemberStatus } from '../../../../src/store/etcd/cluster.ts'
import type { MemberHealth } from '../../../../src/store/etcd/member/health.ts'
import { recoverMember } from '../../../../src/store/etcd/member/recover.ts'
import { put } from '../../../../src/store/store.ts'
import { until } from '../../../clients/process.ts'
import { things } from '../../../conformance/store.ts'
import { absent } from '../../../run/clients.ts'
import { Root } from './pki.ts'
import { openServers, type TestServer } from './servers.ts'

const real = { skip: absent('etcd') }
t.setTimeout(100_000)

t.test('recover: one disk of three is left, of a follower that was killed', real, async t => {
  const root = new Root()
  const servers = await openServers(t, 3, { root })
  await Promise.all(servers.map(one => one.start()))
  const store = await servers[0]!.serve()
  const statuses = await Promise.all(servers.map(statusOf))
  const at = statuses.findIndex(({ memberId, leaderId }) => memberId !== leaderId)
  const left = servers[at]!
  const others = servers.filter(one => one !== left)
  if (left !== servers[0]) await left.serve()
  await until('the members are noted', () => left.care.members.length === 3)
  named(left)
  const write = (to: TestServer, key: string) => {
    const row = { group: 'g', tags: [], size: 1 }
    return to.store.write(() => ({ txn: [put(things, key, row)], answer: undefined }))
  }
  for (let n = 1; n <= 20; n++) await write(servers[0]!, `key-${n}`)
  const writtenAtMs = Date.now()
  const { revision } = store.status()
  await until('it has applied it', async () => (await statusOf(left)).revision >= revision)
  const data = join(left.dataDir, 'etcd')
  const database = join(data, 'member', 'snap', 'db')
  await until('and stored it', () => statSync(database).mtimeMs > writtenAtMs)
  // What a kill leaves behind: what a process still holds in its memory is not in its files.
  const killed = join(left.dataDir, 'killed')
  cpSync(data, killed, { recursive: true })
  await t.rejects(recover(left), { code: 'locked', message: /stop gatehouse on this machine/ })
  await left.stop()
  await t.rejects(recover(left), { code: 'locked', message: /of 3 members 2 run/ }, 'a quorum')
  rmSync(data, { recursive: true })
  renameSync(killed, data)
  for (const lost of others) {
    await lost.stop()
    for (const name of ['etcd', 'member']) rmSync(join(lost.dataDir, name), { recursive: true })
  }
  const tried = await recover(left, { isConfirmed: false })
  t.equal(tried.putAside, undefined)
  t.ok(tried.disks[0]!.revision >= revision)
  t.same(leftBeside(left), [], 'the copy is gone')
  const { disks, putAside } = await recover(left)
  t.equal(disks[0]!.revision, tried.disks[0]!.revision)
  t.ok(existsSync(join(putAside!, 'member')))
  left.founders = undefined
  await left.start()
  t.equal(left.member.phase, 'member')
  const again = await left.serve()
  t.equal(again.view().get(things, 'key-20')?.row.size, 1)
  for (const lost of others) {
    lost.founders = undefined
    lost.heard = [left.address]
    await lost.start()
    await lost.serve()
  }
  await until('three have votes', () => left.care.members.filter(isVoter).length === 3)
  for (let n = 21; n <= 25; n++) await write(others[0]!, `key-${n}`)
  await until('all of them have the same', async () => {
    const [one, ...more] = await Promise.all(servers.map(statusOf))
    return more.every(other => other.revision === one!.revision)
  })
  // Members that join have what the log alone does not tell them.
  for (const server of servers) {
    await server.store.readIndex()
    t.equal(server.store.view().get(things, 'key-25')?.row.size, 1)
  }
})

t.test('recover: of several disks the newest is kept', real, async t => {
  const [server] = await openServers(t, 1)
  await server!.start()
  const store = await server!.serve()
  const write = (size: number) =>
    store.write(() => ({ txn: [put(things, 'k', { group: 'g', tags: [], size })], answer: 0 }))
  await write(1)
  await until('the members are noted', () => server!.care.members.length === 1)
  named(server!)
  await server!.stop()
  const older = join(server!.dataDir, 'copy')
  cpSync(join(server!.dataDir, 'etcd'), older, { recursive: true })
  server!.founders = undefined
  await server!.start()
  const later = await server!.serve()
  for (let n = 0; n < 30; n++) {
    await later.write(() => ({
      txn: [put(things, 'k', { group: 'g', tags: [], size: 100 + n })],
      answer: 0,
    }))
  }
  await server!.stop()
  const { disks } = await recover(server!, { others: [older], isConfirmed: false })
  t.equal(disks.length, 2)
  t.equal(disks[0]!.folder, join(server!.dataDir, 'etcd'))
  t.ok(disks[0]!.revision > disks[1]!.revision)
  rmSync(join(server!.dataDir, 'etcd'), { recursive: true })
  await recover(server!, { others: [older] })
  await server!.start()
  t.equal((await server!.serve()).view().get(things, 'k')?.row.size, 1)
})

t.test('recover: what is no data of a member is refused', real, async t => {
  const [server] = await openServers(t, 1)
  await t.rejects(recover(server!), { code: 'unavailable', message: /not that of a server/ })
  await server!.start()
  await server!.member.remember([server!.address])
  await server!.stop()
  named(server!)
  await t.rejects(recover(server!, { others: [t.testdir()] }), { message: /holds no data/ })
  const wal = join(server!.dataDir, 'etcd', 'member', 'wal')
  for (const file of readdirSync(wal)) writeFileSync(join(wal, file), 'damaged')
  await t.rejects(recover(server!), { code: 'damaged', message: /cannot be opened.*not touched/ })
})

const isVoter = ({ isLearner, isHealthy }: MemberHealth): boolean => !isLearner && isHealthy

async function statusOf({ member }: TestServer): Promise<EtcdMemberStatus> {
  const operator = await connectMember(member.address.clientUrl, member.access)
  try {
    return await operator.status()
  } finally {
    operator.close()
  }
}

const named = ({ dataDir, name }: TestServer): void => writeFileSync(join(dataDir, 'node-id'), name)

const leftBeside = ({ dataDir }: TestServer): string[] =>
  readdirSync(dataDir).filter(name => name.includes('recovering'))

function recover(
  { dataDir }: TestServer,
  { others = [] as string[], isConfirmed = true } = {},
): ReturnType<typeof recoverMember> {
  return recoverMember(
    { dataDir, others, isConfirmed, program: undefined },
    {
      ...{ clock: foregroundClock, random: systemRandom, log: silentLog, connect: connectMember },
      environment: process.env,
    },
  )
}
