/**
 * `sys/health`, `sys/leader` and what else tells how this server and its cluster are.
 *
 * Owns their words. Health answers while sealed and asks no row. Every server serves everything,
 * so that none is a standby: the leader is the one that ends what is over.
 */
import { Refusal } from '../../../base/errors.ts'
import { vaultVersion } from '../../../base/version.ts'
import { type ActCall, NOTHING, type Outcome, type PathSpec, path } from '../../declare.ts'
import { str } from '../../field.ts'
import {
  anyObject,
  bool,
  int,
  keys,
  list,
  nullable,
  object,
  optional,
  text,
  texts,
  time,
} from '../../shape.ts'
import type { ClusterPort, ServerPort, ServerShown, SystemPorts } from './ports.ts'

/** The paths of how things are. */
export const statusPaths = ({ server, cluster }: SystemPorts): PathSpec[] => [
  healthPath(server),
  leaderPath(cluster),
  haStatusPath(cluster, server),
  stepDownPath(cluster),
  versionsPath,
  replicationPath,
  experimentsPath,
  activationPath,
]

const code = (help: string) => str(`The status to answer ${help}.`)

const healthFields = {
  standbyok: str('Kept for clients that say it: no server is a standby.'),
  perfstandbyok: str('The same.'),
  activecode: code('while it serves; 200 by default'),
  standbycode: code('as a standby, which no server is'),
  drsecondarycode: code('as a copy of another cluster, which no server is'),
  performancestandbycode: code('as a standby that reads, which no server is'),
  sealedcode: code('while it is sealed; 503 by default'),
  uninitcode: code('before there is anything; 501 by default'),
  haunhealthycode: code('as a standby that lost the others, which no server is'),
  removedcode: code('as a server that was taken off, which none is'),
}

const healthShape = object({
  initialized: bool,
  sealed: bool,
  standby: bool,
  performance_standby: bool,
  replication_performance_mode: text,
  replication_dr_mode: text,
  server_time_utc: int,
  version: text,
  enterprise: bool,
  cluster_name: optional(text),
  cluster_id: optional(text),
  echo_duration_ms: int,
  clock_skew_ms: int,
  replication_primary_canary_age_ms: int,
})

const CODES = [
  ['activecode', 200],
  ['sealedcode', 503],
  ['uninitcode', 501],
  ['standbycode', 429],
  ['drsecondarycode', 472],
  ['performancestandbycode', 473],
  ['haunhealthycode', 474],
  ['removedcode', 530],
] as const

const healthPath = (server: ServerPort): PathSpec =>
  path({
    pattern: 'health',
    help: {
      synopsis: 'Tells whether this server serves.',
      description:
        'By its status, so that whoever balances load needs to read nothing. It reads no row.',
    },
    fields: healthFields,
    access: 'open',
    isRootOnly: true,
    whileSealed: true,
    operations: {
      read: {
        summary: 'Tells whether this server serves.',
        answer: healthShape,
        act: call => health(server, call),
      },
    },
  })

const BAD_CODE = new Refusal(400, '')
const FLAGS = ['', '1', 't', 'T', 'true', 'TRUE', 'True', '0', 'f', 'F', 'false', 'FALSE', 'False']

function health(server: ServerPort, { fields }: ActCall<typeof healthFields>): Outcome {
  for (const flag of [fields.standbyok, fields.perfstandbyok]) {
    if (flag !== undefined && !FLAGS.includes(flag)) return BAD_CODE
  }
  const codes = new Map<string, number>()
  for (const [name, initial] of CODES) {
    const said = fields[name]
    const status = said === undefined ? initial : statusOf(said)
    if (status === undefined) return BAD_CODE
    codes.set(name, status)
  }
  const initialized = server.isInitialized()
  const sealed = server.isSealed()
  const standing = initialized ? (sealed ? 'sealedcode' : 'activecode') : 'uninitcode'
  return {
    status: codes.get(standing)!,
    bare: {
      initialized,
      sealed,
      standby: sealed,
      performance_standby: false,
      replication_performance_mode: 'disabled',
      replication_dr_mode: 'disabled',
      server_time_utc: Math.floor(server.nowMs() / 1_000),
      version: vaultVersion,
      enterprise: false,
      ...(sealed ? {} : { cluster_name: server.clusterName(), cluster_id: server.clusterId() }),
      echo_duration_ms: 0,
      clock_skew_ms: 0,
      replication_primary_canary_age_ms: 0,
    },
  }
}

/** A status that an answer may have; below 200 it would be none. */
function statusOf(said: string): number | undefined {
  const status = /^\d{3}$/.test(said) ? Number(said) : Number.NaN
  return status >= 200 && status <= 599 ? status : undefined
}

const leaderShape = object({
  ha_enabled: bool,
  is_self: bool,
  active_time: optional(time),
  leader_address: text,
  leader_cluster_address: text,
  performance_standby: bool,
  performance_standby_last_remote_wal: int,
  raft_committed_index: optional(int),
  raft_applied_index: optional(int),
})

