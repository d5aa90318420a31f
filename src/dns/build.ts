/**
 * Encodes the answers of a form into a template: at once where that fits into one slice of the
 * loop, else in several.
 */
import type { Bytes } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { afterPoll, slice } from '../base/slices.ts'
import {
  type AnswerTemplate,
  Rcode,
  type TemplateAnswer,
  TemplateBuilder,
} from '../wire/dns/mod.ts'
import type { Answers } from './form/declare.ts'

/** What came of the answers. */
export interface Built {
  /** Undefined when there was no answer at all. */
  readonly template: AnswerTemplate | undefined
  /** Whether the name exists. */
  readonly exists: boolean
  /** Whether the time of its making is part of it (an SOA's serial). */
  readonly isDated: boolean
}

export interface BuildOptions {
  readonly compress: boolean
  readonly clock: Clock
}

/** The template of all answers to the question with this key; a promise where it takes longer. */
export function build(
  key: Bytes,
  answers: Answers,
  { compress, clock }: BuildOptions,
): Built | Promise<Built> {
  const work = { key, answers, compress, builder: undefined, isDated: false }
  return slice(() => advance(work, clock)) ?? finishLater(work, clock)
}

interface Work {
  readonly key: Bytes
  readonly answers: Answers
  readonly compress: boolean
  builder: TemplateBuilder | undefined
  isDated: boolean
}

async function finishLater(work: Work, clock: Clock): Promise<Built> {
  for (;;) {
    await new Promise<void>(afterPoll)
    const built = slice(() => advance(work, clock))
    if (built !== undefined) return built
  }
}

/** Works for a slice; undefined when there is more to do. */
function advance(work: Work, clock: Clock): Built | undefined {
  const startedMs = clock.monotonic()
  for (let step = 1; ; step++) {
    const next = work.answers.next()
    if (next.done === true) {
      return { template: work.builder?.finish(), exists: next.value, isDated: work.isDated }
    }
    if (next.value !== undefined) add(work, next.value)
    if ((step & 15) === 0 && clock.monotonic() - startedMs > limits.sliceMs) return undefined
  }
}

function add(work: Work, answer: TemplateAnswer): void {
  work.builder ??= new TemplateBuilder(work.key, {
    rcode: Rcode.noError,
    authoritative: true,
    compress: work.compress,
  })
  work.builder.addAnswer(answer)
  if (answer.record.type === 'SOA') work.isDated = true
}
