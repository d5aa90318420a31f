/**
 * What tokens of the registry may do with secrets, and what whoever writes rows makes of it.
 */
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { tokensForSecrets } from '../../../src/agent/secrets-tokens.ts'
import type { WallMs } from '../../../src/base/brand.ts'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { Refusal } from '../../../src/base/errors.ts'
import { ANONYMOUS_ACCESSOR, everybody } from '../../../src/base/who.ts'
import { RegistryKey } from '../../../src/identity/registry-key.ts'
import { deleteToken, logout, placeOf, tokenExpiry } from '../../../src/identity/token.ts'
import { withSystemTables } from '../../../src/store/local.ts'
import { openMemoryStore } from '../../../src/store/memory/engine.ts'
import { type Decision, del, type Op, put } from '../../../src/store/store.ts'
import { aclTables, type TokenRow, tokens } from '../../../src/store/tables/acl.ts'
import { secretData, secretTables } from '../../../src/store/tables/secret.ts'
import type { Reader } from '../../../src/store/view.ts'
import { FakeClock } from '../../fake/clock.ts'
import { openSecrets, type TestSecrets } from '../harness.ts'

const POLICY = 'path "secret/*" { capabilities = ["read", "list", "create", "update"] }'

class World {
  readonly key: RegistryKey
  readonly secrets: TestSecrets

  constructor(secrets: TestSecrets, key: RegistryKey) {
    this.secrets = secrets
    this.key = key
  }

  /** A token of the registry; gives its secret. */
  async token(more: Partial<TokenRow> = {}): Promise<{ secret: string; accessor: string }> {
    const secret = randomUUID()
    const accessor = more.accessor ?? randomUUID()
    await this.rows(() => [put(tokens, this.key.hashOf(secret), this.row(secret, accessor, more))])
    return { secret, accessor }
  }

  row(secret: string, accessor: string, more: Partial<TokenRow> = {}): TokenRow {
    return {
      ...{ accessor, sealedSecret: this.key.seal(secret, placeOf(accessor)), description: '' },
      ...{ policies: [], serviceIdentities: [], nodeIdentities: [], templatedPolicies: [] },
      ...{ roles: [], local: false, authMethod: '', metadata: {}, ttlMs: 0, expiresAtMs: 0 },
      createdAtMs: 0,
      ...more,
    }
  }

  /** Writes rows as whoever can write to the store does. */
  async rows(ops: (view: Reader) => Op[]): Promise<void> {
    await this.secrets.store.write(view => ({ txn: ops(view), answer: true }))
  }

  async decide(rule: (view: Reader) => Decision<unknown> | Refusal): Promise<void> {
    const written = await this.secrets.store.write(view => rule(view))
    if (written instanceof Refusal) throw new Error(written.text)
  }

  grant = (accessor: string, data = {}) =>
    this.secrets.post(`sys/grants/${accessor}`, { policies: 'app', ...data })

  readAs = async (token: string, path = 'secret/a', namespace = '') =>
    (await this.secrets.read(path, { token, namespace })).status

  grants = () => this.secrets.rows().filter(row => row.startsWith('root/grants/'))
}

async function open(t: Test, clock?: FakeClock): Promise<World> {
  const key = new RegistryKey(systemRandom.bytes(32))
  const secrets = await openSecrets(t, {
    registry: tokensForSecrets(key),
    ...(clock && { clock }),
    open: () =>
      openMemoryStore({
        tables: withSystemTables([...secretTables, ...aclTables]),
        clock: clock ?? systemClock,
        random: systemRandom,
        onCommit: () => {},
      }),
  })
  await secrets.mount('kv', 'secret/')
  await secrets.post('secret/a', { value: 'one' })
  await secrets.post('sys/policies/acl/app', { policy: POLICY })
  return new World(secrets, key)
}

