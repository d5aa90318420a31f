/**
 * Who is alive: silence that is checked, the brake, and what a new holder makes of it.
 */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { seededRandom } from '../../src/base/prng.ts'
import { phases } from '../../src/cluster/liveness.ts'
import { propertyRuns } from '../run/budget.ts'
import { World } from './liveness-world.ts'

const worldOf = (seed: string, servers: number, agents: number): World => {
  const world = new World(seededRandom(Buffer.from(seed)), servers, agents)
  world.run(10_000)
  return world
}

t.test('agents that connect are passing at once, and nobody is asked about them', async t => {
  const world = worldOf('begin', 3, 30)
  t.equal(world.count('passing'), 30)
  t.equal(world.orders, 0)
  const { nodes, brake } = world.liveness.status
  t.match(nodes, { heard: 30, quiet: 0, suspect: 0, dead: 0 })
  t.equal(brake, undefined)
  world.run(60_000)
  t.equal(world.history.length, 30, 'nothing changes, and nothing is written')
})

t.test('an agent that is killed is critical within seconds', async t => {
  const world = worldOf('kill', 3, 30)
  world.kill('n3', false)
  const atMs = world.nowMs
  t.ok(world.until(() => world.stored.get('n3') === 'critical', 10_000))
  t.comment(`after ${world.nowMs - atMs} ms`)
  t.equal(world.orders, 3, 'three looked after it')
  t.equal(world.count('critical'), 1)
  world.revive('n3')
  t.ok(
    world.until(() => world.stored.get('n3') === 'passing', 3_000),
    'at once when it is back',
  )
})

t.test('a machine without power is found by its missing beats', async t => {
  const world = worldOf('power', 3, 30)
  world.kill('n3', true)
  t.ok(world.until(() => world.stored.get('n3') === 'critical', 20_000))
})

t.test('one whose uplink is cut stays passing as long as others reach it', async t => {
  const world = worldOf('uplink', 3, 30)
  world.agents.get('n3')!.uplink = false
  world.run(120_000)
  t.equal(world.stored.get('n3'), 'passing')
  t.equal(world.liveness.phaseOf('n3'), 'vouched')
  t.ok(world.orders > 8, 'it is looked after all the time')
  world.kill('n3', true)
  t.ok(
    world.until(() => world.stored.get('n3') === 'critical', 30_000),
    'until it dies',
  )
})

t.test('an agent that goes to another server is not missed', async t => {
  const world = worldOf('hop', 3, 30)
  for (const agent of world.agents.values()) {
    agent.server!.ear.closed(agent.id, agent.stream, world.nowMs)
    agent.server = undefined
    world.run(1_000)
  }
  t.equal(world.orders, 0)
  t.equal(world.history.length, 30)
})

t.test('the server that falls silent takes nobody along', async t => {
  const world = worldOf('server', 3, 60)
  world.stopServer(1)
  world.run(60_000)
  world.startServer(1)
  world.run(60_000)
  t.equal(world.history.length, 60)
})

t.test('a cable cut before 40 % of them empties nothing, and who dies is still found', async t => {
  const world = worldOf('cable', 3, 300)
  const cut = [...world.agents.values()].slice(0, 120)
  for (const agent of cut) agent.uplink = false
  const cutMs = world.nowMs
  world.run(15_000)
  t.match(world.liveness.status.brake?.reason, /of 300 nodes fell silent within 10 s/)
  world.kill('n5', true)
  world.kill('n250', true)
  t.ok(
    world.until(() => world.stored.get('n250') === 'critical', 20_000),
    'a connected one',
  )
  t.ok(
    world.until(() => world.stored.get('n5') === 'critical', 40_000),
    'one of those cut off',
  )
  world.run(60_000 - (world.nowMs - cutMs))
  t.equal(world.count('passing'), 298)
  for (const agent of cut) agent.uplink = true
  world.run(30_000)
  t.equal(world.count('passing'), 298)
  t.equal(world.liveness.status.brake, undefined, 'and the alarm ends')
})

t.test('where nobody reaches 40 % the last state is kept, then ends in paced batches', async t => {
  const world = worldOf('hall', 3, 300)
  for (const id of [...world.agents.keys()].slice(0, 120)) world.move(id, 1)
  world.run(60_000)
  t.equal(world.count('passing'), 300)
  t.ok(world.liveness.status.brake)
  t.ok(world.until(() => world.count('critical') > 0, limits.livenessGraceMs))
  const firstMs = world.nowMs
  t.ok(world.until(() => world.count('critical') === 120, 10_000))
  t.ok(world.nowMs - firstMs >= 250, 'not all at once')
  t.ok(
    world.until(() => world.liveness.status.brake === undefined, 1_000),
    'the alarm is over',
  )
  for (const id of [...world.agents.keys()].slice(0, 120)) world.move(id, 0)
  t.ok(
    world.until(() => world.count('passing') === 300, 5_000),
    'all are passing at once',
  )
})

t.test('a cut that is over within the grace time is not seen in the store', async t => {
  const world = worldOf('short', 3, 300)
  const written = world.history.length
  for (const id of [...world.agents.keys()].slice(0, 120)) world.move(id, 1)
  world.run(60_000)
  for (const id of [...world.agents.keys()].slice(0, 120)) world.move(id, 0)
  world.run(300_000)
  t.equal(world.history.length, written)
  t.equal(world.liveness.status.brake, undefined)
})

