/**
 * Bugs that are planted to see whether the simulation finds them.
 *
 * Owns the list. Each is put in through a seam of the simulated server, in test code alone: a port
 * or a store that does nearly what the real one does. mutants.test.ts wants each found.
 */

import { crc32 } from 'node:zlib'
import { revision, wallMs } from '../../src/base/brand.ts'
import { RpcError } from '../../src/base/io/grpc.ts'
import type { CheckpointFolder } from '../../src/store/etcd/checkpoint.ts'
import type {
  Etcd,
  EtcdCompare,
  RequestOp,
  TxnRequest,
  WatchListener,
  WatchResponse,
} from '../../src/store/etcd/client.ts'
import { answerOf } from '../../src/store/local.ts'
import { roles } from '../../src/store/role.ts'
import {
  type Decide,
  isRefusal,
  type Op,
  type RestoreContent,
  type Store,
} from '../../src/store/store.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { lockDelays, sessions } from '../../src/store/tables/session.ts'
import type { AnyDeadlineKind } from '../../src/store/timekeeper.ts'
import type { Reader, Version } from '../../src/store/view.ts'
import { int64 } from './etcd/mvcc.ts'
import { type Seams, sound } from './server.ts'
import type { World } from './world.ts'

export interface Mutant {
  readonly name: string
  /** Made anew for each run. */
  readonly seams: () => Seams
}

// --- how parts are replaced

/** The same object with some of its members replaced. */
function altered<T extends object>(target: T, changes: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(changes, name)) return changes[name as keyof T]
      const member: unknown = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

const inEtcd = (name: string, change: (etcd: Etcd, world: World) => Partial<Etcd>): Mutant => ({
  name,
  seams: () => ({ ...sound, etcd: (etcd, world) => altered(etcd, change(etcd, world)) }),
})

const inStore = (name: string, change: (store: Store, world: World) => Partial<Store>): Mutant => ({
  name,
  seams: () => ({ ...sound, store: (store, world) => altered(store, change(store, world)) }),
})

/** Transactions without some of their compares, nested ones too. */
function withoutCompares(
  request: TxnRequest,
  isKept: (compare: EtcdCompare) => boolean,
): TxnRequest {
  const inner = (op: RequestOp): RequestOp =>
    'requestTxn' in op ? { requestTxn: withoutCompares(op.requestTxn, isKept) } : op
  return {
    ...request,
    compare: (request.compare ?? []).filter(isKept),
    success: request.success.map(inner),
    failure: (request.failure ?? []).map(inner),
  }
}

const comparesLess = (name: string, pattern: RegExp): Mutant =>
  inEtcd(name, etcd => ({
    txn: request =>
      etcd.txn(withoutCompares(request, ({ key }) => !pattern.test(key.toString('latin1')))),
  }))

/** Transactions without some of their operations. */
function withoutOps(request: TxnRequest, isKept: (op: RequestOp) => boolean): TxnRequest {
  const inner = (op: RequestOp): RequestOp =>
    'requestTxn' in op ? { requestTxn: withoutOps(op.requestTxn, isKept) } : op
  return { ...request, success: request.success.filter(isKept).map(inner) }
}

/** A watch whose responses are told in another way. */
const watching = (
  name: string,
  tell: (response: WatchResponse, listener: WatchListener, world: World) => void,
): Mutant =>
  inEtcd(name, (etcd, world) => ({
    watch: (request, listener) =>
      etcd.watch(request, {
        onResponse: response => tell(response, listener, world),
        onEnd: error => listener.onEnd(error),
      }),
  }))

type AnyDecide = Decide<unknown>

/** Rules that see another view, or whose transactions come out differently. */
const deciding = (name: string, change: (decide: AnyDecide, store: Store) => AnyDecide): Mutant => {
  const alter = (store: Store): Store =>
    altered(store, {
      write: ((decide: AnyDecide, record) =>
        store.write(change(decide, store), record)) as Store['write'],
    })
  return { name, seams: () => ({ ...sound, store: alter }) }
}

const seeing = (name: string, change: (view: Reader) => Partial<Reader>): Mutant =>
  deciding(name, decide => (view, now, random) => decide(altered(view, change(view)), now, random))

const showing = (name: string, change: (view: Version) => Partial<Version>): Mutant =>
  inStore(name, store => ({
    view: (() => {
      const view = store.view() as Version
      return altered(view, change(view))
    }) as Store['view'],
  }))

const timing = (name: string, change: (kind: AnyDeadlineKind) => AnyDeadlineKind): Mutant => ({
  name,
  seams: () => ({ ...sound, kinds: kinds => kinds.map(change) }),
})

// --- the mutants

