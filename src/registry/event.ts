/**
 * The rules of events: who may fire which, what they must say, and which agents they are meant for.
 *
 * Owns those and the index of a list of events, which is made of the last one's id and therefore
 * compared for equality, never for order. Semantics follow Consul's user events. Pure.
 */

import { denied } from '../base/denied.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { access, type Who } from '../base/who.ts'
import { compileRegexp, type Regexp } from '../filter/regexp.ts'
import { type Decision, put } from '../store/store.ts'
import { type EventRow, events, slotOf } from '../store/tables/event.ts'
import { localServices } from '../store/tables/local.ts'
import { underNode } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'

/** An event as it is fired. */
export type EventRequest = Pick<
  EventRow,
  'name' | 'payload' | 'nodeFilter' | 'serviceFilter' | 'tagFilter'
>

const VERSION = 1

/** Sends an event to all agents. */
export function fireEvent(
  view: Reader,
  who: Who,
  id: string,
  request: EventRequest,
): Decision<EventRow> | Refusal {
  const wanted = access('write', 'event', request.name)
  if (!who.may(wanted)) return denied(who, wanted)
  const refusal = refuseEvent(request)
  if (refusal !== undefined) return refusal
  const last = view.prefix(events, '').reduce((most, { row }) => Math.max(most, row.ltime), 0)
  const ltime = last + 1
  const row: EventRow = { id, ...request, version: VERSION, ltime }
  return { txn: [put(events, slotOf(ltime), row)], answer: row }
}

const FILTERS = [
  ['node', 'nodeFilter'],
  ['service', 'serviceFilter'],
  ['tag', 'tagFilter'],
] as const

function refuseEvent(request: EventRequest): Refusal | undefined {
  if (request.tagFilter !== '' && request.serviceFilter === '') {
    return new Refusal(500, 'Cannot provide tag filter without service filter')
  }
  for (const [what, field] of FILTERS) {
    const compiled = compileRegexp(request[field])
    if (typeof compiled === 'string') return new Refusal(500, `Invalid ${what} filter: ${compiled}`)
  }
  const sizeBytes = Object.values(request).reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  if (sizeBytes <= limits.eventSizeBytes) return undefined
  const bound = `configured limit of ${limits.eventSizeBytes} bytes before encoding`
  return new Refusal(500, `user event exceeds ${bound}`)
}

/** Whether an event is meant for the agent of a node, by its name or by what it has registered. */
export function isMeantFor(view: Reader, node: string, event: EventRow): boolean {
  const { nodeFilter, serviceFilter, tagFilter } = event
  if (!finds(nodeFilter, [node])) return false
  if (serviceFilter === '') return true
  const compiled = compileRegexp(serviceFilter)
  return view.prefix(localServices, underNode(node)).some(({ row: { service } }) => {
    if (!isFound(compiled, service.name)) return false
    return tagFilter === '' || finds(tagFilter, service.tags)
  })
}

const finds = (pattern: string, texts: readonly string[]): boolean => {
  if (pattern === '') return true
  const compiled = compileRegexp(pattern)
  return texts.some(text => isFound(compiled, text))
}

/** A pattern that another version took and this one does not finds nothing. */
const isFound = (compiled: Regexp | string, text: string): boolean =>
  typeof compiled !== 'string' && compiled.matches(text)

/** Which events are asked for; '' for any. */
export interface EventFilter {
  readonly name: string
  /** Those fired with this very filter, and those fired without one. */
  readonly node: string
  readonly service: string
  readonly tag: string
}

/** The events of a list that somebody may see. */
export function visibleEvents(
  who: Who,
  filter: EventFilter,
  among: readonly EventRow[],
): readonly EventRow[] {
  const fits = (given: string, own: string): boolean => given === '' || own === '' || own === given
  return among.filter(
    event =>
      (filter.name === '' || event.name === filter.name) &&
      fits(filter.node, event.nodeFilter) &&
      fits(filter.service, event.serviceFilter) &&
      fits(filter.tag, event.tagFilter) &&
      who.may(access('read', 'event', event.name)),
  )
}

/** The index of a list of events: both halves of the last one's id, one upon the other. */
export function eventIndex(list: readonly EventRow[]): string {
  const last = list.at(-1)
  if (last === undefined) return '1'
  const digits = last.id.replaceAll('-', '')
  const index = BigInt(`0x${digits.slice(0, 16)}`) ^ BigInt(`0x${digits.slice(16)}`)
  return index === 0n ? '1' : String(index)
}
