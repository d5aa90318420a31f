/**
 * Feeds over a store in memory, and readers that keep what they are told and hold it against the
 * rules: revisions go up, nothing is told of what the reader has already, a whole is whole.
 */
import type { Test } from 'tap'
import { toText } from '../../src/base/bytes.ts'
import type { Refusal } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import {
  type Authority,
  everybody,
  openAuthority,
  type RequestFacts,
  type Who,
} from '../../src/base/who.ts'
import { type FeedRequest, Feeds, type Following, type Outlet } from '../../src/feed/feed.run.ts'
import type { Form } from '../../src/feed/form.ts'
import { registryTopics } from '../../src/registry/topic/mod.ts'
import type { View } from '../../src/store/ask.ts'
import { ageless } from '../../src/store/freshness.ts'
import { isRefusal, type Op, type Store } from '../../src/store/store.ts'
import { type AnyItem, type AnyTopic, isOfRows } from '../../src/store/topic.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { openStore } from '../store/replica/world.ts'

/** What a reader is told, taken apart. */
export interface Told {
  readonly event: 'snapshot' | 'delta' | 'heartbeat' | 'resync'
  readonly revision?: number
  readonly resume?: string
  readonly filtered?: boolean
  readonly reason?: string
  readonly upserts?: readonly (readonly [key: string, value: string])[]
  readonly deletes?: readonly string[]
}

/** The text that stands for a value: enough to tell any two apart. */
export const textOf = (value: unknown): string =>
  JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? String(part) : part))

const frame = (told: Told): Buffer => Buffer.from(JSON.stringify(told))

/** One frame as JSON, for tests. */
const testForm: Form<string> = {
  name: 'test',
  isJoined: false,
  item: (_topic, { key, value }) => JSON.stringify([toText(key), textOf(value)]),
  removal: (_topic, key) => JSON.stringify(key),
  snapshot: (_topic, items, { revision, resume, isFiltered }) =>
    frame({
      event: 'snapshot',
      revision,
      ...(resume === undefined ? {} : { resume }),
      ...(isFiltered ? { filtered: true } : {}),
      upserts: items.map(item => JSON.parse(item)),
    }),
  delta: (_topic, upserts, removals, { revision, resume }) =>
    frame({
      event: 'delta',
      revision,
      ...(resume === undefined ? {} : { resume }),
      upserts: upserts.map(item => JSON.parse(item)),
      deletes: removals.map(key => JSON.parse(key)),
    }),
  heartbeat: (revision, resume) => frame({ event: 'heartbeat', revision, resume }),
  resync: reason => frame({ event: 'resync', reason }),
}

export interface ReaderOptions extends Partial<FeedRequest> {
  readonly who?: Who
  readonly token?: string
  readonly facts?: RequestFacts
  /** How many frames are taken before `take` is called. */
  readonly room?: number
}

/** Somebody who follows. */
export class TestReader implements Outlet {
  readonly frames: Told[] = []
  readonly faults: string[] = []
  /** What he has, by key; undefined until it is whole. */
  state = new Map<string, string>()
  isWhole = false
  revision = 0
  resume = ''
  ended: Refusal | undefined
  /** What he can take before he says that he is ready again. */
  room: number
  readonly #following: Following
  readonly options: ReaderOptions
  #isReady = true
  #isGathering = false
  /** Of names nobody knows what they were before, so that equal ones may be told after a resume. */
  #isCatchingUp: boolean

  readonly #onTold: (told: Told) => void

  constructor(feeds: Feeds, options: ReaderOptions, onTold: (told: Told) => void = () => {}) {
    this.#onTold = onTold
    this.options = options
    this.#isCatchingUp = options.topic === 'services' && (options.resume ?? '') !== ''
    this.room = options.room ?? Number.MAX_SAFE_INTEGER
    const request = { subject: '', filter: '', resume: '', heartbeatMs: 0, isStale: false }
    const { who = everybody, token = '', topic = 'health' } = options
    const following = feeds.follow(
      { ...request, ...options, topic },
      { who, token, request: options.facts },
      testForm as unknown as Form,
      this,
    )
    if (isRefusal(following)) throw new Error(`${following.status} ${following.text}`)
    this.#following = following
  }

