/**
 * Three servers under several faults at a time, by seed, while clients read and write on all of
 * them: no acknowledged write is lost, nothing is read that was not, and all servers agree after.
 */
import t from 'tap'
import { seeded } from '../fake/random.ts'
import { reached, untilBudget } from '../run/budget.ts'
import { agree, healed } from './agreement.ts'
import { startCluster } from './cluster.ts'
import { noFaults, smallDisk, wallClock } from './faults.ts'
import { misfortune, type Scene } from './faults-run.ts'
import { createNetwork } from './network.ts'
import { Workload } from './workload.ts'

const DISK_SIZE_MIB = 512
const FIRST_SEED = Number(process.env.GATEHOUSE_SEED ?? 1)

t.test('several faults at once', { skip: noFaults }, async t => {
  const network = createNetwork(t, 3)
  const clocks = network.machines.map(() => wallClock(t))
  const disks = await Promise.all(network.machines.map(() => smallDisk(t, DISK_SIZE_MIB)))
  const servers = await startCluster(t, network, at => ({
    env: clocks[at]!.env,
    folder: disks[at]!.folder,
  }))
  const victims = servers.map((server, at) => {
    return { server, clock: clocks[at]!, disk: disks[at]! }
  })
  const scene: Scene = { t, network, victims }
  await untilBudget('rounds of faults', 50, async round => {
    const seed = FIRST_SEED + round
    const draw = seeded(seed)
    const workload = new Workload(servers, seed)
    workload.start()
    t.teardown(() => workload.end())
    const what = await misfortune(scene, draw)
    for (const server of servers) await healed(server)
    const problems = await workload.stop()
    const name = `seed ${seed}: ${what.join(', ')}`
    if (!t.same(problems, [], name)) t.comment(servers.map(({ said }) => said).join('\n'))
    t.ok(workload.answered > 0, 'something was answered')
    reached('answered requests', workload.answered)
    t.ok(await agree(servers), 'all servers agree')
  })
})
