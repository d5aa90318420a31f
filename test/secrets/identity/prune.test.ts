/** Entities that logins left behind. */
import tap from 'tap'
import type { WallMs } from '../../../src/base/brand.ts'
import { limits } from '../../../src/base/limits.ts'
import { emptyEntity } from '../../../src/secrets/identity/entity.ts'
import {
  type EntityRow,
  entityNames,
  entityRows,
  nameKey,
} from '../../../src/secrets/identity/rows.ts'
import type { Draft } from '../../../src/secrets/storage.ts'
import { openSecrets } from '../harness.ts'

const DAY_MS = 86_400_000

function seed(draft: Draft, name: string, daysAgo: number, more: Partial<EntityRow> = {}): void {
  const lastSeenMs = (draft.now - daysAgo * DAY_MS) as WallMs
  const row = { ...emptyEntity(draft, name), lastSeenMs, isByLogin: true, ...more }
  entityRows(draft, 'root').put(row.id, row)
  entityNames(draft, 'root').put(nameKey(draft, name), { id: row.id })
}

tap.test('what nobody would miss goes, the rest stays', async t => {
  const secrets = await openSecrets(t)
  await secrets.write(draft => {
    seed(draft, 'old', 100)
    seed(draft, 'new', 1)
    seed(draft, 'given', 100, { policies: ['p'] })
    seed(draft, 'noted', 100, { metadata: { a: 'b' } })
    seed(draft, 'grouped', 100, { groups: [{ id: 'g', via: '' }] })
    seed(draft, 'stopped', 100, { disabled: true })
    seed(draft, 'written', 100, { isByLogin: false })
  })
  const wish = { unseen_for: '90d' }
  const dry = await secrets.post('identity/entity/prune', { ...wish, dry_run: true })
  t.equal(dry.body.data.entity_ids.length, 1)
  t.equal((await secrets.list('identity/entity/name')).body.data.keys.length, 7)
  const done = await secrets.post('identity/entity/prune', wish)
  t.strictSame(done.body.data, { ...dry.body.data, more: false })
  const names = (await secrets.list('identity/entity/name')).body.data.keys
  t.strictSame(names, ['given', 'grouped', 'new', 'noted', 'stopped', 'written'])
  t.equal((await secrets.post('identity/entity/prune', { unseen_for: '31d' })).status, 400)
  t.equal((await secrets.post('identity/entity/prune')).status, 400)
})

tap.test('many go in several requests', async t => {
  const secrets = await openSecrets(t)
  await secrets.write(draft => {
    for (let i = 0; i <= limits.entitiesEndedAtOnce; i++) seed(draft, `e${i}`, 100)
  })
  const first = await secrets.post('identity/entity/prune', { unseen_for: '90d' })
  t.equal(first.body.data.more, true)
  const second = await secrets.post('identity/entity/prune', { unseen_for: '90d' })
  t.match(second.body.data, { more: false })
  t.equal(second.body.data.entity_ids.length, 1)
})
