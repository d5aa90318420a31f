/**
 * The verb `lock` against a real agent: one holder, several holders, and every way to end.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { monotonicMs } from '../../src/base/brand.ts'
import { type Clock, foregroundClock } from '../../src/base/clock.ts'
import { run } from '../../src/cli/run.ts'
import { until } from '../clients/process.ts'
import { fakeAgent, fakeIo, realAgent } from './support.ts'

const { daemon, environment, ask } = await realAgent(t)

interface Pair {
  readonly Key: string
  readonly Session?: string
  readonly ModifyIndex: number
}

const pairs = async (prefix: string): Promise<Pair[]> => {
  const { status, text } = await daemon.ask('GET', `/v1/kv/${prefix}?recurse`)
  return status === 404 ? [] : JSON.parse(text)
}

/** A lock that runs until it is told something. */
function start(words: string[], clock: Clock = foregroundClock) {
  const fake = fakeIo(environment)
  const code = run(['lock', '-verbose', ...words], 'consul', { ...fake.io, clock })
  return { ...fake, code }
}

const fileOf = (t: Test): string => join(t.testdir({}), 'out')
const textOf = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '')

t.test('runs the command under the lock, then gives it back and removes the key', async t => {
  const file = fileOf(t)
  const line = `echo "$CONSUL_LOCK_HELD $GATEHOUSE_FENCING_INDEX" > ${file}`
  const held = await ask(['lock', '-verbose', '/one/', line])
  t.same(held, {
    code: 0,
    out: [
      'Setting up lock at path: one/.lock',
      'Attempting lock acquisition',
      'Starting handler',
      'Child terminated, releasing lock',
      'Cleanup succeeded',
    ].join('\n'),
    error: '',
  })
  const [, first = ''] = /^true (\d+)\n$/.exec(textOf(file)) ?? []
  t.ok(Number(first) > 0)
  t.same(await pairs('one'), [])
  t.same(await daemon.read('/v1/session/list'), [])
  // The key was removed, so its own count began anew; the fencing index did not.
  t.equal((await ask(['lock', '-shell=false', 'one', '/bin/sh', '-c', line])).code, 0)
  const [, second = ''] = /^true (\d+)\n$/.exec(textOf(file)) ?? []
  t.ok(Number(second) > Number(first))
})

t.test('exit codes: 0, or 2 for a failed command where it is asked for', async t => {
  t.same(await ask(['lock', 'code', 'exit 3']), {
    code: 0,
    out: '',
    error: 'Error running handler: exit status 3',
  })
  t.equal((await ask(['lock', '-child-exit-code', 'code', 'exit 3'])).code, 2)
  t.equal((await ask(['lock', '-child-exit-code', 'code', 'exit 0'])).code, 0)
  t.match(await ask(['lock', '-child-exit-code', '-shell=false', 'code', '/none/such']), {
    code: 2,
    error: /^Error starting handler: .*ENOENT/,
  })
})

t.test('what is wrong is said before anything is held', async t => {
  const refused: Record<string, string> = {
    'lock x': 'Key prefix and child command must be specified',
    'lock -n=0 x y': 'Lock holder limit must be positive',
    'lock -timeout=-1s x y': 'Timeout must be positive',
    'lock -monitor-retry=-1 x y': "Number for 'monitor-retry' must be >= 0",
    'lock -timeout=5 x y': 'invalid value "5" for flag -timeout',
  }
  for (const [line, error] of Object.entries(refused)) {
    t.match(await ask(line), { code: 1, out: '', error }, line)
  }
  t.same(await daemon.read('/v1/session/list'), [])
})

t.test('a second one waits, and gives up after its time', async t => {
  const file = fileOf(t)
  const first = start(['turn', `echo on > ${file}; exec sleep 600`])
  await until('the first holds', () => textOf(file) === 'on\n')
  t.same(await ask(['lock', '-timeout=50ms', 'turn', 'true']), {
    code: 1,
    out: '',
    error: 'Shutdown triggered or timeout during lock acquisition',
  })
  const second = start(['turn', `echo second > ${file}`])
  await until('the second waits', async () => {
    return (await daemon.read<unknown[]>('/v1/session/list')).length === 2
  })
  first.signal('SIGINT')
  t.equal(await first.code, 0)
  t.match(first.out.join('\n'), /Shutdown triggered, killing child\nTerminating child pid \d+\n/)
  t.equal(await second.code, 0)
  t.equal(textOf(file), 'second\n')
  t.same(await pairs('turn'), [])
})

t.test('a waiting one that is told to stop leaves nothing behind', async t => {
  const file = fileOf(t)
  const holder = start(['stop', `echo on > ${file}; exec sleep 600`])
  await until('it holds', () => textOf(file) === 'on\n')
  const waiting = start(['stop', 'true'])
  await until('it waits', async () => {
    return (await daemon.read<unknown[]>('/v1/session/list')).length === 2
  })
  waiting.signal('SIGTERM')
  t.equal(await waiting.code, 1)
  t.equal((await daemon.read<unknown[]>('/v1/session/list')).length, 1)
  holder.signal('SIGTERM')
  t.equal(await holder.code, 0)
})

