/** When a certificate is asked for, kept and told of, by a clock that a test moves. */
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { Credential, type CredentialSource } from '../../../src/cli/cert/credential.ts'
import { CertFolder } from '../../../src/cli/cert/folder.ts'
import { Keeper } from '../../../src/cli/cert/keeper.ts'
import { orderOf } from '../../../src/cli/cert/order.ts'
import { tempFolder, until } from '../../clients/process.ts'
import { FakeClock } from '../../fake/clock.ts'
import { fakeIo } from '../support.ts'
import { FakeClient } from './authority.ts'

const LIFE_MS = 30_000_000
const DUE_MS = (LIFE_MS * 2) / 3

interface Setting {
  readonly folder?: string
  readonly clock?: FakeClock
  readonly source?: CredentialSource
  readonly jitter?: number
  readonly fraction?: number
  readonly reload?: () => Promise<string | undefined>
  readonly lifeMs?: number
  readonly name?: string
}

async function watcher(t: Test, setting: Setting = {}) {
  const { clock = new FakeClock(), fraction = 0.5 } = setting
  const fake = fakeIo()
  const random = { ...fake.io.random, fraction: () => fraction }
  const io = { ...fake.io, clock, random }
  const client = new FakeClient(() => clock.wall(), setting.lifeMs ?? LIFE_MS)
  const folder = setting.folder ?? path.join(tempFolder(t), 'tls')
  const keeper = new Keeper({
    ...{ io, client: client.asClient, folder: new CertFolder(folder) },
    credential: new Credential(client.asClient, setting.source ?? {}, clock),
    order: orderOf({
      path: 'pki/issue/web',
      data: { common_name: setting.name ?? 'a.example' },
      ...{ keyType: 'ec', isKeyNew: false },
    }),
    ...{ renewAt: 2 / 3, jitter: setting.jitter ?? 0, reload: setting.reload },
  })
  const stop = new AbortController()
  await keeper.start()
  const running = keeper.run(stop.signal)
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  t.teardown(end)
  const lines = (word: string): string[] => fake.out.filter(line => line.startsWith(`${word} `))
  const count = (word: string, wanted: number) =>
    until(`${wanted} times ${word}: ${fake.out.join('; ')}`, () => lines(word).length === wanted)
  return { ...fake, clock, client, folder, keeper, end, lines, count }
}

const serialIn = (folder: string): string =>
  new X509Certificate(readFileSync(path.join(folder, 'cert.pem'))).serialNumber

t.test('it is asked for at once, and again after two thirds of its life', async t => {
  const { clock, client, count, folder, lines } = await watcher(t)
  await count('issued', 1)
  const first = serialIn(folder)
  await clock.advance(DUE_MS - 1_000)
  t.equal(lines('issued').length, 1)
  t.equal(serialIn(folder), first)
  await clock.advance(1_000)
  await count('issued', 2)
  t.not(serialIn(folder), first)
  t.match(client.data.at(-1), { common_name: 'a.example', format: 'pem' })
})

t.test('how far from two thirds is left to chance', async t => {
  const early = await watcher(t, { jitter: 0.1, fraction: 0 })
  await early.count('issued', 1)
  await early.clock.advance(LIFE_MS * (2 / 3 - 0.1) - 1_000)
  t.equal(early.lines('issued').length, 1)
  await early.clock.advance(1_000)
  await early.count('issued', 2)
  const late = await watcher(t, { jitter: 0.1, fraction: 1 - 2 ** -48 })
  await late.count('issued', 1)
  await late.clock.advance(LIFE_MS * (2 / 3 + 0.1) - 1_000)
  t.equal(late.lines('issued').length, 1)
  await late.clock.advance(1_000)
  await late.count('issued', 2)
})

t.test('while the server is away the files stay, and it is asked later each time', async t => {
  const { clock, client, count, folder, errors, lines } = await watcher(t)
  await count('issued', 1)
  const first = serialIn(folder)
  client.fault = 0
  await clock.advance(DUE_MS)
  for (const [at, retryMs] of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000].entries()) {
    await count('failed', at + 1)
    t.match(lines('failed').at(-1), `retry=${retryMs}ms`)
    await clock.advance(retryMs)
  }
  t.equal(serialIn(folder), first)
  t.match(errors.at(-1), 'ECONNREFUSED')
  t.match(lines('failed').at(-1), /^failed serial=[0-9a-f:]+ expires=20/)
  client.fault = undefined
  await clock.advance(60_000)
  await count('issued', 2)
  const before = lines('failed').length
  client.fault = 503
  await clock.advance(DUE_MS)
  await until('it failed again', () => lines('failed').length > before)
  t.match(lines('failed')[before], 'retry=1000ms', 'patience begins anew')
})

t.test('the less is left of its life, the more often it is asked for', async t => {
  const { clock, client, count, lines, folder } = await watcher(t, { lifeMs: 60_000 })
  await count('issued', 1)
  client.fault = 500
  await clock.advance(40_000)
  await until('it failed', () => lines('failed').length > 0)
  for (let at = 0; at < 30; at++) await clock.advance(1_000)
  for (const line of lines('failed')) t.match(line, /retry=1\d\d\dms|retry=2000ms|expired/)
  t.ok(lines('failed').length > 8)
  await until('it is over', () => /expired/.test(lines('failed').at(-1) ?? ''))
  t.ok(serialIn(folder), 'the old files stay even so')
})

