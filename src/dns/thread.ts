/**
 * The thread of DNS: answers over UDP beside whatever else the program does. Started by
 * answering-thread.ts alone.
 *
 * Owns its sockets and what was lent to it. All that it cannot answer by that goes to the program's
 * own thread, so many queries at a time, and comes back. Must never read the store, nor decide what
 * an answer says.
 */
import { getPriority, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { type Clock, systemClock, systemRandom } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { DatagramSocket, type Sender } from '../base/io/datagram.ts'
import { limits } from '../base/limits.ts'
import { newQuestion, Rcode } from '../wire/dns/mod.ts'
import { LentAnswers } from './lent.ts'
import { readAnyClass } from './question.ts'
import {
  bufferOf,
  type Datagram,
  type FromThread,
  type ThreadData,
  type Told,
  type ToldAnswers,
  type ToThread,
} from './thread-messages.ts'
import { AnswerWriter } from './writer.ts'

/** A query beside its bytes, about. */
const HANDED_SIZE_BYTES = 256
const data: ThreadData = workerData
const tell = (message: FromThread): void => parentPort!.postMessage(message)

/** What was done since it was told last. */
export class Tally {
  readonly #clock: Clock
  readonly #told: (told: Told) => void
  #udp = 0
  #dropped = 0
  #cut = 0
  #queries = 0
  readonly #answers = new Map<number, ToldAnswers>()
  #isDue = false

  /** Tells soon after there is something to tell. */
  constructor(clock: Clock, told: (told: Told) => void) {
    this.#clock = clock
    this.#told = told
  }

  /** When an answer is begun that is to be timed: one in sixteen, as reading the clock costs. */
  begin(): number | undefined {
    return (this.#queries++ & 15) === 0 ? this.#clock.monotonic() : undefined
  }

  answered(typeCode: number, rcode: number, wasCut: boolean, startedMs: number | undefined): void {
    this.#udp++
    if (wasCut) this.#cut++
    const kind = (typeCode << 4) | rcode
    let answers = this.#answers.get(kind)
    if (answers === undefined) {
      answers = { typeCode, rcode, tookMs: 0, count: 0 }
      this.#answers.set(kind, answers)
    }
    answers.count++
    if (startedMs !== undefined) answers.tookMs = this.#clock.monotonic() - startedMs
    this.#tellSoon()
  }

  dropped(): void {
    this.#dropped++
    this.#tellSoon()
  }

  #tellSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    this.#clock.after(limits.dnsThreadTellsMs, () => this.#tell())
  }

  #tell(): void {
    this.#isDue = false
    const answers = [...this.#answers.values()].filter(({ count }) => count > 0)
    this.#told({ udp: this.#udp, dropped: this.#dropped, cut: this.#cut, answers })
    this.#udp = 0
    this.#dropped = 0
    this.#cut = 0
    for (const each of answers) each.count = 0
  }
}

/**
 * Has this thread go ahead of all others, where the process may (CAP_SYS_NICE, RLIMIT_NICE): it
 * works for microseconds, and with few cores waits for the slices of those that never rest. On
 * Linux, where alone there is such a thread, a thread's priority is its own.
 */
function goAhead(): void {
  try {
    setPriority(getPriority() - limits.dnsThreadAheadNice)
  } catch {
    // It takes its turn among the others.
  }
}

goAhead()
const tally = new Tally(systemClock, told => tell({ kind: 'told', told }))
const question = newQuestion()
const writer = new AnswerWriter(systemRandom)

/** The listener on one address. */
class Listener {
  readonly #id: number
  readonly #lent = new LentAnswers(data, systemClock)
  #socket: DatagramSocket | undefined
  /** Queries that are not handed over yet. */
  #waiting: Datagram[] = []
  #waitingSizeBytes = 0
  /** Whether queries were handed over that nobody looked at yet. */
  #isAsking = false

  constructor(id: number) {
    this.#id = id
  }

  async open(host: string, port: number): Promise<void> {
    this.#socket = await DatagramSocket.open({
      ...{ host, port, isShared: true },
      receive: (query, sender) => this.#receive(query, sender),
      fault: ({ message: reason }) => tell({ kind: 'fault', reason }),
    })
  }

  #receive(query: Buffer, sender: Sender): void {
    const startedMs = tally.begin()
    const isWhole = readAnyClass(query, question) === Rcode.noError
    const kept = isWhole ? this.#lent.find(question) : undefined
    if (kept === undefined) {
      this.#hand(query, sender)
      return
    }
    const { bounds, recursionAvailable } = kept
    const socket = this.#socket!
    const size = writer.put(kept, query, question, socket.out, bounds, recursionAvailable)
    tally.answered(question.typeCode, socket.out[3]! & 15, kept.template.wasCut, startedMs)
    if (!socket.send(size, sender)) tally.dropped()
  }

  #hand(bytes: Buffer, { address, port }: Sender): void {
    if (this.#waitingSizeBytes > limits.dnsHandedSizeBytes) {
      tally.dropped()
      return
    }
    this.#waitingSizeBytes += bytes.length + HANDED_SIZE_BYTES
    this.#waiting.push({ bytes, address, port })
    if (!this.#isAsking) this.#ask()
  }

  #ask(): void {
    const queries = this.#waiting.splice(0, limits.dnsHandedQueries)
    for (const { bytes } of queries) this.#waitingSizeBytes -= bytes.length + HANDED_SIZE_BYTES
    this.#isAsking = true
    tell({ kind: 'asked', listener: this.#id, queries })
  }

  /** Takes what came of the queries that were handed over; hands over what came since. */
  answered({ answers, lent }: Extract<ToThread, { kind: 'answered' }>): void {
    for (const each of lent) this.#lent.keep(each)
    this.send(answers)
    this.#isAsking = false
    if (this.#waiting.length > 0) this.#ask()
  }

  send(answers: readonly Datagram[]): void {
    const socket = this.#socket!
    for (const { bytes, address, port } of answers) {
      const size = bufferOf(bytes).copy(socket.out)
      if (!socket.send(size, { address, port })) tally.dropped()
    }
  }
}

const listeners = new Map<number, Listener>()

async function listen(id: number, host: string, port: number): Promise<void> {
  const listener = new Listener(id)
  listeners.set(id, listener)
  try {
    await listener.open(host, port)
    tell({ kind: 'listening', listener: id })
  } catch (error) {
    listeners.delete(id)
    tell({ kind: 'fault', reason: messageOf(error) })
  }
}

parentPort?.on('message', (message: ToThread) => {
  const { kind, listener: id } = message
  if (kind === 'listen') void listen(id, message.host, message.port)
  else if (kind === 'answered') listeners.get(id)!.answered(message)
  else listeners.get(id)!.send(message.answers)
})