t.test('the command gets signals, and is killed when it does not obey', async t => {
  const file = fileOf(t)
  const trap = `trap 'echo hup >> ${file}' HUP; trap 'echo no >> ${file}' TERM; echo on >> ${file}`
  const timers: (() => void)[] = []
  const clock: Clock = {
    ...foregroundClock,
    after(delayMs, handle) {
      // The grace of five seconds ends when the test says so.
      if (delayMs !== 5_000) return foregroundClock.after(delayMs, handle)
      timers.push(handle)
      return { clear: () => {} }
    },
  }
  const held = start(['obey', `${trap}; while :; do sleep 0.05; done`], clock)
  await until('it runs', () => textOf(file) === 'on\n')
  held.signal('SIGHUP')
  await until('it got the signal', () => textOf(file) === 'on\nhup\n')
  held.signal('SIGTERM')
  await until('it does not obey', () => textOf(file).endsWith('no\n'))
  timers[0]?.()
  t.equal(await held.code, 0)
  t.match(held.out.join('\n'), /after grace period of 5s\nKilling child pid \d+\n/)
})

t.test('a lock that is lost ends the command', async t => {
  const file = fileOf(t)
  const held = start(['-child-exit-code', 'lost', `echo on > ${file}; exec sleep 600`])
  await until('it runs', () => textOf(file) === 'on\n')
  const [pair] = await pairs('lost')
  await daemon.ask('PUT', `/v1/session/destroy/${pair?.Session}`)
  t.equal(await held.code, 0)
  t.match(held.out.join('\n'), 'Lock lost, killing child\nTerminating child pid')
})

t.test('an agent that is gone ends the command, once it was asked often enough', async t => {
  const agent = await realAgent(t)
  const file = fileOf(t)
  const fake = fakeIo(agent.environment)
  const words = ['-verbose', '-monitor-retry=1', 'gone', `echo on > ${file}; exec sleep 600`]
  const code = run(['lock', ...words], 'consul', fake.io)
  await until('it runs', () => textOf(file) === 'on\n')
  await agent.daemon.kill()
  t.equal(await code, 1)
  t.match(fake.out.join('\n'), 'Lock lost, killing child')
  t.match(fake.errors.join('\n'), /^Lock release failed: Put ".*": dial tcp .* connection refused$/)
})

t.test('a key of another use is left alone', async t => {
  await daemon.ask('PUT', '/v1/kv/other/.lock', 'mine')
  t.match(await ask(['lock', 'other', 'true']), {
    code: 1,
    error: 'Lock acquisition failed: existing key does not match lock use',
  })
  t.match(await ask(['lock', '-n=2', 'other', 'true']), {
    code: 1,
    error: 'Lock acquisition failed: existing key does not match semaphore use',
  })
  t.equal((await pairs('other')).length, 1)
  t.same(await daemon.read('/v1/session/list'), [])
})

t.test('a semaphore has as many holders as it says', async t => {
  const folder = t.testdir({})
  const line = (name: string): string => `echo on > ${folder}/${name}; exec sleep 600`
  const [a, b] = [start(['-n=2', 'sem', line('a')]), start(['-n=2', 'sem', line('b')])]
  await until('both hold', () => {
    return ['a', 'b'].every(name => textOf(join(folder, name)) === 'on\n')
  })
  t.match(a.out, ['Setting up semaphore (limit 2) at prefix: sem'])
  t.match(await ask(['lock', '-n=2', '-timeout=50ms', 'sem', 'true']), { code: 1 })
  t.match(await ask(['lock', '-n=3', 'sem', 'true']), {
    code: 1,
    error: 'Lock acquisition failed: semaphore limit conflict (lock: 2, local: 3)',
  })
  const c = start(['-n=2', 'sem', line('c')])
  a.signal('SIGINT')
  t.equal(await a.code, 0)
  t.match(a.out.at(-1), 'Cleanup aborted, lock in use')
  await until('the third holds', () => textOf(join(folder, 'c')) === 'on\n')
  for (const held of [b, c]) {
    held.signal('SIGINT')
    t.equal(await held.code, 0)
  }
  await until('all is removed', async () => (await pairs('sem')).length === 0)
})

t.test('renewals that nobody confirms end the hold within the time of the session', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  const file = fileOf(t)
  agent.answerOn('/v1/agent/self', { Config: { NodeName: 'n1' } })
  agent.answerOn('/v1/session/create', { ID: 's1' })
  agent.answerOn('/v1/session/renew/s1', 'no', 500)
  const flags = '__flags__'
  const pair = { Key: 'r/.lock', Flags: flags, Session: 's1', ModifyIndex: 7, Value: null }
  const text = JSON.stringify([pair]).replace(`"${flags}"`, '3304740253564472344')
  agent.answerOn('/v1/kv/r/.lock', text)
  // Each reading of the clock is a second later.
  let nowMs = 0
  const clock: Clock = {
    ...foregroundClock,
    monotonic() {
      nowMs += 1_000
      return monotonicMs(nowMs)
    },
    after: (_delayMs, handle) => foregroundClock.after(1, handle),
  }
  const fake = fakeIo({ CONSUL_HTTP_ADDR: agent.address })
  const words = ['lock', '-verbose', 'r', `echo on > ${file}; exec sleep 600`]
  t.equal(await run(words, 'consul', { ...fake.io, clock }), 0)
  t.match(fake.out.join('\n'), 'Lock lost, killing child')
})
