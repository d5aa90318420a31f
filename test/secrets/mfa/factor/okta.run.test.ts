/** Okta: from a name to a device, what passes and what does not, and where the token goes. */
import t from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { FakeOkta } from './fake/okta.ts'
import { type Login, oktaTrial } from './kinds.ts'
import { reasonOf } from './world.ts'

const PUSH = { id: 'opfh52xcuft3J4uZc0g3', type: 'push' }
const user = (login: string, id = '00ub0oNGTSWTBKOLGLNR', factors = [PUSH]) => ({
  ...{ id, login, email: `${login}.mail`, factors },
})

const table: Readonly<
  Record<string, { set?: (fake: FakeOkta) => void; login?: Login; reason: string; asked: number }>
> = {
  'a push that is confirmed': {
    set: fake => {
      fake.results = ['WAITING', 'WAITING', 'WAITING', 'SUCCESS']
    },
    ...{ reason: '', asked: 6 },
  },
  'a push that is confirmed, with a passcode that nobody asked for': {
    login: { passcode: '123456' },
    ...{ reason: '', asked: 4 },
  },
  'a push that is rejected': {
    set: fake => {
      fake.results = ['WAITING', 'REJECTED']
    },
    ...{ reason: 'Okta: the push was explicitly rejected', asked: 4 },
  },
  'a push that times out there': {
    set: fake => {
      fake.results = ['WAITING', 'WAITING', 'TIMEOUT']
    },
    ...{ reason: 'Okta: the push timed out', asked: 5 },
  },
  'a push that nobody answers': {
    set: fake => {
      fake.results = ['WAITING']
    },
    ...{ reason: 'Okta: the user did not answer in time', asked: 3 + limits.factorPolls },
  },
  'a result that is none': {
    set: fake => {
      fake.results = ['WAITING', 'success']
    },
    reason: 'Okta: its answer is not of its API: no result of a verification',
    asked: 4,
  },
  'a verification that does not begin': {
    set: fake => {
      fake.results = ['REJECTED']
    },
    ...{ reason: 'Okta: the push was explicitly rejected', asked: 3 },
  },
  'a user whom nobody knows': {
    login: { username: 'nobody' },
    ...{ reason: 'Okta: no user of that name was found', asked: 1 },
  },
  'two users of one name': {
    set: fake => {
      fake.users = [user('twin'), user('Twin', '00u2')]
    },
    login: { username: 'twin' },
    ...{ reason: 'Okta: more than one user of that name was found', asked: 1 },
  },
  'a user without a device': {
    set: fake => {
      fake.users = [user('bare', '00u3', [])]
    },
    login: { username: 'bare' },
    ...{ reason: 'Okta: the user has no device that takes pushes', asked: 2 },
  },
  'a user whose device is not active': {
    set: fake => {
      const factors = [{ ...PUSH, status: 'PENDING_ACTIVATION' }]
      fake.users = [{ ...user('new'), factors }]
    },
    login: { username: 'new' },
    ...{ reason: 'Okta: the user has no device that takes pushes', asked: 2 },
  },
  'a user of another name than was asked for': {
    set: fake => {
      fake.spoil = (answer, number) =>
        number > 0
          ? answer
          : { text: JSON.stringify([{ id: '00u4', profile: { login: 'admin', email: 'a' } }]) }
    },
    reason: 'Okta: its answer is not of its API: another user than was asked for',
    asked: 1,
  },
}

for (const [name, { set, login, reason, asked }] of Object.entries(table)) {
  t.test(name, async t => {
    const { fake, ask, secrets, world } = await oktaTrial(t)
    set?.(fake)
    t.equal(reasonOf(t, await ask(login), secrets), reason)
    t.strictSame(fake.wrong, [])
    t.equal(fake.asked.length, asked)
    t.equal(world.clock.pauses, Math.max(0, asked - 4), 'one between two polls')
    t.equal(world.clock.timers, 0, 'no timer is left')
  })
}

t.test('the requests, one after the other', async t => {
  const { fake, ask } = await oktaTrial(t)
  t.strictSame(await ask(), { passed: true })
  const factors = '/api/v1/users/00ub0oNGTSWTBKOLGLNR/factors'
  t.match(fake.paths, [
    ...['GET /api/v1/users', `GET ${factors}`, `POST ${factors}/opfh52xcuft3J4uZc0g3/verify`],
    /^GET .*\/opfh52xcuft3J4uZc0g3\/transactions\/v2mst\w+$/,
  ])
})

