/** A server's seal: founding, unsealing, sealing, and following what other servers change. */
import t from 'tap'
import { systemRandom } from '../../../src/base/clock.ts'
import { Refusal } from '../../../src/base/errors.ts'
import { limits } from '../../../src/base/limits.ts'
import { openStaticSeal } from '../../../src/secrets/barrier/kind/static.run.ts'
import { restoreSnapshot } from '../../../src/store/snapshot.ts'
import { put, type Store } from '../../../src/store/store.ts'
import { BARRIER_KEY, keyrings, keyUses, seals } from '../../../src/store/tables/seal.ts'
import { archiveOf, inPieces } from '../../conformance/snapshot.ts'
import { FakeClock, settled } from '../../fake/clock.ts'
import { keyringRowOf, sealRowOf } from './rows.ts'
import {
  founded,
  got,
  openStore,
  Peers,
  read,
  recovery,
  refused,
  shamir,
  startServer,
  storeBehind,
  tables,
  unseal,
  until,
  write,
  wrongShare,
} from './world.ts'

const key = () => systemRandom.bytes(32).toString('base64')
const staticSeal = (id = 'one', current = key()) =>
  openStaticSeal(
    { current: { id, key: current }, previous: undefined },
    { random: systemRandom, environment: {} },
  )

t.test('a barrier is founded once, and shares open it', async t => {
  const store = openStore()
  const server = await startServer(t, store)
  const { operator, room } = server
  t.match(operator.sealStatus(), { type: 'shamir', initialized: false, sealed: true, t: 0, n: 0 })
  t.equal(
    refused(await operator.unseal({ key: key(), reset: false, migrate: false })),
    '400 Vault is not initialized',
  )
  const keys = got(await operator.init(shamir()))
  t.equal(keys.keys.length, 5)
  t.match(keys.root_token, /^hvs\.\w{24}$/)
  t.strictSame(
    keys.keys_base64.map((one: string) => Buffer.from(one, 'base64').toString('hex')),
    keys.keys,
  )
  t.equal(Object.keys(keys).join(), 'keys,keys_base64,root_token')
  t.equal(refused(await operator.init(shamir())), '400 Vault is already initialized')
  t.equal(room.barrier(), undefined, 'it is sealed still')
  const [a, b, c] = keys.keys
  const first = got(await operator.unseal({ key: a, reset: false, migrate: false }))
  t.match(first, { progress: 1, t: 3, n: 5, sealed: true })
  t.not(first.nonce, '')
  const again = got(await operator.unseal({ key: a, reset: false, migrate: false }))
  t.match(again, { progress: 1, nonce: first.nonce }, 'a share counts once')
  const inBase64 = Buffer.from(b, 'hex').toString('base64')
  got(await operator.unseal({ key: inBase64, reset: false, migrate: false }))
  const last = got(await operator.unseal({ key: c, reset: false, migrate: false }))
  t.match(last, { sealed: false, progress: 0, nonce: '', cluster_name: 'cluster' })
  t.notOk('warnings' in last)
  await write(store, room.barrier()!, 'a', { says: 'hello' })
  t.strictSame(read(store, room.barrier(), 'a'), { says: 'hello' })
})

t.test('wrong shares are told once there are enough, and are forgotten then', async t => {
  const store = openStore()
  const server = await startServer(t, store)
  const { operator } = server
  const { keys } = got(await operator.init(shamir(3, 2)))
  const other = wrongShare(keys[1])
  const enter = (share: string) => operator.unseal({ key: share, reset: false, migrate: false })
  got(await enter(other))
  t.equal(refused(await enter(keys[0])), '400 unseal failed, invalid key')
  t.match(operator.sealStatus(), { progress: 0, nonce: '', sealed: true })
  got(await enter(keys[1]))
  const reset = got(await operator.unseal({ key: '', reset: true, migrate: false }))
  t.match(reset, { progress: 0, nonce: '' })
  await unseal(server, [keys[0], keys[2]])
  t.match(operator.sealStatus(), { sealed: false })
  t.equal(
    refused(await operator.unseal({ key: '', reset: true, migrate: false })),
    '400 vault is unsealed',
  )
  const noKey = await operator.unseal({ key: '', reset: false, migrate: false })
  t.equal(
    refused(noKey),
    "400 'key' must be specified in request body as JSON, or 'reset' set to true",
  )
  t.equal(refused(await enter('%%')), "400 'key' must be a valid hex or base64 string")
  t.equal(refused(await enter('abcd')), '400 key is shorter than minimum 16 bytes')
  t.equal(refused(await enter('ab'.repeat(40))), '400 key is longer than maximum 33 bytes')
})

