/** A run on three machines notices the faults that matter most: each of these is found. */
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { seeded } from '../fake/random.ts'
import { agree, healed } from './agreement.ts'
import { startCluster } from './cluster.ts'
import { noFaults, smallDisk, wallClock } from './faults.ts'
import { misfortune, type Scene } from './faults-run.ts'
import { createNetwork } from './network.ts'
import type { Planted } from './planted.ts'
import { Workload } from './workload.ts'

const PROGRAM = path.join(import.meta.dirname, 'planted.ts')
const ROUNDS = 12
const QUIET_MS = 3_000
const bugs: readonly Planted[] = ['stale as default', 'a dropped event', 'an early answer']

for (const bug of bugs) {
  t.test(bug, { skip: noFaults }, async t => {
    const network = createNetwork(t, 3)
    const clocks = network.machines.map(() => wallClock(t))
    const disks = await Promise.all(network.machines.map(() => smallDisk(t, 512)))
    const servers = await startCluster(t, network, at => ({
      env: clocks[at]!.env,
      folder: disks[at]!.folder,
      external: true,
      program: [process.execPath, '--no-warnings', PROGRAM, bug],
    }))
    const victims = servers.map((server, at) => {
      return { server, clock: clocks[at]!, disk: disks[at]! }
    })
    const scene: Scene = { t, network, victims }
    let found = ''
    for (let round = 0; round < ROUNDS && found === ''; round++) {
      for (const server of servers) process.kill(server.agentPid, 'SIGUSR2')
      const workload = new Workload(servers, round)
      workload.start()
      if (round === 0) await sleep(QUIET_MS)
      else await misfortune(scene, seeded(round))
      try {
        for (const server of servers) await healed(server)
        ;[found = ''] = await workload.stop()
        if (found === '') await agree(servers)
      } catch (error) {
        await workload.stop()
        found = String(error)
      }
      if (found !== '') t.comment(`found in round ${round}: ${found}`)
    }
    t.not(found, '', 'it was noticed')
  })
}
