/**
 * What one server does about the others: finds those that died, says so in the catalog, takes dead
 * ones off the list where the autopilot allows it, and raises the feature level once all agree.
 *
 * Owns the order and the joining of what two rooms say into one transaction; each is fenced by the
 * timekeeper's role, which a restore takes away. A lease tells who lives, so that nothing is judged
 * by a single silence; after a restore nobody has one until he says again that he is there.
 */

import { wallMs } from '../base/brand.ts'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { raiseLevel } from '../cluster/features.ts'
import {
  deadToExpel,
  expel,
  forgetServer,
  isReplaced,
  knownServers,
  noteFailed,
  overdueServers,
  ServerStatus,
} from '../cluster/servers.ts'
import { autopilotDefaults } from '../registry/autopilot.ts'
import { SERF_HEALTH } from '../registry/catalog.ts'
import { failServer, SELF_SERVICE, withdrawServer } from '../registry/self.ts'
import type { Decide, Decision, Op, Store } from '../store/store.ts'
import { agents } from '../store/tables/agent.ts'
import { AUTOPILOT_KEY, autopilot } from '../store/tables/autopilot.ts'
import { checks } from '../store/tables/check.ts'
import { fold, onNode } from '../store/tables/names.ts'
import { nodes } from '../store/tables/node.ts'
import {
  activeLevel,
  aliveServers,
  type ServerRow,
  ServerState,
  servers,
} from '../store/tables/server.ts'
import { services } from '../store/tables/service.ts'
import type { Duty } from '../store/timekeeper.ts'
import { untilChanged } from '../store/until-changed.ts'
import type { Reader } from '../store/view.ts'

export interface ServerDutyPorts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** How long a server that failed or left is shown. */
  readonly reconnectTimeoutMs: number
  /** For how long leases do not tell who is dead yet. */
  readonly judgesInMs: () => number
  /** Takes what a server held of the store away, once it is off the list. */
  readonly removeMember: (server: ServerRow) => Promise<void>
}

type Fenced = <A>(decide: Decide<A>) => Decide<A>

/** A server that comes, goes or changes. */
const anyServer = [servers, aliveServers].map(({ name }) => ({ table: name, prefix: '' }))

/** Looks after the servers while the role is held. */
export const serverDuty =
  (ports: ServerDutyPorts): Duty =>
  async (signal, fenced) => {
    if (!ports.store.supports.shared) return
    const waits = { scopes: ports.store.scopes, clock: ports.clock }
    while (!signal.aborted) {
      try {
        await lookOver(ports, fenced, signal)
      } catch (error) {
        if (signal.aborted) return
        ports.log.warn('servers were not looked after', { error: messageOf(error) })
      }
      const lookMs = Math.min(limits.serverLookMs, ports.judgesInMs() || limits.serverLookMs)
      await untilChanged(waits, anyServer, lookMs, signal)
    }
  }

async function lookOver(
  ports: ServerDutyPorts,
  fenced: Fenced,
  signal: AbortSignal,
): Promise<void> {
  const { store, log } = ports
  if (ports.judgesInMs() === 0) await lookForDead(ports, fenced, signal)
  for (const node of strangeServers(store.view())) {
    if (signal.aborted) return
    log.warn('a server of another cluster goes from the catalog', { node })
    await store.write(
      fenced(view => {
        const isGone = !isOfThisCluster(view, node)
        return { txn: isGone ? withdrawServer(view, node) : [], answer: isGone }
      }),
    )
  }
  const level = activeLevel(store.view())
  if (raiseLevel(store.view()).answer === level) return
  await store.write(fenced(raiseLevel))
  log.info('every server speaks a newer feature level', { level: activeLevel(store.view()) })
}

async function lookForDead(
  { store, clock, log, reconnectTimeoutMs, removeMember }: ServerDutyPorts,
  fenced: Fenced,
  signal: AbortSignal,
): Promise<void> {
  const list = knownServers(store.view())
  const write = (decide: Decide<boolean>): Promise<unknown> => store.write(fenced(decide))
  for (const { row, status } of list) {
    if (signal.aborted) return
    if (status !== ServerStatus.failed || row.state === ServerState.failed) continue
    log.warn('a server failed', { server: row.name, node: row.nodeId })
    await write((view, now) =>
      joined(noteFailed(view, row.nodeId, now), () => ofItsNode(view, row, failServer)),
    )
  }
  const settings = store.view().get(autopilot, AUTOPILOT_KEY)?.row ?? autopilotDefaults
  for (const row of deadToExpel(knownServers(store.view()), settings)) {
    if (signal.aborted) return
    log.warn('a dead server is taken off the list', { server: row.name, node: row.nodeId })
    await removeMember(row)
    await write((view, now) => expelled(view, row, now))
  }
  const known = knownServers(store.view())
  for (const row of overdueServers(known, wallMs(clock.wall()), reconnectTimeoutMs)) {
    if (signal.aborted) return
    await write(view =>
      joined(forgetServer(view, row.nodeId), () => ofItsNode(view, row, withdrawServer)),
    )
  }
}

/**
 * Nodes that say to be servers and are none of this cluster: a restored archive brought them along,
 * and nobody else would ever say that they are not there.
 */
export function strangeServers(view: Reader): readonly string[] {
  return view
    .find(services, 'name', fold(SELF_SERVICE))
    .map(({ row }) => row.node)
    .filter(
      node =>
        view.get(checks, onNode(node, SERF_HEALTH)) !== undefined && !isOfThisCluster(view, node),
    )
}

/** Whether a node is a server or an agent that this cluster knows; reads no index, so rules may. */
function isOfThisCluster(view: Reader, node: string): boolean {
  const id = view.get(nodes, fold(node))?.row.id ?? ''
  if (view.get(agents, id) !== undefined) return true
  return knownServers(view).some(({ row }) => fold(row.name) === fold(node))
}

/** Takes a dead server for one that left: it decides no more, and goes from the catalog. */
export const expelled = (
  view: Reader,
  row: ServerRow,
  now: Parameters<typeof expel>[2],
): Decision<boolean> =>
  joined(expel(view, row.nodeId, now), () => ofItsNode(view, row, withdrawServer))

/** What is done to a server's node, unless another server has come in its place under its name. */
export const ofItsNode = (
  view: Reader,
  row: ServerRow,
  change: (view: Reader, name: string) => readonly Op[],
): readonly Op[] => (isReplaced(knownServers(view), { row }) ? [] : change(view, row.name))

/** One decision of two rooms; the second says nothing where the first did not hold. */
export function joined(first: Decision<boolean>, second: () => readonly Op[]): Decision<boolean> {
  if (first.answer !== true) return first
  return { txn: [...first.txn, ...second()], answer: true }
}
