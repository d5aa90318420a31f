/** Duo: what passes, what does not and why, and what stands in requests. */
import t from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import type { FakeDuo } from './fake/duo.ts'
import { duoTrial, type Login } from './kinds.ts'
import { reasonOf } from './world.ts'

const status = (result: string, status = result) => ({ result, status })
const waiting = status('waiting', 'pushed')

/** What is set up, what the login brings, and the reason that comes of it: '' for a pass. */
const table: Readonly<
  Record<string, { set?: (fake: FakeDuo) => void; login?: Login; reason: string; asked: number }>
> = {
  'a push that is confirmed': {
    set: fake => {
      fake.statuses = [waiting, waiting, status('allow')]
    },
    ...{ reason: '', asked: 5 },
  },
  'a push that is confirmed at once': { reason: '', asked: 3 },
  'a push that is denied': {
    set: fake => {
      fake.statuses = [waiting, status('deny')]
    },
    ...{ reason: 'Duo: the user or the passcode was denied', asked: 4 },
  },
  'a push that is taken for a fraud': {
    set: fake => {
      fake.statuses = [status('deny', 'fraud')]
    },
    ...{ reason: 'Duo: the user reported a fraud', asked: 3 },
  },
  'a push that times out there': {
    set: fake => {
      fake.statuses = [status('deny', 'timeout')]
    },
    ...{ reason: 'Duo: the user did not answer in time', asked: 3 },
  },
  'a user who is locked out': {
    set: fake => {
      fake.statuses = [status('deny', 'locked_out')]
    },
    ...{ reason: 'Duo: the user is locked out', asked: 3 },
  },
  'a denial that nobody knows yet': {
    set: fake => {
      fake.statuses = [status('deny', 'constructor')]
    },
    ...{ reason: 'Duo: the authentication was denied', asked: 3 },
  },
  'a push that nobody answers': {
    set: fake => {
      fake.statuses = [waiting]
    },
    reason: 'Duo: the user did not answer in time',
    asked: 2 + limits.factorPolls,
  },
  'a passcode': { login: { passcode: '123456' }, reason: '', asked: 3 },
  'a wrong passcode': {
    login: { passcode: '654321' },
    ...{ reason: 'Duo: the user or the passcode was denied', asked: 3 },
  },
  'a user whom Duo lets by': {
    set: fake => {
      fake.preauth = 'allow'
    },
    ...{ reason: '', asked: 1 },
  },
  'a user whom Duo does not let in': {
    set: fake => {
      fake.preauth = 'deny'
    },
    ...{ reason: 'Duo: the user may not log in', asked: 1 },
  },
  'a user who is not enrolled, with a right passcode': {
    set: fake => {
      fake.preauth = 'enroll'
    },
    login: { passcode: '123456' },
    ...{ reason: 'Duo: the user is not enrolled', asked: 1 },
  },
  'an outcome that is none': {
    set: fake => {
      fake.preauth = 'ALLOW'
    },
    reason: 'Duo: its answer is not of its API: no result of a pre-authentication',
    asked: 1,
  },
  'an outcome of a push that is none': {
    set: fake => {
      fake.statuses = [status('allowed')]
    },
    reason: 'Duo: its answer is not of its API: no result of an authentication',
    asked: 3,
  },
}

for (const [name, { set, login, reason, asked }] of Object.entries(table)) {
  t.test(name, async t => {
    const { fake, ask, secrets, world } = await duoTrial(t)
    set?.(fake)
    t.equal(reasonOf(t, await ask(login), secrets), reason)
    t.strictSame(fake.wrong, [])
    t.equal(fake.asked.length, asked)
    t.equal(world.clock.pauses, Math.max(0, asked - 3), 'one between two polls')
    t.equal(world.clock.timers, 0, 'no timer is left')
  })
}

t.test('keys that are not right, and a clock that is not', async t => {
  const { fake, ask, secrets } = await duoTrial(t)
  const refusal = async (code: number, config = {}): Promise<void> => {
    const reason = `Duo: it refuses the request (401, code ${code})`
    t.equal(reasonOf(t, await ask({}, config), secrets), reason)
  }
  await refusal(40_103, { secretKey: `${fake.secretKey.slice(0, -1)}q` })
  await refusal(40_102, { integrationKey: 'DIWJ8X6AEYOR5OMC6TQ2' })
  fake.nowMs = () => 0
  await refusal(40_105)
  t.strictSame(fake.wrong, [])
})

t.test('what is asked for: a device, what the push shows, where the user is', async t => {
  const { fake, ask } = await duoTrial(t)
  const pushInfo = 'from=login%20portal&domain=example.com'
  t.strictSame(await ask({ remoteAddress: '203.0.113.7' }, { pushInfo }), { passed: true })
  t.strictSame(fake.factor, {
    ...{ async: '1', device: 'auto', factor: 'push', ipaddr: '203.0.113.7' },
    ...{ pushinfo: pushInfo, username: 'marcher' },
  })
  await ask({ remoteAddress: '2001:db8::1', passcode: '123456' }, { pushInfo })
  t.strictSame(fake.factor, {
    ...{ async: '1', factor: 'passcode', ipaddr: '2001:db8::1' },
    ...{ passcode: '123456', username: 'marcher' },
  })
  await ask({ remoteAddress: 'somewhere' })
  t.equal(fake.factor.ipaddr, undefined, 'no address, none is sent')
  t.strictSame(fake.wrong, [])
})

t.test('names and texts that would be more than one', async t => {
  const { fake, ask } = await duoTrial(t)
  const odd = [
    ...['a&factor=passcode&passcode=123456', 'a\r\nX-Evil: 1', 'a b+c%20d', "!'()*~"],
    ...['\u469a\u{1f511}é', '\0', 'a=b', '"\\', 'x'.repeat(limits.factorTextChars)],
  ]
  for (const text of odd) {
    t.strictSame(await ask({ username: text }, { pushInfo: text }), { passed: true })
    t.equal(fake.factor.username, text)
    t.equal(fake.factor.pushinfo, text)
    await ask({ username: 'marcher', passcode: text })
    t.equal(fake.factor.passcode, text)
  }
  t.strictSame(fake.wrong, [])
})

t.test('transactions that are none', async t => {
  const { fake, ask, secrets } = await duoTrial(t)
  for (const txid of [null, '', 7, 'x'.repeat(101), 'a b', '../preauth', 'a&b=c', 'é']) {
    fake.asked.length = 0
    const text = JSON.stringify({ stat: 'OK', response: { txid } })
    fake.spoil = (answer, number) => (number === 1 ? { text } : answer)
    const reason = reasonOf(t, await ask(), secrets)
    t.equal(reason, 'Duo: its answer is not of its API: no transaction', String(txid))
    t.equal(fake.asked.length, 2)
  }
})
