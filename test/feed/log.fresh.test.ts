/**
 * Whatever happens, a reader's view is what a fresh reader would have: under random writes,
 * restores, compactions, slow reads, disconnects and resumes (also on another server of the same
 * store), and rights that change, the state that a reader has at each revision he is told equals
 * the store's at that revision, and revisions only go up.
 */
import fc from 'fast-check'
import t from 'tap'
import type { Revision } from '../../src/base/brand.ts'
import { toText } from '../../src/base/bytes.ts'
import { Refusal } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import type { Access, Authority, Who } from '../../src/base/who.ts'
import { Feeds } from '../../src/feed/feed.run.ts'
import { filterOf } from '../../src/filter/filter.ts'
import { registryTopics } from '../../src/registry/topic/mod.ts'
import type { View } from '../../src/store/ask.ts'
import { ageless } from '../../src/store/freshness.ts'
import { withSystemTables } from '../../src/store/local.ts'
import {
  type Cursor,
  del,
  isRefusal,
  type Op,
  put,
  type RestoredRow,
  type Store,
} from '../../src/store/store.ts'
import { type CheckRow, checks } from '../../src/store/tables/check.ts'
import { type ConfigEntryRow, configEntries } from '../../src/store/tables/config-entry.ts'
import { type KvRow, kv } from '../../src/store/tables/kv.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { ofKind, onNode } from '../../src/store/tables/names.ts'
import { type NodeRow, nodes } from '../../src/store/tables/node.ts'
import { type ServiceRow, services } from '../../src/store/tables/service.ts'
import { type AnyTopic, isOfRows } from '../../src/store/topic.ts'
import { Version } from '../../src/store/view.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { propertyRuns } from '../run/budget.ts'
import { openStore } from '../store/replica/world.ts'
import { TestReader, textOf } from './support.ts'

const NODES = ['a', 'B', 'c/d']
const IDS = ['w1', 'w2']
const NAMES = ['web', 'Web', 'db']
const KEYS = ['a/1', 'a/2', 'b/1', 'b']
const STATUSES = ['passing', 'critical'] as const

const nodeRow = (node: string, n: number): NodeRow => ({
  ...{ node, id: '', address: `10.0.0.${n}`, taggedAddresses: {}, meta: {} },
})
const serviceRow = (node: string, id: string, name: string, n: number): ServiceRow => ({
  ...{ node, id, name, kind: '', tags: n % 2 === 0 ? [] : ['t'], address: '', meta: {}, port: n },
  ...{ taggedAddresses: {}, ports: [], socketPath: '', weights: { passing: 1, warning: 1 } },
  ...{ enableTagOverride: false, connectNative: false, agentOwned: false },
})
const checkRow = (node: string, checkId: string, service: ServiceRow | undefined, n: number) =>
  ({
    ...{ node, checkId, name: checkId, status: STATUSES[n % 2]!, notes: '', output: '' },
    ...{ serviceId: service?.id ?? '', serviceName: service?.name ?? '', serviceTags: [] },
    ...{ type: '', interval: '', timeout: '', definition: {}, agentOwned: false },
  }) satisfies CheckRow
const intentions = (name: string, sources: readonly string[], n: number): ConfigEntryRow => ({
  ...{ kind: 'service-intentions', name, leadsTo: [] },
  fields: {
    Sources: sources.map(Name => ({ Name, Action: n % 2 ? 'allow' : 'deny', Precedence: 9 })),
  },
})

