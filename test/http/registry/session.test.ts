/**
 * The paths of sessions, and the locks that stand on them. On every engine.
 */
import t from 'tap'
import type { Client } from '../client.ts'
import { onEveryEngine } from '../engines.ts'
import { NODE, startFace, until } from '../harness.ts'

const create = async (client: Client, body?: object): Promise<string> => {
  const { json } = await client.put('/v1/session/create', body)
  return json.ID
}

const isHeld = async (client: Client, key: string): Promise<boolean> =>
  'Session' in ((await client.get(`/v1/kv/${key}`)).json?.[0] ?? {})

onEveryEngine(t, async (t, newStore) => {
  t.test('create, read, renew, destroy', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const id = await create(client, { Name: 'n', TTL: '15s', Behavior: 'delete' })
    const [session] = (await client.get(`/v1/session/info/${id}`)).json
    t.match(session, {
      ID: id,
      Name: 'n',
      Node: NODE,
      LockDelay: 15e9,
      Behavior: 'delete',
      TTL: '15s',
      NodeChecks: ['serfHealth'],
      ServiceChecks: null,
    })
    t.strictSame((await client.get('/v1/session/list')).json, [session])
    t.strictSame((await client.get(`/v1/session/node/${NODE.toUpperCase()}`)).json, [session])
    t.strictSame((await client.put(`/v1/session/renew/${id}`)).json, [session])
    t.equal((await client.put(`/v1/session/destroy/${id}`)).text, 'true')
    t.equal((await client.put(`/v1/session/destroy/${id}`)).text, 'true', 'unknown ones too')
    t.strictSame((await client.get(`/v1/session/info/${id}`)).json, [])
    const gone = await client.put(`/v1/session/renew/${id}`)
    t.equal(gone.status, 404)
    t.equal(gone.text, `Session id '${id}' not found`)
  })

  t.test('trap 33: release keeps LockIndex, a plain write on a held key zeroes it', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const id = await create(client)
    const put = async (query: string) => (await client.put(`/v1/kv/lock?${query}`, 'v')).text
    const entry = async () => (await client.get('/v1/kv/lock')).json[0]
    t.equal(await put(`acquire=${id}`), 'true')
    t.match(await entry(), { LockIndex: 1, Session: id })
    t.equal(await put(`acquire=${id}`), 'true', 'again by the same')
    t.match(await entry(), { LockIndex: 1, Session: id })
    t.equal(await put(`release=${id}`), 'true')
    t.equal((await entry()).LockIndex, 1)
    t.notOk('Session' in (await entry()))
    t.equal(await put(`acquire=${id}`), 'true', 'a release has no lock delay')
    t.equal((await entry()).LockIndex, 2)
    t.equal(await put(''), 'true')
    t.match(await entry(), { LockIndex: 0, Session: id })
    const other = await create(client)
    t.equal(await put(`acquire=${other}`), 'false')
    t.equal(await put(`release=${other}`), 'false')
  })

  t.test('trap 32: a session ends with its node', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/catalog/register', { Node: 'n', Address: '10.0.0.1' })
    const id = await create(client, { Node: 'n', Checks: [], LockDelay: 0 })
    await client.put(`/v1/kv/lock?acquire=${id}`, 'mine')
    await client.put('/v1/catalog/deregister', { Node: 'n' })
    t.strictSame((await client.get(`/v1/session/info/${id}`)).json, [])
    const [entry] = (await client.get('/v1/kv/lock')).json
    t.match(entry, { LockIndex: 1, Value: Buffer.from('mine').toString('base64') })
    t.notOk('Session' in entry)
  })

  t.test('a session ends when a check of it fails or goes', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const check = (Status: string) =>
      client.put('/v1/catalog/register', {
        Node: 'n',
        Address: '10.0.0.1',
        Check: { CheckID: 'c', Name: 'c', Status },
      })
    await check('critical')
    const body = { Node: 'n', NodeChecks: ['c'], Behavior: 'delete', LockDelay: '0s' }
    const refused = await client.put('/v1/session/create', body)
    t.equal(refused.status, 500)
    t.match(refused.text, "Check 'c' is in critical state")
    await check('warning')
    const first = await create(client, body)
    await client.put(`/v1/kv/lock?acquire=${first}`, 'x')
    await check('critical')
    t.strictSame((await client.get(`/v1/session/info/${first}`)).json, [])
    t.equal((await client.get('/v1/kv/lock')).status, 404, 'behavior delete')
    await check('passing')
    const second = await create(client, body)
    await client.put('/v1/catalog/deregister', { Node: 'n', CheckID: 'c' })
    t.strictSame((await client.get(`/v1/session/info/${second}`)).json, [])
  })

  t.test('a session without renewals ends, and its locks with it', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const id = await create(client, { TTL: '50ms', LockDelay: '1ms' })
    await client.put(`/v1/kv/lock?acquire=${id}`, 'x')
    await until(async () => !(await isHeld(client, 'lock')))
    t.strictSame((await client.get(`/v1/session/info/${id}`)).json, [])
    const next = await create(client)
    await until(async () => (await client.put(`/v1/kv/lock?acquire=${next}`)).text === 'true')
    t.ok(await isHeld(client, 'lock'), 'the delay is over')
  })

  t.test('after a session ended badly its locks cannot be taken for a while', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const id = await create(client, { LockDelay: '60s' })
    await client.put(`/v1/kv/lock?acquire=${id}`, 'x')
    await client.put(`/v1/session/destroy/${id}`)
    const next = await create(client)
    t.equal((await client.put(`/v1/kv/lock?acquire=${next}`, 'y')).text, 'false')
    t.equal((await client.put('/v1/kv/lock', 'plain')).text, 'true', 'a plain write may')
    t.equal((await client.put(`/v1/kv/other?acquire=${next}`, 'y')).text, 'true')
  })
})

