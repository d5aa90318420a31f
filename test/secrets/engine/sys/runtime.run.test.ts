/** `sys/host-info`, `sys/metrics` and what else looks into the process. */
import tap from 'tap'
import type { Rendered } from '../../../../src/secrets/envelope.ts'
import { openSecrets, ROOT_TOKEN, type TestSecrets } from '../../harness.ts'
import { testRuntime } from '../../ports.ts'

tap.test('the machine and the requests are told of', async t => {
  const request = {
    ...{ id: 'a', startedMs: 1_700_000_000_000, remote: '127.0.0.1:1', method: 'GET' },
    path: '/v1/sys/in-flight-req',
  }
  const secrets = await openSecrets(t, {
    ports: { runtime: testRuntime({ inFlight: () => [request] }) },
  })
  t.match((await secrets.read('sys/host-info')).body.data, {
    timestamp: '2023-11-14T22:13:20.000Z',
    memory: { total: 1 },
  })
  t.strictSame((await secrets.read('sys/in-flight-req')).body.data, {
    a: {
      start_time: '2023-11-14T22:13:20.000Z',
      client_remote_address: '127.0.0.1:1',
      request_path: '/v1/sys/in-flight-req',
      request_method: 'GET',
      client_id: '',
    },
  })
})

tap.test('numbers come in both forms', async t => {
  const runtime = testRuntime()
  runtime.metrics.counter('core.test', 'A test.').add()
  const secrets = await openSecrets(t, { ports: { runtime } })
  const { body } = await secrets.read('sys/metrics')
  t.match(body, { Timestamp: String, Counters: [{ Name: 'vault.core.test', Count: 1 }] })
  const text = await secrets.read('sys/metrics', { data: { format: 'prometheus' } })
  t.match(text.text, /^vault_core_test 1$/m)
  const accepted = await secrets.read('sys/metrics', { headers: { accept: 'text/plain' } })
  t.match(accepted.text, /^vault_core_test 1$/m)
  t.equal((await secrets.read('sys/metrics', { data: { format: 'xml' } })).status, 400)
})

/** All that an answer that goes on says. */
async function partsOf(
  secrets: TestSecrets,
  path: string,
  data: Record<string, string>,
): Promise<{ type: string; text: string }> {
  const ending = new AbortController()
  const facts = { id: 'x', remote: '', wrapTtlMs: undefined, headers: {}, isList: false }
  const request = {
    operation: 'read',
    path,
    namespace: '',
    token: ROOT_TOKEN,
    data,
    facts,
  } as const
  const { parts, type } = (await secrets.secrets.handle(request)) as Rendered
  let text = ''
  for await (const part of parts!(ending.signal)) {
    text += String(part)
    ending.abort()
  }
  return { type, text }
}

tap.test('the log is followed', async t => {
  const secrets = await openSecrets(t)
  t.match(await partsOf(secrets, 'sys/monitor', {}), {
    type: 'text/plain; charset=utf-8',
    text: '[INFO]  hello\n',
  })
  const json = await partsOf(secrets, 'sys/monitor', { log_format: 'json', log_level: 'debug' })
  t.equal(json.text, '{"@message":"hello"}\n')
  t.match(await secrets.read('sys/monitor', { data: { log_level: 'loud' } }), {
    status: 400,
    text: 'unknown log level',
  })
  t.equal((await secrets.read('sys/monitor', { data: { log_format: 'xml' } })).status, 400)
})

tap.test('how much is logged is shown and set', async t => {
  const secrets = await openSecrets(t)
  t.strictSame((await secrets.read('sys/loggers')).body.data, { core: 'info' })
  t.equal((await secrets.post('sys/loggers', { level: 'debug' })).status, 204)
  t.strictSame((await secrets.read('sys/loggers/core')).body.data, { core: 'debug' })
  t.equal((await secrets.post('sys/loggers/core', { level: 'warn' })).status, 204)
  t.equal((await secrets.remove('sys/loggers')).status, 204)
  t.strictSame((await secrets.read('sys/loggers')).body.data, { core: 'info' })
  t.match(await secrets.post('sys/loggers'), { status: 400, text: 'level is required' })
  t.match(await secrets.post('sys/loggers', { level: '' }), { text: 'level is empty' })
  t.match(await secrets.post('sys/loggers', { level: 'x' }), { text: /^invalid level provided/ })
  t.match(await secrets.post('sys/loggers/none', { level: 'info' }), {
    status: 400,
    text: 'logger "none" not found',
  })
})

tap.test('profiles: the processor, and no other', async t => {
  const secrets = await openSecrets(t)
  t.equal((await secrets.read('sys/pprof')).text, 'profile\n')
  const got = await partsOf(secrets, 'sys/pprof/profile', { seconds: '1' })
  t.strictSame(got, { type: 'application/octet-stream', text: 'profile' })
  t.match(await secrets.read('sys/pprof/heap'), { status: 501, text: /^not served yet/ })
  t.equal((await secrets.read('sys/pprof/profile', { data: { seconds: '0' } })).status, 400)
  const busy = await openSecrets(t, {
    ports: {
      runtime: testRuntime({ profiler: { ...testRuntime().profiler, isRunning: true } }),
    },
  })
  t.equal((await busy.read('sys/pprof/profile')).status, 500)
})
