/** Lists as two servers of one store make them. */
import { createHash } from 'node:crypto'
import t from 'tap'
import { KeyThreads } from '../../../../../src/base/io/arithmetic.ts'
import { limits } from '../../../../../src/base/limits.ts'
import { longestSlice, resetLongestSlice, useLoop } from '../../../../../src/base/slices.ts'
import { noteEntry } from '../../../../../src/secrets/engine/pki/revoke/list.ts'
import { LISTS, REVOKED } from '../../../../../src/secrets/engine/pki/revoke/rows.ts'
import { mountAt, storageOf } from '../../../../../src/secrets/mount/mount.ts'
import { ROOT } from '../../../../../src/secrets/namespace/namespace.ts'
import { absent } from '../../../../run/clients.ts'
import { openTwoServers } from '../../../stores.ts'
import { mountAuthority } from '../authority.ts'
import { Revoking } from './authority.ts'

t.test('two servers make the same list', { skip: absent('etcd') }, async t => {
  const [one, two] = await openTwoServers(t)
  await mountAuthority(one, 'pki/')
  // Signatures of Ed25519 are the same each time.
  const mount = await Revoking.on(t, one, 'ed25519')
  const bytes = async (secrets = two) => (await secrets.read('pki/crl', { token: '' })).bytes
  for (let i = 0; i < 3; i++) {
    const [first, second] = [await mount.issue('a.example'), await mount.issue('b.example')]
    const both = await Promise.all([
      one.post('pki/revoke', { serial_number: first.serial_number }),
      two.post('pki/revoke', { serial_number: second.serial_number }),
    ])
    t.same(
      both.map(({ status }) => status),
      [200, 200],
    )
    t.equal((await mount.list()).entries.length, 2 * i + 2)
    t.same(await bytes(), await bytes(one))
  }
  await one.post('pki/config/crl', { auto_rebuild: true })
  const before = await bytes()
  const late = await mount.issue('late.example')
  await two.post('pki/revoke', { serial_number: late.serial_number })
  t.same(await bytes(one), before, 'the rows have gone on, the edition is the same')
  await one.post('pki/config/crl', { enable_delta: true })
  await two.read('pki/crl/rotate')
  t.equal((await mount.list()).entries.length, 7)
  t.same(await bytes(), await bytes(one))
})

t.test('one edition is made once, however many ask at a time', async t => {
  const mount = await Revoking.open(t)
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => mount.secrets.read('pki/crl', { token: '' })),
  )
  // Two signatures of ECDSA are never the same.
  t.equal(new Set(answers.map(({ bytes }) => bytes.toString('hex'))).size, 1)
})

t.test('the first list of many entries is made in pieces, and needs no thread', async t => {
  const arithmetic = new KeyThreads()
  const mount = await Revoking.open(t, { ports: { arithmetic } })
  await mount.secrets.post('pki/config/crl', { auto_rebuild: true, max_crl_entries: -1 })
  const ENTRIES = 8_000
  for (let done = 0; done < ENTRIES; done += 1_000) {
    await mount.secrets.write(draft => {
      const storage = storageOf(draft, mountAt(draft, ROOT, 'secret', 'pki/')!)
      const [list = ''] = storage.keys(LISTS)
      for (let at = done; at < done + 1_000; at++) {
        const serial = createHash('sha1').update(String(at)).digest('hex')
        const times = { revokedAtMs: draft.now, expiresAtMs: draft.now + 86_400_000 }
        const sequence = noteEntry(storage, list, draft.now)
        storage.put(REVOKED + serial, { issuerId: '', list, ...times, sequence })
      }
    })
  }
  await mount.secrets.read('pki/crl/rotate')
  await arithmetic.close()
  // Each look at the clock finds the slice over: what lies between two looks is one piece.
  let [looks, turns] = [0, 0]
  const restore = useLoop({
    now: () => limits.sliceMs * looks++,
    afterPoll: run =>
      setImmediate(() => {
        turns++
        run()
      }),
  })
  t.teardown(restore)
  resetLongestSlice()
  const { bytes } = await mount.secrets.read('pki/crl', { token: '' })
  t.equal(longestSlice(), limits.sliceMs, 'no slice is longer than a piece')
  // Of 16 entries read, of 1,024 joined, of 64 KiB signed.
  const [entriesRead, joined, signed] = [ENTRIES / 16, 7, Math.ceil(bytes.length / 65_536)]
  t.ok(bytes.length > limits.signedHereSizeBytes)
  t.ok(turns >= entriesRead + joined + signed, `${turns} turns of the loop`)
  t.equal((await mount.list()).entries.length, ENTRIES)
})
