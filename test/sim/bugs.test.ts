/** What etcd once did and must not do: each is noticed, and nothing is served as the newest. */
import t, { type Test } from 'tap'
import { revision } from '../../src/base/brand.ts'
import { fromText } from '../../src/base/bytes.ts'
import { roles } from '../../src/store/role.ts'
import { put } from '../../src/store/store.ts'
import { type Bug, bugs, EtcdCluster } from './etcd/cluster.ts'
import { caller, Server, sound } from './server.ts'
import { World } from './world.ts'

/** Three servers, each on a member of its own, in a world where nothing goes wrong by itself. */
class Scene {
  readonly world = new World(7, { traced: true })
  readonly cluster: EtcdCluster
  readonly servers: readonly Server[]
  #writes = 0
  #isBusy = false

  constructor(bug: Bug) {
    this.cluster = new EtcdCluster(this.world, { bugs: [bug], nastiness: 0 })
    this.servers = [0, 1, 2].map(at => new Server(this.world, this.cluster, at, sound))
    for (const server of this.servers) {
      server.others = this.servers
      server.start()
    }
  }

  async pass(ms: number): Promise<void> {
    await this.world.run(this.world.nowMs + ms)
  }

  /** Everybody writes and reads for a while. */
  async busy(ms: number): Promise<void> {
    this.#isBusy = true
    for (const { at } of this.servers) this.#goOn(at)
    await this.pass(ms)
    this.#isBusy = false
    await this.pass(300)
  }

