/** Three servers on the user's own etcd: every one serves, and losing one loses nothing. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { until } from '../clients/process.ts'
import { type ClusterServer, startCluster } from './cluster.ts'
import { noFaults, pause } from './faults.ts'
import { createNetwork } from './network.ts'

const ROUNDS = 30

t.test('a cluster on three machines', { skip: noFaults }, async t => {
  const network = createNetwork(t, 3)
  const servers = await startCluster(t, network, () => ({ external: true }))
  const [one, two, three] = servers as [ClusterServer, ClusterServer, ClusterServer]

  const put = async (server: ClusterServer, key: string, value: string): Promise<void> => {
    const { status, text } = await server.ask('PUT', `/v1/kv/${key}`, value)
    if (status !== 200 || text !== 'true') throw new Error(`${status} ${text}`)
  }
  const get = async (server: ClusterServer, key: string): Promise<string> =>
    (await server.ask('GET', `/v1/kv/${key}?raw`)).text

  await t.test('each shows at once what another acknowledged', async t => {
    for (let round = 0; round < ROUNDS; round++) {
      await put(servers[round % 3]!, 'hop', String(round))
      t.equal(await get(servers[(round + 1) % 3]!, 'hop'), String(round))
    }
  })

  await t.test('one machine loses power: the others go on, and it catches up', async t => {
    await put(one, 'power', 'before')
    await one.kill()
    await until('a write is taken', () => put(two, 'power', 'after').then(() => true))
    t.equal(await get(three, 'power'), 'after')
    one.start()
    await one.ready()
    t.equal(await get(one, 'power'), 'after')
  })

  await t.test('a server apart refuses writes and serves stale reads', async t => {
    await put(one, 'apart', 'before')
    await until('the other has it', async () => (await get(three, 'apart')) === 'before')
    network.part([three.machine], [one.machine, two.machine])
    await until('the majority writes', () => put(one, 'apart', 'after').then(() => true))
    const refused = await three.ask('PUT', '/v1/kv/apart', 'lost')
    t.equal(refused.status, 500, refused.text)
    t.equal((await three.ask('GET', '/v1/kv/apart?raw')).status, 500, 'no default read either')
    t.equal((await three.ask('GET', '/v1/kv/apart?raw&stale')).text, 'before')
    network.heal()
    await until('it is back', async () => (await get(three, 'apart')) === 'after')
    t.equal(await get(one, 'apart'), 'after', 'what was refused was not applied')
  })

  await t.test('a server that stood still knows that it did', async t => {
    await put(two, 'still', 'before')
    const paused = pause(two.pids)
    await until('the others go on', () => put(one, 'still', 'after').then(() => true))
    await sleep(2_000)
    paused.resume()
    t.equal(await get(two, 'still'), 'after', 'its first answer is not the old one')
  })
})
