/**
 * The verb `agent`: what it prints, how it stops, and what it says about a busy port. The agent
 * itself is a double here.
 */
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { SettledConfig } from '../../src/agent/config.ts'
import type { FaceAddress, StartAgent } from '../../src/agent/running.ts'
import { type MonotonicMs, monotonicMs, wallMs } from '../../src/base/brand.ts'
import type { Clock } from '../../src/base/clock.ts'
import { OperatingError } from '../../src/base/errors.ts'
import { agentCommand } from '../../src/cli/agent.ts'
import { Flags } from '../../src/cli/command.ts'
import { parseWords } from '../../src/cli/parse.ts'
import { fakeIo } from './support.ts'

interface Run {
  readonly process: ReturnType<typeof fakeIo>
  readonly code: Promise<number>
  readonly clock: { nowMs: number }
  /** What waits for time to pass. */
  readonly timers: Set<() => void>
}

function start(line: string[], startAgent: StartAgent, environment = {}): Run {
  const clock = { nowMs: 0 }
  const timers = new Set<() => void>()
  const port: Clock = {
    monotonic: (): MonotonicMs => monotonicMs(clock.nowMs),
    wall: () => wallMs(0),
    after: (_, run) => {
      timers.add(run)
      return { clear: () => timers.delete(run) }
    },
  }
  const command = agentCommand(async () => startAgent, port)
  const process = fakeIo(environment)
  const parsed = parseWords('gatehouse agent', command, line)
  if (parsed.kind !== 'call') throw new Error(parsed.text)
  const call = { program: 'gatehouse', flags: new Flags(parsed.flags), args: parsed.args }
  return { process, code: command.run({ ...call, io: process.io }), clock, timers }
}

/** Flags that keep the test's log lines out of its own output. */
const quiet = (t: Test): string[] => [`-log-file=${join(t.testdir({}), 'agent.log')}`]

/** Waits, in turns of the loop, until `check` holds; bounded. */
async function until(check: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !check(); i++) await new Promise(resolve => setTimeout(resolve, 5))
  if (!check()) throw new Error('did not happen')
}

t.test('prints where everything is, ready last, and stops when told', async t => {
  const folder = t.testdir({})
  const started: SettledConfig[] = []
  let stops = 0
  let reloads = 0
  const run = start(
    [
      `-data-dir=${folder}/data`,
      '-node=n1',
      `-pid-file=${folder}/run/pid`,
      `-log-file=${folder}/log`,
    ],
    async config => {
      started.push(config)
      return {
        addresses: [
          { face: 'http', host: '127.0.0.1', port: 8500 },
          { face: 'http', host: '::1', port: 8500 },
          { face: 'dns', host: '127.0.0.1', port: 8600 },
        ],
        awaitsBootstrap: false,
        reload: async () => {
          reloads++
          return []
        },
        stop: async () => void stops++,
      }
    },
  )
  await until(() => run.process.out.length > 0)
  const [text = ''] = run.process.out
  const id = readFileSync(join(folder, 'data', 'node-id'), 'utf8').trim()
  t.match(text, /^gatehouse v\d+\.\d+\.\d+\n/)
  for (const line of [
    `  node        n1 (${id})`,
    '  datacenter  dc1',
    `  data        ${folder}/data (survives a restart)`,
    '  HTTP        http://127.0.0.1:8500',
    '  HTTP        http://[::1]:8500',
    '  DNS         127.0.0.1:8600 (UDP and TCP)',
    '  curl http://127.0.0.1:8500/v1/catalog/services',
    '  dig @127.0.0.1 -p 8600 consul.service.consul',
  ]) {
    t.match(text, `\n${line}\n`)
  }
  t.match(text, /\nReady\.$/)
  t.match(started[0], { nodeId: id, store: { engine: 'level' } })
  t.equal(readFileSync(join(folder, 'run', 'pid'), 'utf8'), `${process.pid}\n`)

  run.process.signal('SIGHUP')
  run.process.signal('SIGTERM')
  t.equal(await run.code, 0)
  t.equal(stops, 1)
  t.equal(reloads, 1)
  t.same(run.process.exits, [])
  t.notOk(existsSync(join(folder, 'run', 'pid')))
  await until(() => readFileSync(join(folder, 'log'), 'utf8').includes('stopped'))
  t.match(readFileSync(join(folder, 'log'), 'utf8'), 'why=SIGTERM')
})