/** The timekeeper's rules never look whether the role is still theirs. */
function withoutFence(store: Store): Store {
  let lease = ''
  let takes = false
  return altered(store, {
    async grant(ttlMs) {
      const granted = await store.grant(ttlMs)
      lease = granted.id
      takes = true
      return granted
    },
    write: ((decide: AnyDecide) => {
      if (takes) {
        takes = false
        return store.write(decide)
      }
      return store.write((view, now, random) => {
        const forged = { row: { holder: '' }, lease }
        const get = ((table: { name: string }, key: string) =>
          table.name === roles.name ? forged : view.get(table as never, key)) as Reader['get']
        return decide(altered(view, { get }), now, random)
      })
    }) as Store['write'],
  })
}

/** A checkpoint whose record of what it is comes out differently. */
function withMeta(
  folder: CheckpointFolder,
  change: (meta: Record<string, unknown>) => object,
): CheckpointFolder {
  return altered(folder, {
    async open() {
      const disk = await folder.open()
      return altered(disk, {
        async get(key) {
          const record = await disk.get(key)
          if (record === undefined || crc32(record.subarray(4)) !== record.readUInt32BE()) {
            return record
          }
          const body = Buffer.from(JSON.stringify(change(JSON.parse(record.toString('utf8', 4)))))
          const sum = Buffer.alloc(4)
          sum.writeUInt32BE(crc32(body))
          return Buffer.concat([sum, body])
        },
      })
    },
  })
}

/** Without a mark nothing tells one history from another. */
const markless = (folder: CheckpointFolder): CheckpointFolder =>
  withMeta(folder, ({ mark: _, ...meta }) => meta)

/** What is asked for in place of a mark. */
const NO_MARK = 'none'
const FAR = 1_000_000_000

/** Restores whose content comes out differently. */
const restoring = (
  name: string,
  change: (content: RestoreContent, store: Store) => RestoreContent,
): Mutant => inStore(name, store => ({ restore: content => store.restore(change(content, store)) }))

async function* mapped<T>(items: AsyncIterable<T> | Iterable<T>, map: (item: T) => T) {
  for await (const item of items) yield map(item)
}

/** An archive that is cut off ends there, and that is all. */
async function* upToDamage<T>(items: AsyncIterable<T> | Iterable<T>) {
  try {
    yield* items
  } catch {}
}

const isSessionEnd = ({ table, row }: Op): boolean => table.name === sessions.name && !row

