/** Moving mounts and taking them away, with all that they gave and keep. */
import tap, { type Test } from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { enginesOn } from '../../../src/secrets/engine/mod.ts'
import { moveEnd } from '../../../src/secrets/mount/remount.ts'
import { removalEnd } from '../../../src/secrets/mount/removal.ts'
import { FakeClock } from '../../fake/clock.ts'
import { openSecrets, type TestSecrets } from '../harness.ts'
import { testPorts } from '../ports.ts'

async function open(t: Test, options = {}): Promise<TestSecrets> {
  const secrets = await openSecrets(t, options)
  await secrets.post('sys/namespaces/shop')
  await secrets.post('sys/mounts/old/one', { type: 'kv' })
  await secrets.post('old/one/a/b', { v: 1 })
  return secrets
}

const move = (secrets: TestSecrets, from: string, to: string) =>
  secrets.post('sys/remount', { from, to })

tap.test('a mount moves with what it keeps', async t => {
  const secrets = await open(t)
  const { accessor } = (await secrets.read('sys/mounts/old/one')).body.data
  const { migration_id: id } = (await move(secrets, 'old/one', 'new/')).body.data
  t.equal((await secrets.read('new/a/b')).body.data.v, 1)
  t.match(await secrets.read('old/one/a/b'), { status: 404, text: /^no handler/ })
  t.equal((await secrets.read('sys/mounts/new')).body.data.accessor, accessor)
  t.strictSame((await secrets.read(`sys/remount/status/${id}`)).body.data, {
    migration_id: id,
    migration_info: { source_mount: 'old/one/', target_mount: 'new/', status: 'success' },
  })
  t.equal((await secrets.read('sys/remount/status/none')).status, 404)
  t.equal((await secrets.post('sys/mounts/old/one', { type: 'kv' })).status, 204)
  t.equal((await secrets.read('old/one/a/b')).status, 404)
})

tap.test('a mount moves to another namespace, in portions where it is large', async t => {
  const secrets = await open(t)
  const { uuid } = (await secrets.read('sys/mounts/old/one')).body.data
  await secrets.write(draft => {
    const rows = draft.area('root', `mount.${uuid}`)
    for (let i = 0; i < 2.5 * limits.movedRows; i++) rows.put(`k${i}`, { i }, { dueMs: 1e15 + i })
  })
  t.equal((await move(secrets, 'old/one', 'shop/new')).status, 200)
  t.equal((await secrets.read('new/a/b', { namespace: 'shop' })).body.data.v, 1)
  await secrets.write(draft => {
    t.strictSame(draft.area('root', `mount.${uuid}`).keys(), [])
    const { id } = draft.area('root', 'namespaces').get<{ id: string }>('shop/')!
    t.strictSame(draft.area(id, `mount.${uuid}`).get('k7'), { i: 7 })
    t.equal(draft.area(id, `mount.${uuid}`).dueMs('k7'), 1e15 + 7, 'deadlines go along')
  })
  t.equal((await move(secrets, 'shop/new', 'back')).status, 200)
  t.equal((await secrets.read('back/a/b')).body.data.v, 1)
})

tap.test('a move is forgotten a day after it is over', async t => {
  const clock = new FakeClock()
  const secrets = await open(t, { clock })
  const { migration_id: id } = (await move(secrets, 'old/one', 'new')).body.data
  await secrets.write(draft => {
    t.equal(draft.area('root', 'moves').dueMs(id), draft.now + 86_400_000)
    moveEnd.end(draft, { namespaceId: 'root', area: 'moves', path: id })
  })
  t.equal((await secrets.read(`sys/remount/status/${id}`)).status, 404)
})