t.test('nothing without a grant, and with one what it says, until either ends', async t => {
  const world = await open(t)
  const { secret, accessor } = await world.token({
    policies: ['00000000-0000-0000-0000-000000000001'],
  })
  const bystander = await world.token()
  t.equal(await world.readAs(secret), 403, 'management of the registry is nothing here')
  t.equal((await world.grant(accessor)).status, 204)
  t.equal(await world.readAs(secret), 200)
  t.equal(await world.readAs(bystander.secret), 403, 'it is of one token')
  t.equal(await world.readAs(accessor), 403, 'an accessor is no secret')
  t.equal(await world.readAs(secret.toUpperCase()), 403)
  const shown = await world.secrets.read(`sys/grants/${accessor}`)
  t.match(shown.body.data, { accessor, policies: ['app'], namespace: '', expire_time: '' })
  t.strictSame((await world.secrets.list('sys/grants')).body.data, { keys: [accessor] })
  t.equal((await world.secrets.remove(`sys/grants/${accessor}`)).status, 204)
  t.equal(await world.readAs(secret), 403)
  t.equal((await world.secrets.read(`sys/grants/${accessor}`)).status, 404)
  t.equal((await world.secrets.list('sys/grants')).status, 404)
})

t.test('it is as a batch token is', async t => {
  const world = await open(t)
  const { secret, accessor } = await world.token()
  await world.grant(accessor, { policies: 'app,default,wide' })
  const policy =
    'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
  await world.secrets.post('sys/policies/acl/wide', { policy })
  const as = { token: secret }
  const self = await world.secrets.read('auth/token/lookup-self', as)
  t.match(self.body.data, { accessor, type: 'batch', policies: ['app', 'default', 'wide'] })
  t.equal(self.body.data.id, secret)
  t.equal((await world.secrets.post('auth/token/create', {}, as)).status, 400, 'makes no tokens')
  t.equal((await world.secrets.post('cubbyhole/a', { b: 'c' }, as)).status, 400)
  t.equal((await world.secrets.post('auth/token/renew-self', {}, as)).status, 400)
  t.equal((await world.secrets.post('auth/token/revoke-self', {}, as)).status, 400)
  t.equal(await world.readAs(secret), 200)
})

t.test('only who has sudo grants, and never root', async t => {
  const world = await open(t)
  const { accessor, secret } = await world.token()
  const policy = 'path "sys/grants/*" { capabilities = ["read", "update"] }'
  await world.secrets.post('sys/policies/acl/half', { policy })
  const made = await world.secrets.post('auth/token/create', { policies: 'half' })
  const token = made.body.auth.client_token
  const tried = await world.secrets.post(`sys/grants/${accessor}`, { policies: 'app' }, { token })
  t.equal(tried.status, 403)
  for (const policies of ['root', 'app, ROOT', 'response-wrapping', '', ' ,']) {
    t.equal((await world.grant(accessor, { policies })).status, 400, policies)
  }
  t.equal((await world.grant(accessor, { namespace: 'none' })).status, 400)
  t.equal((await world.grant(accessor, { entity_id: 'none' })).status, 400)
  t.equal((await world.grant(randomUUID())).status, 404)
  t.equal((await world.grant(secret)).status, 404, 'a secret is no accessor')
  const anonymous = await world.token({ accessor: ANONYMOUS_ACCESSOR })
  t.equal((await world.grant(anonymous.accessor)).status, 400)
  t.strictSame(world.grants(), [])
})

t.test('in a namespace: its own policies, there alone', async t => {
  const world = await open(t)
  const { id } = (await world.secrets.post('sys/namespaces/east')).body.data
  await world.secrets.mount('kv', 'secret/', { namespaceId: id })
  await world.secrets.post('secret/a', { value: 'east' }, { namespace: 'east' })
  await world.secrets.post('sys/policies/acl/app', { policy: POLICY }, { namespace: 'east' })
  const { secret, accessor } = await world.token()
  t.equal((await world.grant(accessor, { namespace: 'east' })).status, 204)
  t.equal(await world.readAs(secret, 'secret/a', 'east'), 200)
  t.equal(await world.readAs(secret), 403, 'not in the root one')
  t.equal(
    (await world.secrets.post(`sys/grants/${accessor}`, {}, { namespace: 'east' })).status,
    400,
  )
  await world.secrets.remove('sys/namespaces/east')
  t.equal(await world.readAs(secret, 'secret/a', 'east'), 404)
})

