/** Keys rotate by themselves when they are due, and not before; pairs are drawn by the duty. */
import { createPublicKey, randomBytes } from 'node:crypto'
import tap, { type Test } from 'tap'
import { type Clock, systemClock, systemRandom } from '../../../../src/base/clock.ts'
import { silentLog } from '../../../../src/base/log.ts'
import { wrapKey } from '../../../../src/secrets/engine/transit/key/wrap.run.ts'
import { areaOf, mountAt } from '../../../../src/secrets/mount/mount.ts'
import { ROOT } from '../../../../src/secrets/namespace/namespace.ts'
import { giveWrappingKey, openTransit } from './transit.ts'

const HOUR_MS = 3_600_000

/** A mount whose clock a test moves, and what the timekeeper and its holder would do. */
async function open(t: Test) {
  let aheadMs = 0
  const clock: Clock = { ...systemClock, wall: () => (systemClock.wall() + aheadMs) as never }
  const transit = await openTransit(t, { clock })
  const { secrets } = transit
  const engine = secrets.engines.of('secret', 'transit')!
  return {
    ...transit,
    /** Lets time go by, and ends what is over then; gives how many rows were. */
    async pass(ms: number): Promise<number> {
      aheadMs += ms
      let ended = 0
      await secrets.write(draft => {
        const area = areaOf(mountAt(draft, ROOT, 'secret', 'transit/')!)
        const storage = draft.area('root', area)
        for (const path of storage.keys()) {
          const { kind, dueMs = Number.POSITIVE_INFINITY } = storage.header(path) ?? {}
          if (dueMs > clock.wall()) continue
          const place = { namespaceId: 'root', area, path }
          Object.defineProperty(draft, 'now', { value: clock.wall() })
          engine.ends!.find(end => end.kind === kind)!.end(draft, place)
          ended++
        }
      })
      return ended
    },
    /** One round of the duty's work. */
    async work(): Promise<void> {
      const { store } = secrets
      const ports = { store, random: systemRandom, log: silentLog, barrier: () => secrets.barrier }
      const stop = new AbortController()
      // The wait between two rounds ends the duty.
      const after: Clock['after'] = () => {
        queueMicrotask(() => stop.abort())
        return { clear: () => {} }
      }
      const [duty] = engine.duties!({ ...ports, clock: { ...clock, after } })
      await duty!(stop.signal, decide => decide)
    },
  }
}

tap.test('bytes are drawn as the key is over', async t => {
  const { post, read, pass } = await open(t)
  await post('keys/a', { auto_rotate_period: '2h' })
  await post('keys/never')
  const latest = async (name: string) => (await read(`keys/${name}`)).body.data.latest_version
  t.equal(await pass(HOUR_MS), 0)
  t.equal(await latest('a'), 1)
  t.equal(await pass(HOUR_MS + 60_000), 1)
  t.equal(await latest('a'), 2)
  t.equal(await pass(HOUR_MS), 0)
  await post('keys/a/rotate')
  t.equal(await pass(HOUR_MS + 60_000), 0, 'a rotation by hand counts')
  await post('keys/a/config', { auto_rotate_period: 0 })
  t.equal(await pass(10 * HOUR_MS), 0)
  t.equal(await latest('never'), 1)
})

tap.test('pairs are drawn by the duty, once', async t => {
  const { post, read, pass, work } = await open(t)
  for (const type of ['rsa-2048', 'ed25519'])
    await post(`keys/${type}`, { type, auto_rotate_period: '1h' })
  t.equal(await pass(HOUR_MS + 60_000), 2)
  const latest = async (name: string) => (await read(`keys/${name}`)).body.data.latest_version
  t.equal(await latest('rsa-2048'), 1)
  await work()
  t.equal(await latest('rsa-2048'), 2)
  t.equal(await latest('ed25519'), 2)
  await work()
  t.equal(await latest('rsa-2048'), 2)
  t.equal(await pass(HOUR_MS / 2), 0)
})

tap.test('one that was rotated by hand, put away or deleted meanwhile is left alone', async t => {
  const { post, read, remove, pass, work, secrets } = await open(t)
  const names = ['by-hand', 'away', 'deleted']
  for (const name of names)
    await post(`keys/${name}`, { type: 'ed25519', auto_rotate_period: '1h' })
  t.equal(await pass(HOUR_MS + 60_000), 3)
  await post('keys/by-hand/rotate')
  await remove('keys/away/soft-delete')
  await post('keys/deleted/config', { deletion_allowed: true })
  await remove('keys/deleted')
  await work()
  const latest = async (name: string) => (await read(`keys/${name}`)).body.data.latest_version
  t.equal(await latest('by-hand'), 2)
  t.equal(await latest('away'), 1)
  t.equal((await read('keys/deleted')).status, 404)
  t.strictSame(
    secrets.rows().filter(row => row.includes('transit-rotations')),
    [],
  )
  await post('keys/away/soft-delete-restore')
  t.equal(await pass(0), 1, 'it is due as soon as it is back')
  await work()
  t.equal(await latest('away'), 2)
})

tap.test('an imported key rotates by itself where it may rotate', async t => {
  const { post, read, pass, secrets } = await open(t)
  await giveWrappingKey(secrets)
  const target = createPublicKey((await read('wrapping_key')).body.data.public_key)
  const how = { hash: 'sha256', ephemeral: randomBytes(32) }
  const ciphertext = wrapKey(target, randomBytes(32), how).toString('base64')
  await post('keys/may/import', { ciphertext, allow_rotation: true, auto_rotate_period: '1h' })
  await post('keys/may-not/import', { ciphertext })
  await post('keys/may-not/config', { auto_rotate_period: '1h' })
  t.equal(await pass(2 * HOUR_MS), 1)
  const after = (await read('keys/may')).body.data
  t.match(after, { latest_version: 2, imported_key: false })
  t.equal((await read('keys/may-not')).body.data.latest_version, 1)
})

tap.test('nothing is done while this server is sealed', async t => {
  const { post, read, pass, work, secrets } = await open(t)
  await post('keys/a', { type: 'ed25519', auto_rotate_period: '1h' })
  await pass(HOUR_MS + 60_000)
  const { barrier } = secrets
  secrets.barrier = undefined
  await work()
  secrets.barrier = barrier
  t.equal((await read('keys/a')).body.data.latest_version, 1)
  await work()
  t.equal((await read('keys/a')).body.data.latest_version, 2)
})