t.test('the primary email in place of the login', async t => {
  const { fake, ask, secrets } = await oktaTrial(t)
  const email = { primaryEmail: true }
  t.strictSame(await ask({ username: 'ib@example.com' }, email), { passed: true })
  const reason = 'Okta: no user of that name was found'
  t.equal(reasonOf(t, await ask({}, email), secrets), reason, 'a login is none')
  t.equal(reasonOf(t, await ask({ username: 'ib@example.com' }), secrets), reason)
  t.strictSame(fake.wrong, [])
})

t.test('a token that is not right, or none that can be sent', async t => {
  const { fake, ask, secrets } = await oktaTrial(t)
  const refusal = async (apiToken: string) =>
    reasonOf(t, await ask({}, { apiToken }), [...secrets, apiToken])
  t.equal(await refusal(`${fake.token}x`), 'Okta: it answers 401')
  t.equal(fake.asked.length, 1)
  t.equal(await refusal('00abc\r\nX-Evil: 1'), 'Okta: it cannot be asked (ERR_INVALID_CHAR)')
  t.equal(fake.asked.length, 1)
})

t.test('names that would say more in a filter', async t => {
  const names = [
    ...['x" or profile.login sw "', '" or status eq "ACTIVE', '\\', '\\"', 'a\\" or id pr or "'],
    ...['a&limit=200', 'a%22', 'a+b c', 'é\u{1f511}', 'a\r\nX-Evil: 1', '\0', "o'neil", '#/?'],
  ]
  const { fake, ask, secrets } = await oktaTrial(t)
  for (const username of names) {
    fake.users = [user('isaac.brock@example.com')]
    const none = 'Okta: no user of that name was found'
    t.equal(reasonOf(t, await ask({ username }), secrets), none, username)
    fake.users = [user('isaac.brock@example.com'), user(username, '00u5')]
    t.strictSame(await ask({ username }), { passed: true }, username)
  }
  t.strictSame(fake.wrong, [])
})

t.test('links of others: the token goes nowhere else', async t => {
  const { fake, ask, world, secrets } = await oktaTrial(t)
  const other = await new FakeOkta(world.tls).listen(t)
  fake.linkOrigin = `https://acme.okta.test:${other.port}`
  t.strictSame(await ask(), { passed: true }, 'the path is asked for on its own host')
  t.equal(other.asked.length, 0)
  const self = '/api/v1/users/00ub0oNGTSWTBKOLGLNR/factors/opfh52xcuft3J4uZc0g3'
  const links = [
    ...['/api/v1/users', `${self}/transactions/../../../x`, `${self}/transactions/a/b`],
    ...[`${self}/transactions/`, `${self}/transactions/%2e%2e`, `${self}x/transactions/a`],
    ...[`${self}/transactions/..`, 'transactions/a', ''],
  ]
  for (const path of links) {
    const before = fake.asked.length
    const href = path.startsWith('/') ? `https://acme.okta.test:${fake.port}${path}` : path
    const text = JSON.stringify({ factorResult: 'WAITING', _links: { poll: { href } } })
    fake.spoil = (answer, number) => (number === before + 2 ? { text } : answer)
    const reason = 'Okta: its answer is not of its API: no id'
    t.equal(reasonOf(t, await ask(), secrets), reason, path)
    t.equal(fake.asked.length, before + 3, 'and nothing was asked')
  }
  t.strictSame(fake.wrong, [])
})

t.test('ids that would be other paths', async t => {
  const { fake, ask, secrets } = await oktaTrial(t)
  for (const id of ['..', '.', '', 'a/b', 'a?b', 'a%2fb', 'a\r\nb', 'x'.repeat(101), 7, null]) {
    const before = fake.asked.length
    const profile = { login: 'isaac.brock@example.com' }
    const text = JSON.stringify([{ id, profile }])
    fake.spoil = (answer, number) => (number === before ? { text } : answer)
    const reason = reasonOf(t, await ask(), secrets)
    t.equal(reason, 'Okta: its answer is not of its API: no id', String(id))
    t.equal(fake.asked.length, before + 1)
  }
})
