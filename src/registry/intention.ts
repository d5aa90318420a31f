/**
 * The rules of intentions: which service may call which, one pair at a time.
 *
 * Owns the pairs as a view of `service-intentions` entries, in which they are kept: what is written
 * here is seen there and the other way round. Whoever asks by id is the older API, which may touch
 * only what it made itself. Semantics follow Consul's API. Pure.
 */
import type { WallMs } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import { denied, mayOne, refuse } from '../base/denied.ts'
import { same } from '../base/equal.ts'
import { Refusal } from '../base/errors.ts'
import { isUuid } from '../base/uuid.ts'
import { type Access, access, type Who } from '../base/who.ts'
import type { Question, View } from '../store/ask.ts'
import type { Decision } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import {
  type ConfigEntryRow,
  configEntries,
  decides,
  INTENTIONS,
} from '../store/tables/config-entry.ts'
import { ofKind, scope, underKind } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import { WILDCARD } from './config-entry/kind.ts'
import { refuseEntry } from './config-entry/mod.ts'
import {
  type IntentionPermission,
  type IntentionSource,
  intentionsProblem,
  normalIntentions,
  type ServiceIntentions,
  serviceIntentions,
} from './config-entry/service-intentions.ts'
import { removeEntry, writeEntry } from './config-entry.ts'

/** One pair, with the entry that it stands in. */
export interface Intention {
  readonly source: IntentionSource
  readonly destination: string
  readonly entry: Cell<ConfigEntryRow>
}

/** The two services of an intention; a source may be a peer's. */
export interface Pair {
  readonly source: string
  readonly peer: string
  readonly destination: string
}

/** What is said of a pair. */
export interface Said {
  readonly action: string | undefined
  readonly permissions: readonly IntentionPermission[] | undefined
  readonly description: string | undefined
  /** 'consul', or '' for it. */
  readonly type: string
  readonly meta: Readonly<Record<string, string>>
}

const kind = INTENTIONS

const writing = (destination: string): Access => access('write', 'intention', destination)
const fieldsOf = (cell: Cell<ConfigEntryRow> | undefined): ServiceIntentions =>
  cell?.row.fields ?? {}
const sourcesOf = (cell: Cell<ConfigEntryRow> | undefined): readonly IntentionSource[] =>
  fieldsOf(cell).Sources ?? []
const isOf = (source: IntentionSource, pair: Pair): boolean =>
  source.Name === pair.source && (source.Peer ?? '') === pair.peer

// --- writing

export interface IntentionPut {
  readonly pair: Pair
  readonly said: Said
  readonly datacenter: string
}

/** Writes what is said of a pair, whatever was said before. */
export function putIntention(
  view: Reader,
  who: Who,
  { pair, said, datacenter }: IntentionPut,
): Decision<boolean> | Refusal {
  const wanted = writing(pair.destination)
  if (!who.may(wanted)) return denied(who, wanted)
  const existing = view.get(configEntries, ofKind(kind, pair.destination))
  const { Meta: meta = {} } = fieldsOf(existing)
  if (Object.keys(said.meta).length > 0 && !same(said.meta, meta)) {
    const more = existing === undefined ? '' : ', or should be unchanged during an update.'
    return new Refusal(500, `Meta must not be specified${more}`)
  }
  const source = sourceOf(pair, said)
  const before = sourcesOf(existing)
  const Sources = before.some(one => isOf(one, pair))
    ? before.map(one => (isOf(one, pair) ? source : one))
    : [...before, source]
  const name = existing?.row.name ?? pair.destination
  const fields = serviceIntentions.normalise!({ ...fieldsOf(existing), Sources }, name)
  const entry = { kind, name, fields }
  return refuseEntry(entry) ?? writeEntry(view, entry, undefined, datacenter)
}

