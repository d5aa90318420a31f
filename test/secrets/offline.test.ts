/** Secrets while the store cannot say what is newest: what is still read, and for how long. */
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { OperatingCode, OperatingError } from '../../src/base/errors.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import type { Store } from '../../src/store/store.ts'
import { openSecrets, tables } from './harness.ts'

/** A store that others share, whose quorum goes and comes. */
class Flaky {
  isGone = false
  /** How often it was asked what is newest. */
  asked = 0

  around(store: Store): Store {
    const gone = (): Promise<never> =>
      Promise.reject(new OperatingError(OperatingCode.unavailable, 'no quorum'))
    return new Proxy(store, {
      get: (target, name) => {
        if (name === 'supports') return { ...target.supports, shared: true }
        if (name === 'readIndex') {
          return () => {
            this.asked++
            return this.isGone ? gone() : target.readIndex()
          }
        }
        if (name === 'write' && this.isGone) return gone
        const value = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
}

async function open(t: Test, maxMs: number) {
  const flaky = new Flaky()
  const age = { atMs: 0, isDegraded: false, ageMs: () => age.atMs }
  const secrets = await openSecrets(t, {
    offline: { age, maxMs },
    open: () => flaky.around(openMemoryStore({ tables, clock: systemClock, random: systemRandom })),
  })
  await secrets.mount('kv', 'secret/')
  await secrets.post('secret/a', { value: 'one' })
  const counted = await secrets.post('auth/token/create', { num_uses: 5 })
  return { flaky, age, secrets, counted: counted.body.auth.client_token as string }
}

t.test('reads go on for a time, and nothing else does', async t => {
  const { flaky, age, secrets, counted } = await open(t, 30_000)
  flaky.isGone = true
  t.equal((await secrets.read('secret/a')).body.data.value, 'one')
  t.equal((await secrets.list('secret/')).status, 200)
  t.equal((await secrets.read('secret/a', { token: 'nobody' })).status, 403)
  await t.rejects(secrets.post('secret/a', { value: 'two' }), /no quorum/)
  await t.rejects(secrets.post('auth/token/create', {}), /no quorum/, 'nothing is given')
  await t.rejects(secrets.post('auth/token/renew-self', {}), /no quorum/)
  await t.rejects(secrets.read('secret/a', { token: counted }), /no quorum/, 'uses are counted')
  await t.rejects(secrets.read('secret/a', { wrapTtlMs: 60_000 }), /no quorum/, 'wrapped is kept')
  Object.assign(age, { atMs: 2_000, isDegraded: true })
  const { asked } = flaky
  t.equal((await secrets.read('secret/a')).status, 200)
  t.equal(flaky.asked, asked, 'it is not waited for each time')
  age.atMs = 30_000
  t.equal((await secrets.read('secret/a')).status, 200)
  age.atMs = 30_001
  await t.rejects(secrets.read('secret/a'), /no quorum/, 'the time is over')
  flaky.isGone = false
  t.equal((await secrets.read('secret/a')).status, 200)
})

t.test('0 is not at all', async t => {
  const { flaky, secrets } = await open(t, 0)
  flaky.isGone = true
  await t.rejects(secrets.read('secret/a'), /no quorum/)
})

t.test('a fault of another kind is told', async t => {
  const { secrets, flaky } = await open(t, 30_000)
  const damaged = new OperatingError(OperatingCode.damaged, 'a row is damaged')
  Object.defineProperty(flaky, 'isGone', {
    get: () => {
      throw damaged
    },
  })
  await t.rejects((async () => secrets.read('secret/a'))(), /damaged/)
})
