/**
 * The verbs below `operator`: against a real agent, and the tables of a cluster of several.
 */
import t, { type Test } from 'tap'
import { type FakeAgent, fakeAgent, type Outcome, realAgent } from './support.ts'

const { ask } = await realAgent(t)

async function fake(
  t: Test,
): Promise<{ agent: FakeAgent; on: (words: string) => Promise<Outcome> }> {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  return { agent, on: words => ask(`operator ${words} -http-addr=${agent.address}`) }
}

t.test('raft of one server', async t => {
  const { code, out } = await ask('operator raft list-peers')
  t.equal(code, 0)
  t.match(
    out,
    /^Node {2}ID +Address +State +Voter {2}RaftProtocol {2}Commit Index {2}Trails Leader By\nn1 /,
  )
  t.match(out, / leader +true +3 +\d+ +_$/)
  t.match(JSON.parse((await ask('operator raft list-peers -format=json')).out), [{ Node: 'n1' }])
  t.match(await ask('operator raft transfer-leader'), {
    code: 1,
    error: 'Error transferring leadership: Unexpected response code: 500 (cannot find peer)',
  })
  const both = 'cannot use both id and address to remove a peer'
  const refused: Record<string, string> = {
    'operator raft remove-peer': 'an address or id is required for the peer to remove',
    'operator raft remove-peer -id=x -address=y': both,
    'operator raft remove-peer -id=x y': 'Too many arguments (expected 0, got 1)',
    'operator raft remove-peer -id=x': 'Error removing peer: Unexpected response code: 500',
  }
  for (const [line, error] of Object.entries(refused)) {
    t.match(await ask(line), { code: 1, out: '', error }, line)
  }
})

t.test('raft of several servers', async t => {
  const { agent, on } = await fake(t)
  const server = (ID: string, Leader = false, ProtocolVersion = '3') => ({
    ID,
    Node: `n-${ID}`,
    Address: '10.0.0.1:8300',
    Leader,
    Voter: true,
    ProtocolVersion,
  })
  const servers = [server('a', true), server('b'), server('c'), server('d', false, '')]
  agent.answerOn('/v1/operator/raft/configuration', { Servers: servers })
  const indexes = { a: 100, b: 99, c: 90 }
  const health = Object.entries(indexes).map(([ID, LastIndex]) => ({ ID, LastIndex }))
  // Unhealthy: the status says so, the body has all.
  agent.answerOn('/v1/operator/autopilot/health', { Servers: health }, 429)
  t.equal(
    (await on('raft list-peers')).out,
    `Node  ID  Address        State     Voter  RaftProtocol  Commit Index  Trails Leader By
n-a   a   10.0.0.1:8300  leader    true   3             100           _
n-b   b   10.0.0.1:8300  follower  true   3             99            1 Commit
n-c   c   10.0.0.1:8300  follower  true   3             90            10 Commits
n-d   d   10.0.0.1:8300  follower  true   <=1           _             `,
  )
  t.equal((await on('raft remove-peer -id=b')).out, 'Removed peer with id "b"')
  t.match(agent.asked.at(-1), { method: 'DELETE', url: '/v1/operator/raft/peer?id=b' })
  t.equal((await on('raft remove-peer -address=h:1')).out, 'Removed peer with address "h:1"')
  t.equal((await on('raft transfer-leader -id=b')).out, 'Success')
  t.match(agent.asked.at(-1), { method: 'POST', url: '/v1/operator/raft/transfer-leader?id=b' })
})

t.test('autopilot: its settings, and the state of one server', async t => {
  const before = `CleanupDeadServers = true
LastContactThreshold = 200ms
MaxTrailingLogs = 250
MinQuorum = 0
ServerStabilizationTime = 10s
RedundancyZoneTag = ""
DisableUpgradeMigration = false
UpgradeVersionTag = ""`
  t.equal((await ask('operator autopilot get-config')).out, before)
  const set = 'operator autopilot set-config -cleanup-dead-servers=false -max-trailing-logs=500'
  t.same(await ask(`${set} -last-contact-threshold=1s`), {
    code: 0,
    out: 'Configuration updated!',
    error: '',
  })
  t.equal(
    (await ask('operator autopilot get-config')).out,
    before
      .replace('Servers = true', 'Servers = false')
      .replace('200ms', '1s')
      .replace('250', '500'),
  )
  const json = await ask('operator autopilot get-config -format=json')
  t.match(JSON.parse(json.out), { MaxTrailingLogs: 500, CleanupDeadServers: false })
  t.match(await ask('operator autopilot set-config -last-contact-threshold=soon'), {
    code: 1,
    error: 'invalid value "soon" for flag -last-contact-threshold',
  })
  const state = await ask('operator autopilot state')
  t.match(state.out, /^Healthy: +true\nFailure Tolerance: +0\n/)
  t.match(state.out, / {6}Name: {12}n1\n/)
  t.match(JSON.parse((await ask('operator autopilot state -format=json')).out), { Healthy: true })
})

