/** One message to a server and back, over both transports: who answers, who does not. */
import dgram from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import { systemClock } from '../../../src/base/clock.ts'
import { exchangeOverTcp, exchangeOverUdp } from '../../../src/base/io/dns-exchange.ts'

const QUERY = Buffer.from('a question')
const options = (port: number, timeoutMs = 5_000) => ({
  host: '127.0.0.1',
  port,
  timeoutMs,
  clock: systemClock,
})

async function udpServer(t: Test, answers: readonly string[]): Promise<number> {
  const socket = dgram.createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  socket.on('message', (_, from) => {
    for (const answer of answers) socket.send(answer, from.port, from.address)
  })
  t.teardown(() => socket.close())
  return socket.address().port
}

async function tcpServer(t: Test, serve: (socket: Socket) => void): Promise<number> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('UDP: the first datagram that is the answer', async t => {
  const port = await udpServer(t, ['forged', 'the answer', 'another'])
  const isAnswer = (datagram: Buffer): boolean => datagram.toString() === 'the answer'
  const answer = await exchangeOverUdp(QUERY, { ...options(port), isAnswer })
  t.equal(answer.toString(), 'the answer')
})

const hasIPv6 = Object.values(networkInterfaces())
  .flat()
  .some(one => one?.address === '::1')

t.test('over IPv6', { skip: !hasIPv6 && 'no ::1 here' }, async t => {
  const udp = dgram.createSocket('udp6')
  udp.bind(0, '::1')
  await once(udp, 'listening')
  udp.on('message', (_, from) => udp.send('by UDP', from.port, from.address))
  const tcp = createServer(socket => socket.end('\0\x06by TCP')).listen(0, '::1')
  await once(tcp, 'listening')
  t.teardown(() => {
    udp.close()
    tcp.close()
  })
  const at = (port: number) => ({ ...options(port), host: '::1' })
  const isAnswer = (): boolean => true
  const overUdp = await exchangeOverUdp(QUERY, { ...at(udp.address().port), isAnswer })
  t.equal(overUdp.toString(), 'by UDP')
  const { port } = tcp.address() as AddressInfo
  t.equal((await exchangeOverTcp(QUERY, at(port))).toString(), 'by TCP')
})

t.test('UDP: silence ends with the time, a closed port at once', async t => {
  const port = await udpServer(t, ['forged'])
  const isAnswer = (): boolean => false
  const silent = exchangeOverUdp(QUERY, { ...options(port, 50), isAnswer })
  await t.rejects(silent, { message: 'no answer in time' })
  const closed = dgram.createSocket('udp4')
  closed.bind(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port: nobody } = closed.address()
  await new Promise<void>(resolve => closed.close(() => resolve()))
  const refused = exchangeOverUdp(QUERY, { ...options(nobody), isAnswer })
  await t.rejects(refused, { code: 'ECONNREFUSED' })
})

t.test('TCP: an answer in crumbs, none, half of one, nobody', async t => {
  const crumbs = await tcpServer(t, socket => {
    socket.on('data', () => {
      for (const byte of Buffer.from('\0\x03abc')) socket.write(Buffer.from([byte]))
    })
  })
  t.equal((await exchangeOverTcp(QUERY, options(crumbs))).toString(), 'abc')
  const half = await tcpServer(t, socket => socket.end('\0\x05ab'))
  await t.rejects(exchangeOverTcp(QUERY, options(half)), { message: 'the connection was closed' })
  const open: Socket[] = []
  const silent = await tcpServer(t, socket => open.push(socket))
  const waiting = exchangeOverTcp(QUERY, options(silent, 50))
  await t.rejects(waiting, { message: 'no answer in time' })
  for (const socket of open) socket.destroy()
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  await t.rejects(exchangeOverTcp(QUERY, options(port)), { code: 'ECONNREFUSED' })
})