export const mutants: readonly Mutant[] = [
  comparesLess('rows are not compared', /^gatehouse\/1\/(?!guard\/)(?!system\/)/),
  comparesLess('guards are not compared', /^gatehouse\/1\/guard\//),
  comparesLess('the head row is not compared', /^gatehouse\/system\/head\//),
  comparesLess('the row of the role is not compared', /^gatehouse\/1\/system\/role\//),
  inEtcd('guards are not put', etcd => ({
    txn: request =>
      etcd.txn(
        withoutOps(
          request,
          op => !('requestPut' in op && /\/guard\//.test(op.requestPut.key.toString('latin1'))),
        ),
      ),
  })),
  inEtcd('what was sent is taken for unsent', etcd => ({
    txn: request =>
      etcd.txn(request).catch((error: unknown) => {
        if (!(error instanceof RpcError)) throw error
        throw new RpcError(error.code, error.message, false)
      }),
  })),
  inEtcd('a page is not read at its revision', etcd => ({
    range: ({ revision: _, ...request }) => etcd.range(request),
  })),
  inEtcd('a watch goes on too late', etcd => {
    let watches = 0
    return {
      watch: (request, listener) => {
        const startRevision = request.startRevision + (watches++ > 0 ? 1 : 0)
        return etcd.watch({ ...request, startRevision }, listener)
      },
    }
  }),
  inEtcd('what was compacted is passed over', etcd => ({
    watch(request, listener) {
      const onResponse = (response: WatchResponse): void => {
        if (!response.canceled) listener.onResponse(response)
        else {
          const startRevision = response.compactRevision.toNumber()
          etcd.watch({ ...request, startRevision }, listener)
        }
      }
      return etcd.watch(request, { onResponse, onEnd: error => listener.onEnd(error) })
    },
  })),
  watching('drop an event', (response, listener, world) => {
    const isLost = response.events.length > 1 && world.draw.chance(0.5)
    const events = isLost ? response.events.slice(1) : response.events
    listener.onResponse({ ...response, events })
  }),
  watching('a revision is told in two pieces', (response, listener) => {
    if (response.events.length < 2) listener.onResponse(response)
    else {
      listener.onResponse({ ...response, events: response.events.slice(0, 1) })
      listener.onResponse({ ...response, events: response.events.slice(1) })
    }
  }),
  watching('events come in the wrong order', (response, listener) => {
    listener.onResponse({ ...response, events: [...response.events].reverse() })
  }),
  inStore('serve stale as default', store => ({
    readIndex: () => Promise.resolve(store.view().revision),
  })),
  inStore('answer before durable', store => ({
    write: (async (decide: AnyDecide, record) => {
      const writing = store.write(decide, record)
      const view = store.view()
      const outcome = decide(view, wallMs(0), { fraction: () => 0 } as never)
      if (isRefusal(outcome) || outcome.txn.length === 0) return await writing
      writing.catch(() => {})
      const at = { revision: view.revision, index: store.indexOf(view.revision) }
      return { ...at, answer: answerOf(outcome.answer, at) }
    }) as Store['write'],
  })),
  inStore('a transaction is applied in two', store => ({
    write: (async (decide: AnyDecide, record) => {
      let rest: readonly Op[] = []
      const first = await store.write((view, now, random) => {
        const outcome = decide(view, now, random)
        if (isRefusal(outcome) || outcome.txn.length < 2) return outcome
        rest = outcome.txn.slice(1)
        return { ...outcome, txn: outcome.txn.slice(0, 1) }
      }, record)
      if (rest.length > 0) await store.write(() => ({ txn: rest, answer: undefined }))
      return first
    }) as Store['write'],
  })),
  inStore('writes are not recorded', store => ({
    write: (decide => store.write(decide)) as Store['write'],
  })),
  {
    name: 'an answer does not wait for its record',
    seams: () => ({
      ...sound,
      own: own => {
        const append = (body: Buffer): Promise<void> => {
          own.journal.append(body).catch(() => {})
          return Promise.resolve()
        }
        return altered(own, { journal: altered(own.journal, { append }) })
      },
    }),
  },
  inStore('the feed lacks a change', (store, world) => ({
    feed(after) {
      const cursor = store.feed(after)
      return {
        ...cursor,
        async next(signal) {
          const change = await cursor.next(signal)
          const isLost = typeof change === 'object' && world.draw.chance(1)
          return isLost ? await cursor.next(signal) : change
        },
      }
    },
  })),
  inStore('indexes differ from server to server', (store, world) => {
    const more = world.draw.below(3)
    return { indexOf: at => store.indexOf(revision(at + more)) }
  }),
  showing('the floor is forgotten', view => ({
    floor: () => revision(0),
    newest: table => {
      let newest = revision(0)
      for (const { modRevision } of view.entries(table)) {
        if (modRevision > newest) newest = modRevision
      }
      return newest
    },
  })),
  seeing('lock delays are ignored', view => ({
    get: ((table: { name: string }, key: string) =>
      table.name === lockDelays.name ? undefined : view.get(table as never, key)) as Reader['get'],
  })),
  seeing('a held lock is given', view => ({
    get: ((table: { name: string }, key: string) => {
      const cell = view.get(table as never, key) as { row: { session: string } } | undefined
      const isHeld = table.name === kv.name && cell !== undefined && cell.row.session !== ''
      return isHeld ? { ...cell, row: { ...cell.row, session: '' } } : cell
    }) as Reader['get'],
  })),
  deciding('a session ends without its locks', decide => (view, now, random) => {
    const outcome = decide(view, now, random)
    if (isRefusal(outcome) || !outcome.txn.some(isSessionEnd)) return outcome
    return { ...outcome, txn: outcome.txn.filter(({ table }) => table.name !== kv.name) }
  }),
  timing('sessions lapse early', kind => ({
    ...kind,
    due(cell, now) {
      const due = kind.due(cell, now)
      const isSession = kind.name === 'session' && due !== undefined && 'afterMs' in due
      return isSession ? { afterMs: due.afterMs / 2 } : due
    },
  })),
  timing('lock delays end at once', kind => ({
    ...kind,
    due: (cell, now) => (kind.name === 'lock-delay' ? { afterMs: 0 } : kind.due(cell, now)),
  })),
  restoring('restore keeps old CAS', (content, store) => ({
    ...content,
    rows: mapped(content.rows, row => {
      const key = row.key.startsWith(kv.prefix) ? row.key.slice(kv.prefix.length) : undefined
      const now = key === undefined ? undefined : store.view().get(kv, key)
      return now === undefined ? row : { ...row, modifyIndex: now.modifyIndex }
    }),
  })),
  restoring('index offset forgotten', content => ({ ...content, index: 0 })),
  restoring('a restore that was cut off is done', content => ({
    ...content,
    rows: upToDamage(content.rows),
    verify: () => {},
  })),
  {
    name: 'checkpoint trusted though ahead',
    seams: () => ({
      ...sound,
      checkpoint: markless,
      etcd: etcd =>
        altered(etcd, {
          async range(request) {
            const answer = await etcd.range(request)
            if (request.key.toString('latin1') !== NO_MARK) return answer
            const header = { ...answer.header, revision: int64(FAR) }
            return { ...answer, header }
          },
        }),
    }),
  },
  {
    name: 'checkpoint trusted though of another history',
    seams: () => ({ ...sound, checkpoint: markless }),
  },
  {
    name: 'skip the fence',
    seams: () => ({ ...sound, timekeeperStore: withoutFence }),
  },
  {
    name: 'renewals are acknowledged outside of the lease',
    seams: () => ({ ...sound, renewals: () => ({ renew: () => Promise.resolve(true) }) }),
  },
]
