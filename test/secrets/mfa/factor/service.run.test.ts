/**
 * What holds of every factor: how long it is waited for and by whom, whom a request reaches, what
 * is made of answers that are none, and that no reason tells a secret.
 */
import t from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { factorAsks } from '../../../../src/secrets/mfa/factor/asks.run.ts'
import { FakeClock, settled } from '../../../fake/clock.ts'
import { FakeDuo } from './fake/duo.ts'
import type { Answer, Fault } from './fake/service.ts'
import { duoTrial, oktaTrial, pingidTrial, type Trial, trials } from './kinds.ts'
import { factorWorld, reasonOf } from './world.ts'

const names: Readonly<Record<string, string>> = { duo: 'Duo', okta: 'Okta', pingid: 'PingID' }

const reached = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await settled()
}

/** How many requests a login takes. */
async function requestsOf({ fake, ask }: Trial): Promise<number> {
  await ask()
  return fake.asked.splice(0).length
}

/** Answers that are none, and the reason that each is given, whichever request it comes to. */
const wrongAnswers: Readonly<Record<string, readonly [Answer | Fault, RegExp]>> = {
  'nothing, and the connection ends': ['cut', /: it cannot be asked \(ECONNRESET\)$/],
  'half an answer': ['half', /: it cannot be asked \(ECONNRESET\)$/],
  'an answer without an end': ['endless', /: its answer is too large$/],
  'a page': [{ text: '<html>' }, /: its answer is not (JSON|of its API: no signed token)$/],
  'nothing at all': [{ text: '' }, /: its answer is not (JSON|of its API: no signed token)$/],
  'no UTF-8': [
    { text: '', bytes: Buffer.of(0xff, 0xfe, 0x7b, 0x7d) },
    /: its answer is not (JSON|of its API: .*)$/,
  ],
  null: [{ text: 'null' }, /: its answer is not of its API: /],
  'a list of no objects': [{ text: '[1,null]' }, /: its answer is not of its API: /],
  'a text': [{ text: '"allow"' }, /: its answer is not of its API: /],
  'a deep one': [{ text: '['.repeat(100_000) }, /: its answer is not (JSON|of its API: .*)$/],
  'a fault of the service': [{ status: 503, text: 'busy' }, /: it answers 503$/],
  'what is not there': [{ status: 404, text: '{}' }, /: it answers 404$/],
  'no content': [{ status: 204, text: '' }, /: it answers 204$/],
}

