/**
 * A record as devices get it: one line, the record's text with its chain behind its fields.
 *
 * Owns the line and the way back, so that a file can be proven without the server that wrote it:
 * the chain stands on the chain of the line before and on the text that the line holds. Pure.
 */
import { limits } from '../base/limits.ts'
import {
  chainOver,
  JOURNAL_START,
  type JournalMark,
  type JournalRecord,
  stampOf,
} from '../store/journal.ts'

const LINE_END = '\n'
const CHAIN = /^(\{.*),"chain":"([0-9a-f]{64})"\}$/s

/** Behind the text of a record without its last brace: the chain in hexadecimal, and the end. */
const TAIL_SIZE_BYTES = `,"chain":"${'0'.repeat(64)}"}${LINE_END}`.length

/** How long the line of a record is, with its end. */
export const lineSizeBytes = ({ textSizeBytes }: Pick<JournalRecord, 'textSizeBytes'>): number =>
  textSizeBytes - 1 + TAIL_SIZE_BYTES

/** The lines of records, with their ends, in one piece of memory. */
export function linesOf(records: readonly JournalRecord[]): Buffer[] {
  let sizeBytes = 0
  for (const record of records) sizeBytes += lineSizeBytes(record)
  const whole = Buffer.allocUnsafeSlow(sizeBytes)
  let at = 0
  return records.map(({ text, chain }) => {
    const start = at
    at += text.copy(whole, at, 0, text.length - 1)
    at += whole.write(`,"chain":"${chain.toString('hex')}"}${LINE_END}`, at, 'latin1')
    return whole.subarray(start, at)
  })
}

/** The line of a record, with its end. */
export const lineOf = (record: JournalRecord): Buffer => linesOf([record])[0]!

/** What a line says of its own place. */
export interface Line extends JournalMark {
  readonly text: Buffer
}

/** Reads a line, without its end; undefined where it is none of ours. */
export function parseLine(line: string): Line | undefined {
  if (line.length > limits.auditLineChars) return undefined
  const [, open, chain] = CHAIN.exec(line) ?? []
  if (open === undefined || chain === undefined) return undefined
  const text = Buffer.from(`${open}}`, 'utf8')
  const stamp = stampOf(text)
  return stamp && { sequence: stamp.sequence, text, chain: Buffer.from(chain, 'hex') }
}

/** What a walk over lines came to. */
export interface Proof {
  readonly count: number
  /** The numbers of the first and the last record; 0 where there are none. */
  readonly first: number
  readonly last: number
  /** The chain at the last record, in hexadecimal. */
  readonly chain: string
  /** What is wrong, with its place; empty where everything holds. */
  readonly faults: readonly string[]
  /** Whether the first record was proven too, and not taken as it stands. */
  readonly isAnchored: boolean
  /** Records that stand there more than once, as after a crash of the server that sent them. */
  readonly repeated: number
}

/** Lines that are kept in mind, for telling what was sent again from what was forged. */
const RECENT = 4_096

/** Proves lines one after the other. */
export class LineProof {
  #mark: JournalMark | undefined
  #count = 0
  #repeated = 0
  #first = 0
  #isAnchored: boolean
  /** Texts of the last lines with their chains, as one hash each, by number. */
  readonly #recent = new Map<number, Buffer>()
  readonly #faults: string[] = []

  /** Goes on from a place that is known; without one, the first line is taken as it stands. */
  constructor(anchor?: JournalMark) {
    this.#mark = anchor
    this.#isAnchored = anchor !== undefined
  }

  /** Takes the next line; `where` is what a fault of it is called. */
  take(text: string, where: string): void {
    const line = parseLine(text)
    if (line === undefined) {
      this.#fault(`${where}: no record, or not the whole of one`)
      return
    }
    const { sequence, chain } = line
    const whole = chainOver(chain, line.text)
    if (this.#recent.get(sequence)?.equals(whole)) {
      this.#repeated++
      return
    }
    this.#count++
    if (this.#first === 0) this.#first = sequence
    const after = this.#mark ?? this.#anchorOf(line)
    if (after !== undefined) this.#prove(after, line, where)
    this.#mark = { sequence, chain }
    this.#recent.set(sequence, whole)
    if (this.#recent.size > RECENT) this.#recent.delete(this.#recent.keys().next().value!)
  }

  /** The very first record of a journal stands on nothing. */
  #anchorOf({ sequence }: Line): JournalMark | undefined {
    if (sequence !== JOURNAL_START.sequence + 1) return undefined
    this.#isAnchored = true
    return JOURNAL_START
  }

  #prove(after: JournalMark, { sequence, text, chain }: Line, where: string): void {
    if (sequence <= after.sequence) {
      this.#fault(`${where}: record ${sequence} stands behind record ${after.sequence}`)
    } else if (sequence > after.sequence + 1) {
      this.#fault(`${where}: ${missing(after.sequence + 1, sequence - 1)}`)
    } else if (!chainOver(after.chain, text).equals(chain)) {
      this.#fault(`${where}: record ${sequence} does not fit its chain: it was changed`)
    }
  }

  #fault(text: string): void {
    if (this.#faults.length < limits.auditFaultsKept) this.#faults.push(text)
  }

  result(): Proof {
    const { sequence = 0, chain = JOURNAL_START.chain } = this.#mark ?? {}
    return {
      count: this.#count,
      first: this.#first,
      last: sequence,
      chain: chain.toString('hex'),
      faults: this.#faults,
      isAnchored: this.#isAnchored,
      repeated: this.#repeated,
    }
  }
}

const missing = (first: number, last: number): string =>
  first === last ? `record ${first} is missing` : `records ${first} to ${last} are missing`
