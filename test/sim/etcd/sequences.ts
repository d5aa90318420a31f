/**
 * Generated sequences of what can be asked of an etcd, for comparing the simulated with the real.
 */
import type {
  EtcdCompare,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from '../../../src/store/etcd/client.ts'
import type { Draw } from '../../fake/random.ts'

/** One step of a sequence. Revisions are relative: to the newest one when the step is taken. */
export type Step =
  | { readonly f: 'range'; readonly request: RangeRequest; readonly back: number }
  | { readonly f: 'txn'; readonly request: TxnRequest }
  | { readonly f: 'compact'; readonly back: number }
  | { readonly f: 'grant' }
  | { readonly f: 'revoke'; readonly lease: number }

const KEYS = ['a', 'a\u0000', 'ab', 'b', 'b/x', 'b/y', 'c']
const MOST_STEPS = 24

/** A sequence under a prefix of its own. `leases`: how many can be named, by their number. */
export function sequence(draw: Draw, prefix: string): Step[] {
  const count = 4 + draw.below(MOST_STEPS - 4)
  return Array.from({ length: count }, () => step(draw, prefix))
}

function step(draw: Draw, prefix: string): Step {
  const kind = draw.below(100)
  if (kind < 30) {
    const back = draw.pick([0, 0, 0, 1, 2, 5, -1])
    return { f: 'range', request: range(draw, prefix), back }
  }
  if (kind < 92) return { f: 'txn', request: txn(draw, prefix, 2) }
  if (kind < 94) return { f: 'compact', back: draw.below(6) - 1 }
  if (kind < 97) return { f: 'grant' }
  return { f: 'revoke', lease: draw.below(4) }
}

const keyOf = (draw: Draw, prefix: string): Buffer =>
  draw.chance(1) ? Buffer.alloc(0) : Buffer.from(prefix + draw.pick(KEYS), 'latin1')

/** The end of a span, which may be empty or before its beginning. */
const endOf = (draw: Draw, prefix: string): Buffer =>
  Buffer.from(prefix + draw.pick([...KEYS, '\u00ff']), 'latin1')

function range(draw: Draw, prefix: string): RangeRequest {
  const sorts: Partial<RangeRequest>[] = [
    {},
    { sortOrder: 'DESCEND', sortTarget: 'KEY' },
    { sortOrder: 'ASCEND', sortTarget: 'KEY' },
  ]
  return {
    key: keyOf(draw, prefix),
    ...(draw.chance(70) ? { rangeEnd: endOf(draw, prefix) } : {}),
    ...(draw.chance(40) ? { limit: draw.below(4) } : {}),
    ...draw.pick(sorts),
    ...(draw.chance(20) ? { keysOnly: true } : {}),
  }
}

function txn(draw: Draw, prefix: string, depth: number): TxnRequest {
  return {
    compare: Array.from({ length: draw.below(3) }, () => compare(draw, prefix)),
    success: ops(draw, prefix, depth),
    failure: ops(draw, prefix, depth),
  }
}

/** `revision` numbers of compares are relative too; see `absolute`. */
function compare(draw: Draw, prefix: string): EtcdCompare {
  const span = draw.chance(30) ? { rangeEnd: endOf(draw, prefix) } : {}
  const result = draw.pick(['EQUAL', 'LESS'] as const)
  const number = -draw.below(8)
  return draw.chance(60)
    ? { key: keyOf(draw, prefix), ...span, target: 'MOD', result, modRevision: number }
    : { key: keyOf(draw, prefix), ...span, target: 'CREATE', result, createRevision: number }
}

function ops(draw: Draw, prefix: string, depth: number): RequestOp[] {
  return Array.from({ length: draw.below(4) }, () => op(draw, prefix, depth))
}

function op(draw: Draw, prefix: string, depth: number): RequestOp {
  const kind = draw.below(100)
  if (kind < 50) {
    const lease = draw.chance(15) ? { lease: `#${draw.below(4)}` } : {}
    const value = Buffer.from(String(draw.below(1_000)))
    return { requestPut: { key: keyOf(draw, prefix), value, ...lease } }
  }
  if (kind < 70) {
    const span = draw.chance(40) ? { rangeEnd: endOf(draw, prefix) } : {}
    return { requestDeleteRange: { key: keyOf(draw, prefix), ...span } }
  }
  if (kind < 85 || depth === 0) return { requestRange: range(draw, prefix) }
  return { requestTxn: txn(draw, prefix, depth - 1) }
}

/** A transaction with the revisions of its compares counted from `now`, and leases by their ids. */
export function absolute(request: TxnRequest, now: number, leases: readonly string[]): TxnRequest {
  const at = (back = 0): number => (back <= -7 ? 0 : now + back)
  const one = (given: RequestOp): RequestOp => {
    if ('requestTxn' in given) return { requestTxn: absolute(given.requestTxn, now, leases) }
    if (!('requestPut' in given) || given.requestPut.lease === undefined) return given
    const lease = leases[Number(given.requestPut.lease.slice(1))] ?? '4711'
    return { requestPut: { ...given.requestPut, lease } }
  }
  return {
    compare: (request.compare ?? []).map(given =>
      given.target === 'MOD'
        ? { ...given, modRevision: at(given.modRevision) }
        : { ...given, createRevision: at(given.createRevision) },
    ),
    success: request.success.map(one),
    failure: (request.failure ?? []).map(one),
  }
}
