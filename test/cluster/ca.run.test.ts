/** The agents' CA over real sockets: who is let in, renewed, revoked, and how roots change. */
import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import t, { type Test } from 'tap'
import type { AgentsRpc } from '../../src/agent/agents-rpc.ts'
import { type Joiner, joinAny, joinAt } from '../../src/agent/join.ts'
import { Audit } from '../../src/audit/audit.run.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import type { AgentKind } from '../../src/base/rpc.ts'
import { TlsMaterial } from '../../src/base/tls.ts'
import { everybody } from '../../src/base/who.ts'
import type { AgentsCa } from '../../src/cluster/ca.run.ts'
import { parseJoinToken } from '../../src/cluster/join-token.ts'
import { nodeName, SERVER_NAME } from '../../src/cluster/names.ts'
import { openAgentChannel, openServerChannel, type ServerChannel } from '../../src/rpc/channels.ts'
import { followTrust as follow, renewLeaf as renew, type TrustNews } from '../../src/rpc/join.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { isRefusal, type Store } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { openGate, Writer } from '../../src/store/writer.ts'
import { makeRequest } from '../../src/x509/csr.ts'
import { devicePorts, SERVER, settings } from '../audit/support.ts'
import { aloneAgents } from './alone.ts'

const world = { clock: systemClock, random: systemRandom }

interface Running {
  readonly agents: AgentsRpc
  readonly store: Store
  readonly address: string
  /** Audit records, oldest first. */
  records(): Promise<string[]>
}

const PORTS = {
  log: silentLog,
  metrics: new Metrics(systemClock),
  server: SERVER,
  dataDir: undefined,
}

async function start(t: Test, refuseIssuing?: () => Refusal | undefined): Promise<Running> {
  const tables = withSystemTables(registryTables)
  const store = await openMemoryStore({ tables, ...world })
  const { journal } = store
  const audit = new Audit(settings, { ...devicePorts, ...world, ...PORTS, journal })
  const writer = new Writer(store, openGate, audit.recordOf)
  const agents = await aloneAgents({ store, writer }, silentLog, { audit, refuseIssuing })
  await agents.start()
  const { port } = await agents.listen([], '127.0.0.1', 0)
  t.teardown(async () => {
    await agents.stop()
    await store.close()
  })
  const records = async (): Promise<string[]> =>
    (await journal.read(journal.floor().sequence + 1, 1_000)).map(({ text }) => String(text))
  return { agents, store, address: `127.0.0.1:${port}`, records }
}

async function newToken({ agents }: Running, kind: AgentKind = 'client', more = {}) {
  const wish = { kind, description: '', maxUses: 0, ttlMs: 0, ...more }
  const made = await agents.ca.createToken(everybody, wish)
  if (isRefusal(made)) throw new Error(made.text)
  return { id: made.row.id, secret: made.secret }
}

function joiner(token: Joiner['token'], more: Partial<Joiner> = {}): Joiner {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const nodeId = systemRandom.uuid()
  const key = pair.privateKey
  return { kind: 'client', nodeId, name: 'node', key, publicKey: pair.publicKey, token, ...more }
}

function materialOf(joined: { chain: string; roots: readonly string[] }, key: KeyObject) {
  return new TlsMaterial({
    cert: Buffer.from(joined.chain),
    key: Buffer.from(key.export({ type: 'pkcs8', format: 'pem' })),
    ca: joined.roots.map(pem => Buffer.from(pem)),
  })
}

function channelOf(t: Test, { address }: Running, material: () => TlsMaterial): ServerChannel {
  const channel = openServerChannel([{ nodeId: '', address }], { ...world, material })
  t.teardown(() => channel.close())
  return channel
}

/** News of trust as they come, and the end. */
function following(channel: ServerChannel) {
  const news: TrustNews[] = []
  let wake = (): void => {}
  let isOver = false
  const stream = channel.open(follow, {
    onMessage: message => {
      news.push(message)
      wake()
    },
    onEnd: () => {
      isOver = true
      wake()
    },
  })
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }
  return { news, stream, until, over: () => until(() => isOver) }
}

const csrOf = (key: KeyObject, nodeId: string, names = [nodeName(nodeId)]): Buffer =>
  makeRequest({ subject: [], names: { dnsNames: names } }, key)

