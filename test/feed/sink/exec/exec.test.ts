/** The sink exec: what the program reads, how its end is taken, and that nobody else names it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { TargetRefusal } from '../../../../src/feed/sink/declare.ts'
import { execSink } from '../../../../src/feed/sink/exec/exec.ts'
import { readSettings } from '../../../../src/feed/sink/schema.ts'
import { tempFolder } from '../../../clients/process.ts'
import { stateOf } from '../health.ts'
import { Driver, realPorts, settingsOf, wantedOf } from '../world.ts'

const a = { id: 'a', address: '10.0.0.1' }
const b = { id: 'b', address: '10.0.0.2', status: 'critical' }

t.test('the program reads state and changes, once for each state', async t => {
  const folder = tempFolder(t)
  const file = path.join(folder, 'read')
  const driver = new Driver(execSink, { command: ['/usr/bin/tee', '-a', file] }, realPorts(t))
  const first = stateOf({ web: [a, b] }, { 'c/': { 'c/x': 'y' } })
  t.match(await driver.plan(first), { changes: [/^run "\/usr\/bin\/tee"/, /^\+ "web" "a"/, /key/] })
  t.notOk(existsSync(file), 'a plan runs nothing')
  await driver.apply(first)
  t.same((await driver.apply(first)).changes, [])
  await driver.apply(stateOf({ web: [a, { ...b, status: 'passing' }] }, { 'c/': {} }, 8))
  const [one, two, end] = readFileSync(file, 'utf8').split('\n')
  t.equal(end, '')
  const read = JSON.parse(one ?? '')
  t.match(read, { Task: 'test', Revision: 7 })
  t.match(read.State.Services, [{ Name: 'web', Instances: [{ ID: 'a', Address: '10.0.0.1' }] }])
  t.match(read.State.KV, [{ Prefix: 'c/', Entries: [{ Key: 'c/x', Name: 'x', Value: 'y' }] }])
  const next = JSON.parse(two ?? '')
  t.equal(next.Revision, 8)
  t.match(next.Changes.Services, [{ Name: 'web', Added: [{ ID: 'b' }], Changed: [], Removed: [] }])
  t.match(next.Changes.KV, [{ Prefix: 'c/', Put: [], Deleted: ['c/x'] }])
})

t.test('a program that fails refuses, and is told again', async t => {
  const folder = tempFolder(t)
  const file = path.join(folder, 'ok')
  const script = `cat >/dev/null; test -e ${file} && exit 0; echo one; echo two >&2; exit 3`
  const driver = new Driver(execSink, { command: ['/bin/sh', '-c', script] }, realPorts(t))
  const refused = await driver.try(stateOf({ web: [a] }))
  t.match(refused, { text: '/bin/sh ended with 3: one; two', mayRetry: true, target: 'unknown' })
  t.match(await driver.plan(stateOf({ web: [a] })), { changes: [/run/, /"web" "a"/] })
  writeFileSync(file, '')
  t.match(await driver.apply(stateOf({ web: [a] })), { changes: [/run/, /"web" "a"/] })
})

t.test(
  'one that does not end is ended; one that is not there is named; none outlives a stop',
  async t => {
    const ports = realPorts(t)
    const slow = new Driver(execSink, { command: ['/bin/sleep', '600'], timeout: '100ms' }, ports)
    t.match(await slow.try(stateOf({ web: [a] })), { text: '/bin/sleep took longer than 100ms' })
    const none = new Driver(execSink, { command: ['/nowhere/none'] }, ports)
    t.match(await none.try(stateOf({ web: [a] })), { text: /no such file or directory/ })
    const stop = new AbortController()
    const under = new Driver(execSink, { command: ['/bin/sleep', '600'] }, ports)
    const trying = under.try(stateOf({ web: [a] }), stop.signal)
    stop.abort()
    t.ok((await trying) instanceof TargetRefusal)
  },
)

t.test('a program that reads nothing is no fault, whatever the size', async t => {
  const values = Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => [`k${i}`, 'x'.repeat(5_000)]),
  )
  const driver = new Driver(execSink, { command: ['/bin/true'] }, realPorts(t))
  await driver.apply(stateOf({}, { k: values }))
  t.pass()
})

t.test('the environment is clean, and output is bounded', async t => {
  process.env.CONSUL_HTTP_TOKEN = 'geheim'
  t.teardown(() => delete process.env.CONSUL_HTTP_TOKEN)
  const script = 'cat >/dev/null; env; head -c 1000000 /dev/zero | tr "\\0" x; env; exit 1'
  const driver = new Driver(execSink, { command: ['/bin/sh', '-c', script] }, realPorts(t))
  const refused = await driver.try(stateOf({ web: [a] }))
  if (!(refused instanceof TargetRefusal)) return t.fail('it was not refused')
  t.notMatch(refused.text, /geheim/)
  t.match(refused.text, /PATH=/)
  t.ok(refused.text.length < 6_000)
})

t.test('the API cannot name a program', async t => {
  t.equal(execSink.isLocal, true)
  const read = readSettings(execSink.fields, { command: ['/bin/true'] }, 'api')
  t.match(read, { problems: [{ field: 'command' }] })
  t.throws(() => settingsOf(execSink, { command: [] }), /names no program/)
})

t.test('a state that is too large is refused before anything runs', async t => {
  const big = stateOf({}, { k: { k: 'x'.repeat(9_000_000) } })
  const values = settingsOf(execSink, { command: ['/bin/true'] })
  t.throws(() => wantedOf(execSink, values, big), /larger than/)
})