t.test('deadlines start over with a new holder, who knows the dead', async t => {
  const world = worldOf('move', 3, 60)
  world.kill('n1', false)
  world.run(10_000)
  const written = world.history.length
  world.moveHolder()
  t.match(world.liveness.status.nodes, { quiet: 59, dead: 1, heard: 0 })
  world.run(60_000)
  t.equal(world.history.length, written)
  world.kill('n2', true)
  world.moveHolder()
  world.run(5_000)
  t.equal(world.stored.get('n2'), 'passing', 'one who is silent has its time again')
  t.ok(world.until(() => world.stored.get('n2') === 'critical', 40_000))
})

t.test('who leaves is removed', async t => {
  const world = worldOf('leave', 3, 10)
  const agent = world.agents.get('n1')!
  agent.server!.ear.left('n1', agent.stream)
  agent.up = false
  t.ok(world.until(() => world.stored.get('n1') === 'absent', 3_000))
  t.equal(world.liveness.phaseOf('n1'), undefined)
  t.equal(world.orders, 0)
})

t.test('one server and one agent: the server itself looks after it', async t => {
  const world = worldOf('two', 1, 1)
  world.kill('n0', true)
  t.ok(world.until(() => world.stored.get('n0') === 'critical', 30_000))
  t.equal(world.orders, 1)
})

t.test('a mark that could not be written is told again', async t => {
  const world = worldOf('unwritten', 1, 4)
  world.kill('n0', false)
  world.run(10_000)
  world.stored.set('n0', 'passing')
  world.liveness.unwritten('n0')
  world.step()
  t.equal(world.stored.get('n0'), 'critical')
})

t.test('what others write of a node is put right', async t => {
  const world = worldOf('others', 3, 10)
  const seen = (id: string, stored: 'none' | 'passing') => {
    world.stored.set(id, stored)
    world.liveness.known(id, `${id}:1`, stored, world.nowMs)
  }
  seen('n1', 'none')
  world.step()
  t.equal(world.stored.get('n1'), 'passing')
  world.kill('n2', false)
  world.run(10_000)
  seen('n2', 'passing')
  world.step()
  t.equal(world.stored.get('n2'), 'critical')
})

// --- whatever happens

const which = fc.nat(1_000)
const event = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kill: which, isSilent: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ revive: which }) },
  { weight: 2, arbitrary: fc.record({ cut: which, part: fc.double({ min: 0, max: 1 }) }) },
  { weight: 2, arbitrary: fc.record({ part: fc.double({ min: 0, max: 1 }), island: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ mend: fc.constant(true) }) },
  { weight: 1, arbitrary: fc.record({ server: which, up: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ holder: fc.constant(true) }) },
)
const story = fc.record({
  seed: fc.nat(),
  servers: fc.integer({ min: 1, max: 5 }),
  agents: fc.integer({ min: 1, max: 80 }),
  events: fc.array(fc.tuple(event, fc.integer({ min: 0, max: 40_000 })), { maxLength: 12 }),
})

function happen(world: World, what: Record<string, unknown>): void {
  const ids = [...world.agents.keys()]
  const some = (part: number) => ids.slice(0, Math.ceil(ids.length * part))
  if ('kill' in what) world.kill(ids[Number(what.kill) % ids.length]!, what.isSilent === true)
  else if ('revive' in what) world.revive(ids[Number(what.revive) % ids.length]!)
  else if ('cut' in what) {
    for (const id of some(Number(what.part))) world.agents.get(id)!.uplink = false
  } else if ('island' in what) {
    for (const id of some(Number(what.part))) world.move(id, Number(what.island))
  } else if ('mend' in what) mend(world)
  else if ('holder' in what) world.moveHolder()
  else {
    const at = Number(what.server) % world.servers.length
    if (what.up === true) world.startServer(at)
    else if (world.servers.filter(({ up }) => up).length > 1) world.stopServer(at)
  }
}

function mend(world: World): void {
  for (const agent of world.agents.values()) {
    agent.uplink = true
    world.move(agent.id, 0)
  }
}

t.test('nobody who is well is marked, and in the end everybody is what he is', async () => {
  fc.assert(
    fc.property(story, ({ seed, servers, agents, events }) => {
      const world = new World(seededRandom(Buffer.from(String(seed))), servers, agents)
      world.run(5_000)
      for (const [what, thenMs] of events) {
        happen(world, what)
        world.run(thenMs)
        const { nodes } = world.liveness.status
        if (phases.some(phase => nodes[phase] < 0)) throw new Error(JSON.stringify(nodes))
      }
      mend(world)
      world.until(() => world.wrong().length === 0, 2 * limits.livenessGraceMs)
      const told = [...world.broken, ...world.wrong().map(id => `${id} is wrong in the end`)]
      if (told.length > 0) throw new Error(told.join(', '))
      world.run(60_000)
      const { brake, nodes } = world.liveness.status
      if (brake !== undefined) throw new Error(`the brake stays on: ${brake.reason}`)
      if (nodes.suspect + nodes.vouched + nodes.condemned > 0) throw new Error('some are silent')
    }),
    { numRuns: propertyRuns() / 2 },
  )
})
