/**
 * The paths of the audit journal: `/v1/operator/audit`, which Consul's community edition lacks.
 *
 * Owns how a search is asked for and how what was found is rendered: records stand in an answer as
 * devices get them, byte for byte, so that their chain can be followed. Devices are shown here and
 * changed nowhere but in the configuration.
 */
import type { Audit } from '../../audit/audit.run.ts'
import { lineOf } from '../../audit/line.ts'
import type { AuditSearch } from '../../audit/search.ts'
import { refuse } from '../../base/denied.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { access } from '../../base/who.ts'
import { acting, definePath, json, type PathDeclaration } from '../declare.ts'
import { optionalString, type QueryOf, uint64 } from '../query.ts'
import { anything, bool, int, list, object, text } from '../shape.ts'

/** The paths of the journal. */
export function auditPaths(audit: Audit): PathDeclaration[] {
  return [searchPath(audit), verifyPath(audit)]
}

const mayRead = () => [access('read', 'operator')]

const searchParameters = {
  request: optionalString('The id of the request.'),
  accessor: optionalString('The accessor of the token.'),
  path: optionalString('The begin of the path.'),
  operation: optionalString('The declared operation, such as PUT /v1/kv/{key}, or its method.'),
  outcome: optionalString('written, unchanged, answered, refused or failed.'),
  from: optionalString('Not before this time (RFC 3339).'),
  to: optionalString('Not after this time (RFC 3339).'),
  before: uint64('Below this number, as the last page says it.'),
  limit: uint64('So many records at most; 100 unless given.'),
}

const LIMIT = 100

function searchPath(audit: Audit): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/operator/audit',
    operations: {
      GET: acting({
        summary: 'Records of the audit journal, newest first.',
        query: searchParameters,
        body: undefined,
        answers: {
          200: {
            json: object({ Enabled: bool, Records: list(anything), Before: int }),
            help: 'records; Before is 0 at the end of the journal',
          },
        },
        access: mayRead,
        async run({ query, who }) {
          const search = searchOf(query)
          const refusal = refuse(who, mayRead()) ?? (search instanceof Refusal ? search : undefined)
          if (refusal !== undefined) return refusal
          const before = Number(query.before ?? Number.MAX_SAFE_INTEGER)
          const limit = Math.min(Number(query.limit ?? LIMIT), limits.auditSearchRecords)
          const found = await audit.search(search as AuditSearch, before, Math.max(1, limit))
          const lines = found.records.map(record => lineOf(record).toString('utf8').trimEnd())
          const body =
            `{"Enabled":${audit.isOn},"Records":[${lines.join(',')}],` +
            `"Before":${found.before ?? 0}}`
          return { status: 200, body }
        },
      }),
    },
  })
}

function searchOf(query: QueryOf<typeof searchParameters>): AuditSearch | Refusal {
  const { request, accessor, path, operation, outcome, from, to } = query
  const fromMs = timeOf(from)
  const toMs = timeOf(to)
  if (Number.isNaN(fromMs) || Number.isNaN(toMs)) {
    return new Refusal(400, 'from and to must be times such as 2026-01-31T12:00:00Z')
  }
  return { request, accessor, path, operation, outcome, fromMs, toMs }
}

const timeOf = (given: string | undefined): number | undefined =>
  given === undefined ? undefined : Date.parse(given)

function verifyPath(audit: Audit): PathDeclaration {
  const sink = object({ Name: text, Type: text, Sequence: int, Lag: int, Fault: text })
  return definePath({
    where: 'servers',
    path: '/v1/operator/audit/verify',
    operations: {
      GET: acting({
        summary: 'Walks the audit journal and proves that no record is missing or changed.',
        query: {},
        body: undefined,
        answers: {
          200: {
            json: object({
              Enabled: bool,
              Whole: bool,
              Fault: text,
              Count: int,
              First: int,
              Last: int,
              Anchor: text,
              Chain: text,
              Sinks: list(sink),
            }),
            help: 'what the walk came to; Anchor is the chain before the first record',
          },
        },
        access: mayRead,
        async run({ who }) {
          const refusal = refuse(who, mayRead())
          if (refusal !== undefined) return refusal
          const { floor, head, count, fault } = await audit.verify()
          return json({
            Enabled: audit.isOn,
            Whole: fault === '',
            Fault: fault,
            Count: count,
            First: floor.sequence + 1,
            Last: head.sequence,
            Anchor: floor.chain.toString('hex'),
            Chain: head.chain.toString('hex'),
            Sinks: audit.sinks.map(({ name, type, sequence, lag, fault: why }) => ({
              Name: name,
              Type: type,
              Sequence: sequence,
              Lag: lag,
              Fault: why,
            })),
          })
        },
      }),
    },
  })
}
