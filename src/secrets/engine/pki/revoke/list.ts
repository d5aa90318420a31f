/**
 * When a list gets another edition: at each revocation, at its time, when somebody asks.
 *
 * Owns numbers, sequences and deadlines; the bytes of a list are made by lists.run.ts. A number is
 * never given twice. Pure.
 */
import type { ParsedCertificate } from '../../../../x509/certificate.ts'
import type { RowEnd } from '../../../deadline.ts'
import type { Storage } from '../../../storage.ts'
import { issuerOfRow } from '../issuer/stored.ts'
import { issuersOf } from '../rows.ts'
import { type Edition, LISTS, type ListRow, listAt, listIdOf } from './rows.ts'
import { type CrlConfig, crlConfigOf, durationOf } from './settings.ts'

/** What ends an edition. */
const LIST_END = 'pki-list'

const EMPTY: Omit<ListRow, 'whole'> = { lastNumber: 0, lastSequence: 0, tidied: 0 }

/**
 * Gives an issuer its list; it is empty at first. One whose issuer was here before goes on as it
 * was: what was revoked is revoked.
 */
export function beginList(storage: Storage, issuer: ParsedCertificate, nowMs: number): void {
  const id = listIdOf(issuer)
  const before = listAt(storage, id)
  if (before !== undefined && storage.dueMs(LISTS + id) !== undefined) return
  put(storage, id, renewed(before ?? EMPTY, nowMs, crlConfigOf(storage)), nowMs)
}

/** Notes one more entry of a list. Gives its sequence. */
export function noteEntry(storage: Storage, id: string, nowMs: number): number {
  const config = crlConfigOf(storage)
  const before = listAt(storage, id)
  const lastSequence = (before?.lastSequence ?? 0) + 1
  const next = { ...(before ?? EMPTY), lastSequence }
  const isNow = before === undefined || !config.auto_rebuild
  put(storage, id, isNow ? renewed(next, nowMs, config) : { ...before, lastSequence }, nowMs)
  return lastSequence
}

/** Gives a list another edition, whatever its time; a delta alone where that is wanted. */
export function refreshList(
  storage: Storage,
  id: string,
  nowMs: number,
  what: 'whole' | 'delta' | 'tidied',
): void {
  const row = listAt(storage, id)
  if (row === undefined) return
  const config = crlConfigOf(storage)
  if (what === 'delta') {
    if (config.enable_delta) put(storage, id, renewedDelta(row, nowMs, config), nowMs)
    return
  }
  const tidied = row.tidied + (what === 'tidied' ? 1 : 0)
  put(storage, id, renewed({ ...row, tidied }, nowMs, config), nowMs)
}

/** Holds all lists against new settings; `isAnew` gives each another edition. */
export function refreshLists(
  storage: Storage,
  nowMs: number,
  config: CrlConfig,
  isAnew: boolean,
): void {
  for (const id of storage.keys(LISTS)) {
    const row = listAt(storage, id)!
    put(storage, id, isAnew ? renewed(row, nowMs, config) : row, nowMs)
  }
}

/** What gives a list its next edition in time. */
export const listEnd: RowEnd = {
  kind: LIST_END,
  end(draft, { namespaceId, area, path }) {
    const storage = draft.area(namespaceId, area)
    const id = path.slice(LISTS.length)
    const row = listAt(storage, id)
    if (row === undefined) return
    // A list whose issuer has gone stands still until it comes back.
    if (!issuersOf(storage).some(each => listIdOf(issuerOfRow(each).certificate) === id)) {
      storage.put(path, row)
      return
    }
    const config = crlConfigOf(storage)
    const isWhole = draft.now >= wholeDueMs(row.whole, config)
    const next = isWhole ? renewed(row, draft.now, config) : renewedDelta(row, draft.now, config)
    put(storage, id, next, draft.now)
  },
}

type Counts = Omit<ListRow, 'whole' | 'delta'>

function renewed(
  { lastNumber, lastSequence, tidied }: Counts,
  nowMs: number,
  config: CrlConfig,
): ListRow {
  const whole = edition({ lastNumber, lastSequence }, nowMs, config)
  const counts = { lastNumber: whole.number, lastSequence, tidied }
  // What changed since is nothing, and has the same number (RFC 5280, 5.2.3).
  return config.enable_delta ? { ...counts, whole, delta: whole } : { ...counts, whole }
}

function renewedDelta(row: ListRow, nowMs: number, config: CrlConfig): ListRow {
  const delta = edition(row, nowMs, config)
  return { ...row, delta, lastNumber: delta.number }
}

const edition = (
  { lastNumber, lastSequence }: Pick<ListRow, 'lastNumber' | 'lastSequence'>,
  nowMs: number,
  { expiry }: CrlConfig,
): Edition => ({
  number: lastNumber + 1,
  sequence: lastSequence,
  thisUpdateMs: nowMs,
  nextUpdateMs: nowMs + durationOf(expiry),
})

/** A list that no revocation makes anew is made so long before it is over, whatever is set. */
const wholeDueMs = ({ thisUpdateMs, nextUpdateMs }: Edition, config: CrlConfig): number => {
  const lifeMs = nextUpdateMs - thisUpdateMs
  const graceMs = config.auto_rebuild ? durationOf(config.auto_rebuild_grace_period) : lifeMs / 4
  return nextUpdateMs - Math.min(graceMs, lifeMs / 2)
}

function dueMs({ whole, delta, lastSequence }: ListRow, config: CrlConfig): number {
  const wholeMs = wholeDueMs(whole, config)
  if (!config.enable_delta || delta === undefined) return wholeMs
  const isBehind = lastSequence > delta.sequence
  const deltaMs = isBehind
    ? delta.thisUpdateMs + durationOf(config.delta_rebuild_interval)
    : wholeDueMs(delta, config)
  return Math.min(wholeMs, deltaMs)
}

function put(storage: Storage, id: string, row: ListRow, nowMs: number): void {
  const atMs = Math.max(dueMs(row, crlConfigOf(storage)), nowMs)
  storage.put(LISTS + id, row, { kind: LIST_END, dueMs: atMs })
}