function sourceOf(pair: Pair, said: Said): IntentionSource {
  return {
    Name: pair.source,
    ...(said.action === undefined ? {} : { Action: said.action }),
    ...(said.permissions === undefined ? {} : { Permissions: said.permissions }),
    Precedence: 0,
    Type: said.type,
    ...(said.description === undefined ? {} : { Description: said.description }),
    ...(pair.peer === '' ? {} : { Peer: pair.peer }),
  }
}

/** Takes back what is said of a pair; true, also where nothing was. */
export function deleteIntention(
  view: Reader,
  who: Who,
  { pair, datacenter }: { readonly pair: Pair; readonly datacenter: string },
): Decision<boolean> | Refusal {
  const wanted = writing(pair.destination)
  if (!who.may(wanted)) return denied(who, wanted)
  const existing = view.get(configEntries, ofKind(kind, pair.destination))
  const left = sourcesOf(existing).filter(one => !isOf(one, pair))
  if (existing === undefined || left.length === sourcesOf(existing).length) {
    return { txn: [], answer: true }
  }
  return writeSources(view, existing.row.name, fieldsOf(existing), left, datacenter)
}

function writeSources(
  view: Reader,
  name: string,
  fields: ServiceIntentions,
  Sources: readonly IntentionSource[],
  datacenter: string,
): Decision<boolean> | Refusal {
  if (Sources.length === 0) return removeEntry(view, kind, name, datacenter)
  const entry = { kind, name, fields: normalIntentions({ ...fields, Sources }, name) }
  return writeEntry(view, entry, undefined, datacenter)
}

// --- writing by id: the older API

export interface OldIntention extends IntentionPut {
  readonly id: string
}

/** Makes an intention that is known by `id`; the answer is the id. */
export function createIntention(
  view: Reader,
  now: WallMs,
  who: Who,
  { id, pair, said, datacenter }: OldIntention,
): Decision<string> | Refusal {
  const lacking = refuse(who, pair.destination === '' ? [] : [writing(pair.destination)])
  if (lacking !== undefined) return lacking
  const existing = view.get(configEntries, ofKind(kind, pair.destination))
  const made = oldSource(id, pair, said, now, now)
  const written = writeOld(view, existing, pair.destination, datacenter, [
    ...sourcesOf(existing),
    made,
  ])
  return written instanceof Refusal ? written : { txn: written.txn, answer: id }
}

/** Says anew what an intention says that is known by `id`. */
export function updateIntention(
  view: Reader,
  now: WallMs,
  who: Who,
  { id, pair, said, datacenter }: OldIntention,
): Decision<string> | Refusal {
  const found = findById(view, id)
  if (found === undefined) {
    return new Refusal(500, `Cannot modify non-existent intention: '${id.slice(0, SHOWN_CHARS)}'`)
  }
  const lacking = refuse(who, [writing(found.destination)])
  if (lacking !== undefined) return lacking
  if (pair.destination !== '' && pair.destination !== found.destination) {
    return new Refusal(500, 'Cannot modify DestinationName for an intention once it exists.')
  }
  const { LegacyCreateTime: createdAt } = found.source
  const { Sources } = fieldsOf(found.entry)
  const made = oldSource(id, pair, said, createdAt ?? now, now)
  const sources = (Sources ?? []).map(one => (one.LegacyID === id ? made : one))
  const written = writeOld(view, found.entry, found.destination, datacenter, sources)
  return written instanceof Refusal ? written : { txn: written.txn, answer: id }
}

/** Takes back an intention that is known by `id`. */
export function deleteIntentionById(
  view: Reader,
  who: Who,
  { id, datacenter }: { readonly id: string; readonly datacenter: string },
): Decision<boolean> | Refusal {
  const found = findById(view, id)
  if (found === undefined) {
    return new Refusal(500, `Cannot delete non-existent intention: '${id.slice(0, SHOWN_CHARS)}'`)
  }
  const lacking = refuse(who, [writing(found.destination)])
  if (lacking !== undefined) return lacking
  const left = sourcesOf(found.entry).filter(one => one.LegacyID !== id)
  return writeSources(view, found.destination, fieldsOf(found.entry), left, datacenter)
}

