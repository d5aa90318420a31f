/** Members that come, go and are replaced, with real ones. */
import { rmSync } from 'node:fs'
import t from 'tap'
import { put } from '../../../../src/store/store.ts'
import { until as patiently } from '../../../clients/process.ts'
import { things } from '../../../conformance/store.ts'
import { absent } from '../../../run/clients.ts'
import { Root } from './pki.ts'
import { openServer, openServers, type TestServer } from './servers.ts'

// Etcd changes nothing before its members have been connected for five seconds.
t.setTimeout(100_000)
const real = { skip: absent('etcd') }

t.test('duty: a server that joins is a learner first, then has a vote', real, async t => {
  const root = new Root()
  const [first] = await openServers(t, 1, { root })
  await first!.start()
  const store = await first!.serve()
  await write(first!, 'before')
  const second = await openServer(t, 'node-2', root)
  second.heard = [first!.address]
  await second.start()
  t.equal(second.member.standing, 'asking')
  t.same(second.member.endpoints, [first!.address.clientUrl], 'it serves through the other one')
  const joined = await second.serve()
  t.equal(await read(second, 'before'), 'before')
  await patiently('it is a learner', () => first!.care.members.some(({ isLearner }) => isLearner))
  await patiently('it has a vote', () => voters(first!).length === 2)
  await patiently('it knows so', () => second.member.phase === 'member')
  t.equal(second.member.endpoints[0], second.address.clientUrl)
  await write(second, 'after')
  t.equal(await read(first!, 'after'), 'after')
  t.ok(store.status().revision > 0 && joined.status().revision > 0)
  await second.care.remove('node-2')
  await second.stop()
  await write(first!, 'alone')
  t.equal(await read(first!, 'alone'), 'alone', 'one that left cost no quorum')
  await first!.care.remove('node-1')
  t.equal(voters(first!).length, 1, 'the last one stays')
})

t.test('duty: a wiped disk joins as a new member, and the old one goes', real, async t => {
  const servers = await openServers(t, 3)
  await Promise.all(servers.map(one => one.start()))
  for (const server of servers) await server.serve()
  const [first, , third] = servers as [TestServer, TestServer, TestServer]
  await write(first, 'before')
  const old = (await memberIdOf(first, 'node-3'))!
  await third.stop()
  rmSync(`${third.dataDir}/etcd`, { recursive: true })
  rmSync(`${third.dataDir}/member`, { recursive: true })
  third.founders = undefined
  third.heard = [first.address]
  await third.start()
  await third.serve()
  t.equal(await read(third, 'before'), 'before')
  await patiently('three have votes again', async () => {
    const id = await memberIdOf(first, 'node-3')
    return id !== undefined && id !== old && voters(first).length === 3
  })
  await patiently('its own member serves', async () => (await third.ready()) === '')
  await write(third, 'after')
  t.equal(await read(first, 'after'), 'after')
})

t.test('duty: a member that was removed stops and says so, then joins anew', real, async t => {
  const servers = await openServers(t, 3)
  await Promise.all(servers.map(one => one.start()))
  for (const server of servers) await server.serve()
  const third = servers[2]!
  await patiently('it is a member', () => third.member.phase === 'member')
  for (const server of servers) server.left = new Set(['node-3'])
  await third.member.removed
  t.equal(third.member.standing, 'removed')
  t.match(third.lines.join('\n'), 'the other servers have removed this one from the cluster')
  await third.stop()
  for (const server of servers) server.left = new Set()
  third.founders = undefined
  await third.start()
  await third.serve()
  await patiently('it is back', () => voters(servers[0]!).length === 3)
})

const voters = ({ care }: TestServer) =>
  care.members.filter(({ isLearner, isHealthy }) => !isLearner && isHealthy)

async function memberIdOf({ care }: TestServer, nodeId: string): Promise<string | undefined> {
  return care.members.find(one => one.nodeId === nodeId)?.memberId
}

async function write({ store }: TestServer, key: string): Promise<void> {
  await store.write(() => ({
    txn: [put(things, key, { group: key, tags: [], size: 1 })],
    answer: undefined,
  }))
}

async function read({ store }: TestServer, key: string): Promise<string | undefined> {
  await store.readIndex()
  return store.view().get(things, key)?.row.group
}
