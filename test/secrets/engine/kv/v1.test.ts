/** The key/value engine, version 1. */
import tap from 'tap'
import { openSecrets } from '../../harness.ts'

tap.test('what is written is what is read', async t => {
  const secrets = await openSecrets(t)
  await secrets.mount('kv', 'plain/')
  t.equal((await secrets.post('plain/a/b', { password: 'x', n: 9007199254740993n })).status, 204)
  const got = await secrets.read('plain/a/b')
  t.equal(got.status, 200)
  t.match(got.text, /"n":9007199254740993[,}]/, 'no digit is lost')
  t.match(got.body, { data: { password: 'x' }, lease_id: '', mount_type: 'kv' })
})

tap.test('lists show keys and folders', async t => {
  const secrets = await openSecrets(t)
  await secrets.mount('kv', 'plain/')
  for (const path of ['a', 'a/b', 'c/d']) await secrets.post(`plain/${path}`, { v: 1 })
  t.strictSame((await secrets.list('plain')).body.data.keys, ['a', 'a/', 'c/'])
  t.strictSame((await secrets.ask('scan', 'plain')).body.data.keys, ['a', 'a/b', 'c/d'])
  t.equal((await secrets.list('plain/none')).status, 404)
  t.equal((await secrets.remove('plain/a')).status, 204)
  t.strictSame((await secrets.list('plain')).body.data.keys, ['a/', 'c/'])
})

tap.test('what is not there is said in words that clients know', async t => {
  const secrets = await openSecrets(t)
  await secrets.mount('kv', 'plain/')
  t.strictSame((await secrets.read('plain/none')).body, { errors: [] })
  t.match(await secrets.read('nowhere/x'), {
    status: 404,
    text: /^no handler for route "nowhere\/x"/,
  })
  t.match(await secrets.post('plain/x', {}), { status: 400, text: 'missing data fields' })
  t.match(await secrets.ask('patch', 'plain/x'), { status: 405, text: /unsupported operation/ })
  t.match(await secrets.read('plain/x', { token: 'nobody' }), {
    status: 403,
    text: /invalid token/,
  })
})
