/**
 * Many pieces of work in one request: `batch_input` and `batch_results`.
 *
 * Owns what a batch may be, that its order is kept, that a large one gives the loop back, and what
 * becomes of a whole of which some failed. Results are text already, with nothing to be escaped.
 */

import { Refusal } from '../../../../base/errors.ts'
import { type Eventually, mapEventually } from '../../../../base/eventually.ts'
import { stringifyExact } from '../../../../base/exact-json.ts'
import { limits } from '../../../../base/limits.ts'
import type { Answer, Outcome } from '../../../declare.ts'
import { any, int, type Json, type JsonObject, toInt } from '../../../field.ts'
import { object, optional, type Shape, text } from '../../../shape.ts'
import type { Fault } from '../key/fault.ts'

/** What is refused since it is bad input. */
export const bad = (text: string): Refusal => new Refusal(400, text)

/** What a fault is to a request of one item. */
export const refusalOf = ({ text, isInternal }: Fault): Refusal =>
  new Refusal(isInternal ? 500 : 400, text)

/** Fields of all paths that take batches. */
export const batchFields = {
  batch_input: any(
    'Many items, each with what a request of one would say; then all else is ignored.',
  ),
  partial_failure_response_code: int(
    'The status where some items failed and some did not; 400 unless given.',
  ),
}

/** What is given for each item of a batch, beside its own. */
export const itemShape = (parts: Readonly<Record<string, Shape>>): Shape =>
  object({ ...parts, error: optional(text), reference: text })

/** The items of a batch; undefined where there is none. */
export function batchOf(value: Json | undefined): readonly JsonObject[] | Refusal | undefined {
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value)) return bad(`${UNFIT}: source data must be an array or slice`)
  if (value.length === 0) return bad('missing batch input to process')
  if (value.length > limits.transitBatchItems) {
    return bad(`batch_input holds more than ${limits.transitBatchItems} items. See docs/limits.md.`)
  }
  const at = value.findIndex(item => typeof item !== 'object' || item === null || isList(item))
  return at === -1
    ? (value as unknown as readonly JsonObject[])
    : bad(`${UNFIT}: [${at}] expected a map`)
}

const isList = (value: Json): boolean => Array.isArray(value)
const UNFIT = 'failed to parse batch input'

/** What is wrong with the parts of an item that must be text, or a version; for the whole batch. */
export function refuseItem(
  item: JsonObject,
  at: number,
  names: readonly string[],
): Refusal | undefined {
  // Most items have one part, and there are many of them.
  for (const name in item) {
    const value = item[name]
    if (typeof value === 'string' || value === undefined || value === null) continue
    if (!names.includes(name)) continue
    return bad(`${UNFIT}: '[${at}].${name}' expected type 'string'`)
  }
  const { key_version: version } = item
  if (version === undefined || (version !== null && toInt(version) !== undefined)) return undefined
  return version === null ? undefined : bad(`${UNFIT}: '[${at}].key_version' expected type 'int'`)
}

/** The refusal of a batch in which an item lacks what all must have. */
export const missingItem = (at: number, name: string, what: string): Refusal =>
  bad(`${UNFIT}: '[${at}].${name}' ${what}`)

/** A part of an item that is text; '' for none. */
export const textOf = (part: Json | undefined): string => (typeof part === 'string' ? part : '')

/** The version that an item names; 0 for none. */
export const versionIn = ({ key_version: version }: JsonObject): number =>
  version === undefined ? 0 : (toInt(version) ?? 0)

/** What became of an item: the text of its parts, each with a comma behind it, or a fault. */
export type Result = string | Fault

/**
 * Does the work of all items, looking at the clock every `look` items (a power of two). What waits
 * for threads keeps no more of them busy than there are.
 */
export const workThrough = (
  items: readonly JsonObject[],
  work: (item: JsonObject) => Eventually<Result>,
  look = 1,
): Eventually<Result[]> => mapEventually(items, work, { atOnce: limits.keyThreads, look })

/** How results are told. */
export interface Told {
  /** What stands in the place of an item's own parts where it failed, with a comma behind it. */
  readonly failed: string
  /** The status that was asked for where some failed; undefined for none. */
  readonly partialStatus: number | undefined
  /** Of all of the request. */
  readonly warnings?: readonly string[]
}

/** The answer to a batch: all results, whatever became of some. */
export function batchAnswer(
  items: readonly JsonObject[],
  results: readonly Result[],
  { failed, partialStatus, warnings = [] }: Told,
): Answer {
  let dataText = '{"batch_results":['
  let [isUsers, isOurs, isAnyGood] = [false, false, false]
  for (let at = 0; at < results.length; at++) {
    const result = results[at]!
    if (at > 0) dataText += ','
    const { reference } = items[at]!
    const told = typeof reference === 'string' && reference !== '' ? quoted(reference) : '""'
    if (typeof result === 'string') {
      isAnyGood = true
      dataText += `{${result}"reference":${told}}`
    } else {
      if (result.isInternal) isOurs = true
      else isUsers = true
      dataText += `{${failed}"error":${quoted(result.text)},"reference":${told}}`
    }
  }
  dataText += ']}'
  if (!isUsers && !isOurs) return { dataText, warnings }
  const usual = isUsers ? 400 : 500
  if (partialStatus === undefined || !isAnyGood) return { dataText, warnings, status: usual }
  if (partialStatus >= STATUS_MIN && partialStatus <= STATUS_MAX) {
    return { dataText, warnings, status: partialStatus }
  }
  const text = `${OVERRIDE_REFUSED}, reverting to ${usual}`
  return { dataText, warnings: [...warnings, text], status: usual }
}

const OVERRIDE_REFUSED = 'invalid HTTP response code override from partial_failure_response_code'
/** Below, no status is that of an answer with which a request is over. */
const STATUS_MIN = 200
const STATUS_MAX = 599

const quoted = (text: string): string => stringifyExact(text)

/** The answer to one piece of work: its parts, or the refusal that its fault is. */
export const singleAnswer = (result: Result): Outcome =>
  typeof result === 'string' ? { dataText: `{${result.slice(0, -1)}}` } : refusalOf(result)
