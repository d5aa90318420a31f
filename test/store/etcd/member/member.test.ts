/** The member of a server with a real etcd: founding, restarts, certificates. */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findMemberProgram } from '../../../../src/store/etcd/member/program.ts'
import { freshFolder } from '../../../fake/folder.ts'
import { absent } from '../../../run/clients.ts'
import { until } from '../stores.ts'
import { openServers, operatorOf } from './servers.ts'

const skip = absent('etcd')

t.test('member: three found a cluster, and each answers', { skip }, async t => {
  const servers = await openServers(t, 3)
  await Promise.all(servers.map(one => one.start()))
  for (const { member } of servers) {
    t.equal(member.standing, 'running')
    await until(() => member.phase === 'member')
    t.equal(member.endpoints[0], member.address.clientUrl)
    t.equal(member.endpoints.length, 3)
    const operator = await operatorOf(t, member)
    t.same(
      (await operator.members()).map(({ name }) => name).sort(),
      servers.map(({ name }) => name),
    )
    await operator.confirm()
  }
})

t.test('member: killed, it comes back by itself with its data', { skip }, async t => {
  const [server] = await openServers(t, 1)
  const member = await server!.start()
  const before = (await (await operatorOf(t, member)).status()).memberId
  for (let kills = 1; kills <= 2; kills++) {
    member.kill()
    await until(() => member.restarts === kills && member.standing === 'running')
    await until(async () => (await server!.ready()) === '')
  }
  t.equal((await (await operatorOf(t, member)).status()).memberId, before)
})

t.test('member: a start that fails is tried again', { skip }, async t => {
  const [server] = await openServers(t, 1)
  const folder = freshFolder(t)
  const { setpriv } = await findMemberProgram(undefined, process.env.PATH)
  const [starter, aside] = [join(folder, 'setpriv'), join(folder, 'aside')]
  writeFileSync(starter, `#!/bin/sh\nexec ${setpriv} "$@"\n`, { mode: 0o700 })
  server!.environment = { PATH: `${folder}:${process.env.PATH}` }
  const member = await server!.start()
  renameSync(starter, aside)
  member.kill()
  await until(() => server!.lines.some(line => line.includes('cannot start')))
  t.equal(member.standing, 'restarting')
  renameSync(aside, starter)
  await until(async () => (await server!.ready()) === '')
  t.equal(member.standing, 'running')
})

t.test('member: stopped and started again it is the same one', { skip }, async t => {
  const [server] = await openServers(t, 1)
  const first = await server!.start()
  const { memberId } = await (await operatorOf(t, first)).status()
  const { incarnation } = first
  await first.stop()
  const second = await server!.start()
  t.equal(second.incarnation, incarnation)
  t.equal((await (await operatorOf(t, second)).status()).memberId, memberId)
})

t.test('member: lost data is noticed: it never founds again', { skip }, async t => {
  const [server] = await openServers(t, 1)
  const first = await server!.start()
  await first.stop()
  rmSync(`${server!.dataDir}/etcd`, { recursive: true })
  const starting = server!.start()
  await until(() => server!.lines.some(line => line.includes("the member's data is gone")))
  await server!.abandon()
  await t.rejects(starting, { code: 'closed' })
})

t.test('member: a folder of another cluster is refused', { skip }, async t => {
  const [server] = await openServers(t, 1)
  await (await server!.start()).stop()
  await t.rejects(server!.start({ clusterId: 'other' }), { code: 'damaged', message: /cluster-1/ })
  rmSync(`${server!.dataDir}/member/state.json`)
  await t.rejects(server!.start(), { code: 'damaged', message: /operator recover/ })
})
