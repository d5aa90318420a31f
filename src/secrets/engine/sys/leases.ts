/**
 * `sys/leases` and the older `sys/renew` and `sys/revoke`: what was given for a time.
 *
 * Owns their paths. Pure, but that the counting of leases gives the loop back in between.
 */

import { Refusal } from '../../../base/errors.ts'
import { authorize } from '../../access.ts'
import {
  type Call,
  NOTHING,
  type OperationSpec,
  type Outcome,
  type PathSpec,
  path,
  prepared,
} from '../../declare.ts'
import { bool, dur, int, str, toSeconds } from '../../field.ts'
import { findLease, listLeases, renewLease, timesOf } from '../../lease/find.ts'
import {
  endLease,
  localId,
  type RevocationRow,
  revocationRows,
  shownId,
} from '../../lease/lease.ts'
import { endUnder, type HowToEnd } from '../../lease/prefix.ts'
import { leaseProducers, type Producer } from '../../lease/producers.run.ts'
import * as shape from '../../shape.ts'
import { endToken } from '../../token/end.ts'
import { suffixOf } from '../../token/token.ts'

const leaseFields = {
  lease_id: str('The id of the lease.'),
  url_lease_id: str('The same, as a part of the path.'),
}
const renewFields = { ...leaseFields, increment: dur('How long it is to live from now.') }
const revokeFields = {
  ...leaseFields,
  sync: bool('Whether to answer when it is done; it always is.', { initial: true }),
}
const prefixFields = {
  prefix: str('The path that all of them begin with.'),
  sync: revokeFields.sync,
}
const pageFields = {
  prefix: str('The path that all of them begin with.'),
  after: str('List only what stands behind this key.'),
  limit: int('List at most so many keys; 0 for all.'),
}
const lookupFields = { ...leaseFields, ...pageFields }
const queueFields = {
  type: str('`irrevocable`: what could not be taken back so far.'),
  include_child_namespaces: bool('Whether those of namespaces below are counted too.'),
  limit: str('At most so many; `none` for all.'),
}

const PRODUCERS_SHOWN = 20
const producerFields = { limit: int('At most so many paths; 20 unless given.') }

const summaries = {
  renew: 'Renews a lease.',
  revoke: 'Ends a lease.',
  prefix: 'Ends all leases under a path.',
  force: 'Ends all leases under a path, whether their engines can take back what they gave or not.',
}

const help = (synopsis: string) => ({
  synopsis,
  description: 'A lease is what was given for a time: a token, or a secret that an engine made.',
})

const renewal: OperationSpec<typeof renewFields> = {
  ...{ summary: summaries.renew, run: renew },
  examples: [{ lease_id: 'database/creds/app/example', increment: '1h' }],
}
const revocation: OperationSpec<typeof revokeFields> = { summary: summaries.revoke, run: revoke }

/** Paths of an older name and of the newer one; the lease is named in the path, or in the data. */
const leasePathsAt = (folder: string): PathSpec[] => [
  path({
    pattern: `${folder}renew`,
    help: help(summaries.renew),
    fields: renewFields,
    access: 'authorized',
    operations: { update: renewal },
  }),
  path({
    pattern: `${folder}renew/{url_lease_id*}`,
    help: help(summaries.renew),
    fields: renewFields,
    access: 'authorized',
    operations: { update: renewal },
  }),
  path({
    pattern: `${folder}revoke`,
    help: help(summaries.revoke),
    fields: revokeFields,
    access: 'authorized',
    operations: { update: revocation },
  }),
  path({
    pattern: `${folder}revoke/{url_lease_id*}`,
    help: help(summaries.revoke),
    fields: revokeFields,
    access: 'authorized',
    operations: { update: revocation },
  }),
  path({
    pattern: `${folder}revoke-prefix/{prefix*}`,
    help: help(summaries.prefix),
    fields: prefixFields,
    access: 'privileged',
    operations: { update: { summary: summaries.prefix, run: call => endAll(call, 'revoke') } },
  }),
  path({
    pattern: `${folder}revoke-force/{prefix*}`,
    help: help(summaries.force),
    fields: prefixFields,
    access: 'privileged',
    operations: { update: { summary: summaries.force, run: call => endAll(call, 'forget') } },
  }),
]