t.test('a client is let in, told whom to trust, and renewed', async t => {
  const running = await start(t)
  const agent = joiner(await newToken(running))
  const joined = await joinAt(running.address, agent, world)
  t.equal(joined.keys ?? undefined, undefined, 'no keys for clients')
  t.equal(joined.servers[0]?.address, running.address)
  const leaf = new X509Certificate(joined.chain)
  t.match(leaf.subjectAltName, `URI:gatehouse://${joined.clusterId}/client/${agent.nodeId}`)
  t.equal(
    leaf.validToDate.getTime() - leaf.validFromDate.getTime(),
    limits.caLeafMs + limits.caSkewMs,
  )
  const channel = channelOf(t, running, () => materialOf(joined, agent.key))
  const { news, until, stream } = following(channel)
  await until(() => news.length === 1)
  t.match(news[0], { roots: joined.roots, revoked: [] })
  stream.cancel()
  const csr = csrOf(agent.key, agent.nodeId)
  const renewed = await channel.call(renew, { nodeId: agent.nodeId, csr }, { timeoutMs: 5_000 })
  t.not(renewed.chain, joined.chain)
  const listed = await running.agents.ca.listAgents(everybody)
  const client = isRefusal(listed) ? undefined : listed.find(one => one.kind === 'client')
  t.match(client, { name: 'node', nodeId: agent.nodeId, revokedAtMs: 0 })
  t.equal(isRefusal(listed) ? 0 : listed.length, 2)
})

t.test('a server is given the keys of servers', async t => {
  const running = await start(t)
  const joined = await joinAt(
    running.address,
    joiner(await newToken(running, 'server'), { kind: 'server' }),
    world,
  )
  t.equal(joined.keys?.clusterKey.length, 32)
  t.equal(joined.keys?.registryKey.length, 32)
  t.match(JSON.parse(String(joined.keys?.roots)), [{ use: 'agents' }, { use: 'store' }])
  t.match(new X509Certificate(joined.chain).subjectAltName, `DNS:${SERVER_NAME}`)
})

t.test('tokens that let nobody in, each with its reason', async t => {
  const running = await start(t)
  const { ca } = running.agents
  const join = (token: Joiner['token'], more: Partial<Joiner> = {}) =>
    joinAt(running.address, joiner(token, more), world)
  const good = await newToken(running)
  const refused = (what: Promise<unknown>, message: RegExp) =>
    t.rejects(what, { name: 'OperatingError', message })
  await refused(join({ ...good, secret: 'x'.repeat(43) }), /secret is not the right one/)
  await refused(join({ ...good, id: systemRandom.uuid() }), /not known here/)
  await refused(join(good, { kind: 'server' }), /is for clients, not for a server/)
  const full = await newToken(running, 'client', { maxUses: 1 })
  await join(full)
  await refused(join(full), /has let in all 1/)
  const late = await newToken(running, 'client', { ttlMs: 1 })
  while (
    systemClock.wall() <
    ((await ca.readToken(everybody, late.id)) as { expiresAtMs: number }).expiresAtMs
  );
  await refused(join(late), /has expired/)
  const rotated = await newToken(running)
  const made = await ca.rotateToken(everybody, rotated.id)
  await refused(join(rotated), /secret is not the right one/)
  if (!isRefusal(made)) await join({ id: made.row.id, secret: made.secret })
  await ca.revokeToken(everybody, good.id)
  await refused(join(good), /was revoked/)
  t.same(await ca.revokeToken(everybody, good.id), true)
  await refused(join(good), /not known here/)
})

t.test('who joins twice with the same key is let in once', async t => {
  const running = await start(t)
  const token = await newToken(running, 'client', { maxUses: 1 })
  const agent = joiner(token)
  await joinAt(running.address, agent, world)
  const { ca }: { ca: AgentsCa } = running.agents
  const uses = async () => await ca.readToken(everybody, token.id)
  t.match(await uses(), { uses: 1 })
  await joinAt(running.address, agent, world)
  t.match(await uses(), { uses: 1 })
})

t.test('a node id that a living agent has is given to no other key', async t => {
  const running = await start(t)
  const token = await newToken(running)
  const first = joiner(token)
  await joinAt(running.address, first, world)
  const second = joiner(token, { nodeId: first.nodeId })
  await t.rejects(joinAt(running.address, second, world), /is taken by the agent node/)
  await running.agents.ca.revoke(everybody, first.nodeId)
  await joinAt(running.address, second, world)
  await t.rejects(joinAt(running.address, first, world), /is taken by/)
})