t.test('a client that asks it to leave ends it', async t => {
  let leave = (): void => {}
  let stops = 0
  const run = start(['-dev', ...quiet(t)], async (_, tools) => {
    leave = tools.leave
    return {
      addresses: [],
      awaitsBootstrap: false,
      reload: async () => [],
      stop: async () => void stops++,
    }
  })
  await until(() => run.process.out.length > 0)
  leave()
  t.equal(await run.code, 0)
  t.equal(stops, 1)
})

t.test('a client that asks before it is ready is not forgotten', async t => {
  const run = start(['-dev', ...quiet(t)], async (_, tools) => {
    tools.leave()
    return { addresses: [], awaitsBootstrap: false, reload: async () => [], stop: async () => {} }
  })
  t.equal(await run.code, 0)
})

t.test('a signal during the start ends it at once', async t => {
  const starting = Promise.withResolvers<never>()
  const run = start(['-dev', ...quiet(t)], () => starting.promise)
  await until(() => run.process.listens('SIGINT'))
  run.process.signal('SIGINT')
  t.same(run.process.exits, [1])
  starting.reject(new Error('over'))
  t.equal(await run.code, 1)
})

t.test('the configuration is read again as it was for the start', async t => {
  const folder = t.testdir({ 'a.hcl': 'log_level = "warn"' })
  const results: unknown[] = []
  const run = start(
    ['-dev', `-config-file=${folder}/a.hcl`, `-log-file=${folder}/log`],
    async (config, { load }) => {
      results.push(config.log.level)
      writeFileSync(join(folder, 'a.hcl'), 'log_level = "error"')
      results.push(await load())
      return { addresses: [], awaitsBootstrap: false, reload: async () => [], stop: async () => {} }
    },
  )
  await until(() => run.process.out.length > 0)
  t.match(results, ['warn', { config: { log: { level: 'error' } } }])
  run.process.signal('SIGTERM')
  t.equal(await run.code, 0)
})

t.test('auto_reload_config reloads once a changed file holds still', async t => {
  const folder = t.testdir({ 'a.hcl': 'auto_reload_config = true' })
  let reloads = 0
  const run = start(['-dev', `-config-dir=${folder}`, `-log-file=${folder}/log`], async () => ({
    addresses: [],
    awaitsBootstrap: false,
    reload: async () => {
      reloads++
      return []
    },
    stop: async () => {},
  }))
  await until(() => run.process.out.length > 0 && run.timers.size === 1)
  const look = async (): Promise<void> => {
    const [next] = run.timers
    run.timers.delete(next!)
    next!()
    await until(() => run.timers.size === 1)
  }
  await look()
  t.equal(reloads, 0)
  writeFileSync(join(folder, 'b.hcl'), 'log_level = "warn"')
  await look()
  t.equal(reloads, 0, 'it may still be written')
  await look()
  t.equal(reloads, 1)
  await look()
  t.equal(reloads, 1)
  run.process.signal('SIGTERM')
  t.equal(await run.code, 0)
  t.equal(run.timers.size, 0)
})

t.test('a second signal ends at once, but not the echo of the first', async t => {
  const draining = Promise.withResolvers<void>()
  const run = start(['-dev', ...quiet(t)], async () => ({
    addresses: [],
    awaitsBootstrap: false,
    reload: async () => [],
    stop: () => draining.promise,
  }))
  await until(() => run.process.out.length > 0)
  t.match(run.process.out[0], 'in memory only: gone when this process ends')
  run.process.signal('SIGINT')
  run.clock.nowMs = 100
  run.process.signal('SIGINT')
  t.same(run.process.exits, [])
  run.clock.nowMs = 1_000
  run.process.signal('SIGTERM')
  t.same(run.process.exits, [1])
  draining.resolve()
  t.equal(await run.code, 0)
})

