/**
 * The verb `debug` against a real agent: what lies in the archive, and what is left out.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { extract } from 'tar-stream'
import type { Clock } from '../../src/base/clock.ts'
import { run } from '../../src/cli/run.ts'
import { until } from '../clients/process.ts'
import { fakeAgent, fakeIo, type Outcome, realAgent } from './support.ts'

const { environment, ask } = await realAgent(t)

/** The files of an archive, by name. */
async function filesOf(path: string): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  const tar = extract()
  tar.end(gunzipSync(readFileSync(path)))
  for await (const entry of tar) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    files.set(entry.header.name, Buffer.concat(chunks).toString('utf8'))
  }
  return files
}

/** Runs it with a clock whose every second is a hundredth of one. */
async function capture(
  words: string[],
  address?: string,
): Promise<Outcome & { signal(name: string): void }> {
  const given = address === undefined ? environment : { CONSUL_HTTP_ADDR: address }
  const { io, out, errors, signal } = fakeIo(given)
  const clock: Clock = { ...io.clock, after: (ms, fire) => io.clock.after(ms / 100, fire) }
  const code = await run(['debug', ...words], 'consul', { ...io, clock })
  return { code, out: out.join('\n'), error: errors.join('\n'), signal }
}

const nameOf = (t: Test): string => join(t.testdir({}), 'report')

t.test('one archive of all that the agent knows of itself', async t => {
  const name = nameOf(t)
  const { code, out, error } = await capture([`-output=${name}`, '-duration=60s', '-interval=20s'])
  t.equal(code, 0)
  t.match(error, '[WARN] Unable to capture pprof: the agent does not serve it')
  t.match(out, '==> Starting debugger and capturing static information...')
  t.match(out, `            Output: '${name}.tar.gz'`)
  t.match(out, "           Capture: 'metrics, logs, host, agent, members'")
  t.match(out, /Capture successful \S+ \(1\)/)
  t.match(out, `    Saved debug archive: ${name}.tar.gz`)
  t.notOk(existsSync(name), 'the folder is gone')
  t.equal(statSync(`${name}.tar.gz`).mode & 0o777, 0o600)
  const files = await filesOf(`${name}.tar.gz`)
  t.same([...files.keys()].sort(), [
    'report/agent.json',
    'report/cluster.json',
    'report/consul.log',
    'report/host.json',
    'report/index.json',
    'report/members.json',
    'report/metrics.json',
  ])
  const json = (file: string): unknown => JSON.parse(files.get(`report/${file}.json`) ?? '')
  t.match(json('agent'), { Config: { NodeName: 'n1' } })
  t.match(json('members'), [{ Name: 'n1.dc1' }])
  t.match(json('cluster'), { Servers: [{ Node: 'n1' }] })
  t.match(json('host'), { CollectionTime: Number })
  t.match(json('index'), {
    Version: 1,
    Interval: '20s',
    Duration: '1m0s',
    Targets: ['metrics', 'logs', 'host', 'agent', 'members'],
  })
})

t.test('only what is asked for, as a folder', async t => {
  const name = nameOf(t)
  const { code } = await capture([
    ...['-capture=agent', '-capture', 'host', `-output=${name}`, '-archive=false'],
  ])
  t.equal(code, 0)
  t.notOk(existsSync(`${name}.tar.gz`))
  t.ok(existsSync(join(name, 'agent.json')))
  t.notOk(existsSync(join(name, 'members.json')))
  t.equal(statSync(name).mode & 0o777, 0o700)
  t.match(await capture([`-output=${name}`]), {
    code: 1,
    error: `Capture validation failed: output directory already exists: ${name}`,
  })
})

t.test('profiles where they are served, and a warning for each part that is not', async t => {
  const agent = await fakeAgent()
  t.teardown(agent.close)
  agent.answer('profile')
  agent.answerOn('/v1/agent/self', {
    Config: { Version: '1.21.4' },
    DebugConfig: { EnableDebug: true },
  })
  agent.answerOn('/debug/pprof/trace', 'no', 500)
  const name = nameOf(t)
  const words = ['-capture=pprof', '-duration=10s', '-interval=5s', `-output=${name}`]
  const { code, error } = await capture(words, agent.address)
  t.equal(code, 0)
  t.match(error, '[WARN] no trace.out: Unexpected response code: 500 (no)')
  const files = [...(await filesOf(`${name}.tar.gz`)).entries()]
  const heaps = files.filter(([file]) => /^report\/[\dTZ-]+\/heap\.prof$/.test(file))
  t.same([...new Set(heaps.map(([, text]) => text))], ['profile'])
  t.ok(files.some(([file]) => file === 'report/profile.prof'))
  const asked = agent.asked.map(({ url }) => url)
  t.ok(asked.includes('/debug/pprof/profile?seconds=10'))
  t.ok(asked.includes('/debug/pprof/trace?seconds=5'))
})

t.test('what is wrong is said before anything is written', async t => {
  const name = nameOf(t)
  const refused: Record<string, string> = {
    'debug -duration=5s': 'Capture validation failed: duration must be longer than 10s',
    'debug -interval=1s': 'Capture validation failed: interval must be longer than 5s',
    'debug -duration=10s -interval=20s': 'duration (10s) must be longer than interval (20s)',
    'debug -capture=secrets': 'invalid value "secrets" for flag -capture',
    'debug x': 'debug: Too many arguments provided, expected 0',
    'debug -http-addr=127.0.0.1:1': 'error querying target agent: Get "http://127.0.0.1:1',
  }
  for (const [line, error] of Object.entries(refused)) {
    t.match(await ask(`${line} -output=${name}`.replace(/(x) (-output.*)/, '$2 $1')), {
      code: 1,
      error,
    })
    t.notOk(existsSync(name))
  }
})

t.test('told to stop, it saves what it has', async t => {
  const name = nameOf(t)
  const { io, out, signal } = fakeIo(environment)
  const code = run(['debug', '-capture=logs', `-output=${name}`], 'consul', io)
  await until('it captures', () => existsSync(join(name, 'consul.log')))
  signal('SIGINT')
  t.equal(await code, 0)
  t.match(out.at(-1), 'Saved debug archive')
  t.ok((await filesOf(`${name}.tar.gz`)).has('report/consul.log'))
})
