/** `gatehouse sync` against a real agent: validate, plan, apply, run, status. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { run } from '../../src/cli/run.ts'
import { freePort, until } from '../clients/process.ts'
import { call, fakeAgent, fakeIo, realAgent } from './support.ts'

const { daemon, environment, ask } = await realAgent(t)

const register = async (id: string, port: number): Promise<void> => {
  const { status, text } = await daemon.ask('PUT', '/v1/agent/service/register', {
    ...{ ID: id, Name: 'web', Address: '10.0.0.1', Port: port },
  })
  if (status !== 200) throw new Error(text)
}
const deregister = (id: string) => daemon.ask('PUT', `/v1/agent/service/deregister/${id}`)

/** A file of one sink, which writes the ports of `web` into `out`. */
function fileOf(t: Test, { name = 'web', more = '', template = '{{Port}}' } = {}) {
  const folder = t.testdir({})
  const config = join(folder, 'sinks.hcl')
  const out = join(folder, 'out')
  const write = (text: string): void => writeFileSync(config, text)
  const textOf = (item: string, extra = more): string =>
    `sink "${name}" {
       kind = "file"
       services = ["web"]
       buffer_min = "10ms"
       ${extra}
       settings {
         path = "${out}"
         template = "{{#Services[web].Instances}}\\n${item}\\n{{/Services[web].Instances}}\\n"
         on_empty = "apply"
       }
     }`
  write(textOf(template))
  const read = (): string => (existsSync(out) ? readFileSync(out, 'utf8') : 'none')
  return { folder, config, out, write, textOf, read }
}

t.test('validate', async t => {
  const { config, write, textOf } = fileOf(t)
  t.same(await ask(`sync validate -config=${config}`), { code: 0, out: 'Valid: 1 sink', error: '' })
  write(`${textOf('{{Port}}', 'timeout = "soon"\nschedule = "never"')}\nserver = true`)
  const wrong = await ask(`sync validate -config=${config}`)
  t.equal(wrong.code, 1)
  t.match(wrong.error, /sinks.hcl:5: sink: timeout: must be a duration/)
  t.match(wrong.error, /sinks.hcl:6: sink: schedule: must have five fields/)
  t.match(wrong.error, /sinks.hcl:\d+: unknown key "server"/)
  write(textOf('{{/broken}}'))
  t.match(await ask(`sync validate -config=${config}`), { code: 1, error: /sink|template/ })
  t.match(await ask('sync validate'), { code: 1, error: /-config must be given/ })
  t.match(await ask('sync validate -config=/none/there'), { code: 1, error: /ENOENT|no such/ })
})

t.test('plan and apply', async t => {
  const { config, read, textOf, write } = fileOf(t)
  await register('w1', 81)
  const plan = await ask(`sync plan -config=${config}`)
  t.match(plan, { code: 2, out: /^web \(file\): \d to change; "web" 1\n(.*\n)*.*\+ .*81/ })
  t.equal(read(), 'none', 'a plan touches nothing')
  t.match(await ask(`sync apply -config=${config}`), { code: 0, out: /^web \(file\): \d applied/ })
  t.equal(read(), '81\n')
  t.match(await ask(`sync plan -config=${config}`), { code: 0, out: /^web \(file\): in order/ })
  t.match(await ask(`sync apply -config=${config}`), { code: 0, out: /in order/ })
  const json = await ask(`sync plan -format=json -config=${config} -sink=web`)
  t.match(JSON.parse(json.out), [{ Name: 'web', Outcome: 'plan', Changes: [] }])
  t.match(await ask(`sync plan -config=${config} -sink=api`), { code: 1, error: /no sink api/ })
  write(textOf('{{Port}}', 'min_instances = 2'))
  t.match(await ask(`sync apply -config=${config}`), { code: 1, out: /held: "web" has 1 usable/ })
  t.equal(read(), '81\n')
  await deregister('w1')
})

t.test('an agent that does not answer, and another that does', async t => {
  const { config, write, textOf, read } = fileOf(t)
  const dead = `127.0.0.1:${await freePort()}`
  write(textOf('{{Port}}', 'timeout = "500ms"'))
  const lost = await call(`sync plan -config=${config} -http-addr=${dead}`)
  t.match(lost, { code: 1, out: /lost: health "web": .*connection refused/ })
  write(textOf('{{Port}}'))
  await register('w1', 81)
  const other = `-other-addr=${environment.CONSUL_HTTP_ADDR}`
  t.match(await call(`sync apply -config=${config} -http-addr=${dead} ${other}`), { code: 0 })
  t.equal(read(), '81\n')
  await deregister('w1')
  t.match(await call(`sync plan -config=${config} -ca-file=/none -http-addr=https://x`), {
    code: 1,
    error: /cannot read the CA file/,
  })
})