/** What a number does to the store; it looks at rows that are there, as rules do. */
function opsOf(view: View, seed: number): Op[] {
  const pick = <T>(from: readonly T[], shift: number): T => from[(seed >> shift) % from.length]!
  const node = pick(NODES, 4)
  const id = pick(IDS, 7)
  const n = (seed >> 9) % 4
  const found = view.get(services, onNode(node, id))?.row
  switch (seed % 12) {
    case 0:
    case 1:
      return [put(nodes, node.toLowerCase(), nodeRow(node, n))]
    case 2:
    case 3:
    case 4:
      return [put(services, onNode(node, id), serviceRow(node, id, pick(NAMES, 11), n))]
    case 5:
      return [put(checks, onNode(node, `c-${id}`), checkRow(node, `c-${id}`, found, n))]
    case 6:
      return [put(checks, onNode(node, 'own'), checkRow(node, 'own', undefined, n))]
    case 7:
      return [del(checks, onNode(node, n % 2 ? 'own' : `c-${id}`)), del(services, onNode(node, id))]
    case 8:
      return n > 1 ? [del(nodes, node.toLowerCase())] : [del(kv, pick(KEYS, 6))]
    case 9:
    case 10: {
      const row: KvRow = { value: Buffer.from([n]), flags: 0n, session: '', lockIndex: 0 }
      return [put(kv, pick(KEYS, 6), row), put(kv, pick(KEYS, 8), row)]
    }
    default: {
      const name = pick(NAMES, 5).toLowerCase()
      const key = ofKind('service-intentions', name)
      const row = intentions(name, NAMES.slice(0, n), seed >> 12)
      return [n === 0 ? del(configEntries, key) : put(configEntries, key, row)]
    }
  }
}

const FOLLOWED = [
  { topic: 'health', subject: 'web', filter: '' },
  { topic: 'health', subject: 'WEB', filter: 'Checks.Status == critical' },
  { topic: 'health', subject: 'db', filter: 'Service.Port != 1' },
  { topic: 'services', subject: '', filter: '' },
  { topic: 'nodes', subject: '', filter: 'Address != "10.0.0.1"' },
  { topic: 'kv', subject: 'a/', filter: '' },
  { topic: 'kv', subject: '', filter: 'Key matches "1$"' },
  { topic: 'config', subject: 'service-intentions', filter: '' },
  { topic: 'intentions', subject: '', filter: 'Action == allow' },
] as const

/** What a token may do: one of these, or nothing at all any more. */
const RIGHTS: readonly ((wanted: Access) => boolean)[] = [
  () => true,
  ({ resource, name }) => resource !== 'node' || name !== 'a',
  ({ resource, name }) => resource !== 'key' || !name.startsWith('a/1'),
  ({ resource, name }) => (resource !== 'service' && resource !== 'intention') || name !== 'Web',
]

class Tokens implements Pick<Authority, 'authenticate' | 'watch' | 'note'> {
  readonly #who: (Who | Refusal)[] = [0, 1].map(() => whoOf(0))
  readonly #watches = new Set<{ readonly who: Who; readonly changed: () => void }>()

  authenticate(token: string): Who | Refusal {
    return this.#who[Number(token)]!
  }

  watch(who: Who, changed: () => void): () => void {
    const watch = { who, changed }
    this.#watches.add(watch)
    return () => this.#watches.delete(watch)
  }

  note(): void {}

  change(token: number, to: Who | Refusal): void {
    const was = this.#who[token]
    this.#who[token] = to
    for (const watch of [...this.#watches]) {
      if (watch.who !== was) continue
      this.#watches.delete(watch)
      watch.changed()
    }
  }
}

const whoOf = (rights: number): Who => ({
  accessor: 'somebody',
  rights: String(rights),
  may: wanted => RIGHTS[rights]!(wanted),
})

const topics = registryTopics('dc1')
const topicOf = (name: string): AnyTopic => topics.find(one => one.name === name)!

const allTables = withSystemTables(registryTables)

/** Every version that the store was in, by revision: made from its changes, one after the other. */
class History {
  readonly #store: Store
  readonly #versions = new Map<number, View>()
  #head = new Version(allTables)

  constructor(store: Store) {
    this.#store = store
  }

  at(revision: number): View | undefined {
    return this.#versions.get(revision)
  }

  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const cursor = this.#begin()
      for (;;) {
        const change = await cursor.next(signal)
        if (change === undefined) return
        if (change === 'resync') break
        for (const { table, key, after } of change.events) {
          this.#head.apply(table, key, after, change.revision)
        }
        this.#note(change.revision)
      }
    }
  }

  #begin(): Cursor {
    const view = this.#store.view() as View
    this.#head = new Version(allTables)
    for (const table of allTables) {
      for (const cell of view.entries(table)) {
        this.#head.apply(table, cell.key, cell, cell.modRevision)
      }
    }
    this.#note(view.revision)
    return this.#store.feed(view.revision)
  }

  #note(revision: Revision): void {
    this.#head.revision = revision
    this.#versions.set(revision, this.#head.cut(undefined) as unknown as View)
  }
}

