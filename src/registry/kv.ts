/**
 * The rules of the key/value store: set, check-and-set, acquire, release, delete; and its reads.
 *
 * Owns who may do what to which key and what a lock is. Pure: view and request in, transaction or
 * refusal out. Semantics follow Consul's KV API (its HTTP documentation, "KV Store").
 */
import { type Revision, revision } from '../base/brand.ts'
import { type Bytes, fromText, toText } from '../base/bytes.ts'
import { denied, refuse } from '../base/denied.ts'
import { same } from '../base/equal.ts'
import { Refusal } from '../base/errors.ts'
import { access, type Who } from '../base/who.ts'
import type { Question, View } from '../store/ask.ts'
import { type Decision, del, type Op, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { type KvRow, kv } from '../store/tables/kv.ts'
import { scope } from '../store/tables/names.ts'
import { lockDelays } from '../store/tables/session.ts'
import type { Reader } from '../store/view.ts'
import type { Target } from '../store/wait.ts'
import { sessionAt } from './session.ts'

export interface KvPut {
  readonly key: Bytes
  /** Undefined: as it is, empty where there was no entry. */
  readonly value: Buffer | undefined
  /** Undefined: as they are, else 0. */
  readonly flags: bigint | undefined
  /** Writes only if the entry's ModifyIndex is this; 0: only if there is none. */
  readonly cas: number | undefined
  /** Locks the key for this session. */
  readonly acquire: string | undefined
  /** Unlocks the key if this session holds it. */
  readonly release: string | undefined
}

/** What an entry may be. */
export interface KvBounds {
  /** The largest value of a key, decoded. */
  readonly kvValueSizeBytes: number
  /** Whether keys are taken that proxies and browsers would make another path of. */
  readonly takesAnyKey: boolean
}

/** What is said where a key must not be empty. */
export const missingKey = new Refusal(400, 'Missing key name')

/** What is said of conditions that cannot stand beside each other. */
export const conflicting = (what: string): Refusal =>
  new Refusal(400, `Conflicting flags: ${what}\n`)

/** What is wrong with a put by itself, whatever is stored. */
export function refuseKvPut(request: KvPut, bounds: KvBounds): Refusal | undefined {
  const key = toText(request.key)
  if (key === '') return missingKey
  const given = (['cas', 'acquire', 'release'] as const).filter(name => request[name] !== undefined)
  if (given.length > 1) return conflicting(given.map(name => `${name}=${request[name]}`).join('&'))
  return refuseKey(key, bounds) ?? refuseValue(key, request.value, bounds)
}

/** Keys that no new entry may have: what proxies and browsers would make another path of. */
export const refuseKey = (key: string, { takesAnyKey }: KvBounds): Refusal | undefined =>
  !takesAnyKey && ((key.includes('..') && key.split('/').includes('..')) || key !== key.trim())
    ? new Refusal(400, 'Invalid key name: it has parent references or spaces around it')
    : undefined

/** Values that are too large for an entry. */
export function refuseValue(
  key: string,
  value: Buffer | undefined,
  { kvValueSizeBytes }: KvBounds,
): Refusal | undefined {
  if (value === undefined || value.length <= kvValueSizeBytes) return undefined
  const sizes = `${value.length} > ${kvValueSizeBytes} bytes`
  return new Refusal(413, `Value for key ${JSON.stringify(key)} is too large (${sizes})`)
}

type Answered = Decision<boolean> | Refusal

const no: Answered = { txn: [], answer: false }

/** Sets a key. The answer is false where the condition of `cas`, `acquire`, `release` fails. */
export function putKv(view: Reader, who: Who, request: KvPut): Answered {
  const wanted = access('write', 'key', toText(request.key))
  if (!who.may(wanted)) return denied(who, wanted)
  if (request.acquire === '' || request.release === '') {
    return new Refusal(500, 'raft apply failed: missing session')
  }
  const existing = view.get(kv, request.key)
  if (request.acquire !== undefined) return acquire(view, request, request.acquire, existing)
  if (request.release !== undefined) {
    if (existing === undefined || existing.row.session !== request.release) return no
    return set(request, existing, { session: '', lockIndex: existing.row.lockIndex })
  }
  if (request.cas !== undefined && (existing?.modifyIndex ?? 0) !== request.cas) return no
  // A plain write of a held key keeps the holder but takes the fencing index away.
  return set(request, existing, { session: existing?.row.session ?? '', lockIndex: 0 })
}

function acquire(
  view: Reader,
  request: KvPut,
  session: string,
  existing: Cell<KvRow> | undefined,
): Answered {
  if (sessionAt(view, fromText(session)) === undefined) {
    return new Refusal(500, `raft apply failed: invalid session "${session}"`)
  }
  const holder = existing?.row.session ?? ''
  if (holder !== '' && holder !== session) return no
  if (holder === '' && view.get(lockDelays, request.key) !== undefined) return no
  const held = existing?.row.lockIndex ?? 0
  return set(request, existing, { session, lockIndex: holder === session ? held : held + 1 })
}

const NO_VALUE = Buffer.alloc(0)

function set(
  { key, value, flags }: KvPut,
  existing: Cell<KvRow> | undefined,
  lock: Pick<KvRow, 'session' | 'lockIndex'>,
): Answered {
  const row: KvRow = {
    value: value ?? existing?.row.value ?? NO_VALUE,
    flags: flags ?? existing?.row.flags ?? 0n,
    ...lock,
  }
  if (existing !== undefined && same(existing.row, row)) return { txn: [], answer: true }
  return { txn: [put(kv, key, row)], answer: true }
}

/** What became of a put. */
export interface KvDone {
  /** Whether its condition held. */
  readonly isDone: boolean
  /** The entry's after it; 0 where it is not done. */
  readonly modifyIndex: number
  /** The fencing index of whoever holds the key; 0 where it is not done. */
  readonly lockIndex: number
}

/** The same as `putKv`; the answer tells of the entry as it stands then. */
export function setKv(view: Reader, who: Who, request: KvPut): Decision<KvDone> | Refusal {
  const decided = putKv(view, who, request)
  if (decided instanceof Refusal) return decided
  const { txn, answer: isDone } = decided
  if (isDone !== true) return { txn, answer: { isDone: false, modifyIndex: 0, lockIndex: 0 } }
  const [op] = txn
  if (op !== undefined) {
    const { lockIndex } = (op as { readonly row: KvRow }).row
    return { txn, answer: ({ index }) => ({ isDone, modifyIndex: index, lockIndex }) }
  }
  const { modifyIndex, row } = view.get(kv, request.key)!
  return { txn, answer: { isDone, modifyIndex, lockIndex: row.lockIndex } }
}

/** What a key waits for that is not free. */
export type KvLock = 'free' | 'held' | 'delayed' | 'no session'

/** Whether a key can be acquired by a session, and if not, why not. */
export function kvLock(view: Reader, key: Bytes, session: string): KvLock {
  if (sessionAt(view, fromText(session)) === undefined) return 'no session'
  const holder = view.get(kv, key)?.row.session ?? ''
  if (holder !== '') return holder === session ? 'free' : 'held'
  return view.get(lockDelays, key) === undefined ? 'free' : 'delayed'
}

/** What changes when a key may have become free, or the session that waits for it has ended. */
export const lockTargets = (key: Bytes, session: string): readonly Target[] => [
  { table: kv.name, key },
  { table: lockDelays.name, key },
  { scope: scope.session(session) },
]

/** Deletes one key; with `cas` only at that ModifyIndex, where 0 never deletes. */
export function deleteKv(
  view: Reader,
  who: Who,
  request: { readonly key: Bytes; readonly cas: number | undefined },
): Answered {
  const wanted = access('write', 'key', toText(request.key))
  if (!who.may(wanted)) return denied(who, wanted)
  const existing = view.get(kv, request.key)
  if (existing === undefined) return { txn: [], answer: true }
  if (request.cas !== undefined && existing.modifyIndex !== request.cas) return no
  return { txn: [del(kv, request.key)], answer: true }
}

/**
 * Deletes the keys under a prefix, at most `limit` in this transaction; the answer says whether
 * there may be more. A tree within the limit goes as a whole.
 */
export function deleteKvTree(
  view: Reader,
  who: Who,
  request: { readonly prefix: Bytes; readonly limit: number },
): { readonly txn: readonly Op[]; readonly answer: { more: boolean } } | Refusal {
  const wanted = access('write', 'key_prefix', toText(request.prefix))
  if (!who.may(wanted)) return denied(who, wanted)
  const cells = view.prefix(kv, request.prefix, request.limit)
  return {
    txn: cells.map(({ key }) => del(kv, key)),
    answer: { more: cells.length === request.limit },
  }
}

/** One entry, or undefined. An absent key has the whole table's index. */
export function kvEntry(who: Who, key: Bytes): Question<Cell<KvRow> | undefined> | Refusal {
  const wanted = access('read', 'key', toText(key))
  if (!who.may(wanted)) return denied(who, wanted)
  return {
    key: `kv ${key}`,
    target: { table: kv.name, key },
    newest: view => view.get(kv, key)?.modRevision ?? view.newest(kv),
    read: view => view.get(kv, key),
  }
}

/**
 * Why somebody may not list the keys under a prefix: a right of its own where the configuration
 * says so (`acl.enable_key_list_policy`), else everybody's.
 */
export const refuseKeyList = (who: Who, prefix: Bytes): Refusal | undefined =>
  refuse(who, [access('list', 'key', toText(prefix))])

/** All entries under a prefix that the asker may read, in byte order. */
export function kvTree(who: Who, prefix: Bytes): Question<readonly Cell<KvRow>[]> | Refusal {
  const lacking = refuseKeyList(who, prefix)
  if (lacking !== undefined) return lacking
  return {
    key: `kv-tree ${prefix}`,
    target: { table: kv.name, prefix },
    newest: view => newestUnder(view, prefix),
    read: view =>
      view.prefix(kv, prefix).filter(({ key }) => who.may(access('read', 'key', toText(key)))),
  }
}

/** The keys under a prefix; with a separator cut behind its first occurrence, each once. */
export function kvKeys(
  who: Who,
  prefix: Bytes,
  separator: Bytes,
): Question<readonly Bytes[]> | Refusal {
  const tree = kvTree(who, prefix)
  if (tree instanceof Refusal) return tree
  return {
    ...tree,
    key: `kv-keys ${separator} ${prefix}`,
    read: view => {
      // Who may read all of it need not be asked key by key: what lies deeper is skipped.
      if (separator !== '' && who.may(access('read', 'key_prefix', toText(prefix)))) {
        return view.level(kv, prefix, separator).map(name => prefix + name)
      }
      const keys = tree.read(view).map(({ key }) => cutKey(key, prefix, separator))
      return separator === '' ? keys : [...new Set(keys)]
    },
  }
}

function cutKey(key: Bytes, prefix: Bytes, separator: Bytes): Bytes {
  if (separator === '') return key
  const at = key.indexOf(separator, prefix.length)
  return at === -1 ? key : key.slice(0, at + separator.length)
}

/** Entries and remembered deletions under a prefix; the table's newest where there is nothing. */
function newestUnder(view: View, prefix: Bytes): Revision {
  const cells = view.prefix(kv, prefix)
  const tombstone = view.newestTombstone(kv, prefix)
  if (cells.length === 0 && tombstone === 0) return view.newest(kv)
  let newest: number = Math.max(tombstone, view.floor(kv))
  for (const { modRevision } of cells) if (modRevision > newest) newest = modRevision
  return revision(newest)
}