t.test('a stranger between both sides learns nothing and lets nobody in', async t => {
  const running = await start(t)
  const other = await start(t)
  const token = await newToken(running)
  // The other cluster does not know the token, whatever it says.
  await t.rejects(joinAt(other.address, joiner(token), world), /not known here/)
  // A proof that was made for one connection is worth nothing on another.
  const agent = joiner(token)
  await joinAt(running.address, agent, world)
  t.match(await running.agents.ca.readToken(everybody, token.id), { uses: 1 })
})

t.test('a revoked agent is refused at once, and its streams end within 10 s', async t => {
  const running = await start(t)
  const agent = joiner(await newToken(running))
  const joined = await joinAt(running.address, agent, world)
  const channel = channelOf(t, running, () => materialOf(joined, agent.key))
  const { news, until, over } = following(channel)
  await until(() => news.length === 1)
  const nodeId = agent.nodeId
  t.same(await running.agents.ca.revoke(everybody, nodeId), true)
  const call = channel.call(renew, { nodeId, csr: csrOf(agent.key, nodeId) }, { timeoutMs: 2_000 })
  await t.rejects(call, { code: 'UNAUTHENTICATED' })
  await over()
  t.ok(limits.rpcSweepIntervalMs < 10_000, 'the sweep that cuts them comes often enough')
  await t.rejects(joinAt(running.address, agent, world), /was revoked: it needs a new key/)
})

t.test('an agent whose certificate has ended renews with its key', async t => {
  const running = await start(t)
  const agent = joiner(await newToken(running))
  const joined = await joinAt(running.address, agent, world)
  const { nodeId, key } = agent
  // What it shows is none of the cluster's any more: signed by itself.
  const { selfSigned } = await import('../../src/agent/join.ts')
  const chain = selfSigned(agent, [nodeName(nodeId)], world)
  const channel = channelOf(t, running, () => materialOf({ ...joined, chain }, key))
  const csr = csrOf(key, nodeId)
  const renewed = await channel.call(renew, { nodeId, csr }, { timeoutMs: 5_000 })
  t.equal(
    createPublicKey(new X509Certificate(renewed.chain).toString()).equals(agent.publicKey),
    true,
  )
  const thief = joiner(agent.token, { nodeId })
  const stolen = selfSigned(thief, [nodeName(nodeId)], world)
  const other = channelOf(t, running, () => materialOf({ ...joined, chain: stolen }, thief.key))
  const theirs = other.call(renew, { nodeId, csr: csrOf(thief.key, nodeId) }, { timeoutMs: 5_000 })
  await t.rejects(theirs, { code: 'PERMISSION_DENIED', message: /belongs to another key/ })
  const crossed = other.call(renew, { nodeId, csr }, { timeoutMs: 5_000 })
  await t.rejects(crossed, { code: 'PERMISSION_DENIED', message: /another key/ })
})

t.test('a request that asks for more than the agent is', async t => {
  const running = await start(t)
  const agent = joiner(await newToken(running))
  const joined = await joinAt(running.address, agent, world)
  const { nodeId, key } = agent
  const channel = channelOf(t, running, () => materialOf(joined, key))
  const ask = (csr: Buffer) => channel.call(renew, { nodeId, csr }, { timeoutMs: 5_000 })
  const server = csrOf(key, nodeId, [nodeName(nodeId), SERVER_NAME])
  await t.rejects(ask(server), { code: 'PERMISSION_DENIED', message: /asks for more/ })
  await t.rejects(ask(Buffer.from('3000', 'hex')), { code: 'INVALID_ARGUMENT' })
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await t.rejects(ask(csrOf(privateKey, nodeId)), { code: 'INVALID_ARGUMENT', message: /P-256/ })
})

t.test('roots are rotated while calls go on; old leaves and old trust still meet', async t => {
  const running = await start(t)
  const agent = joiner(await newToken(running))
  const joined = await joinAt(running.address, agent, world)
  let own: { chain: string; roots: readonly string[] } = joined
  let material = materialOf(own, agent.key)
  const channel = channelOf(t, running, () => material)
  const { news, until } = following(channel)
  await until(() => news.length === 1)
  const { nodeId } = agent
  const again = async (): Promise<void> => {
    const csr = csrOf(agent.key, nodeId)
    own = await channel.call(renew, { nodeId, csr }, { timeoutMs: 5_000 })
  }
  for (let round = 2; round <= limits.caRoots; round++) {
    t.same(await running.agents.ca.rotate(everybody), true)
    await until(() => news.some(({ roots }) => roots.length === round))
    // On a new connection: who trusts the first root alone trusts what the newest signs.
    const old = channelOf(t, running, () => materialOf({ ...own, roots: joined.roots }, agent.key))
    const csr = csrOf(agent.key, nodeId)
    await old.call(renew, { nodeId, csr }, { timeoutMs: 5_000 })
    await again()
    material = materialOf(own, agent.key)
    await again()
  }
  t.match(await running.agents.ca.rotate(everybody), { status: 409 }, 'one after the other')
  const roots = await running.agents.ca.listRoots(everybody)
  t.equal(isRefusal(roots) ? 0 : roots.length, 2 * limits.caRoots)
})