t.test('run: follows, reloads, refuses a wrong file, ends in order', async t => {
  const { folder, config, read, write, textOf } = fileOf(t)
  const status = join(folder, 'status.json')
  await register('w1', 81)
  const fake = fakeIo(environment)
  const words = ['sync', 'run', `-config=${config}`, `-status-file=${status}`, '-log-level=error']
  const code = run(words, 'gatehouse', fake.io)
  await until('the first state', () => read() === '81\n')
  await register('w2', 82)
  await until('a change', () => read() === '81\n82\n')
  const phaseIs = async (phase: string) =>
    until(phase, async () => (await call(`sync status -status-file=${status}`)).out.includes(phase))
  await phaseIs('current')
  write(textOf('port {{Port}}'))
  fake.signal('SIGHUP')
  await until('the new template', () => read() === 'port 81\nport 82\n')
  write('sink {')
  fake.signal('SIGHUP')
  await deregister('w2')
  await until('it goes on with what it had', () => read() === 'port 81\n')
  const { code: isWell, out } = await call(`sync status -status-file=${status} web`)
  t.equal(isWell, 0)
  t.match(out, /Where +sync run\nPhase +current\n/)
  t.match(out, /Event +.* applied "web" 1/)
  fake.signal('SIGTERM')
  t.equal(await code, 0)
  t.equal(read(), 'port 81\n', 'the target stays as it is')
  await deregister('w1')
})

t.test('status: of an agent and of what is stored', async t => {
  t.match(await ask('sync status'), { code: 0, out: /^Name +Kind +Phase/ })
  const address = `127.0.0.1:${await freePort()}`
  const body = { kind: 'haproxy-runtime', services: ['web'], settings: { address } }
  t.match(await daemon.ask('PUT', '/v1/sinks/lb', body), { status: 200, text: /true/ })
  await register('w1', 81)
  await until('it is told as rejected', async () => {
    const { code, out } = await ask('sync status')
    return code === 1 && /lb +haproxy-runtime +rejected +\d+ +stored, run by n1/.test(out)
  })
  const { out } = await ask('sync status lb')
  t.match(out, /Last error +\S+ .*ECONNREFUSED/)
  t.match(await ask('sync status none'), { code: 1, error: /no sink none/ })
  const json = JSON.parse((await ask('sync status -format=json lb')).out)
  t.match(json, [{ Name: 'lb', Status: { Phase: 'rejected' }, Where: 'stored, run by n1' }])
  const local = { ...body, kind: 'file', settings: { path: '/etc/passwd', template: '' } }
  const refused = await daemon.ask('PUT', '/v1/sinks/bad', local)
  t.match(refused, { status: 400, text: /kind: file writes files or runs programs/ })
  t.match(await daemon.ask('DELETE', '/v1/sinks/lb'), { status: 200 })
  t.match(await ask('sync status -status-file=/none/there'), { code: 1, error: /there is no file/ })
  await deregister('w1')
})

t.test('run: a token that changed in its file is shown after a refusal', async t => {
  const { folder, config, read } = fileOf(t)
  const token = join(folder, 'token')
  writeFileSync(token, 'old\n')
  const agent = await fakeAgent()
  t.teardown(() => agent.close())
  agent.answer('ACL not found', 403)
  const fake = fakeIo({ CONSUL_HTTP_ADDR: agent.address })
  const words = ['sync', 'run', `-config=${config}`, `-token-file=${token}`, '-log-level=error']
  const code = run(words, 'gatehouse', fake.io)
  await until('it asked', () => agent.asked.length > 0)
  writeFileSync(token, 'new\n')
  await until('it shows the new one', () => agent.asked.at(-1)?.token === 'new')
  t.match(agent.asked[0], { token: 'old', url: /^\/v1\/feed\/health\/web\?strict=&heartbeat=/ })
  t.equal(read(), 'none', 'nothing is written while nothing is known')
  fake.signal('SIGTERM')
  t.equal(await code, 0)
})
