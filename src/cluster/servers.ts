/**
 * The rules of who is a server: enter, drain, leave, be found dead, be forgotten; and the list.
 *
 * Owns the servers' rows and what they tell together with the rows that hang on leases. A server
 * is alive as long as its lease is; what it once said stays, so that a dead one is shown as failed.
 * The catalog is the registry's. Pure.
 */

import type { WallMs } from '../base/brand.ts'
import { same } from '../base/equal.ts'
import { Refusal } from '../base/errors.ts'
import { type Decision, del, put } from '../store/store.ts'
import { aliveServers, type ServerRow, ServerState, servers } from '../store/tables/server.ts'
import type { Reader } from '../store/view.ts'
import { type Levels, refuseLevel } from './features.ts'

/** How a server is, in the words of Consul's members. */
export const ServerStatus = {
  alive: 'alive',
  leaving: 'leaving',
  left: 'left',
  failed: 'failed',
} as const
export type ServerStatus = (typeof ServerStatus)[keyof typeof ServerStatus]

export interface KnownServer {
  readonly row: ServerRow
  readonly status: ServerStatus
}

/** What a server says of itself when it enters. */
export type ServerSelf = Omit<ServerRow, 'state' | 'stateAtMs' | 'level'>

/** How a server is, by its row and whether its lease lives. */
function statusOf(row: ServerRow, isAlive: boolean): ServerStatus {
  if (row.state === ServerState.left) return ServerStatus.left
  if (!isAlive) return ServerStatus.failed
  return row.state === ServerState.draining ? ServerStatus.leaving : ServerStatus.alive
}

/** All servers that are known, by the names of their nodes. */
export function knownServers(view: Pick<Reader, 'get' | 'prefix'>): KnownServer[] {
  return view
    .prefix(servers, '')
    .map(({ key, row }) => ({
      row,
      status: statusOf(row, view.get(aliveServers, key) !== undefined),
    }))
    .sort((a, b) => compare(a.row.name, b.row.name))
}

/** The list while leases cannot be believed: who is not noted as gone is there. */
export const undoubted = (list: readonly KnownServer[]): KnownServer[] =>
  list.map(({ row, status }) => {
    const isNoted = row.state === ServerState.failed
    return { row, status: isNoted ? status : statusOf(row, true) }
  })

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/**
 * Enters a server, or enters it anew: also one that was found dead or made to leave, for whoever
 * asks is not dead. Refused where another living server has its name, and where it does not speak
 * what is written.
 */
export function enterServer(
  view: Reader,
  self: ServerSelf,
  levels: Levels,
  now: WallMs,
): Decision<true> | Refusal {
  const refusal = refuseLevel(view, levels) ?? refuseName(view, self)
  if (refusal !== undefined) return refusal
  const before = view.get(servers, self.nodeId)?.row
  const row: ServerRow = {
    ...self,
    level: levels.highest,
    state: ServerState.in,
    stateAtMs: before?.state === ServerState.in ? before.stateAtMs : now,
  }
  if (before !== undefined && same(before, row)) return { txn: [], answer: true }
  return { txn: [put(servers, self.nodeId, row)], answer: true }
}

function refuseName(view: Reader, { nodeId, name }: ServerSelf): Refusal | undefined {
  const other = knownServers(view).find(
    ({ row, status }) =>
      row.nodeId !== nodeId &&
      row.name.toLowerCase() === name.toLowerCase() &&
      (status === ServerStatus.alive || status === ServerStatus.leaving),
  )
  if (other === undefined) return undefined
  const { nodeId: id, address } = other.row
  return new Refusal(409, `another server that is alive is named ${name}: ${id} at ${address}`)
}

/**
 * Whether another server has this one's name, address and port, and is not noted as gone: two
 * cannot have these at once, so it is what this machine was before its disk was lost. Its node has
 * the name until then, whether or not its lease ran out.
 */
export const livesBefore = (view: Reader, self: ServerSelf): boolean =>
  knownServers(view).some(
    ({ row }) =>
      row.nodeId !== self.nodeId &&
      row.name.toLowerCase() === self.name.toLowerCase() &&
      row.address === self.address &&
      row.ports.server === self.ports.server &&
      (row.state === ServerState.in || row.state === ServerState.draining),
  )

/** Says under the server's lease that it is alive. */
export const showAlive = (nodeId: string, run: string, lease: string): Decision<true> => ({
  txn: [put(aliveServers, nodeId, { run }, lease)],
  answer: true,
})