t.test('one share is the key itself', async t => {
  const store = openStore()
  const { keys, room } = await founded(t, store, {}, shamir(1, 1))
  t.equal(keys.keys[0].length, 64)
  t.ok(room.barrier())
})

t.test('what a first set of keys cannot be', async t => {
  const server = await startServer(t, openStore())
  const asked = async (counts: object, more: object = {}): Promise<string> =>
    refused(await server.operator.init({ ...shamir(), ...counts, ...more }))
  const counts = (secretShares: number, secretThreshold: number) => ({
    secretShares,
    secretThreshold,
  })
  const prefix = '400 invalid seal configuration: '
  t.equal(await asked(counts(0, 0)), `${prefix}shares must be at least one`)
  t.equal(await asked(counts(-1, 1)), `${prefix}shares must be at least one`)
  t.equal(await asked(counts(5, 0)), `${prefix}threshold must be at least one`)
  t.equal(
    await asked(counts(5, 1)),
    `${prefix}threshold must be greater than one for multiple shares`,
  )
  t.equal(await asked(counts(256, 2)), `${prefix}shares must be less than 256`)
  t.equal(await asked(counts(3, 4)), `${prefix}threshold cannot be larger than shares`)
  t.equal(
    await asked({}, { recoveryShares: 5, recoveryThreshold: 3 }),
    '400 parameters recovery_shares,recovery_threshold not applicable to seal type shamir',
  )
  t.equal(
    await asked({}, { pgpKeys: ['AAAA'] }),
    `${prefix}count mismatch between number of provided PGP keys and number of shares`,
  )
  t.match(await asked(counts(1, 1), { pgpKeys: ['AAAA'] }), /error parsing given PGP key/)
  t.match(await asked({}, { rootTokenPgpKey: 'AAAA' }), /error parsing given PGP key/)
  t.match(server.operator.initStatus(), { initialized: false }, 'nothing was done')
  const automatic = await startServer(t, openStore(), { kind: await staticSeal() })
  t.equal(
    refused(await automatic.operator.init(shamir())),
    '400 parameters secret_shares,secret_threshold not applicable to seal type static',
  )
})

t.test('sealing wipes the keys: who holds the keyring still has nothing', async t => {
  const store = openStore()
  const { room, operator } = await founded(t, store)
  const held = room.barrier()!
  await write(store, held, 'a', 1)
  let told = 0
  room.onChange(() => told++)
  await operator.seal()
  t.equal(room.barrier(), undefined)
  t.equal(told, 1)
  t.throws(() => read(store, held, 'a'), /Vault is sealed/)
  t.throws(() => held.seal('place', Buffer.from('a'), systemRandom), /Vault is sealed/)
  t.throws(() => held.hashOf('a'), /Vault is sealed/)
  t.match(operator.sealStatus(), { warnings: ['sealed: an operator sealed it', /registry/] })
  for (const answer of [
    operator.keyStatus(),
    await operator.rekeyStatus('root'),
    await operator.rootTokenStatus(),
  ]) {
    t.equal(refused(answer), '503 Vault is sealed')
  }
})

t.test('a new term seals, older ones open; a restart knows all of them', async t => {
  const store = openStore()
  const { room, operator, keys } = await founded(t, store)
  await write(store, room.barrier()!, 'old', 1)
  t.match(operator.keyStatus(), { term: 1 })
  got(await operator.rotate())
  t.match(operator.keyStatus(), { term: 2, install_time: /^\d{4}-/ })
  await write(store, room.barrier()!, 'new', 2)
  await room.stop()
  const restarted = await startServer(t, store)
  await unseal(restarted, keys.keys.slice(2))
  t.equal(read(store, restarted.room.barrier(), 'old'), 1)
  t.equal(read(store, restarted.room.barrier(), 'new'), 2)
})

