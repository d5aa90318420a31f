/**
 * What wakes a blocking query and what does not: the index is taken first, then the event happens.
 * On every engine.
 *
 * A query that sleeps is seen to wait after the event was answered, and gives its index after a
 * short wait of its own; a query that wakes does so out of a wait too long for any test.
 */
import t, { type Test } from 'tap'
import type { Answered, Client } from '../client.ts'
import { onEveryEngine } from '../engines.ts'
import { type Face, startFace } from '../harness.ts'

type Event = (client: Client) => Promise<unknown>

interface Row {
  /** The trap of the compatibility page that it is about. */
  readonly trap?: string
  readonly watch: string
  readonly name: string
  readonly before?: Event
  readonly event: Event
  readonly wakes: boolean
  /** What to look at beyond waking and sleeping. */
  readonly look?: (t: Test, first: Answered, last: Answered, client: Client) => Promise<void>
}

const put =
  (key: string, value = 'x') =>
  (client: Client) =>
    client.put(`/v1/kv/${key}`, value)
const register = (more: object) => (client: Client) =>
  client.put('/v1/catalog/register', { Node: 'n', Address: '10.0.0.1', ...more })
const deregister = (more: object) => (client: Client) =>
  client.put('/v1/catalog/deregister', { Node: 'n', ...more })
const web = (more: object = {}) => register({ Service: { Service: 'web', ...more } })
const check = (Status: string, Output = '') =>
  register({ Check: { CheckID: 'c', Name: 'c', Status, Output } })
const all =
  (...events: Event[]): Event =>
  async client => {
    for (const event of events) await event(client)
  }

const current: NonNullable<Row['look']> = async (t, first, last) => {
  t.ok(last.index > first.index, 'the index of the event')
}
const unchanged: NonNullable<Row['look']> = async (t, first, last) => {
  t.equal(last.index, first.index)
  t.equal(last.text, first.text)
}

