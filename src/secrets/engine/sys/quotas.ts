/**
 * `sys/quotas`: how often clients may ask, and how many leases there may be.
 *
 * Owns the paths; rules and counts stand in src/secrets/quota.
 */
import { SECOND_MS } from '../../../base/duration.ts'
import { Refusal } from '../../../base/errors.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path } from '../../declare.ts'
import { bool, dur, float, int, list, str } from '../../field.ts'
import { countLeases } from '../../quota/leases.ts'
import {
  deleteQuota,
  type Grouping,
  groupings,
  isLogin,
  pathShown,
  placeSaid,
  putQuota,
  putQuotaConfig,
  type QuotaKind,
  type QuotaRow,
  quotaConfig,
  quotaNamed,
  quotaNames,
} from '../../quota/quota.ts'
import {
  int as integer,
  keys,
  number,
  object,
  optional,
  text,
  texts,
  bool as truth,
} from '../../shape.ts'

/** The paths of quotas. */
export const quotaPaths = (): PathSpec[] => [
  configPath,
  listPath('rate-limit'),
  ratePath,
  listPath('lease-count'),
  leasePath,
]

const configPath = path({
  pattern: 'quotas/config',
  help: {
    synopsis: 'Shows and sets what holds for all quotas.',
    description: 'Paths that no rate limit holds for, and whether answers say what is left.',
  },
  fields: {
    rate_limit_exempt_paths: list('Paths that no rate limit holds for; `*` at the end of one.'),
    absolute_rate_limit_exempt_paths: list('The same, in all namespaces.'),
    enable_rate_limit_audit_logging: bool('Kept for clients that say it: refusals are recorded.'),
    enable_rate_limit_response_headers: bool('Whether answers say what is left.'),
  },
  access: 'authorized',
  isRootOnly: true,
  operations: {
    read: {
      summary: 'Shows what holds for all quotas.',
      answer: object({
        rate_limit_exempt_paths: texts,
        absolute_rate_limit_exempt_paths: texts,
        enable_rate_limit_audit_logging: truth,
        enable_rate_limit_response_headers: truth,
      }),
      run({ draft }) {
        const { exempt, exemptEverywhere, isRecorded, tellsInHeaders } = quotaConfig(draft)
        return {
          data: {
            rate_limit_exempt_paths: exempt,
            absolute_rate_limit_exempt_paths: exemptEverywhere,
            enable_rate_limit_audit_logging: isRecorded,
            enable_rate_limit_response_headers: tellsInHeaders,
          },
        }
      },
    },
    update: {
      summary: 'Sets what holds for all quotas; what is not said stays.',
      examples: [{ enable_rate_limit_response_headers: true }],
      run({ draft, fields }) {
        const before = quotaConfig(draft)
        putQuotaConfig(draft, {
          exempt: fields.rate_limit_exempt_paths ?? before.exempt,
          exemptEverywhere: fields.absolute_rate_limit_exempt_paths ?? before.exemptEverywhere,
          isRecorded: fields.enable_rate_limit_audit_logging ?? before.isRecorded,
          tellsInHeaders: fields.enable_rate_limit_response_headers ?? before.tellsInHeaders,
        })
        return NOTHING
      },
    },
  },
})

const listPath = (kind: QuotaKind): PathSpec =>
  path({
    pattern: `quotas/${kind}`,
    help: { synopsis: 'Lists quotas.', description: 'Those of all namespaces.' },
    fields: {},
    access: 'authorized',
    isRootOnly: true,
    operations: {
      list: {
        summary: 'Lists quotas.',
        answer: keys,
        run({ draft }) {
          const names = quotaNames(draft, kind)
          return names.length === 0 ? NOTHING : { data: { keys: names } }
        },
      },
    },
  })

const placeFields = {
  name: str('The name of the quota.'),
  type: str('Kept for clients that say it.'),
  path: str('Where it holds: a namespace, a mount, or a path below one; nothing for everywhere.'),
  role: str('The role of a login that it is about; all unless given.'),
  inheritable: bool('Whether namespaces below have it too; those of the root one by default.'),
}

const rateFields = {
  ...placeFields,
  rate: float('Requests in each interval.'),
  interval: dur('The interval; a second by default.'),
  block_interval: dur('How long a client is refused that exceeded it.'),
  group_by: str('By what clients are told apart: ip, none, entity_then_ip, … ; ip by default.'),
  secondary_rate: float('The rate of those who have no entity or token.'),
}

type Common = Pick<
  QuotaRow,
  'name' | 'namespacePath' | 'mountPath' | 'suffix' | 'role' | 'isInheritable'
>

/** What both kinds say of where they hold. */
function commonOf({ draft, fields }: Call<typeof placeFields>): Common | Refusal {
  const { name = '', role = '' } = fields
  const place = placeSaid(draft, fields.path ?? '')
  if (place instanceof Refusal) return place
  if (role !== '') {
    if (place.suffix !== '') {
      return new Refusal(
        400,
        'Quotas cannot contain both a path suffix and a role. If a role is provided, path must be a valid auth mount with a concept of roles',
      )
    }
    if (!isLogin(draft, place)) {
      const at = JSON.stringify(place.mountPath)
      return new Refusal(
        400,
        `Mount path ${at} is not a valid auth method and therefore unsuitable for use with role-based quotas`,
      )
    }
  }
  const isGlobal = place.namespacePath === '' && place.mountPath === ''
  return { ...place, name, role, isInheritable: fields.inheritable ?? isGlobal }
}