t.test('an etcd address is shown without what may be secret in it', async t => {
  const fragment = 'store { engine = "etcd" etcd { endpoints = ["http://u:s3cret@h:2379/x"] } }'
  const folder = t.testdir({})
  const run = start(
    ['-hcl', fragment, `-data-dir=${folder}`, `-log-file=${folder}/log`],
    async () => ({
      addresses: [],
      awaitsBootstrap: false,
      reload: async () => [],
      stop: async () => {},
    }),
  )
  await until(() => run.process.out.length > 0)
  t.match(run.process.out[0], 'in etcd at http://h:2379 (survives a restart)')
  t.notMatch(run.process.out[0], 's3cret')
  run.process.signal('SIGINT')
  t.equal(await run.code, 0)
})

t.test('a configuration that is wrong starts nothing', async t => {
  const never: StartAgent = async () => {
    throw new Error('started')
  }
  const run = start(['-client=0.0.0.0', '-retry-join=x'], never)
  t.equal(await run.code, 1)
  t.match(run.process.errors[0], 'retry_join: several servers need a store that they share')
  t.match(run.process.errors[0], 'can be reached by others')
  const extra = start(['-dev', '--', 'x'], never)
  t.equal(await extra.code, 1)
  t.same(extra.process.errors, ['Unexpected argument: x'])
})

t.test('a busy port names its holder and the way out', async t => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  t.teardown(() => holder.close())
  const { port } = holder.address() as AddressInfo
  const listen: StartAgent = async () => {
    const server = createServer().listen(port, '127.0.0.1')
    const [error] = await once(server, 'error')
    throw new OperatingError('unavailable', 'cannot listen', 'none', error)
  }
  const run = start(['-dev', ...quiet(t)], listen)
  t.equal(await run.code, 1)
  t.match(
    run.process.errors[0],
    `Error: port ${port} (tcp) is busy: held by process ${process.pid} (`,
  )
  t.match(run.process.errors[0], '\n  gatehouse agent -port-offset=10000')

  const moved = start(['-dev', '-port-offset=5', ...quiet(t)], listen, {
    npm_lifecycle_event: 'start',
  })
  t.equal(await moved.code, 1)
  t.match(moved.process.errors[0], '\n  npm start -- -port-offset=10005')
})

t.test('other faults of the start are told plainly', async t => {
  const run = start(['-dev', ...quiet(t)], async () => {
    throw new OperatingError('locked', 'the folder is held by process 7')
  })
  t.equal(await run.code, 1)
  t.same(run.process.errors, ['Error: the folder is held by process 7'])
})

t.test('with ACLs on, how to make the first token, and how to show one', async t => {
  const words = ['-dev', '-hcl=acl { enabled = true default_policy = "deny" }', ...quiet(t)]
  const textOf = async (
    addresses: readonly FaceAddress[],
    awaitsBootstrap: boolean,
    environment = {},
  ): Promise<string> => {
    const running = { addresses, awaitsBootstrap, reload: async () => [], stop: async () => {} }
    const run = start(words, async () => running, environment)
    await until(() => run.process.out.length > 0)
    run.process.signal('SIGTERM')
    await run.code
    return run.process.out[0] ?? ''
  }
  const http = { face: 'http', host: '127.0.0.1', port: 8500 } as const
  const token = '  curl -H "X-Consul-Token: $CONSUL_HTTP_TOKEN" http://127.0.0.1:8500/v1/catalog/'
  const first = await textOf([http], true)
  t.match(first, '\n  gatehouse acl bootstrap\n')
  t.match(first, `\n${token}`)
  const later = await textOf([http], false)
  t.notMatch(later, 'acl bootstrap')
  t.match(later, `\n${token}`)
  const npm = await textOf([{ ...http, port: 18500 }], true, { npm_lifecycle_event: 'start' })
  t.match(npm, '\n  bin/gatehouse acl bootstrap -http-addr=http://127.0.0.1:18500\n')
  const file = await textOf([{ face: 'http', host: 'unix:///run/g.sock', port: 0 }], true)
  t.match(file, '\n  gatehouse acl bootstrap -http-addr=unix:///run/g.sock\n')
  const secure = await textOf([{ face: 'https', host: '::1', port: 8501 }], true)
  t.match(secure, ' -http-addr=https://[::1]:8501 -ca-file=consul-agent-ca.pem\n')
})
