/** Whose a token is on an agent without rows of access control, with servers and without. */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import {
  type Access,
  access,
  capabilities,
  everybody,
  resources,
  type Who,
} from '../../src/base/who.ts'
import { TokenAuthority } from '../../src/identity/authority.run.ts'
import { updatePolicy } from '../../src/identity/policy.ts'
import { ResolvedAuthority, type ResolvedSettings } from '../../src/identity/resolved.run.ts'
import { principalKind, resolvedPrincipals } from '../../src/identity/resolved.ts'
import { deleteToken } from '../../src/identity/token.ts'
import { serviceHealth } from '../../src/registry/health.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { replicaTables } from '../../src/store/replica/engine.ts'
import { catalogInterests, serviceInterest } from '../../src/store/replica/kinds.ts'
import { put } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { services } from '../../src/store/tables/service.ts'
import { until } from '../http/harness.ts'
import { propertyRuns } from '../run/budget.ts'
import { DirectWay, publish, replicaBy } from '../store/replica/world.ts'
import { OtherHalf } from './other-half.ts'
import { key, openWorld, settings, type World } from './support.ts'

const TTL_MS = 30_000
const recoverer: Who = { accessor: 'agent-recovery', rights: 'recovery', may: () => true }

async function openAgent(t: Test, more: Partial<ResolvedSettings> = {}, own = 'agent') {
  const world = await openWorld(t)
  const { store, clock } = world
  const timeouts = new Timeouts(clock)
  const others = new OtherHalf()
  const server = new TokenAuthority({
    ...{ store, key, clock, settings, timeouts },
    defaultToken: () => 'root',
    recovery: () => undefined,
    others: () => others,
  })
  const kinds = [...catalogInterests, principalKind(settings)]
  const publisher = publish(store, clock, server, kinds)
  const way = new DirectWay(publisher)
  const replica = replicaBy(way, clock, {
    kinds,
    ownToken: () => own,
    tables: [...withSystemTables(registryTables), ...replicaTables, resolvedPrincipals],
  })
  const authority = new ResolvedAuthority({
    ...{ replica, clock, timeouts, random: systemRandom },
    settings: {
      ...{ defaultPolicy: 'deny', keyListPolicy: false, downPolicy: 'extend-cache' },
      tokenTtlMs: TTL_MS,
      ...more,
    },
    defaultToken: () => '',
    recovery: () => ({ token: 'recovery', principal: recoverer }),
  })
  t.teardown(async () => {
    await replica.close()
    publisher.close()
  })
  return { ...world, world, server, publisher, way, replica, authority, others }
}

type Agent = Awaited<ReturnType<typeof openAgent>>

/** Whom a token stands for once servers were asked. */
async function known({ authority }: Agent, token: string): Promise<Who | Refusal> {
  await authority.ready(token)
  return authority.authenticate(token)
}

const textOf = (who: Who | Refusal): string =>
  who instanceof Refusal ? `${who.status} ${who.text}` : who.accessor

const READ_X = access('read', 'key', 'x')

t.test('tokens, the recovery one, none, and those that nobody has', async t => {
  const agent = await openAgent(t)
  await agent.token('a', 'key "x" { policy = "read" }')
  t.equal(textOf(await known(agent, 'a')), 'a')
  t.equal(agent.authority.ready('a'), undefined, 'it is known now')
  t.equal(await known(agent, 'a'), await known(agent, 'a'), 'worked out once')
  t.equal(textOf(await known(agent, 'b')), '403 ACL not found')
  t.equal(await known(agent, 'recovery'), recoverer)
  const nobody = await known(agent, '')
  t.equal(textOf(nobody), '00000000-0000-0000-0000-000000000002', "never the server's own default")
})