type Asked = (typeof FOLLOWED)[number]

/** What a fresh reader would have. */
function stateOf(view: View, { topic: name, subject, filter: text }: Asked, who: Who) {
  const topic = topicOf(name)
  const { source } = topic
  const normal = topic.normal(subject)
  const filter = filterOf(text, topic.fields)
  if (!isOfRows(source) || isRefusal(normal) || isRefusal(filter)) throw new Error('no such feed')
  const found = new Map<string, string>()
  for (const item of source.items(view, normal, () => 0)) {
    if (item === undefined || !topic.may(who, item) || filter?.keeps(item.value) === false) continue
    found.set(toText(item.key), textOf(item.value))
  }
  return found
}

/** All rows, as an archive has them. */
function rowsOf(store: Store): RestoredRow[] {
  const view = store.view() as View
  return allTables
    .filter(({ internal, ofCluster, isCold }) => !internal && !ofCluster && !isCold)
    .flatMap(table =>
      [...view.entries(table)].map(({ key, row, createIndex, modifyIndex }) => ({
        ...{ key: table.prefix + key, body: table.codec.encode(row), createIndex, modifyIndex },
      })),
    )
}

const isSame = (one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean =>
  one.size === other.size && [...one].every(([key, value]) => other.get(key) === value)

interface Following {
  readonly reader: TestReader
  readonly asked: Asked
  readonly token: number
  readonly server: number
}

/** One life of a store with two servers over it. */
class Life {
  readonly problems: string[] = []
  readonly clock = new FakeClock()
  readonly store = openStore(this.clock)
  readonly #tokens = new Tokens()
  readonly #history = new History(this.store)
  readonly #abort = new AbortController()
  readonly #feeds: readonly Feeds[]
  #readers: Following[] = []
  #writes: Promise<unknown>[] = []
  #archive: RestoredRow[] = []
  readonly #offsets = new Set<number>()

  constructor() {
    void this.#history.follow(this.#abort.signal)
    this.#feeds = ['one', 'two'].map(
      processId =>
        new Feeds({
          ...{ store: this.store, clock: this.clock, log: silentLog, authority: this.#tokens },
          ...{ topics, age: ageless, processId },
        }),
    )
  }

  async settle(): Promise<void> {
    await Promise.all(this.#writes)
    this.#writes = []
    await settled()
  }

  write(seed: number): void {
    const decide = (view: unknown) => ({ txn: opsOf(view as View, seed), answer: undefined })
    this.#writes.push(this.store.write(decide))
  }

  open(seed: number, before?: Following): void {
    const asked = before?.asked ?? FOLLOWED[seed % FOLLOWED.length]!
    const token = before?.token ?? (seed >> 4) % 2
    const server = before === undefined ? (seed >> 5) % 2 : 1 - before.server
    const who = this.#tokens.authenticate(String(token))
    if (isRefusal(who)) return
    const room = (seed >> 6) % 3 === 0 ? Number.MAX_SAFE_INTEGER : (seed >> 8) % 4
    const resume = before?.reader.resume ?? ''
    const options = { ...asked, room, who, token: String(token), resume }
    const reader = new TestReader(this.#feeds[server]!, options, told => {
      if (told.resume !== undefined) this.#check(following)
    })
    const following = { reader, asked, token, server }
    // Rights may have changed while he was away: then he is told anew.
    if (before !== undefined) reader.goOnFrom(before.reader)
    this.#readers.push(following)
  }

  /** Whether a reader has what he would have as a fresh one. */
  #check({ reader, asked, token }: Following): void {
    const who = this.#tokens.authenticate(String(token))
    if (isRefusal(who)) {
      this.problems.push('told although his token is gone')
      return
    }
    // A frame may have been made just before a restore raised the indexes.
    this.#offsets.add(-this.store.revisionOf(0))
    const views = [...this.#offsets].flatMap(by => this.#history.at(reader.revision - by) ?? [])
    if (views.length === 0) this.problems.push(`told of ${reader.revision}, which never was`)
    const isOfOne = views.some(view => isSame(reader.state, stateOf(view, asked, who)))
    const what = `${JSON.stringify(asked)} at ${reader.revision}`
    if (!isOfOne) this.#compare(reader, stateOf(views[0]!, asked, who), what)
  }

  #compare({ state }: TestReader, wanted: ReadonlyMap<string, string>, what: string): void {
    const keys = new Set([...state.keys(), ...wanted.keys()])
    for (const key of keys) {
      if (state.get(key) === wanted.get(key)) continue
      this.problems.push(`${what}: ${key} is ${state.get(key)}, not ${wanted.get(key)}`)
    }
  }

  take(seed: number): void {
    this.#one(seed)?.reader.take((seed >> 8) % 3)
  }

  leave(seed: number): void {
    const one = this.#one(seed)
    if (one === undefined) return
    one.reader.close()
    this.#readers = this.#readers.filter(each => each !== one)
    if (one.reader.resume !== '' && one.reader.isWhole) this.open(seed, one)
  }

  #one(seed: number): Following | undefined {
    return this.#readers[(seed >> 4) % Math.max(1, this.#readers.length)]
  }

  rights(seed: number): void {
    const rights = (seed >> 2) % (RIGHTS.length + 1)
    this.#tokens.change(seed % 2, rights < RIGHTS.length ? whoOf(rights) : GONE)
    this.#readers = this.#readers.filter(({ reader }) => reader.ended === undefined)
  }

  compact(): void {
    this.#writes.push(this.store.compact(this.store.view().revision))
  }

  archive(): void {
    this.#archive = rowsOf(this.store)
  }

  restore(): void {
    const rows = this.#archive
    this.#writes.push(this.store.restore({ rows, index: 1_000, verify() {} }))
  }

  async do(seed: number): Promise<void> {
    const rest = seed >> 5
    const what = seed % 32
    if (what < 14) this.write(rest)
    else if (what < 18) await this.settle()
    else if (what < 21) this.open(rest)
    else if (what < 24) this.take(rest)
    else if (what < 26) this.leave(rest)
    else if (what < 28) this.rights(rest)
    else if (what === 28) this.compact()
    else if (what === 29) this.archive()
    else if (what === 30) this.restore()
    else await this.clock.advance(10_000)
  }

  /** Lets everybody catch up, and looks whether all have what there is. */
  async end(): Promise<void> {
    await this.settle()
    for (let turn = 0; turn < 40; turn++) {
      for (const { reader } of this.#readers) reader.take()
      await settled()
    }
    const view = this.store.view() as View
    for (const { reader, asked, token } of this.#readers) {
      const who = this.#tokens.authenticate(String(token))
      if (isRefusal(who) || reader.ended !== undefined) continue
      const what = `in the end ${JSON.stringify(asked)}`
      if (!reader.isWhole) this.problems.push(`${what}: not whole`)
      this.#compare(reader, stateOf(view, asked, who), what)
      this.problems.push(...reader.faults.map(fault => `${what}: ${fault}`))
    }
    for (const feeds of this.#feeds) feeds.close()
    this.#abort.abort()
    await this.store.close()
  }
}

const GONE = new Refusal(403, 'ACL not found')

t.test("a reader's view is what a fresh reader would have", async t => {
  const property = fc.asyncProperty(
    fc.array(fc.integer({ min: 0, max: 2 ** 30 - 1 }), {
      minLength: 60,
      maxLength: 160,
      size: 'max',
    }),
    async seeds => {
      const life = new Life()
      // An index is never 0, so that the empty store has that of the first revision.
      life.write(0)
      await life.settle()
      for (const seed of seeds) await life.do(seed)
      await life.end()
      if (life.problems.length > 0) throw new Error(life.problems.slice(0, 5).join('\n'))
    },
  )
  await fc.assert(property, { numRuns: propertyRuns() })
  t.pass('it was')
})
