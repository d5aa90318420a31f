/** Locks: what the holder is told, and when a hold counts as lost. */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { GatehouseError } from '../../src/client/errors.ts'
import { type LockOptions, takeLock } from '../../src/client/lock.ts'
import { settled } from '../fake/clock.ts'
import { FakeServers, type Seen } from './link-fake.ts'

const TTL_MS = 15_000

/** Servers with one key and sessions s1, s2 … */
class Locking {
  readonly fake = new FakeServers()
  readonly watched: { key: string; session: string; gone: (why: string) => void }[] = []
  unwatched = 0
  isFree = true
  #sessions = 0
  readonly alive = new Set<string>()
  readonly servers = this.fake.to(['a:1', 'b:1'])

  constructor() {
    this.fake.handle = seen => this.#answer(seen)
  }

  take(options: LockOptions = {}) {
    return takeLock('leader', options, {
      clock: this.fake.clock,
      servers: this.servers,
      watch: (key, session, _at, gone) => {
        this.watched.push({ key, session, gone })
        return () => {
          this.unwatched++
        }
      },
    })
  }

  #answer({ method, request }: Seen): object {
    const id = `${request.id ?? request.session}`
    switch (method) {
      case 'Sessions/Create':
        this.alive.add(`s${++this.#sessions}`)
        return { id: `s${this.#sessions}` }
      case 'Sessions/Renew':
        if (!this.alive.has(id)) throw new GatehouseError('NOT_FOUND', 'no such session')
        return { session: null }
      case 'Sessions/Destroy':
        this.alive.delete(id)
        return {}
      case 'Sessions/Lock':
        if (!this.isFree) return { acquired: false, lockIndex: 0, modifyIndex: 0 }
        return { acquired: true, lockIndex: 3, modifyIndex: 77 }
      default:
        return { released: true }
    }
  }
}

t.test('a hold has the index that fences, and is renewed until it is released', async t => {
  const locking = new Locking()
  const { fake } = locking
  const lock = await locking.take({ value: 'me' })
  t.match(lock, { key: 'leader', session: 's1', fencingIndex: 77, lockIndex: 3, isHeld: true })
  t.match(fake.seen[0]?.request, {
    ttl: { seconds: 15 },
    behavior: 'SESSION_BEHAVIOR_RELEASE',
    nodeChecks: { ids: [] },
  })
  t.match(fake.seen[1]?.request, { session: 's1', value: Buffer.from('me') })
  await fake.clock.advance(10 * TTL_MS)
  t.equal(lock.isHeld, true)
  await lock.release()
  t.equal(lock.isHeld, false)
  t.equal(lock.lost.aborted, false)
  t.same(fake.methods.slice(-2), ['Sessions/Unlock', 'Sessions/Destroy'])
  t.equal(locking.unwatched, 1)
  t.equal(fake.clock.timers, 0)
  await lock.release()
})

t.test(
  'lost by our own clock where no server can be reached, before the session can end',
  async t => {
    const { fake, take } = bound(new Locking())
    const lock = await take()
    fake.down.add('a:1').add('b:1')
    await fake.clock.advance(TTL_MS * 0.9 - 1)
    t.equal(lock.isHeld, true)
    await fake.clock.advance(1)
    t.equal(lock.isHeld, false)
    t.equal(lock.lost.aborted, true)
    t.match(lock.lost.reason, { name: 'GatehouseError', code: 'ABORTED' })
    const calls = fake.seen.length
    await lock.release()
    t.equal(fake.seen.length, calls)
    t.equal(fake.clock.timers, 0)
  },
)

t.test('a renewal counts from when it was asked for, not from when it was answered', async t => {
  const { fake, take } = bound(new Locking())
  const lock = await take()
  fake.silent.add('a:1').add('b:1')
  await fake.clock.advance(TTL_MS * 0.9)
  t.equal(lock.isHeld, false)
})

t.test('a process that was stopped sees by the clock that it does not hold any more', async t => {
  const { fake, take } = bound(new Locking())
  const lock = await take()
  fake.clock.elapse(TTL_MS)
  t.equal(lock.isHeld, false, 'although no timer has fired yet')
  t.equal(lock.lost.aborted, false)
})

t.test('lost when its session has ended, or the key is held by nobody or another', async t => {
  const first = new Locking()
  const lock = await first.take()
  first.alive.clear()
  await first.fake.clock.advance(TTL_MS / 3)
  t.match(lock.lost.reason, { message: 'its session has ended' })
  const second = new Locking()
  const other = await second.take()
  second.watched[0]?.gone('the key was deleted')
  t.match(other.lost.reason, { message: 'the key was deleted' })
  t.equal(other.isHeld, false)
  t.equal(second.unwatched, 1)
})

t.test('waits, and not longer than it was told', async t => {
  const locking = new Locking()
  locking.isFree = false
  await t.rejects(locking.take({ waitMs: 0 }), { code: 'ABORTED', retryable: true })
  t.equal(locking.fake.methods.at(-1), 'Sessions/Destroy')
  const waiting = locking.take()
  await settled()
  locking.isFree = true
  await locking.fake.clock.advance(limits.clientRetryMs)
  await waiting
  t.equal(locking.alive.size, 1)
})

t.test('while it waits servers may go, and its session may end', async t => {
  const locking = new Locking()
  const { fake } = locking
  fake.silent.add('a:1').add('b:1')
  fake.silent.delete('a:1')
  const handle = fake.handle
  let isCut = true
  fake.handle = seen => {
    if (seen.method === 'Sessions/Lock' && isCut) {
      isCut = false
      locking.alive.clear()
      throw new GatehouseError('UNAVAILABLE', 'cut', { mayHaveHappened: true })
    }
    return handle(seen)
  }
  const waiting = locking.take()
  await fake.clock.advance(60_000)
  const lock = await waiting
  t.equal(lock.session, 's2')
  t.equal(lock.isHeld, true)
})

t.test('who gives up leaves no session behind', async t => {
  const locking = new Locking()
  locking.isFree = false
  const giveUp = new AbortController()
  const waiting = locking.take({ signal: giveUp.signal })
  locking.fake.handle = (handle => (seen: Seen) => {
    if (seen.method === 'Sessions/Lock') giveUp.abort()
    return handle(seen)
  })(locking.fake.handle)
  await t.rejects(waiting, { code: 'CANCELLED' })
  t.equal(locking.alive.size, 0)
  t.equal(locking.fake.clock.timers, 0)
})

t.test('what makes no sense is refused before a session is made', async t => {
  const locking = new Locking()
  await t.rejects(locking.take({ ttlMs: limits.sessionTtlMinMs - 1 }), { code: 'INVALID_ARGUMENT' })
  const { clock } = locking.fake
  const world = { clock, servers: locking.servers, watch: () => () => {} }
  await t.rejects(takeLock('', {}, world), { code: 'INVALID_ARGUMENT' })
  t.equal(locking.fake.seen.length, 0)
})

function bound(locking: Locking) {
  return { fake: locking.fake, take: (options?: LockOptions) => locking.take(options) }
}
