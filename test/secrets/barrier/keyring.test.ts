/** What is sealed opens where it was sealed for, whole and unchanged, and nowhere else. */
import fc from 'fast-check'
import t from 'tap'
import { systemRandom } from '../../../src/base/clock.ts'
import { seededRandom } from '../../../src/base/prng.ts'
import { Keyring } from '../../../src/secrets/barrier/keyring.ts'
import { Draft } from '../../../src/secrets/storage.ts'
import { put, type Store } from '../../../src/store/store.ts'
import type { Cell } from '../../../src/store/table.ts'
import { type SealedRow, secretData } from '../../../src/store/tables/secret.ts'
import { propertyRuns } from '../../run/budget.ts'
import { keyringOf, openStore } from './world.ts'

t.test('every text comes back, in its own place alone', async () => {
  const keyring = keyringOf(1)
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.string(),
      fc.string(),
      (bytes, one, other) => {
        const sealed = keyring.seal(one, bytes, systemRandom)
        const opened = keyring.open(one, sealed)
        const elsewhere = one === other ? undefined : keyring.open(other, sealed)
        return opened?.equals(bytes) === true && elsewhere === undefined
      },
    ),
    { numRuns: propertyRuns() },
  )
})

t.test('no byte of what is sealed can be changed, left out or put before', async t => {
  const keyring = keyringOf(1, 2)
  const sealed = keyring.seal('place', Buffer.from('a secret'), systemRandom)
  let opened = 0
  for (let at = 0; at < sealed.length; at++) {
    for (const bit of [0x01, 0x80]) {
      const changed = Buffer.from(sealed)
      changed[at] = (changed[at] ?? 0) ^ bit
      if (keyring.open('place', changed) !== undefined) opened++
    }
    if (keyring.open('place', sealed.subarray(0, at)) !== undefined) opened++
    if (keyring.open('place', sealed.subarray(at + 1)) !== undefined) opened++
  }
  if (keyring.open('place', Buffer.concat([sealed, Buffer.alloc(1)])) !== undefined) opened++
  const older = Buffer.from(sealed)
  older.writeUInt32BE(1, 0)
  if (keyring.open('place', older) !== undefined) opened++
  t.equal(opened, 0)
})

t.test('a rule that is run again gives no nonce to two texts', async t => {
  const keyring = keyringOf(1)
  const seed = systemRandom.bytes(16)
  const nonceOf = (place: string, text: string): string =>
    keyring.seal(place, Buffer.from(text), seededRandom(seed)).toString('hex', 4, 16)
  const nonces = [nonceOf('a', 'x'), nonceOf('a', 'y'), nonceOf('b', 'x'), nonceOf('', 'ax')]
  t.equal(new Set(nonces).size, nonces.length)
  t.equal(nonceOf('a', 'x'), nonces[0], 'the same again is the same')
  const fresh = Array.from({ length: 1_000 }, () =>
    keyring.seal('a', Buffer.from('x'), systemRandom).toString('hex', 4, 16),
  )
  t.equal(new Set(fresh).size, fresh.length)
})

t.test('terms that are not known are asked for once they are needed', async t => {
  const [first, second] = [systemRandom.bytes(32), systemRandom.bytes(32)]
  const hashKey = systemRandom.bytes(32)
  const ahead = new Keyring(
    new Map([
      [1, first],
      [2, second],
    ]),
    hashKey,
  )
  const asked: number[] = []
  const behind: Keyring = new Keyring(new Map([[1, first]]), hashKey, {
    low: () => {},
    missing(term) {
      asked.push(term)
      if (term === 2) behind.install(new Map([[2, second]]))
    },
  })
  const sealed = ahead.seal('place', Buffer.from('new'), systemRandom)
  t.equal(behind.term, 1)
  t.equal(behind.open('place', sealed)?.toString(), 'new')
  t.equal(behind.term, 2)
  sealed.writeUInt32BE(9, 0)
  t.equal(behind.open('place', sealed), undefined)
  t.strictSame(asked, [2, 9])
  t.equal(ahead.hashOf('token'), behind.hashOf('token'), 'hashes stay as they are')
})

/** Rows of several mounts and namespaces, as rules write them. */
async function filled(): Promise<{ store: Store; keyring: Keyring; rows: Cell<SealedRow>[] }> {
  const store = openStore()
  const keyring = keyringOf(1)
  await store.write((view, now, random) => {
    const draft = new Draft(view, keyring, now, random)
    for (const namespace of ['root', 'abc123']) {
      for (const area of ['tokens', 'mount.1', 'mount.2']) {
        const storage = draft.area(namespace, area)
        storage.put('a', { value: 1 })
        storage.put('b', { value: 2 }, { kind: 'token', dueMs: 5 })
        storage.put('folder/a', { value: 3 }, { kind: 'token', dueMs: 6 })
      }
    }
    return { txn: draft.ops(), answer: true }
  })
  return { store, keyring, rows: store.view().prefix(secretData, '') }
}

t.test('of rows in the store, no two can be exchanged, and none moved', async t => {
  const { store, keyring, rows } = await filled()
  const opens = (key: string): boolean => {
    const draft = new Draft(store.view(), keyring, Date.now() as never, systemRandom)
    const [namespace = '', area = '', ...path] = key.split('/')
    try {
      return draft.area(namespace, area).get(path.join('/')) !== undefined
    } catch (error) {
      t.match((error as Error).message, /does not open: it was changed, or moved there/)
      return false
    }
  }
  t.equal(rows.length, 18)
  t.ok(rows.every(({ key }) => opens(key)))
  let wrong = 0
  for (const [i, one] of rows.entries()) {
    for (const other of rows.slice(i + 1)) {
      await store.write(() => ({
        txn: [put(secretData, one.key, other.row), put(secretData, other.key, one.row)],
        answer: true,
      }))
      if (opens(one.key) || opens(other.key)) wrong++
      await store.write(() => ({
        txn: [put(secretData, one.key, one.row), put(secretData, other.key, other.row)],
        answer: true,
      }))
    }
    await store.write(() => ({ txn: [put(secretData, 'root/mount.9/a', one.row)], answer: true }))
    if (opens('root/mount.9/a')) wrong++
    const { row } = one
    const later = { ...row, header: { dueMs: 99 }, headerText: '{"dueMs":99}' }
    await store.write(() => ({ txn: [put(secretData, one.key, later)], answer: true }))
    if (opens(one.key)) wrong++
    const cut = { ...row, sealed: row.sealed.subarray(0, -1) }
    await store.write(() => ({ txn: [put(secretData, one.key, cut)], answer: true }))
    if (opens(one.key)) wrong++
    await store.write(() => ({ txn: [put(secretData, one.key, row)], answer: true }))
  }
  t.equal(wrong, 0)
  t.ok(rows.every(({ key }) => opens(key)))
})

t.test('a keyring that was wiped does nothing any more', async t => {
  const keyring = keyringOf(1, 2, 3)
  const sealed = keyring.seal('p', Buffer.from('a'), systemRandom)
  keyring.audited.set('{}', '{}')
  keyring.wipe()
  t.equal(keyring.audited.size, 0, 'nothing of what it gave out is left')
  t.ok(keyring.isWiped)
  t.throws(() => keyring.open('p', sealed), { code: 'unavailable', message: 'Vault is sealed' })
  t.throws(() => keyring.seal('p', sealed, systemRandom), { code: 'unavailable' })
  t.throws(() => keyring.hashOf('a'), { code: 'unavailable' })
  keyring.wipe()
})
