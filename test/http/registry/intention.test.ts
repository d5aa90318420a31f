/**
 * Intentions over HTTP. On every engine.
 */
import t from 'tap'
import { onEveryEngine } from '../engines.ts'
import { startFace } from '../harness.ts'

interface Shown {
  readonly SourceName: string
  readonly DestinationName: string
  readonly Precedence: number
}

const base = '/v1/connect/intentions'
const exact = (source: string, destination: string): string =>
  `${base}/exact?source=${source}&destination=${destination}`
const pairs = (list: Shown[]): string[] =>
  list.map(one => `${one.SourceName}>${one.DestinationName} ${one.Precedence}`)

onEveryEngine(t, async (t, newStore) => {
  t.test('a pair: write, read, check, delete', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const said = { SourceType: 'consul', Action: 'deny', Description: 'not yet' }
    t.equal((await client.put(exact('web', 'db'), said)).text, 'true')
    const read = await client.get(exact('web', 'default/db'))
    t.match(read.json, {
      SourceNS: 'default',
      SourceName: 'web',
      DestinationName: 'db',
      ...said,
      Precedence: 9,
    })
    t.equal(read.json.ModifyIndex, read.index)
    const allowed = async (source: string, destination: string) =>
      (await client.get(`${base}/check?source=${source}&destination=${destination}`)).json.Allowed
    t.equal(await allowed('web', 'db'), false)
    t.equal(await allowed('web', 'other'), true, 'what nobody speaks of is allowed')
    await client.put(exact('web', 'db'), { Action: 'allow' })
    t.equal(await allowed('web', 'db'), true)
    t.equal((await client.delete(exact('web', 'db'))).text, 'true')
    t.equal((await client.delete(exact('web', 'db'))).text, 'true')
    const gone = await client.get(exact('web', 'db'))
    t.strictSame([gone.status, gone.text], [404, 'Intention not found'])
    t.equal((await client.get('/v1/config/service-intentions/db')).status, 404, 'nor its entry')
  })

  t.test('the order of precedence, in the list, in matches and in checks', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await client.put(exact('*', '*'), { Action: 'deny' })
    await client.put(exact('web', '*'), { Action: 'deny' })
    await client.put(exact('*', 'db'), { Action: 'deny' })
    await client.put(exact('web', 'db'), { Action: 'allow' })
    await client.put(exact('api', 'db'), { Action: 'deny' })
    const list = (await client.get(base)).json
    t.strictSame(pairs(list), ['api>db 9', 'web>db 9', '*>db 8', 'web>* 6', '*>* 5'])
    const filtered = await client.get(`${base}?filter=Action==allow+or+Precedence==5`)
    t.strictSame(pairs(filtered.json), ['web>db 9', '*>* 5'])
    const match = async (query: string) => (await client.get(`${base}/match?${query}`)).json
    const byDestination = await match('by=destination&name=db&name=x')
    t.strictSame(Object.keys(byDestination), ['db', 'x'])
    t.strictSame(pairs(byDestination.db), ['api>db 9', 'web>db 9', '*>db 8', 'web>* 6', '*>* 5'])
    t.strictSame(pairs(byDestination.x), ['web>* 6', '*>* 5'])
    const bySource = await match('by=source&name=default/web')
    t.strictSame(pairs(bySource['default/web']), ['web>db 9', '*>db 8', 'web>* 6', '*>* 5'])
    const check = async (pair: string) => (await client.get(`${base}/check?${pair}`)).text
    t.equal(await check('source=web&destination=db'), '{"Allowed":true}')
    t.equal(await check('source=x&destination=db'), '{"Allowed":false}')
  })

  t.test('an intention is an entry, and the other way round', async t => {
    const { client, waiting } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/config', {
      Kind: 'service-intentions',
      Name: 'db',
      Sources: [{ Name: 'web', Action: 'allow' }],
      Meta: { owner: 'x' },
    })
    const { index } = await client.get(base)
    const blocked = client.get(`${base}?index=${index}&wait=600s`)
    await waiting(1)
    await client.put(exact('*', 'db'), { Action: 'deny', Meta: { owner: 'x' } })
    t.strictSame(pairs((await blocked).json), ['web>db 9', '*>db 8'])
    const entry = (await client.get('/v1/config/service-intentions/db')).json
    t.match(entry, { Sources: [{ Name: 'web' }, { Name: '*' }], Meta: { owner: 'x' } })
    const other = await client.put(exact('*', 'db'), { Action: 'deny', Meta: { owner: 'y' } })
    t.strictSame(
      [other.status, other.text],
      [500, 'Meta must not be specified, or should be unchanged during an update.'],
    )
    await client.delete(exact('web', 'db'))
    t.equal((await client.get('/v1/config/service-intentions/db')).json.Sources.length, 1)
    await client.delete('/v1/config/service-intentions/db')
    t.equal((await client.get(base)).text, '[]')
  })

  t.test('by id: the older API', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const given = { SourceName: 'web', DestinationName: 'db', Action: 'allow', Meta: { a: 'b' } }
    const { ID } = (await client.send('POST', base, given)).json
    const made = (await client.get(`${base}/${ID}`)).json
    t.match(made, { ...given, ID, Precedence: 9, SourceType: 'consul' })
    t.match(made.CreatedAt, /^\d{4}-\d\d-\d\dT/)
    const twice = await client.send('POST', base, given)
    t.strictSame([twice.status, twice.text], [500, 'Sources[1] defines "web" more than once'])
    t.equal((await client.put(`${base}/${ID}`, { ...given, Action: 'deny' })).json.ID, ID)
    const updated = (await client.get(exact('web', 'db'))).json
    t.match(updated, { Action: 'deny', CreatedAt: made.CreatedAt })
    const moved = await client.put(`${base}/${ID}`, { ...given, DestinationName: 'x' })
    t.match(moved.text, 'Cannot modify DestinationName for an intention once it exists.')
    const other = '11111111-2222-4333-8444-555555555555'
    t.equal((await client.get(`${base}/${other}`)).status, 404)
    t.match((await client.get(`${base}/short`)).text, /UUID/)
    t.match((await client.put(`${base}/${other}`, given)).text, /^Cannot modify non-existent/)
    t.equal((await client.delete(`${base}/${ID}`)).text, 'true')
    t.match((await client.delete(`${base}/${ID}`)).text, /^Cannot delete non-existent/)
    await client.put(exact('web', 'db'), { Action: 'allow' })
    const mixed = await client.send('POST', base, { ...given, SourceName: 'api' })
    t.equal(mixed.status, 500)
    t.match(mixed.text, /^cannot use legacy intention API to edit intentions with a destination of/)
  })
})