const rows: readonly Row[] = [
  {
    watch: 'kv/a',
    name: 'an identical PUT',
    before: put('a'),
    event: put('a'),
    wakes: false,
    look: unchanged,
  },
  {
    watch: 'kv/a',
    name: 'a PUT of another key',
    before: put('a'),
    event: put('b'),
    wakes: false,
    look: unchanged,
  },
  { watch: 'kv/a', name: 'another value', before: put('a'), event: put('a', 'y'), wakes: true },
  {
    watch: 'kv/missing',
    name: 'a PUT of another key',
    event: put('b'),
    wakes: false,
    async look(t, first, last) {
      t.equal(last.status, 404)
      t.ok(last.index > first.index, 'the newer index of the table, although nothing woke it')
    },
  },
  { watch: 'kv/missing', name: 'its creation', event: put('missing'), wakes: true },
  {
    watch: 'kv/w/?recurse',
    name: 'a PUT outside the prefix',
    before: put('w/1'),
    event: put('x'),
    wakes: false,
    look: unchanged,
  },
  {
    watch: 'kv/w/?recurse',
    trap: '05',
    name: 'a DELETE inside',
    before: all(put('w/1'), put('w/2')),
    event: client => client.delete('/v1/kv/w/2'),
    wakes: true,
    async look(t, first, last, client) {
      t.ok(last.index > first.index, 'a higher index')
      t.equal(last.json.length, 1)
      const survivor = await client.get('/v1/kv/w/1')
      t.ok(survivor.index < first.index, 'a single key keeps its own')
      t.equal((await client.get('/v1/kv/w/2')).index, last.index)
    },
  },
  {
    watch: 'kv/w/?keys',
    name: 'a DELETE of all of it',
    before: put('w/1'),
    event: client => client.delete('/v1/kv/w/?recurse'),
    wakes: true,
    look: current,
  },
  {
    watch: 'kv/lock',
    name: 'the destruction of its session',
    before: async client => {
      const { ID } = (await client.put('/v1/session/create', { Name: 'holder' })).json
      await client.put(`/v1/kv/lock?acquire=${ID}`, 'x')
    },
    event: async client => {
      const [{ ID }] = (await client.get('/v1/session/list')).json
      await client.put(`/v1/session/destroy/${ID}`)
    },
    wakes: true,
  },
  {
    watch: 'health/service/missing',
    name: 'another service is registered',
    event: web(),
    wakes: false,
    look: unchanged,
  },
  { watch: 'health/service/web', name: 'its first instance', event: web(), wakes: true },
  {
    watch: 'health/service/web',
    name: 'an unrelated service, and a key',
    before: web(),
    event: all(register({ Node: 'm', Service: { Service: 'db' } }), put('a')),
    wakes: false,
    look: unchanged,
  },
  {
    watch: 'health/service/web',
    name: 'an equal registration',
    before: web(),
    event: web(),
    wakes: false,
    look: unchanged,
  },
  {
    watch: 'health/service/web',
    name: 'a check on its node',
    before: web(),
    event: check('passing'),
    wakes: true,
  },
  {
    watch: 'health/service/web',
    name: 'only the output of a check changed',
    before: all(web(), check('passing', 'one')),
    event: check('passing', 'two'),
    wakes: true,
  },
  {
    watch: 'health/service/web',
    name: 'its node has another address',
    before: web(),
    event: register({ Address: '10.0.0.2' }),
    wakes: true,
  },
  {
    watch: 'health/service/web?passing',
    name: 'a check of the node turns critical',
    before: all(web(), check('passing')),
    event: check('critical'),
    wakes: true,
    async look(t, _first, last) {
      t.equal(last.text, '[]')
    },
  },
  {
    watch: 'health/service/web',
    name: 'the last instance goes',
    before: web(),
    event: deregister({ ServiceID: 'web' }),
    wakes: true,
    async look(t, first, last, client) {
      t.ok(last.index > first.index)
      const unknown = await client.get('/v1/health/service/unknown')
      t.equal(unknown.index, last.index, 'unknown services report the extinction too')
    },
  },
  {
    watch: 'health/service/web',
    name: 'the node goes',
    before: web(),
    event: deregister({}),
    wakes: true,
  },
  {
    watch: 'catalog/service/web',
    name: 'a check on its node',
    before: web(),
    event: check('passing'),
    wakes: false,
    look: unchanged,
  },
  {
    watch: 'catalog/service/web',
    name: 'another tag',
    before: web(),
    event: web({ Tags: ['a'] }),
    wakes: true,
  },
  {
    watch: 'catalog/services',
    name: 'the port of an instance changed',
    before: web(),
    event: web({ Port: 99 }),
    wakes: true,
    async look(t, first, last) {
      t.equal(last.text, first.text, 'with an identical body')
      t.ok(last.index > first.index)
    },
  },
  { watch: 'catalog/services', name: 'a key', event: put('a'), wakes: false, look: unchanged },
  {
    watch: 'catalog/nodes',
    name: 'a service on a node',
    before: register({}),
    event: web(),
    wakes: false,
  },
  {
    watch: 'catalog/nodes',
    name: 'a node goes',
    before: register({}),
    event: deregister({}),
    wakes: true,
  },
  {
    watch: 'catalog/node/n',
    name: 'a service on it',
    before: register({}),
    event: web(),
    wakes: true,
  },
  {
    watch: 'catalog/node/n',
    name: 'a service on another node',
    before: register({}),
    event: register({ Node: 'm', Service: { Service: 'web' } }),
    wakes: false,
    look: unchanged,
  },
  {
    watch: 'catalog/node/n',
    name: 'it goes',
    before: register({}),
    event: deregister({}),
    wakes: true,
  },
  {
    watch: 'health/node/n',
    name: 'a check on it',
    before: web(),
    event: check('passing'),
    wakes: true,
  },
  {
    watch: 'health/node/n',
    name: 'its check goes',
    before: check('passing'),
    event: deregister({ CheckID: 'c' }),
    wakes: true,
  },
  {
    watch: 'health/checks/web',
    name: 'a check of the node',
    before: web(),
    event: check('passing'),
    wakes: false,
  },
  {
    watch: 'health/checks/web',
    name: 'a check of it',
    before: web(),
    event: register({ Check: { CheckID: 'c', Name: 'c', ServiceID: 'web' } }),
    wakes: true,
  },
  { watch: 'health/state/critical', name: 'a check', event: check('critical'), wakes: true },
  { watch: 'session/list', name: 'a key', event: put('a'), wakes: false, look: unchanged },
  {
    watch: 'session/list',
    name: 'a session',
    event: client => client.put('/v1/session/create'),
    wakes: true,
  },
]

