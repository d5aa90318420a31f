/**
 * Three servers upgraded one by one while clients read and write on all of them, with a step back
 * on the way: nothing is lost, and the new level is written once all of them speak it.
 */
import path from 'node:path'
import t from 'tap'
import { until } from '../clients/process.ts'
import { agree, healed } from './agreement.ts'
import { type ClusterServer, type ServerOptions, startCluster } from './cluster.ts'
import { noFaults } from './faults.ts'
import { createNetwork } from './network.ts'
import { Workload } from './workload.ts'

const NEXT: ServerOptions['program'] = [
  process.execPath,
  '--no-warnings',
  path.join(import.meta.dirname, 'next.ts'),
]
const RAISED = 'every server speaks a newer feature level'
const SEED = 7

t.test('a rolling upgrade under load', { skip: noFaults }, async t => {
  const servers = await startCluster(t, createNetwork(t, 3))
  const [first] = servers as [ClusterServer, ClusterServer, ClusterServer]
  const workload = new Workload(servers, SEED)
  workload.start()
  t.teardown(() => workload.end())
  const change = async (server: ClusterServer, to: ServerOptions['program']): Promise<void> => {
    await server.killAgent('SIGTERM')
    server.install(to)
    server.startAgent()
    await server.ready()
    await healed(server)
  }
  await change(first, NEXT)
  await change(first, undefined)
  t.notMatch(first.said, RAISED, 'a step back is possible')
  for (const server of servers) await change(server, NEXT)
  await until('the level is raised', () => servers.some(({ said }) => said.includes(RAISED)))
  t.same(await workload.stop(), [], 'what clients were told holds together')
  t.ok(workload.answered > 0, `${workload.answered} requests were answered`)
  t.ok(await agree(servers), 'all servers agree')
  await first.killAgent('SIGTERM')
  first.install(undefined)
  first.startAgent()
  await t.rejects(first.ready(), { message: /this server is too old/ })
})
