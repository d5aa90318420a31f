/**
 * Faults by seed on three machines: which, how many at once, for how long.
 *
 * Owns the list. Each fault is begun and ended by itself; several go on at a time.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Draw } from '../fake/random.ts'
import { reached } from '../run/budget.ts'
import type { ClusterServer } from './cluster.ts'
import { pause, type SmallDisk, slowDisk, type WallClock } from './faults.ts'
import type { Network } from './network.ts'

/** A machine with what can be done to it. */
export interface Victim {
  readonly server: ClusterServer
  readonly clock: WallClock
  readonly disk: SmallDisk
}

export interface Scene {
  readonly t: Test
  readonly network: Network
  readonly victims: readonly Victim[]
}

/** Begins a fault and gives what ends it. */
type Fault = (scene: Scene, draw: Draw, victim: Victim) => Promise<() => Promise<void>>

const CLOCK_JUMPS_S = [-31_536_000, -600, 600, 31_536_000]
const PAUSE_MIN_MS = 500
const PAUSE_MAX_MS = 6_000
const SYNC_DELAYS_MS = [50, 300, 1_000]

const othersOf = ({ victims }: Scene, victim: Victim) =>
  victims.filter(one => one !== victim).map(({ server }) => server.machine)

const faults: Readonly<Record<string, Fault>> = {
  async 'a machine cut off'(scene, _draw, victim) {
    scene.network.part([victim.server.machine], othersOf(scene, victim))
    return async () => scene.network.heal()
  },
  async 'a machine that hears and is not heard'(scene, _draw, victim) {
    for (const other of othersOf(scene, victim)) scene.network.cut(victim.server.machine, other)
    return async () => scene.network.heal()
  },
  async 'a link cut in one direction'(scene, draw, victim) {
    scene.network.cut(victim.server.machine, draw.pick(othersOf(scene, victim)))
    return async () => scene.network.heal()
  },
  async 'a server killed'(_scene, _draw, { server }) {
    await server.killAgent()
    return async () => server.startAgent()
  },
  async 'a member killed'(_scene, _draw, { server }) {
    await server.killEtcd()
    return async () => server.startEtcd()
  },
  async 'a machine without power'(_scene, _draw, { server }) {
    await server.kill()
    return async () => server.start()
  },
  async 'a server that stands still'(_scene, _draw, { server }) {
    const paused = pause([server.agentPid])
    return async () => paused.resume()
  },
  async 'a machine that stands still'(_scene, _draw, { server }) {
    const paused = pause(server.pids)
    return async () => paused.resume()
  },
  async 'a clock that jumps'(_scene, draw, { clock }) {
    clock.set(draw.pick(CLOCK_JUMPS_S))
    return async () => clock.set(0)
  },
  async 'a slow disk'({ t }, draw, { server }) {
    // It is no slower for a server: that writes nothing while audit is off.
    return slowDisk(t, server.etcdPid, draw.pick(SYNC_DELAYS_MS))
  },
  async 'a full disk'(_scene, _draw, { server, disk }) {
    disk.fill()
    return async () => {
      disk.free()
      // etcd gives up on a full disk; whoever runs it starts it again, and a server does so itself.
      if (!server.isEtcdRunning) server.startEtcd()
    }
  },
  async 'a lost disk'(_scene, _draw, { server }) {
    await server.kill()
    server.wipe()
    // Another machine in its place: it joins with the token, and what it was before is removed.
    server.start()
    return async () => {}
  },
}

/** A second disk lost before the first is replaced is more than three machines can bear. */
const ONCE = 'a lost disk'

/** Brings about one to three faults at once, ends them, and gives their names. */
export async function misfortune(scene: Scene, draw: Draw): Promise<string[]> {
  const others = Object.keys(faults).filter(name => name !== ONCE)
  const isManaged = scene.victims.every(({ server }) => server.isManaged)
  const names = isManaged ? [...others, ONCE] : others
  const count = 1 + draw.below(3)
  const told: string[] = []
  const ends: (() => Promise<void>)[] = []
  for (let i = 0; i < count; i++) {
    const name = draw.pick(told.some(one => one.startsWith(ONCE)) ? others : names)
    const victim = draw.pick(scene.victims)
    // What is down already cannot be hurt in another way.
    if (victim.server.pids.length < 2) continue
    told.push(`${name} (${victim.server.machine.address})`)
    ends.push(await faults[name]!(scene, draw, victim))
    reached(`faults: ${name}`, 1)
    await sleep(draw.below(PAUSE_MIN_MS))
  }
  await sleep(PAUSE_MIN_MS + draw.below(PAUSE_MAX_MS - PAUSE_MIN_MS))
  for (const end of ends.reverse()) await end()
  return told
}
