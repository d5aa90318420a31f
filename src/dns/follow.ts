/**
 * Host names that answers lead to, followed: through our own names, then through the recursors.
 *
 * Owns which hosts are followed and how far, and the answer that comes of it: behind an alias the
 * records that it stands for, beside an SRV record the addresses of its target. Such an answer
 * stands on things that are not ours and is made for each question. Who cannot be reached is left
 * out: the name alone is an answer too.
 */
import type { Bytes } from '../base/bytes.ts'
import type { Random } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import {
  type DnsRecord,
  labelsOf,
  lowerName,
  nameFromText,
  type Question,
  TypeCode,
} from '../wire/dns/mod.ts'
import type { Built } from './build.ts'
import type { Kept } from './cache.ts'
import type { Answer, Answers, Ask, Said } from './form/declare.ts'
import { type Name, readName, type Zone } from './name.ts'
import type { Recursors } from './recursors.ts'

/** How the rules for names of ours are asked. */
export interface FollowTools {
  readonly askOf: (name: Bytes, typeCode: number) => { name: Name; ask: Ask } | undefined
  readonly say: (name: Name, ask: Ask) => Said | 'elsewhere' | 'withheld' | undefined
  /** A promise where what the answer stands on is not all here; it may reject. */
  readonly ensure: (name: Name, ask: Ask) => Promise<void> | undefined
  readonly build: (key: Bytes, ask: Ask, answers: Answers) => Built | Promise<Built>
}

type Asked = Pick<Question, 'key' | 'typeCode' | 'hasEdns'>

export class Follower {
  readonly #random: Random
  readonly #recursors: Recursors
  readonly #tools: FollowTools

  constructor(random: Random, recursors: Recursors, tools: FollowTools) {
    this.#random = random
    this.#recursors = recursors
    this.#tools = tools
  }

  /** Those of the hosts of which somebody could tell more. */
  known(hosts: readonly string[], zones: readonly Zone[]): readonly string[] {
    if (hosts.length === 0 || this.#recursors.areConfigured) return hosts
    return hosts.filter(host => {
      const name = wireOf(host)
      return name !== undefined && readName(labelsOf(name), zones) !== undefined
    })
  }

  /** The answer to a question, made anew with what its hosts stand for. */
  async follow({ key, typeCode, hasEdns }: Asked, kept: Kept): Promise<Kept> {
    // Of several aliases one goes out: chosen here, since only where it leads is looked up.
    const first = Math.floor(this.#random.fraction() * kept.hosts.length)
    const isAlias = typeCode !== TypeCode.SRV
    const hosts = isAlias ? kept.hosts.slice(first, first + 1) : kept.hosts
    const found = new Map<string, readonly DnsRecord[]>()
    const most = hasEdns ? limits.dnsFollowedRecords : limits.dnsFollowedPlainRecords
    await Promise.all(
      hosts.map(async host => {
        const records = await this.#recordsOf(host, typeCode, limits.dnsFollowedLevels)
        found.set(host, records.slice(0, most))
      }),
    )
    const asked = this.#tools.askOf(key.slice(0, -4), typeCode)
    const said = asked && this.#tools.say(asked.name, asked.ask)
    if (asked === undefined || said === undefined || typeof said === 'string') return kept
    const answers = isAlias ? behindAlias(said.answers, found) : besideTargets(said.answers, found)
    const { template } = await this.#tools.build(key, asked.ask, answers)
    if (template === undefined) return kept
    return { ...kept, template, isOrdered: isAlias, wantedAnswers: 0 }
  }

  /** The records that a host name stands for: addresses, and the aliases on the way there. */
  async #recordsOf(host: string, typeCode: number, levels: number): Promise<readonly DnsRecord[]> {
    const name = wireOf(host)
    if (name === undefined || levels === 0) return []
    const types = typesFor(typeCode)
    const kind = this.#tools.askOf(name, typeCode)?.name.kind
    if (kind === undefined || kind === 'reverse') {
      const each = await Promise.all(types.map(type => this.#recursors.addressesOf(host, type)))
      return each.flat()
    }
    const records: DnsRecord[] = []
    if (!(await this.#isHere(name, typeCode))) return []
    for (const type of types) {
      const asked = this.#tools.askOf(name, TypeCode[type])
      if (asked !== undefined) records.push(...(await this.#ownRecords(asked, levels)))
    }
    return records
  }

  /** Whether what is known of a name of ours is here, or came. */
  async #isHere(name: Bytes, typeCode: number): Promise<boolean> {
    try {
      for (let tries = 0; tries < STEPS; tries++) {
        const asked = this.#tools.askOf(name, typeCode)
        const lacking = asked && this.#tools.ensure(asked.name, asked.ask)
        if (lacking === undefined) return true
        await lacking
      }
    } catch {
      // Who cannot be reached is left out.
    }
    return false
  }

  async #ownRecords(
    { name, ask }: { readonly name: Name; readonly ask: Ask },
    levels: number,
  ): Promise<readonly DnsRecord[]> {
    const said = this.#tools.say(name, ask)
    if (said === undefined || typeof said === 'string') return []
    const records: DnsRecord[] = []
    for (const answer of stepsOf(said.answers, limits.dnsFollowedSteps)) {
      if (records.length === limits.dnsFollowedRecords) break
      if (answer === undefined || !('record' in answer)) continue
      records.push(answer.record)
      if (answer.host === undefined) continue
      return [...records, ...(await this.#recordsOf(answer.host, ask.typeCode, levels - 1))]
    }
    return records
  }
}

/** What is here then may lead to more: a query to its service. */
const STEPS = 3

/** Host names are compared without case; `undefined` for what is no name. */
function wireOf(host: string): Bytes | undefined {
  const name = nameFromText(host)
  return name === undefined ? undefined : lowerName(name)
}

/** The types of addresses that help who asks for this type. */
function typesFor(typeCode: number): readonly ('A' | 'AAAA')[] {
  if (typeCode === TypeCode.CNAME) return []
  if (typeCode === TypeCode.A) return ['A']
  return typeCode === TypeCode.AAAA ? ['AAAA'] : ['A', 'AAAA']
}

/** The first `count` steps of the work on answers. */
function* stepsOf(answers: Answers, count: number): Generator<Answer> {
  for (let step = 0; step < count; step++) {
    const next = answers.next()
    if (next.done === true) return
    yield next.value
  }
}

/** The alias that was chosen, where it leads, and what else there is. */
function* behindAlias(
  answers: Answers,
  found: ReadonlyMap<string, readonly DnsRecord[]>,
): Generator<Answer, boolean> {
  for (;;) {
    const next = answers.next()
    if (next.done === true) return next.value
    const answer = next.value
    const isAlias = answer !== undefined && 'record' in answer && answer.host !== undefined
    const records = isAlias ? found.get(answer.host ?? '') : undefined
    if (!isAlias || records !== undefined) yield answer
    for (const record of records ?? []) yield { record, additionals: [] }
  }
}

/** The answers with the addresses of their targets. */
function* besideTargets(
  answers: Answers,
  found: ReadonlyMap<string, readonly DnsRecord[]>,
): Generator<Answer, boolean> {
  for (;;) {
    const next = answers.next()
    if (next.done === true) return next.value
    const answer = next.value
    const isHost = answer !== undefined && 'record' in answer && answer.host !== undefined
    const records = isHost ? (found.get(answer.host ?? '') ?? []) : []
    yield isHost ? { ...answer, additionals: [...records, ...answer.additionals] } : answer
  }
}
