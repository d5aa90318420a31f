/** A server's member as the agent starts it: where the others are, and whose votes count. */
import t, { type Test } from 'tap'
import { resolveConfig, type SettledConfig } from '../../src/agent/config.ts'
import { type MemberMembership, Members, startOwnMember } from '../../src/agent/members.ts'
import { realWorld } from '../../src/agent/parts.ts'
import { silentLog } from '../../src/base/log.ts'
import { openEtcdStore } from '../../src/store/etcd/engine.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { until } from '../clients/process.ts'
import { freshFolder } from '../fake/folder.ts'
import { absent } from '../run/clients.ts'
import { accessOf, Root } from '../store/etcd/member/pki.ts'
import { memberPort } from '../store/etcd/member/ports.ts'

t.setTimeout(60_000)
const world = realWorld(silentLog)
const SERVER_PORT = 8_300

t.test('members of a plan find each other by their distance', { skip: absent('etcd') }, async t => {
  const root = new Root()
  const places: { nodeId: string; offset: number }[] = []
  for (const nodeId of ['a', 'b', 'c']) places.push({ nodeId, offset: await offset() })
  const founders = places.map(one => ({
    nodeId: one.nodeId,
    address: `127.0.0.1:${SERVER_PORT + one.offset}`,
  }))
  const members = await Promise.all(
    places.map(async place => {
      const config = configOf(t, place)
      const membership = membershipOf(root, { foundation: { founders } })
      const member = await startOwnMember(config, membership, world)
      t.teardown(() => member.stop())
      return { config, member }
    }),
  )
  const [{ config, member }] = members as [
    { config: SettledConfig; member: (typeof members)[0]['member'] },
  ]
  t.equal(member.endpoints.length, 3)
  const store = await openEtcdStore({
    ...{ endpoints: member.endpoints, access: member.storeAccess, prefix: 'p', serverId: 'a' },
    ...{ tables: withSystemTables(registryTables), clock: world.clock, random: world.random },
  })
  const care = new Members(member, store, config, world)
  t.teardown(async () => {
    await care.stop()
    await store.close()
  })
  t.equal(care.hasVote('a'), undefined, 'nothing is known yet')
  care.start()
  await until('all have votes', () => ['a', 'b', 'c'].every(id => care.hasVote(id) === true))
  t.equal(care.hasVote('d'), false)
  t.equal(care.health.filter(({ isLeader }) => isLeader).length, 1)
  await care.remove({ nodeId: 'd' })
  t.equal(care.isManaged, true)
  t.equal(care.duties.length, 1)
})

/** Ports of the member that nobody has, and those of the RPC at the usual distance. */
async function offset(): Promise<number> {
  const CLIENT_PORT = 2_379
  await memberPort()
  return (await memberPort()) - CLIENT_PORT - 1
}

function configOf(t: Test, { nodeId, offset: portOffset }: { nodeId: string; offset: number }) {
  const text = `data_dir = "${freshFolder(t)}" port_offset = ${portOffset} store { managed = true }`
  const texts = [{ name: 'a.hcl', text, format: 'hcl' as const }]
  const surroundings = { hostName: 'host-1', interfaces: [], workingDir: '/' }
  const result = resolveConfig({ texts, flags: [], isDev: false }, surroundings)
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  return { ...result.config, nodeId }
}

const membershipOf = (root: Root, parts: Partial<MemberMembership>): MemberMembership => {
  const { material } = accessOf(root.leaf())
  return {
    ...{ clusterId: 'cluster-1', foundation: undefined, servers: [], material },
    follow: () => () => {},
    ...parts,
  }
}
