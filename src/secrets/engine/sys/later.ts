/**
 * What of `sys/` is not served: it says so, and does nothing.
 *
 * Owns the list. What OpenBao took away is 404 here too, as clients expect of it.
 */
import { Refusal } from '../../../base/errors.ts'
import type { PathSpec } from '../../declare.ts'
import { notServedYet, refusing } from '../unserved.ts'

/** What comes later: a pattern, what it is, and whether it is for the root namespace alone. */
const LATER: readonly (readonly [pattern: string, what: string, isRootOnly?: true])[] = [
  ['config/control-group', 'control groups'],
  ['config/group-policy-application', 'policies of groups across namespaces'],
  ['config/ui/custom-messages/{path*}', 'the web interface', true],
  ['config/ui/login/{path*}', 'the web interface', true],
  ['control-group/{path*}', 'control groups'],
  ['events/subscribe/{path*}', 'subscriptions to events'],
  ['internal/inspect/{path*}', 'looking into the router'],
  ['internal/ui/authenticated-messages', 'the web interface'],
  ['internal/ui/unauthenticated-messages', 'the web interface'],
  ['internal/ui/version', 'the web interface'],
  ['managed-keys/{path*}', 'managed keys', true],
  ['plugins/catalog/{type}/{name}/{path*}', 'engines that are not built in'],
  ['plugins/pins/{path*}', 'engines that are not built in'],
  ['plugins/reload/{path*}', 'engines that are not built in'],
  ['plugins/runtimes/{path*}', 'engines that are not built in'],
  ['raw/{path*}', 'rows as they lie; they are sealed', true],
  ['seal-backend-status', 'several seals at once'],
  ['sealwrap/rewrap', 'wrapping by the seal', true],
  ['storage/raft/bootstrap/{path*}', 'raft: servers join by the agent', true],
  ['storage/raft/demote', 'raft: servers join by the agent', true],
  ['storage/raft/join', 'raft: servers join by the agent', true],
  ['storage/raft/promote', 'raft: servers join by the agent', true],
  ['storage/raft/remove-peer', 'taking servers off; the operator paths of the registry do', true],
  [
    'storage/raft/snapshot-auto/{path*}',
    'archives of the secrets alone; `snapshot_agent` takes some of both halves',
    true,
  ],
  [
    'storage/raft/snapshot-force',
    'restoring by this path; `gatehouse snapshot restore` takes an archive of both halves',
    true,
  ],
  ['sync/{path*}', 'copying secrets to others'],
]

/** What OpenBao removed from Vault's API; the second factors of policies are among it. */
const REMOVED: readonly (readonly [pattern: string, isRootOnly?: true])[] = [
  ['internal/counters/activity/{path*}'],
  ['internal/counters/config'],
  ['internal/counters/requests'],
  ['license/{path*}'],
  ['mfa/method/{path*}', true],
  ['replication/{path*}'],
]

/** The paths that are not served. */
export const laterPaths = (): PathSpec[] => [
  ...LATER.map(([pattern, what, isRootOnly]) => notServedYet(pattern, what, isRootOnly)),
  ...REMOVED.map(([pattern, isRootOnly]) =>
    refusing(
      pattern,
      new Refusal(404, 'The functionality has been removed on this path'),
      'Not served, and never will be.',
      isRootOnly,
    ),
  ),
]
