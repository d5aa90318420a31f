/**
 * Class 18: a second factor that somebody goes past (CVE-2022-30689, CVE-2025-6013 to 6015 and
 * HCSEC-2025-19): a passcode that is used again, guessing without end, a token that comes another
 * way. Several servers of one store stand for a cluster.
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { propertyRuns } from '../run/budget.ts'
import { type Got, TestSecrets } from '../secrets/harness.ts'
import type { Phone } from '../secrets/mfa/phone.ts'
import { MfaWorld, openWorld } from '../secrets/mfa/world.ts'

interface Attacked {
  readonly world: MfaWorld
  /** The same cluster by another server. */
  readonly other: MfaWorld
  readonly method: string
  readonly phone: Phone
}

async function attacked(test: Test, more: object = {}): Promise<Attacked> {
  const world = await openWorld(test)
  const { secrets, clock } = world
  const second = new TestSecrets(secrets.store, { clock })
  second.barrier = secrets.barrier
  const method = await world.addTotp('phone', more)
  await world.enforce('all', [method])
  const phone = await world.phoneOf('ann', method)
  return { world, other: new MfaWorld(second, clock), method, phone }
}

const tokens = (got: readonly Got[]): string[] =>
  got.map(({ body }) => body.auth?.client_token ?? '').filter(token => token !== '')

t.test('attack: a passcode is shown again, elsewhere, or many times at once', async test => {
  const { world, other, method, phone } = await attacked(test, { max_validation_attempts: 1_000 })
  const payload = { [method]: [phone.at(world.now)] }
  const ids: string[] = []
  for (let i = 0; i < 16; i++) ids.push(await (i % 2 === 0 ? world : other).begin('ann'))
  const all = await Promise.all(
    ids.map((id, i) => (i % 3 === 0 ? world : other).validate(id, payload)),
  )
  test.equal(tokens(all).length, 1, 'one login has it')
  for (const one of [world, other]) {
    test.equal((await one.validate(await one.begin('ann'), payload)).status, 403)
    const headers = { 'x-vault-mfa': `phone:${payload[method]![0]}` }
    test.equal((await one.login('ann', { headers })).status, 403)
    test.equal((await one.login('ANN', { headers })).status, 403, 'in another spelling')
  }
})

t.test('near miss: two people have the same passcode, or one has two phones', async test => {
  const { world, other, method, phone } = await attacked(test)
  const second = await world.addTotp('second')
  await world.enforce('all', [method, second])
  const twin = await world.phoneOf('ann', second)
  const id = await world.begin('ann')
  test.equal((await world.validate(id, { [method]: [phone.at(world.now)] })).status, 200)
  const next = await world.begin('ann')
  test.equal((await other.validate(next, { [second]: [twin.at(world.now)] })).status, 200)
})

t.test('attack: a login is finished twice', async test => {
  const { world, other, method, phone } = await attacked(test)
  const id = await world.begin('ann')
  const codes = [-1, 0, 1].map(periods => phone.at(world.now, periods))
  const all = await Promise.all(
    [...codes, ...codes].map((code, i) =>
      (i % 2 === 0 ? world : other).validate(id, { [method]: [code] }),
    ),
  )
  test.equal(tokens(all).length, 1)
})

t.test('attack: guessing, by all ways and at all servers at once', async test => {
  const { world, other, method, phone } = await attacked(test, { max_validation_attempts: 7 })
  await world.enforce('more', [method])
  const right = [-1, 0, 1].map(periods => phone.at(world.now, periods))
  const guesses = Array.from({ length: 60 }, (_, i) => String(i).padStart(6, '0'))
  const tried = await Promise.all(
    guesses
      .filter(guess => !right.includes(guess))
      .map(async (guess, i) => {
        const at = i % 2 === 0 ? world : other
        if (i % 3 === 0) return at.login('ann', { headers: { 'x-vault-mfa': `phone:${guess}` } })
        return at.validate(await at.begin('ann'), { [i % 5 === 0 ? 'phone' : method]: [guess] })
      }),
  )
  const looked = tried.filter(({ text }) => text.includes('not supplied or incorrect'))
  test.ok(looked.length <= 7, `${looked.length} were looked at`)
  test.same(tokens(tried), [])
  for (const code of right) {
    const got = await other.validate(await other.begin('ann'), { [method]: [code] })
    test.match(got, { status: 403, text: /maximum TOTP validation attempts \d+ exceeded/ })
  }
})

t.test('near miss: what is guessed for one is not counted for another', async test => {
  const { world, method } = await attacked(test, { max_validation_attempts: 1 })
  await world.addUser('bob')
  const bobs = await world.phoneOf('bob', method)
  for (let i = 0; i < 5; i++) {
    await world.validate(await world.begin('ann'), { [method]: ['000000'] })
  }
  const got = await world.validate(await world.begin('bob'), { [method]: [bobs.at(world.now)] })
  test.equal(got.status, 200)
})

