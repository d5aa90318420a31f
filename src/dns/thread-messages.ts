/**
 * What the thread of DNS and the program's own tell each other.
 *
 * Owns the forms of messages, which are copied from one thread to the other.
 */
import type { Bytes } from '../base/bytes.ts'
import { AnswerTemplate, type TemplateParts } from '../wire/dns/mod.ts'
import type { Answering } from './cache.ts'
import type { Bounds } from './writer.ts'

/** What the thread is started with: where changes are counted, in memory that both have. */
export interface ThreadData {
  readonly marks: Int32Array
  /** One number: what was lent under another one is void. */
  readonly generation: Int32Array
}

/** An answer that the thread may give out while nothing changed. */
export interface Lent extends Omit<Answering, 'template' | 'denial'> {
  /** Of the question that it answers. */
  readonly key: Bytes
  readonly parts: TemplateParts
  readonly denial: Uint8Array | undefined
  readonly sizeBytes: number
  readonly bounds: Bounds
  readonly recursionAvailable: boolean
  readonly generation: number
  /** It holds while this many changes are counted at that mark. */
  readonly mark: number
  readonly count: number
  /** For how much longer the view may be answered from that it was made of. */
  readonly freshMs: number
}

/** A datagram, and where it came from or goes to. */
export interface Datagram {
  readonly bytes: Uint8Array
  readonly address: string
  readonly port: number
}

/** How many answers of one kind there were, and what the last one that was timed took. */
export interface ToldAnswers {
  readonly typeCode: number
  readonly rcode: number
  tookMs: number
  count: number
}

/** What the thread did by itself since it last told. */
export interface Told {
  readonly udp: number
  readonly dropped: number
  readonly cut: number
  readonly answers: readonly ToldAnswers[]
}

/** To the thread. Listeners are known by a number. */
export type ToThread =
  | {
      readonly kind: 'listen'
      readonly listener: number
      readonly host: string
      readonly port: number
    }
  /** All queries of one `asked` were looked at; answers that take longer come by `send`. */
  | {
      readonly kind: 'answered'
      readonly listener: number
      readonly answers: readonly Datagram[]
      readonly lent: readonly Lent[]
    }
  | { readonly kind: 'send'; readonly listener: number; readonly answers: readonly Datagram[] }

/** From the thread. */
export type FromThread =
  | { readonly kind: 'listening'; readonly listener: number }
  | { readonly kind: 'asked'; readonly listener: number; readonly queries: readonly Datagram[] }
  | { readonly kind: 'told'; readonly told: Told }
  | { readonly kind: 'fault'; readonly reason: string }

/** The parts of an answer that can be copied, each cut from the memory that it shares. */
export function lendableParts({
  template,
  second,
  wantedAnswers,
  isOrdered,
  denial,
}: Answering): Pick<
  Lent,
  'parts' | 'second' | 'wantedAnswers' | 'isOrdered' | 'denial' | 'sizeBytes'
> {
  const { parts, sizeBytes } = template
  const own = {
    ...parts,
    bytes: Buffer.from(Uint8Array.from(parts.bytes).buffer),
    starts: parts.starts.slice(),
    owners: parts.owners.slice(),
    ownerSizes: parts.ownerSizes.slice(),
    targetSizes: parts.targetSizes.slice(),
    answers: parts.answers.slice(),
    extras: parts.extras.slice(),
    extraStarts: parts.extraStarts.slice(),
    loose: parts.loose.slice(),
    authorities: parts.authorities.slice(),
  }
  const why = denial === undefined ? undefined : Uint8Array.from(denial)
  return { parts: own, second, wantedAnswers, isOrdered, denial: why, sizeBytes }
}

/** The answer again, on the other side. */
export function answeringOf({ parts, second, wantedAnswers, isOrdered, denial }: Lent): Answering {
  return {
    template: new AnswerTemplate({ ...parts, bytes: bufferOf(parts.bytes) }),
    ...{ second, wantedAnswers, isOrdered },
    denial: denial === undefined ? undefined : bufferOf(denial),
  }
}

/** The same bytes: a Buffer comes out of a message as what it is made of. */
export const bufferOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