t.test('other servers follow rotations, new root keys and new shares as they come', async t => {
  const store = openStore()
  const first = await founded(t, store)
  const second = await startServer(t, store)
  await unseal(second, first.keys.keys)
  got(await first.operator.rotate())
  await write(store, first.room.barrier()!, 'a', 1)
  t.equal(read(store, second.room.barrier(), 'a'), 1, 'at the first value of the new term')
  got(await second.operator.rotateRoot())
  got(await first.operator.rotate())
  got(await first.operator.rotateRoot())
  await write(store, first.room.barrier()!, 'b', 2)
  t.equal(read(store, second.room.barrier(), 'b'), 2)
  await until(() => second.room.term()?.term === 3)
  got(await second.operator.rotate())
  await write(store, second.room.barrier()!, 'c', 3)
  t.equal(read(store, first.room.barrier(), 'c'), 3)
  const third = await startServer(t, store)
  await unseal(third, first.keys.keys)
  for (const [path, value] of Object.entries({ a: 1, b: 2, c: 3 })) {
    t.equal(read(store, third.room.barrier(), path), value, 'the shares are right still')
  }
})

t.test('who sees many changes at once follows all of them', async t => {
  const store = openStore()
  const first = await founded(t, store)
  const second = await startServer(t, store)
  await unseal(second, first.keys.keys)
  // The second one sees nothing of it until the last is there.
  const view = store.view()
  const isBehind = { value: true }
  const shown = store.view.bind(store)
  await second.room.stop()
  const behind = storeBehind(store, () => (isBehind.value ? view : shown()))
  const late = await startServer(t, behind)
  await unseal(late, first.keys.keys)
  for (let i = 0; i < 6; i++) {
    got(await first.operator.rotate())
    got(await first.operator.rotateRoot())
  }
  await write(store, first.room.barrier()!, 'a', 1)
  isBehind.value = false
  t.equal(read(store, late.room.barrier(), 'a'), 1)
  t.equal(late.room.term()?.term, 7)
})

t.test('who missed too much seals itself, and another server opens it', async t => {
  const clock = new FakeClock()
  const store = openStore(clock)
  const peers = new Peers()
  const first = await founded(t, store, { clock })
  peers.rooms.push(first.room)
  const view = store.view()
  const isBehind = { value: true }
  const late = await startServer(
    t,
    storeBehind(store, () => (isBehind.value ? view : store.view())),
    { clock },
  )
  await unseal(late, first.keys.keys)
  got(await first.operator.rotate())
  got(await first.operator.rotateRoot())
  await clock.advance(limits.sealTrailMs)
  await clock.advance(limits.sealLookMs)
  t.strictSame(keyringRowOf(store).trail, [], 'the trail goes')
  await write(store, first.room.barrier()!, 'a', 1)
  isBehind.value = false
  t.throws(() => read(store, late.room.barrier(), 'a'), /Vault is sealed/)
  t.match(late.operator.sealStatus(), { sealed: true, warnings: [/could not follow/] })
  const again = await startServer(t, store, { clock, peers })
  t.equal(read(store, again.room.barrier(), 'a'), 1)
})

t.test('changes that are asked for at once are made one after the other', async t => {
  const store = openStore()
  const first = await founded(t, store)
  const second = await startServer(t, store)
  await unseal(second, first.keys.keys)
  const asked = [first, second, first, second].flatMap(({ operator }) => [
    operator.rotateRoot(),
    operator.setRotationConfig({ isEnabled: true }),
  ])
  t.strictSame(
    await Promise.all(asked),
    asked.map(() => true),
  )
  t.equal(keyringRowOf(store).version, 1 + asked.length)
  t.ok(first.room.barrier())
  t.ok(second.room.barrier())
})

t.test('of two that rotate at once, one begins the new term', async t => {
  const store = openStore()
  const first = await founded(t, store)
  const second = await startServer(t, store)
  await unseal(second, first.keys.keys)
  const came = await Promise.all([first.operator.rotate(), second.operator.rotate()])
  t.strictSame(came, [true, true])
  t.match(first.operator.keyStatus(), { term: 2 })
})