const SHOWN_CHARS = 64

const findById = (view: Reader, id: string): Intention | undefined =>
  intentionsIn(view).find(({ source }) => source.LegacyID === id)

function oldSource(
  id: string,
  pair: Pair,
  said: Said,
  createdAt: WallMs | string,
  updatedAt: WallMs,
): IntentionSource {
  const isMeta = Object.keys(said.meta).length > 0
  return {
    ...sourceOf(pair, said),
    LegacyID: id,
    ...(isMeta ? { LegacyMeta: said.meta } : {}),
    LegacyCreateTime: typeof createdAt === 'string' ? createdAt : timeText(createdAt),
    LegacyUpdateTime: timeText(updatedAt),
  }
}

const timeText = (at: WallMs): string => new Date(at).toISOString()

function writeOld(
  view: Reader,
  existing: Cell<ConfigEntryRow> | undefined,
  name: string,
  datacenter: string,
  Sources: readonly IntentionSource[],
): Decision<boolean> | Refusal {
  if (sourcesOf(existing).some(({ LegacyID = '' }) => LegacyID === '')) {
    return new Refusal(
      500,
      'cannot use legacy intention API to edit intentions with a destination of ' +
        `${JSON.stringify(name)} after editing them via a service-intentions config entry`,
    )
  }
  const fields = normalIntentions({ ...fieldsOf(existing), Sources }, name)
  const problem = intentionsProblem(fields, name, true)
  if (problem !== undefined) return new Refusal(500, problem)
  return writeEntry(view, { kind, name, fields }, undefined, datacenter)
}

// --- reads

const reading = (name: string): Access => access('read', 'intention', name)

/**
 * All intentions of which the asker may see one end, the most precise first; lazy, so that a long
 * list is read in slices.
 */
export function allIntentions(who: Who): Question<Iterable<Intention>> {
  return {
    key: 'intentions',
    ...ofAllIntentions,
    *read(view) {
      for (const value of view.values(configEntries, 'intention')) {
        for (const one of intentionsUnder(view, value)) if (maySeeIntention(who, one)) yield one
      }
    },
  }
}

/** The intentions of one source and precedence, by destination. */
function* intentionsUnder(view: View, value: Bytes): Iterable<Intention> {
  for (const entry of view.scan(configEntries, 'intention', value)) {
    for (const source of sourcesOf(entry)) {
      if (decides(source.Precedence, source.Name) !== value) continue
      yield { source, destination: entry.row.name, entry }
    }
  }
}

const ofAllIntentions: Pick<Question<unknown>, 'target' | 'newest'> = {
  target: { scope: scope.configKind(kind) },
  newest: (_view, scopes) => scopes.newest(scope.configKind(kind)),
}

const intentionsIn = (view: Reader): Intention[] =>
  view.prefix(configEntries, underKind(kind)).flatMap(intentionsOf)

/** The intentions that an entry holds. */
export const intentionsOf = (entry: Cell<ConfigEntryRow>): Intention[] =>
  sourcesOf(entry).map(source => ({ source, destination: entry.row.name, entry }))

/** What was said along with an intention: of itself where it has an id, else of its entry. */
export function metaOf({ source, entry }: Intention): Readonly<Record<string, string>> {
  const meta = source.LegacyID === undefined ? entry.row.fields.Meta : source.LegacyMeta
  return (meta ?? {}) as Readonly<Record<string, string>>
}

/** Both ends of an intention may see it, so that each can find out why it holds. */
export const maySeeIntention = (who: Who, { source, destination }: Intention): boolean =>
  source.Peer === undefined
    ? mayOne(who, reading(destination), reading(source.Name))
    : who.may(reading(destination))

