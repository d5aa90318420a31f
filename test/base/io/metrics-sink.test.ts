/**
 * Sending metrics: whole lines in datagrams and in a stream, and collectors that are not there.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t from 'tap'
import { datagramsOf, tcpSink, udpSink } from '../../../src/base/io/metrics-sink.ts'
import { silentLog } from '../../../src/base/log.ts'
import { until } from '../../clients/process.ts'

function ports() {
  const logged: string[] = []
  const note = (message: string): void => void logged.push(message)
  const log = { ...silentLog, warn: note, info: note }
  const addressesOf = async (name: string): Promise<readonly string[]> => {
    if (name === 'nowhere') throw new Error('no such host')
    return ['127.0.0.1']
  }
  return { logged, log, addressesOf }
}

t.test('lines stay whole, and fill datagrams', async t => {
  const lines = Array.from({ length: 300 }, (_, i) => `consul.some.metric.${i}:1|c`)
  const datagrams = datagramsOf(lines)
  t.ok(datagrams.every(one => one.length <= 1_400 && one.endsWith('\n')))
  t.ok(datagrams.length < 8)
  t.same(datagrams.join('').trim().split('\n'), lines)
  t.same(datagramsOf([]), [])
})

t.test('over UDP, by name', async t => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  const got: string[] = []
  socket.on('message', message => got.push(message.toString()))
  const { port } = socket.address()
  const given = ports()
  const sink = udpSink({ host: 'collector', port }, given)
  await sink.send(['a:1|c', 'b:2|g'])
  await until('it came', () => got.length > 0)
  t.same(got, ['a:1|c\nb:2|g\n'])
  t.same(given.logged, [])
  sink.close()
})

t.test('a name that is not known is told once, and so is its end', async t => {
  const given = ports()
  let name = 'nowhere'
  const addressesOf = () => given.addressesOf(name)
  const sink = udpSink({ host: 'x', port: 9 }, { ...given, addressesOf })
  await sink.send(['a:1|c'])
  await sink.send(['a:1|c'])
  t.same(given.logged, ['metrics are not taken'])
  name = 'there'
  await sink.send(['a:1|c'])
  t.same(given.logged, ['metrics are not taken', 'metrics are taken again'])
})

t.test('over TCP on one connection, begun anew when it ended', async t => {
  const sockets: Socket[] = []
  const got: string[] = []
  const server = createServer(socket => {
    sockets.push(socket)
    socket.on('data', data => got.push(data.toString()))
    socket.on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const given = ports()
  const sink = tcpSink({ host: 'collector', port }, given)
  t.teardown(() => {
    sink.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await sink.send(['a:1|c', 'b:2|c'])
  await sink.send(['c:3|c'])
  await until('all came', () => got.join('') === 'a:1|c\nb:2|c\nc:3|c\n')
  t.equal(sockets.length, 1)
  sockets[0]?.destroy()
  await until('a new one', async () => {
    await sink.send(['d:4|c'])
    return sockets.length === 2
  })
  await until('it came', () => got.join('').endsWith('d:4|c\n'))
})

t.test('a collector that refuses is told once', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const given = ports()
  const sink = tcpSink({ host: 'collector', port }, given)
  t.teardown(() => sink.close())
  await until('it is told', async () => {
    await sink.send(['a:1|c'])
    return given.logged.length > 0
  })
  await sink.send(['a:1|c'])
  t.same(given.logged, ['metrics are not taken'])
})