onEveryEngine(t, async (t, newStore) => {
  t.test('the table', async t => {
    const open = newStore(t)
    const face = await startFace(t, { open })
    for (const row of rows) {
      const { trap, watch, name, wakes } = row
      const title = `${watch}: ${name} ${wakes ? 'wakes' : 'sleeps'}`
      await t.test(trap === undefined ? title : `trap ${trap}: ${title}`, t => seen(t, face, row))
    }
  })

  t.test('an index of the future sleeps, then gives the true one', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/kv/a', 'x')
    const { index } = await client.get('/v1/kv/a')
    const far = await client.get('/v1/kv/a?index=1000000&wait=50ms')
    t.equal(far.index, index)
    t.equal((await client.get('/v1/kv/a?index=0&wait=600s')).index, index, '0 does not block')
    await client.put('/v1/kv/a', 'y')
    const older = await client.get(`/v1/kv/a?index=${index}&wait=600s`)
    t.ok(older.index > index, 'an old one is answered at once')
  })

  t.test('trap 02: the index is never 0, on a store that is still empty too', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const paths = ['/v1/kv/?recurse', '/v1/session/list', '/v1/health/service/none']
    for (const path of paths) t.ok((await client.get(path)).index >= 1, path)
  })

  t.test('many who wait for one service get the same answer', async t => {
    const face = await startFace(t, { open: newStore(t) })
    const { client } = face
    await web()(client)
    const { index } = await client.get('/v1/health/service/web')
    const COUNT = 200
    const blocked = Array.from({ length: COUNT }, () =>
      client.get(`/v1/health/service/web?index=${index}&wait=600s`),
    )
    await face.waiting(COUNT)
    await web({ Port: 7 })(client)
    const answers = await Promise.all(blocked)
    t.strictSame(new Set(answers.map(({ text }) => text)).size, 1)
    t.equal(answers[0]!.json[0].Service.Port, 7)
    await face.waiting(0)
  })
})

/** Cleans up, then takes the index, waits, lets the event happen, and looks. */
async function seen(t: Test, face: Face, row: Row): Promise<void> {
  const { client } = face
  await clear(client)
  await row.before?.(client)
  const path = `/v1/${row.watch}`
  const first = await client.get(path)
  const join = path.includes('?') ? '&' : '?'
  const after = (waitMs: number): string => `${path}${join}index=${first.index}&wait=${waitMs}ms`
  const gone = new AbortController()
  const blocked = client.get(after(600_000), { signal: gone.signal })
  await face.waiting(1)
  await row.event(client)
  if (row.wakes) {
    const last = await blocked
    await face.waiting(0)
    t.ok(last.index > first.index, `${last.index} after ${first.index}`)
    await row.look?.(t, first, last, client)
    return
  }
  await turns()
  await face.waiting(1)
  gone.abort()
  await t.rejects(blocked, 'it still waits')
  await face.waiting(0)
  const last = await client.get(after(30))
  await row.look?.(t, first, last, client)
}

async function clear(client: Client): Promise<void> {
  for (const Node of ['n', 'm']) await client.put('/v1/catalog/deregister', { Node })
  for (const { ID } of (await client.get('/v1/session/list')).json) {
    await client.put(`/v1/session/destroy/${ID}`)
  }
  await client.delete('/v1/kv/?recurse')
}

/** What an event woke has been told by then. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(resolve => setImmediate(resolve))
}
