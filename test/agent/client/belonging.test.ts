/**
 * How the agent of a node stays in its cluster: a certificate that ended while it was off, another
 * agent's identity that was stolen and revoked, roots that change under load.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readClusterKey, readMembership } from '../../../src/agent/membership.ts'
import { wallMs } from '../../../src/base/brand.ts'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { limits } from '../../../src/base/limits.ts'
import { TlsMaterial } from '../../../src/base/tls.ts'
import { RootKeys } from '../../../src/cluster/root-keys.ts'
import { openAgentChannel } from '../../../src/rpc/channels.ts'
import { probe } from '../../../src/rpc/live.ts'
import { until } from '../../http/harness.ts'
import { clientHcl, type Started, serverHcl, start, tokenOf } from './joined.ts'

const world = { clock: systemClock, random: systemRandom }

const nodeIdOf = async (agent: Started): Promise<string> =>
  JSON.parse((await agent.ask('GET', '/v1/agent/self')).text).Config.NodeID

/** What somebody can do who has copied the files of an agent: asks one who is there. */
async function thief(t: Test, dataDir: string) {
  const state = (await readMembership(dataDir))!
  const material = new TlsMaterial({
    cert: Buffer.from(state.leaves.agents),
    key: readFileSync(join(dataDir, 'node-key.pem')),
    ca: state.trust.agents.map(pem => Buffer.from(pem)),
  })
  const channel = openAgentChannel({ ...world, material: () => material })
  t.teardown(() => channel.close())
  return async (agent: Started): Promise<string> => {
    const to = { nodeId: await nodeIdOf(agent), address: `127.0.0.1:${agent.port('rpc')}` }
    const asked = channel.call(to, probe, { isSilent: true }, 2_000)
    return asked.then(
      () => 'answered',
      (error: { code: string }) => error.code,
    )
  }
}

t.test('a stolen identity is refused by servers and agents once it is revoked', async t => {
  const folder = t.testdir()
  const server = await start(t, serverHcl(folder))
  const edge = await start(t, clientHcl(folder, server, await tokenOf(server)))
  const victim = await start(t, clientHcl(folder, server, await tokenOf(server), 'victim'))
  const nodeId = await nodeIdOf(victim)
  await victim.agent.stop()
  const ask = await thief(t, join(folder, 'victim'))
  const others = [server, edge]
  for (const agent of others) t.equal(await ask(agent), 'answered', 'near miss')
  t.equal((await server.ask('PUT', `/v1/operator/ca/revoke/${nodeId}`)).status, 200)
  const endMs = systemClock.monotonic() + REFUSED_WITHIN_MS
  for (const agent of others) {
    // On the connection that is open already.
    await until(async () => (await ask(agent)) !== 'answered' || systemClock.monotonic() > endMs)
    t.not(await ask(agent), 'answered')
  }
  const again = await thief(t, join(folder, 'victim'))
  for (const agent of others) t.not(await again(agent), 'answered', 'on a new one')
  await server.agent.stop()
  await edge.agent.stop()
  const alone = await start(t, clientHcl(folder, server, ''))
  t.not(await again(alone), 'answered', 'also where no server is there to say so')
})

/** What is promised (docs/security.md). */
const REFUSED_WITHIN_MS = 10_000

t.test('an agent that was off until its certificate had ended starts again', async t => {
  const folder = t.testdir()
  const server = await start(t, serverHcl(folder))
  const edge = await start(t, clientHcl(folder, server, await tokenOf(server)))
  await edge.agent.stop()
  const path = join(folder, 'edge', 'cluster.json')
  const state = (await readMembership(join(folder, 'edge')))!
  const rows = (await readMembership(join(folder, 'srv')))!.roots
  const keys = new RootKeys((await readClusterKey(join(folder, 'srv')))!, rows)
  const { clusterId, nodeId } = state
  const subject = {
    clusterId,
    nodeId,
    kind: 'client',
    hosts: { addresses: [], names: [] },
  } as const
  const key = createPrivateKey(readFileSync(join(folder, 'edge', 'node-key.pem')))
  const now = wallMs(systemClock.wall() - limits.caLeafMs - 60_000)
  const { chain, expiresAtMs } = keys.issue('agents', subject, createPublicKey(key), {
    now,
    random: systemRandom,
  })
  t.ok(expiresAtMs < systemClock.wall())
  writeFileSync(path, JSON.stringify({ ...state, leaves: { agents: chain } }))
  const again = await start(t, clientHcl(folder, server, ''))
  await until(async () => (await again.ask('PUT', '/v1/kv/a', 'x')).text === 'true')
  const leafOf = async (): Promise<string> =>
    (await readMembership(join(folder, 'edge')))!.leaves.agents
  await until(async () => (await leafOf()) !== chain)
  const renewed = await leafOf()
  await again.agent.stop()
  await server.agent.stop()
  t.not(renewed, chain)
})

t.test('roots change while requests go through an agent', async t => {
  const folder = t.testdir()
  const server = await start(t, serverHcl(folder))
  const edge = await start(t, clientHcl(folder, server, await tokenOf(server)))
  await until(async () => (await edge.ask('PUT', '/v1/kv/a', 'x')).text === 'true')
  const failed: string[] = []
  let done = 0
  let isOver = false
  const load = async (at: number): Promise<void> => {
    for (let i = 0; !isOver; i++) {
      const { status, text } = await edge.ask('PUT', `/v1/kv/load/${at}`, String(i))
      if (text === 'true') done++
      else failed.push(`${status} ${text}`)
    }
  }
  const loads = [0, 1, 2].map(load)
  const trusted = async (): Promise<number> =>
    (await readMembership(join(folder, 'edge')))!.trust.agents.length
  const before = done
  t.equal((await server.ask('PUT', '/v1/operator/ca/rotate')).text, 'true')
  await until(async () => (await trusted()) === 2)
  const after = done
  await until(() => done > after + 20)
  isOver = true
  await Promise.all(loads)
  t.strictSame(failed, [])
  t.ok(done > before)
  const late = await start(t, clientHcl(folder, server, await tokenOf(server), 'late'))
  await until(async () => (await late.ask('GET', '/v1/kv/a')).status === 200)
})
