/** The paths of sinks: what is taken, what is told, what is never told. */
import t from 'tap'
import { FakeFeed, FakeTarget, fakeKind } from '../../feed/sink/fakes.ts'
import { startFace, until } from '../harness.ts'

const body = {
  kind: 'fake',
  services: ['web'],
  token: 'secret-token',
  settings: { secret: 'secret-word' },
}

t.test('written, listed, shown, planned, deleted', async t => {
  const [feed, target] = [new FakeFeed(), new FakeTarget()]
  const { client } = await startFace(t, { sinks: { kinds: [fakeKind(target)], follow: feed } })
  t.same((await client.get('/v1/sinks')).json, [])
  t.equal((await client.put('/v1/sinks/web', body)).json, true)
  const shown = await client.get('/v1/sinks/web')
  t.notMatch(shown.text, /secret-/)
  t.match(shown.json, {
    Name: 'web',
    Kind: 'fake',
    Definition: { services: ['web'], buffer_min: 200, token: '(hidden)' },
    Status: { Phase: 'waiting', Detail: /no server has told/, Counts: { Applied: 0 } },
    Server: '',
  })
  t.match((await client.get('/v1/sinks')).json, [{ Name: 'web' }])
  for (const path of ['web?plan', 'new?plan']) {
    const isNew = path.startsWith('new')
    const asked = client.send(isNew ? 'PUT' : 'GET', `/v1/sinks/${path}`, isNew ? body : undefined)
    await until(() => feed.followed.size > 0)
    feed.service('web', 80)
    t.match((await asked).json, {
      Outcome: 'plan',
      Changes: [' → web:80'],
      Summary: 'web:80 at here',
    })
  }
  t.equal((await client.get('/v1/sinks/new')).status, 404, 'a plan writes nothing')
  t.equal(target.has, '')
  t.equal((await client.delete('/v1/sinks/web')).json, true)
  t.match(await client.delete('/v1/sinks/web'), { status: 404, text: /there is no sink "web"/ })
})

t.test('what is wrong is told, and is not written', async t => {
  const { client } = await startFace(t, {
    sinks: { kinds: [fakeKind(new FakeTarget())], follow: new FakeFeed() },
  })
  const wrong = { ...body, timeout: 'soon', settings: { program: ['/bin/sh'], token: 'secret-2' } }
  const { status, text } = await client.put('/v1/sinks/web', wrong)
  t.equal(status, 400)
  t.match(text, /timeout: must be a duration.*settings.program: only the configuration/)
  t.notMatch(text, /secret-/)
  t.equal((await client.put('/v1/sinks/a%20b', body)).status, 400)
  t.equal((await client.put('/v1/sinks/web', '[]')).status, 400)
  t.same((await client.get('/v1/sinks')).json, [])
})

t.test('the sinks of the agent itself', async t => {
  const { client } = await startFace(t)
  t.same((await client.get('/v1/agent/sinks')).json, [])
  t.match(await client.get('/v1/agent/sinks/web'), { status: 404, text: /no such sink/ })
})