/** By precedence, then by name, as Consul orders them. */
function byPrecedence(a: Intention, b: Intention): number {
  return (
    b.source.Precedence - a.source.Precedence ||
    compare(a.source.Name, b.source.Name) ||
    compare(a.destination, b.destination) ||
    compare(a.source.Peer ?? '', b.source.Peer ?? '')
  )
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** What is said of a pair, or undefined. */
export function exactIntention(who: Who, pair: Pair): Question<Intention | undefined> | Refusal {
  const { source, destination } = pair
  if (!mayOne(who, reading(destination), reading(source))) {
    return denied(who, reading(destination))
  }
  const key = ofKind(kind, pair.destination)
  return {
    key: `intention ${JSON.stringify(pair)}`,
    target: { table: configEntries.name, key },
    newest: view => view.get(configEntries, key)?.modRevision ?? view.newest(configEntries),
    read(view) {
      const entry = view.get(configEntries, key)
      const source = sourcesOf(entry).find(one => isOf(one, pair))
      if (entry === undefined || source === undefined) return undefined
      return { source, destination: entry.row.name, entry }
    },
  }
}

/** The intention of an id, undefined when there is none, or why it is not told. */
export function intentionById(
  who: Who,
  id: string,
): Question<Intention | undefined | Refusal> | Refusal {
  if (!isUuid(id.toLowerCase())) {
    const problem = id.length === 36 ? 'is improperly formatted' : 'must be 36 characters'
    return new Refusal(400, `failed intention lookup: index error: UUID ${problem}`)
  }
  return {
    key: `intention-id ${id}`,
    ...ofAllIntentions,
    read(view) {
      const found = findById(view, id)
      if (found === undefined || maySeeIntention(who, found)) return found
      return denied(who, reading(found.destination))
    },
  }
}

export interface MatchRequest {
  readonly by: 'source' | 'destination'
  readonly names: readonly string[]
}

/** A name that was asked for, and all intentions that count for it, those that decide first. */
export interface Match {
  readonly name: string
  readonly intentions: readonly Intention[]
}

/** What counts for each of some services, as the one that calls or the one that is called. */
export function matchIntentions(
  who: Who,
  { by, names }: MatchRequest,
): Question<readonly Match[]> | Refusal {
  const lacking = refuse(who, names.map(reading))
  if (lacking !== undefined) return lacking
  return {
    key: `intention-match ${by} ${JSON.stringify(names)}`,
    ...ofAllIntentions,
    read: view =>
      [...new Set(names)].map(name => ({
        name,
        intentions: by === 'source' ? ofCaller(view, name) : ofCalled(view, name),
      })),
  }
}

/** What counts for calls by a service, those that decide first. */
function ofCaller(view: View, name: string): Intention[] {
  const values = [decides(9, name), decides(8, WILDCARD), decides(6, name), decides(5, WILDCARD)]
  return [...new Set(values)].flatMap(value => [...intentionsUnder(view, value)])
}

/** What counts for calls to a service, those that decide first. */
function ofCalled(view: Reader, name: string): Intention[] {
  const found = [...new Set([name, WILDCARD])].flatMap(destination => {
    const entry = view.get(configEntries, ofKind(kind, destination))
    if (entry === undefined) return []
    return sourcesOf(entry).map(source => ({ source, destination: entry.row.name, entry }))
  })
  return found.toSorted(byPrecedence)
}

export interface CheckRequest {
  readonly source: string
  readonly destination: string
  /** What holds where no intention says anything. */
  readonly isAllowedByDefault: boolean
}

/** Whether a service may call another. Where it depends on the request, the answer is no. */
export function checkIntention(view: Reader, who: Who, request: CheckRequest): boolean | Refusal {
  const lacking = refuse(who, [access('read', 'service', request.destination)])
  if (lacking !== undefined) return lacking
  const first = ofCalled(view, request.destination).find(
    ({ source }) =>
      source.Peer === undefined && (source.Name === WILDCARD || source.Name === request.source),
  )
  return first === undefined ? request.isAllowedByDefault : first.source.Action === 'allow'
}
