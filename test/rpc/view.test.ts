/** Views over real sockets: what is sent arrives, a server that goes is left for another. */
import t from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { everybody } from '../../src/base/who.ts'
import { serviceInstances } from '../../src/registry/catalog.ts'
import { openServerChannel } from '../../src/rpc/channels.ts'
import { viewService, viewUpstream } from '../../src/rpc/view.ts'
import { serviceInterest } from '../../src/store/replica/kinds.ts'
import { put } from '../../src/store/store.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { type ServiceRow, services } from '../../src/store/tables/service.ts'
import { openStore, publish, replicaBy } from '../store/replica/world.ts'
import { channelWorld, clientPair, materialOf, startService } from './trial.ts'

const NOBODY = { id: '', token: '' }
const INSTANCES = 3_000

const node = (name: string) =>
  put(nodes, name, { node: name, id: '', address: '10.0.0.1', taggedAddresses: {}, meta: {} })
const service = (on: string, name: string, port: number) =>
  put(services, `${on}\0\0${name}`, {
    ...{ node: on, id: name, name, kind: '', tags: [], address: '', taggedAddresses: {}, port },
    ...{ meta: {}, ports: [], socketPath: '', weights: { passing: 1, warning: 1 } },
    ...{ enableTagOverride: false, connectNative: false, agentOwned: false },
  } satisfies ServiceRow)

t.test('a large service arrives whole, changes follow, and another server goes on', async t => {
  const store = openStore(systemClock)
  const names = Array.from({ length: INSTANCES }, (_, at) => `n${at}`)
  for (let at = 0; at < names.length; at += 500) {
    const some = names.slice(at, at + 500)
    const txn = some.flatMap(name => [node(name), service(name, 'web', 1)])
    await store.write(() => ({ txn, answer: undefined }))
  }
  const publishers = [publish(store, systemClock), publish(store, systemClock)] as const
  const first = await startService(t, viewService(publishers[0]))
  const second = await startService(t, viewService(publishers[1]), first.ca)
  const material = materialOf(first.ca, clientPair(first.ca))
  const channel = openServerChannel(
    [{ nodeId: '', address: first.address }],
    channelWorld(() => material),
  )
  const replica = replicaBy({ connect: viewUpstream(channel) }, systemClock)
  t.teardown(async () => {
    await replica.close()
    for (const publisher of publishers) publisher.close()
    channel.close()
    await store.close()
  })
  const ports = (): number[] => {
    const filter = { tags: [], meta: [] }
    const found = serviceInstances(everybody, 'web', filter).read(replica.view() as never)
    return [...found].map(({ service }) => service.row.port)
  }
  await replica.ensure([serviceInterest('web')], NOBODY, 20_000)
  t.equal(ports().length, INSTANCES)
  await store.write(() => ({ txn: [service('n7', 'web', 7)], answer: undefined }))
  await until(() => ports().includes(7))
  channel.learn([{ nodeId: '', address: second.address }])
  publishers[0].close()
  t.equal(ports().length, INSTANCES, 'what was here stays')
  await until(() => publishers[1].stats.followers === 1 && replica.isConnected)
  t.equal(publishers[1].stats.encoded, 0, 'what did not change is not sent again')
  await store.write(() => ({ txn: [service('n8', 'web', 8)], answer: undefined }))
  await until(() => ports().includes(8))
  t.equal(ports().length, INSTANCES)
})

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000; turn++) {
    if (holds()) return
    await new Promise(resolve => setImmediate(resolve))
  }
  throw new Error('it did not come')
}
