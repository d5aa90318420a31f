/**
 * The rules of what the timekeeper found out about agents: the check of a node that says whether
 * its agent is alive, and the end of nodes whose agent is dead for long or has left.
 *
 * Owns that check of nodes with an agent, together with the agents' rows. How one finds out is the
 * cluster's business. An agent is known by its id: its node may have another name by now. Pure.
 */
import type { WallMs } from '../base/brand.ts'
import { fromText } from '../base/bytes.ts'
import { limits } from '../base/limits.ts'
import { type Decision, del, type Op } from '../store/store.ts'
import { type AgentRow, agents } from '../store/tables/agent.ts'
import { CheckStatus, checks } from '../store/tables/check.ts'
import { onNode } from '../store/tables/names.ts'
import { nodes } from '../store/tables/node.ts'
import type { DeadlineKind } from '../store/timekeeper.ts'
import type { Reader } from '../store/view.ts'
import { checkOps, dropNodeOps, putIfChanged, SERF_HEALTH } from './catalog.ts'
import { healthOf } from './self.ts'

/** What was found out about an agent. */
export interface AgentMark {
  readonly id: string
  /** Where its RPC is reached, `host:port`. */
  readonly address: string
  /** `left`: it goes, or nothing is there to be kept of it. */
  readonly as: 'passing' | 'critical' | 'left'
}

/** What the catalog says of the node of an agent: its check, no check, or no node. */
export type AgentStanding = 'passing' | 'critical' | 'none' | 'absent'

/** The name of an agent's node; undefined where it is not registered. */
export const nodeOfAgent = (view: Reader, id: string): string | undefined =>
  view.find(nodes, 'id', fromText(id), 1)[0]?.row.node

/** How an agent's node stands in the catalog. */
export function standingOf(view: Reader, id: string): AgentStanding {
  const node = nodeOfAgent(view, id)
  if (node === undefined) return 'absent'
  const status = view.get(checks, onNode(node, SERF_HEALTH))?.row.status
  return status === CheckStatus.passing || status === CheckStatus.critical ? status : 'none'
}

/**
 * Writes what was found out, as far as one transaction takes it: the answer is how many marks were
 * gone through. One that says nothing new writes nothing; a node that is not registered has no
 * check either.
 */
export function markAgents(
  view: Reader,
  marks: readonly AgentMark[],
  now: WallMs,
): Decision<number> {
  const txn: Op[] = []
  let done = 0
  for (const mark of marks) {
    if (done > 0 && txn.length >= limits.livenessBatchOps) break
    txn.push(...markOps(view, mark, now))
    done++
  }
  return { txn, answer: done }
}

function markOps(view: Reader, { id, address, as }: AgentMark, now: WallMs): Op[] {
  const node = nodeOfAgent(view, id)
  if (as === 'left')
    return [del(agents, id), ...(node === undefined ? [] : dropNodeOps(view, node))]
  if (node === undefined) return []
  const txn: Op[] = []
  const before = view.get(agents, id)?.row
  const since = before === undefined || before.failedAtMs === 0 ? now : before.failedAtMs
  putIfChanged(view, agents, id, { address, failedAtMs: as === 'critical' ? since : 0 }, txn)
  const health = healthOf(node)
  const failed = { status: CheckStatus.critical, output: 'Agent not live or unreachable' }
  txn.push(...checkOps(view, as === 'critical' ? { ...health, ...failed } : health))
  return txn
}

/** An agent that is dead for so long goes, with its node. */
export const deadAgent = (afterMs: number): DeadlineKind<AgentRow> => ({
  name: 'dead-agent',
  table: agents,
  due: ({ row: { failedAtMs } }) =>
    failedAtMs === 0 ? undefined : { atWallMs: failedAtMs + afterMs },
  expire: id => (view, now) => {
    const isDead = (view.get(agents, id)?.row.failedAtMs ?? 0) > 0
    const isOver = isDead && standingOf(view, id) !== 'passing'
    const txn = isOver ? markOps(view, { id, address: '', as: 'left' }, now) : []
    return { txn, answer: undefined }
  },
})