t.test('a server whose clock is wrong lets nobody in; another one is asked', async t => {
  const why = "this server's clock is wrong"
  let isWrong = true
  const wrong = await start(t, () => (isWrong ? new Refusal(503, why) : undefined))
  const agent = joiner(await newToken(wrong))
  const joining = joinAt(wrong.address, agent, world)
  await t.rejects(joining, { code: 'UNAVAILABLE', message: why, sent: false })
  t.match(await wrong.agents.ca.rotate(everybody), { status: 503, text: why })
  t.match((await wrong.records()).at(-1), '"status":503')
  isWrong = false
  const joined = await joinAny(['127.0.0.1:1', wrong.address], agent, world)
  isWrong = true
  const channel = openAgentChannel({ ...world, material: () => materialOf(joined, agent.key) })
  t.teardown(() => channel.close())
  const { nodeId } = agent
  const to = { nodeId: joined.servers[0]!.nodeId, address: wrong.address }
  const renewing = channel.call(to, renew, { nodeId, csr: csrOf(agent.key, nodeId) }, 5_000)
  await t.rejects(renewing, { code: 'UNAVAILABLE', message: why })
})

t.test('who is let in, who is renewed and who is not: all of it is recorded', async t => {
  const running = await start(t)
  const { ca } = running.agents
  const token = await newToken(running)
  const last = async (): Promise<object> => JSON.parse((await running.records()).at(-1) ?? '{}')
  const agent = joiner(token)
  const { nodeId, key } = agent
  const joined = await joinAt(running.address, agent, world)
  const path = (method: string): string => `/gatehouse.agent.v1.Join/${method}/${nodeId}`
  const about = { accessor: token.id, remote: '127.0.0.1', query: { kind: 'client', node: 'node' } }
  t.match(await last(), { ...about, path: path('Enter'), outcome: 'written', status: 200 })
  const channel = channelOf(t, running, () => materialOf(joined, key))
  const csr = csrOf(key, nodeId)
  await channel.call(renew, { nodeId, csr }, { timeoutMs: 5_000 })
  t.match(await last(), { ...about, path: path('Renew'), outcome: 'written' })
  const secret = 'x'.repeat(43)
  const { length } = await running.records()
  await t.rejects(joinAt(running.address, { ...agent, token: { ...token, secret } }, world))
  await t.rejects(joinAt(running.address, joiner(token, { name: 'bad\u0000name' }), world))
  await t.rejects(joinAt(running.address, joiner(token, { kind: 'server' }), world))
  const refused = (await running.records()).slice(length).map(text => JSON.parse(text))
  t.match(refused, [
    { ...about, outcome: 'refused', status: 401, refusal: /secret is not the right one/ },
    { outcome: 'refused', status: 400, refusal: 'the node has no proper name' },
    { outcome: 'refused', status: 401, refusal: /for clients, not for a server/ },
  ])
  t.equal(refused.length, 3)
  await ca.revoke(everybody, nodeId)
  const { selfSigned } = await import('../../src/agent/join.ts')
  const own = selfSigned(agent, [nodeName(nodeId)], world)
  const outside = channelOf(t, running, () => materialOf({ ...joined, chain: own }, key))
  await t.rejects(outside.call(renew, { nodeId, csr }, { timeoutMs: 5_000 }))
  t.match(await last(), { ...about, outcome: 'refused', status: 403, refusal: /was revoked/ })
  const all = (await running.records()).join()
  for (const hidden of [token.secret, secret]) t.notOk(all.includes(hidden), 'no secret in any')
})

t.test('tokens are read strictly', async t => {
  const id = '0d6c3c1e-7c5e-4f4e-8c58-0c2a2f1d9b11'
  t.same(parseJoinToken(`${id}.${'a'.repeat(43)}`), { id, secret: 'a'.repeat(43) })
  for (const text of [
    '',
    id,
    `${id}.`,
    `${id}.short`,
    `x.${'a'.repeat(43)}`,
    `${id}.${'ä'.repeat(43)}`,
  ]) {
    t.equal(parseJoinToken(text), undefined)
  }
})
