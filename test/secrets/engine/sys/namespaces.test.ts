/** `sys/namespaces`, and requests in namespaces. */
import tap from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { enginesOn } from '../../../../src/secrets/engine/mod.ts'
import { removalEnd } from '../../../../src/secrets/mount/removal.ts'
import { openSecrets, type TestSecrets } from '../../harness.ts'
import { testPorts } from '../../ports.ts'

const inside = (namespace: string) => ({ namespace })

tap.test('namespaces nest, and each has mounts of its own', async t => {
  const secrets = await openSecrets(t)
  const made = await secrets.post('sys/namespaces/shop', { custom_metadata: { team: 'a' } })
  t.match(made.body.data, {
    id: /^[0-9A-Za-z]{6}$/,
    path: 'shop/',
    custom_metadata: { team: 'a' },
    tainted: false,
    locked: false,
  })
  t.equal((await secrets.post('sys/namespaces/north', {}, inside('shop'))).status, 200)
  t.equal((await secrets.post('sys/namespaces/south', {}, inside('/shop/'))).status, 200)
  t.equal((await secrets.post('shop/sys/namespaces/east')).status, 200)
  t.strictSame((await secrets.list('sys/namespaces')).body.data.keys, ['shop/'])
  const list = (await secrets.list('sys/namespaces', inside('shop'))).body.data
  t.strictSame(list.keys, ['east/', 'north/', 'south/'])
  t.equal(list.key_info['north/'].path, 'shop/north/')
  const scan = (await secrets.ask('scan', 'sys/namespaces')).body.data.keys
  t.strictSame(scan, ['shop/', 'shop/east/', 'shop/north/', 'shop/south/'])
  const page = await secrets.list('sys/namespaces', {
    ...inside('shop'),
    data: { after: 'east/', limit: 1 },
  })
  t.strictSame(page.body.data.keys, ['north/'])

  await secrets.post('sys/mounts/kv', { type: 'kv' }, inside('shop/north'))
  t.equal((await secrets.post('kv/a', { v: 1 }, inside('shop/north'))).status, 204)
  t.equal((await secrets.read('shop/north/kv/a')).body.data.v, 1)
  t.equal((await secrets.read('north/kv/a', inside('shop'))).body.data.v, 1)
  t.match(await secrets.read('kv/a', inside('shop')), { status: 404, text: /no handler/ })
  t.match(await secrets.read('kv/a', inside('none')), { status: 404, text: 'namespace not found' })
  t.strictSame(Object.keys((await secrets.read('sys/mounts', inside('shop/south'))).body.data), [
    'cubbyhole/',
    'identity/',
    'sys/',
  ])
  t.match((await secrets.read('sys/internal/ui/mounts/kv/a', inside('shop/north'))).body.data, {
    path: 'kv/',
  })
  t.match((await secrets.read('sys/internal/ui/mounts/shop/north/kv/a')).body.data, {
    path: 'shop/north/kv/',
  })
  const seen = await secrets.read('sys/internal/ui/namespaces', inside('shop'))
  t.strictSame(seen.body.data.keys, ['east/', 'north/', 'south/'])
})

tap.test('what is said of a namespace is read, replaced and merged', async t => {
  const secrets = await openSecrets(t)
  t.equal((await secrets.read('sys/namespaces/shop')).status, 404)
  await secrets.post('sys/namespaces/shop', { custom_metadata: { a: '1', b: '2' } })
  const { id } = (await secrets.read('sys/namespaces/shop')).body.data
  const patched = await secrets.ask('patch', 'sys/namespaces/shop', {
    data: { custom_metadata: { a: null, c: '3' } },
  })
  t.strictSame(patched.body.data.custom_metadata, { b: '2', c: '3' })
  const again = await secrets.post('sys/namespaces/shop', { custom_metadata: { d: '4' } })
  t.match(again.body.data, { id, custom_metadata: { d: '4' } })
  const cleared = { data: { custom_metadata: null } }
  t.strictSame(
    (await secrets.ask('patch', 'sys/namespaces/shop', cleared)).body.data.custom_metadata,
    {},
  )
})

tap.test('names that cannot be are refused', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/mounts/taken', { type: 'kv' })
  await secrets.post('sys/mounts/deep/er', { type: 'kv' })
  await secrets.post('sys/namespaces/shop')
  const refused = [
    ['sys', /^"sys\/" is a reserved path/],
    ['root', /^"root\/" is a reserved path/],
    ['a/b', 'namespace name cannot contain /'],
    ['a b', /^namespace name cannot contain spaces/],
    ['e\u0301', /^namespace name cannot contain/],
    ['taken', 'new namespace conflicts with existing mount: taken/'],
    ['deep', 'new namespace conflicts with existing mount: deep/er/'],
  ] as const
  for (const [name, text] of refused) {
    t.match(await secrets.post(`sys/namespaces/${name}`), { status: 400, text }, name)
  }
  t.match(await secrets.post('sys/namespaces/x', { custom_metadata: { a: 1 } }), {
    status: 400,
    text: 'custom_metadata values must be strings',
  })
  t.match(await secrets.post('sys/mounts/shop/kv', { type: 'kv' }), {
    status: 400,
    text: 'existing mount at shop/',
  })
  t.match(await secrets.ask('patch', 'sys/namespaces/none', { data: { custom_metadata: {} } }), {
    status: 404,
    text: 'namespace not found',
  })
  let at = ''
  for (let depth = 0; depth < limits.namespaceDepth; depth++) {
    t.equal((await secrets.post('sys/namespaces/n', {}, inside(at))).status, 200)
    at += 'n/'
  }
  t.match(await secrets.post('sys/namespaces/n', {}, inside(at)), { status: 400, text: /depth/ })
})

