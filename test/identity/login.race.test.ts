/**
 * Logins against what changes meanwhile: the method while its proof is looked at, and time.
 */
import t, { type Test } from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { OperatingError, Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { everybody } from '../../src/base/who.ts'
import { identityOf } from '../../src/identity/auth-method/identity.ts'
import type { JwtConfig } from '../../src/identity/auth-method/jwt.ts'
import type { AuthMethodRequest } from '../../src/identity/auth-method.ts'
import { TokenAuthority } from '../../src/identity/authority.run.ts'
import { Identity, type ProofTools, type Stored } from '../../src/identity/room.run.ts'
import { isRefusal, put } from '../../src/store/store.ts'
import { type TokenRow, tokens } from '../../src/store/tables/acl.ts'
import { Writer } from '../../src/store/writer.ts'
import { rsa } from './auth-method/tokens.ts'
import { key, openWorld, settings } from './support.ts'

const request: AuthMethodRequest = {
  name: 'nomad',
  type: 'jwt',
  displayName: '',
  description: '',
  maxTokenTtlMs: limits.aclTokenTtlMinMs,
  tokenLocality: '',
  config: { JWTValidationPubKeys: [rsa.pem] },
}
const rule = {
  ...{ description: '', authMethod: 'nomad', selector: '', bindVars: { name: '' } },
  ...{ bindType: 'service', bindName: 'web' },
}
const asked = { authMethod: 'nomad', meta: {} }
const somebody = identityOf(new Map(), new Map())

const made = <R>(given: R | Refusal): R => {
  if (isRefusal(given)) throw new Error(given.text)
  return given
}

/** A room with a method and a rule; `verify` is what looks at proofs, all of which are right. */
async function openRoom(
  t: Test,
  meanwhile: (room: Identity, config: JwtConfig) => unknown = () => {},
) {
  const world = await openWorld(t)
  const { store, clock } = world
  const authority = new TokenAuthority({
    ...{ store, clock, settings, key },
    timeouts: new Timeouts(clock),
    defaultToken: () => '',
    recovery: () => undefined,
  })
  const proofs: ProofTools = {
    keys: { problemOf: async () => undefined },
    async verify(config) {
      await meanwhile(room, config)
      return somebody
    },
  }
  const room: Identity = new Identity({
    ...{ store, writer: new Writer(store), random: systemRandom, key, authority, proofs },
    reset: { read: async () => undefined, clear: async () => {} },
    datacenter: 'dc1',
  })
  made(await room.putAuthMethod(everybody, request))
  made(await room.createBindingRule(everybody, rule))
  const login = (): Promise<Stored<TokenRow> | Refusal> => room.login(everybody, asked, 'proof')
  return { ...world, room, authority, login }
}

const issuer = (BoundIssuer: string): AuthMethodRequest => ({
  ...request,
  config: { ...request.config, BoundIssuer },
})

t.test('a method that changes while a proof is looked at has it looked at again', async t => {
  const seen: string[] = []
  const { login } = await openRoom(t, async (room, { boundIssuer }) => {
    seen.push(boundIssuer)
    if (seen.length === 1) await room.putAuthMethod(everybody, issuer('new'))
  })
  t.equal(made(await login()).row.authMethod, 'nomad')
  t.strictSame(seen, ['', 'new'])
})

t.test('one that always changes is not tried for ever', async t => {
  let tries = 0
  const { login, store } = await openRoom(t, room =>
    room.putAuthMethod(everybody, issuer(String(tries++))),
  )
  await t.rejects(login(), new OperatingError('busy', 'the auth method changes too often'))
  t.equal(tries, limits.loginTries)
  t.equal(store.view().find(tokens, 'method', 'nomad').length, 0)
})

t.test('a method or its rules that go while a proof is looked at give nothing', async t => {
  const method = await openRoom(t, room => room.deleteAuthMethod(everybody, 'nomad'))
  t.match(await method.login(), { status: 403, text: /^ACL not found: auth method "nomad"/ })
  let ruleId = ''
  const rules = await openRoom(t, room => room.deleteBindingRule(everybody, ruleId))
  ruleId = made(await rules.room.createBindingRule(everybody, rule)).row.id
  t.match(await rules.login(), { row: { authMethod: 'nomad' } }, 'by the other rule')
})

t.test('the token of a login ends at its time', async t => {
  const { room, authority, login, clock } = await openRoom(t)
  const secret = room.secretOf(made(await login()).row)
  await clock.advance(limits.aclTokenTtlMinMs - 1)
  t.notOk(authority.authenticate(secret) instanceof Refusal)
  await clock.advance(1)
  t.match(authority.authenticate(secret), { status: 403, text: 'ACL not found' })
})

t.test('however many tokens a method gave, they end with it', async t => {
  const { room, authority, login, store, run } = await openRoom(t)
  const { row } = made(await login())
  const secret = room.secretOf(row)
  const count = 2 * limits.tokensEndedAtOnce
  await run(() => ({
    txn: Array.from({ length: count }, (_, at) =>
      put(tokens, `hash${at}`, { ...row, accessor: `a${at}` }),
    ),
    answer: undefined,
  }))
  t.equal(await room.deleteAuthMethod(everybody, 'NOMAD'), true)
  t.equal(store.view().find(tokens, 'method', 'nomad').length, 0)
  t.match(authority.authenticate(secret), { status: 403 })
  t.equal(await room.deleteAuthMethod(everybody, 'nomad'), false)
  made(await room.putAuthMethod(everybody, request))
  t.match(authority.authenticate(secret), { status: 403 }, 'also when there is one again')
})
