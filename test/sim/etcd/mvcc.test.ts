/** The simulated etcd's storage answers as a real etcd does, sequence by sequence. */
import assert from 'node:assert'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import t, { type Test } from 'tap'
import { openRpcClient, type RpcClient, RpcError } from '../../../src/base/io/grpc.ts'
import type { Etcd, KeyValue, RangeResponse, WatchEvent } from '../../../src/store/etcd/client.ts'
import type { Methods } from '../../../src/store/etcd/messages.ts'
import { seeded } from '../../fake/random.ts'
import { untilBudget } from '../../run/budget.ts'
import { absent } from '../../run/clients.ts'
import { startEtcd } from '../../store/etcd/member.ts'
import { openRaw } from '../../store/etcd/stores.ts'
import { Mvcc, type OpAnswer } from './mvcc.ts'
import { absolute, type Step, sequence } from './sequences.ts'

const text = (bytes: Buffer): string => bytes.toString('latin1')

function plainKv({ key, value, createRevision, modRevision, version, lease }: KeyValue): unknown {
  const numbers = [createRevision, modRevision, version, lease].map(String)
  return [text(key), text(value), ...numbers]
}

const plainRange = ({ kvs, more }: Omit<RangeResponse, 'header'>): unknown => [
  kvs.map(plainKv),
  more,
]

function plainOps(responses: readonly OpAnswer[]): unknown {
  return responses.map(({ responseRange, responsePut, responseDeleteRange, responseTxn }) => {
    if (responseRange) return plainRange(responseRange)
    if (responseTxn) return [responseTxn.succeeded, plainOps(responseTxn.responses ?? [])]
    if (responseDeleteRange) return Number(responseDeleteRange.deleted)
    return responsePut ? 'put' : 'nothing'
  })
}

const plainEvent = ({ type, kv }: WatchEvent): unknown => [type, plainKv(kv)]

/** What an answer comes to, or how it failed. */
async function outcomeOf(work: () => unknown): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof RpcError) return `${error.code} ${error.message.replace(/^.*?: /, '')}`
    throw error
  }
}

/** One side of the comparison. */
interface Side {
  take(step: Step, now: number, leases: readonly string[]): unknown
}

const simulated = (mvcc: Mvcc): Side => ({
  take(step, now, leases) {
    if (step.f === 'range') {
      const revision = step.back === 0 ? 0 : now - step.back
      const answer = mvcc.range({ ...step.request, revision })
      return [String(answer.header.revision), plainRange(answer)]
    }
    if (step.f === 'txn') {
      const { header, succeeded, responses } = mvcc.txn(absolute(step.request, now, leases))
      return [String(header.revision), succeeded, plainOps(responses)]
    }
    if (step.f === 'compact') return mvcc.compact(now - step.back)
    if (step.f === 'revoke') return mvcc.revoke(leases[step.lease] ?? '4711')
    return undefined
  },
})

/** Transactions go by the library's messages: ours leave out what puts and deletions gave. */
const real = (etcd: Etcd, library: RpcClient<Methods>): Side => ({
  async take(step, now, leases) {
    if (step.f === 'range') {
      const revision = step.back === 0 ? 0 : now - step.back
      const answer = await etcd.range({ ...step.request, revision })
      return [String(answer.header.revision), plainRange(answer)]
    }
    if (step.f === 'txn') {
      const request = absolute(step.request, now, leases)
      const answer = await library.call('etcdserverpb.KV/Txn', request, TIMEOUT_MS)
      const { header, succeeded, responses } = answer
      return [String(header.revision), succeeded, plainOps(responses as readonly OpAnswer[])]
    }
    if (step.f === 'compact') return etcd.compact(now - step.back)
    if (step.f === 'revoke') return etcd.revoke(leases[step.lease] ?? '4711')
    return undefined
  },
})

