/**
 * What the configuration says of the etcd member that a server may run itself, of archives that are
 * saved by themselves, and of how servers are looked after.
 *
 * Owns when a member is run (asked for, or a server founds a cluster with others, or joins one, and
 * no engine is stated), which settings go together, and their defaults.
 */
import { join, resolve } from 'node:path'
import { limits } from '../base/limits.ts'
import type { AutopilotRow } from '../store/tables/autopilot.ts'
import type { Settings } from './config-read.ts'
import type { SnapshotSettings } from './snapshot-schedule.ts'

/** The stanza `store { member { … } }`. Ports have the offset added. */
export interface MemberConfig {
  /** This server runs a member of its own. */
  readonly isManaged: boolean
  /** The path of etcd; undefined to look for it. */
  readonly program: string | undefined
  readonly peerPort: number
  readonly clientPort: number
  readonly quotaSizeBytes: number
}

const MIB = 1_048_576

/** The engine that keeps the store, and whether as a member of our own. */
export function engineOf(
  settings: Settings,
  isDev: boolean,
): { readonly engine: string; readonly isManaged: boolean } {
  const isStated = settings.isSet('store.engine')
  const isAsked = settings.isSet('store.managed')
  const stated = settings.get('store.engine').toLowerCase()
  const managed = settings.get('store.managed')
  if (isStated && managed && stated !== 'etcd') {
    settings.complain('store.managed', `goes with the engine etcd, and ${stated} is stated`)
  }
  if (managed && settings.isSet('store.etcd.endpoints')) {
    settings.complain('store.managed', 'goes without store.etcd.endpoints: they are its own')
  }
  if (isStated) return { engine: stated, isManaged: managed && stated === 'etcd' }
  if (isDev && !managed) return { engine: 'memory', isManaged: false }
  const joinsOthers = settings.get('retry_join').length + settings.get('start_join').length > 0
  const hasToken = settings.get('join_token') !== '' || settings.get('join_token_file') !== ''
  // Lists of servers may name this one alone: with a token there is somebody to join.
  const isExpected =
    settings.get('server') && (settings.get('bootstrap_expect') > 1 || (joinsOthers && hasToken))
  const isManaged = isAsked ? managed : isExpected
  return { engine: isManaged ? 'etcd' : stated, isManaged }
}

/** What the keys of the member mean together. */
export function buildMember(
  settings: Settings,
  isManaged: boolean,
  workingDir: string,
): MemberConfig {
  const offset = settings.get('port_offset')
  const port = (path: 'store.member.peer_port' | 'store.member.client_port'): number => {
    const shifted = settings.get(path) + offset
    if (shifted > 65_535) settings.complain(path, `and the offset ${offset} go beyond 65535`)
    return shifted
  }
  const program = settings.get('store.member.program')
  const member: MemberConfig = {
    isManaged,
    program: program === '' ? undefined : resolve(workingDir, program),
    peerPort: port('store.member.peer_port'),
    clientPort: port('store.member.client_port'),
    quotaSizeBytes: settings.get('store.member.quota_size_mb') * MIB,
  }
  if (member.peerPort === member.clientPort) {
    settings.complain('store.member.peer_port', 'and client_port are the same')
  }
  if (isManaged && settings.get('ports.server') <= 0) {
    settings.complain('ports.server', 'is needed by servers that run members: their CA is there')
  }
  return member
}

/** When archives are saved; undefined for never. */
export function buildSnapshots(
  settings: Settings,
  isManaged: boolean,
  workingDir: string,
  dataDir: string | undefined,
): SnapshotSettings | undefined {
  const isSet = settings.isSet('store.member.snapshot_interval')
  const given = settings.get('store.member.snapshot_interval')
  const intervalMs = isSet || isManaged ? given : 0
  if (intervalMs === 0) return undefined
  if (intervalMs < limits.snapshotIntervalMinMs) {
    const least = limits.snapshotIntervalMinMs / 1_000
    settings.complain('store.member.snapshot_interval', `must be 0 or at least ${least}s`)
  }
  const stated = settings.get('store.member.snapshot_dir')
  const folder = stated === '' ? dataDir && join(dataDir, 'snapshots') : resolve(workingDir, stated)
  if (folder === undefined) {
    settings.complain('store.member.snapshot_interval', 'needs data_dir or snapshot_dir')
    return undefined
  }
  return { folder, intervalMs, retain: settings.get('store.member.snapshot_retain') }
}

/** What is written as the autopilot's settings where operators have not said anything yet. */
export function buildAutopilot(settings: Settings, defaults: AutopilotRow): AutopilotRow {
  return {
    ...defaults,
    cleanupDeadServers: settings.get('autopilot.cleanup_dead_servers'),
    lastContactThresholdMs: settings.get('autopilot.last_contact_threshold'),
    maxTrailingLogs: settings.get('autopilot.max_trailing_logs'),
    minQuorum: settings.get('autopilot.min_quorum'),
    serverStabilizationTimeMs: settings.get('autopilot.server_stabilization_time'),
  }
}
