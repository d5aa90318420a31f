/**
 * What becomes of a node by what was found out about its agent.
 */
import t from 'tap'
import { publicIndex, wallMs } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import {
  type AgentMark,
  deadAgent,
  markAgents,
  nodeOfAgent,
  standingOf,
} from '../../src/registry/agent-health.ts'
import { put } from '../../src/store/store.ts'
import { agents } from '../../src/store/tables/agent.ts'
import { checks } from '../../src/store/tables/check.ts'
import { onNode } from '../../src/store/tables/names.ts'
import type { Version } from '../../src/store/view.ts'
import {
  applyOps,
  checkRow,
  putCheck,
  putNode,
  putService,
  putSession,
  type RuleCase,
  ruled,
  table,
  viewOf,
} from './rules.ts'

const ID = '11111111-2222-3333-4444-555555555555'
const node = putNode('N1', { id: ID })
const passing = putCheck('N1', 'serfHealth', {
  name: 'Serf Health Status',
  output: 'Agent alive and reachable',
})
const critical = putCheck('N1', 'serfHealth', {
  name: 'Serf Health Status',
  status: 'critical',
  output: 'Agent not live or unreachable',
})
const listed = (failedAtMs: number, address = 'a:1') => put(agents, ID, { address, failedAtMs })
const mark = (as: AgentMark['as'], address = 'a:1') => ({ id: ID, address, as })
const marked =
  (as: AgentMark['as'], address = 'a:1'): RuleCase<unknown>['rule'] =>
  view =>
    markAgents(view, [mark(as, address)], wallMs(5))

t.test('what a mark changes', async t => {
  table(t, [
    {
      name: 'the first time that an agent is heard',
      before: [node],
      rule: marked('passing'),
      gives: [`put agents ${ID}`, 'put checks n1|serfHealth', 'answer 1'],
    },
    {
      name: 'what is so already costs nothing',
      before: [node, passing, listed(0)],
      rule: marked('passing'),
      gives: ['answer 1'],
    },
    {
      name: 'nor does it for a dead one',
      before: [node, critical, listed(3)],
      rule: marked('critical'),
      gives: ['answer 1'],
    },
    {
      name: 'an agent that is reached elsewhere',
      before: [node, passing, listed(0)],
      rule: marked('passing', 'b:1'),
      gives: [`put agents ${ID}`, 'answer 1'],
    },
    {
      name: 'a dead one ends the sessions that stand on it, and no others',
      before: [
        ...[node, passing, listed(0)],
        putSession('s1', 'N1', { nodeChecks: ['serfHealth'] }),
        putSession('s2', 'N1'),
      ],
      rule: marked('critical'),
      gives: [`put agents ${ID}`, 'put checks n1|serfHealth', 'del sessions s1', 'answer 1'],
    },
    {
      name: 'one that is not registered has no check',
      rule: marked('critical'),
      gives: ['answer 1'],
    },
    {
      name: 'one that leaves takes its node along',
      before: [node, passing, putService('N1', 'web'), listed(0), putNode('n2')],
      rule: marked('left'),
      gives: [
        `del agents ${ID}`,
        'del nodes n1',
        'del services n1|web',
        'del checks n1|serfHealth',
        'answer 1',
      ],
    },
    {
      name: 'one whose node is gone leaves nothing behind',
      before: [listed(0)],
      rule: marked('left'),
      gives: [`del agents ${ID}`, 'answer 1'],
    },
  ])
})

t.test("the check has Consul's words", async t => {
  const view = viewOf(node)
  const after = (as: AgentMark['as']) => {
    applyOps(view, markAgents(view, [mark(as)], wallMs(7)).txn)
    return view.get(checks, onNode('N1', 'serfHealth'))?.row
  }
  const common = { name: 'Serf Health Status', type: '', serviceId: '' }
  const good = { ...common, status: 'passing', output: 'Agent alive and reachable' }
  const bad = { ...common, status: 'critical', output: 'Agent not live or unreachable' }
  t.strictSame(after('passing'), checkRow('N1', 'serfHealth', good as object))
  t.strictSame(after('critical'), checkRow('N1', 'serfHealth', bad as object))
  t.equal(view.get(agents, ID)?.row.failedAtMs, 7)
  after('passing')
  t.equal(view.get(agents, ID)?.row.failedAtMs, 0)
})

t.test('how a node stands', async t => {
  t.equal(standingOf(viewOf(), ID), 'absent')
  t.equal(standingOf(viewOf(node), ID), 'none')
  t.equal(standingOf(viewOf(node, putCheck('N1', 'serfHealth', { status: 'warning' })), ID), 'none')
  t.equal(standingOf(viewOf(node, passing), ID), 'passing')
  t.equal(standingOf(viewOf(node, critical), ID), 'critical')
  t.equal(nodeOfAgent(viewOf(node), ID), 'N1')
})

t.test('a transaction takes no more than it can', async t => {
  const many = 3
  const ids = Array.from({ length: many }, (_, at) => ID.replace('1', String(at + 2)))
  const view: Version = viewOf(
    ...ids.flatMap((id, at) => {
      const name = `m${at}`
      const sessions = Array.from({ length: limits.livenessBatchOps }, (_, session) =>
        putSession(`${at}-${session}`, name, { nodeChecks: ['serfHealth'] }),
      )
      return [putNode(name, { id }), putCheck(name, 'serfHealth'), ...sessions]
    }),
  )
  const marks = ids.map(id => ({ id, address: '', as: 'critical' as const }))
  const { txn, answer } = markAgents(view, marks, wallMs(1))
  t.equal(answer, 1)
  t.equal(txn.length, limits.livenessBatchOps + 2)
})

t.test('who is dead for long goes with its node', async t => {
  const kind = deadAgent(1_000)
  const now = { wallMs: wallMs(0) }
  const cell = (failedAtMs: number) => ({
    ...{ key: ID, row: { address: '', failedAtMs }, version: 1, lease: '', sum: 0 },
    ...{ createRevision: 1, modRevision: 1, createIndex: publicIndex(1) },
    modifyIndex: publicIndex(1),
  })
  type Given = Parameters<typeof kind.due>[0]
  t.equal(kind.due(cell(0) as unknown as Given, now), undefined)
  t.strictSame(kind.due(cell(5) as unknown as Given, now), { atWallMs: 1_005 })
  t.strictSame(ruled(viewOf(node, critical, listed(5)), kind.expire(ID)), [
    `del agents ${ID}`,
    'del nodes n1',
    'del checks n1|serfHealth',
    'answer undefined',
  ])
  t.strictSame(ruled(viewOf(node, passing, listed(0)), kind.expire(ID)), ['answer undefined'])
  t.strictSame(ruled(viewOf(node, passing, listed(5)), kind.expire(ID)), ['answer undefined'])
  t.strictSame(ruled(viewOf(node), kind.expire(ID)), ['answer undefined'])
})
