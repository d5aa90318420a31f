/** Which change of the members comes next, and what is never done. */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { type MemberHealth, quorumOf } from '../../../../src/store/etcd/member/health.ts'
import { nextChange, type Sight } from '../../../../src/store/etcd/member/plan.ts'
import type { AutopilotRow } from '../../../../src/store/tables/autopilot.ts'
import type { MemberRow } from '../../../../src/store/tables/member.ts'
import { propertyRuns } from '../../../run/budget.ts'

const rules: AutopilotRow = {
  cleanupDeadServers: true,
  lastContactThresholdMs: 200,
  maxTrailingLogs: 250,
  minQuorum: 0,
  serverStabilizationTimeMs: 10_000,
  redundancyZoneTag: '',
  disableUpgradeMigration: false,
  upgradeVersionTag: '',
}

const member = (nodeId: string, parts: Partial<MemberHealth> = {}): MemberHealth => ({
  memberId: `id-${nodeId}`,
  nodeId,
  peerUrl: `https://${nodeId}:2380`,
  clientUrl: `https://${nodeId}:2379`,
  isLearner: false,
  isLeader: false,
  isHealthy: true,
  fault: '',
  stableSinceMs: 0,
  stableForMs: 60_000,
  lastContactMs: 1,
  version: '3.4.23',
  raftTerm: 2,
  raftIndex: 100,
  trailing: 0,
  revision: 50,
  sizeBytes: 0,
  usedSizeBytes: 0,
  alarms: [],
  ...parts,
})

const sick = { isHealthy: false, fault: 'it does not answer' }

const row = (nodeId: string, parts: Partial<MemberRow> = {}): MemberRow => ({
  nodeId,
  peerUrl: `https://${nodeId}:2380`,
  clientUrl: `https://${nodeId}:2379`,
  incarnation: `inc-${nodeId}`,
  phase: 'member',
  askedAtMs: 0,
  wantsRestart: false,
  mayRestart: false,
  ...parts,
})

const sight = (
  members: MemberHealth[],
  rows: MemberRow[] = [],
  more: Partial<Sight> = {},
): Sight => ({
  members,
  rows: new Map(rows.map(one => [one.nodeId, one])),
  rules,
  left: new Set(),
  ...more,
})

const three = () => ['a', 'b', 'c'].map(name => member(name))

t.test('plan: nothing to do', async t => {
  t.same(
    nextChange(
      sight(
        three(),
        three().map(({ nodeId }) => row(nodeId)),
      ),
    ),
    {
      change: undefined,
      waiting: [],
    },
  )
})

t.test('plan: a server that asks is added as a learner, who asked first comes first', async t => {
  const rows = [
    row('e', { phase: 'asking', askedAtMs: 2 }),
    row('d', { phase: 'asking', askedAtMs: 1 }),
  ]
  const { change } = nextChange(sight(three(), rows))
  t.match(change, { kind: 'add', row: { nodeId: 'd' } })
})

t.test('plan: one learner at a time', async t => {
  const members = [...three(), member('d', { isLearner: true, stableForMs: 1_000 })]
  const rows = [row('d', { phase: 'added' }), row('e', { phase: 'asking' })]
  const { change, waiting } = nextChange(sight(members, rows))
  t.equal(change, undefined)
  t.match(waiting, [/^e is added once d has a vote/, /^d gets a vote once it was healthy for 10 s/])
})

t.test('plan: a server that crashed between being added and being told is told', async t => {
  const added = member('', { memberId: '7', peerUrl: 'https://d:2380', isLearner: true, ...sick })
  const { change } = nextChange(sight([...three(), added], [row('d', { phase: 'asking' })]))
  t.match(change, { kind: 'tell', memberId: '7', row: { nodeId: 'd' } })
})

t.test('plan: a learner gets its vote after the stabilisation time', async t => {
  const learner = member('d', { isLearner: true, stableForMs: 10_000 })
  t.match(nextChange(sight([...three(), learner])).change, {
    kind: 'promote',
    member: { nodeId: 'd' },
  })
  const ill = nextChange(sight([...three(), { ...learner, ...sick }]))
  t.equal(ill.change, undefined)
  t.match(ill.waiting, [/no vote while it is not healthy: it does not answer/])
})

t.test('plan: a learner that does not come is taken away', async t => {
  const learner = (stableForMs: number, nodeId = '') =>
    member(nodeId, { ...sick, isLearner: true, peerUrl: 'https://d:2380', stableForMs })
  const added = [row('d', { phase: 'added' })]
  const kindOf = (one: MemberHealth, rows: MemberRow[]) =>
    nextChange(sight([...three(), one], rows)).change?.kind
  t.equal(kindOf(learner(limits.memberStrayMs), []), 'remove', 'nobody waits for it')
  t.equal(kindOf(learner(limits.memberStrayMs), added), undefined)
  t.equal(kindOf(learner(limits.memberJoinMs), added), 'remove')
  t.equal(kindOf(learner(limits.memberStrayMs, 'd'), []), undefined, 'it may come back')
})