t.test('an operator seals every server, and shares entered on one open all', async t => {
  const clock = new FakeClock()
  const store = openStore(clock)
  const peers = new Peers()
  const one = await founded(t, store, { peers, clock })
  const others = [
    await startServer(t, store, { peers, clock }),
    await startServer(t, store, { peers, clock }),
  ]
  const all = [one, ...others]
  for (const { room } of all) peers.rooms.push(room)
  const isOpen = () => all.map(({ room }) => room.barrier() !== undefined)
  await clock.advance(limits.sealPeerMs)
  t.strictSame(isOpen(), [true, true, true], 'those that started were unsealed by the first')
  await others[0]!.operator.seal()
  await settled()
  t.strictSame(isOpen(), [false, false, false])
  await clock.advance(10 * limits.sealPeerMs)
  t.strictSame(isOpen(), [false, false, false], 'and stay so')
  await unseal(others[1]!, one.keys.keys)
  await clock.advance(limits.sealPeerMs)
  t.strictSame(isOpen(), [true, true, true])
})

t.test('who does not know yet that an operator sealed all hands nothing over', async t => {
  const store = openStore()
  const { room } = await founded(t, store)
  t.ok(Buffer.isBuffer(room.handOver(0)))
  t.equal(refused(room.handOver(1)), '503 Vault is sealed')
})

t.test('a seal that an operator closed cannot be told to the others stays closed here', async t => {
  const store = openStore()
  const peers = new Peers()
  const clock = new FakeClock()
  const first = await founded(t, store, { peers, clock })
  const second = await startServer(t, store, { peers, clock })
  await unseal(second, first.keys.keys)
  peers.rooms.push(second.room)
  const failing = { write: store.write.bind(store) }
  store.write = () => Promise.reject(new Error('no quorum'))
  await t.rejects(first.operator.seal(), /no quorum/)
  store.write = failing.write
  await clock.advance(10 * limits.sealPeerMs)
  t.equal(first.room.barrier(), undefined)
  t.ok(second.room.barrier())
  await unseal(first, first.keys.keys)
  t.ok(first.room.barrier())
})

t.test(
  'a static seal opens at the start, and again after a halt by its recovery key alone',
  async t => {
    const store = openStore()
    const current = key()
    const clock = new FakeClock()
    const { room, operator, keys } = await founded(t, store, {
      kind: await staticSeal('one', current),
      clock,
    })
    t.equal(keys.keys.length, 0)
    t.equal(keys.recovery_keys.length, 5)
    t.match(operator.sealStatus(), {
      ...{
        type: 'static',
        sealed: false,
        recovery_seal: true,
        recovery_seal_type: 'shamir',
        t: 3,
        n: 5,
      },
    })
    await write(store, room.barrier()!, 'a', 1)
    const second = await startServer(t, store, { kind: await staticSeal('one', current), clock })
    t.equal(read(store, second.room.barrier(), 'a'), 1)
    await operator.seal()
    await clock.advance(2 * limits.sealRetryMaxMs)
    t.strictSame([room.barrier(), second.room.barrier()], [undefined, undefined], 'it stays sealed')
    await unseal(second, keys.recovery_keys)
    t.equal(read(store, second.room.barrier(), 'a'), 1)
    const restarted = await startServer(t, store, { kind: await staticSeal('one', current), clock })
    t.ok(restarted.room.barrier(), 'a new start opens too')
  },
)

t.test('recovery shares that are wrong open nothing', async t => {
  const store = openStore()
  const current = key()
  const { operator, keys } = await founded(
    t,
    store,
    { kind: await staticSeal('one', current) },
    recovery(2, 2),
  )
  await operator.seal()
  const enter = (share: string) => operator.unseal({ key: share, reset: false, migrate: false })
  got(await enter(keys.recovery_keys[0]))
  t.equal(refused(await enter(wrongShare(keys.recovery_keys[1]))), '400 unseal failed, invalid key')
  t.match(operator.sealStatus(), { sealed: true })
})