tap.test('what cannot move is refused', async t => {
  const secrets = await open(t)
  await secrets.post('sys/mounts/taken', { type: 'kv' })
  await secrets.post('sys/auth/login', { type: 'approle' })
  const refused = [
    ['', 'x', "both 'from' and 'to' path must be specified as a string"],
    ['old/one ', 'x', "'from' path cannot contain trailing whitespace"],
    ['old/one', ' x', "'to' path cannot contain trailing whitespace"],
    ['none', 'x', 'no matching mount at "none/"'],
    ['old/one', 'taken', 'path already in use at "taken/"'],
    ['old/one', 'taken/x', 'path already in use at "taken/"'],
    ['old/one', 'sys/x', 'cannot remount to destination "sys/x/"'],
    ['old/one', 'auth/x', 'cannot remount to destination "auth/x/"'],
    ['sys', 'x', 'cannot remount "sys/"'],
    ['auth/token', 'auth/x', 'cannot remount "auth/token/"'],
    ['auth/login', 'x', 'cannot remount auth mount to non-auth mount "x/"'],
    ['auth/login', 'auth/token', 'cannot remount to destination "auth/token/"'],
    ['old/one', 'a//b', /^invalid destination mount/],
    ['old/one', 'shop', 'invalid destination mount path "shop"'],
  ] as const
  for (const [from, to, text] of refused) {
    t.match(await move(secrets, from, to), { status: 400, text }, `${from} to ${to}`)
  }
  t.equal((await move(secrets, 'auth/login', 'auth/moved')).status, 200)
  t.equal((await secrets.read('sys/auth/moved')).body.data.type, 'approle')
})

tap.test('tokens of a login end with its mount', async t => {
  const secrets = await open(t)
  await secrets.post('sys/auth/login', { type: 'userpass' })
  await secrets.post('auth/login/users/alice', { password: 'secret', token_policies: 'default' })
  const login = async (at: string) =>
    (await secrets.post(`auth/${at}/login/alice`, { password: 'secret' }, { token: '' })).body.auth
      .client_token
  const holds = async (token: string) =>
    (await secrets.read('auth/token/lookup-self', { token })).status === 200
  const first = await login('login')
  t.ok(await holds(first))
  await move(secrets, 'auth/login', 'auth/moved')
  t.notOk(await holds(first), 'also where it only moves')
  const second = await login('moved')
  t.ok(await holds(second))
  await secrets.remove('sys/auth/moved')
  t.notOk(await holds(second))
})

tap.test('a mount that keeps much goes before it is said to be gone', async t => {
  const secrets = await open(t)
  const { uuid } = (await secrets.read('sys/mounts/old/one')).body.data
  await secrets.write(draft => {
    const rows = draft.area('root', `mount.${uuid}`)
    for (let i = 0; i < 2.5 * limits.removedRows; i++) rows.put(`k${i}`, { i })
  })
  t.equal((await secrets.remove('sys/mounts/old/one')).status, 204)
  await secrets.write(draft => {
    t.strictSame(draft.area('root', `mount.${uuid}`).keys(), [])
    t.strictSame(draft.area('root', 'removals').keys(), [])
  })
})

tap.test('tokens of a namespace end with it, wherever they are shown', async t => {
  const secrets = await open(t)
  const made = await secrets.post(
    'auth/token/create',
    { policies: 'default' },
    { namespace: 'shop' },
  )
  const token = made.body.auth.client_token
  const lookup = () => secrets.read('auth/token/lookup-self', { token, namespace: 'shop' })
  t.equal((await lookup()).status, 200)
  const { uuid } = (await secrets.read('sys/mounts', { namespace: 'shop' })).body.data['sys/']
  const { id } = (await secrets.read('sys/namespaces/shop')).body.data
  await secrets.write(draft => {
    const rows = draft.area(id, `mount.${uuid}`)
    for (let i = 0; i < 2.5 * limits.removedRows; i++) rows.put(`k${i}`, { i })
  })
  await secrets.remove('sys/namespaces/shop')
  t.equal((await lookup()).status, 404)
  t.equal((await secrets.read('auth/token/lookup-self', { token })).status, 403)
  t.equal((await secrets.read('sys/internal/ui/mounts', { token })).status, 403)
  const end = removalEnd(enginesOn(testPorts()))
  await secrets.write(draft => {
    for (const path of draft.area('root', 'removals').keys()) {
      end.end(draft, { namespaceId: 'root', area: 'removals', path })
    }
  })
})

tap.test('quotas follow a mount, and go with it', async t => {
  const secrets = await open(t)
  await secrets.post('sys/quotas/rate-limit/q', { path: 'old/one', rate: 100 })
  await move(secrets, 'old/one', 'shop/new')
  t.equal((await secrets.read('sys/quotas/rate-limit/q')).body.data.path, 'shop/new/')
  await secrets.remove('sys/mounts/new', { namespace: 'shop' })
  t.equal((await secrets.read('sys/quotas/rate-limit/q')).status, 404)
})