const leaderPath = (cluster: ClusterPort): PathSpec =>
  path({
    pattern: 'leader',
    help: {
      synopsis: 'Tells which server leads.',
      description: 'The one that ends what is over. All servers serve all requests.',
    },
    fields: {},
    access: 'open',
    whileSealed: true,
    operations: {
      read: {
        summary: 'Tells which server leads.',
        answer: leaderShape,
        act: () => ({ bare: leaderShown(cluster) }),
      },
    },
  })

const iso = (timeMs: number): string => new Date(timeMs).toISOString()

function leaderShown(cluster: ClusterPort): Record<string, unknown> {
  const leader = cluster.servers().find(({ isLeader }) => isLeader)
  return {
    ha_enabled: cluster.isShared(),
    is_self: leader?.isSelf === true,
    ...(leader === undefined ? {} : { active_time: iso(leader.stableSinceMs) }),
    leader_address: leader?.apiAddress ?? '',
    leader_cluster_address: clusterUrl(leader),
    performance_standby: false,
    performance_standby_last_remote_wal: 0,
    ...(leader === undefined
      ? {}
      : { raft_committed_index: leader.lastIndex, raft_applied_index: leader.lastIndex }),
  }
}

const clusterUrl = (server: ServerShown | undefined): string =>
  server === undefined || server.clusterAddress === '' ? '' : `https://${server.clusterAddress}`

const nodeShape = object({
  hostname: text,
  api_address: text,
  cluster_address: text,
  active_node: bool,
  last_echo: nullable(time),
  echo_duration_ms: int,
  clock_skew_ms: int,
  version: text,
})

const haStatusPath = (cluster: ClusterPort, server: ServerPort): PathSpec =>
  path({
    pattern: 'ha-status',
    help: {
      synopsis: 'Lists the servers of the cluster.',
      description: 'With when this server last knew them to be there.',
    },
    fields: {},
    access: 'authorized',
    operations: {
      read: {
        summary: 'Lists the servers of the cluster.',
        answer: object({ nodes: list(nodeShape) }),
        act: () => ({
          data: { nodes: cluster.servers().map(each => nodeOf(each, server.nowMs())) },
        }),
      },
    },
  })

const nodeOf = (each: ServerShown, nowMs: number): Record<string, unknown> => ({
  hostname: each.name,
  api_address: each.apiAddress,
  cluster_address: clusterUrl(each),
  active_node: each.isLeader,
  last_echo: each.isSelf ? null : iso(nowMs - each.lastContactMs),
  echo_duration_ms: 0,
  clock_skew_ms: 0,
  version: vaultVersion,
})

const stepDownPath = (cluster: ClusterPort): PathSpec =>
  path({
    pattern: 'step-down',
    help: {
      synopsis: 'Has another server lead.',
      description: 'Where there is another one; requests are not disturbed.',
    },
    fields: {},
    access: 'privileged',
    isRootOnly: true,
    operations: {
      update: {
        summary: 'Has another server lead.',
        act: () => cluster.stepDown().then(done => (done === true ? NOTHING : done)),
      },
    },
  })

const versionsPath = path({
  pattern: 'version-history',
  help: {
    synopsis: 'Lists the versions that served here.',
    description: 'With when each was first asked for them.',
  },
  fields: {},
  access: 'authorized',
  operations: {
    list: {
      summary: 'Lists the versions that served here.',
      answer: keys,
      effect: 'writes',
      run({ draft, now }) {
        const rows = draft.area('root', 'versions')
        if (!rows.has(vaultVersion)) rows.put(vaultVersion, { atMs: now })
        const known = rows
          .keys()
          .map(version => ({ version, ...rows.get<{ readonly atMs: number }>(version)! }))
          .sort((a, b) => a.atMs - b.atMs)
        const info = known.map(({ version, atMs }, i) => [
          version,
          {
            build_date: '',
            previous_version: known[i - 1]?.version ?? null,
            timestamp_installed: iso(atMs),
          },
        ])
        return {
          data: { keys: known.map(({ version }) => version), key_info: Object.fromEntries(info) },
        }
      },
    },
  },
})

const replicationPath = path({
  pattern: 'replication/status',
  help: {
    synopsis: 'Tells that there is no copy of this cluster.',
    description: 'Clients look whether there is one.',
  },
  fields: {},
  access: 'open',
  isRootOnly: true,
  operations: {
    read: {
      summary: 'Tells that there is no copy of this cluster.',
      answer: object({ mode: text }),
      run: () => ({ data: { mode: 'disabled' } }),
    },
  },
})

const experimentsPath = path({
  pattern: 'experiments',
  help: { synopsis: 'Lists experiments.', description: 'There are none.' },
  fields: {},
  access: 'authorized',
  operations: {
    read: {
      summary: 'Lists experiments.',
      answer: object({ available: texts, enabled: texts }),
      run: () => ({ data: { available: [], enabled: [] } }),
    },
  },
})

const activationPath = path({
  pattern: 'activation-flags',
  help: { synopsis: 'Lists what is switched on once for ever.', description: 'There is nothing.' },
  fields: {},
  access: 'authorized',
  operations: {
    read: {
      summary: 'Lists what is switched on once for ever.',
      answer: anyObject,
      run: () => ({ data: { activated: [], unactivated: [] } }),
    },
  },
})
