/**
 * Rendered answers: made once per question, state and rights, and shared by everybody who asks.
 *
 * Owns the cache of answers, the sliced rendering of long lists, and compression. An entry holds
 * while the newest revision of its question is what it was; nothing here decides what to read.
 */
import { gzipSync } from 'node:zlib'
import type { PublicIndex, Revision } from '../base/brand.ts'
import { owned } from '../base/bytes.ts'
import { parseExact } from '../base/exact-json.ts'
import type { Again } from '../base/io/answer-again.ts'
import { limits } from '../base/limits.ts'
import { inSlices, renderInSlices, sortInSlices } from '../base/slices.ts'
import { type Access, Lacked } from '../base/who.ts'
import type { Asked } from '../store/ask.ts'
import type { Asking, Reply } from './declare.ts'

const GZIP_MIN_SIZE_BYTES = 1_400
const GZIP_MAX_SIZE_BYTES = 262_144
const KEPT_MAX_SIZE_BYTES = 4_194_304
/** Node writes a string of up to 16 KiB, its head included, without memory of its own. */
const ONE_PIECE_SIZE_BYTES = 8_192
/** About what a head takes, with the lines that it is made of. */
const KEPT_HEAD_SIZE_BYTES = 1_024

/** An answer as bytes, with what is needed to send it again. */
export interface Rendered {
  readonly newest: Revision
  readonly index: PublicIndex
  readonly status: number
  readonly type: string
  readonly headers: Readonly<Record<string, string>> | undefined
  /** One buffer, or the slices of a long list. */
  chunks: readonly Buffer[]
  readonly sizeBytes: number
  /** The same as a string of bytes, once `pieceOf` made it. */
  piece: string | undefined
  /** What the asker lacked, so that it was left out. */
  lacked: { readonly rights: readonly Access[]; readonly count: number }
  gzipped: Buffer | undefined
  /** What it was sent as over TLS. */
  again: Again | undefined
  /** Header lines made from all that and what `key` says, kept by whoever sends. */
  lines: { readonly key: string; readonly lines: string[] } | undefined
}

const JSON_TYPE = 'application/json'
const NOTHING_LACKED = { rights: [], count: 0 }

/** Renders a reply that stands alone. */
export function rendered(
  reply: Reply,
  newest: Revision,
  index: PublicIndex,
  pretty = false,
): Rendered {
  const isJson = reply.type === undefined
  const body = pretty && isJson ? indent(reply.body) : reply.body
  const chunk = typeof body === 'string' ? Buffer.from(body, 'utf8') : body
  return fromChunks([chunk], reply, newest, index)
}

function fromChunks(
  chunks: readonly Buffer[],
  reply: Reply,
  newest: Revision,
  index: PublicIndex,
): Rendered {
  return {
    newest,
    index,
    status: reply.status,
    type: reply.type ?? JSON_TYPE,
    headers: reply.headers,
    chunks,
    sizeBytes: chunks.reduce((total, chunk) => total + chunk.length, 0),
    piece: undefined,
    lacked: NOTHING_LACKED,
    gzipped: undefined,
    again: undefined,
    lines: undefined,
  }
}

function indent(body: string | Buffer): string {
  const text = body.toString()
  return text === '' ? text : `${JSON.stringify(parseExact(text), keepDigits, 4)}\n`
}

/** Part of JavaScript, though not yet of TypeScript's library. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }

/** Numbers beyond 2^53 stay as they are written. */
const keepDigits = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? rawJSON(String(value)) : value

/**
 * The body as a string of bytes, where it is small enough to leave in one piece with the head:
 * one write of the socket, and no second buffer. Else its chunks.
 */
export function pieceOf(answer: Rendered): string | readonly Buffer[] {
  const [chunk] = answer.chunks
  if (answer.sizeBytes > ONE_PIECE_SIZE_BYTES || answer.chunks.length !== 1) return answer.chunks
  answer.piece ??= chunk!.toString('latin1')
  return answer.piece
}

/** The compressed body where compressing is worth it and does not hold the loop. */
export function gzipOf(answer: Rendered): Buffer | undefined {
  if (answer.sizeBytes < GZIP_MIN_SIZE_BYTES || answer.sizeBytes > GZIP_MAX_SIZE_BYTES)
    return undefined
  const { chunks } = answer
  answer.gzipped ??= gzipSync(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks), {
    level: 1,
  })
  return answer.gzipped
}

/** Answers by question, bounded in number and size; the oldest go first. */
export class AnswerCache {
  readonly #entries = new Map<string, Rendered | Promise<Rendered>>()
  #sizeBytes = 0

  /**
   * The answer to `asking` at `asked`: the kept one if it still holds, else a fresh one, else a
   * promise where the list is long; all who ask meanwhile share that promise.
   */
  answer(
    asking: Asking,
    asked: Asked,
    key: string,
    pretty: boolean,
    lacked: Lacked = new Lacked(),
  ): Rendered | Promise<Rendered> {
    if (asking.isFresh === true) return renderFor(lacked, asking, asked, pretty)
    const kept = this.#entries.get(key)
    if (kept !== undefined) {
      if (!(kept instanceof Promise)) {
        if (kept.newest === asked.newest) return kept
      } else {
        return kept.then(made =>
          made.newest === asked.newest ? made : this.answer(asking, asked, key, pretty, lacked),
        )
      }
    }
    const made = renderFor(lacked, asking, asked, pretty)
    this.#keep(key, made)
    if (!(made instanceof Promise)) return made
    return made.then(
      answer => {
        this.#keep(key, answer)
        return answer
      },
      error => {
        this.#drop(key)
        throw error
      },
    )
  }

