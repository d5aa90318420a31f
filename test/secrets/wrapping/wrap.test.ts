/** Wrapping: an answer for one reader, once. */
import tap, { type Test } from 'tap'
import { FakeClock } from '../../fake/clock.ts'
import { absent } from '../../run/clients.ts'
import { type Got, openSecrets, type SecretsOptions, type TestSecrets } from '../harness.ts'
import { onEveryStore, openTwoServers } from '../stores.ts'

async function open(t: Test, options: SecretsOptions = {}): Promise<TestSecrets> {
  const secrets = await openSecrets(t, options)
  await secrets.mount('kv', 'kv/')
  await secrets.post('kv/a', { password: 'x', n: 9007199254740993n })
  return secrets
}

const MINUTE = { wrapTtlMs: 60_000 }
const INVALID = { status: 400, text: 'wrapping token is not valid or does not exist' }

const unwrap = (secrets: TestSecrets, token: string, data: object = {}) =>
  secrets.post('sys/wrapping/unwrap', { ...data }, { token })

const tokenOf = ({ body }: Got): string => body.wrap_info.token

async function user(secrets: TestSecrets, data: object = {}): Promise<string> {
  const got = await secrets.post('auth/token/create', { policies: 'default', ...data })
  return got.body.auth.client_token
}

tap.test('what is wrapped is read once, as the bytes that they were', t => {
  onEveryStore(t, async (t, newStore) => {
    const secrets = await open(t, { open: () => newStore(t) })
    const plain = (await secrets.read('kv/a')).text
    const wrapped = await secrets.read('kv/a', MINUTE)
    t.match(wrapped.body, {
      ...{ request_id: '', lease_id: '', data: null, auth: null, warnings: null },
      wrap_info: { token: /^hvs\.\w{24}$/, accessor: /^\w{24}$/, ttl: 60, creation_path: 'kv/a' },
    })
    t.notOk(Object.hasOwn(wrapped.body.wrap_info, 'wrapped_accessor'))
    const read = await unwrap(secrets, tokenOf(wrapped))
    t.equal(read.status, 200)
    const anonymous = (text: string) => text.replace(/"request_id":"[^"]*"/, '')
    t.equal(anonymous(read.text), anonymous(plain))
    t.match(read.text, /"n":9007199254740993[,}]/, 'no digit is lost')
    t.match(await unwrap(secrets, tokenOf(wrapped)), INVALID, 'once')
  })
  t.end()
})

tap.test('of many readers at once one has it', async t => {
  const secrets = await open(t)
  const token = tokenOf(await secrets.read('kv/a', MINUTE))
  const reads = await Promise.all(Array.from({ length: 16 }, () => unwrap(secrets, token)))
  t.equal(reads.filter(({ status }) => status === 200).length, 1)
  t.equal(reads.filter(({ status }) => status === 400).length, 15)
})

tap.test('of readers at two servers one has it', { skip: absent('etcd') }, async t => {
  const servers = await openTwoServers(t)
  await servers[0].mount('kv', 'kv/')
  await servers[0].post('kv/a', { v: 1 })
  for (let round = 0; round < 20; round++) {
    const token = tokenOf(await servers[round % 2]!.read('kv/a', MINUTE))
    const reads = await Promise.all(
      servers.flatMap(one => [unwrap(one, token), unwrap(one, token)]),
    )
    t.strictSame(reads.map(({ status }) => status).sort(), [200, 400, 400, 400])
  }
})

tap.test('it is over when its time is', async t => {
  const clock = new FakeClock()
  const secrets = await open(t, { clock })
  const token = tokenOf(await secrets.read('kv/a', MINUTE))
  const look = () => secrets.post('sys/wrapping/lookup', { token }, { token: '' })
  await clock.advance(59_000)
  t.match(await look(), {
    status: 200,
    body: { data: { creation_ttl: 60, creation_path: 'kv/a' } },
  })
  await clock.advance(1_000)
  t.match(await look(), INVALID)
  t.match(await unwrap(secrets, token), INVALID)
})

tap.test('looking at it does not use it up', async t => {
  const secrets = await open(t)
  const token = tokenOf(await secrets.read('kv/a', MINUTE))
  for (let i = 0; i < 3; i++) {
    t.equal((await secrets.post('sys/wrapping/lookup', { token }, { token: '' })).status, 200)
    t.equal((await secrets.read('sys/wrapping/lookup', { token })).status, 200)
  }
  t.match(await secrets.post('sys/wrapping/lookup', { token: 'none' }), INVALID)
  t.equal((await unwrap(secrets, token)).status, 200)
})