t.test('plan: lost data: the old member goes, then the new one is added', async t => {
  const rows = [row('c', { phase: 'asking', incarnation: 'new' })]
  const [a, b, c] = three() as [MemberHealth, MemberHealth, MemberHealth]
  const first = nextChange(sight([a, b, { ...c, ...sick, stableForMs: 0 }], rows))
  t.match(first.change, { kind: 'remove', member: { nodeId: 'c' }, why: /lost its data/ })
  t.match(nextChange(sight([a, b], rows)).change, { kind: 'add', row: { nodeId: 'c' } })
  const risky = nextChange(sight([a, { ...b, ...sick }, { ...c, ...sick }], rows))
  t.equal(risky.change, undefined)
  t.match(risky.waiting, [/would cost the quorum/])
})

t.test('plan: a dead one makes room for who asks, not for a moment of silence', async t => {
  const [a, b, c] = three() as [MemberHealth, MemberHealth, MemberHealth]
  const rows = [row('d', { phase: 'asking' })]
  const dead = (stableForMs: number) => ({ ...c, ...sick, stableForMs })
  const early = nextChange(sight([a, b, dead(1_000)], rows))
  t.equal(early.change, undefined)
  t.match(early.waiting, [/^d is not added while c is not healthy: it does not answer/])
  t.match(nextChange(sight([a, b, dead(limits.memberReplacedMs)], rows)).change, {
    kind: 'remove',
    member: { nodeId: 'c' },
    why: /d takes its place/,
  })
  const kept = { ...rules, cleanupDeadServers: false }
  const off = nextChange(sight([a, b, dead(limits.memberDeadMs)], rows, { rules: kept }))
  t.equal(off.change, undefined, 'unless the operator forbids it')
})

t.test('plan: a dead one that nobody replaces goes after long, down to min_quorum', async t => {
  const [a, b, c] = three() as [MemberHealth, MemberHealth, MemberHealth]
  const dead = { ...c, ...sick, stableForMs: limits.memberDeadMs }
  t.equal(nextChange(sight([a, b, dead])).change?.kind, 'remove')
  const kept = nextChange(sight([a, b, dead], [], { rules: { ...rules, minQuorum: 3 } }))
  t.equal(kept.change, undefined)
  t.match(kept.waiting, [/min_quorum is 3/])
  t.equal(nextChange(sight([a, dead])).change, undefined, 'not where that costs the quorum')
})

t.test('plan: a server that left is taken out, unless that costs the quorum', async t => {
  const [a, b, c] = three() as [MemberHealth, MemberHealth, MemberHealth]
  const left = new Set(['c'])
  t.match(nextChange(sight([a, b, c], [], { left })).change, {
    kind: 'remove',
    member: { nodeId: 'c' },
  })
  const stuck = nextChange(sight([a, { ...b, ...sick }, c], [], { left }))
  t.equal(stuck.change, undefined)
  t.match(stuck.waiting, [/c left, and removing its member now would cost the quorum/])
  t.equal(nextChange(sight([c], [], { left })).change, undefined, 'the last one stays')
})

t.test('plan: members start anew one after the other, while all are well', async t => {
  const rows = ['a', 'b'].map(name => row(name, { wantsRestart: true }))
  t.match(nextChange(sight(three(), rows)).change, { kind: 'restart', row: { nodeId: 'a' } })
  const told = [{ ...rows[0]!, mayRestart: true }, rows[1]!]
  t.equal(nextChange(sight(three(), told)).change, undefined)
  const [a, b, c] = three() as [MemberHealth, MemberHealth, MemberHealth]
  t.equal(nextChange(sight([a, b, { ...c, ...sick }], rows)).change, undefined)
})

t.test('plan: no removal ever costs the quorum', async t => {
  const health = fc.record({
    isHealthy: fc.boolean(),
    isLearner: fc.boolean(),
    stableForMs: fc.constantFrom(0, 20_000, limits.memberJoinMs, limits.memberDeadMs),
    isAsking: fc.boolean(),
    hasLeft: fc.boolean(),
  })
  const clusters = fc.array(health, { minLength: 1, maxLength: 7 })
  fc.assert(
    fc.property(clusters, fc.boolean(), (given, cleanupDeadServers) => {
      const members = given.map((one, at) => member(`n${at}`, { ...one, fault: 'x' }))
      const rows = given.map((one, at) =>
        row(`n${at}`, { phase: one.isAsking ? 'asking' : 'member' }),
      )
      const left = new Set(given.flatMap((one, at) => (one.hasLeft ? [`n${at}`] : [])))
      const { change } = nextChange(
        sight(members, [...rows, row('new', { phase: 'asking' })], {
          left,
          rules: { ...rules, cleanupDeadServers },
        }),
      )
      if (change?.kind !== 'remove' || change.member.isLearner) return
      const others = members.filter(one => !one.isLearner && one !== change.member)
      const healthy = others.filter(({ isHealthy }) => isHealthy)
      t.ok(others.length > 0 && healthy.length >= quorumOf(others.length))
    }),
    { numRuns: propertyRuns() },
  )
})
