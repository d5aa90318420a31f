/** The UDP socket: answers reach who asked, buffers are not written to while they are read. */
import dgram from 'node:dgram'
import { once } from 'node:events'
import t from 'tap'
import { DatagramSocket } from '../../../src/base/io/datagram.ts'

async function echo(host: string): Promise<DatagramSocket> {
  const socket = await DatagramSocket.open({
    host,
    port: 0,
    receive: (datagram, sender) => {
      datagram.copy(socket.out)
      socket.send(datagram.length, sender)
    },
    fault: error => t.fail(error.message),
  })
  return socket
}

for (const host of ['127.0.0.1', '::1']) {
  t.test(`echo on ${host}`, async t => {
    const socket = await echo(host)
    t.equal(socket.address.host, host)
    const client = dgram.createSocket(host === '::1' ? 'udp6' : 'udp4')
    client.send('hello', socket.address.port, host)
    const [answer] = (await once(client, 'message')) as [Buffer]
    t.equal(answer.toString(), 'hello')
    client.close()
    await socket.close()
  })
}

t.test('a burst of large answers: each arrives whole or not at all', async t => {
  const client = dgram.createSocket('udp4')
  client.bind(0, '127.0.0.1')
  await once(client, 'listening')
  const server = await echo('127.0.0.1')
  const to = { address: '127.0.0.1', port: client.address().port }
  let arrived = 0
  client.on('message', answer => {
    arrived++
    t.ok(answer.equals(Buffer.alloc(answer.length, answer[0])), 'all of one burst')
  })
  for (let i = 0; i < 200; i++) {
    server.out.fill(i, 0, 60_000)
    server.send(60_000, to)
  }
  for (let tries = 0; tries < 200 && arrived === 0; tries++) {
    await new Promise(resolve => setImmediate(resolve))
  }
  t.ok(arrived > 0)
  client.close()
  await server.close()
})

t.test('a sender that cannot be answered, and a socket that is closed', async t => {
  const socket = await echo('127.0.0.1')
  t.equal(socket.send(1, { address: '127.0.0.1', port: 0 }), false)
  await socket.close()
  t.equal(socket.send(1, { address: '127.0.0.1', port: 9 }), false)
})

t.test('a busy port', async t => {
  const socket = await echo('127.0.0.1')
  const { port } = socket.address
  const again = { host: '127.0.0.1', port, receive: () => {}, fault: () => {} }
  await t.rejects(DatagramSocket.open(again), { code: 'EADDRINUSE', syscall: 'bind', port })
  await socket.close()
})
