/**
 * Keeps one certificate fresh: asks for it, keeps it, tells the program that serves by it, and does
 * so again before it ends.
 *
 * Owns when. While the server is away, sealed or unwilling, the files stay as they are and it is
 * asked again, later each time; a program that could not be told is told again likewise.
 */
import { messageOf } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { pause } from '../../base/pause.ts'
import { renewalMs, retryInMs } from '../../base/renewal.ts'
import type { Io } from '../command.ts'
import { ClientError } from '../exchange.ts'
import type { SecretsClient } from '../secrets/client.ts'
import type { Credential } from './credential.ts'
import type { CertFolder, Kept } from './folder.ts'
import { askFor, markOf, type Order } from './order.ts'
import type { Pair } from './pair.ts'

export interface Keeping {
  readonly io: Pick<Io, 'clock' | 'random' | 'print' | 'printError'>
  readonly client: SecretsClient
  readonly credential: Credential
  readonly folder: CertFolder
  readonly order: Order
  /**
   * Of its life, after which it is renewed; drawn anew for each within the jitter on both sides.
   */
  readonly renewAt: number
  readonly jitter: number
  /** Tells the program; gives what went wrong. undefined where there is none. */
  readonly reload: ((pair: Pair) => Promise<string | undefined>) | undefined
}

/** One certificate that is kept. */
export class Keeper {
  readonly #on: Keeping
  readonly #mark: string
  #kept: Kept | undefined
  #dueMs = 0
  /** By the monotonic clock; counts while something failed. */
  #retryAtMs = 0
  #failures = 0
  #isWanted = false
  #wake = new AbortController()

  constructor(on: Keeping) {
    this.#on = on
    this.#mark = markOf(on.order)
  }

  /** Looks at what is kept from before. Throws where nothing can be kept there. */
  async start(): Promise<void> {
    const { folder, io } = this.#on
    await folder.prepare()
    try {
      this.#kept = await folder.kept()
    } catch (error) {
      io.printError(`what stands in ${folder.path} is replaced: ${messageOf(error)}`)
    }
    const { pair, asked } = this.#kept ?? {}
    if (pair === undefined || asked !== this.#mark) return
    this.#plan(pair, pair.fromMs)
    if (this.#nowMs() < this.#dueMs) this.#say('kept', pair)
  }

  /** Renews at once, whatever is left of the life. */
  wantNow(): void {
    this.#isWanted = true
    this.#retryAtMs = 0
    this.#wake.abort()
  }

  /** Does once what has to be done. Throws what went wrong. */
  async once(): Promise<void> {
    const { credential, client, order, io, folder } = this.#on
    if (this.#isWanted || this.#nowMs() >= this.#dueMs) {
      await this.#asking(() => credential.ready())
      const pair = await this.#asking(() => askFor(client, order, this.#kept?.pair))
      const id = io.random.bytes(6).toString('hex')
      await folder.put({ pair, asked: this.#mark, id })
      this.#isWanted = false
      this.#kept = { pair, asked: this.#mark, isTold: false }
      this.#plan(pair, this.#nowMs())
      this.#say('issued', pair)
    } else if (credential.dueInMs === 0) {
      await this.#asking(() => credential.ready())
    }
    await this.#tell()
  }

  /** Goes on until the signal aborts. */
  async run(stop: AbortSignal): Promise<void> {
    const { io, client } = this.#on
    client.signal = stop
    stop.addEventListener('abort', () => this.#wake.abort())
    while (!stop.aborted) {
      // What is asked for from here on is for the next look.
      this.#wake = new AbortController()
      if (this.#dueInMs() === 0) await this.#tryOnce(stop)
      const waitMs = Math.min(this.#dueInMs(), limits.certLookMs)
      if (!stop.aborted && waitMs > 0) await pause(io.clock, waitMs, this.#wake.signal)
    }
  }

  async #tryOnce(stop: AbortSignal): Promise<void> {
    try {
      await this.once()
      this.#failures = 0
    } catch (error) {
      if (!stop.aborted) this.#delay(messageOf(error))
    }
  }

  /** How long until something has to be done. */
  #dueInMs(): number {
    const { io, credential } = this.#on
    if (this.#failures > 0) return Math.max(0, this.#retryAtMs - io.clock.monotonic())
    if (this.#isWanted || this.#kept?.isTold !== true) return 0
    return Math.max(0, Math.min(this.#dueMs - this.#nowMs(), credential.dueInMs))
  }

  async #tell(): Promise<void> {
    const { reload, io, folder } = this.#on
    if (this.#kept === undefined || this.#kept.isTold) return
    if (reload !== undefined) {
      const fromMs = io.clock.monotonic()
      const fault = await reload(this.#kept.pair)
      if (fault !== undefined) throw new Error(`the command failed: ${fault}`)
      const tookMs = Math.round(io.clock.monotonic() - fromMs)
      io.print(`reloaded serial=${this.#kept.pair.serial} took=${tookMs}ms`)
    }
    await folder.tell()
    this.#kept = { ...this.#kept, isTold: true }
  }

  /** What the server refuses by 403 may be the token's fault. */
  async #asking<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof ClientError && error.status === 403) this.#on.credential.forget()
      throw error
    }
  }

  /** Draws when it is renewed: not all at the same time where many were issued together. */
  #plan({ untilMs }: Pair, fromMs: number): void {
    const { renewAt, jitter, io } = this.#on
    this.#dueMs = renewalMs({ fromMs, untilMs }, { renewAt, jitter }, io.random)
  }

  /** Tries again later each time, but often enough for what is left of the life. */
  #delay(fault: string): void {
    const { io } = this.#on
    const leftMs = Math.max(0, (this.#kept?.pair.untilMs ?? 0) - this.#nowMs())
    const retryMs = retryInMs(this.#failures++, leftMs, io.random)
    this.#retryAtMs = io.clock.monotonic() + retryMs
    const { pair } = this.#kept ?? {}
    const isOver = pair !== undefined && leftMs === 0
    const state =
      pair === undefined ? 'none' : isOver ? 'expired' : `expires=${timeOf(pair.untilMs)}`
    io.print(
      `failed ${pair === undefined ? 'certificate=none' : `serial=${pair.serial} ${state}`} retry=${retryMs}ms`,
    )
    io.printError(fault.replaceAll(/\s*\n\s*/g, ' '))
  }

  #say(word: string, { serial, names, untilMs }: Pair): void {
    const times = `expires=${timeOf(untilMs)} renews=${timeOf(this.#dueMs)}`
    this.#on.io.print(`${word} serial=${serial} ${times} names=${JSON.stringify(names)}`)
  }

  #nowMs(): number {
    return this.#on.io.clock.wall()
  }
}

const timeOf = (ms: number): string => new Date(ms).toISOString()
