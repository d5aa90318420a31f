/**
 * A server of several whose view is older than what another one has answered: nothing that was
 * answered anywhere may be unknown to it.
 */
import tap, { type Test } from 'tap'
import { type Engine, path } from '../../src/secrets/declare.ts'
import { str } from '../../src/secrets/field.ts'
import type { Store } from '../../src/store/store.ts'
import { openSecrets, TestSecrets } from './harness.ts'

/** The same store as a server sees it that hears of nothing until it asks. */
function lagging(store: Store): Store {
  let seen = store.view()
  return new Proxy(store, {
    get(target, name) {
      if (name === 'supports') return { ...target.supports, shared: true }
      if (name === 'view') return () => seen
      if (name === 'readIndex') {
        return async () => {
          const at = await target.readIndex()
          seen = target.view()
          return at
        }
      }
      const value = Reflect.get(target, name, target) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Two servers of one store: `there` knows everything at once, `here` lags. */
async function open(t: Test): Promise<{ there: TestSecrets; here: TestSecrets }> {
  const there = await openSecrets(t)
  const here = new TestSecrets(lagging(there.store), {})
  here.barrier = there.barrier
  return { there, here }
}

tap.test('a write to a mount of a moment ago is kept', async t => {
  const { there, here } = await open(t)
  await there.post('sys/mounts/new', { type: 'kv' })
  t.equal((await here.post('new/a', { x: 1 })).status, 204)
  t.match((await there.read('new/a')).body, { data: { x: 1 } })
})

tap.test('so is one in a namespace of a moment ago', async t => {
  const { there, here } = await open(t)
  await there.post('sys/namespaces/ns')
  await there.post('sys/mounts/new', { type: 'kv' }, { namespace: 'ns' })
  t.equal((await here.post('new/a', { x: 1 }, { namespace: 'ns' })).status, 204)
  t.match((await there.read('ns/new/a')).body, { data: { x: 1 } })
})

tap.test('a user of a moment ago logs in, by the password of a moment ago', async t => {
  const { there, here } = await open(t)
  await there.post('sys/auth/userpass', { type: 'userpass' })
  for (const password of ['one', 'two']) {
    await there.post('auth/userpass/users/u', { password })
    const login = await here.post('auth/userpass/login/u', { password }, { token: '' })
    t.equal(login.status, 200, password)
  }
  const old = await here.post('auth/userpass/login/u', { password: 'one' }, { token: '' })
  t.equal(old.status, 400)
})

tap.test('uses are counted of a token of a moment ago, read or write', async t => {
  const { there, here } = await open(t)
  await there.post('sys/mounts/kv', { type: 'kv' })
  for (const use of ['read', 'update'] as const) {
    const made = await there.post('auth/token/create', { policies: ['root'], num_uses: 1 })
    const token = made.body.auth.client_token as string
    const data = { x: 1 }
    const first = await here.ask(use, 'kv/a', { token, data })
    t.ok([204, 404].includes(first.status), `${use}: ${first.status}`)
    t.equal((await there.ask(use, 'kv/a', { token, data })).status, 403, `${use}: no second`)
  }
})

tap.test('a token that was revoked a moment ago may nothing', async t => {
  const { there, here } = await open(t)
  await there.post('sys/mounts/kv', { type: 'kv' })
  const made = await there.post('auth/token/create', { policies: ['root'] })
  const token = made.body.auth.client_token as string
  t.equal((await here.post('kv/a', { x: 1 }, { token })).status, 204)
  await there.post('auth/token/revoke', { token })
  t.equal((await here.post('kv/a', { x: 2 }, { token })).status, 403)
  t.equal((await here.read('kv/a', { token })).status, 403)
  t.match((await there.read('kv/a')).body, { data: { x: 1 } })
})

/** An engine whose one path reads, and makes what it misses. */
const counting = (runs: string[], puts?: () => boolean): Engine => ({
  type: 'counting',
  kind: 'secret',
  help: 'Counts.',
  isMountable: true,
  paths: () => [
    path({
      pattern: 'at/{name}',
      help: { synopsis: 'Reads, or makes.', description: 'What is missing is made.' },
      fields: { name: str('Which.') },
      access: 'authorized',
      operations: {
        update: {
          summary: 'Reads.',
          effect: 'reads',
          prepare: () => 'prepared',
          ...(puts && { puts }),
          run({ storage, fields, prepared }) {
            const { name = '' } = fields
            const isThere = storage.has(name)
            runs.push(isThere ? 'there' : 'made')
            if (!isThere) storage.put(name, { prepared })
            return {}
          },
        },
      },
    }),
  ],
})

tap.test('what says that it puts rows this time is decided in its transaction alone', async t => {
  const runs: string[] = []
  let isPut = true
  const secrets = await openSecrets(t, { engines: [counting(runs, () => isPut)] })
  await secrets.mount('counting', 'c/')
  t.equal((await secrets.post('c/at/one')).status, 204)
  t.strictSame(runs.splice(0), ['made'])
  t.equal((await secrets.post('c/at/one')).status, 204)
  t.strictSame(runs.splice(0), ['there'], 'it need not put any')
  isPut = false
  const before = secrets.store.view().revision
  t.equal((await secrets.post('c/at/one')).status, 204)
  t.strictSame(runs.splice(0), ['there'])
  t.equal(secrets.store.view().revision, before)
  t.equal((await secrets.post('c/at/two')).status, 204)
  t.strictSame(runs.splice(0), ['made', 'made'], 'one that said no is decided on a view first')
})

tap.test('what reads and misses something makes it in a transaction, once', async t => {
  const runs: string[] = []
  const secrets = await openSecrets(t, { engines: [counting(runs)] })
  await secrets.mount('counting', 'c/')
  const before = secrets.store.view().revision
  t.equal((await secrets.post('c/at/one')).status, 204)
  const after = secrets.store.view().revision
  t.ok(after > before, 'it was written')
  t.strictSame(runs, ['made', 'made'], 'decided on a view, and in its transaction')
  t.equal((await secrets.post('c/at/one')).status, 204)
  t.equal(secrets.store.view().revision, after, 'nothing more is written')
  t.strictSame(runs.slice(2), ['there'])
})