/** All paths of this file. */
export const leasePaths: readonly PathSpec[] = [
  ...leasePathsAt('leases/'),
  ...leasePathsAt(''),
  path({
    pattern: 'leases/lookup',
    help: help('Shows a lease.'),
    fields: lookupFields,
    access: 'authorized',
    operations: {
      list: { summary: 'Lists leases.', answer: shape.keys, run: listAll },
      update: {
        summary: 'Shows a lease.',
        effect: 'reads',
        answer: shape.object({
          id: shape.text,
          issue_time: shape.time,
          expire_time: shape.nullable(shape.time),
          last_renewal: shape.nullable(shape.time),
          renewable: shape.bool,
          ttl: shape.int,
        }),
        run: shown,
        examples: [{ lease_id: 'database/creds/app/example' }],
      },
    },
  }),
  path({
    pattern: 'leases/lookup/{prefix*}',
    help: help('Lists leases.'),
    fields: pageFields,
    access: 'privileged',
    operations: { list: { summary: 'Lists leases.', answer: shape.keys, run: list } },
  }),
  path({
    pattern: 'leases/tidy',
    help: {
      synopsis: 'Would tidy up after leases.',
      description: 'The rows of a lease go with it: there is never anything left to tidy.',
    },
    fields: {},
    access: 'authorized',
    operations: {
      update: {
        summary: 'Answers that nothing is left to tidy.',
        effect: 'reads',
        run: () => ({ status: 202, warnings: ['nothing is left to tidy: leases end as a whole'] }),
      },
    },
  }),
  path({
    pattern: 'leases/count',
    help: help('Counts what could not be taken back so far.'),
    fields: queueFields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Counts what could not be taken back so far.',
        answer: shape.object({ lease_count: shape.int, counts: shape.mapOf(shape.int) }),
        run: count,
      },
    },
  }),
  path({
    pattern: 'leases/producers',
    help: {
      synopsis: 'Tells which paths have the most leases.',
      description:
        'Those of this namespace, by the path that gave them, most first: where a flood comes ' +
        'from. Of a mount with very many only some are looked at, which is told.',
    },
    fields: producerFields,
    access: 'privileged',
    operations: {
      read: prepared<typeof producerFields, readonly Producer[]>({
        summary: 'Tells which paths have the most leases.',
        answer: shape.object({
          producers: shape.list(
            shape.object({ path: shape.text, leases: shape.int, has_more: shape.bool }),
          ),
        }),
        prepare: ({ draft, namespace }) => leaseProducers(draft, namespace),
        run: ({ prepared: producers, fields: { limit = PRODUCERS_SHOWN } }) => ({
          data: {
            producers: producers
              .slice(0, limit > 0 ? limit : PRODUCERS_SHOWN)
              .map(({ path, leases, hasMore }) => ({ path, leases, has_more: hasMore })),
          },
        }),
      }),
    },
  }),
  path({
    pattern: 'leases',
    help: {
      synopsis: 'Lists what could not be taken back so far.',
      description: 'Each is tried again, at ever longer intervals, until it is or is given up.',
    },
    fields: queueFields,
    access: 'privileged',
    operations: {
      read: {
        summary: 'Lists what could not be taken back so far.',
        answer: shape.object({
          lease_count: shape.int,
          leases: shape.list(shape.object({ lease_id: shape.text, error: shape.text })),
        }),
        run: waiting,
      },
    },
  }),
]

const bad = (text: string): Refusal => new Refusal(400, text)
const NO_ID = bad('lease_id must be specified')

const idOf = ({ fields: { lease_id, url_lease_id } }: Pick<Call<typeof leaseFields>, 'fields'>) =>
  lease_id || url_lease_id || ''

const timeText = (timeMs: number): string => new Date(timeMs).toISOString()

function shown(call: Call<typeof lookupFields>): Outcome {
  const id = idOf(call)
  if (id === '') return NO_ID
  const found = findLease(call.draft, call.namespace.id, id)
  if (found === undefined) return bad('invalid lease')
  const { issuedAtMs, expiresAtMs, lastRenewalMs, renewable } = timesOf(found)
  return {
    data: {
      ...{ id, renewable, issue_time: timeText(issuedAtMs) },
      expire_time: timeText(expiresAtMs),
      last_renewal: lastRenewalMs === 0 ? null : timeText(lastRenewalMs),
      ttl: toSeconds(expiresAtMs - call.now),
    },
  }
}

