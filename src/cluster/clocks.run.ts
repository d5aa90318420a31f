/**
 * Servers tell each other once a second how they are and what their clocks say.
 *
 * Owns what was heard last of each other server, and the judgement over this one's clock: the log
 * tells when it is apart, and a server whose clock is wrong keeps nobody's time. A server that is
 * silent keeps its last word for a while: clocks do not change because a process ended.
 */
import type { Clock, Timer } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { apartOf, type ClockVerdict, leadOf, verdictOf } from './clocks.ts'

/** What a server says of itself. */
export interface ServerWord {
  readonly nodeId: string
  readonly wallMs: number
  readonly revision: number
  readonly viewAgeMs: number
  readonly trouble: string
}

interface Heard {
  readonly word: ServerWord
  readonly atMs: number
  /** Its wall clock's lead over our monotonic one; undefined where none was measured. */
  leadMs: number | undefined
}

export interface BeatPorts<To> {
  readonly clock: Clock
  readonly log: Log
  /** The other servers that are alive, and where they are. */
  readonly others: () => readonly { readonly nodeId: string; readonly to: To }[]
  /** What this server says of itself. */
  readonly own: () => Omit<ServerWord, 'wallMs'>
  /** Sends this server's word, gets the other's. */
  readonly beat: (to: To, word: ServerWord) => Promise<ServerWord>
}

export class Beats<To> {
  readonly #ports: BeatPorts<To>
  readonly #heard = new Map<string, Heard>()
  readonly #under = new Set<string>()
  #verdict: ClockVerdict = 'fine'
  #timer: Timer | undefined
  #isStopped = false

  constructor(ports: BeatPorts<To>) {
    this.#ports = ports
  }

  start(): void {
    this.#tick()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.clear()
  }

  /** Takes another server's word, and gives this one's. */
  take(word: ServerWord): ServerWord {
    this.#hear(word, this.#heard.get(word.nodeId)?.leadMs)
    return this.word()
  }

  /** This server's word, now. */
  word(): ServerWord {
    return { ...this.#ports.own(), wallMs: this.#ports.clock.wall() }
  }

  /** What a server said last, and how long ago. */
  reportOf(nodeId: string): (ServerWord & { readonly saidMsAgo: number }) | undefined {
    const heard = this.#heard.get(nodeId)
    if (heard === undefined) return undefined
    return { ...heard.word, saidMsAgo: this.#ports.clock.monotonic() - heard.atMs }
  }

  /** How far this server's wall clock is from the middle of all, in milliseconds. */
  get apartMs(): number {
    const { clock } = this.#ports
    const leads = [...this.#heard.values()].flatMap(({ leadMs }) => leadMs ?? [])
    return apartOf(clock.wall() - clock.monotonic(), leads)
  }

  /** Whether this server's clock is right enough to keep the time of others. */
  get mayKeepTime(): boolean {
    return verdictOf(this.apartMs) !== 'wrong'
  }

  #hear(word: ServerWord, leadMs: number | undefined): void {
    this.#heard.set(word.nodeId, { word, atMs: this.#ports.clock.monotonic(), leadMs })
  }

  #tick(): void {
    if (this.#isStopped) return
    const { clock, others } = this.#ports
    for (const { nodeId, to } of others()) {
      // One at a time to each: a slow one is not asked again before it answered.
      if (!this.#under.has(nodeId)) void this.#exchange(nodeId, to)
    }
    for (const [nodeId, { atMs }] of this.#heard) {
      if (clock.monotonic() - atMs > limits.clockSampleMs) this.#heard.delete(nodeId)
    }
    this.#judge()
    this.#timer = clock.after(limits.serverBeatMs, () => this.#tick())
  }

  async #exchange(nodeId: string, to: To): Promise<void> {
    const { clock, beat } = this.#ports
    this.#under.add(nodeId)
    const sentMs = clock.monotonic()
    try {
      const word = await beat(to, this.word())
      const receivedMs = clock.monotonic()
      const lead = leadOf({ sentMs, receivedMs, theirWallMs: word.wallMs })
      this.#hear({ ...word, nodeId }, lead ?? this.#heard.get(nodeId)?.leadMs)
      this.#judge()
    } catch {
      // Its lease tells whether it is there; what it said last grows old.
    } finally {
      this.#under.delete(nodeId)
    }
  }

  /** Tells when this server's clock goes apart, goes wrong, and is right again. */
  #judge(): void {
    const { log } = this.#ports
    const { apartMs } = this
    const verdict = verdictOf(apartMs)
    if (verdict === this.#verdict) return
    this.#verdict = verdict
    const fields = { apart_ms: Math.round(apartMs) }
    if (verdict === 'fine') log.info("this server's clock is right again", fields)
    else if (verdict === 'apart') log.warn("this server's clock differs from the others'", fields)
    else {
      log.error(
        "this server's clock is wrong by the others': it keeps no time and issues nothing until " +
          'it is set right',
        fields,
      )
    }
  }
}
