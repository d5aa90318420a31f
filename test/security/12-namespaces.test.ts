/**
 * Class 12: tokens and leases that are renewed, shown or ended from another namespace
 * (CVE-2026-40264, CVE-2026-45808, CVE-2026-55774, CVE-2026-55775, CVE-2026-42186).
 *
 * Two namespaces beside each other, one below, and the root one: every endpoint that takes a token,
 * an accessor or a lease, from each of them to each other.
 */
import t, { type Test } from 'tap'
import { openSecrets, type TestSecrets } from '../secrets/harness.ts'

const PLACES = ['', 'east', 'west', 'east/inner'] as const
type Place = (typeof PLACES)[number]

interface Held {
  readonly token: string
  readonly accessor: string
  readonly lease: string
}

async function make(secrets: TestSecrets, namespace: Place): Promise<Held> {
  const data = { policies: 'default', ttl: '1h' }
  const made = await secrets.post('auth/token/create', data, { namespace })
  const { client_token: token, accessor } = made.body.auth
  const listed = await secrets.list('sys/leases/lookup/auth/token/create', { namespace })
  return { token, accessor, lease: `auth/token/create/${listed.body.data.keys[0]}` }
}

async function open(test: Test): Promise<TestSecrets> {
  const secrets = await openSecrets(test)
  for (const place of ['east', 'west']) await secrets.post(`sys/namespaces/${place}`)
  await secrets.post('sys/namespaces/inner', {}, { namespace: 'east' })
  return secrets
}

const lives = async (secrets: TestSecrets, { token }: Held, namespace: Place) =>
  (await secrets.read('auth/token/lookup-self', { token, namespace })).status === 200

t.test('nothing reaches into another namespace, and everything works in its own', async t => {
  const secrets = await open(t)
  for (const theirs of PLACES) {
    for (const ours of PLACES.filter(one => one !== theirs)) {
      const held = await make(secrets, theirs)
      const { token, accessor, lease } = held
      const from = { namespace: ours }
      const cases: [string, object, number, string | RegExp][] = [
        ['auth/token/lookup', { token }, 403, 'bad token'],
        ['auth/token/lookup-accessor', { accessor }, 403, 'invalid accessor'],
        ['auth/token/renew', { token }, 400, 'cannot renew a token across namespaces'],
        ['auth/token/renew-accessor', { accessor }, 400, 'cannot renew a token across namespaces'],
        ['auth/token/revoke', { token }, 400, 'cannot revoke a token across namespaces'],
        ['auth/token/revoke-orphan', { token }, 400, 'cannot revoke a token across namespaces'],
        ['auth/token/revoke-accessor', { accessor }, 400, /^cannot revoke a token across/],
        ['sys/leases/lookup', { lease_id: lease }, 400, 'invalid lease'],
        ['sys/leases/renew', { lease_id: lease }, 400, 'lease not found'],
        ['sys/renew', { lease_id: lease }, 400, 'lease not found'],
        ['sys/leases/revoke', { lease_id: lease }, 400, /across namespaces/],
        ['sys/revoke', { lease_id: lease }, 400, /across namespaces/],
        [`sys/revoke/${lease}`, {}, 400, /across namespaces/],
        ['sys/leases/revoke-prefix/auth/token/create', {}, 204, ''],
        ['sys/leases/revoke-force/auth/token/create', {}, 204, ''],
      ]
      for (const [path, data, status, text] of cases) {
        const got = await secrets.post(path, { ...data }, from)
        t.match(got, { status, text }, `${path} from "${ours}" to "${theirs}"`)
      }
      const keys = (await secrets.list('auth/token/accessors', from)).body.data?.keys ?? []
      t.notOk(keys.includes(accessor))
      t.ok(await lives(secrets, held, theirs), 'none of it did anything')
    }
    const own = { namespace: theirs }
    const held = await make(secrets, theirs)
    t.equal((await secrets.post('auth/token/renew', { token: held.token }, own)).status, 200)
    t.equal((await secrets.post('auth/token/revoke', { token: held.token }, own)).status, 204)
    t.notOk(await lives(secrets, held, theirs))
  }
})

t.test('a token renews and ends itself by its own namespace alone', async t => {
  const secrets = await open(t)
  const held = await make(secrets, 'east')
  for (const namespace of ['', 'west', 'east/inner'] as const) {
    const asked = { token: held.token, namespace }
    const renewed = await secrets.post('auth/token/renew-self', {}, asked)
    t.ok(renewed.status === 400 || renewed.status === 403, `renewed from "${namespace}"`)
  }
  const own = { token: held.token, namespace: 'east' }
  t.equal((await secrets.post('auth/token/renew-self', {}, own)).status, 200)
})

t.test('names of policies mean those of the namespace of the token', async t => {
  const secrets = await open(t)
  const policy = 'path "auth/token/create" { capabilities = ["update"] }'
  await secrets.post('sys/policies/acl/maker', {
    policy: `${policy}
    path "east/auth/token/create" { capabilities = ["update"] }`,
  })
  const made = await secrets.post('auth/token/create', { policies: 'maker' })
  const token = made.body.auth.client_token
  const inEast = { token, namespace: 'east' }
  const child = await secrets.post('auth/token/create', {}, inEast)
  t.strictSame(child.body.auth?.policies, ['default'], 'nothing of the parent is inherited')
  t.match(await secrets.post('auth/token/create', { policies: 'maker' }, inEast), {
    status: 400,
    text: 'child policies must be subset of parent',
  })
  const root = await secrets.post('auth/token/create', { policies: 'root' }, { namespace: 'east' })
  t.match(root, { status: 400, text: /only be created in the root namespace/ })
  const id = await secrets.post('auth/token/create', { id: 'x' }, { namespace: 'east' })
  t.match(id, { status: 400, text: /only be manually specified in the root namespace/ })
  t.equal((await secrets.post('auth/token/revoke', { token })).status, 204)
  const childToken = child.body.auth.client_token
  const after = { token: childToken, namespace: 'east' }
  t.equal((await secrets.read('auth/token/lookup-self', after)).status, 403, 'with its parent')
})

t.test('nothing of a namespace is left, nor honoured, after its end', async t => {
  const secrets = await open(t)
  const held = await make(secrets, 'west')
  const wrapped = await secrets.read('sys/mounts', { namespace: 'west', wrapTtlMs: 60_000 })
  await secrets.post('cubbyhole/a', { v: 1 }, { token: held.token, namespace: 'west' })
  const id = held.token.split('.').at(-1)!
  t.ok(secrets.rows().some(key => key.startsWith(`${id}/`)))
  t.equal((await secrets.remove('sys/namespaces/west')).status < 300, true)
  t.strictSame(
    secrets.rows().filter(key => key.startsWith(`${id}/`)),
    [],
  )
  await secrets.post('sys/namespaces/west')
  t.notOk(await lives(secrets, held, 'west'), 'a namespace of the same name is another one')
  const token = wrapped.body.wrap_info.token
  t.equal((await secrets.post('sys/wrapping/unwrap', { token })).status, 400)
})
