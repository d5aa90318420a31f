/**
 * Logins over HTTP with a second factor of somebody else: in one step and in two, let in and not,
 * against services as they are documented; that nothing of a service's secrets comes out, and that
 * who goes away is asked for no more.
 */
import t, { type Test } from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { enginesOn } from '../../../src/secrets/engine/mod.ts'
import { factorAsks } from '../../../src/secrets/mfa/factor/asks.run.ts'
import type { FactorAsks, FactorOutcome } from '../../../src/secrets/mfa/factor/factor.ts'
import type { FakeDuo } from '../../secrets/mfa/factor/fake/duo.ts'
import type { FakeOkta } from '../../secrets/mfa/factor/fake/okta.ts'
import type { FakePingid } from '../../secrets/mfa/factor/fake/pingid.ts'
import { CANARY } from '../../secrets/mfa/factor/fake/service.ts'
import { duoTrial, oktaTrial, pingidTrial, type Trial } from '../../secrets/mfa/factor/kinds.ts'
import { type FactorWorld, factorWorld } from '../../secrets/mfa/factor/world.ts'
import { testPorts } from '../../secrets/ports.ts'
import { until } from '../harness.ts'
import { connectRaw } from '../wire.ts'
import { openSecretsFace } from './face.ts'

const PASSWORD = 'correct-horse'

interface Kind {
  readonly trialOf: (t: Test, world: FactorWorld) => Promise<Trial>
  /** What a method is made of. */
  readonly fields: (trial: never) => object
  /** Has the user say no from now on. */
  readonly deny: (trial: never) => void
  readonly denial: string
  readonly passcode?: string
}

const kinds: Readonly<Record<string, Kind>> = {
  duo: {
    trialOf: duoTrial,
    fields: ({ fake }: Trial<FakeDuo>) => ({
      api_hostname: `api-1.duo.test:${fake.port}`,
      integration_key: fake.integrationKey,
      secret_key: fake.secretKey,
      push_info: 'from=gatehouse',
    }),
    deny: ({ fake }: Trial<FakeDuo>) => {
      fake.statuses = [{ result: 'deny', status: 'fraud' }]
    },
    denial: 'Duo: the user reported a fraud',
    passcode: '123456',
  },
  okta: {
    trialOf: oktaTrial,
    fields: ({ fake }: Trial<FakeOkta>) => {
      fake.users = [{ ...fake.users[0]!, login: 'marcher' }]
      return { org_name: 'acme', base_url: `okta.test:${fake.port}`, api_token: fake.token }
    },
    deny: ({ fake }: Trial<FakeOkta>) => {
      fake.results = ['WAITING', 'REJECTED']
    },
    denial: 'Okta: the push was explicitly rejected',
  },
  pingid: {
    trialOf: pingidTrial,
    fields: ({ fake }: Trial<FakePingid>) => {
      const lines = [
        ...['#Auto-Generated from PingOne', `use_base64_key=${fake.key}`, 'use_signature=true'],
        ...[`token=${fake.token}`, `idp_url=https://idp.ping.test:${fake.port}/pingid`],
        ...[`org_alias=${fake.orgAlias}`, 'admin_url=https://x/', 'authenticator_url=https://y/'],
      ]
      return { settings_file_base64: Buffer.from(lines.join('\n')).toString('base64') }
    },
    deny: ({ fake }: Trial<FakePingid>) => {
      fake.errorIds = [20_512]
    },
    denial: 'PingID: it did not let the user in (error 20512)',
    passcode: '111111',
  },
}

/** A server whose logins by userpass are asked for a factor of that kind. */
async function opened(t: Test, kind: string) {
  const world = factorWorld(t)
  const trial = await kinds[kind]!.trialOf(t, world)
  const asks = factorAsks(world.ports)
  const outcomes: FactorOutcome[] = []
  const duo: FactorAsks['duo'] = async (...asked) => {
    const outcome = await asks.duo(...asked)
    outcomes.push(outcome)
    return outcome
  }
  const engines = enginesOn(testPorts({ factors: { ...asks, duo } }))
  const face = await openSecretsFace(t, { engines })
  const { send, records } = face
  const write = async (path: string, data: object) => {
    const { status, body } = await send('POST', `/v1/${path}`, { body: JSON.stringify(data) })
    if (status >= 300) throw new Error(`${path}: ${body}`)
    return body === '' ? {} : JSON.parse(body).data
  }
  await write('sys/auth/userpass', { type: 'userpass' })
  await write('auth/userpass/users/marcher', { password: PASSWORD })
  const fields = kinds[kind]!.fields(trial as never)
  const format = { username_format: '{{alias.name}}', method_name: 'phone' }
  const { method_id: id } = await write(`identity/mfa/method/${kind}`, { ...format, ...fields })
  const shown = await send('GET', `/v1/identity/mfa/method/${kind}/${id}`)
  await write('identity/mfa/login-enforcement/all', {
    mfa_method_ids: [id],
    auth_method_types: ['userpass'],
  })
  const login = async (headers: readonly string[] = []) => {
    const body = JSON.stringify({ password: PASSWORD })
    const answer = await send('POST', '/v1/auth/userpass/login/marcher', {
      token: '',
      headers,
      body,
    })
    return { status: answer.status, text: answer.body, json: JSON.parse(answer.body) }
  }
  const validate = async (request: string, texts: readonly string[]) => {
    const body = JSON.stringify({ mfa_request_id: request, mfa_payload: { [id]: texts } })
    const answer = await send('POST', '/v1/sys/mfa/validate', { token: '', body })
    return { status: answer.status, text: answer.body, json: JSON.parse(answer.body) }
  }
  return { trial, id, face, send, records, shown, login, validate, outcomes }
}

