/** When history is forgotten, files are defragmented and alarms taken back. */
import t from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import type { MemberHealth } from '../../../../src/store/etcd/member/health.ts'
import { nextUpkeep, type UpkeepSight } from '../../../../src/store/etcd/member/upkeep-plan.ts'

const MIB = 1_048_576
const QUOTA = 1_000 * MIB

const member = (name: string, parts: Partial<MemberHealth> = {}): MemberHealth => ({
  ...{ memberId: `id-${name}`, nodeId: name, peerUrl: '', clientUrl: `https://${name}:2379` },
  ...{ isLearner: false, isLeader: false, isHealthy: true, fault: '' },
  ...{ stableSinceMs: 0, stableForMs: 60_000, lastContactMs: 1, version: '3.4.23' },
  ...{ raftTerm: 2, raftIndex: 100, trailing: 0, revision: 50 },
  ...{ sizeBytes: 100 * MIB, usedSizeBytes: 90 * MIB, alarms: [] },
  ...parts,
})

const NOW_MS = 1_000_000

const next = (members: MemberHealth[], more: Partial<UpkeepSight> = {}) =>
  nextUpkeep({
    ...{ members, history: [], nowMs: NOW_MS, compacted: 0, quotaSizeBytes: QUOTA },
    defragmented: new Map(),
    ...more,
  })

const holey = { sizeBytes: 400 * MIB, usedSizeBytes: 100 * MIB }
const leader = { isLeader: true }
const full = { sizeBytes: QUOTA, usedSizeBytes: 500 * MIB, alarms: ['NOSPACE'] as const }

t.test('upkeep: nothing to do', async t => {
  t.same(next([member('a', leader), member('b'), member('c')]), { work: undefined, trouble: '' })
})

t.test('upkeep: history is forgotten up to the window, when it is worth it', async t => {
  const history = [
    { atMs: NOW_MS - limits.memberHistoryMs - 5_000, revision: 4_000 },
    { atMs: NOW_MS - limits.memberHistoryMs, revision: 5_000 },
    { atMs: NOW_MS - 1_000, revision: 9_000 },
  ]
  t.same(next([member('a', leader)], { history }).work, { kind: 'compact', revision: 5_000 })
  t.equal(next([member('a', leader)], { history, compacted: 4_500 }).work, undefined)
  t.equal(next([member('a', leader)], { history: history.slice(2) }).work, undefined)
})

t.test('upkeep: the leader is defragmented last, when it leads no more', async t => {
  const all = [member('a', { ...leader, ...holey }), member('b', holey), member('c', holey)]
  t.match(next(all).work, { kind: 'defragment', member: { nodeId: 'b' } })
  const last = next([all[0]!, member('b'), member('c')])
  t.match(last.work, { kind: 'move-leader', from: { nodeId: 'a' }, to: { nodeId: 'b' } })
  t.match(next([all[0]!]).work, { kind: 'defragment', member: { nodeId: 'a' } }, 'a single server')
})

t.test('upkeep: not for little, and not while anybody is away', async t => {
  const small = { sizeBytes: 60 * MIB, usedSizeBytes: MIB }
  const half = { sizeBytes: 400 * MIB, usedSizeBytes: 300 * MIB }
  t.equal(next([member('a', leader), member('b', small), member('c', half)]).work, undefined)
  const sick = member('c', { isHealthy: false, fault: 'x' })
  t.equal(next([member('a', leader), member('b', holey), sick]).work, undefined)
})

t.test('upkeep: full: forget, then defragment, then take the alarm back', async t => {
  const history = [{ atMs: NOW_MS - limits.memberHistoryFullMs, revision: 700 }]
  const all = [member('a', { ...leader, ...full }), member('b', full)]
  t.same(next(all, { history, compacted: 500 }).work, { kind: 'compact', revision: 700 })
  t.match(next(all).work, { kind: 'defragment', member: { nodeId: 'b' } })
  const room = { sizeBytes: 500 * MIB }
  const freed = [member('a', { ...leader, ...full, ...room }), member('b', room)]
  t.match(next(freed).work, { kind: 'disarm', members: [{ nodeId: 'a' }] })
})

t.test('upkeep: full of what is in use: the alarm stays, and the way out is said', async t => {
  const used = { ...full, usedSizeBytes: 990 * MIB }
  const all = [member('a', { ...leader, ...used })]
  t.equal(next(all).work?.kind, 'defragment', 'what is in use may be told too high')
  const { work, trouble } = next(all, { defragmented: new Map([['id-a', 0]]) })
  t.equal(work, undefined)
  t.match(trouble, /990 of 1000 MiB are in use.*raise store\.member\.quota_size/)
})

t.test('upkeep: differing data is never touched', async t => {
  const corrupt = { ...full, alarms: ['NOSPACE', 'CORRUPT'] as const }
  const { work, trouble } = next([member('a', leader), member('b', corrupt)])
  t.equal(work, undefined)
  t.match(trouble, /CORRUPT: b.*operator recover/)
})
