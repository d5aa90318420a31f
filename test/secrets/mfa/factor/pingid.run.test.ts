/** PingID: pushes and passwords, what passes and what does not, and which answers are believed. */
import t from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import type { FakePingid } from './fake/pingid.ts'
import { type Login, pingidTrial } from './kinds.ts'
import { reasonOf } from './world.ts'

const ONLINE = 'POST /pingid/rest/4/authonline/do'
const OFFLINE = 'POST /pingid/rest/4/authoffline/do'
const STATUS = 'POST /pingid/rest/4/authstatus/do'

const table: Readonly<
  Record<
    string,
    { set?: (fake: FakePingid) => void; login?: Login; reason: string; paths: readonly string[] }
  >
> = {
  'a push that is confirmed': { reason: '', paths: [ONLINE] },
  'a push that is denied': {
    set: fake => {
      fake.errorIds = [20_512]
    },
    ...{ reason: 'PingID: it did not let the user in (error 20512)', paths: [ONLINE] },
  },
  'a push that is waited for and confirmed': {
    set: fake => {
      fake.errorIds = [30_010, 30_010, 30_010, 200]
    },
    ...{ reason: '', paths: [ONLINE, STATUS, STATUS, STATUS] },
  },
  'a push that is waited for and denied': {
    set: fake => {
      fake.errorIds = [30_010, 30_010, 20_512]
    },
    reason: 'PingID: it did not let the user in (error 20512)',
    paths: [ONLINE, STATUS, STATUS],
  },
  'a push that nobody answers': {
    set: fake => {
      fake.errorIds = [30_010]
    },
    reason: 'PingID: the user did not answer in time',
    paths: [ONLINE, ...Array<string>(limits.factorPolls).fill(STATUS)],
  },
  'a user whom nobody knows': {
    login: { username: 'nobody' },
    ...{ reason: 'PingID: it did not let the user in (error 10564)', paths: [ONLINE] },
  },
  'a user who has no device that takes pushes': {
    set: fake => {
      fake.errorIds = [30_004]
    },
    reason: 'PingID: it wants a one-time password of the user (error 30004)',
    paths: [ONLINE],
  },
  'a password': { login: { passcode: '111111' }, reason: '', paths: [ONLINE, OFFLINE] },
  'a password that is not right': {
    login: { passcode: '222222' },
    reason: 'PingID: it did not let the user in (error 20513)',
    paths: [ONLINE, OFFLINE],
  },
  'a password of a user whom nobody knows': {
    login: { username: 'nobody', passcode: '111111' },
    ...{ reason: 'PingID: it did not let the user in (error 10564)', paths: [ONLINE] },
  },
  'a password that is not looked at': {
    set: fake => {
      fake.passwordId = 200
    },
    login: { passcode: '222222' },
    ...{ reason: 'PingID: it did not let the user in (error 200)', paths: [ONLINE] },
  },
}

for (const [name, { set, login, reason, paths }] of Object.entries(table)) {
  t.test(name, async t => {
    const { fake, ask, secrets, world } = await pingidTrial(t)
    set?.(fake)
    t.equal(reasonOf(t, await ask(login), secrets), reason)
    t.strictSame(fake.wrong, [])
    t.strictSame(fake.paths, paths)
    t.equal(world.clock.timers, 0, 'no timer is left')
  })
}

t.test('settings that are not right', async t => {
  const { ask, secrets } = await pingidTrial(t)
  const reason = async (config = {}) => reasonOf(t, await ask({}, config), secrets)
  t.equal(await reason({ useBase64Key: 'no base64' }), 'PingID: its key is not base64')
  const other = Buffer.alloc(32, 1).toString('base64')
  const wrong = 'PingID: it answers 401'
  t.equal(await reason({ useBase64Key: other }), wrong, 'and signed by a key that is another')
})

t.test('answers that are not believed', async t => {
  const { fake, ask, secrets } = await pingidTrial(t)
  const reason = async () => reasonOf(t, await ask(), secrets)
  const not = 'PingID: its answer is not of its API:'
  fake.signedBy = Buffer.alloc(32, 1).toString('base64')
  t.equal(await reason(), `${not} a token with a wrong signature`)
  fake.signedBy = fake.key
  fake.header = { token: 'another', orgAlias: fake.orgAlias }
  t.equal(await reason(), `${not} a token for somebody else`)
  fake.header = { token: fake.token, org_alias: fake.orgAlias }
  t.equal(await reason(), '', 'the older spelling of the organisation')
  for (const errorId of ['200', 200.5, null, true, undefined, [200], { a: 200 }]) {
    const text = await fake.sign({ responseBody: { errorId } })
    fake.spoil = () => ({ text })
    t.equal(await reason(), `${not} no error number`, String(errorId))
  }
  fake.spoil = answer => ({ ...answer, status: 201 })
  t.equal(await reason(), 'PingID: it answers 201')
  t.strictSame(fake.wrong, [])
})

t.test('sessions that are none', async t => {
  const { fake, ask, secrets } = await pingidTrial(t)
  for (const sessionId of [null, '', 7, 'x'.repeat(201), 'a b', 'é']) {
    const text = await fake.sign({ responseBody: { errorId: 30_010, sessionId } })
    const count = fake.asked.length
    fake.spoil = () => ({ text })
    const reason = reasonOf(t, await ask(), secrets)
    t.equal(reason, 'PingID: its answer is not of its API: no session', String(sessionId))
    t.equal(fake.asked.length, count + 1)
  }
})

t.test('names and passwords that would be more than one', async t => {
  const { fake, ask } = await pingidTrial(t)
  for (const text of [
    '","x":"',
    '\\',
    'a\r\nX-Evil: 1',
    '\0',
    'é\u{1f511}',
    '</script>',
    '\u2028',
  ]) {
    fake.users.add(text)
    fake.passwords.add(text)
    t.strictSame(await ask({ username: text }), { passed: true })
    t.strictSame(await ask({ username: text, passcode: text }), { passed: true })
  }
  t.strictSame(fake.wrong, [])
})