t.test('attack: a token before the second factor', async test => {
  const { world, method } = await attacked(test)
  const { secrets } = world
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  await secrets.post('sys/namespaces/team')
  const team = { namespace: 'team' }
  await secrets.post('sys/auth/userpass', { type: 'userpass' }, team)
  await world.addUser('ann', team)
  await world.addUser('bat', {}, { token_type: 'batch' })
  await secrets.post('auth/approle/role/web', {
    bind_secret_id: false,
    token_bound_cidrs: '::/0,0.0.0.0/0',
  })
  const { role_id } = (await secrets.read('auth/approle/role/web/role-id')).body.data
  await world.enforce('all', [method], { auth_method_types: ['userpass', 'approle'] })
  const tokensNow = () => secrets.rows().filter(key => key.includes('/tokens/')).length
  const before = tokensNow()
  const answers = [
    await world.login('ann'),
    await world.login('ann', team),
    await world.login('bat'),
    await secrets.post('auth/approle/login', { role_id }, { token: '' }),
    await world.login('ann', { headers: { 'x-vault-mfa': 'phone:000000' } }),
    await world.login('ann', { headers: { 'x-vault-mfa': '' } }),
    await world.login('ann', { headers: { 'x-vault-policy-override': 'true' } }),
    await world.login('ann', { token: 'root-of-tests' }),
  ]
  test.same(tokens(answers), [])
  test.notMatch(answers.map(({ text }) => text).join(), /hv[sb]\./)
  test.equal(tokensNow(), before, 'none is kept either')
  const wrapped = await world.login('bat', { wrapTtlMs: 60_000 })
  const wrapping = { token: wrapped.body.wrap_info.token }
  const inside = await secrets.read('cubbyhole/response', wrapping)
  test.notMatch(inside.text, /hv[sb]\./)
  const { mfa_request_id: id } = answers[0]!.body.auth.mfa_requirement
  for (const path of ['auth/token/lookup-self', 'auth/token/renew-self', 'sys/wrapping/unwrap']) {
    const got = await secrets.post(path, { token: id }, { token: id })
    test.ok(got.status >= 400, path)
  }
})

t.test('attack: an enforcement is gone past by another namespace', async test => {
  const { world, method } = await attacked(test)
  const { secrets } = world
  const team = { namespace: 'team' }
  await secrets.post('sys/namespaces/team')
  await secrets.post('sys/auth/userpass', { type: 'userpass' }, team)
  await world.addUser('ann', team)
  // Whoever rules the inner one makes and deletes what he likes there.
  const own = await world.addTotp('phone', {}, team)
  await world.enforce('all', [own], undefined, team)
  await secrets.remove('identity/mfa/login-enforcement/all', team)
  const { body } = await world.login('ann', team)
  test.strictSame(
    body.auth.mfa_requirement.mfa_constraints.all.any.map((one: { id: string }) => one.id),
    [method],
  )
  const entity_id = await world.entityOf('ann', team)
  const generate = { method_id: own, entity_id }
  const path = 'identity/mfa/method/totp/admin-generate'
  const phone = await secrets.post(path, generate, team)
  test.equal(phone.status, 200)
  const id = await world.begin('ann', team)
  const shown = await world.validate(id, { phone: ['000000'], 'team/phone': ['000000'] }, team)
  test.match(shown, { status: 403, text: /method name \\?"phone/ }, 'his own method does not do')
  const fromOutside = await secrets.post(path, { method_id: own, entity_id })
  test.equal(fromOutside.status, 400, 'nor is an entity of another namespace given a secret')
})

t.test('attack: another’s login, another’s phone', async test => {
  const { world, method, phone } = await attacked(test)
  await world.addUser('eve')
  const hers = await world.phoneOf('eve', method)
  const id = await world.begin('ann')
  const got = await world.validate(id, { [method]: [hers.at(world.now)] })
  test.ok(hers.at(world.now) === phone.at(world.now) || got.status === 403)
  test.equal((await world.validate(id, { [method]: [phone.at(world.now)] })).status, 200)
})

/** What somebody does: logs in, waits, shows a passcode of a period, at a server, for a login. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('begin' as const), at: fc.nat(1) }),
  fc.record({ kind: fc.constant('wait' as const), periods: fc.nat(3) }),
  fc.record({
    kind: fc.constant('show' as const),
    ...{ at: fc.nat(1), login: fc.nat(5), periods: fc.integer({ min: -3, max: 3 }) },
  }),
)

t.test(
  'generated: a token for each passcode of the time, once, and each login once',
  async test => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async steps => {
        const { world, other, method, phone } = await attacked(test, {
          max_validation_attempts: 1_000,
        })
        const servers = [world, other]
        const logins: { id: string; isDone: boolean; endsMs: number }[] = []
        const used = new Set<string>()
        for (const one of steps) {
          if (one.kind === 'wait') await world.clock.advance(one.periods * 30_000)
          else if (one.kind === 'begin') {
            const id = await servers[one.at]!.begin('ann')
            logins.push({ id, isDone: false, endsMs: world.now + 300_000 })
          } else if (logins.length > 0) {
            const login = logins[one.login % logins.length]!
            const code = phone.at(world.now, one.periods)
            const mayPass =
              Math.abs(one.periods) <= 1 &&
              !used.has(code) &&
              !login.isDone &&
              login.endsMs > world.now &&
              logins.indexOf(login) >= logins.length - 16
            const got = await servers[one.at]!.validate(login.id, { [method]: [code] })
            if ((got.status === 200) !== mayPass)
              throw new Error(`${JSON.stringify(one)} ${got.text}`)
            if (mayPass) {
              used.add(code)
              login.isDone = true
            }
          }
        }
      }),
      { numRuns: Math.min(40, propertyRuns()) },
    )
    test.pass()
  },
)
