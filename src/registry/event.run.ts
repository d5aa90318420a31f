/**
 * The events that this agent knows: a bounded list in its memory, filled from the store's feed.
 *
 * Owns following the feed and waking who waits. An event is stored only to reach all agents, also
 * those of other servers on a shared store. What an agent has seen goes with its process, as it
 * does in Consul: a handler must not be run again for old events because an agent was restarted.
 */
import type { Revision } from '../base/brand.ts'
import { messageOf, type Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Who } from '../base/who.ts'
import type { Question } from '../store/ask.ts'
import { type Change, isRefusal, type Store } from '../store/store.ts'
import { type EventRow, events } from '../store/tables/event.ts'
import { scope } from '../store/tables/names.ts'
import type { Writer } from '../store/writer.ts'
import {
  type EventFilter,
  type EventRequest,
  fireEvent,
  isMeantFor,
  visibleEvents,
} from './event.ts'

export interface EventsOptions {
  readonly store: Store
  readonly writer: Writer
  readonly log: Log
  /** The agent's own node. */
  readonly node: string
}

export class Events {
  readonly #options: EventsOptions
  readonly #stopping = new AbortController()
  /** The newest last. */
  #known: readonly EventRow[] = []
  #seen: Revision
  readonly #waiting = new Set<() => void>()
  #following: Promise<void> = Promise.resolve()

  constructor(options: EventsOptions) {
    this.#options = options
    this.#seen = options.store.view().revision
  }

  /** Takes in the events that are fired from now on. */
  start(): void {
    this.#following = this.#follow().catch((error: unknown) => {
      this.#options.log.error('events are not followed any more', { error: messageOf(error) })
      this.#stopping.abort()
      this.#tell()
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#following
    this.#tell()
  }

  /** Fires an event; once it is answered this agent knows it. */
  async fire(who: Who, request: EventRequest): Promise<EventRow | Refusal> {
    const written = await this.#options.writer.write(who, (view, by, _now, random) =>
      fireEvent(view, by, random.uuid(), request),
    )
    if (isRefusal(written)) return written
    await this.#reached(written.revision)
    return written.answer
  }

  /** The events that this agent knows, oldest first. */
  list(who: Who, filter: EventFilter): Question<readonly EventRow[]> {
    const own = filter.name === '' ? scope.events : scope.event(filter.name)
    return {
      key: `events ${JSON.stringify(filter)}`,
      target: { scope: own },
      newest: (_view, scopes) => scopes.newest(own),
      read: () => visibleEvents(who, filter, this.#known),
    }
  }

  async #follow(): Promise<void> {
    const { store } = this.#options
    const { signal } = this.#stopping
    for (;;) {
      const from = store.view().revision
      const cursor = store.feed(from)
      this.#arrive(from)
      for (;;) {
        const soon = cursor.next(signal)
        const change = soon instanceof Promise ? await soon : soon
        if (change === undefined) return
        // What was fired while this agent could not follow is not told to it.
        if (change === 'resync') break
        this.#take(change)
      }
    }
  }

  #take({ revision, events: changes }: Change): void {
    const { store, node } = this.#options
    for (const { table, after } of changes) {
      if (table.name !== events.name || after === undefined) continue
      const event = after.row as EventRow
      if (!isMeantFor(store.view(), node, event)) continue
      const gone = this.#known.length < limits.eventRing ? undefined : this.#known[0]
      this.#known = [...this.#known.slice(gone === undefined ? 0 : 1), event]
      const names = new Set([event.name, gone?.name ?? event.name])
      store.scopes.touch(scope.events, revision)
      for (const name of names) store.scopes.touch(scope.event(name), revision)
    }
    this.#arrive(revision)
  }

  #arrive(at: Revision): void {
    this.#seen = at
    if (this.#waiting.size > 0) this.#tell()
  }

  #tell(): void {
    for (const wake of this.#waiting) wake()
  }

  /** Resolves when all changes up to a revision were looked at, or none will be any more. */
  #reached(at: Revision): Promise<void> {
    return new Promise(resolve => {
      const look = (): void => {
        if (this.#seen < at && !this.#stopping.signal.aborted) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }
}