  /** Whether the answer is there: it need not be made. */
  holds(key: string, asked: Asked): boolean {
    const kept = this.#entries.get(key)
    return kept !== undefined && !(kept instanceof Promise) && kept.newest === asked.newest
  }

  #keep(key: string, made: Rendered | Promise<Rendered>): void {
    this.#drop(key)
    if (!(made instanceof Promise)) {
      if (made.sizeBytes > KEPT_MAX_SIZE_BYTES) return
      this.#sizeBytes += keptSizeBytes(key, made)
      made.chunks = made.chunks.map(owned)
    }
    this.#entries.set(key, made)
    while (
      this.#entries.size > limits.answerCacheEntries ||
      this.#sizeBytes > limits.answerCacheSizeBytes
    ) {
      this.#drop(this.#entries.keys().next().value!)
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    if (!(entry instanceof Promise)) this.#sizeBytes -= keptSizeBytes(key, entry)
    this.#entries.delete(key)
  }
}

/**
 * With its key, which may be longer than the answer, as clients write filters as they like; with
 * its head, and with what is kept twice to leave in one piece.
 */
const keptSizeBytes = (key: string, { sizeBytes }: Rendered): number =>
  2 * key.length +
  KEPT_HEAD_SIZE_BYTES +
  (sizeBytes > ONE_PIECE_SIZE_BYTES ? sizeBytes : 2 * sizeBytes)

/** Renders, and keeps beside the answer what its asker lacked meanwhile. */
function renderFor(
  lacked: Lacked,
  asking: Asking,
  asked: Asked,
  pretty: boolean,
): Rendered | Promise<Rendered> {
  lacked.take()
  const noted = (made: Rendered): Rendered => {
    if (lacked.count > 0) made.lacked = lacked.take()
    return made
  }
  const made = render(asking, asked, pretty)
  return made instanceof Promise ? made.then(noted) : noted(made)
}

function render(
  asking: Asking,
  { view, newest, index }: Asked,
  pretty: boolean,
): Rendered | Promise<Rendered> {
  const { question, rendering } = asking
  const value = question.read(view)
  if ('one' in rendering) {
    const reply = rendering.one(value as never, view)
    return reply instanceof Promise
      ? reply.then(late => rendered(late, newest, index, pretty))
      : rendered(reply, newest, index, pretty)
  }
  const { each, brackets = '[]', none, filter, distance } = rendering
  const items = value as Iterable<undefined>
  const isWanted = (item: undefined): boolean => item !== undefined && filter?.keeps(item) !== false
  // A filter may take longer than a rendering that is kept.
  const look = filter === undefined ? undefined : 1
  const far = distance?.(view)
  const text = (item: undefined): string | undefined =>
    isWanted(item) ? each(item as never, view) : undefined
  const chunks =
    far === undefined
      ? renderInSlices(items, text, look)
      : nearestFirst(items, isWanted, far, look).then(sorted =>
          renderInSlices(sorted, item => each(item as never, view)),
        )
  const finish = (pieces: readonly Buffer[]): Rendered => {
    if (pieces.length === 0) {
      return rendered(none ?? { status: 200, body: brackets }, newest, index, pretty)
    }
    const framed = bracketed(pieces, brackets)
    if (!pretty) return fromChunks(framed, { status: 200, body: '' }, newest, index)
    return rendered({ status: 200, body: Buffer.concat(framed) }, newest, index, true)
  }
  return chunks instanceof Promise ? chunks.then(finish) : finish(chunks)
}

/** The items that are wanted, by their distance; those equally far keep their order. */
async function nearestFirst<T>(
  items: Iterable<T>,
  isWanted: (item: T) => boolean,
  far: (item: never) => number,
  look: number | undefined,
): Promise<T[]> {
  const found: { readonly item: T; readonly distance: number; readonly position: number }[] = []
  await inSlices(
    items,
    (item, position) => {
      if (isWanted(item)) found.push({ item, distance: far(item as never), position })
    },
    look,
  )
  const sorted = await sortInSlices(found, (one, other) =>
    one.distance === other.distance ? one.position - other.position : one.distance - other.distance,
  )
  return sorted.map(({ item }) => item)
}

const BRACKETS = {
  '[]': [Buffer.from('['), Buffer.from(']')],
  '{}': [Buffer.from('{'), Buffer.from('}')],
} as const

function bracketed(pieces: readonly Buffer[], brackets: keyof typeof BRACKETS): Buffer[] {
  const [open, close] = BRACKETS[brackets]
  return pieces.length === 1 ? [Buffer.concat([open, pieces[0]!, close])] : [open, ...pieces, close]
}