for (const trialOf of trials) {
  const kind = trialOf.name.replace('Trial', '')
  const name = names[kind]

  t.test(`${kind}: answers that are none, to each request`, async t => {
    const trial = await trialOf(t)
    const { fake, ask, secrets, world } = trial
    const count = await requestsOf(trial)
    for (const [what, [spoilt, expected]] of Object.entries(wrongAnswers)) {
      for (let at = 0; at < count; at++) {
        fake.asked.length = 0
        fake.spoil = (answer, number) => (number === at ? spoilt : answer)
        const reason = reasonOf(t, await ask(), secrets)
        t.match(reason, expected, `${what}, to request ${at}`)
        t.equal(fake.asked.length, at + 1, 'nothing more was asked')
      }
    }
    t.strictSame(fake.wrong, [])
    t.equal(world.clock.timers, 0)
    await reached(() => fake.connections === 0)
  })

  t.test(`${kind}: redirects are followed nowhere`, async t => {
    const trial = await trialOf(t)
    const { fake, ask, secrets } = trial
    const count = await requestsOf(trial)
    const other = await trialOf(t, trial.world)
    for (const status of [301, 302, 303, 307, 308]) {
      for (let at = 0; at < count; at++) {
        fake.asked.length = 0
        const location = `https://api-1.duo.test:${other.fake.port}/`
        fake.spoil = ({ text }, number) =>
          number === at ? { status, headers: { location }, text } : { text }
        t.equal(reasonOf(t, await ask(), secrets), `${name}: it answers ${status}`)
        t.equal(fake.asked.length, at + 1)
      }
    }
    t.equal(other.fake.asked.length, 0)
  })

  t.test(`${kind}: a service that has too many requests is given time`, async t => {
    const trial = await trialOf(t)
    const { fake, ask, secrets, world } = trial
    const count = await requestsOf(trial)
    const busy = { status: 429, text: '{"stat":"FAIL","code":42901}' }
    for (let at = 0; at < count; at++) {
      fake.asked.length = 0
      world.clock.pauses = 0
      fake.spoil = (answer, number) =>
        number >= at && number < at + limits.factorBusyTries ? busy : answer
      t.equal(reasonOf(t, await ask(), secrets), '', 'it is asked again')
      t.equal(world.clock.pauses, 1 + 2 + 4)
      fake.asked.length = 0
      fake.spoil = (answer, number) => (number >= at ? busy : answer)
      const told = kind === 'duo' ? 'it refuses the request (429, code 42901)' : 'it answers 429'
      t.equal(reasonOf(t, await ask(), secrets), `${name}: ${told}`)
      t.equal(fake.asked.length, at + 1 + limits.factorBusyTries, 'but not for ever')
    }
    t.equal(world.clock.timers, 0)
  })

  t.test(`${kind}: an answer that does not come, or does not end`, async t => {
    for (const fault of ['silent', 'slow'] as const) {
      const trial = await trialOf(t)
      const { fake, ask, secrets, world } = trial
      const count = await requestsOf(trial)
      for (let at = 0; at < count; at++) {
        fake.asked.length = 0
        fake.spoil = (answer, number) => (number === at ? fault : answer)
        const asked = ask()
        await reached(() => fake.asked.length > at)
        await world.clock.advance(limits.factorExchangeMs - 1)
        const isLong = world.clock.timers > 0
        t.ok(isLong, 'it is waited for')
        await world.clock.advance(limits.factorTalkMs)
        t.match(reasonOf(t, await asked, secrets), /: (no answer in time|it took too long)$/)
      }
      t.equal(world.clock.timers, 0)
      await reached(() => fake.connections === 0)
    }
  })

  t.test(`${kind}: a login that is given up`, async t => {
    const trial = await trialOf(t)
    const { fake, ask, secrets, world } = trial
    const reason = `${name}: the login was given up`
    t.equal(reasonOf(t, await ask({ signal: AbortSignal.abort() }), secrets), reason)
    t.equal(fake.asked.length, 0)
    const count = await requestsOf(trial)
    for (let at = 0; at < count; at++) {
      fake.asked.length = 0
      fake.spoil = (answer, number) => (number === at ? 'silent' : answer)
      const login = new AbortController()
      const asked = ask({ signal: login.signal })
      await reached(() => fake.asked.length > at)
      login.abort(new Error('the client left'))
      t.equal(reasonOf(t, await asked, secrets), reason)
      await reached(() => fake.connections === 0)
      t.equal(fake.asked.length, at + 1, 'and nothing more is asked')
    }
    t.equal(world.clock.timers, 0)
  })

  t.test(`${kind}: who shows the certificate of somebody else`, async t => {
    const world = factorWorld(t)
    const untrusted = await trialOf(t, { ...world, tls: world.foreign })
    const trust = /cannot be asked \((UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN)\)/
    t.match(reasonOf(t, await untrusted.ask(), untrusted.secrets), trust)
    t.equal(untrusted.fake.asked.length, 0, 'no request was shown to it')
    const { config, ask, secrets, fake } = await trialOf(t, world)
    const moved = JSON.parse(
      JSON.stringify(config)
        .replace('api-1.duo.test', 'api-2.duo.test')
        .replace('acme', 'other')
        .replace('idp.ping.test', 'idp2.ping.test'),
    )
    t.match(reasonOf(t, await ask({}, moved), secrets), /\(ERR_TLS_CERT_ALTNAME_INVALID\)/)
    t.equal(fake.asked.length, 0)
    const system = await trialOf(t, { ...world, ports: { ...world.ports, context: undefined } })
    t.match(reasonOf(t, await system.ask(), system.secrets), trust, 'nor the system trusts it')
  })

  t.test(`${kind}: addresses that may not be connected to, and hosts that are nowhere`, async t => {
    const judged: string[] = []
    const mayReach = (address: string): boolean => {
      judged.push(address)
      return false
    }
    const guarded = await trialOf(t, factorWorld(t, { mayReach }))
    const may = `${name}: its address may not be connected to (login_targets.allow)`
    t.equal(reasonOf(t, await guarded.ask(), guarded.secrets), may)
    t.strictSame(judged, ['127.0.0.1'])
    t.equal(guarded.fake.asked.length, 0)
    const resolver = { addressesOf: () => Promise.reject(new Error('no such host: it')) }
    const nowhere = await trialOf(t, factorWorld(t, { resolver }))
    t.equal(reasonOf(t, await nowhere.ask(), nowhere.secrets), `${name}: its host is not found`)
    const hanging = { addressesOf: () => new Promise<never>(() => {}) }
    const slow = await trialOf(t, factorWorld(t, { resolver: hanging }))
    const login = new AbortController()
    const asked = slow.ask({ signal: login.signal })
    login.abort()
    const gone = `${name}: the login was given up`
    t.equal(reasonOf(t, await asked, slow.secrets), gone, 'whatever is waited for')
    const late = slow.ask()
    await slow.world.clock.advance(limits.factorTalkMs)
    t.match(reasonOf(t, await late, slow.secrets), /: (no answer in time|it took too long)$/)
  })

  t.test(`${kind}: names and passcodes that no request can hold`, async t => {
    const { ask, fake, secrets } = await trialOf(t)
    const reason = `${name}: the user's name or passcode is none for it`
    const texts = ['', '\ud800', 'a\udc00b', 'x'.repeat(limits.factorTextChars + 1)]
    for (const text of texts) {
      t.equal(reasonOf(t, await ask({ username: text }), secrets), reason)
      if (kind === 'okta') continue
      t.equal(reasonOf(t, await ask({ passcode: text }), secrets), reason)
    }
    t.equal(fake.asked.length, 0)
  })
}