t.test('a seal that does not open is tried again, and status says why', async t => {
  const store = openStore()
  const clock = new FakeClock()
  const current = key()
  await founded(t, store, { kind: await staticSeal('one', current), clock })
  const kind = await staticSeal('one', current)
  let failures = 3
  let tries = 0
  const flaky: typeof kind = {
    ...kind,
    unwrap: text => {
      tries++
      return failures-- > 0 ? Promise.reject(new Error('it is away')) : kind.unwrap(text)
    },
  }
  const { room, operator } = await startServer(t, store, { kind: flaky, clock })
  t.match(operator.sealStatus(), {
    sealed: true,
    warnings: [/its seal \(static\) does not open: it is away/],
  })
  await clock.advance(limits.sealRetryMs)
  t.equal(tries, 2)
  await clock.advance(limits.sealRetryMs)
  t.equal(tries, 2, 'pauses grow')
  await clock.advance(limits.sealRetryMaxMs)
  t.ok(room.barrier())
  t.equal(tries, 4)
})

t.test('a newer static key seals the root key anew, and then does alone', async t => {
  const store = openStore()
  const [old, next] = [key(), key()]
  await founded(t, store, { kind: await staticSeal('old', old) })
  const both = await openStaticSeal(
    { current: { id: 'next', key: next }, previous: { id: 'old', key: old } },
    { random: systemRandom, environment: {} },
  )
  const exchanging = await startServer(t, store, { kind: both })
  t.ok(exchanging.room.barrier())
  const alone = await startServer(t, store, { kind: await staticSeal('next', next) })
  t.ok(alone.room.barrier())
  const behind = await startServer(t, store, { kind: await staticSeal('old', old) })
  t.equal(behind.room.barrier(), undefined)
  t.match(behind.operator.sealStatus(), { warnings: [/no key "next": name it as previous_key_id/] })
})

