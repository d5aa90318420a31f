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

  t.test('with cas: only as it was read, and never two who make the same', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const path = '/v1/acl/condition/by-day'
    const put = async (cas: number | string, Level = 'advisory') => {
      const { status, json } = await client.put(`${path}?cas=${cas}`, { ...BY_DAY, Level })
      return [status, json === false ? json : json?.Level]
    }
    t.strictSame(await put(7), [200, false], 'there is none to change')
    t.strictSame(await put(0), [200, 'advisory'])
    t.strictSame(await put(0), [200, false], 'it is there already')
    const { ModifyIndex } = (await client.get(path)).json
    t.strictSame(await put(ModifyIndex - 1, 'hard-mandatory'), [200, false])
    t.strictSame(await put(ModifyIndex, 'hard-mandatory'), [200, 'hard-mandatory'])
    t.strictSame(await put(ModifyIndex, 'soft-mandatory'), [200, false], 'it was changed since')
    t.equal((await client.put(`${path}?cas=x`, BY_DAY)).status, 500, 'as config entries have it')
    const { ModifyIndex: now } = (await client.get(path)).json
    const drop = async (cas: number) => {
      const { status, text } = await client.send('DELETE', `${path}?cas=${cas}`)
      return [status, text.trim()]
    }
    t.strictSame(await drop(ModifyIndex), [200, 'false'])
    t.equal((await client.get(path)).json.Level, 'hard-mandatory')
    t.strictSame(await drop(now), [200, 'true'])
    t.equal((await drop(now))[0], 404)
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

onEveryEngine(t, async (t, newStore) => {
  t.test('what is governed is what is done, by whatever path', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/kv/app/a', 'x')
    await client.put('/v1/acl/condition/no-app', {
      Expression: 'request.operation == "PUT /v1/txn" && request.body_size < 3',
      Level: 'hard-mandatory',
      Operations: [
        { Resource: 'key', Prefix: 'app/' },
        { Resource: 'service', Name: 'web' },
      ],
    })
    const refusal = 'Permission denied: condition "no-app" (hard-mandatory) does not hold'
    const set = { KV: { Verb: 'set', Key: 'app/b', Value: 'eA==' } }
    const attacks = [
      await client.put('/v1/kv/app/a', 'y'),
      await client.put('/v1/kv/app/new', 'y'),
      await client.send('DELETE', '/v1/kv/app/a'),
      await client.send('DELETE', '/v1/kv/app/a?recurse'),
      await client.send('DELETE', '/v1/kv/?recurse'),
      await client.send('DELETE', '/v1/kv/ap?recurse'),
      await client.put('/v1/agent/service/register', { Name: 'WEB' }),
      await client.put('/v1/catalog/register', {
        Node: 'n',
        Address: '10.0.0.1',
        Service: { Service: 'Web' },
      }),
      await client.put('/v1/txn', [set]),
    ]
    for (const [at, { status, text }] of attacks.entries()) {
      t.same([status, text], [403, refusal], `attack ${at}`)
    }
    t.equal((await client.get('/v1/kv/app/a?raw')).text, 'x')
    t.strictSame((await client.get('/v1/catalog/service/web')).json, [])
    const near = [
      await client.put('/v1/kv/apple', 'y'),
      await client.put('/v1/kv/APP/a', 'y'),
      await client.send('DELETE', '/v1/kv/b?recurse'),
      await client.put('/v1/agent/service/register', { Name: 'webs' }),
      await client.get('/v1/kv/app/a'),
    ]
    for (const [at, { status }] of near.entries()) t.equal(status, 200, `near miss ${at}`)
    await client.send('DELETE', '/v1/acl/condition/no-app')
    t.equal((await client.put('/v1/kv/app/a', 'y')).status, 200)
  })

  t.test('levels, as a client meets them', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const level = async (Level: string): Promise<void> => {
      await client.put('/v1/acl/condition/ports', {
        Expression: 'request.body.Port == 0 || request.body.Port >= 1024',
        Level,
        Operations: [{ Resource: 'service' }],
      })
    }
    const register = async (Port: number, override = false): Promise<string> => {
      const sent = override ? { headers: { 'X-Policy-Override': 'true' } } : {}
      const body = { Name: 'web', Port }
      const answered = await client.send('PUT', '/v1/agent/service/register', body, sent)
      return `${answered.status} ${answered.headers['x-gatehouse-advisory'] ?? '-'}`
    }
    await level('advisory')
    t.equal(await register(80), '200 ports')
    t.equal(await register(8080), '200 -')
    await level('soft-mandatory')
    t.equal(await register(81), '403 -')
    t.equal(await register(81, true), '200 -')
    await level('hard-mandatory')
    t.equal(await register(82, true), '403 -')
    t.equal(await register(8082), '200 -')
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