t.test('addresses of services that are none', async t => {
  const duo = await duoTrial(t)
  const okta = await oktaTrial(t)
  const pingid = await pingidTrial(t)
  const hosts = ['', 'a b', 'user@api.test', 'api.test?x=1', 'api.test#x', 'a\r\nb', 'api.test\\x']
  for (const host of [
    ...hosts,
    'api.test:99999',
    'api.test:',
    ':443',
    '%61pi.test',
    '[::1',
    'é.test',
  ]) {
    const none = 'its address is none for requests over TLS'
    t.equal(reasonOf(t, await duo.ask({}, { apiHostname: host }), []), `Duo: ${none}`, host)
    const idpUrl = `https://${host}/pingid`
    t.equal(reasonOf(t, await pingid.ask({}, { idpUrl }), []), `PingID: ${none}`, host)
    // Behind the name of an organisation they are one.
    if (host === '' || host === ':443') continue
    t.equal(reasonOf(t, await okta.ask({}, { baseUrl: host }), []), `Okta: ${none}`, host)
  }
  for (const idpUrl of ['http://idp.ping.test/pingid', 'idp.ping.test', 'ftp://x/', 'https:/x/y']) {
    t.match(reasonOf(t, await pingid.ask({}, { idpUrl }), []), /none for requests over TLS/, idpUrl)
  }
})

t.test('a service that answers each question slowly is not waited for for ever', async t => {
  const { fake, ask, secrets, world } = await duoTrial(t)
  fake.statuses = [{ result: 'waiting', status: 'pushed' }]
  fake.spoil = (answer, number) => {
    // Each answer comes after some seconds, by the clock of who asks.
    if (number > 1) world.clock.elapse(4_000)
    return answer
  }
  const asked = ask()
  await reached(() => fake.asked.length > 2 + limits.factorTalkMs / 4_000)
  world.clock.fire()
  t.match(reasonOf(t, await asked, secrets), /^Duo: (it took too long|no answer in time)$/)
  await settled()
  t.ok(fake.asked.length < limits.factorPolls)
})

t.test('a user has more time than a service that is asked something', async t => {
  for (const [trial, at] of [
    [await duoTrial(t), 2],
    [await pingidTrial(t), 0],
  ] as const) {
    const { fake, ask, world, secrets } = trial
    let answerNow = (): void => {}
    const slowly = new Promise<void>(resolve => {
      answerNow = resolve
    })
    fake.spoil = async (answer, number) => {
      if (number === at) await slowly
      return answer
    }
    const asked = ask()
    await reached(() => fake.asked.length > at)
    await world.clock.advance(limits.factorTalkMs - 1)
    answerNow()
    t.equal(reasonOf(t, await asked, secrets), '', trial.kind)
  }
})

t.test('a login that is given up between two polls', async t => {
  const clock = new FakeClock()
  let found = 0
  const world = factorWorld(t, { clock })
  const addressesOf = async (): Promise<readonly string[]> => {
    found++
    return ['127.0.0.1']
  }
  const trial = await duoTrial(t, {
    ...world,
    ports: { ...world.ports, resolver: { addressesOf } },
  })
  const { fake, ask, secrets } = trial
  fake.nowMs = () => clock.wall()
  fake.statuses = [{ result: 'waiting', status: 'pushed' }]
  const login = new AbortController()
  const asked = ask({ signal: login.signal })
  await reached(() => fake.asked.length === 3)
  await clock.advance(limits.factorPollMs)
  await reached(() => fake.asked.length === 4 && fake.connections === 0)
  t.equal(found, 4)
  login.abort()
  t.equal(reasonOf(t, await asked, secrets), 'Duo: the login was given up')
  await clock.advance(limits.factorPollMs)
  t.strictSame([found, fake.asked.length, clock.timers], [4, 4, 0], 'not even a name is looked up')
})

t.test('no more logins than that wait for a factor at once', async t => {
  const world = factorWorld(t)
  const fake = await new FakeDuo(world.tls).listen(t)
  const never = { addressesOf: () => new Promise<never>(() => {}) }
  const { duo, okta } = factorAsks({ ...world.ports, resolver: never })
  const { integrationKey, secretKey } = fake
  const config = {
    ...{ apiHostname: 'api-1.duo.test', integrationKey, secretKey },
    ...{ pushInfo: '', usePasscode: false },
  }
  const login = new AbortController()
  const context = { remoteAddress: '', signal: login.signal }
  const all = Array.from({ length: limits.factorTalks }, () =>
    duo(config, 'marcher', undefined, context),
  )
  const other = { orgName: 'acme', baseUrl: 'okta.test', apiToken: 'x', primaryEmail: false }
  const full = { passed: false, reason: 'too many logins wait for a factor' }
  t.strictSame(await okta(other, 'a', undefined, context), full, 'of all kinds together')
  login.abort()
  const outcomes = await Promise.all(all)
  t.ok(outcomes.every(outcome => !outcome.passed && /given up/.test(outcome.reason)))
  const again = await okta(other, 'a', undefined, context)
  t.strictSame(again, { passed: false, reason: 'Okta: the login was given up' })
})
