/**
 * From an answer that is kept to the bytes that go out: bounds of the transport, a random choice.
 *
 * Owns the record of one assembly and the dice. Each thread has one.
 */
import type { Random } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { type Question, TypeCode, type WriteOptions } from '../wire/dns/mod.ts'
import type { Answering } from './cache.ts'

export type Transport = 'udp' | 'tcp'

/** What a listener adds to a query. */
export interface Bounds {
  readonly transport: Transport
  /** The most answers over UDP without EDNS. */
  readonly plainAnswers: number
  /** Whether TC tells of a cut. */
  readonly markTruncated: boolean
}

export class AnswerWriter {
  readonly #dice: Dice
  readonly #write: WriteOptions = {
    maxSizeBytes: 0,
    maxAnswers: 0,
    wantedAnswers: 0,
    recursionAvailable: false,
    markTruncated: false,
    random: 0,
  }

  constructor(random: Random) {
    this.#dice = new Dice(random)
  }

  /** Writes an answer to a query into `out` and gives its size; see AnswerTemplate.write. */
  put(
    kept: Answering,
    query: Buffer,
    question: Question,
    out: Buffer,
    bounds: Bounds,
    recursionAvailable: boolean,
  ): number {
    const write = this.#write
    if (bounds.transport === 'udp') {
      const isPlain = question.udpSizeBytes <= limits.dnsUdpPlainSizeBytes
      write.maxSizeBytes = Math.min(question.udpSizeBytes, limits.dnsUdpSizeBytes)
      write.maxAnswers = isPlain ? bounds.plainAnswers : limits.dnsTcpRecords
    } else {
      const isSrv = question.typeCode === TypeCode.SRV
      write.maxSizeBytes = limits.dnsTcpSizeBytes
      write.maxAnswers = isSrv ? limits.dnsTcpSrvRecords : limits.dnsTcpRecords
    }
    write.markTruncated = bounds.markTruncated
    write.recursionAvailable = recursionAvailable
    write.wantedAnswers = kept.wantedAnswers
    write.random = kept.isOrdered ? -1 : this.#dice.next()
    if (kept.denial !== undefined && question.hasEdns) question.extendedError = kept.denial
    return kept.template.write(out, query, question, write)
  }
}

const DICE_SIZE_BYTES = 4_096

/** Random 32-bit numbers, taken by the block: asking the source costs more than an answer. */
class Dice {
  readonly #random: Random
  #block: Buffer
  #at = 0

  constructor(random: Random) {
    this.#random = random
    this.#block = random.bytes(DICE_SIZE_BYTES)
  }

  next(): number {
    if (this.#at === this.#block.length) {
      this.#block = this.#random.bytes(DICE_SIZE_BYTES)
      this.#at = 0
    }
    const value = this.#block.readUInt32LE(this.#at)
    this.#at += 4
    return value
  }
}