/** Everything under a prefix from a revision on, up to the put of its last key. */
async function watched(
  etcd: Etcd,
  prefix: string,
  from: number,
): Promise<{ readonly events: Promise<unknown[]> }> {
  const created = Promise.withResolvers<void>()
  const told = new Promise<unknown[]>((resolve, reject) => {
    const events: unknown[] = []
    const watch = etcd.watch(
      {
        key: Buffer.from(prefix, 'latin1'),
        rangeEnd: Buffer.from(`${prefix}\u00ff\u00ff`, 'latin1'),
        startRevision: from,
        fragment: true,
        progressNotify: true,
      },
      {
        onResponse(response) {
          if (response.created) created.resolve()
          if (response.canceled) {
            watch.cancel()
            resolve([`compacted ${response.compactRevision}`])
            return
          }
          events.push(...response.events.map(plainEvent))
          const last = response.events.at(-1)?.kv.key
          if (last === undefined || text(last) !== `${prefix}z`) return
          watch.cancel()
          resolve(events)
        },
        onEnd: error => reject(error ?? new Error('the watch ended')),
      },
    )
  })
  await created.promise
  return { events: told }
}

function told(mvcc: Mvcc, prefix: string, from: number, isWhole: boolean): unknown[] {
  if (!isWhole) return [`compacted ${mvcc.compacted}`]
  const events: unknown[] = []
  for (let at = from; at <= mvcc.revision; at++) {
    for (const event of mvcc.eventsAt(at)) {
      if (text(event.kv.key).startsWith(prefix)) events.push(plainEvent(event))
    }
  }
  return events
}

/** Keeps the member's data off the disk, where that can be: nothing here is about syncs. */
function inMemory(t: Test): string[] {
  if (!existsSync('/dev/shm')) return []
  const folder = mkdtempSync('/dev/shm/gatehouse-test-')
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return ['--data-dir', folder]
}

const TIMEOUT_MS = 10_000

t.setTimeout(3_600_000)

t.test('against a real etcd', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t, ...inMemory(t))
  const etcd = await openRaw(t, member)
  const address = new URL(member.endpoint).host
  const library = await openRpcClient<Methods>('etcd/rpc.proto', address)
  t.teardown(() => library.close())
  const mvcc = new Mvcc()
  const [ours, theirs] = [simulated(mvcc), real(etcd, library)]
  const once = async (number: number): Promise<void> => {
    const draw = seeded(number)
    const prefix = `s${number}/`
    const leases: string[] = []
    // etcd looks after a watch that begins in the past only ten times a second.
    const isLate = number % 16 === 0
    const from = Math.max(1, mvcc.revision + 1 - (isLate ? draw.below(3) : 0))
    const early = isLate ? undefined : await watched(etcd, prefix, from)
    for (const [at, step] of sequence(draw, prefix).entries()) {
      const where = `sequence ${number}, step ${at}: ${JSON.stringify(step)}`
      if (step.f === 'grant') {
        const { id } = await etcd.grant(600)
        leases.push(id)
        mvcc.grant(id)
        continue
      }
      const now = mvcc.revision
      const wanted = await outcomeOf(() => theirs.take(step, now, leases))
      const given = await outcomeOf(() => ours.take(step, now, leases))
      assert.deepStrictEqual(given, wanted, where)
    }
    const put = { key: Buffer.from(`${prefix}z`), value: Buffer.from('z') }
    const end = { success: [{ requestPut: put }] }
    await etcd.txn(end)
    mvcc.txn(end)
    const { events } = early ?? (await watched(etcd, prefix, from))
    const wanted = await events
    const isWhole = !isLate || from >= mvcc.compacted
    const given = told(mvcc, prefix, from, isWhole)
    assert.deepStrictEqual(given, wanted, `sequence ${number}, its watch`)
    for (const id of leases) {
      if (!mvcc.hasLease(id)) continue
      await etcd.revoke(id)
      mvcc.revoke(id)
    }
  }
  await untilBudget('sequences compared with a real etcd', 20_000, once, 20)
  t.pass('all were equal')
})