t.test('trap 13: a small number as LockDelay is seconds', async t => {
  const { client } = await startFace(t)
  const given: [unknown, number][] = [
    [10, 10e9],
    [999, 999e9],
    [1_000, 1_000],
    [5e9, 5e9],
    ['20s', 20e9],
    ['0s', 0],
    [0, 0],
    [null, 15e9],
    ['100s', 100e9],
  ]
  for (const [LockDelay, nanoseconds] of given) {
    const id = await create(client, { LockDelay })
    const [session] = (await client.get(`/v1/session/info/${id}`)).json
    t.equal(session.LockDelay, nanoseconds, JSON.stringify(LockDelay))
  }
})

t.test('trap 14: Checks, also an empty list, replace serfHealth', async t => {
  const { client } = await startFace(t)
  const given: [object, string[]][] = [
    [{}, ['serfHealth']],
    [{ Checks: [] }, []],
    [{ checks: ['serfHealth'] }, ['serfHealth']],
    [{ NodeChecks: [] }, []],
    [{ NodeChecks: [], Checks: ['serfHealth'] }, []],
  ]
  for (const [body, checks] of given) {
    const id = await create(client, body)
    const [session] = (await client.get(`/v1/session/info/${id}`)).json
    t.strictSame(session.NodeChecks, checks, JSON.stringify(body))
  }
})

t.test('what a session is created with, and what is refused', async t => {
  const { client } = await startFace(t)
  t.match((await client.put('/v1/session/create')).json, { ID: /^[0-9a-f-]{36}$/ }, 'no body')
  const python = { node: NODE, lockdelay: '10s', behavior: 'release', ttl: '10s', name: 'py' }
  t.ok(await create(client, python))
  t.ok(await create(client, { Unknown: 1, Namespace: 'x' }), 'trap 29b: here they are ignored')
  await client.put('/v1/agent/service/register', { Name: 'web', Check: { TTL: '1m' } })
  await client.put('/v1/agent/check/pass/service:web')
  const onService = await create(client, { ServiceChecks: [{ ID: 'service:web' }] })
  const [session] = (await client.get(`/v1/session/info/${onService}`)).json
  t.strictSame(session.ServiceChecks, [{ ID: 'service:web', Namespace: '' }])
  const refused: [object | string, number, string][] = [
    ['{', 400, 'Request decode failed: invalid character in JSON body'],
    [{ TTL: 5 }, 400, 'Request decode failed: json: cannot unmarshal number'],
    [{ LockDelay: 'x' }, 400, 'Request decode failed: body.LockDelay: time: invalid duration'],
    [{ TTL: '30' }, 500, `Session TTL '30' invalid: time: invalid duration "30"`],
    [{ TTL: '1ms' }, 500, "Invalid Session TTL '1000000', must be between [10ms=24h0m0s]"],
    [{ TTL: '25h' }, 500, "Invalid Session TTL '90000000000000', must be between"],
    [{ Behavior: 'x' }, 500, "Invalid Behavior setting 'x'"],
    [{ Node: 'nosuch' }, 500, 'apply failed: Missing node registration'],
    [{ Checks: ['c'] }, 500, "apply failed: Missing check 'c' registration"],
    [{ ServiceChecks: [{ ID: 'c' }] }, 500, "apply failed: Missing check 'c' registration"],
  ]
  for (const [body, status, text] of refused) {
    const answered = await client.put('/v1/session/create', body)
    t.equal(answered.status, status, JSON.stringify(body))
    t.match(answered.text, text)
  }
  const missing: Record<string, string> = {
    '/v1/session/info/': 'Missing session',
    '/v1/session/node/': 'Missing node name',
  }
  for (const [path, text] of Object.entries(missing)) {
    t.equal((await client.get(path)).text, text)
  }
  for (const verb of ['renew', 'destroy']) {
    const answered = await client.put(`/v1/session/${verb}/`)
    t.equal(answered.status, 400)
    t.equal(answered.text, 'Missing session')
  }
})
