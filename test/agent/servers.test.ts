/**
 * Three servers on one etcd: each tells the same of all, notices who dies and who leaves, and hands
 * over what one server does at a time.
 */
import t from 'tap'
import { askPort } from '../clients/daemon.ts'
import { tempFolder } from '../clients/process.ts'
import { absent } from '../run/clients.ts'
import { startEtcd } from '../store/etcd/member.ts'
import { eventually, type OneServer, startServer } from './several.ts'

interface Health {
  readonly Healthy: boolean
  readonly FailureTolerance: number
  readonly Servers: readonly {
    Name: string
    SerfStatus: string
    Healthy: boolean
    Leader: boolean
  }[]
}

const statusNames = ['none', 'alive', 'leaving', 'left', 'failed']
const membersOf = async (server: OneServer): Promise<Record<string, string>> => {
  const members = await server.read<{ Name: string; Status: number }[]>('/v1/agent/members')
  return Object.fromEntries(members.map(({ Name, Status }) => [Name, statusNames[Status]!]))
}
const leaderOf = async (server: OneServer): Promise<string> => {
  const { Servers } = await server.read<{ Servers: { Node: string; Leader: boolean }[] }>(
    '/v1/operator/raft/configuration',
  )
  return Servers.find(({ Leader }) => Leader)?.Node ?? ''
}
const secretsLeaderOf = async ({ running }: OneServer): Promise<{ leader_address: string }> => {
  const { port } = running.addresses.find(({ face }) => face === 'secrets')!
  return JSON.parse((await askPort(port, 'GET', '/v1/sys/leader')).text)
}
const serfOf = async (server: OneServer, node: string): Promise<string> => {
  const checks = await server.read<{ CheckID: string; Status: string }[]>(`/v1/health/node/${node}`)
  return checks.find(({ CheckID }) => CheckID === 'serfHealth')?.Status ?? 'none'
}

