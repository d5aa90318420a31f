/**
 * What befalls a simulated cluster: several faults at once, chosen by the seed.
 *
 * Owns the list of faults and how long each lasts. Everything is mended at the end of the troubled
 * time, so that what should come right by itself can be seen to.
 */
import type { EtcdCluster } from './etcd/cluster.ts'
import type { Server } from './server.ts'
import { Machine, type World } from './world.ts'

export interface Scene {
  readonly world: World
  readonly cluster: EtcdCluster
  readonly servers: readonly Server[]
}

/** Begins a fault; gives what ends it, and how long it may last. */
interface Fault {
  readonly name: string
  readonly mostMs: number
  begin(scene: Scene): () => void
}

const pickServer = ({ world, servers }: Scene): Server => world.draw.pick(servers)

const faults: readonly Fault[] = [
  {
    name: 'a server is killed',
    mostMs: 6_000,
    begin(scene) {
      const server = pickServer(scene)
      if (server.machine.isDead) return () => {}
      scene.world.trace(server.id, 'is killed')
      server.kill()
      return () => server.start()
    },
  },
  {
    name: 'a server comes back with the checkpoint of another history',
    mostMs: 8_000,
    begin(scene) {
      const server = pickServer(scene)
      if (server.machine.isDead) return () => {}
      scene.world.trace(server.id, 'is killed')
      server.kill()
      const machine = new Machine(scene.world, `${server.id}'`)
      void server.goAstray(machine)
      return () => {
        machine.kill()
        server.start()
      }
    },
  },
  {
    name: 'a server is paused',
    mostMs: 30_000,
    begin(scene) {
      const { machine, id } = pickServer(scene)
      scene.world.trace(id, 'is paused')
      machine.pause()
      return () => {
        scene.world.trace(id, 'goes on')
        machine.resume()
      }
    },
  },
  {
    name: 'the timekeeper is paused',
    mostMs: 20_000,
    begin(scene) {
      const holder = scene.servers.find(({ life }) => life?.timekeeper.holding === true)
      const { machine, id } = holder ?? pickServer(scene)
      scene.world.trace(id, 'is paused, and kept the time')
      machine.pause()
      return () => {
        scene.world.trace(id, 'goes on')
        machine.resume()
      }
    },
  },
  {
    name: 'a wall clock is set',
    mostMs: 20_000,
    begin(scene) {
      const { machine } = pickServer(scene)
      const byMs = scene.world.draw.pick([-600_000, 600_000, 31_536_000_000, -31_536_000_000])
      machine.setWall(byMs)
      return () => machine.setWall(-byMs)
    },
  },
  {
    name: 'a member is killed',
    mostMs: 10_000,
    begin: ({ world, cluster }) => killMembers(world, cluster, 1),
  },
  {
    name: 'most members are killed',
    mostMs: 6_000,
    begin: ({ world, cluster }) => killMembers(world, cluster, 2),
  },
  {
    name: 'a member is paused',
    mostMs: 15_000,
    begin({ world, cluster }) {
      const member = world.draw.pick(cluster.members)
      cluster.pause(member)
      return () => cluster.resume(member)
    },
  },
  {
    name: 'a member is cut off',
    mostMs: 15_000,
    begin({ world, cluster }) {
      const member = world.draw.pick(cluster.members)
      cluster.cut(member)
      return () => cluster.mend(member)
    },
  },
  {
    name: 'the leader changes',
    mostMs: 100,
    begin({ cluster }) {
      cluster.changeLeader()
      return () => {}
    },
  },
  {
    name: 'a member is slow',
    mostMs: 15_000,
    begin({ world, cluster }) {
      const member = world.draw.pick(cluster.members)
      member.slowMs = world.between(5, 400)
      return () => {
        member.slowMs = 0
      }
    },
  },
  {
    name: 'links are cut',
    mostMs: 20_000,
    begin(scene) {
      const { draw } = scene.world
      const links = pickServer(scene).links.filter(() => draw.chance(70))
      const how = draw.below(3)
      for (const link of links) {
        link.cutThere = how !== 1
        link.cutBack = how !== 0
      }
      return () => {
        for (const link of links) {
          link.cutThere = false
          link.cutBack = false
        }
      }
    },
  },
  {
    name: 'the timekeeper is cut off',
    mostMs: 22_000,
    begin(scene) {
      const holder = scene.servers.find(({ life }) => life?.timekeeper.holding === true)
      const { links, id } = holder ?? pickServer(scene)
      scene.world.trace(id, 'is cut off')
      for (const link of links) {
        link.cutThere = true
        link.cutBack = true
      }
      return () => {
        for (const link of links) {
          link.cutThere = false
          link.cutBack = false
        }
      }
    },
  },
  {
    name: 'links are clogged',
    mostMs: 5_000,
    begin(scene) {
      const untilMs = scene.world.nowMs + scene.world.between(500, 5_000)
      for (const link of pickServer(scene).links) link.clogUntilMs = untilMs
      return () => {}
    },
  },
  {
    name: 'links are reset',
    mostMs: 100,
    begin(scene) {
      for (const link of pickServer(scene).links) link.reset()
      return () => {}
    },
  },
  {
    name: 'etcd is full',
    mostMs: 6_000,
    begin({ cluster }) {
      cluster.setFull(true)
      return () => cluster.setFull(false)
    },
  },
  {
    name: 'a disk stalls',
    mostMs: 8_000,
    begin(scene) {
      pickServer(scene).disk.stallUntilMs = scene.world.nowMs + scene.world.between(500, 8_000)
      return () => {}
    },
  },
  {
    name: 'a sync fails',
    mostMs: 5_000,
    begin(scene) {
      const server = pickServer(scene)
      server.disk.isBroken = true
      // A server whose journal has stopped is started again by its operator.
      return () => {
        server.disk.isBroken = false
        if (server.machine.isDead) return
        server.kill()
        server.start()
      }
    },
  },
]

function killMembers(world: World, cluster: EtcdCluster, count: number): () => void {
  const up = cluster.members.filter(({ isUp }) => isUp)
  const killed = up.slice(world.draw.below(up.length)).concat(up).slice(0, count)
  for (const member of new Set(killed)) cluster.crash(member)
  return () => {
    for (const member of new Set(killed)) if (!member.isUp) cluster.restart(member)
  }
}

/** Lets two to eight faults come between two times; all are over at the second. */
export function trouble(scene: Scene, fromMs: number, untilMs: number): void {
  const { world } = scene
  const count = 2 + world.draw.below(7)
  for (let number = 0; number < count; number++) {
    const fault = world.draw.pick(faults)
    const beginMs = world.between(fromMs, untilMs)
    const lastMs = Math.min(world.between(fault.mostMs / 20, fault.mostMs), untilMs - beginMs)
    world.after(beginMs - world.nowMs, () => {
      world.trace('*', `${fault.name}, for ${lastMs.toFixed()} ms`)
      const end = fault.begin(scene)
      world.after(lastMs, () => {
        world.trace('*', `over: ${fault.name}`)
        end()
      })
    })
  }
}

/** Compacts etcd's history now and then. */
export function compactSometimes({ world, cluster }: Scene): void {
  world.after(world.between(3_000, 12_000), () => {
    const { mvcc, leader } = cluster
    const upTo = mvcc.revision - world.draw.below(30)
    if (leader !== undefined && upTo > mvcc.compacted) {
      world.trace('*', `compacts up to ${upTo}`)
      cluster.compact(leader, upTo, () => {})
    }
    compactSometimes({ world, cluster, servers: [] })
  })
}