tap.test('a locked namespace serves nobody, nor does any below', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/namespaces/shop')
  await secrets.post('sys/namespaces/north', {}, inside('shop'))
  const key = (await secrets.post('sys/namespaces/api-lock/lock/shop')).body.data.unlock_key
  t.match(key, /^[0-9A-Za-z]{24}$/)
  const locked = { status: 503, text: /"shop\/" must be unlocked to gain access\.$/ }
  t.match(await secrets.read('sys/mounts', inside('shop')), locked)
  t.match(await secrets.read('sys/mounts', inside('shop/north')), locked)
  t.match(await secrets.read('shop/north/sys/mounts'), locked)
  t.equal((await secrets.read('sys/mounts')).status, 200)
  t.match(await secrets.post('sys/namespaces/api-lock/lock/shop'), {
    status: 400,
    text: 'cannot lock namespace "shop/": is already locked',
  })
  t.match(await secrets.post('sys/namespaces/api-lock/lock/shop/north'), {
    status: 400,
    text: /ancestor namespace "shop\/" is already locked$/,
  })
  t.match(await secrets.post('sys/namespaces/api-lock/unlock/shop', { unlock_key: 'no' }), {
    status: 400,
    text: 'incorrect unlock key',
  })
  t.match(
    await secrets.post('sys/namespaces/api-lock/unlock', { unlock_key: key }, inside('shop')),
    {
      status: 204,
    },
  )
  t.equal((await secrets.read('sys/mounts', inside('shop/north'))).status, 200)
  await secrets.post('sys/namespaces/api-lock/lock', {}, inside('shop'))
  const got = await secrets.post('sys/namespaces/api-lock/unlock/shop')
  t.strictSame(got.body.warnings, ['Namespace unlocked using sudo capabilities'])
  t.match(await secrets.post('sys/namespaces/api-lock/unlock/shop'), {
    status: 400,
    text: 'namespace "shop/" is not locked',
  })
  t.match(await secrets.post('sys/namespaces/api-lock/lock'), {
    status: 400,
    text: 'root namespace cannot be locked/unlocked',
  })
})

/** Keys of rows, decoded. */
const rowsOf = async (secrets: TestSecrets, namespaceId: string): Promise<number> => {
  let count = 0
  await secrets.write(draft => {
    count = draft.whole(namespaceId).keys().length
  })
  return count
}

tap.test('a namespace goes with all that is in it', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/namespaces/shop')
  await secrets.post('sys/namespaces/north', {}, inside('shop'))
  await secrets.post('sys/mounts/kv', { type: 'kv' }, inside('shop/north'))
  await secrets.post('kv/a', { v: 1 }, inside('shop/north'))
  const { id } = (await secrets.read('sys/namespaces/north', inside('shop'))).body.data
  t.ok((await rowsOf(secrets, id)) > 4)
  t.match(await secrets.remove('sys/namespaces/shop'), {
    status: 400,
    text: 'unable to delete namespace containing child namespaces',
  })
  const got = await secrets.remove('sys/namespaces/north', inside('shop'))
  t.strictSame(got.body.data, { status: 'in-progress' })
  t.equal(await rowsOf(secrets, id), 0, 'not a row is left')
  t.equal((await secrets.read('shop/north/kv/a')).status, 404)
  t.equal((await secrets.read('sys/namespaces/north', inside('shop'))).status, 404)
  const made = await secrets.post('sys/namespaces/north', {}, inside('shop'))
  t.not(made.body.data.id, id)
  t.match(await secrets.remove('sys/namespaces/none'), {
    body: { warnings: ['requested namespace does not exist'] },
  })
})

tap.test('what is much goes in portions, and is out of reach at once', async t => {
  const secrets = await openSecrets(t)
  const { id } = (await secrets.post('sys/namespaces/shop')).body.data
  await secrets.post('sys/mounts/kv', { type: 'kv' }, inside('shop'))
  const { uuid } = (await secrets.read('sys/mounts/kv', inside('shop'))).body.data
  await secrets.write(draft => {
    const rows = draft.area(id, `mount.${uuid}`)
    for (let i = 0; i < 2.5 * limits.removedRows; i++) rows.put(`k${i}`, { i })
  })
  await secrets.remove('sys/namespaces/shop')
  t.ok((await rowsOf(secrets, id)) > limits.removedRows)
  t.match(await secrets.read('kv/k1', inside('shop')), { text: 'namespace not found' })
  t.match(await secrets.read('shop/kv/k1'), { text: 'namespace not found' })
  t.match(await secrets.post('sys/namespaces/shop'), { status: 400, text: /currently tainted$/ })
  t.strictSame((await secrets.list('sys/namespaces')).status, 404)
  const end = removalEnd(enginesOn(testPorts()))
  let portions = 0
  while ((await rowsOf(secrets, id)) > 0 && ++portions < 10) {
    await secrets.write(draft => {
      const [path] = draft.area('root', 'removals').keys()
      end.end(draft, { namespaceId: 'root', area: 'removals', path: path! })
    })
  }
  t.equal(portions, 2)
  t.equal((await secrets.post('sys/namespaces/shop')).status, 200)
  await secrets.write(draft => t.strictSame(draft.area('root', 'removals').keys(), []))
})