t.test('tokens of the secrets: told of, and while sealed neither there nor not there', async t => {
  const agent = await openAgent(t)
  const { others, clock, authority } = agent
  const answer = (token: string) => textOf(authority.authenticate(token))
  const looked = () => clock.advance(limits.viewRefusedLookMs + 100)
  others.said.set('ann', { accessor: 'a of ann' })
  t.equal(textOf(await known(agent, 'ann')), 'a of ann')
  others.seal()
  await until(() => answer('ann') === '503 Vault is sealed')
  t.equal(textOf(await known(agent, 'bob')), '503 Vault is sealed', 'it may be one')
  await looked()
  t.equal(answer('ann'), '503 Vault is sealed')
  others.seal(false)
  await looked()
  await until(() => answer('ann') === 'a of ann')
  await until(() => answer('bob') === '403 ACL not found')
})

t.test('what is told of a principal decides as the principal does', async t => {
  const agent = await openAgent(t)
  const wanted = fc.record({
    capability: fc.constantFrom(...capabilities),
    resource: fc.constantFrom(...resources),
    name: fc.constantFrom('', 'a', 'ab', 'b'),
  })
  const rule = fc.record({
    kind: fc.constantFrom('key', 'service', 'node', 'event', 'session', 'query', 'agent'),
    prefix: fc.boolean(),
    name: fc.constantFrom('', 'a', 'ab'),
    policy: fc.constantFrom('read', 'write', 'deny'),
  })
  const rules = fc.array(rule, { maxLength: 5 })
  let serial = 0
  await fc.assert(
    fc.asyncProperty(rules, fc.array(wanted, { minLength: 5 }), async (list, asked) => {
      const name = `p${serial++}`
      const text = list.map(
        ({ kind, prefix, name, policy }) =>
          `${kind}${prefix ? '_prefix' : ''} "${name}" { policy = "${policy}" }`,
      )
      await agent.token(name, text.join('\n'))
      const [here, there] = [await known(agent, name), agent.server.authenticate(name)]
      if (here instanceof Refusal || there instanceof Refusal) throw new Error('it is known')
      t.equal(here.rights, there.rights)
      for (const one of asked) t.equal(here.may(one as Access), there.may(one as Access))
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('a revocation, and other rights, are told at once to whoever waits', async t => {
  const agent = await openAgent(t)
  await agent.token('a', 'key "x" { policy = "read" }')
  const before = await known(agent, 'a')
  if (before instanceof Refusal) throw new Error(before.text)
  const told: string[] = []
  agent.authority.watch(before, () => told.push('changed'))
  const policy = { name: 'a', rules: '', description: '', datacenters: [] }
  await agent.run(view => updatePolicy(view, everybody, 'a', policy))
  await agent.clock.advance(0)
  t.same(told, ['changed'])
  const after = agent.authority.authenticate('a')
  t.ok(!(after instanceof Refusal) && !after.may(READ_X))
  if (!(after instanceof Refusal)) agent.authority.watch(after, () => told.push('gone'))
  await agent.run(view => deleteToken(view, everybody, 'a'))
  await agent.clock.advance(0)
  t.same(told, ['changed', 'gone'])
  t.equal(textOf(agent.authority.authenticate('a')), '403 ACL not found')
})

t.test('the time of a token ends it without a server', async t => {
  const agent = await openAgent(t)
  await agent.token('a', 'key "x" { policy = "read" }', { ttlMs: 60_000 })
  const who = await known(agent, 'a')
  const told: string[] = []
  if (!(who instanceof Refusal)) agent.authority.watch(who, () => told.push('over'))
  agent.way.cut()
  await agent.clock.advance(59_000)
  t.equal(textOf(agent.authority.authenticate('a')), 'a')
  await agent.clock.advance(2_000)
  t.equal(textOf(agent.authority.authenticate('a')), '403 ACL not found')
  t.same(told, ['over'])
})

/** By down_policy: who was known and who was not, once no server was heard for longer. */
const whileDown: Readonly<Record<string, { known: boolean; unknown: boolean }>> = {
  allow: { known: true, unknown: true },
  deny: { known: false, unknown: false },
  'extend-cache': { known: true, unknown: false },
  'async-cache': { known: true, unknown: false },
}

for (const [downPolicy, allowed] of Object.entries(whileDown)) {
  t.test(`while no server is there: down_policy = ${downPolicy}`, async t => {
    const agent = await openAgent(t, { downPolicy })
    await agent.token('a', 'key "x" { policy = "read" }')
    await agent.token('other', 'key "x" { policy = "read" }')
    const who = await known(agent, 'a')
    const told: string[] = []
    if (!(who instanceof Refusal)) agent.authority.watch(who, () => told.push('changed'))
    agent.way.cut()
    await agent.clock.advance(TTL_MS - 5_000)
    t.equal(agent.authority.authenticate('a'), who, 'what was said holds for a while')
    const other = await known(agent, 'other')
    t.equal(!(other instanceof Refusal) && other.may(READ_X), allowed.unknown)
    await agent.clock.advance(10_000)
    const late = agent.authority.authenticate('a')
    t.equal(!(late instanceof Refusal) && late.may(READ_X), allowed.known)
    const isOther = late instanceof Refusal || late.rights !== (who as Who).rights
    t.equal(told.length, isOther ? 1 : 0, 'who waits is told')
  })
}

t.test('a stranger may have a token: while no server is there he is not denied', async t => {
  const agent = await openAgent(t)
  agent.way.cut()
  await agent.clock.advance(10)
  t.equal(textOf(await known(agent, 'stranger')), '500 No cluster leader')
})

const rows = async ({ store }: World): Promise<void> => {
  const node = (name: string) => ({ node: name, id: '', address: '10.0.0.1', taggedAddresses: {} })
  const service = (on: string, id: string) => ({
    ...{ node: on, id, name: 'web', kind: '', tags: [], address: '', taggedAddresses: {} },
    ...{ meta: {}, port: 80, ports: [], socketPath: '', weights: { passing: 1, warning: 1 } },
    ...{ enableTagOverride: false, connectNative: false, agentOwned: false },
  })
  await store.write(() => ({
    txn: [
      put(nodes, 'n1', { ...node('n1'), meta: {} }),
      put(nodes, 'n2', { ...node('n2'), meta: {} }),
      put(services, 'n1\0\0a', service('n1', 'a')),
      put(services, 'n2\0\0b', service('n2', 'b')),
    ],
    answer: undefined,
  }))
}

t.test('what the agent may not see is kept for those who may, in their own name', async t => {
  const agent = await openAgent(t)
  await agent.token('agent', 'node "n1" { policy = "write" } service_prefix "" { policy = "read" }')
  await agent.token(
    'wide',
    'node_prefix "" { policy = "read" } service_prefix "" { policy = "read" }',
  )
  await agent.token('second', 'node "n2" { policy = "read" } service "web" { policy = "read" }')
  await agent.token('none', '')
  await rows(agent)
  const seenBy = async (token: string): Promise<string[]> => {
    const who = await known(agent, token)
    if (who instanceof Refusal) throw new Error(who.text)
    const { authority, replica } = agent
    await replica.ensure([serviceInterest('web')], authority.followsOf(token))
    const filter = { tags: [], meta: [], passing: false }
    const found = serviceHealth(who, 'web', filter).read(replica.view() as never)
    return [...found].map(({ service }) => service.row.id)
  }
  t.same(await seenBy('agent'), ['a'])
  t.same(await seenBy('none'), [])
  t.same(await seenBy('second'), ['b'])
  t.same(await seenBy('wide'), ['a', 'b'])
  t.same(await seenBy('agent'), ['a'], 'and to the agent no more than before')
  agent.way.cut()
  for (const [token, seen] of [
    ['agent', ['a']],
    ['second', ['b']],
    ['wide', ['a', 'b']],
    ['none', []],
  ] as const) {
    t.same(await seenBy(token), seen, `${token}, while no server is there`)
  }
  await t.rejects(seenByOf(agent, 'late'), 'what nobody asked for before cannot be told')
})

async function seenByOf({ replica, authority }: Agent, token: string): Promise<void> {
  await replica.ensure([serviceInterest('db')], authority.followsOf(token))
}
