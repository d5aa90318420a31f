/** Secrets: leases renewed, read anew when they cannot be, changes told. */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { GatehouseError } from '../../src/client/errors.ts'
import { KeptSecret } from '../../src/client/secret.ts'
import { FakeServers } from './link-fake.ts'

interface Given {
  readonly data: object
  readonly id?: string
  readonly renewable?: boolean
  readonly durationSeconds?: number
}

const answer = ({ data, id = 'l1', renewable = true, durationSeconds = 100 }: Given) => ({
  data: Buffer.from(JSON.stringify(data)),
  lease: { id, renewable, durationSeconds },
})

function open(refreshMs?: number) {
  const fake = new FakeServers()
  const { clock, random } = fake
  const world = { clock, random, servers: fake.to(['a:1']), namespace: 'ns' }
  const options = refreshMs === undefined ? {} : { refreshMs }
  const secret = new KeptSecret('database/creds/app', options, world)
  const told: unknown[] = []
  secret.on('change', data => told.push(data))
  secret.on('problem', ({ code }) => told.push(code))
  return { fake, secret, told }
}

t.test('a lease is renewed before it ends, and its secret stays', async t => {
  const { fake, secret, told } = open()
  fake.handle = () => answer({ data: { user: 'u1' } })
  await secret.begin()
  t.same(secret.data, { user: 'u1' })
  t.equal(secret.expiresMs, fake.clock.wall() + 100_000)
  await fake.clock.advance(60_000)
  t.equal(fake.seen.length, 1)
  await fake.clock.advance(15_000)
  t.match(fake.seen[1], {
    method: 'Secrets/RenewLease',
    request: { leaseId: 'l1', namespace: 'ns' },
  })
  await fake.clock.advance(1_000_000)
  t.equal(fake.methods.filter(one => one === 'Secrets/Read').length, 1)
  t.same(told, [])
})

t.test('what cannot be renewed any more is read anew', async t => {
  const { fake, secret, told } = open()
  let reads = 0
  fake.handle = ({ method }) => {
    if (method === 'Secrets/RenewLease') throw new GatehouseError('INVALID_ARGUMENT', 'no lease')
    return answer({ data: { user: `u${++reads}` }, id: `l${reads}` })
  }
  await secret.begin()
  await fake.clock.advance(70_000)
  t.same(told, [{ user: 'u2' }])
  t.same(secret.data, { user: 'u2' })
})

t.test('at the end of its longest life a renewal gives too little: it is read anew', async t => {
  const { fake, secret, told } = open()
  let reads = 0
  fake.handle = ({ method }) =>
    method === 'Secrets/Read'
      ? answer({ data: { user: `u${++reads}` } })
      : answer({ data: {}, durationSeconds: 1 })
  await secret.begin()
  await fake.clock.advance(70_000)
  t.same(told, [{ user: 'u2' }])
})

t.test('a secret without a lease is looked at again and again', async t => {
  const { fake, secret, told } = open(1_000)
  let version = 1
  fake.handle = () => answer({ data: { version }, id: '', renewable: false })
  await secret.begin()
  t.equal(secret.expiresMs, undefined)
  await fake.clock.advance(3_000)
  t.same(told, [])
  version = 2
  await fake.clock.advance(1_000)
  t.same(told, [{ version: 2 }])
})

t.test('what is held stays while no server can be reached, and the trouble is told', async t => {
  const { fake, secret, told } = open(1_000)
  fake.handle = () => answer({ data: { v: 1 }, id: '' })
  await secret.begin()
  fake.down.add('a:1')
  await fake.clock.advance(30_000)
  t.ok(told.includes('UNAVAILABLE'))
  t.equal(secret.problem?.code, 'UNAVAILABLE')
  t.same(secret.data, { v: 1 })
  fake.down.clear()
  await fake.clock.advance(limits.clientRenewRetryMs + limits.clientRetryMaxMs)
  t.equal(secret.problem, undefined)
})

t.test('a refusal at the first read is told, and a closed secret is asked for no more', async t => {
  const refused = open()
  refused.fake.handle = () => {
    throw new GatehouseError('PERMISSION_DENIED', 'no')
  }
  await t.rejects(refused.secret.begin(), { code: 'PERMISSION_DENIED' })
  const { fake, secret } = open()
  fake.handle = () => answer({ data: {} })
  await secret.begin()
  await secret.close({ revoke: true })
  t.match(fake.seen.at(-1), { method: 'Secrets/RevokeLease', request: { leaseId: 'l1' } })
  t.equal(fake.clock.timers, 0)
})
