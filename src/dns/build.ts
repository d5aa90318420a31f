/**
 * Encodes the answers of a form into a template: at once where that fits into one slice of the
 * loop, else in several.
 */
import type { Bytes } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { afterPoll, slice } from '../base/slices.ts'
import { type AnswerTemplate, type DnsRecord, Rcode, TemplateBuilder } from '../wire/dns/mod.ts'
import type { Answers, Aside, Given } from './form/declare.ts'

/** What came of the answers. */
export interface Built {
  /** Undefined when there was no answer at all. */
  readonly template: AnswerTemplate | undefined
  /** Whether the name exists. */
  readonly exists: boolean
  /** Whether the time of its making is part of it (an SOA's serial). */
  readonly isDated: boolean
  /** Host names that answers lead to, the first few; see limits.dnsFollowedHosts. */
  readonly hosts: readonly string[]
  /** Whether there are several aliases, of which a name can have one. */
  readonly isOneOf: boolean
}

export interface BuildOptions {
  readonly compress: boolean
  readonly clock: Clock
  /** What a template without answers says in its authority section. */
  readonly soa: () => DnsRecord
}

/** The template of all answers to the question with this key; a promise where it takes longer. */
export function build(
  key: Bytes,
  answers: Answers,
  { compress, clock, soa }: BuildOptions,
): Built | Promise<Built> {
  const work: Work = {
    ...{ key, answers, compress, soa },
    builder: undefined,
    isDated: false,
    hosts: new Set(),
    aliases: 0,
  }
  return slice(() => advance(work, clock)) ?? finishLater(work, clock)
}

interface Work {
  readonly key: Bytes
  readonly answers: Answers
  readonly compress: boolean
  readonly soa: () => DnsRecord
  builder: TemplateBuilder | undefined
  isDated: boolean
  readonly hosts: Set<string>
  aliases: number
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
    if (next.done === true) return finish(work, next.value)
    if (next.value !== undefined) add(work, next.value)
    if ((step & 15) === 0 && clock.monotonic() - startedMs > limits.sliceMs) return undefined
  }
}

function add(work: Work, answer: Given | Aside): void {
  work.builder ??= new TemplateBuilder(work.key, {
    rcode: Rcode.noError,
    authoritative: true,
    compress: work.compress,
  })
  if (!('record' in answer)) {
    if (answer.authority !== undefined) work.builder.addAuthority(answer.authority)
    for (const record of answer.loose ?? []) work.builder.addLoose(record)
    return
  }
  work.builder.addAnswer(answer)
  if (answer.record.type === 'SOA') work.isDated = true
  if (answer.record.type === 'CNAME') work.aliases++
  const { host } = answer
  if (host !== undefined && work.hosts.size < limits.dnsFollowedHosts) work.hosts.add(host)
}

function finish(work: Work, exists: boolean): Built {
  const { builder, hosts, aliases } = work
  if (builder !== undefined && !builder.hasAnswers) {
    builder.addAuthority(work.soa())
    work.isDated = true
  }
  return {
    template: builder?.finish(),
    exists,
    isDated: work.isDated,
    hosts: [...hosts],
    isOneOf: aliases > 1,
  }
}
