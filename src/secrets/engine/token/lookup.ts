/**
 * Looking at tokens: `auth/token/lookup`, `lookup-self`, `lookup-accessor`, `accessors`.
 *
 * Owns how a token is shown. Pure.
 */

import { Refusal } from '../../../base/errors.ts'
import { type Call, NOTHING, type Outcome, path } from '../../declare.ts'
import { int, str, toSeconds } from '../../field.ts'
import { identityPolicies, policiesElsewhere } from '../../identity/context.ts'
import * as shape from '../../shape.ts'
import { accessorOf } from '../../token/accessor.ts'
import { byAccessor, bySecret, ownTarget, type Target } from '../../token/target.ts'
import { type TokenRow, tokenAt, tokenRows } from '../../token/token.ts'
import { usesLeft } from '../../token/use.ts'

const answer = shape.object({
  accessor: shape.text,
  creation_time: shape.int,
  creation_ttl: shape.int,
  display_name: shape.text,
  entity_id: shape.text,
  expire_time: shape.nullable(shape.time),
  explicit_max_ttl: shape.int,
  id: shape.text,
  issue_time: shape.time,
  meta: shape.nullable(shape.mapOf(shape.text)),
  num_uses: shape.int,
  orphan: shape.bool,
  path: shape.text,
  policies: shape.texts,
  renewable: shape.bool,
  ttl: shape.int,
  type: shape.text,
  period: shape.optional(shape.int),
  role: shape.optional(shape.text),
  bound_cidrs: shape.optional(shape.texts),
  last_renewal: shape.optional(shape.time),
  last_renewal_time: shape.optional(shape.int),
  identity_policies: shape.optional(shape.texts),
  external_namespace_policies: shape.optional(shape.mapOf(shape.texts)),
  namespace_path: shape.optional(shape.text),
})

const summary = 'Shows what a token is.'

const lookup = { summary, answer, effect: 'reads' as const, run: lookupGiven }
const lookupSelf = {
  summary: 'Shows what the token that asks is.',
  answer,
  effect: 'reads' as const,
  run: (call: Call): Outcome => shown(call, ownTarget(call)),
}

const BAD_TOKEN = new Refusal(403, 'bad token')

/** The paths that show tokens. */
export const lookupPaths = [
  path({
    pattern: 'lookup',
    help: { synopsis: 'Shows a token.', description: 'Without `token`, the one that asks.' },
    fields: { token: str('The secret of the token.', { isSecret: true }) },
    access: 'authorized',
    operations: { read: lookup, update: { ...lookup, examples: [{ token: 'hvs.example' }] } },
  }),
  path({
    pattern: 'lookup-self',
    help: { synopsis: 'Shows the token that asks.', description: 'Allowed by `default`.' },
    fields: { token: str('Taken, and of no meaning.', { isDeprecated: true }) },
    access: 'authorized',
    operations: { read: lookupSelf, update: lookupSelf },
  }),
  path({
    pattern: 'lookup-accessor',
    help: {
      synopsis: 'Shows the token of an accessor.',
      description: 'Its secret is not told, since an accessor does not tell it.',
    },
    fields: { accessor: str('The accessor of the token.') },
    access: 'authorized',
    operations: { update: { summary, answer, effect: 'reads', run: lookupAccessor } },
  }),
  path({
    pattern: 'accessors',
    help: {
      synopsis: 'Lists the accessors of all tokens of the namespace.',
      description: 'Each can be looked at, renewed and revoked.',
    },
    fields: {
      after: str('List only what stands behind this accessor.'),
      limit: int('List at most so many; 0 for all.'),
    },
    access: 'privileged',
    operations: { list: { summary: 'Lists accessors.', answer: shape.keys, run: accessors } },
  }),
]

function lookupGiven(call: Call<{ token: ReturnType<typeof str> }>): Outcome {
  const secret = call.fields.token ?? ''
  if (secret === '') return shown(call, ownTarget(call))
  const target = bySecret(call, secret)
  return target === undefined ? BAD_TOKEN : shown(call, target)
}

function lookupAccessor(call: Call<{ accessor: ReturnType<typeof str> }>): Outcome {
  const accessor = call.fields.accessor ?? ''
  if (accessor === '') return new Refusal(400, 'missing accessor')
  const target = byAccessor(call, accessor)
  return target === undefined ? new Refusal(403, 'invalid accessor') : shown(call, target)
}

const timeText = (timeMs: number): string => new Date(timeMs).toISOString()

type Asked = Pick<Call, 'draft' | 'namespace' | 'now'>

function shown({ draft, namespace, now }: Asked, { place, token, secret }: Target): Outcome {
  const { expiresAtMs, lastRenewalMs } = token
  const ofIdentity =
    token.entityId === '' ? [] : identityPolicies(draft, token.namespaceId, token.entityId)
  const elsewhere = policiesElsewhere(draft, token.namespaceId, token.entityId)
  return {
    data: {
      accessor: token.accessor,
      creation_time: toSeconds(token.createdAtMs),
      creation_ttl: toSeconds(token.ttlMs),
      display_name: token.displayName,
      entity_id: token.entityId,
      expire_time: expiresAtMs === 0 ? null : timeText(expiresAtMs),
      explicit_max_ttl: toSeconds(token.explicitMaxTtlMs),
      id: secret,
      issue_time: timeText(token.createdAtMs),
      meta: token.meta,
      num_uses: usesLeft(draft, place, token),
      orphan: isOrphan(draft, token),
      path: token.path,
      policies: token.policies,
      renewable: token.renewable,
      ttl: expiresAtMs === 0 ? 0 : toSeconds(expiresAtMs - now),
      type: token.type,
      ...(token.periodMs > 0 ? { period: toSeconds(token.periodMs) } : {}),
      ...(token.role === '' ? {} : { role: token.role }),
      ...(token.boundCidrs.length === 0 ? {} : { bound_cidrs: token.boundCidrs }),
      ...(lastRenewalMs === 0
        ? {}
        : {
            last_renewal: timeText(lastRenewalMs),
            last_renewal_time: toSeconds(lastRenewalMs),
          }),
      ...(ofIdentity.length === 0 ? {} : { identity_policies: ofIdentity }),
      ...(Object.keys(elsewhere).length === 0 ? {} : { external_namespace_policies: elsewhere }),
      // Of the token, which may be asked about from another namespace by itself.
      ...(token.namespaceId === namespace.id && namespace.path !== ''
        ? { namespace_path: namespace.path }
        : {}),
    },
  }
}

/** A token whose parent was revoked without it is an orphan from then on. */
const isOrphan = (draft: Call['draft'], { parent }: TokenRow): boolean =>
  parent === undefined || tokenAt(draft, parent) === undefined

function accessors({
  draft,
  namespace,
  fields: { after = '', limit = 0 },
}: Call<{ after: ReturnType<typeof str>; limit: ReturnType<typeof int> }>): Outcome {
  const rows = tokenRows(draft, namespace.id)
  const all = rows
    .keys()
    .filter(hash => tokenAt(draft, { namespaceId: namespace.id, hash }) !== undefined)
    .map(hash => accessorOf(draft.barrier, { namespaceId: namespace.id, hash }))
    .filter(accessor => accessor > after)
    .sort()
  const page = limit > 0 ? all.slice(0, limit) : all
  return page.length === 0 ? NOTHING : { data: { keys: page } }
}
