/** gRPC clients: what a failure says, and that a stream ends once. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { openRpcClient, type RpcError } from '../../../src/base/io/grpc.ts'

type Methods = {
  'etcdserverpb.Maintenance/Status': { request: object; answer: object }
  'etcdserverpb.Watch/Watch': { request: object; answer: object }
}

/** A port that takes connections and says nothing, or none at all. */
async function openSilent(t: Test): Promise<{ address: string; hangUp(): void }> {
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket.on('error', () => {}))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const hangUp = (): void => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  t.teardown(hangUp)
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, hangUp }
}

async function openClient(t: Test, address: string) {
  const client = await openRpcClient<Methods>('etcd/rpc.proto', address)
  t.teardown(() => client.close())
  return client
}

t.test('grpc: without a connection nothing was sent', async t => {
  const { address, hangUp } = await openSilent(t)
  hangUp()
  const client = await openClient(t, address)
  const call = client.call('etcdserverpb.Maintenance/Status', {}, 5_000)
  await t.rejects(call, { name: 'RpcError', code: 'UNAVAILABLE', sent: false })
})

t.test('grpc: a peer that is silent', async t => {
  const { address } = await openSilent(t)
  const client = await openClient(t, address)
  const call = client.call('etcdserverpb.Maintenance/Status', {}, 100)
  await t.rejects(call, { name: 'RpcError', code: 'DEADLINE_EXCEEDED', sent: true })
})

t.test('grpc: a stream ends once, and not at all when it was cancelled', async t => {
  const { address } = await openSilent(t)
  const client = await openClient(t, address)
  const ends: (RpcError | undefined)[] = []
  const listener = { onMessage: () => t.fail('nobody spoke'), onEnd: ends.push.bind(ends) }
  const cancelled = client.open('etcdserverpb.Watch/Watch', listener, {})
  cancelled.send({})
  cancelled.cancel()
  cancelled.send({})
  const ended = new Promise<RpcError | undefined>(resolve => {
    const timed = { onMessage: () => t.fail('nobody spoke'), onEnd: resolve }
    client.open('etcdserverpb.Watch/Watch', timed, { timeoutMs: 100 })
  })
  t.match(await ended, { code: 'DEADLINE_EXCEEDED' })
  t.same(ends, [])
})
