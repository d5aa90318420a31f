/** How members are seen: who leads, who is healthy, since when. */
import t from 'tap'
import { failureTolerance, quorumOf } from '../../../../src/store/etcd/member/health.ts'
import {
  type EtcdMember,
  type EtcdMemberStatus,
  type MemberOperator,
  Operators,
} from '../../../../src/store/etcd/member/operator.ts'
import { MemberWatch } from '../../../../src/store/etcd/member/watch.ts'
import { FakeClock } from '../../../fake/clock.ts'

/** Members that say what a test wants. */
class Cluster {
  readonly members: EtcdMember[] = []
  readonly statuses = new Map<string, Partial<EtcdMemberStatus> | Error>()
  alarms: { memberId: string; kind: 'NOSPACE' | 'CORRUPT' }[] = []
  readonly clock = new FakeClock()
  readonly looked: string[][] = []
  readonly watch: MemberWatch

  constructor(...names: string[]) {
    for (const name of names) {
      this.members.push({
        id: `id-${name}`,
        name,
        peerUrls: [`https://${name}:2380`],
        clientUrls: [`https://${name}:2379`],
        isLearner: false,
      })
      this.say(name, {})
    }
    this.watch = new MemberWatch({
      clock: this.clock,
      operators: new Operators({}, async endpoint => this.#operator(endpoint)),
      endpoints: () => [`https://${names[0]}:2379`],
      rules: () => ({ lastContactThresholdMs: 200, maxTrailingLogs: 250 }),
      onLook: members => void this.looked.push(members.map(({ name }) => name)),
    })
  }

  say(name: string, status: Partial<EtcdMemberStatus> | Error): void {
    this.statuses.set(`https://${name}:2379`, status)
  }

  #operator(endpoint: string): MemberOperator {
    const name = endpoint.replace(/^https:\/\/|:.*$/g, '')
    const said = (): Partial<EtcdMemberStatus> => {
      const status = this.statuses.get(endpoint)
      if (status === undefined || status instanceof Error) throw status
      return status
    }
    const parts: Partial<MemberOperator> = {
      status: async () =>
        ({
          ...{ memberId: `id-${name}`, leaderId: 'id-a', version: '3.4.23', raftTerm: 2 },
          ...{ raftIndex: 1_000, raftAppliedIndex: 1_000, revision: 5 },
          ...{ sizeBytes: 100, usedSizeBytes: 50 },
          ...said(),
        }) as EtcdMemberStatus,
      members: async () => {
        said()
        return this.members
      },
      alarms: async () => this.alarms,
      close: () => {},
    }
    return parts as MemberOperator
  }
}

t.test('watch: the second look has asked everybody', async t => {
  const cluster = new Cluster('a', 'b', 'c')
  const first = await cluster.watch.look()
  t.same(
    first.map(({ isHealthy }) => isHealthy),
    [true, false, false],
    'only one was known of',
  )
  const second = await cluster.watch.look()
  t.same(
    second.map(({ nodeId, isHealthy, isLeader }) => [nodeId, isHealthy, isLeader]),
    [
      ['a', true, true],
      ['b', true, false],
      ['c', true, false],
    ],
  )
  t.same(cluster.looked.at(-1), ['a', 'b', 'c'])
  t.equal(failureTolerance(second), 1)
})

t.test('watch: what is wrong with a member is said', async t => {
  const cluster = new Cluster('a', 'b', 'c', 'd', 'e')
  await cluster.watch.look()
  cluster.say('b', new Error('connect ECONNREFUSED'))
  cluster.say('c', { raftIndex: 100 })
  cluster.say('d', { leaderId: '' })
  cluster.alarms = [{ memberId: 'id-e', kind: 'CORRUPT' }]
  const faults = (await cluster.watch.look()).map(({ fault }) => fault)
  t.match(faults, [
    '',
    /is its server running/,
    /^it is 900 entries behind the leader$/,
    /^it knows of no leader$/,
    /^its data differs/,
  ])
  t.equal(failureTolerance(cluster.watch.members), 1 - quorumOf(5))
})

t.test('watch: since when a member is as it is, and for how long it is silent', async t => {
  const cluster = new Cluster('a', 'b')
  await cluster.watch.look()
  await cluster.watch.look()
  await cluster.clock.advance(5_000)
  const [, well] = await cluster.watch.look()
  t.equal(well?.stableForMs, 5_000)
  cluster.say('b', new Error('gone'))
  await cluster.clock.advance(1_000)
  const [, fallen] = await cluster.watch.look()
  t.equal(fallen?.stableForMs, 0)
  t.equal(fallen?.lastContactMs, 1_000)
  await cluster.clock.advance(2_000)
  const [, still] = await cluster.watch.look()
  t.equal(still?.stableForMs, 2_000)
  t.equal(still?.lastContactMs, 3_000)
})

t.test('watch: where nobody answers nobody is healthy, and what was known stays', async t => {
  const cluster = new Cluster('a', 'b')
  await cluster.watch.look()
  await cluster.watch.look()
  cluster.say('a', new Error('gone'))
  cluster.say('b', new Error('gone'))
  const members = await cluster.watch.look()
  t.same(
    members.map(({ nodeId, isHealthy, isLeader, fault }) => [nodeId, isHealthy, isLeader, fault]),
    [
      ['a', false, false, 'no member answers'],
      ['b', false, false, 'no member answers'],
    ],
  )
})

t.test('watch: the list is that of the leader, not of one that was cut off', async t => {
  const cluster = new Cluster('a', 'b')
  await cluster.watch.look()
  await cluster.watch.look()
  cluster.say('a', { leaderId: '', raftTerm: 9 })
  cluster.say('b', { leaderId: 'id-b', raftTerm: 3 })
  const members = await cluster.watch.look()
  t.same(
    members.map(({ isLeader }) => isLeader),
    [false, true],
  )
})

t.test('watch: a member that was added and has not started', async t => {
  const cluster = new Cluster('a')
  cluster.members.push({
    ...{ id: '7', name: '', peerUrls: ['https://b:2380'], clientUrls: [], isLearner: true },
  })
  const [, added] = await cluster.watch.look()
  t.match(added, { nodeId: '', isLearner: true, isHealthy: false, fault: 'it has not started yet' })
})
