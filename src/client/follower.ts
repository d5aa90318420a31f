/**
 * A live local view of one topic and subject, kept by the change feed.
 *
 * Owns the connection behind it: it is opened again, on any server, for as long as the follower is
 * not closed, and goes on from where it was. What is known stays while no server can be reached,
 * and says how old it is. Never tells a change twice.
 */
import type { Clock, Timer } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { pause } from '../base/pause.ts'
import { deferred } from './deferred.ts'
import { closedError, type ErrorCode, GatehouseError } from './errors.ts'
import { Listeners } from './listeners.ts'
import { ChangeReader } from './reader.ts'
import { isServersFault } from './servers.ts'
import { type Change, type Frame, type Item, LocalView } from './view.ts'

/** Where frames come from: one stream of one server. */
export type OpenFeed<W> = (
  resume: string,
  listener: { onFrame(frame: Frame<W>): void; onEnd(error: GatehouseError | undefined): void },
  signal: AbortSignal,
) => Promise<FeedStream>

/** A stream of frames, and what becomes known of the server behind it. */
export interface FeedStream {
  readonly server: string
  cancel(): void
  works(): void
  failed(): void
  /** The token that it was opened with was refused. True where there is another one now. */
  renewToken(): Promise<boolean>
}

/** What a follower tells. */
export interface FollowerEvents<V> extends Record<string, unknown> {
  /** Something happened to an item; the view has it already. */
  change: Change<V>
  /** What is known is what the servers know, from now on. */
  live: undefined
  /** The connection is lost: what is known may be old from now on. */
  stale: GatehouseError | undefined
}

/** A live local view. */
export interface Following<V> extends AsyncIterable<Change<V>> {
  /** Resolves once the whole state is known; rejects where a server says that it cannot be told. */
  ready(): Promise<this>
  /** Whether a server is connected and says that this is the newest state. */
  readonly isLive: boolean
  /**
   * Milliseconds since a server last said that this is the newest state: a few seconds at most
   * while it is live. Infinite before the first state.
   */
  readonly ageMs: number
  /** Of the newest whole state that is known; 0 before there was one. */
  readonly revision: number
  /** The server that is followed now; empty while there is none. */
  readonly server: string
  /** Why it is not live, where that is known. */
  readonly problem: GatehouseError | undefined
  /** All items that are known now, by their keys. */
  readonly items: ReadonlyMap<string, Item<V>>
  /** The value of an item as it is known now. */
  get(key: string): V | undefined
  /** Calls `listener` from now on; gives what ends that. */
  on<N extends keyof FollowerEvents<V> & string>(
    name: N,
    listener: (what: FollowerEvents<V>[N]) => void,
  ): () => void
  /**
   * Changes in their order: first all that is known, as `added`, then what happens to it. A reader
   * that is slow is told the last of several changes of an item. Ends when the follower is closed.
   */
  changes(): AsyncIterableIterator<Change<V>>
  close(): void
}

export interface FollowerWorld {
  readonly clock: Clock
  /** Aborts when the client is closed. */
  readonly closed: AbortSignal
}

