/**
 * Pages of lists, and the fields that are wanted of their items.
 *
 * Owns what a page token is: where the last page ended, by the item's place in the order of the
 * list (so that what comes and goes between two pages moves nothing), or by a number where a list
 * has no such order. Must not know what the items are.
 */
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { inSlices } from '../../base/slices.ts'

export interface PageRequest {
  readonly pageSize: number
  readonly pageToken: string
}

/** How the items of a list are told apart and weighed. */
export interface PageOrder<T> {
  /** Ascending along the list, by bytes; undefined for a list that is in no order of its own. */
  readonly placeOf: ((item: T) => string) | undefined
  /** What an item adds to the answer, where that is much. */
  readonly sizeOf?: (item: T) => number
}

export interface Page<T> {
  readonly items: readonly T[]
  readonly nextPageToken: string
}

const BY_PLACE = 'p'
const BY_NUMBER = 'n'
const invalid = new Refusal(400, 'Invalid page token: it is of no page of this list')

/** One page of a list; `undefined` among the items is none. Throws the refusal of a bad token. */
export async function pageOf<T>(
  items: Iterable<T | undefined>,
  { pageSize, pageToken }: PageRequest,
  { placeOf, sizeOf }: PageOrder<T>,
): Promise<Page<T>> {
  if (pageSize < 0) throw new Refusal(400, 'Invalid page size: it is negative')
  const most = Math.min(pageSize || limits.grpcPageItems, limits.grpcPageItemsMax)
  const isBehind = behind(pageToken, placeOf)
  const page: T[] = []
  let sizeBytes = 0
  let seen = 0
  let isFull = false
  let nextPageToken = ''
  const tokenAt = (last: T, count: number): string =>
    written(placeOf === undefined ? `${BY_NUMBER}${count}` : `${BY_PLACE}${placeOf(last)}`)
  function* wanted(): Iterable<T | undefined> {
    for (const item of items) {
      if (isFull) return
      yield item
    }
  }
  await inSlices(wanted(), item => {
    if (item === undefined) return
    seen++
    if (!isBehind(item, seen)) return
    const isLarge = sizeBytes > limits.grpcPageSizeBytes
    if (page.length > 0 && (page.length >= most || isLarge)) {
      isFull = true
      nextPageToken = tokenAt(page.at(-1)!, seen - 1)
      return
    }
    page.push(item)
    sizeBytes += sizeOf?.(item) ?? 0
  })
  return { items: page, nextPageToken }
}

/** Tells which items come behind the page that a token ends. */
function behind<T>(
  token: string,
  placeOf: PageOrder<T>['placeOf'],
): (item: T, number: number) => boolean {
  if (token === '') return () => true
  const text = read(token)
  const rest = text.slice(1)
  if (text[0] === BY_PLACE && placeOf !== undefined) return item => placeOf(item) > rest
  if (text[0] === BY_NUMBER && placeOf === undefined && /^\d{1,15}$/.test(rest)) {
    const last = Number(rest)
    return (_item, number) => number > last
  }
  throw invalid
}

const written = (place: string): string => Buffer.from(place, 'latin1').toString('base64url')

function read(token: string): string {
  if (token.length > limits.grpcPageTokenChars || !/^[\w-]*$/.test(token)) throw invalid
  return Buffer.from(token, 'base64url').toString('latin1')
}

/** The fields of a message that a mask may name: those within one, or true. */
export type MaskFields = { readonly [field: string]: MaskFields | true }

export interface MaskMessage {
  readonly paths: readonly string[]
}

/** Gives what is wanted of a message; everything where no mask is given. */
export function maskOf<M extends object>(
  mask: MaskMessage | null | undefined,
  fields: MaskFields,
): (message: M) => Partial<M> {
  const paths = mask?.paths ?? []
  if (paths.length === 0 || paths.includes('*')) return message => message
  const chosen: Choice = new Map()
  for (const path of paths) choose(chosen, path.split('.').map(camel), fields, path)
  return message => picked(message, chosen) as Partial<M>
}

/** Fields by their names, with those within that are wanted; 'all' for the whole of one. */
type Choice = Map<string, Choice | 'all'>

function choose(choice: Choice, path: readonly string[], fields: MaskFields, shown: string): void {
  const [name = '', ...rest] = path
  const within = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (within === undefined || (rest.length > 0 && within === true)) {
    throw new Refusal(
      400,
      `Invalid read mask: there is no field ${JSON.stringify(shown.slice(0, SHOWN_CHARS))}`,
    )
  }
  const known = choice.get(name)
  if (known === 'all') return
  if (rest.length === 0 || within === true) {
    choice.set(name, 'all')
    return
  }
  const next: Choice = known ?? new Map()
  choice.set(name, next)
  choose(next, rest, within, shown)
}

const SHOWN_CHARS = 64

function picked(value: unknown, choice: Choice | 'all'): unknown {
  if (choice === 'all' || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(one => picked(one, choice))
  const message: Record<string, unknown> = {}
  for (const [name, within] of choice) {
    message[name] = picked((value as Readonly<Record<string, unknown>>)[name], within)
  }
  return message
}

/** Masks have the names of contracts, or those of JSON. */
const camel = (name: string): string =>
  name.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase())
