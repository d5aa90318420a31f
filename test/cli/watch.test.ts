/**
 * The verb `watch` against a real agent: every type, printed once and handed to a command.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { run } from '../../src/cli/run.ts'
import { until } from '../clients/process.ts'
import { call, fakeAgent, fakeIo, realAgent } from './support.ts'

const { daemon, environment, ask } = await realAgent(t)

const shown = async (line: string): Promise<unknown> => {
  const { code, out, error } = await ask(`watch ${line}`)
  if (code !== 0) throw new Error(error)
  return JSON.parse(out)
}

function start(words: string[]) {
  const fake = fakeIo(environment)
  return { ...fake, code: run(['watch', ...words], 'consul', fake.io) }
}

/** What a handler was given so far, a line each. */
function given(file: string): unknown[] {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

const fileOf = (t: Test): string => join(t.testdir({}), 'out')

t.test('prints each type once', async t => {
  await daemon.ask('PUT', '/v1/kv/w/a?flags=18446744073709551615', 'hello')
  const service = { Name: 'web', Tags: ['a', 'b'], Check: { TTL: '1h', Status: 'passing' } }
  await daemon.ask('PUT', '/v1/agent/service/register', service)
  const { code, out } = await ask('watch -type=key -key=w/a')
  t.equal(code, 0)
  const [{ ModifyIndex = 0 } = {}] = await daemon.read<{ ModifyIndex: number }[]>('/v1/kv/w/a')
  t.equal(
    out,
    `{
    "Key": "w/a",
    "CreateIndex": ${ModifyIndex},
    "ModifyIndex": ${ModifyIndex},
    "LockIndex": 0,
    "Flags": 18446744073709551615,
    "Value": "aGVsbG8=",
    "Session": ""
}`,
  )
  t.equal(await shown('-type=key -key=w/none'), null)
  t.match(await shown('-type=keyprefix -prefix=w/'), [{ Key: 'w/a' }])
  t.equal(await shown('-type=keyprefix -prefix=none/'), null)
  t.match(await shown('-type=services'), { web: ['a', 'b'], consul: [] })
  t.match(await shown('-type=nodes'), [{ Node: 'n1' }])
  t.match(await shown('-type=service -service=web -tag=a -tag=b'), [{ Service: { ID: 'web' } }])
  t.same(await shown('-type=service -service=web -tag=c'), [])
  await daemon.ask('PUT', '/v1/agent/check/fail/service:web')
  t.same(await shown('-type=service -service=web -passingonly=true'), [])
  t.match(await shown('-type=checks -service=web'), [{ CheckID: 'service:web' }])
  t.match(await shown('-type=checks -state=critical'), [{ CheckID: 'service:web' }])
  t.equal(((await shown('-type=checks')) as unknown[]).length, 2)
  t.equal(((await shown('-type=checks -filter=Status==passing')) as unknown[]).length, 1)
})

t.test('what is wrong is said', async t => {
  const refused: Record<string, string> = {
    watch: 'Watch type must be specified',
    'watch -type=key': 'Must specify a single key to watch',
    'watch -type=keyprefix': 'Must specify a single prefix to watch',
    'watch -type=service': 'Must specify a single service to watch',
    'watch -type=checks -service=a -state=any': 'Cannot specify service and state',
    'watch -type=connect_leaf': 'Type connect_leaf is not supported in the CLI tool',
    'watch -type=connect_roots': 'Type connect_roots is not supported in the CLI tool',
    'watch -type=agent_service': 'Type agent_service is not supported in the CLI tool',
    'watch -type=constructor': 'Unsupported watch type: constructor',
    'watch -type=key -key=x -passingonly=maybe': 'invalid value "maybe"',
    'watch -type=nodes -namespace=other': 'Namespaces are a Consul Enterprise feature',
  }
  for (const [line, error] of Object.entries(refused)) {
    t.match(await ask(line), { code: 1, out: '', error }, line)
  }
})

t.test('calls a handler with the view on stdin and its index in the environment', async t => {
  const file = fileOf(t)
  const watching = start(['-type=key', '-key=h', `{ cat; echo $CONSUL_INDEX; } >> ${file}`])
  await until('it was called for nothing', () => given(file).length === 2)
  t.equal(given(file)[0], null)
  await daemon.ask('PUT', '/v1/kv/other', 'x')
  await daemon.ask('PUT', '/v1/kv/h', 'one')
  await until('it was called for the value', () => given(file).length === 4)
  const [, , pair, index] = given(file) as [null, number, { ModifyIndex: number }, number]
  t.match(pair, { Key: 'h', Value: Buffer.from('one').toString('base64') })
  t.equal(pair.ModifyIndex, index)
  watching.signal('SIGINT')
  t.equal(await watching.code, 0)
  t.same(watching.errors, [])
})

t.test('words are handed on as they are without a shell', async t => {
  const file = fileOf(t)
  const words = ['/bin/sh', '-c', `echo "[\\"$0\\"]" > ${file}; exit 7`, 'two words']
  const { code, error } = await ask(['watch', '-type=nodes', '-shell=false', ...words])
  t.equal(code, 1)
  t.equal(error, 'Error executing handler: exit status 7')
  t.same(given(file), [['two words']])
  t.match(await ask(['watch', '-type=nodes', '-shell=false', '/none/such']), {
    code: 1,
    error: /^Error starting handler: .*ENOENT/,
  })
})

t.test('a handler that runs when we are told to stop is told too', async t => {
  const file = fileOf(t)
  const watching = start(['-type=nodes', `trap 'exit 0' TERM; echo 1 > ${file}; sleep 600 & wait`])
  await until('it runs', () => given(file).length === 1)
  watching.signal('SIGTERM')
  t.equal(await watching.code, 0)
})

t.test('events: only those that are new', async t => {
  const file = fileOf(t)
  await daemon.ask('PUT', '/v1/event/fire/deploy', 'a')
  t.match(await shown('-type=event -name=deploy'), [{ Name: 'deploy', Payload: 'YQ==' }])
  t.same(await shown('-type=event -name=none'), [])
  const watching = start(['-type=event', '-name=deploy', `cat >> ${file}`])
  await until('it has the old one', () => given(file).length === 1)
  await daemon.ask('PUT', '/v1/event/fire/deploy', 'b')
  await until('it has the new one', () => given(file).length === 2)
  t.match(given(file)[1], [{ Payload: 'Yg==' }])
  t.equal((given(file)[1] as unknown[]).length, 1)
  watching.signal('SIGINT')
  t.equal(await watching.code, 0)
})

t.test(
  'an agent that fails is asked again, and a token is not in what a handler is told',
  async t => {
    const agent = await fakeAgent()
    t.teardown(agent.close)
    agent.answerOn('/v1/agent/self', { Config: { NodeName: 'n1' } })
    agent.answer('No cluster leader', 500)
    const file = fileOf(t)
    const { io, errors, signal } = fakeIo({ CONSUL_HTTP_ADDR: agent.address })
    const pauses: number[] = []
    const clock = {
      ...io.clock,
      after(delayMs: number, handle: () => void) {
        pauses.push(delayMs)
        if (pauses.length === 3) agent.answer([], 200, { 'X-Consul-Index': '7' })
        return io.clock.after(1, handle)
      },
    }
    const words = [
      'watch',
      '-type=nodes',
      '-token=s3cret',
      `tr '\\0' ' ' < /proc/$$/cmdline > ${file}`,
    ]
    const code = run(words, 'consul', { ...io, clock })
    await until('the handler ran', () => existsSync(file) && readFileSync(file, 'utf8') !== '')
    signal('SIGINT')
    t.equal(await code, 0)
    t.same(pauses.slice(0, 3), [5_000, 20_000, 45_000])
    t.match(errors[0], 'Watch (type: nodes) errored: Unexpected response code: 500')
    t.equal(agent.asked.at(-1)?.token, 's3cret')
    t.notMatch([...errors, readFileSync(file, 'utf8')].join('\n'), 's3cret')
  },
)

t.test('no agent at all', async t => {
  t.match(await call('watch -type=nodes -http-addr=127.0.0.1:1'), {
    code: 1,
    error: 'Error querying Consul agent: Get "http://127.0.0.1:1/v1/agent/self": dial tcp',
  })
})
