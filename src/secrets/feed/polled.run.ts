/**
 * A topic whose rows no view shows: they are read again whenever they may be others.
 *
 * Owns that this happens only while somebody follows, no more often than a bound says, and that
 * what differs is told as a change. Must never hold the loop: reading gives it back.
 */
import { type Bytes, toText } from '../../base/bytes.ts'
import { messageOf, OperatingError, Refusal } from '../../base/errors.ts'
import { pause } from '../../base/pause.ts'
import type { Item, OpenSource, SourceEars } from '../../store/topic.ts'
import { untilChanged } from '../../store/until-changed.ts'
import type { SecretsFeedPorts } from './reader.run.ts'

/** What is read, and when again. */
export interface Polling<V> {
  /** All values, by key; in the order of their keys. A refusal ends the topic for its readers. */
  read(): Promise<ReadonlyMap<Bytes, V> | Refusal> | ReadonlyMap<Bytes, V> | Refusal
  /** What is touched where it is worth reading again; '' where nothing tells. */
  readonly scope: string
  /** Not before so long after the last time, and at the latest then. */
  readonly pauseMs: number
  readonly latestMs: number
}

/** A subject that is followed. */
export class Polled<V> implements OpenSource<V> {
  readonly #ports: SecretsFeedPorts
  readonly #ears: SourceEars<V>
  readonly #polling: Polling<V>
  readonly #ending = new AbortController()
  readonly #first: Promise<void>
  #items: ReadonlyMap<Bytes, Item<V>> = new Map()
  #failure: Refusal | undefined
  /** The version that was read last, at least. */
  #readAt = 0

  constructor(ports: SecretsFeedPorts, ears: SourceEars<V>, polling: Polling<V>) {
    this.#ports = ports
    this.#ears = ears
    this.#polling = polling
    this.#first = this.#read().then(() => {})
    void this.#first.then(() => this.#run())
  }

  async *items(): AsyncGenerator<Item<V>> {
    await this.#first
    if (this.#failure !== undefined) throw this.#failure
    yield* this.#items.values()
  }

  close(): void {
    this.#ending.abort()
  }

  async #run(): Promise<void> {
    const { clock, store } = this.#ports
    const { scope, pauseMs, latestMs } = this.#polling
    const { signal } = this.#ending
    const ports = { scopes: store.scopes, clock }
    while (!signal.aborted && this.#failure === undefined) {
      await pause(clock, pauseMs, signal)
      // What was touched meanwhile is not waited for.
      const isTouched = scope !== '' && store.scopes.newest(scope) > this.#readAt
      const targets = scope === '' ? [] : [{ scope }]
      if (!isTouched) await untilChanged(ports, targets, latestMs - pauseMs, signal)
      if (signal.aborted) return
      const before = this.#items
      if (!(await this.#read()) || signal.aborted) continue
      const changes = changesOf(before, this.#items)
      if (changes.length > 0) this.#ears.changed(changes)
    }
  }

  /** Reads all; false where that could not be. Never rejects. */
  async #read(): Promise<boolean> {
    try {
      this.#readAt = this.#ports.store.view().revision
      const values = await this.#polling.read()
      if (values instanceof Refusal) return this.#fail(values)
      const { store } = this.#ports
      const index = store.indexOf(store.view().revision)
      const items = new Map<Bytes, Item<V>>()
      for (const [key, value] of values) {
        const known = this.#items.get(key)
        items.set(
          key,
          known !== undefined && isSame(known.value, value) ? known : { key, index, value },
        )
      }
      this.#items = items
      return true
    } catch (error) {
      return this.#fail(new Refusal(error instanceof OperatingError ? 503 : 500, textOf(error)))
    }
  }

  #fail(refusal: Refusal): false {
    this.#failure = refusal
    if (!this.#ending.signal.aborted) this.#ears.failed(refusal)
    return false
  }
}

const textOf = (error: unknown): string =>
  error instanceof OperatingError ? messageOf(error) : 'internal error'

const isSame = (one: unknown, other: unknown): boolean =>
  JSON.stringify(one) === JSON.stringify(other)

function changesOf<V>(before: ReadonlyMap<Bytes, Item<V>>, after: ReadonlyMap<Bytes, Item<V>>) {
  const gone = [...before.values()].filter(({ key }) => !after.has(key))
  const come = [...after.values()].filter(item => before.get(item.key) !== item)
  return [
    ...gone.map(item => ({ key: item.key, before: item, after: undefined })),
    ...come.map(item => ({ key: item.key, before: before.get(item.key), after: item })),
  ]
}

/** A folder's path in the form of mounts: no slash before it, one behind it. */
export function mountPathOf(subject: Bytes): string | Refusal {
  const path = toText(subject).replaceAll(/^\/+|\/+$/g, '')
  return path === '' || path.includes('//') || path.includes('\ufffd')
    ? new Refusal(400, 'the subject is no path of a mount')
    : `${path}/`
}
