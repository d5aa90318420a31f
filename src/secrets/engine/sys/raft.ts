/**
 * `sys/storage/raft`: the servers that decide together, where Vault's clients look for them.
 *
 * Owns how the store looks like a raft: a term is its generation, an index its revision, the leader
 * the server that ends what is over. Must not claim what is not so.
 */
import { formatDuration, HOUR_MS } from '../../../base/duration.ts'
import { Refusal } from '../../../base/errors.ts'
import { vaultVersion } from '../../../base/version.ts'
import { type PathSpec, path } from '../../declare.ts'
import {
  anyObject,
  bool,
  int,
  list,
  mapOf,
  object,
  optional,
  text,
  texts,
  time,
} from '../../shape.ts'
import type { ClusterPort, ServerShown, SystemPorts } from './ports.ts'

/** The paths of the servers. */
export const raftPaths = ({ cluster }: SystemPorts): PathSpec[] => [
  configurationPath(cluster),
  autopilotStatePath(cluster),
  autopilotConfigurationPath,
  snapshotPath(cluster),
]

const RAFT_PROTOCOL = '3'
/** The set of servers has been the same since the first index that there is. */
const FIRST_INDEX = 1

const configurationPath = (cluster: ClusterPort): PathSpec =>
  path({
    pattern: 'storage/raft/configuration',
    help: {
      synopsis: 'Lists the servers that decide together.',
      description: 'With where other servers reach them.',
    },
    fields: {},
    access: 'authorized',
    isRootOnly: true,
    operations: {
      read: {
        summary: 'Lists the servers that decide together.',
        answer: object({
          config: object({
            index: int,
            servers: list(
              object({
                node_id: text,
                address: text,
                leader: bool,
                protocol_version: text,
                voter: bool,
              }),
            ),
          }),
        }),
        act: () => ({
          data: {
            config: {
              index: FIRST_INDEX,
              servers: cluster.servers().map(each => ({
                node_id: each.nodeId,
                address: each.clusterAddress,
                leader: each.isLeader,
                protocol_version: RAFT_PROTOCOL,
                voter: each.isVoter,
              })),
            },
          },
        }),
      },
    },
  })

const snapshotPath = (cluster: ClusterPort): PathSpec =>
  path({
    pattern: 'storage/raft/snapshot',
    help: {
      synopsis: 'Takes an archive of everything that is kept.',
      description:
        'Of both halves, for there is one store: what the registry knows is in it too. Secrets ' +
        'are sealed in it as they are in the store. `gatehouse snapshot restore` takes it back.',
    },
    fields: {},
    access: 'authorized',
    isRootOnly: true,
    operations: {
      read: {
        summary: 'Takes an archive of everything that is kept.',
        act: () => cluster.archive().then(pieces => ({ parts: () => pieces, type: GZIP })),
      },
      update: {
        summary: 'Not served yet: restoring by this path.',
        effect: 'reads',
        run: () => NO_RESTORE,
      },
    },
  })

const GZIP = 'application/gzip'

const NO_RESTORE = new Refusal(
  501,
  'not served yet: restoring by this path; `gatehouse snapshot restore` takes an archive of both ' +
    'halves',
)

const iso = (timeMs: number): string => new Date(timeMs).toISOString()

const serverShape = object({
  id: text,
  name: text,
  address: text,
  node_status: text,
  last_contact: text,
  last_term: int,
  last_index: int,
  healthy: bool,
  stable_since: time,
  status: text,
  version: text,
  meta: optional(anyObject),
})

const stateOf = (each: ServerShown): Record<string, unknown> => ({
  id: each.nodeId,
  name: each.name,
  address: each.clusterAddress,
  node_status: each.isHealthy ? 'alive' : 'failed',
  last_contact: formatDuration(each.lastContactMs),
  last_term: each.term,
  last_index: each.lastIndex,
  healthy: each.isHealthy,
  stable_since: iso(each.stableSinceMs),
  status: each.isLeader ? 'leader' : each.isVoter ? 'voter' : 'non-voter',
  version: vaultVersion,
})

const autopilotStatePath = (cluster: ClusterPort): PathSpec =>
  path({
    pattern: 'storage/raft/autopilot/state',
    help: {
      synopsis: 'Tells how the servers that decide together are.',
      description: 'And how many of them may fail.',
    },
    fields: {},
    access: 'authorized',
    isRootOnly: true,
    operations: {
      read: {
        summary: 'Tells how the servers that decide together are.',
        answer: object({
          healthy: bool,
          failure_tolerance: int,
          leader: text,
          voters: texts,
          non_voters: optional(texts),
          servers: mapOf(serverShape),
        }),
        act() {
          const servers = cluster.servers()
          return {
            data: {
              healthy: servers.every(({ isHealthy }) => isHealthy),
              failure_tolerance: cluster.failureTolerance(),
              leader: servers.find(({ isLeader }) => isLeader)?.nodeId ?? '',
              voters: servers.filter(({ isVoter }) => isVoter).map(({ nodeId }) => nodeId),
              servers: Object.fromEntries(servers.map(each => [each.nodeId, stateOf(each)])),
            },
          }
        },
      },
    },
  })

/** What servers are looked after by; the registry's configuration of autopilot is its own. */
const autopilotConfigurationPath = path({
  pattern: 'storage/raft/autopilot/configuration',
  help: {
    synopsis: 'Shows how servers are looked after.',
    description: 'It is changed by the API of the registry, under `/v1/operator/autopilot`.',
  },
  fields: {},
  access: 'authorized',
  isRootOnly: true,
  operations: {
    read: {
      summary: 'Shows how servers are looked after.',
      answer: object({
        cleanup_dead_servers: bool,
        last_contact_threshold: text,
        dead_server_last_contact_threshold: text,
        max_trailing_logs: int,
        min_quorum: int,
        server_stabilization_time: text,
        disable_upgrade_migration: bool,
      }),
      run: () => ({
        data: {
          cleanup_dead_servers: false,
          last_contact_threshold: formatDuration(10_000),
          dead_server_last_contact_threshold: formatDuration(24 * HOUR_MS),
          max_trailing_logs: 1_000,
          min_quorum: 0,
          server_stabilization_time: formatDuration(10_000),
          disable_upgrade_migration: false,
        },
      }),
    },
  },
})
