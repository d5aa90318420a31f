/**
 * Sealed rows that no view holds: how rules write them, how they are read before a rule, and that
 * they go with their mount.
 */
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { systemRandom } from '../../src/base/clock.ts'
import type { ColdStorage } from '../../src/secrets/cold-storage.ts'
import { Draft } from '../../src/secrets/storage.ts'
import { sweepCold } from '../../src/store/cold-sweep.ts'
import { type Op, put } from '../../src/store/store.ts'
import { secretCold, secretData } from '../../src/store/tables/secret.ts'
import { newKeyring, openSecrets, type TestSecrets, tables } from './harness.ts'
import { onEveryStore } from './stores.ts'

const MOUNT = '5f0c1a52-0000-4000-8000-000000000001'
const AREA = `mount.${MOUNT}`

/** The rows of an area as they are read before a rule. */
const reader = ({ store, barrier }: TestSecrets, area = AREA, opener = barrier!): ColdStorage =>
  new Draft(store.view(), opener, wallMs(0), systemRandom, undefined, store.cold).cold(area)

const put3 = (draft: Draft): void => {
  const rows = draft.cold(AREA)
  rows.put('cert/b', { serial: 'b', big: 12_345_678_901_234_567_890n }, { kind: 'k', dueMs: 7 })
  rows.put('cert/a', { serial: 'a' })
  rows.put('other', 'text')
}

onEveryStore(t, async (t, newStore) => {
  t.test('what a rule put is read before the next one', async t => {
    const secrets = await openSecrets(t, { open: () => newStore(t) })
    await secrets.write(put3)
    const rows = reader(secrets)
    t.same(await rows.get('cert/a'), { serial: 'a' })
    t.same(await rows.get('other'), 'text')
    t.equal(await rows.get('cert/c'), undefined)
    t.same(await rows.scan('cert/', { limit: 10 }), [
      { path: 'cert/a', value: { serial: 'a' }, header: {} },
      {
        path: 'cert/b',
        value: { serial: 'b', big: 12_345_678_901_234_567_890n },
        header: { kind: 'k', dueMs: 7 },
      },
    ])
    t.same(await rows.keys('', { limit: 2 }), ['cert/a', 'cert/b'])
    t.same(await rows.keys('', { limit: 2, after: 'cert/b' }), ['other'])
    t.same(await reader(secrets, 'mount.other').keys('', { limit: 10 }), [], 'areas are apart')
    await secrets.write(draft => {
      draft.cold(AREA).delete('cert/a')
      draft.cold(AREA).put('cert/b', { serial: 'B' })
    })
    t.equal(await rows.get('cert/a'), undefined)
    t.same(await rows.get('cert/b'), { serial: 'B' })
  })

  t.test('a row that does not open is damage, never absence', async t => {
    const secrets = await openSecrets(t, { open: () => newStore(t) })
    const { store } = secrets
    await secrets.write(put3)
    const stranger = reader(secrets, AREA, newKeyring())
    await t.rejects(stranger.get('cert/a'), { code: 'damaged', message: /cert\/a does not open/ })
    await t.rejects(stranger.scan('cert/', { limit: 1 }), { code: 'damaged' })
    const row = (await store.cold.get(secretCold, `${AREA}/cert/a`))!.row
    const write = (op: Op) => store.write(() => ({ txn: [op], answer: undefined }))
    await write(put(secretCold, `${AREA}/cert/moved`, row))
    await t.rejects(reader(secrets).get('cert/moved'), { code: 'damaged' }, 'moved within')
    await write(put(secretCold, `mount.other/cert/a`, row))
    await t.rejects(reader(secrets, 'mount.other').get('cert/a'), { code: 'damaged' })
    const header = { kind: 'k', dueMs: 8 }
    await write(put(secretCold, `${AREA}/cert/a`, { ...row, headerText: JSON.stringify(header) }))
    await t.rejects(reader(secrets).get('cert/a'), { code: 'damaged' }, 'another header')
    await write(put(secretData, `${AREA}/cert/a`, row))
    await t.rejects(
      secrets.write(
        draft => void draft.area('mount.5f0c1a52-0000-4000-8000-000000000001', 'cert').get('a'),
      ),
      { code: 'damaged' },
      'among the rows that views hold',
    )
  })

  t.test('they go with their mount, and with their namespace', async t => {
    const secrets = await openSecrets(t, { open: () => newStore(t) })
    await secrets.mount('kv', 'gone/', { uuid: MOUNT })
    await secrets.mount('kv', 'stays/', { uuid: 'another' })
    await secrets.write(draft => {
      put3(draft)
      draft.cold('mount.another').put('cert/a', 1)
    })
    t.equal((await secrets.remove('sys/mounts/gone')).status, 204)
    t.same(await reader(secrets).keys('', { limit: 10 }), [], 'at once')
    await sweepCold(secrets.store, tables)
    t.same(await secrets.store.cold.keys(secretCold, '', { limit: 10 }), ['mount.another/cert/a'])

    t.equal((await secrets.post('sys/namespaces/team')).status, 200)
    const { id } = (await secrets.read('sys/namespaces/team')).body.data
    const uuid = `${MOUNT.slice(0, -1)}2`
    await secrets.mount('kv', 'in/', { uuid, namespaceId: id })
    await secrets.write(draft => draft.cold(`mount.${uuid}`).put('cert/a', 1))
    await secrets.remove('sys/namespaces/team')
    t.same(await reader(secrets, `mount.${uuid}`).keys('', { limit: 10 }), [])
  })

  t.test('they follow a mount that moves to another namespace', async t => {
    const secrets = await openSecrets(t, { open: () => newStore(t) })
    await secrets.mount('kv', 'from/', { uuid: MOUNT })
    await secrets.write(put3)
    await secrets.post('sys/namespaces/team')
    const moved = await secrets.post('sys/remount', { from: 'from/', to: 'team/to/' })
    t.equal(moved.status, 200)
    t.same(await reader(secrets).get('cert/a'), { serial: 'a' })
    t.equal((await secrets.remove('sys/mounts/to', { namespace: 'team' })).status, 204)
    t.same(await reader(secrets).keys('', { limit: 10 }), [])
  })
})

t.test('no rule reads them', async t => {
  const secrets = await openSecrets(t)
  const reading = secrets.write(draft => void draft.cold(AREA).get('cert/a'))
  await t.rejects(reading, { name: 'AssertionError' })
})