for (const [kind, { deny, denial, passcode }] of Object.entries(kinds)) {
  t.test(`${kind}: a login in one step and in two`, async t => {
    const { trial, id, send, login, validate } = await opened(t, kind)
    const { fake } = trial
    const looksUp = async (token: string): Promise<number> =>
      (await send('GET', '/v1/auth/token/lookup-self', { token })).status
    const one = await login([`X-Vault-MFA: ${id}`])
    t.equal(one.status, 200, one.text)
    t.equal(await looksUp(one.json.auth.client_token), 200)
    const asked = fake.asked.length
    t.ok(asked > 0)
    const first = await login()
    t.equal(first.status, 200)
    t.equal(first.json.auth.client_token, '')
    t.equal(fake.asked.length, asked, 'the service is not asked yet')
    const { mfa_request_id: request } = first.json.auth.mfa_requirement
    const second = await validate(request, passcode === undefined ? [] : [`passcode=${passcode}`])
    t.equal(second.status, 200, second.text)
    t.equal(await looksUp(second.json.auth.client_token), 200)
    t.strictSame(fake.wrong, [])
  })

  t.test(`${kind}: a user who says no gets no token, and why`, async t => {
    const { trial, login, validate } = await opened(t, kind)
    deny(trial as never)
    const one = await login(['X-Vault-MFA: phone'])
    t.equal(one.status, 403)
    t.match(one.text, denial)
    const first = await login()
    const second = await validate(first.json.auth.mfa_requirement.mfa_request_id, [''])
    t.equal(second.status, 403)
    t.match(second.text, denial)
    t.notMatch(one.text + second.text, CANARY)
    t.strictSame(trial.fake.wrong, [])
  })

  t.test(`${kind}: secrets of the service are neither shown nor recorded`, async t => {
    const { trial, id, shown, login, records } = await opened(t, kind)
    trial.fake.spoil = () => 'cut'
    const header = passcode === undefined ? id : `${id}:${passcode}`
    const { status, text } = await login([`X-Vault-MFA: ${header}`])
    t.equal(status, 403)
    t.match(text, 'it cannot be asked (ECONNRESET)')
    const recorded = JSON.stringify(await records())
    t.match(recorded, `identity/mfa/method/${kind}`)
    const hidden = trial.secrets.filter(secret => secret !== 'DIWJ8X6AEYOR5OMC6TQ1')
    for (const secret of hidden) {
      t.notOk(shown.body.includes(secret), 'a method shows none')
      t.notOk(recorded.includes(secret), 'no record holds one')
      t.notOk(text.includes(secret))
    }
  })
}

t.test('duo: where the user is, and what the push shows', async t => {
  const { trial, id, login } = await opened(t, 'duo')
  await login([`X-Vault-MFA: ${id}`])
  t.match((trial.fake as FakeDuo).factor, {
    ...{ username: 'marcher', ipaddr: '127.0.0.1', pushinfo: 'from=gatehouse', factor: 'push' },
  })
})

t.test('duo: who goes away is asked for no more, and was asked for in vain', async t => {
  const { trial, id, face, login, outcomes } = await opened(t, 'duo')
  const { fake } = trial
  // Its time stands still here: nothing but the client's leaving ends a question.
  fake.spoil = () => 'silent'
  const body = JSON.stringify({ password: PASSWORD })
  const lines = ['POST /v1/auth/userpass/login/marcher HTTP/1.1', 'Host: x', `X-Vault-MFA: ${id}`]
  const text = `${lines.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  for (let left = 0; left < limits.mfaAsks; left++) {
    const before = fake.asked.length
    const connection = await connectRaw(t, face)
    connection.write(text)
    await until(() => fake.asked.length > before)
    t.equal(outcomes.length, left)
    // A client may reset the connection, or end it.
    if (left % 2 === 0) connection.socket.resetAndDestroy()
    else connection.socket.end()
    await until(() => outcomes.length > left)
    t.strictSame(outcomes[left], { passed: false, reason: 'Duo: the login was given up' })
  }
  fake.spoil = answer => answer
  const again = await login([`X-Vault-MFA: ${id}`])
  t.equal(again.status, 403)
  t.match(again.text, 'the service was asked in vain too often')
})