const showPlace = (row: QuotaRow): Record<string, unknown> => ({
  type: row.kind,
  name: row.name,
  path: pathShown(row),
  role: row.role,
  inheritable: row.isInheritable,
})

const placeShape = { type: text, name: text, path: text, role: text, inheritable: truth }

const ratePath = path({
  pattern: 'quotas/rate-limit/{name}',
  help: {
    synopsis: 'Limits how often clients may ask.',
    description:
      'Each server counts for itself. Of the most particular place that has quotas, all hold.',
  },
  fields: rateFields,
  access: 'authorized',
  isRootOnly: true,
  operations: {
    read: {
      summary: 'Shows a rate limit.',
      answer: object({
        ...placeShape,
        rate: number,
        interval: integer,
        block_interval: integer,
        group_by: text,
        secondary_rate: number,
      }),
      run({ draft, fields: { name = '' } }) {
        const row = quotaNamed(draft, 'rate-limit', name)
        if (row === undefined) return NOTHING
        return {
          data: {
            ...showPlace(row),
            rate: row.rate,
            interval: Math.floor(row.intervalMs / 1_000),
            block_interval: Math.floor(row.blockMs / 1_000),
            group_by: row.groupBy,
            secondary_rate: row.secondaryRate,
          },
        }
      },
    },
    update: {
      summary: 'Sets a rate limit.',
      examples: [{ rate: 100, interval: '1s', group_by: 'entity_then_ip' }],
      run: setRate,
    },
    delete: {
      summary: 'Takes a rate limit off.',
      run({ draft, fields: { name = '' } }) {
        deleteQuota(draft, 'rate-limit', name)
        return NOTHING
      },
    },
  },
})

function setRate(call: Call<typeof rateFields>): Outcome {
  const { draft, fields } = call
  const common = commonOf(call as unknown as Call<typeof placeFields>)
  if (common instanceof Refusal) return common
  const before = quotaNamed(draft, 'rate-limit', common.name)
  const rate = fields.rate ?? before?.rate ?? 0
  const isNumber = Number.isFinite(rate) && Number.isFinite(fields.secondary_rate ?? 0)
  if (!isNumber || rate <= 0) return new Refusal(400, "'rate' is invalid")
  const said = fields.group_by || 'ip'
  const groupBy: Grouping | undefined = groupings.find(each => each === said)
  if (groupBy === undefined)
    return new Refusal(400, `'group_by' is none of ${groupings.join(', ')}`)
  const secondaryRate = fields.secondary_rate ?? 0
  if (secondaryRate < 0 || (secondaryRate > 0 && (groupBy === 'ip' || groupBy === 'none'))) {
    return new Refusal(400, "'secondary_rate' is invalid")
  }
  putQuota(draft, {
    ...common,
    ...{ kind: 'rate-limit', rate, groupBy, secondaryRate, leasesMax: 0 },
    intervalMs: fields.interval || SECOND_MS,
    blockMs: fields.block_interval ?? 0,
  })
  return NOTHING
}

const leaseFields = {
  ...placeFields,
  max_leases: int('How many leases there may be.'),
  group_by: str('`entity` for so many of each entity, in a namespace; all together unless given.'),
}

const leasePath = path({
  pattern: 'quotas/lease-count/{name}',
  help: {
    synopsis: 'Limits how many leases there may be.',
    description:
      'What would be one too many is refused, and nothing is made. By role and by entity counts ' +
      'what is given while there is such a limit.',
  },
  fields: leaseFields,
  access: 'authorized',
  isRootOnly: true,
  operations: {
    read: {
      summary: 'Shows a limit of leases, and how many there are, up to one more.',
      answer: object({
        ...placeShape,
        max_leases: integer,
        counter: optional(integer),
        group_by: optional(text),
      }),
      run({ draft, fields: { name = '' } }) {
        const row = quotaNamed(draft, 'lease-count', name)
        if (row === undefined) return NOTHING
        const { leasesMax, groupBy } = row
        // Of each entity there is another count.
        const counted =
          groupBy === 'entity'
            ? { group_by: groupBy }
            : { counter: countLeases(draft, row, leasesMax + 1) }
        return { data: { ...showPlace(row), max_leases: leasesMax, ...counted } }
      },
    },
    update: {
      summary: 'Sets a limit of leases.',
      examples: [{ path: 'auth/approle', max_leases: 1_000 }],
      run(call) {
        const { draft, fields } = call
        const common = commonOf(call as unknown as Call<typeof placeFields>)
        if (common instanceof Refusal) return common
        const leasesMax = fields.max_leases ?? 0
        if (leasesMax <= 0) return new Refusal(400, "'max_leases' is invalid")
        const said = fields.group_by || 'none'
        if (said !== 'none' && said !== 'entity') {
          return new Refusal(400, "'group_by' is none of none, entity")
        }
        if (said === 'entity' && common.mountPath !== '') {
          return new Refusal(400, "'group_by' of entities is for a namespace, not for a mount")
        }
        putQuota(draft, {
          ...common,
          ...{ kind: 'lease-count', leasesMax, rate: 0, intervalMs: 0, blockMs: 0 },
          ...{ groupBy: said, secondaryRate: 0 },
        })
        return NOTHING
      },
    },
    delete: {
      summary: 'Takes a limit of leases off.',
      run({ draft, fields: { name = '' } }) {
        deleteQuota(draft, 'lease-count', name)
        return NOTHING
      },
    },
  },
})
