/**
 * What is looked for in the journal, and whether a record is that.
 *
 * Owns the meaning of a search: every word of it must fit. Pure.
 */
import type { JournalRecord } from '../store/journal.ts'

/** Words of a search; those that are undefined fit any record. */
export interface AuditSearch {
  readonly request: string | undefined
  readonly accessor: string | undefined
  /** The begin of the path. */
  readonly path: string | undefined
  /** The declared operation, such as `PUT /v1/kv/{key}`, or its method alone. */
  readonly operation: string | undefined
  readonly outcome: string | undefined
  readonly fromMs: number | undefined
  readonly toMs: number | undefined
}

/** Whether a record is looked for. */
export function fits({ text, timeMs }: JournalRecord, search: AuditSearch): boolean {
  if (search.fromMs !== undefined && timeMs < search.fromMs) return false
  if (search.toMs !== undefined && timeMs > search.toMs) return false
  const words = Object.values(search).filter(word => typeof word === 'string')
  if (words.length === 0) return true
  const record = JSON.parse(text.toString('utf8')) as Readonly<Record<string, unknown>>
  return (
    isSame(record.request, search.request) &&
    isSame(record.accessor, search.accessor) &&
    isSame(record.outcome, search.outcome) &&
    begins(record.path, search.path) &&
    isOperation(record.operation, search.operation)
  )
}

const isSame = (value: unknown, wanted: string | undefined): boolean =>
  wanted === undefined || value === wanted

const begins = (value: unknown, wanted: string | undefined): boolean =>
  wanted === undefined || (typeof value === 'string' && value.startsWith(wanted))

function isOperation(value: unknown, wanted: string | undefined): boolean {
  if (wanted === undefined || value === wanted) return true
  return typeof value === 'string' && value.startsWith(`${wanted.toUpperCase()} `)
}
