/** The rules of founding, in every order that chance finds: two founders are impossible. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import {
  type Founder,
  type FoundingPlan,
  type FoundingState,
  givenUp,
  hearPlan,
  NOTHING_SAID,
  planToPropose,
} from '../../src/cluster/founding.ts'
import { propertyRuns } from '../run/budget.ts'

const EXPECT = 3
const founder = (at: number): Founder => ({
  nodeId: `id-${at}`,
  name: `server-${at}`,
  address: `10.0.0.${at}:8300`,
})

/** A server as its disk has it, with what it heard of the last plan that it proposed. */
interface Server {
  readonly id: string
  state: FoundingState
  readonly known: Map<string, Founder>
  agreed: Set<string>
  founded: FoundingPlan | undefined
}

const start = (count: number): Server[] =>
  Array.from({ length: count }, (_, at) => ({
    id: `id-${at}`,
    state: NOTHING_SAID,
    known: new Map([[`id-${at}`, founder(at)]]),
    agreed: new Set(),
    founded: undefined,
  }))

/** One message between two servers. */
function step(servers: Server[], [kind, from, to]: [number, number, number], count: number): void {
  const [a, b] = [servers[from % count]!, servers[to % count]!]
  if (a === b) return
  if (kind === 0) {
    for (const [id, each] of b.known) a.known.set(id, each)
    b.known.set(a.id, founder(servers.indexOf(a)))
    const proposed = b.state.agreed?.maker === b.id ? b.state.agreed.clusterId : ''
    if (a.state.agreed?.maker === b.id) a.state = givenUp(a.state, a.id, proposed)
    return
  }
  const made = planToPropose(a.state, a.id, [...a.known.values()], EXPECT, `of-${a.id}`)
  if (made !== undefined) {
    a.state = { agreed: made }
    a.agreed = new Set([a.id])
  }
  const plan = a.state.agreed
  if (plan?.maker !== a.id || a.founded !== undefined) return
  if (b.founded !== undefined) return
  const heard = hearPlan(b.state, b.id, plan)
  b.state = heard.state
  if (!heard.agrees) a.agreed = new Set([a.id])
  else a.agreed.add(b.id)
  // As foundTogether does: one round over all, none of which said no.
  if (plan.founders.every(({ nodeId }) => a.agreed.has(nodeId))) a.founded = plan
}

t.test(
  'property: of servers that know each other, one founds, and all others by its plan',
  async t => {
    const steps = fc.array(fc.tuple(fc.nat(1), fc.nat(4), fc.nat(4)), { maxLength: 120 })
    const check = fc.property(fc.integer({ min: 3, max: 5 }), steps, (count, all) => {
      const servers = start(count)
      for (const each of all) step(servers, each, count)
      const founded = servers.flatMap(({ founded }) => (founded === undefined ? [] : [founded]))
      for (const plan of founded) {
        for (const { nodeId } of plan.founders) {
          const server = servers.find(({ id }) => id === nodeId)!
          assert.strictEqual(server.state.agreed?.clusterId, plan.clusterId)
        }
      }
      const members = founded.flatMap(({ founders }) => founders.map(({ nodeId }) => nodeId))
      assert.strictEqual(new Set(members).size, members.length)
    })
    fc.assert(check, { numRuns: propertyRuns() * 5 })
    t.pass()
  },
)

t.test('it comes to an end, whoever speaks first', async t => {
  for (let first = 0; first < EXPECT; first++) {
    const servers = start(EXPECT)
    for (let round = 0; round < 4; round++) {
      for (let at = 0; at < EXPECT; at++) {
        for (let to = 0; to < EXPECT; to++) {
          step(servers, [0, at + first, to], EXPECT)
          step(servers, [1, at + first, to], EXPECT)
        }
      }
    }
    t.equal(servers.filter(({ founded }) => founded !== undefined).length, 1)
    t.equal(servers[0]!.founded?.maker, 'id-0')
  }
})
