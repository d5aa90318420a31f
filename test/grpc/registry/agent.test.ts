/**
 * gatehouse.v1.Agent through a client: what the agent keeps registered on its node.
 */
import t from 'tap'
import { NODE, until } from '../../http/harness.ts'
import { startBoth } from './harness.ts'

const check = { checkId: 'alive', definition: { ttl: { seconds: 30 } } }

t.test('a service with a TTL check: registered, kept alive, gone', async t => {
  const { ask, call, face } = await startBoth(t)
  await ask('Agent/RegisterService', { service: { name: 'app', port: 80 }, checks: [check] })
  const own = (await face.client.get('/v1/agent/services')).json
  t.match(own, { app: { ID: 'app', Port: 80 } })
  const health = async () => (await ask('Registry/ListInstances', { service: 'app' })).instances[0]
  t.match(await health(), { node: { name: NODE }, status: 'HEALTH_STATUS_CRITICAL' })
  const said = await ask('Agent/UpdateTtl', { checkId: 'alive', output: 'fine' })
  t.match(said, { ttl: { seconds: 30 } })
  await until(async () => (await health()).status === 'HEALTH_STATUS_PASSING')
  await ask('Agent/UpdateTtl', { checkId: 'alive', status: 'HEALTH_STATUS_WARNING' })
  await until(async () => (await health()).status === 'HEALTH_STATUS_WARNING')
  t.match(await call('Registry/Heartbeat', { node: NODE, checkId: 'alive' }), {
    code: 'INVALID_ARGUMENT',
    text: 'is run by the agent of its node',
  })
  await ask('Agent/DeregisterService', { serviceId: 'app' })
  t.equal(await health(), undefined)
})

t.test('a stream says that a check is well as long as it lives', async t => {
  const { ask, open } = await startBoth(t)
  const brief = { ...check, definition: { ttl: { nanos: 90_000_000 } } }
  await ask('Agent/RegisterService', { service: { name: 'app' }, checks: [brief] })
  const status = async () =>
    (await ask('Registry/ListInstances', { service: 'app' })).instances[0].status
  const stream = await open('Agent/KeepAlive')
  stream.send({ checkId: 'alive' })
  await until(() => stream.answers.length > 6)
  t.equal(await status(), 'HEALTH_STATUS_PASSING')
  stream.call.end()
  t.equal((await stream.ended).code, 'OK')
  await until(async () => (await status()) === 'HEALTH_STATUS_CRITICAL')
})

t.test('other kinds of checks, and what is replaced', async t => {
  const { ask, face } = await startBoth(t)
  const h2 = { checkId: 'h', definition: { h2ping: 'localhost:1', interval: { seconds: 60 } } }
  await ask('Agent/RegisterService', { service: { name: 'app' }, checks: [check, h2] })
  const checks = async () => (await face.client.get('/v1/agent/checks')).json
  t.match(await checks(), { alive: { Type: 'ttl' }, h: { Type: 'h2ping', Interval: '1m0s' } })
  const replacing = { service: { name: 'app' }, checks: [check], replaceExistingChecks: true }
  await ask('Agent/RegisterService', replacing)
  t.strictSame(Object.keys(await checks()), ['alive'])
})

t.test('what is refused, in the words of HTTP', async t => {
  const { call } = await startBoth(t)
  const service = { name: 'app' }
  const bad = { ...check, failuresBeforeWarning: 2, failuresBeforeCritical: 1 }
  const cases: [string, object, string, string][] = [
    ['Agent/RegisterService', {}, 'INVALID_ARGUMENT', 'Missing service name'],
    ['Agent/RegisterService', { service: {} }, 'INVALID_ARGUMENT', 'Missing service name'],
    ['Agent/RegisterService', { service, checks: [{}] }, 'INVALID_ARGUMENT', 'Invalid check'],
    ['Agent/RegisterService', { service, checks: [bad] }, 'INVALID_ARGUMENT', 'FailuresBefore'],
    ['Agent/DeregisterService', { serviceId: 'x' }, 'NOT_FOUND', 'Unknown service ID "x"'],
    ['Agent/UpdateTtl', { checkId: 'x' }, 'NOT_FOUND', 'x'],
  ]
  for (const [name, request, code, text] of cases) {
    const ended = await call(name, request)
    t.equal(ended.code, code, `${name}: ${ended.text}`)
    t.match(ended.text, text)
  }
})
