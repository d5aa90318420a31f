/**
 * Encodes the full set of records for one question into an AnswerTemplate.
 *
 * Owns what makes a fragment free of its place: names are written in full or point into the
 * question, whose layout is known by its key; owners that equal the target of their answer are
 * marked, so that the assembly can point at it. Must never fail for a value that cannot be
 * written: such a record is left out and counted.
 */
import type { Bytes } from '../../base/bytes.ts'
import { limits } from '../../base/limits.ts'
import { HEADER_SIZE_BYTES } from './names.ts'
import { type DnsRecord, type RecordData, writeRecordBody } from './records.ts'
import { Malformed, Sink } from './sink.ts'
import { AnswerTemplate, Owner } from './template.ts'

/** One answer and what must come with it in the additional section. */
export interface TemplateAnswer {
  readonly record: DnsRecord
  /** Equal records of several answers are sent once. */
  readonly additionals: readonly DnsRecord[]
}

export interface TemplateOptions {
  /** 0 to 15. */
  readonly rcode: number
  readonly authoritative: boolean
  /** False writes every name in full (`disable_compression`). */
  readonly compress: boolean
}

/** All that could be said to one question. */
export interface TemplateContent extends TemplateOptions {
  readonly answers: readonly TemplateAnswer[]
  /** Sent only where all answers and their additionals leave room for all of it. */
  readonly authorities: readonly DnsRecord[]
  /** Additionals that come with no answer; those that fit are sent behind all else. */
  readonly loose?: readonly DnsRecord[]
}

/** Encodes a small set at once; for a large one call TemplateBuilder in slices. */
export function buildTemplate(key: Bytes, content: TemplateContent): AnswerTemplate {
  const builder = new TemplateBuilder(key, content)
  for (const answer of content.answers) builder.addAnswer(answer)
  for (const record of content.authorities) builder.addAuthority(record)
  for (const record of content.loose ?? []) builder.addLoose(record)
  return builder.finish()
}

/**
 * Takes answers one by one, some microseconds each, so that thousands can be encoded in slices.
 * `key` is the question's (Question.key). Records owned by the question's name go out with its
 * letters as asked. Equal answers are not looked for.
 */
export class TemplateBuilder {
  readonly #options: TemplateOptions
  readonly #question: Bytes
  readonly #sink: Sink
  readonly #starts: number[] = [0]
  readonly #owners: Owner[] = []
  readonly #ownerSizes: number[] = []
  readonly #targetSizes: number[] = []
  readonly #answers: number[] = []
  readonly #extras: number[] = []
  readonly #extraStarts: number[] = [0]
  readonly #loose: number[] = []
  readonly #authorities: number[] = []
  /** Fragments of additionals by their bytes. */
  readonly #seen = new Map<Bytes, number>()
  #unencodable = 0

  constructor(key: Bytes, options: TemplateOptions) {
    this.#options = options
    this.#question = key.slice(0, -4)
    const suffixes = questionSuffixes(this.#question)
    const compression = options.compress ? { suffixes, learns: false } : undefined
    this.#sink = new Sink(compression, limits.dnsTemplateSizeBytes)
  }

  /** Adds an answer, without those of its additionals that cannot be encoded. */
  addAnswer(answer: TemplateAnswer): void {
    const fragment = this.#encode(answer.record, undefined, false)
    if (fragment < 0) return
    const target = targetOf(answer.record)
    for (const record of answer.additionals) {
      const extra = this.#encode(record, target, true)
      if (extra >= 0) this.#extras.push(extra)
    }
    this.#answers.push(fragment)
    this.#extraStarts.push(this.#extras.length)
  }

  addAuthority(record: DnsRecord): void {
    const fragment = this.#encode(record, undefined, false)
    if (fragment >= 0) this.#authorities.push(fragment)
  }

  /** Adds an additional that comes with no answer. */
  addLoose(record: DnsRecord): void {
    const fragment = this.#encode(record, undefined, true)
    if (fragment >= 0) this.#loose.push(fragment)
  }

  /** Whether an answer was added. */
  get hasAnswers(): boolean {
    return this.#answers.length > 0
  }

  /** The template; the builder must not be used after. */
  finish(): AnswerTemplate {
    return new AnswerTemplate({
      rcode: this.#options.rcode,
      authoritative: this.#options.authoritative,
      questionEnd: HEADER_SIZE_BYTES + this.#question.length + 4,
      unencodable: this.#unencodable,
      bytes: this.#sink.take(),
      starts: Uint32Array.from(this.#starts),
      owners: Uint8Array.from(this.#owners),
      ownerSizes: Uint16Array.from(this.#ownerSizes),
      targetSizes: Uint16Array.from(this.#targetSizes),
      answers: Uint32Array.from(this.#answers),
      extras: Uint32Array.from(this.#extras),
      extraStarts: Uint32Array.from(this.#extraStarts),
      loose: Uint32Array.from(this.#loose),
      authorities: Uint32Array.from(this.#authorities),
    })
  }

  /**
   * The number of the fragment that holds `record`, a new one or, where it may be shared, an
   * equal one that there is; -1 when it cannot be encoded.
   */
  #encode(record: DnsRecord, target: string | undefined, mayShare: boolean): number {
    const sink = this.#sink
    const start = sink.offset
    const number = this.#owners.length
    try {
      const owner = this.#ownerOf(record.name, target)
      const ownerSizeBytes = owner === Owner.question ? 0 : sink.name(record.name, true)
      const targetSizeBytes = writeRecordBody(sink, record)
      if (mayShare) {
        const identity = owner + sink.bytesFrom(start)
        const seen = this.#seen.get(identity)
        if (seen !== undefined) {
          sink.rewind(start)
          return seen
        }
        this.#seen.set(identity, number)
      }
      this.#owners.push(owner)
      this.#ownerSizes.push(ownerSizeBytes)
      this.#targetSizes.push(targetSizeBytes)
      this.#starts.push(sink.offset)
      return number
    } catch (thrown) {
      if (!(thrown instanceof Malformed)) throw thrown
      sink.rewind(start)
      this.#unencodable++
      return -1
    }
  }

  #ownerOf(name: string, target: string | undefined): Owner {
    const lower = this.#sink.wire(name).lower
    if (lower === this.#question) return this.#options.compress ? Owner.own : Owner.question
    if (target === undefined || !this.#options.compress) return Owner.own
    return this.#sink.wire(target).lower === lower ? Owner.target : Owner.own
  }
}

/** The name that ends a record's data. */
function targetOf(record: RecordData): string | undefined {
  switch (record.type) {
    case 'NS':
    case 'CNAME':
    case 'PTR':
      return record.data
    case 'SRV':
      return record.data.target
    case 'MX':
      return record.data.exchange
    default:
      return undefined
  }
}

/** Where the suffixes of the question's name stand in every message, by lower-case wire form. */
function questionSuffixes(name: Bytes): Map<Bytes, number> {
  const suffixes = new Map<Bytes, number>()
  for (let at = 0; name.charCodeAt(at) !== 0; at += 1 + name.charCodeAt(at)) {
    suffixes.set(name.slice(at), HEADER_SIZE_BYTES + at)
  }
  return suffixes
}