t.test('three servers', { skip: absent('etcd') }, async t => {
  const { endpoint } = await startEtcd(t)
  const options = { endpoints: [endpoint], folder: tempFolder(t) }
  const start = (name: string): Promise<OneServer> => {
    const hcl = `secrets { api_addr = "http://${name}:8200" }\nports { secrets = 0 }`
    return startServer(t, name, { ...options, hcl })
  }
  const servers: OneServer[] = []
  for (const name of ['one', 'two', 'three']) servers.push(await start(name))
  const [one, two, three] = servers as [OneServer, OneServer, OneServer]

  await t.test('all tell the same', async t => {
    await eventually('a leader', async () => (await leaderOf(one)) !== '')
    const leader = await one.read<string>('/v1/status/leader')
    for (const server of servers) {
      t.strictSame(await membersOf(server), { one: 'alive', two: 'alive', three: 'alive' })
      t.equal(await server.read('/v1/status/leader'), leader)
      t.equal((await server.read<string[]>('/v1/status/peers')).length, 3)
      const consul = await server.read<{ Node: string }[]>('/v1/catalog/service/consul')
      t.strictSame(consul.map(({ Node }) => Node).sort(), ['one', 'three', 'two'])
      const health = await server.read<Health>('/v1/operator/autopilot/health')
      t.match(health, { Healthy: true, FailureTolerance: 2 })
      t.equal(health.Servers.filter(({ Leader }) => Leader).length, 1)
      t.equal(await serfOf(server, 'two'), 'passing')
      const told = await secretsLeaderOf(server)
      t.equal(told.leader_address, `http://${await leaderOf(server)}:8200`)
    }
  })

  await t.test('the lead moves where it is told to, and not to nobody', async t => {
    const from = await leaderOf(one)
    const to = servers.find(({ name }) => name !== from)!
    const transfer = (id: string) => three.ask('POST', `/v1/operator/raft/transfer-leader?id=${id}`)
    t.same((await transfer('00000000-1111-2222-3333-444444444444')).text, 'cannot find peer')
    t.same((await transfer(to.nodeId)).text, '{"Success":true}')
    for (const server of servers) t.equal(await leaderOf(server), to.name)
    t.equal((await transfer('')).status, 200)
    t.not(await leaderOf(one), to.name)
  })

  await t.test('a living server is neither removed nor made to leave', async t => {
    const removed = await one.ask('DELETE', `/v1/operator/raft/peer?id=${two.nodeId}`)
    t.match([removed.status, removed.text], [500, /alive/])
    t.equal((await one.ask('PUT', '/v1/agent/force-leave/two')).status, 200)
    t.strictSame((await membersOf(one)).two, 'alive')
    const unknown = await one.ask('PUT', '/v1/agent/force-leave/nobody')
    t.same(unknown.text, "agent: No node found with name 'nobody'")
  })

  await t.test('one that stopped has failed, and what it did is done by another', async t => {
    await three.stop()
    await eventually('it failed', async () => (await membersOf(one)).three === 'failed')
    await eventually(
      'its node is critical',
      async () => (await serfOf(two, 'three')) === 'critical',
    )
    await eventually('another leads', async () => ['one', 'two'].includes(await leaderOf(one)))
    const { status, text } = await two.ask('GET', '/v1/operator/autopilot/health')
    t.equal(status, 429)
    t.match(JSON.parse(text), { Healthy: false, FailureTolerance: 1 })
    const healthy = await two.read<unknown[]>('/v1/health/service/consul?passing')
    t.equal(healthy.length, 2)
  })

  await t.test('back, it is what it was', async t => {
    servers[2] = await start('three')
    await eventually('it is alive', async () => (await membersOf(one)).three === 'alive')
    t.equal((await one.read<string[]>('/v1/status/peers')).length, 3)
    await eventually('its node is well', async () => (await serfOf(two, 'three')) === 'passing')
    await eventually('it is found again', async () => {
      return (await one.read<unknown[]>('/v1/health/service/consul?passing')).length === 3
    })
  })

  await t.test('one that leaves is gone from the catalog, and shown as left', async t => {
    const leaving = servers[2]!
    t.equal((await leaving.ask('PUT', '/v1/agent/leave')).status, 200)
    await leaving.ended
    t.strictSame(await membersOf(one), { one: 'alive', two: 'alive', three: 'left' })
    t.equal((await one.read<string[]>('/v1/status/peers')).length, 2)
    t.equal((await one.read<unknown[]>('/v1/catalog/service/consul')).length, 2)
    t.equal((await one.ask('GET', '/v1/catalog/node/three')).text.trim(), 'null')
    t.match(await one.read<Health>('/v1/operator/autopilot/health'), { Healthy: true })
    t.equal((await two.ask('PUT', '/v1/agent/force-leave/three?prune')).status, 200)
    await eventually('it is forgotten', async () => !('three' in (await membersOf(one))))
  })

  await t.test('one that drains is looked up no more, and comes back as it was', async t => {
    t.equal((await two.ask('PUT', '/v1/agent/drain')).status, 200)
    await two.ended
    const passing = await one.read<{ Node: { Node: string } }[]>(
      '/v1/health/service/consul?passing',
    )
    t.strictSame(
      passing.map(({ Node }) => Node.Node),
      ['one'],
    )
    servers[1] = await start('two')
    const back = servers[1]
    await eventually('it is found again', async () => {
      return (await back.read<unknown[]>('/v1/health/service/consul?passing')).length === 2
    })
    await eventually('it is alive', async () => (await membersOf(one)).two === 'alive')
    t.equal(await serfOf(one, 'two'), 'passing', 'it was never taken for dead')
  })

  await t.test('a failed one is made to leave', async t => {
    await servers[1]!.stop()
    await eventually('it failed', async () => (await membersOf(one)).two === 'failed')
    const removed = await one.ask('DELETE', `/v1/operator/raft/peer?id=${two.nodeId}`)
    t.equal(removed.status, 200)
    t.strictSame(await membersOf(one), { one: 'alive', two: 'left' })
    t.equal((await one.read<unknown[]>('/v1/catalog/service/consul')).length, 1)
  })
})