t.test('refusals', async t => {
  const { client } = await startFace(t)
  const asked: [string, string, object | undefined, number, string | RegExp][] = [
    ['GET', `${base}/check`, undefined, 500, "required query parameter 'source' not set"],
    [
      'GET',
      `${base}/check?source=a`,
      undefined,
      500,
      "required query parameter 'destination' not set",
    ],
    ['GET', `${base}/check?source=a&destination=b&source-type=x`, undefined, 500, /unsupported/],
    ['GET', `${base}/match?name=a`, undefined, 500, "required query parameter 'by' not set"],
    [
      'GET',
      `${base}/match?by=x&name=a`,
      undefined,
      500,
      /must be one of 'source' or 'destination'/,
    ],
    ['GET', `${base}/match?by=source`, undefined, 500, "required query parameter 'name' not set"],
    ['GET', exact('a', 'x/y/z/b'), undefined, 500, /at most two/],
    ['GET', exact('ns/a', 'b'), undefined, 400, /Namespaces is a Consul Enterprise feature/],
    ['PUT', exact('', 'b'), { Action: 'deny' }, 500, "required query parameter 'source' not set"],
    ['PUT', exact('peer:x/a', 'b'), { Action: 'deny' }, 500, /cannot specify a peer here/],
    ['PUT', exact('a', 'b'), {}, 500, "Sources[0].Action must be set to 'allow' or 'deny'"],
    ['PUT', exact('a*', 'b'), { Action: 'deny' }, 500, /cannot be used with partial values/],
    ['PUT', exact('a', 'b'), { Action: 'deny', Foo: 1 }, 400, /unknown field "Foo"/],
    ['PUT', exact('a', 'b'), { Action: 'deny', SourceNS: 'x' }, 400, /Enterprise feature/],
    [
      'PUT',
      exact('a', 'b'),
      { Action: 'deny', Meta: { a: 'b' } },
      500,
      'Meta must not be specified',
    ],
    [
      'PUT',
      exact('a', 'b'),
      { Action: 'deny', SourcePeer: 'p' },
      501,
      'not served yet: SourcePeer',
    ],
    ['PUT', exact('a', 'b'), { Permissions: [{ Action: 'deny' }] }, 500, /HTTP is required/],
    ['POST', base, { ID: 'x' }, 500, 'ID must be empty when creating a new intention'],
    ['POST', base, { SourceName: 'a', Action: 'deny' }, 500, 'Name is required'],
  ]
  for (const [method, path, body, status, text] of asked) {
    const answered = await client.send(method, path, body)
    t.equal(answered.status, status, `${method} ${path} ${answered.text}`)
    t.match(answered.text, text)
  }
  t.equal((await client.get(base)).text, '[]', 'nothing was written')
})