tap.test('who reads for another must be allowed to', async t => {
  const secrets = await open(t)
  const ann = await user(secrets)
  const token = tokenOf(await secrets.read('kv/a', MINUTE))
  await secrets.post('sys/policies/acl/none', { policy: 'path "kv/*" { capabilities = ["read"] }' })
  const bob = await user(secrets, { policies: 'none', no_default_policy: true })
  t.equal((await unwrap(secrets, bob, { token })).status, 403)
  t.equal((await unwrap(secrets, 'nobody', { token })).status, 403)
  t.equal((await unwrap(secrets, '', { token })).status, 403)
  t.equal((await unwrap(secrets, ann, { token })).body.data.password, 'x', 'default allows it')
  t.match(await unwrap(secrets, ann, { token }), INVALID)
  const once = await user(secrets, { num_uses: 1 })
  const second = tokenOf(await secrets.read('kv/a', MINUTE))
  t.equal((await unwrap(secrets, once, { token: second })).status, 200)
  t.equal((await secrets.read('auth/token/lookup-self', { token: once })).status, 403, 'used up')
})

tap.test('a wrapping token does nothing else, and is spent by trying', async t => {
  const secrets = await open(t)
  const paths = ['kv/a', 'auth/token/lookup-self', 'sys/mounts', 'cubbyhole/other']
  for (const path of paths) {
    const token = tokenOf(await secrets.read('kv/a', MINUTE))
    t.equal((await secrets.read(path, { token })).status, 403, path)
    t.match(await unwrap(secrets, token), INVALID, 'whoever finds it spent knows of that')
  }
  const token = tokenOf(await secrets.read('kv/a', MINUTE))
  t.equal((await secrets.post('auth/token/create', {}, { token })).status, 403)
})

tap.test('old clients read it in the cubbyhole of the token', async t => {
  const secrets = await open(t)
  const token = tokenOf(await secrets.read('kv/a', MINUTE))
  const { body } = await secrets.read('cubbyhole/response', { token })
  t.equal(JSON.parse(body.data.response).data.password, 'x')
  t.equal((await secrets.read('cubbyhole/response', { token })).status, 403)
})

tap.test('what a login gives is wrapped with its accessor', async t => {
  const secrets = await open(t)
  const wrapped = await secrets.post('auth/token/create', { policies: 'default' }, MINUTE)
  const { wrap_info } = wrapped.body
  const { auth } = (await unwrap(secrets, wrap_info.token)).body
  t.equal(wrap_info.wrapped_accessor, auth.accessor)
  t.equal((await secrets.read('auth/token/lookup-self', { token: auth.client_token })).status, 200)
})

tap.test('whatever is sent can be wrapped', async t => {
  const secrets = await open(t)
  t.match(await secrets.post('sys/wrapping/wrap', { a: 1 }), {
    status: 400,
    text: 'endpoint requires response wrapping to be used',
  })
  const token = await user(secrets)
  const sent = { a: 1, b: { c: ['d'] } }
  const wrapped = await secrets.post('sys/wrapping/wrap', sent, { ...MINUTE, token })
  t.equal(wrapped.body.wrap_info.creation_path, 'sys/wrapping/wrap')
  const { body } = await unwrap(secrets, tokenOf(wrapped))
  t.strictSame(body.data, sent)
  t.notOk(Object.hasOwn(body, 'a'), 'no copies beside the envelope')
})

tap.test('wrapped anew, the first token is nothing any more', async t => {
  const clock = new FakeClock()
  const secrets = await open(t, { clock })
  const first = tokenOf(await secrets.read('kv/a', MINUTE))
  await clock.advance(30_000)
  const again = await secrets.post('sys/wrapping/rewrap', { token: first })
  t.match(again.body.wrap_info, { ttl: 60, creation_path: 'kv/a' })
  t.match(await unwrap(secrets, first), INVALID)
  await clock.advance(59_000)
  t.equal((await unwrap(secrets, tokenOf(again))).body.data.password, 'x')
  t.match(await secrets.post('sys/wrapping/rewrap', { token: first }), INVALID)
  t.match(await secrets.post('sys/wrapping/rewrap'), { status: 400, text: /missing "token"/ })
})

tap.test('errors are not wrapped, nor is saying nothing', async t => {
  const secrets = await open(t)
  t.equal((await secrets.post('kv/b', { v: 1 }, MINUTE)).status, 204)
  t.equal((await secrets.read('kv/none', MINUTE)).status, 404)
  t.equal((await secrets.list('kv/none', MINUTE)).status, 404)
  t.match(await secrets.post('kv/b', {}, MINUTE), { status: 400, text: 'missing data fields' })
  t.equal((await secrets.list('kv', MINUTE)).body.wrap_info.creation_path, 'kv/')
})

tap.test('warnings are told at once', async t => {
  const secrets = await open(t)
  const { body } = await secrets.post('auth/token/create', { policies: 'none' }, MINUTE)
  t.strictSame(body.warnings, ['Policy "none" does not exist'])
})

tap.test('nothing is left of what was read', async t => {
  const secrets = await open(t)
  const rows = () => secrets.rows()
  const before = rows()
  const token = tokenOf(await secrets.read('kv/a', MINUTE))
  t.equal(rows().length, before.length + 2, 'the token, and what is wrapped')
  await unwrap(secrets, token)
  t.strictSame(rows(), before)
})
