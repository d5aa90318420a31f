/** Pages of revoked certificates, and forgetting them. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { REVOKED, revokedSerials } from '../../../../../src/secrets/engine/pki/revoke/rows.ts'
import { forgetRevoked, revokedPage } from '../../../../../src/secrets/engine/pki/revoke/tidy.ts'
import { mountAt, storageOf } from '../../../../../src/secrets/mount/mount.ts'
import type { Storage } from '../../../../../src/secrets/storage.ts'
import { propertyRuns } from '../../../../run/budget.ts'
import { openSecrets } from '../../../harness.ts'
import { Revoking } from './authority.ts'

t.test('property: pages are what a sorted list would give', async t => {
  const secrets = await openSecrets(t)
  const serial = fc
    .uint8Array({ minLength: 1, maxLength: 3 })
    .map(bytes => Buffer.from(bytes).toString('hex'))
  const serials = fc.uniqueArray(serial, { maxLength: 40 })
  let places = 0
  const inRows = async (given: readonly string[], look: (storage: Storage) => void) => {
    const area = `test-${places++}`
    await secrets.write(draft => {
      for (const each of given) draft.area('root', area).put(REVOKED + each, { list: '' })
    })
    await secrets.write(draft => look(draft.area('root', area)))
  }
  await fc.assert(
    fc.asyncProperty(serials, serial, fc.integer({ min: 1, max: 9 }), (given, after, limit) =>
      inRows(given, storage => {
        const sorted = given.toSorted()
        const page = revokedPage(storage, after, limit).map(each => each.serial)
        assert.deepStrictEqual(page, sorted.filter(each => each > after).slice(0, limit))
        const first = revokedPage(storage, '', limit).map(each => each.serial)
        assert.deepStrictEqual(first, sorted.slice(0, limit))
        assert.deepStrictEqual([...revokedSerials(storage)], sorted)
      }),
    ),
    { numRuns: propertyRuns() },
  )
  const many = Array.from({ length: 1_500 }, (_, at) => (at * 37).toString(16).padStart(6, '0'))
  await inRows(many, storage => {
    t.same([...revokedSerials(storage)], many.toSorted(), 'more than one step looks at')
  })
})

t.test('what is forgotten leaves the list, which has another number', async t => {
  const mount = await Revoking.open(t)
  const leaves = [await mount.issue('a.example'), await mount.issue('b.example')]
  for (const leaf of leaves) await mount.revoke(leaf.serial_number)
  const before = await mount.list()
  const gone = leaves[0]!.serial_number.replaceAll(':', '')
  await mount.secrets.write(draft => {
    const pki = mountAt(draft, { id: 'root' }, 'secret', 'pki/')!
    forgetRevoked(storageOf(draft, pki), [gone, 'abcd'], draft.now)
  })
  const after = await mount.list()
  t.same([before.entries.length, after.entries.length], [2, 1])
  t.ok(after.number! > before.number!)
  t.notSame(after.entries[0]!.serial, gone)
})