  /** Goes on from what another one had. */
  goOnFrom(other: TestReader): this {
    this.state = new Map(other.state)
    this.isWhole = other.isWhole
    this.revision = other.revision
    this.resume = other.resume
    return this
  }

  send(bytes: Buffer): boolean {
    if (!this.#isReady) this.faults.push('told while he was not ready')
    const told: Told = JSON.parse(bytes.toString())
    this.frames.push(told)
    this.#take(told)
    this.room--
    this.#isReady = this.room > 0
    return this.#isReady
  }

  end(refusal: Refusal): void {
    if (this.ended !== undefined) this.faults.push('ended twice')
    this.ended = refusal
  }

  close(): void {
    this.#following.close()
  }

  /** He has room again. */
  take(room = Number.MAX_SAFE_INTEGER): void {
    this.room = room
    if (this.#isReady) return
    this.#isReady = true
    this.#following.drained()
  }

  #take(told: Told): void {
    if (told.event === 'resync') {
      this.state = new Map()
      this.isWhole = false
      return
    }
    const { revision = 0, resume, upserts = [], deletes = [] } = told
    if (revision < this.revision) this.faults.push(`back from ${this.revision} to ${revision}`)
    if (told.event === 'snapshot' && !this.#isGathering) this.state = new Map()
    for (const [key, value] of upserts) {
      if (this.state.get(key) === value && !this.#isCatchingUp) {
        this.faults.push(`told again: ${key}`)
      }
      this.state.set(key, value)
    }
    for (const key of deletes) this.state.delete(key)
    this.#isGathering = resume === undefined
    this.isWhole = resume !== undefined
    this.revision = revision
    if (resume !== undefined) {
      this.resume = resume
      this.#isCatchingUp = false
    }
    this.#onTold(told)
  }
}

export interface World {
  readonly store: Store
  readonly feeds: Feeds
  readonly clock: FakeClock
  read(options: ReaderOptions): TestReader
  write(...ops: Op[]): Promise<number>
}

export interface WorldOptions {
  readonly authority?: Authority
  readonly store?: Store
  readonly clock?: FakeClock
  /** The registry's unless given. */
  readonly topics?: readonly AnyTopic[]
  readonly age?: { readonly isDegraded: boolean }
  readonly pendingSizeBytes?: number
}

/** A store with feeds over it. */
export function openWorld(
  t: Test,
  { authority = openAuthority, store: given, age = ageless, ...more }: WorldOptions = {},
): World {
  const { clock = new FakeClock(), topics = registryTopics('dc1'), ...bounds } = more
  const store = given ?? openStore(clock)
  const common = { store, clock, log: silentLog, authority, topics, age, processId: 'one' }
  const ports = { ...common, ...bounds }
  const feeds = new Feeds(ports)
  t.teardown(async () => {
    feeds.close()
    if (given === undefined) await store.close()
  })
  return {
    store,
    feeds,
    clock,
    read: options => new TestReader(feeds, options),
    async write(...ops) {
      const written = await store.write(() => ({ txn: ops, answer: undefined }))
      if (isRefusal(written)) throw new Error(written.text)
      return written.revision
    },
  }
}

const TURNS = 500

/** Lets the loop turn until something is so. */
export async function eventually(isSo: () => boolean): Promise<boolean> {
  for (let turn = 0; turn < TURNS && !isSo(); turn++) await settled()
  return isSo()
}

/** What a fresh reader would have of a view. */
export function fresh(
  store: Store,
  { topic: name = 'health', subject = '', who = everybody }: ReaderOptions,
  keeps: (item: AnyItem) => boolean = () => true,
): Map<string, string> {
  const topic: AnyTopic = registryTopics('dc1').find(one => one.name === name)!
  const { source } = topic
  const view = store.view() as View
  const normal = topic.normal(subject)
  if (!isOfRows(source) || isRefusal(normal)) throw new Error('no such subject')
  const found = new Map<string, string>()
  for (const item of source.items(view, normal, () => 0)) {
    if (item === undefined || !topic.may(who, item) || !keeps(item)) continue
    found.set(toText(item.key), textOf(item.value))
  }
  return found
}
