/**
 * What ends by time: when it is due, and what is left when it ends.
 */
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import { checkTtl, registryTimers, sessionTtl } from '../../src/registry/timers.ts'
import { put } from '../../src/store/store.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { lockDelays } from '../../src/store/tables/session.ts'
import type { AnyDeadlineKind, DeadlineKind } from '../../src/store/timekeeper.ts'
import type { Version } from '../../src/store/view.ts'
import { putCheck, putSession, ruled, viewOf } from './rules.ts'

const now = { wallMs: wallMs(0) }

function dueOf<R>(kind: DeadlineKind<R>, view: Version, key: string): unknown {
  return kind.due(view.get(kind.table, key)!, now)
}

t.test('a session is due so many of its TTLs after it was last heard of', async t => {
  const held = put(kv, 'k', { value: Buffer.from(''), flags: 0n, session: 's', lockIndex: 1 })
  const view = viewOf(
    putSession('s', 'n', { ttl: '10s', ttlMs: 10_000, lockDelayMs: 5 }),
    putSession('ever', 'n'),
    held,
  )
  t.strictSame(dueOf(sessionTtl, view, 's'), { afterMs: 10_000 * limits.sessionTtlFactor })
  t.equal(dueOf(sessionTtl, view, 'ever'), undefined)
  t.strictSame(ruled(view, sessionTtl.expire('s')), [
    'del sessions s',
    'put kv k',
    'put lock-delays k',
    'answer true',
  ])
})

t.test('a lock delay is over after its own time', async t => {
  const kind = registryTimers(0).find(({ table }) => table === lockDelays)!
  const view = viewOf(put(lockDelays, 'k', { delayMs: 15_000 }))
  t.strictSame(dueOf(kind, view, 'k'), { afterMs: 15_000 })
  t.strictSame(ruled(view, kind.expire('k')), ['del lock-delays k', 'answer undefined'])
})

t.test('a registration is due its TTL after it was last heard of, then its end', async t => {
  const definition = { ttlMs: 5_000, deregisterCriticalServiceAfterMs: 30_000 }
  const view = viewOf(
    putCheck('n', 'well', { definition }),
    putCheck('n', 'ill', { definition, status: 'critical' }),
    putCheck('n', 'stays', { definition: { ttlMs: 5_000 }, status: 'critical' }),
    putCheck('n', 'probed', {
      definition: { http: 'http://x/', deregisterCriticalServiceAfterMs: 30_000 },
      status: 'critical',
    }),
  )
  const end = (deregisterMinMs: number) =>
    registryTimers(deregisterMinMs).find(({ name }) => name === 'check-critical')!
  const due = (kind: AnyDeadlineKind) =>
    ['well', 'ill', 'stays', 'probed'].map(id => dueOf(kind, view, onNode('n', id)))
  t.strictSame(due(checkTtl), [{ afterMs: 5_000 }, undefined, undefined, undefined])
  t.strictSame(due(end(0)), [undefined, { afterMs: 30_000 }, undefined, undefined])
  t.strictSame(due(end(60_000)), [undefined, { afterMs: 60_000 }, undefined, undefined])
  t.strictSame(ruled(view, checkTtl.expire(onNode('n', 'well'))), [
    'put checks n|well',
    'answer true',
  ])
  t.strictSame(ruled(view, end(0).expire(onNode('n', 'ill'))), [
    'del checks n|ill',
    'del checks n|probed',
    'del checks n|stays',
    'del checks n|well',
    'answer true',
  ])
})