/** All of them: as privileged as those under a path. */
function listAll(call: Call<typeof lookupFields>): Outcome {
  const { draft, namespace, who, data, request } = call
  const granted = authorize(draft, who!, {
    ...{ operation: 'list', namespace, path: 'sys/leases/lookup/', data },
    ...{ access: 'privileged', wrapTtlMs: request.wrapTtlMs },
  })
  return granted instanceof Refusal ? granted : list(call)
}

function list({
  draft,
  namespace,
  fields,
}: Pick<Call<typeof pageFields>, 'draft' | 'namespace' | 'fields'>): Outcome {
  const { after = '', limit = 0, prefix = '' } = fields
  const folder = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`
  const suffix = suffixOf(namespace.id)
  const keys = listLeases(draft, namespace.id, folder, { after, limit }).map(key =>
    key.endsWith('/') ? key : key + suffix,
  )
  return keys.length === 0 ? NOTHING : { data: { keys } }
}

function renew(call: Call<typeof renewFields>): Outcome {
  const id = idOf(call)
  if (id === '') return NO_ID
  const found = findLease(call.draft, call.namespace.id, id)
  if (found === undefined) return bad('lease not found')
  if (found.of === 'token') return bad('tokens cannot be renewed through this endpoint')
  const ttl = renewLease(call.draft, found.lease, call.fields.increment ?? 0)
  if (ttl instanceof Refusal) return ttl
  const { renewable } = found.lease
  return {
    lease: { id, renewable, durationS: toSeconds(ttl.ttlMs) },
    warnings: ttl.warnings,
  }
}

function revoke(call: Call<typeof revokeFields>): Outcome {
  const { draft, namespace, fields } = call
  const id = idOf(call)
  if (id === '') return NO_ID
  if (localId(id, namespace.id) === undefined) return bad('cannot revoke a lease across namespaces')
  const found = findLease(draft, namespace.id, id)
  const done: Outcome = fields.sync === false ? { status: 202 } : NOTHING
  if (found === undefined) return done
  if (found.of === 'engine') {
    endLease(draft, found.lease)
    return done
  }
  const { place } = found
  return endToken(draft, place) ? done : { ...done, rest: inside => endToken(inside, place) }
}

function endAll({ draft, namespace, fields }: Call<typeof prefixFields>, how: HowToEnd): Outcome {
  const prefix = (fields.prefix ?? '').replace(/\/+$/, '')
  if (prefix === '') return bad('a path to revoke must be specified')
  const done: Outcome = fields.sync === false ? { status: 202 } : NOTHING
  const step = (inside: Call['draft']): boolean => endUnder(inside, namespace.id, `${prefix}/`, how)
  return step(draft) ? done : { ...done, rest: step }
}

/** What waits for its engine longer than it takes to try, of a namespace. */
function stuck({ draft, namespace }: Pick<Call, 'draft' | 'namespace'>): RevocationRow[] {
  const rows = revocationRows(draft)
  const folder = `${namespace.id}/`
  return rows
    .keys(folder)
    .map(rest => rows.kept<RevocationRow>(folder + rest)!)
    .filter(row => row.tries > 0)
}

const wrongType = ({ fields: { type } }: Call<typeof queueFields>): Refusal | undefined =>
  type === 'irrevocable'
    ? undefined
    : bad(`invalid type parameter ${JSON.stringify(type ?? '')}: only "irrevocable" is known`)

function count(call: Call<typeof queueFields>): Outcome {
  const refused = wrongType(call)
  if (refused !== undefined) return refused
  const rows = stuck(call)
  const counts = new Map<string, number>()
  for (const { lease } of rows) {
    const { accessor } = lease.mount
    counts.set(accessor, (counts.get(accessor) ?? 0) + 1)
  }
  return { data: { lease_count: rows.length, counts: Object.fromEntries(counts) } }
}

const DEFAULT_LIMIT = 10_000

function waiting(call: Call<typeof queueFields>): Outcome {
  const refused = wrongType(call)
  if (refused !== undefined) return refused
  const limit = limitOf(call.fields.limit ?? '')
  if (limit === undefined) return bad('invalid limit parameter')
  const rows = stuck(call)
  const leases = rows
    .slice(0, limit)
    .map(({ lease, error }) => ({ lease_id: shownId(lease), error }))
  return { data: { lease_count: rows.length, leases } }
}

function limitOf(text: string): number | undefined {
  if (text === '') return DEFAULT_LIMIT
  if (text === 'none' || text === '-1') return Number.POSITIVE_INFINITY
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}
