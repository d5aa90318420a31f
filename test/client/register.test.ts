/** A registration that is kept: renewed, made again where it was forgotten, gone with its end. */
import t from 'tap'
import { GatehouseError } from '../../src/client/errors.ts'
import { KeptRegistration, type ServiceDefinition } from '../../src/client/register.ts'
import { settled } from '../fake/clock.ts'
import { FakeServers } from './link-fake.ts'

const web: ServiceDefinition = { name: 'web', address: '10.0.0.1', port: 80, ttlMs: 9_000 }

function register(definition: Partial<ServiceDefinition> = {}) {
  const fake = new FakeServers()
  const { clock, random } = fake
  const servers = fake.to(['a:1'])
  const one = new KeptRegistration({ ...web, ...definition }, { clock, random, servers })
  return { fake, one }
}

t.test('registers on a node of its own, whose check takes all of it along', async t => {
  const { fake, one } = register({ id: 'web_1', tags: ['v1'] })
  await one.begin()
  t.match(fake.seen[0], {
    method: 'Registry/Register',
    request: {
      node: { name: 'web-1', address: '10.0.0.1' },
      skipNodeUpdate: false,
      service: { id: 'web_1', name: 'web', port: 80, tags: ['v1'] },
      checks: [
        {
          serviceId: '',
          status: 'HEALTH_STATUS_PASSING',
          definition: { ttl: { seconds: 9 }, deregisterCriticalServiceAfter: { seconds: 600 } },
        },
      ],
    },
  })
  await one.deregister()
  t.match(fake.seen.at(-1), {
    method: 'Registry/Deregister',
    request: { node: 'web-1', serviceId: '' },
  })
  t.equal(fake.clock.timers, 0)
})

t.test('on a node that others share only the service is ours', async t => {
  const { fake, one } = register({ id: 'w', node: 'host-1' })
  await one.begin()
  t.match(fake.seen[0]?.request, { skipNodeUpdate: true, checks: [{ serviceId: 'w' }] })
  await one.deregister()
  t.match(fake.seen.at(-1)?.request, { node: 'host-1', serviceId: 'w' })
})

t.test('is renewed three times within its TTL', async t => {
  const { fake, one } = register()
  await one.begin()
  await fake.clock.advance(9_000)
  t.same(fake.methods, ['Registry/Register', ...Array(3).fill('Registry/Heartbeat')])
  t.match(fake.seen[1]?.request, { status: 'HEALTH_STATUS_PASSING' })
  await one.setStatus('warning', 'slow')
  t.match(fake.seen.at(-1)?.request, { status: 'HEALTH_STATUS_WARNING', output: 'slow' })
  await fake.clock.advance(3_000)
  t.match(fake.seen.at(-1)?.request, { status: 'HEALTH_STATUS_WARNING', output: 'slow' })
  t.equal(one.status, 'warning')
})

t.test('is made again where it was forgotten', async t => {
  const { fake, one } = register()
  const told: string[] = []
  one.on('restored', () => told.push('restored'))
  one.on('problem', ({ code }) => told.push(code))
  await one.begin()
  await one.setStatus('warning')
  fake.handle = ({ method }) => {
    if (method === 'Registry/Heartbeat') throw new GatehouseError('NOT_FOUND', 'no such check')
    return {}
  }
  await fake.clock.advance(3_000)
  t.match(fake.seen.at(-1), {
    method: 'Registry/Register',
    request: { checks: [{ status: 'HEALTH_STATUS_WARNING' }] },
  })
  t.same(told, ['restored'])
})

t.test('goes on trying while no server can be reached', async t => {
  const { fake, one } = register()
  const problems: string[] = []
  one.on('problem', ({ code }) => problems.push(code))
  await one.begin()
  fake.down.add('a:1')
  await fake.clock.advance(60_000)
  t.ok(problems.length > 2)
  fake.down.clear()
  const before = fake.seen.length
  await fake.clock.advance(10_000)
  t.ok(fake.seen.length > before)
})

t.test('refusals are told at once', async t => {
  const { fake, one } = register()
  fake.handle = () => {
    throw new GatehouseError('PERMISSION_DENIED', 'no')
  }
  await t.rejects(one.begin(), { code: 'PERMISSION_DENIED' })
  t.equal(fake.clock.timers, 0)
  for (const wrong of [{ name: '' }, { address: '' }, { port: 70_000 }, { ttlMs: 5 }]) {
    t.throws(() => register(wrong), { code: 'INVALID_ARGUMENT' })
  }
})

t.test('after it was stopped nothing is renewed, and nothing can be said of it', async t => {
  const { fake, one } = register()
  await one.begin()
  fake.silent.add('a:1')
  await fake.clock.advance(3_000)
  const stopped = one.stop()
  await settled()
  await stopped
  fake.silent.clear()
  const before = fake.seen.length
  await fake.clock.advance(60_000)
  t.equal(fake.seen.length, before)
  await t.rejects(one.setStatus('passing'), { code: 'FAILED_PRECONDITION' })
})