t.test('autopilot: somebody else was quicker; several servers', async t => {
  const { agent, on } = await fake(t)
  agent.answer('false')
  agent.answerOn('/v1/operator/autopilot/configuration', { ModifyIndex: 7, MinQuorum: 3 })
  t.match(await on('autopilot set-config -min-quorum=5'), {
    code: 1,
    error: 'Configuration could not be atomically updated, please try again',
  })
  t.match(agent.asked.at(-1), { url: '/v1/operator/autopilot/configuration?cas=7' })
  t.same(JSON.parse(agent.asked.at(-1)?.body ?? ''), { ModifyIndex: 7, MinQuorum: 5 })
  const server = (ID: string, Status: string) => ({
    ID,
    Name: `n-${ID}`,
    Address: '10.0.0.1:8300',
    Version: '1.21.4',
    Status,
    NodeType: 'voter',
    NodeStatus: 'alive',
    Healthy: true,
    LastContact: 2_500_000,
    LastTerm: 3,
    LastIndex: 42,
    Meta: { b: '2', a: '1' },
  })
  agent.answerOn('/v1/operator/autopilot/state', {
    Healthy: true,
    FailureTolerance: 1,
    OptimisticFailureTolerance: 0,
    Leader: 'x',
    Voters: ['x', 'a'],
    Servers: { x: server('x', 'leader') },
  })
  t.equal(
    (await on('autopilot state')).out,
    `Healthy:                      true
Failure Tolerance:            1
Optimistic Failure Tolerance: 0
Leader:                       x
Voters:
   x
   a
Servers:
   x
      Name:            n-x
      Address:         10.0.0.1:8300
      Version:         1.21.4
      Status:          leader
      Node Type:       voter
      Node Status:     alive
      Healthy:         true
      Last Contact:    2.5ms
      Last Term:       3
      Last Index:      42
      Meta
         "a": "1"
         "b": "2"
`,
  )
})

t.test('usage of one server', async t => {
  const { code, out } = await ask('operator usage instances')
  t.equal(code, 0)
  t.match(out, /^Billable Service Instances Total: 0\ndc1 Billable Service Instances: 0\n/)
  t.match(out, /\nNodes\nDatacenter {6}Count\ndc1 {13}1\n\nTotal {11}1\n/)
  t.match(out, /\nConnect Services\nType .*\n(.*\n)*mesh-gateway +0\n/)
})

t.test('usage of several datacenters', async t => {
  const { agent, on } = await fake(t)
  const usage = (Services: number, instances: number, Nodes: number) => ({
    Services,
    ServiceInstances: instances + 1,
    ConnectServiceInstances: { 'mesh-gateway': 1, 'connect-proxy': 0 },
    BillableServiceInstances: instances,
    Nodes,
  })
  agent.answer({ Usage: { dc2: usage(1, 1, 2), dc1: usage(2, 3, 1) } })
  t.equal(
    (await on('usage instances -all-datacenters')).out,
    `Billable Service Instances Total: 4
dc1 Billable Service Instances: 3
dc2 Billable Service Instances: 1

Billable Services
Datacenter      Services      Service instances
dc1             2             3
dc2             1             1

Total           3             4

Nodes
Datacenter      Count
dc1             1
dc2             2

Total           3

Connect Services
Datacenter      Type               Service instances
dc1             connect-proxy      0
dc1             mesh-gateway       1
dc2             connect-proxy      0
dc2             mesh-gateway       1

Total                              2`,
  )
  t.equal(agent.asked.at(-1)?.url, '/v1/operator/usage?global=')
  agent.answer({ Usage: { dc1: usage(2, 3, 1) } })
  t.equal(
    (await on('usage instances -billable')).out,
    `Billable Service Instances Total: 3
dc1 Billable Service Instances: 3

Billable Services
Services      Service instances
2             3

Nodes
Datacenter      Count
dc1             1

Total           1
`,
  )
  t.equal(agent.asked.at(-1)?.url, '/v1/operator/usage')
  t.equal(
    (await on('usage instances -connect')).out,
    `Connect Services
Type               Service instances
connect-proxy      0
mesh-gateway       1`,
  )
  t.match(JSON.parse((await on('usage instances -format=json')).out), { dc1: { Nodes: 1 } })
  t.match(await on('usage instances -billable -connect'), {
    code: 1,
    error: 'Cannot specify both -billable and -connect flags',
  })
})