  #goOn(at: number): void {
    if (!this.#isBusy) return
    this.write(at, `k/${this.#writes % 5}`)
    this.servers[at]!.life?.store.readIndex().catch(() => {})
    this.world.after(150 + at * 10, () => this.#goOn(at))
  }

  write(at: number, name: string, value = `v${this.#writes++}`): void {
    const request = { key: fromText(name), value: Buffer.from(value), flags: 0n }
    const how = { cas: undefined, acquire: undefined, release: undefined }
    this.servers[at]!.life?.registry.putKv(caller(`r${this.#writes++}`), {
      ...request,
      ...how,
    }).catch(() => {})
  }

  remove(at: number, name: string): void {
    this.servers[at]!.life?.registry.deleteKv(
      caller(`r${this.#writes++}`),
      fromText(name),
      undefined,
    ).catch(() => {})
  }

  faultOf(at: number): string {
    return this.servers[at]!.life?.engine.status().fault ?? 'it is not up'
  }

  viewOf(at: number): number {
    return this.servers[at]!.life!.engine.view().revision
  }

  /** What a default read and a write are answered with. */
  async answers(at: number): Promise<string[]> {
    const told: string[] = []
    const { store } = this.servers[at]!.life!
    const note = (error: { code?: string }): void => void told.push(error.code ?? 'thrown')
    store.readIndex().then(() => told.push('read'), note)
    store.write(() => ({ txn: [], answer: 0 })).then(() => told.push('written'), note)
    await this.pass(20_000)
    return told
  }
}

async function scene(bug: Bug): Promise<Scene> {
  const made = new Scene(bug)
  await made.pass(2_000)
  await made.busy(1_500)
  return made
}

async function stopped(t: Test, made: Scene, at: number): Promise<void> {
  const fault = made.faultOf(at)
  t.match(fault, /the store stopped: etcd.*(contradicts|was at|gave)/, `s${at}: ${fault}`)
  t.same(await made.answers(at), ['damaged', 'damaged'], 'nothing is served as the newest')
}

async function sane(t: Test, made: Scene, at: number): Promise<void> {
  t.equal(made.faultOf(at), '', `s${at} goes on`)
  t.same((await made.answers(at)).sort(), ['read', 'written'])
}

t.test(`${bugs.lostWrite}: a write is lost after a crash`, async t => {
  const made = await scene('lostWrite')
  const before = made.cluster.mvcc.revision
  made.cluster.crash(made.cluster.members[1]!)
  t.ok(made.cluster.mvcc.revision < before, 'it is gone')
  made.cluster.restart(made.cluster.members[1]!)
  await made.busy(8_000)
  for (const { at } of made.servers) await stopped(t, made, at)
})

t.test(`${bugs.lostWrite}: and others have written over it since`, async t => {
  const made = await scene('lostWrite')
  for (const link of made.servers[0]!.links) link.cutThere = true
  for (const { links } of made.servers.slice(1)) for (const link of links) link.cutThere = true
  made.cluster.crash(made.cluster.members[1]!)
  made.cluster.restart(made.cluster.members[1]!)
  // A server that knows nothing of it starts anew, and writes more than was lost.
  made.servers[2]!.kill()
  for (const link of made.servers[2]!.links) link.cutThere = false
  made.servers[2]!.start()
  await made.pass(2_000)
  for (let count = 0; count < 8; count++) {
    made.write(2, `n/${count}`)
    await made.pass(50)
  }
  t.ok(made.cluster.mvcc.revision > made.viewOf(0), 'the revision is higher than it ever was')
  for (const { links } of made.servers) for (const link of links) link.cutThere = false
  await made.busy(8_000)
  await stopped(t, made, 0)
  await stopped(t, made, 1)
})

t.test(`${bugs.watchBack}: a watch goes back in time`, async t => {
  const made = await scene('watchBack')
  made.cluster.members[1]!.slowMs = 4_000
  await made.busy(1_500)
  made.servers[0]!.links[0]!.reset()
  await made.busy(9_000)
  await stopped(t, made, 0)
  await sane(t, made, 2)
})

t.test(`${bugs.slowStream}: a slow stream loses events`, async t => {
  const made = await scene('slowStream')
  made.cluster.members[0]!.slowMs = 400
  await made.busy(4_000)
  await stopped(t, made, 0)
})

t.test(`${bugs.revisionDown}: the revision goes down`, async t => {
  const made = await scene('revisionDown')
  const { store } = made.servers[1]!.life!
  let lease = ''
  store.grant(60_000).then(granted => {
    lease = granted.id
    const row = put(roles, 'other', { holder: 's1' }, lease)
    store.write(() => ({ txn: [row], answer: 0 })).catch(() => {})
  }, t.error)
  await made.pass(500)
  store.revoke(lease).catch(t.error)
  await made.pass(500)
  const before = made.cluster.mvcc.revision
  t.equal(made.viewOf(0), before, 'the last thing that happened was a deletion')
  made.cluster.crash(made.cluster.members[2]!)
  made.cluster.restart(made.cluster.members[2]!)
  t.ok(made.cluster.mvcc.revision < before, 'it went down')
  await made.busy(8_000)
  // The third may have written behind the row that stopped the others: what it lacks then is of a
  // write that was never answered.
  for (const at of [0, 1]) await stopped(t, made, at)
})

t.test(`${bugs.compactDrop}: compaction drops an event`, async t => {
  const made = await scene('compactDrop')
  const { links } = made.servers[0]!
  for (const link of links) {
    link.cutThere = true
    link.reset()
  }
  const start = made.viewOf(0) + 1
  made.remove(1, 'k/1')
  await made.pass(300)
  t.equal(made.viewOf(1), start, 'the deletion is the first thing that it has not seen')
  const { members } = made.cluster
  made.cluster.compact(members[1]!, revision(start), () => {})
  await made.pass(300)
  for (const link of links) link.cutThere = false
  await made.pass(3_000)
  for (let count = 0; count < 4; count++) {
    made.write(1, `n/${count}`)
    await made.pass(300)
  }
  await stopped(t, made, 0)
  await sane(t, made, 1)
})

t.test(`${bugs.staleRead}: a stale read after a pause`, async t => {
  const made = await scene('staleRead')
  const [, late] = made.cluster.members
  late!.slowMs = 5_000
  made.cluster.pause(late!)
  await made.busy(2_000)
  made.servers[0]!.links[0]!.reset()
  made.servers[0]!.life?.store.readIndex().catch(() => {})
  made.cluster.resume(late!)
  await made.busy(2_000)
  await stopped(t, made, 0)
  await sane(t, made, 2)
})