t.test('an entity brings its policies, and goes with its rights', async t => {
  const world = await open(t)
  const entity = await world.secrets.post('identity/entity', { name: 'ann', policies: 'app' })
  const entity_id = entity.body.data.id
  const { secret, accessor } = await world.token()
  t.equal((await world.grant(accessor, { policies: 'default', entity_id })).status, 204)
  t.equal(await world.readAs(secret), 200)
  await world.secrets.post(`identity/entity/id/${entity_id}`, { disabled: true })
  t.equal(await world.readAs(secret), 403)
})

t.test('a grant goes with its token, by each way that one goes', async t => {
  const world = await open(t)
  const ends: ((accessor: string, key: string) => (view: Reader) => Decision<unknown> | Refusal)[] =
    [
      accessor => view => deleteToken(view, everybody, accessor),
      (_accessor, key) => view => logout(view, key),
      (_accessor, key) => view => tokenExpiry.expire(key)(view, 0 as WallMs, systemRandom),
    ]
  for (const end of ends) {
    const { secret, accessor } = await world.token({ authMethod: 'm' })
    await world.grant(accessor)
    t.equal(await world.readAs(secret), 200)
    t.equal(world.grants().length, 1)
    await world.decide(end(accessor, world.key.hashOf(secret)))
    t.equal(await world.readAs(secret), 403)
    t.strictSame(world.grants(), [], 'its row too')
  }
})

t.test('a token that is over has nothing, whatever its row says by then', async t => {
  const clock = new FakeClock()
  const world = await open(t, clock)
  const expiresAtMs = clock.wall() + 60_000
  const { secret, accessor } = await world.token({ expiresAtMs })
  await world.grant(accessor)
  t.equal(await world.readAs(secret), 200)
  const key = world.key.hashOf(secret)
  await world.rows(view => [put(tokens, key, { ...view.get(tokens, key)!.row, expiresAtMs: 0 })])
  await clock.advance(59_000)
  t.equal(await world.readAs(secret), 200)
  await clock.advance(2_000)
  t.equal(await world.readAs(secret), 403, 'its end is what it was when it was granted something')
})

t.test('whoever writes to the store gives himself nothing', async t => {
  const world = await open(t)
  const [victim, mine] = [await world.token(), await world.token()]
  await world.grant(victim.accessor)
  const [theirs, own] = [world.key.hashOf(victim.secret), world.key.hashOf(mine.secret)]
  const rowAt = (view: Reader, key: string) => view.get(secretData, `root/grants/${key}`)!.row

  await world.rows(view => [put(tokens, own, view.get(tokens, theirs)!.row)])
  t.equal(await world.readAs(mine.secret), 403, "the other token's row under one's own key")

  await world.rows(view => [put(secretData, `root/grants/${own}`, rowAt(view, theirs))])
  await t.rejects(world.readAs(mine.secret), /does not open/, 'its grant moved there')
  t.equal(await world.readAs(victim.secret), 200, 'nobody else is hurt')

  await world.rows(view => [
    put(secretData, `root/grants/${own}`, { ...rowAt(view, theirs), sealed: Buffer.alloc(64, 7) }),
  ])
  await t.rejects(world.readAs(mine.secret), /does not open/, 'a grant that was made up')
  await world.rows(() => [del(secretData, `root/grants/${own}`)])

  const planted = { ...world.row(mine.secret, mine.accessor), accessor: victim.accessor }
  await world.rows(() => [del(tokens, theirs), put(tokens, own, planted)])
  const granted = await world.grant(victim.accessor)
  t.match(granted, { status: 400, text: /not written by a server of this cluster/ })
  t.equal(await world.readAs(mine.secret), 403, "a stranger's accessor on one's own row")
})

t.test('where the registry has no tokens none is granted anything', async t => {
  const secrets = await openSecrets(t)
  const tried = await secrets.post(`sys/grants/${randomUUID()}`, { policies: 'app' })
  t.match(tried, { status: 400, text: /acl.enabled/ })
})
