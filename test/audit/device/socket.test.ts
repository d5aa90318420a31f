/**
 * The socket device over TCP, in files and over UDP: what arrives, and what happens with a peer
 * that does not read, closes, or is not there.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { socketDevice } from '../../../src/audit/device/socket.ts'
import type { Device } from '../../../src/audit/device.ts'
import { until } from '../../clients/process.ts'
import { freshFolder } from '../../fake/folder.ts'
import { devicePorts, never, shipment } from '../support.ts'

interface Peer {
  readonly place: string
  readonly sockets: Socket[]
  text(): string
  /** Reads no more from now on. */
  stall(): void
  close(): Promise<void>
}

async function listen(t: Test, path?: string): Promise<Peer> {
  const sockets: Socket[] = []
  let text = ''
  let isStalled = false
  const server = createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    if (isStalled) return
    socket.setEncoding('utf8').on('data', (data: string) => {
      text += data
    })
  })
  server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path })
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise(resolve => server.close(resolve))
  }
  t.teardown(close)
  const place = path ?? `127.0.0.1:${(server.address() as AddressInfo).port}`
  const stall = (): void => {
    isStalled = true
    for (const socket of sockets) socket.pause()
  }
  return { place, sockets, text: () => text, stall, close }
}

function open(t: Test, address: string, type = 'tcp'): Device {
  const device = socketDevice.open({ address, socket_type: type }, devicePorts)
  t.teardown(() => device.close())
  return device
}

for (const type of ['tcp', 'unix']) {
  t.test(`${type}: lines, on one connection as long as it lasts`, async t => {
    const path = type === 'unix' ? join(freshFolder(t), 'socket') : undefined
    const peer = await listen(t, path)
    const device = open(t, peer.place, type)
    const first = shipment(3)
    await device.write(first, never())
    const second = shipment(2, first.records.at(-1))
    await device.write(second, never())
    const wanted = Buffer.concat([...first.lines, ...second.lines]).toString('utf8')
    await until('all lines', () => peer.text().length >= wanted.length)
    t.equal(peer.text(), wanted)
    t.equal(peer.sockets.length, 1)
    // The peer goes away and comes back: the next write finds out, or the one after it.
    for (const socket of peer.sockets) socket.destroy()
    await until('a new connection', async () => {
      await device.write(shipment(1), never()).catch(() => {})
      return peer.sockets.length === 2
    })
  })
}

t.test('a peer that does not read: the write ends with its deadline', async t => {
  const peer = await listen(t)
  peer.stall()
  const device = open(t, peer.place)
  const large = shipment(2_000)
  const deadline = new AbortController()
  // The buffers of both ends fill up first.
  let written = 0
  const writing = (async () => {
    for (;;) {
      await device.write(large, deadline.signal)
      written++
    }
  })()
  const reason = new Error('late')
  setTimeout(() => deadline.abort(reason), 100)
  await t.rejects(writing, /late/)
  t.ok(written < 1_000)
  const [socket] = peer.sockets
  socket!.resume()
  await until('it is let go', () => socket!.destroyed || socket!.readableEnded)
})

t.test('nobody there, or nobody of that name, is an error', async t => {
  const peer = await listen(t)
  await peer.close()
  await t.rejects(open(t, peer.place).write(shipment(1), never()), /ECONNREFUSED/)
  await t.rejects(open(t, 'nobody.test:9').write(shipment(1), never()), /no such host/)
  const path = join(freshFolder(t), 'none')
  await t.rejects(open(t, path, 'unix').write(shipment(1), never()), /ENOENT/)
})

t.test('an address that is guarded is never connected to', async t => {
  const peer = await listen(t)
  const device = socketDevice.open(
    { address: peer.place.replace('127.0.0.1', 'localhost') },
    { ...devicePorts, mayReach: () => false },
  )
  await t.rejects(device.write(shipment(1), never()), /127.0.0.1 may not be connected to/)
  t.equal(peer.sockets.length, 0)
})

t.test('udp: one datagram a record', async t => {
  const receiver = createSocket('udp4')
  const got: string[] = []
  receiver.on('message', message => void got.push(message.toString('utf8')))
  receiver.bind(0, '127.0.0.1')
  await once(receiver, 'listening')
  t.teardown(() => receiver.close())
  const device = open(t, `localhost:${receiver.address().port}`, 'udp')
  const { lines } = shipment(5)
  await device.write({ records: [], lines }, never())
  await until('all datagrams', () => got.length === 5)
  t.same(
    got,
    lines.map(line => line.toString('utf8')),
  )
})

t.test('its settings', async t => {
  const problem = (address: string, socket_type = 'tcp') =>
    socketDevice.problemOf({ address, socket_type })
  for (const address of ['a:1', '127.0.0.1:514', '[::1]:65535'])
    t.equal(problem(address), undefined)
  for (const address of ['', 'a', 'a:', ':1', 'a:0', 'a:65536', '::1:5', 'a b:1', '/path']) {
    t.match(problem(address), /must be host:port/, address)
  }
  t.equal(problem('/run/audit', 'unix'), undefined)
  t.match(problem('run/audit', 'unix'), /absolute path/)
})