/** Changes how a server is said to be; nothing where it is not known. */
export function setState(
  view: Reader,
  nodeId: string,
  state: ServerState,
  now: WallMs,
): Decision<boolean> {
  const before = view.get(servers, nodeId)?.row
  if (before === undefined) return { txn: [], answer: false }
  if (before.state === state) return { txn: [], answer: true }
  return { txn: [put(servers, nodeId, { ...before, state, stateAtMs: now })], answer: true }
}

/** Takes a server that went away for one that left, unless it lives. */
export function expel(view: Reader, nodeId: string, now: WallMs): Decision<boolean> {
  if (view.get(aliveServers, nodeId) !== undefined) return { txn: [], answer: false }
  return setState(view, nodeId, ServerState.left, now)
}

/** Takes a server off the list, unless it lives. */
export function forgetServer(view: Reader, nodeId: string): Decision<boolean> {
  if (view.get(aliveServers, nodeId) !== undefined) return { txn: [], answer: false }
  if (view.get(servers, nodeId) === undefined) return { txn: [], answer: false }
  return { txn: [del(servers, nodeId)], answer: true }
}

/** Notes that a server is dead, unless it lives or that is known. */
export function noteFailed(view: Reader, nodeId: string, now: WallMs): Decision<boolean> {
  const row = view.get(servers, nodeId)?.row
  const isKnown = row?.state === ServerState.failed || row?.state === ServerState.left
  if (row === undefined || isKnown || view.get(aliveServers, nodeId) !== undefined) {
    return { txn: [], answer: false }
  }
  return setState(view, nodeId, ServerState.failed, now)
}

/** What of the autopilot's settings decides about dead servers. */
export interface CleanupSettings {
  readonly cleanupDeadServers: boolean
  readonly minQuorum: number
}

/**
 * The dead servers that may be taken for left, as Consul's autopilot does it: fewer than half, and
 * never so many that fewer than the least number stay. What left or failed so long ago that nobody
 * asks any more is given by `overdueServers`.
 */
export function deadToExpel(
  list: readonly KnownServer[],
  { cleanupDeadServers, minQuorum }: CleanupSettings,
): ServerRow[] {
  if (!cleanupDeadServers) return []
  // A name has one server that lives: who has it came in the dead one's place.
  const replaced = list.filter(one => isReplaced(list, one) && one.status === ServerStatus.failed)
  const counted = list.filter(one => one.status !== ServerStatus.left && !replaced.includes(one))
  const dead = counted.filter(({ row }) => row.state === ServerState.failed)
  const isFew = dead.length < Math.floor(counted.length / 2)
  const staysEnough = counted.length - dead.length >= minQuorum
  const gone = replaced.filter(({ row }) => row.state === ServerState.failed)
  return [...gone, ...(isFew && staysEnough ? dead : [])].map(({ row }) => row)
}

/** Whether another server that is alive has the name of one: what is said by name is of it. */
export const isReplaced = (
  list: readonly KnownServer[],
  { row: { nodeId, name } }: Pick<KnownServer, 'row'>,
): boolean =>
  list.some(
    ({ row, status }) =>
      row.nodeId !== nodeId &&
      row.name.toLowerCase() === name.toLowerCase() &&
      (status === ServerStatus.alive || status === ServerStatus.leaving),
  )

/** Servers that failed or left `keptMs` ago, or earlier: they are forgotten. */
export const overdueServers = (
  list: readonly KnownServer[],
  now: WallMs,
  keptMs: number,
): ServerRow[] =>
  list
    .filter(({ row: { state, stateAtMs }, status }) => {
      const isGone = status === ServerStatus.left || state === ServerState.failed
      return isGone && now - stateAtMs >= keptMs
    })
    .map(({ row }) => row)

/**
 * How many more servers may fail. Where each server has a member of the store, a majority of those
 * must stay; where the store is somebody else's, one server is enough.
 */
export function failureTolerance(voters: number, healthy: number, isManaged: boolean): number {
  const needed = isManaged ? Math.floor(voters / 2) + 1 : 1
  return Math.max(0, healthy - needed)
}

/** Whether a server may leave for good: what stays must be able to decide. */
export function refuseLeaving(
  list: readonly KnownServer[],
  nodeId: string,
  isManaged: boolean,
): Refusal | undefined {
  if (!isManaged) return undefined
  const others = list.filter(({ row, status }) => {
    return row.nodeId !== nodeId && status !== ServerStatus.left
  })
  if (others.length === 0) return undefined
  const alive = others.filter(({ status }) => status === ServerStatus.alive).length
  const needed = Math.floor(others.length / 2) + 1
  if (alive >= needed) return undefined
  const text =
    `${alive} of the ${others.length} other servers live, and ${needed} are needed to write: ` +
    'this server may not leave unless it is forced to'
  return new Refusal(500, text)
}