/** Nothing that trying again would change. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'UNIMPLEMENTED',
])

export class Follower<W, V> implements Following<V> {
  readonly #world: FollowerWorld
  readonly #open: OpenFeed<W>
  readonly #view: LocalView<W, V>
  readonly #listeners = new Listeners<FollowerEvents<V>>()
  readonly #readers = new Set<ChangeReader<V>>()
  readonly #over = new AbortController()
  readonly #ready = deferred<this>()
  #isWhole = false
  #isLive = false
  #heardMs = Number.NEGATIVE_INFINITY
  #server = ''
  #problem: GatehouseError | undefined

  constructor(
    open: OpenFeed<W>,
    read: (wire: W, key: string) => V | undefined,
    world: FollowerWorld,
  ) {
    this.#world = world
    this.#open = open
    this.#view = new LocalView(read)
    // Who never asks whether it is ready need not hear that it is not.
    this.#ready.promise.catch(() => {})
    if (world.closed.aborted) this.close()
    else world.closed.addEventListener('abort', this.#close, { once: true })
    void this.#run()
  }

  get isLive(): boolean {
    return this.#isLive
  }

  get ageMs(): number {
    return this.#world.clock.monotonic() - this.#heardMs
  }

  get revision(): number {
    return this.#view.revision
  }

  get server(): string {
    return this.#server
  }

  get problem(): GatehouseError | undefined {
    return this.#problem
  }

  get items(): ReadonlyMap<string, Item<V>> {
    return this.#view.items
  }

  get(key: string): V | undefined {
    return this.#view.items.get(key)?.value
  }

  ready(): Promise<this> {
    return this.#ready.promise
  }

  on<N extends keyof FollowerEvents<V> & string>(
    name: N,
    listener: (what: FollowerEvents<V>[N]) => void,
  ): () => void {
    return this.#listeners.on(name, listener)
  }

  changes(): AsyncIterableIterator<Change<V>> {
    const reader = new ChangeReader(this.#view.items.values(), one => this.#readers.delete(one))
    if (this.#over.signal.aborted) reader.end()
    else this.#readers.add(reader)
    return reader
  }

  [Symbol.asyncIterator](): AsyncIterator<Change<V>> {
    return this.changes()
  }

  close(): void {
    this.#close()
  }

  readonly #close = (): void => {
    if (this.#over.signal.aborted) return
    this.#over.abort()
    this.#world.closed.removeEventListener('abort', this.#close)
    this.#isLive = false
    this.#server = ''
    this.#ready.reject(closedError())
    for (const reader of [...this.#readers]) reader.end()
    this.#listeners.clear()
  }

  async #run(): Promise<void> {
    const { signal } = this.#over
    while (!signal.aborted) {
      this.#view.begin()
      const error = await this.#connect()
      if (signal.aborted) return
      this.#lost(error)
      if (isServersFault(error)) continue
      if (this.#isWhole || !FINAL.has(error!.code)) {
        // Asking another server sooner would change nothing.
        const { retryAfterMs = 0 } = error!
        await pause(this.#world.clock, Math.max(retryAfterMs, limits.clientRetryMaxMs), signal)
        continue
      }
      this.#ready.reject(error)
      this.#close()
    }
  }

  /** One stream, from its opening to its end. Resolves with what ended it. */
  #connect(): Promise<GatehouseError | undefined> {
    const { signal } = this.#over
    const { promise, resolve } = deferred<GatehouseError | undefined>()
    const ended = new AbortController()
    let stream: FeedStream | undefined
    let isOver = false
    const end = (error: GatehouseError | undefined): void => {
      if (isOver) return
      isOver = true
      silence.stop()
      signal.removeEventListener('abort', leave)
      ended.abort()
      stream?.cancel()
      resolve(this.#judge(stream, error))
    }
    const leave = (): void => end(closedError())
    const silence = new Silence(this.#world.clock, () => {
      end(new GatehouseError('UNAVAILABLE', 'the server said nothing for too long'))
    })
    signal.addEventListener('abort', leave, { once: true })
    const onFrame = (frame: Frame<W>): void => {
      if (isOver) return
      // A delta whose parts come to no end leaves the view as old as it is.
      if (frame.kind !== 'delta' || frame.resume !== '') silence.heard()
      const problem = this.#take(frame, stream)
      if (problem !== undefined) end(problem)
    }
    this.#open(
      this.#view.resume,
      { onFrame, onEnd: end },
      AbortSignal.any([signal, ended.signal]),
    ).then(
      opened => {
        stream = opened
        if (isOver) opened.cancel()
        else this.#server = opened.server
      },
      (error: GatehouseError) => end(error),
    )
    return promise
  }

  /** What the end of a stream means for the server behind it, and for the token. */
  async #judge(
    stream: FeedStream | undefined,
    error: GatehouseError | undefined,
  ): Promise<GatehouseError | undefined> {
    if (stream === undefined || this.#over.signal.aborted) return error
    if (error?.code === 'UNAUTHENTICATED' && !this.#isRenewed) {
      this.#isRenewed = true
      if (await stream.renewToken()) return undefined
    }
    if (isServersFault(error)) stream.failed()
    return error
  }

  /** Takes a frame in and tells of it; gives what is wrong with it. */
  #take(frame: Frame<W>, stream: FeedStream | undefined): GatehouseError | undefined {
    const applied = this.#view.apply(frame)
    if (applied.kind === 'gap') {
      // Another server may have the rest. If it has not either, a snapshot does.
      if (this.#hadGap) this.#view.forget()
      this.#hadGap = true
      return new GatehouseError('DATA_LOSS', `the feed has a gap: ${applied.problem}`)
    }
    if (!applied.isWhole) return undefined
    this.#hadGap = false
    this.#isRenewed = false
    stream?.works()
    this.#heardMs = this.#world.clock.monotonic()
    this.#problem = undefined
    const becameLive = !this.#isLive
    this.#isLive = true
    for (const reader of this.#readers) reader.add(applied.changes)
    for (const change of applied.changes) this.#listeners.tell('change', change)
    if (becameLive) this.#listeners.tell('live', undefined)
    if (!this.#isWhole) {
      this.#isWhole = true
      this.#ready.resolve(this)
    }
    return undefined
  }

  #hadGap = false
  /** The token was replaced since a server took one last: not again and again. */
  #isRenewed = false

  #lost(error: GatehouseError | undefined): void {
    this.#server = ''
    this.#problem = error
    if (!this.#isLive) return
    this.#isLive = false
    this.#listeners.tell('stale', error)
  }
}

/** Notices that nothing was heard for too long. */
class Silence {
  readonly #clock: Clock
  readonly #noticed: () => void
  #heardMs: number
  #timer: Timer | undefined

  constructor(clock: Clock, noticed: () => void) {
    this.#clock = clock
    this.#noticed = noticed
    this.#heardMs = clock.monotonic()
    this.#look(limits.clientSilenceMs)
  }

  heard(): void {
    this.#heardMs = this.#clock.monotonic()
  }

  stop(): void {
    this.#timer?.clear()
  }

  #look(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => {
      const leftMs = this.#heardMs + limits.clientSilenceMs - this.#clock.monotonic()
      if (leftMs > 0) this.#look(leftMs)
      else this.#noticed()
    })
  }
}
