/** What sinks reach: programs that read and end, addresses by the guard, variables by name. */
import t from 'tap'
import { sinkWorld } from '../../src/agent/sink-ports.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'

const world = sinkWorld({
  clock: systemClock,
  random: systemRandom,
  allow: [],
  environment: { PATH: process.env.PATH, KEY: 'k' },
})
const ports = world.portsOf('web')
const { signal } = new AbortController()
t.teardown(() => world.close())

t.test('a program reads what it is given', async t => {
  const end = await ports.run({ words: ['cat'], input: 'hello', timeoutMs: 10_000 }, signal)
  t.same(end, { what: 'exit', code: 0, output: 'hello' })
})

t.test('one that has no time left is ended', async t => {
  const end = await ports.run({ words: ['sleep', '600'], input: '', timeoutMs: 50 }, signal)
  t.same(end, { what: 'timeout', output: '' })
})

t.test('one that is stopped says so, also before it began', async t => {
  const stop = new AbortController()
  const running = ports.run({ words: ['sleep', '600'], input: '', timeoutMs: 60_000 }, stop.signal)
  stop.abort()
  t.match(await running, { what: 'fault', text: /stopped/ })
  const late = await ports.run({ words: ['true'], input: '', timeoutMs: 1_000 }, stop.signal)
  t.match(late, { what: 'fault' })
})

t.test('it sees no variables but the harmless ones', async t => {
  const end = await ports.run({ words: ['env'], input: '', timeoutMs: 10_000 }, signal)
  t.match(end, { code: 0, output: /PATH=/ })
  t.notMatch(end, { output: /KEY=/ })
})

t.test('addresses, guarded ones, and variables', async t => {
  t.equal(ports.mayReach('127.0.0.1'), true)
  t.equal(ports.mayReach('169.254.169.254'), false)
  t.ok((await ports.addressesOf('localhost')).includes('127.0.0.1'))
  t.same([ports.variable('KEY'), ports.variable('constructor')], ['k', undefined])
})