t.test('from shares to a static seal and back', async t => {
  const store = openStore()
  const { room, keys } = await founded(t, store)
  await write(store, room.barrier()!, 'a', 1)
  await room.stop()
  const current = key()
  const kind = await staticSeal('one', current)
  const moved = await startServer(t, store, { kind })
  t.match(moved.operator.sealStatus(), { migration: true, type: 'shamir', sealed: true })
  const enter = (server: typeof moved, share: string, migrate: boolean) =>
    server.operator.unseal({ key: share, reset: false, migrate })
  t.match(refused(await enter(moved, keys.keys[0], false)), /^400 migrate option not provided/)
  for (const share of keys.keys.slice(0, 3)) got(await enter(moved, share, true))
  t.match(moved.operator.sealStatus(), {
    migration: false,
    type: 'static',
    sealed: false,
    t: 3,
    n: 5,
  })
  await moved.room.stop()
  const automatic = await startServer(t, store, { kind: await staticSeal('one', current) })
  t.equal(read(store, automatic.room.barrier(), 'a'), 1)
  await automatic.room.stop()
  const back = await startServer(t, store, { formerKind: await staticSeal('one', current) })
  t.match(back.operator.sealStatus(), { migration: true, type: 'static' })
  for (const share of keys.keys.slice(1, 4)) got(await enter(back, share, true))
  t.match(back.operator.sealStatus(), {
    migration: false,
    type: 'shamir',
    sealed: false,
    t: 3,
    n: 5,
  })
  await back.room.stop()
  const plain = await startServer(t, store)
  t.match(refused(await enter(plain, keys.keys[0], true)), /^400 can't perform a seal migration/)
  await unseal(plain, keys.keys.slice(2))
  t.equal(read(store, plain.room.barrier(), 'a'), 1)
})

t.test('a seal is exchanged on a server that others have opened already', async t => {
  const store = openStore()
  const peers = new Peers()
  const first = await founded(t, store)
  peers.rooms.push(first.room)
  const current = key()
  const moved = await startServer(t, store, { kind: await staticSeal('one', current), peers })
  t.match(moved.operator.sealStatus(), { sealed: false, migration: true, type: 'shamir' })
  const enter = (share: string) =>
    moved.operator.unseal({ key: share, reset: false, migrate: true })
  const before = moved.room.barrier()
  t.match(await enter(first.keys.keys[0]), { progress: 1, sealed: false })
  got(await enter(first.keys.keys[1]))
  got(await enter(first.keys.keys[2]))
  t.match(moved.operator.sealStatus(), { sealed: false, migration: false, type: 'static' })
  t.equal(moved.room.barrier(), before, 'nothing was interrupted')
  await write(store, moved.room.barrier()!, 'a', 1)
  t.equal(read(store, first.room.barrier(), 'a'), 1)
  const alone = await startServer(t, store, { kind: await staticSeal('one', current) })
  t.equal(read(store, alone.room.barrier(), 'a'), 1)
})

t.test('uses are reserved in blocks, and a term that is used up ends', async t => {
  const store = openStore()
  const { room, operator } = await founded(t, store)
  await until(() => store.view().prefix(keyUses, '').length > 0)
  const before = got(operator.keyStatus()).encryptions
  await write(store, room.barrier()!, 'a', 1)
  t.equal(got(operator.keyStatus()).encryptions, before + 1)
  const barrier = room.barrier()!
  for (let i = 0; i < limits.termBlockOperations; i++) {
    barrier.seal('p', Buffer.alloc(0), systemRandom)
    if (i % 1_000 === 0) await settled(1)
  }
  await until(() => barrier.allowed > limits.termBlockOperations)
  t.equal(store.view().prefix(keyUses, '')[0]?.row.reserved, barrier.allowed)
  // A block of another server fills the term.
  got(await operator.setRotationConfig({ maxOperations: 1_000_000 }))
  await store.write(() => ({
    txn: [put(keyUses, '0000000001/other', { term: 1, serverId: 'other', reserved: 950_000 })],
    answer: true,
  }))
  for (let i = 0; i < limits.termBlockOperations; i++) {
    if (barrier.term === 2) break
    barrier.seal('p', Buffer.alloc(0), systemRandom)
    if (i % 1_000 === 0) await settled(1)
  }
  await until(() => barrier.term === 2)
  await until(() =>
    store
      .view()
      .prefix(keyUses, '')
      .every(({ row }) => row.term === 2),
  )
  t.match(operator.keyStatus(), { term: 2 })
})

t.test('who cannot have uses counted stops sealing', async t => {
  const store = openStore()
  const { room } = await founded(t, store)
  const barrier = room.barrier()!
  await until(() => barrier.isReserved)
  store.write = () => Promise.reject(new Error('no quorum'))
  const seal = (): Buffer => barrier.seal('p', Buffer.alloc(0), systemRandom)
  while (barrier.sealedInTerm < barrier.allowed) seal()
  t.throws(seal, /cannot be counted/)
})

t.test('a term ends by time', async t => {
  const clock = new FakeClock()
  const store = openStore(clock)
  const { operator } = await founded(t, store, { clock })
  got(await operator.setRotationConfig({ intervalMs: 1_000 }))
  t.match(operator.rotationConfig(), { interval: 86_400, enabled: true }, 'a day at least')
  await clock.advance(limits.termIntervalMinMs - limits.sealLookMs)
  t.match(operator.keyStatus(), { term: 1 })
  await clock.advance(2 * limits.sealLookMs)
  t.match(operator.keyStatus(), { term: 2 })
  got(await operator.setRotationConfig({ isEnabled: false }))
  await clock.advance(2 * limits.termIntervalMinMs)
  t.match(operator.keyStatus(), { term: 2 })
  t.match(
    refused(await operator.setRotationConfig({ maxOperations: 5 })),
    /^400 max_operations must be in the range \[1000000,3865470566\]/,
  )
})

t.test('a keyring that was rolled back seals whoever knew the newer one', async t => {
  const store = openStore()
  const { operator, room } = await founded(t, store)
  const old = keyringRowOf(store)
  got(await operator.rotate())
  await store.write(() => ({ txn: [put(keyrings, BARRIER_KEY, old)], answer: true }))
  await until(() => room.barrier() === undefined)
  t.match(operator.sealStatus(), { warnings: [/rolled back/] })
})

t.test('rows of the seal that were changed or exchanged open nothing', async t => {
  const store = openStore()
  const { room, keys, operator } = await founded(t, store)
  const seal = sealRowOf(store)
  const keyring = keyringRowOf(store)
  got(await operator.rotateRoot())
  const [newSeal, newKeyring] = [sealRowOf(store), keyringRowOf(store)]
  await room.stop()
  const attempt = async (what: string, row: object, ring: object): Promise<void> => {
    await store.write(() => ({
      txn: [put(seals, BARRIER_KEY, row as never), put(keyrings, BARRIER_KEY, ring as never)],
      answer: true,
    }))
    const { operator } = await startServer(t, store)
    const enter = (share: string) => operator.unseal({ key: share, reset: false, migrate: false })
    for (const share of keys.keys.slice(0, 2)) await enter(share)
    t.equal(refused(await enter(keys.keys[2])), '400 unseal failed, invalid key', what)
  }
  const other = { ...newKeyring, sealed: newKeyring.trail[0]!.sealed }
  await attempt('the old root key', seal, newKeyring)
  await attempt('the old keyring', newSeal, keyring)
  await attempt('other numbers of shares', { ...newSeal, shares: 4 }, newKeyring)
  await attempt('what is sealed exchanged', newSeal, other)
  await attempt('cut', newSeal, { ...newKeyring, sealed: newKeyring.sealed.slice(0, -4) })
  await attempt('the root key in the place of the keyring', newSeal, {
    ...newKeyring,
    sealed: newSeal.sealedRootKey,
  })
})

/** An archive of a store, restored later. */
async function archived(store: Store): Promise<() => Promise<void>> {
  const archive = await archiveOf(store, tables)
  return async () => {
    const came = await restoreSnapshot(store, inPieces(archive), undefined, tables)
    if (came instanceof Refusal) throw new Error(came.text)
  }
}

t.test('an archive of the same root key is read on, with the terms of its time', async t => {
  const store = openStore()
  const { room, operator, keys } = await founded(t, store)
  await write(store, room.barrier()!, 'a', 'old')
  const restore = await archived(store)
  got(await operator.rotate())
  await write(store, room.barrier()!, 'a', 'new')
  await restore()
  await until(() => room.term()?.term === 1)
  t.equal(read(store, room.barrier(), 'a'), 'old')
  await write(store, room.barrier()!, 'b', 1)
  const other = await startServer(t, store)
  await unseal(other, keys.keys)
  t.equal(read(store, other.room.barrier(), 'b'), 1)
})

t.test('an archive of other keys seals, until the shares of its time are entered', async t => {
  const store = openStore()
  const { room, operator, keys } = await founded(t, store, {}, shamir(3, 2))
  await write(store, room.barrier()!, 'a', 'old')
  const restore = await archived(store)
  const { nonce } = got(
    await operator.rekeyStart('root', {
      ...{ shares: 2, threshold: 2, pgpKeys: [], backup: false, requireVerification: false },
    }),
  )
  for (const share of keys.keys.slice(0, 2)) got(await operator.rekeyUpdate('root', share, nonce))
  await restore()
  await until(() => room.barrier() === undefined)
  t.match(operator.sealStatus(), { n: 3, warnings: [/the store was restored from an archive/] })
  await unseal({ room, operator }, keys.keys.slice(0, 2))
  t.equal(read(store, room.barrier(), 'a'), 'old')
})

t.test('an archive from before there was a barrier leaves none', async t => {
  const store = openStore()
  const restore = await archived(store)
  const { room, operator } = await founded(t, store)
  await restore()
  await until(() => room.barrier() === undefined)
  t.match(operator.sealStatus(), { initialized: false, sealed: true })
  got(await operator.init(shamir(1, 1)))
})

t.test('counts of a term and of halts do not go back with an archive', async t => {
  const store = openStore()
  const server = await founded(t, store)
  const restore = await archived(store)
  await until(() => store.view().prefix(keyUses, '').length > 0)
  await server.operator.seal()
  await unseal(server, server.keys.keys)
  await restore()
  await until(() => server.room.barrier() !== undefined)
  t.ok((store.view().prefix(keyUses, '')[0]?.row.reserved ?? 0) > 0)
  t.equal(refused(server.room.handOver(2)), '503 Vault is sealed')
  t.ok(Buffer.isBuffer(server.room.handOver(1)))
})
