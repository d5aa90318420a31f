/**
 * The paths of conditions. On every engine.
 */
import t from 'tap'
import { everybody, type Who } from '../../../src/base/who.ts'
import { onEveryEngine } from '../engines.ts'
import { startFace } from '../harness.ts'

const BY_DAY = {
  Description: 'nobody changes web by night',
  Expression: 'request.time.getHours() < 18',
  Level: 'soft-mandatory',
  Operations: [
    { Resource: 'service', Name: 'web' },
    { Resource: 'key', Prefix: 'app/' },
  ],
}

onEveryEngine(t, async (t, newStore) => {
  t.test('write, read, change, delete', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    t.strictSame((await client.get('/v1/acl/conditions')).json, [])
    const absent = await client.get('/v1/acl/condition/by-day')
    t.same([absent.status, absent.text], [404, 'Requested condition does not exist: ACL not found'])
    const written = await client.put('/v1/acl/condition/by-day', BY_DAY)
    t.strictSame(
      [written.status, written.json],
      [200, { Name: 'by-day', ...BY_DAY, Enabled: true }],
    )
    const { CreateIndex, ModifyIndex, ...shown } = (await client.get('/v1/acl/condition/By-Day'))
      .json
    t.strictSame(shown, { Name: 'by-day', ...BY_DAY, Enabled: true })
    t.ok(CreateIndex > 0 && ModifyIndex === CreateIndex)
    await client.put('/v1/acl/condition/by-day', { ...BY_DAY, Enabled: false, name: 'by-day' })
    const [listed] = (await client.get('/v1/acl/conditions')).json
    t.equal(listed.Enabled, false)
    t.ok(listed.ModifyIndex > CreateIndex)
    const deleted = await client.send('DELETE', '/v1/acl/condition/by-day')
    t.strictSame([deleted.status, deleted.json], [200, true])
    const again = await client.send('DELETE', '/v1/acl/condition/by-day')
    t.same([again.status, again.text], [404, 'Cannot find condition to delete'])
  })

  t.test('what is refused when it is written, with its place', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const refused = async (body: object): Promise<string> => {
      const answered = await client.put('/v1/acl/condition/c', { ...BY_DAY, ...body })
      return `${answered.status} ${answered.text}`
    }
    t.equal(
      await refused({ Expression: 'request.name = "web"' }),
      '400 Invalid condition: Expression, line 1, column 14: found = but expecting end of input',
    )
    t.equal(await refused({ Name: 'other' }), '400 Condition Name in URL and payload do not match')
    t.equal(
      await refused({ Levle: 'x' }),
      '400 Condition decoding failed: json: unknown field "Levle"',
    )
    t.match(await refused({ Level: '' }), /^400 Invalid condition: Level should be one of/)
    t.strictSame((await client.get('/v1/acl/conditions')).json, [])
  })

  t.test('whoever waits hears of a change', async t => {
    const face = await startFace(t, { open: newStore(t) })
    const { index } = await face.client.get('/v1/acl/conditions')
    const waiting = face.client.get(`/v1/acl/conditions?index=${index}&wait=30s`)
    await face.waiting(1)
    await face.client.put('/v1/acl/condition/c', BY_DAY)
    t.equal((await waiting).json.length, 1)
  })
})

t.test('who may', async t => {
  const reader: Who = {
    accessor: 'reader',
    rights: 'reads',
    may: ({ capability }) => capability === 'read',
  }
  let who = everybody
  const authority = { authenticate: () => who }
  const { client } = await startFace(t, { authority })
  await client.put('/v1/acl/condition/c', BY_DAY)
  who = reader
  t.equal((await client.get('/v1/acl/condition/c')).status, 200)
  const lacking =
    "403 Permission denied: token with AccessorID 'reader' lacks permission 'acl:write'"
  for (const answered of [
    await client.put('/v1/acl/condition/c', BY_DAY),
    await client.send('DELETE', '/v1/acl/condition/c'),
  ]) {
    t.equal(`${answered.status} ${answered.text}`, lacking)
  }
  who = { ...reader, rights: 'none', may: () => false }
  t.equal((await client.get('/v1/acl/conditions')).status, 403)
  t.equal((await client.get('/v1/acl/condition/c')).status, 403)
})

t.test('without ACLs there are none', async t => {
  const { client } = await startFace(t, { hasConditions: false })
  for (const answered of [
    await client.get('/v1/acl/conditions'),
    await client.get('/v1/acl/condition/c'),
    await client.put('/v1/acl/condition/c', BY_DAY),
    await client.send('DELETE', '/v1/acl/condition/c'),
  ]) {
    t.equal(`${answered.status} ${answered.text}`, '401 ACL support disabled')
  }
})
