/** Certificates that are renewed, and roots that are replaced, while members run. */
import { connect } from 'node:tls'
import t from 'tap'
import { connectMember } from '../../../../src/store/etcd/cluster.ts'
import { put } from '../../../../src/store/store.ts'
import { until } from '../../../clients/process.ts'
import { things } from '../../../conformance/store.ts'
import { absent } from '../../../run/clients.ts'
import { accessOf, Root } from './pki.ts'
import { openServers, type TestServer } from './servers.ts'

const real = { skip: absent('etcd') }
t.setTimeout(100_000)

t.test('rotation: etcd shows a renewed certificate at the next handshake', real, async t => {
  const root = new Root()
  const [server] = await openServers(t, 1, { root })
  await server!.start()
  const before = await shown(server!)
  const renewed = root.leaf()
  server!.identity.renew(renewed)
  await until('the new one is shown', async () => (await shown(server!)) !== before)
  t.equal(server!.member.restarts, 0, 'without a restart')
  t.equal(server!.member.wantsRestart, false)
})

t.test('rotation: etcd takes new roots when it is started anew', real, async t => {
  const [old, next] = [new Root(), new Root()]
  const [server] = await openServers(t, 1, { root: old })
  await server!.start()
  server!.identity.renew(old.leaf(next))
  await until('it is known', () => server!.member.wantsRestart)
  const stranger = next.leaf(old)
  const ask = async (): Promise<void> => {
    const operator = await connectMember(server!.address.clientUrl, accessOf(stranger))
    try {
      await operator.status(1_000)
    } finally {
      operator.close()
    }
  }
  await t.rejects(ask(), 'the running process knows the old root alone')
  await server!.member.restart()
  await until('the new root is trusted', () => ask().then(() => true))
  t.equal(server!.member.wantsRestart, false)
})

t.test('rotation: leaves and roots under load, one member at a time', real, async t => {
  const [old, next] = [new Root(), new Root()]
  const servers = await openServers(t, 3, { root: old })
  await Promise.all(servers.map(one => one.start()))
  for (const server of servers) await server.serve()
  const [first] = servers as [TestServer]
  const { store } = first
  await until('all are there', () => first.care.members.every(({ isHealthy }) => isHealthy))
  let isOver = false
  let written = 0
  const faults: unknown[] = []
  const load = (async () => {
    while (!isOver) {
      const row = { group: 'g', tags: [], size: ++written }
      // What was not acknowledged may be tried again, as clients do.
      await store
        .write(() => ({ txn: [put(things, `key-${row.size}`, row)], answer: 0 }))
        .catch(error => void faults.push(error))
    }
  })()
  for (const server of servers) server.identity.renew(old.leaf())
  for (const server of servers) server.identity.renew(old.leaf(next))
  const startsOf = ({ lines }: TestServer): number =>
    lines.filter(line => line.startsWith('etcd started')).length
  await until('all were started anew', () => servers.every(one => startsOf(one) === 2))
  await until('all are well', () => first.care.members.every(({ isHealthy }) => isHealthy))
  for (const server of servers) server.identity.renew(next.leaf(old))
  const reached = written
  await until('writes go on', () => written > reached + 20)
  isOver = true
  await load
  t.ok(faults.length < written / 10, `${faults.length} of ${written} failed`)
  await store.readIndex()
  t.equal(store.view().get(things, `key-${written}`)?.row.size, written)
})

function shown({ address, identity }: TestServer): Promise<string> {
  const { port } = new URL(address.clientUrl)
  const { cert, key, roots } = identity.pems()
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: Number(port), cert, key, ca: roots }
    const socket = connect(options, () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    })
    socket.once('error', reject)
  })
}