t.test('a machine that slept, or whose clock was set, notices within half a minute', async t => {
  const { clock, count, lines } = await watcher(t)
  await count('issued', 1)
  clock.setWall(DUE_MS)
  await clock.advance(29_000)
  t.equal(lines('issued').length, 1)
  await clock.advance(1_000)
  await count('issued', 2)
})

t.test('a clock that is far ahead of the server does not make it ask without a pause', async t => {
  const { clock, client, count, lines } = await watcher(t, { lifeMs: -5_000 })
  await count('issued', 1)
  t.equal(client.asked.filter(ask => ask.startsWith('pki/')).length, 1)
  await clock.advance(1_000)
  await count('issued', 2)
  t.equal(lines('failed').length, 0)
})

t.test('what a run before it left is kept while it is good', async t => {
  const first = await watcher(t)
  await first.count('issued', 1)
  await first.end()
  const { folder, clock } = first
  const again = await watcher(t, { folder, clock })
  await again.count('kept', 1)
  t.equal(again.lines('issued').length, 0)
  await again.end()
  const other = await watcher(t, { folder, clock, name: 'b.example' })
  await other.count('issued', 1)
  await other.end()
  writeFileSync(path.join(folder, 'live/cert.pem'), 'spoilt')
  const spoilt = await watcher(t, { folder, clock, name: 'b.example' })
  await spoilt.count('issued', 1)
  t.match(spoilt.errors[0], 'is replaced')
})

t.test('the program is told once of each, again until it takes it, and after a crash', async t => {
  let told = 0
  let fault: string | undefined = 'exit status 1'
  const reload = async (): Promise<string | undefined> => {
    told++
    return fault
  }
  const first = await watcher(t, { reload })
  await first.count('issued', 1)
  await first.count('failed', 1)
  t.match(first.errors[0], 'the command failed: exit status 1')
  await first.end()
  t.equal(told, 1)
  const { folder, clock } = first
  const again = await watcher(t, { folder, clock, reload })
  await again.count('failed', 1)
  t.equal(again.lines('issued').length, 0, 'no certificate is asked for that is there')
  t.equal(told, 2)
  fault = undefined
  await clock.advance(1_000)
  await again.count('reloaded', 1)
  await clock.advance(60_000)
  t.equal(told, 3)
  await again.end()
  const third = await watcher(t, { folder, clock, reload })
  await third.count('kept', 1)
  await clock.advance(60_000)
  t.equal(told, 3, 'it was told before')
})

t.test('it is renewed when somebody says so', async t => {
  const { keeper, count } = await watcher(t)
  await count('issued', 1)
  keeper.wantNow()
  await count('issued', 2)
})

t.test('a login is made when it is needed, and anew when its token is refused', async t => {
  const folder = t.testdir({ 'secret-id': 'one\n' })
  const secretIdFile = path.join(folder, 'secret-id')
  const source = { appRole: { mount: 'approle', roleId: 'web', secretIdFile } }
  const { client, clock, count } = await watcher(t, { source })
  await count('issued', 1)
  t.same(client.asked, ['auth/approle/login -', 'pki/issue/web login-1'])
  t.match(client.data[0], { role_id: 'web', secret_id: 'one' })
  client.refused.add('login-1')
  writeFileSync(secretIdFile, 'two')
  await clock.advance(DUE_MS)
  await count('failed', 1)
  await clock.advance(1_000)
  await count('issued', 2)
  t.match(client.data.at(-2), { role_id: 'web', secret_id: 'two' })
  t.match(client.asked.at(-1), /^pki\/issue\/web login-\d/)
})

t.test('a token is renewed while it may be, and read again from its file', async t => {
  const folder = t.testdir({ token: 'first\n' })
  const tokenFile = path.join(folder, 'token')
  const { client, clock, count } = await watcher(t, { source: { tokenFile } })
  await count('issued', 1)
  t.same(client.asked, ['auth/token/lookup-self first', 'pki/issue/web first'])
  client.refused.add('first')
  client.ttlS = 900
  client.isRenewable = true
  writeFileSync(tokenFile, 'second')
  await clock.advance(DUE_MS)
  await count('failed', 1)
  await clock.advance(1_000)
  await count('issued', 2)
  t.match(client.asked.at(-1), 'second')
  await clock.advance(600_000)
  await until('it is renewed', () => client.asked.at(-1) === 'auth/token/renew-self second')
  client.isRenewable = false
  client.refused.add('second')
  writeFileSync(tokenFile, 'third')
  await clock.advance(600_000)
  await until('it is read again', () => client.asked.at(-1) === 'auth/token/lookup-self third')
})

t.test('nothing is asked any more once it is over', async t => {
  const { client, clock, count, end } = await watcher(t)
  await count('issued', 1)
  const before = client.asked.length
  await end()
  await clock.advance(LIFE_MS)
  t.equal(client.asked.length, before)
})
