/**
 * Bytes on the DNS port: streams in crumbs, half-open connections, readers that do not read, noise
 * by UDP. An honest client is served all the while, and nothing is left of those who went.
 */
import dgram from 'node:dgram'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { TcpListener } from '../../src/dns/tcp.ts'
import { openExample } from '../dns/example.ts'
import { askTcp, askUdp, framed, queryOf, respond, startFace, textOf } from '../dns/support.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import type { Draw } from '../fake/random.ts'
import { untilBudget } from '../run/budget.ts'
import { parsed } from '../wire/dns/arbitraries.ts'
import { casesOf } from './cases.ts'
import { mutated, type Stock } from './mutate.ts'

const BURST = 16
const honest = queryOf('web.service.consul A')
const streams: Stock = {
  inputs: [
    framed(honest),
    Buffer.concat([framed(honest), framed(queryOf('consul NS', 1_232)), framed(honest)]),
    Buffer.concat(Array.from({ length: 200 }, () => framed(queryOf('web.service.consul SRV')))),
    framed(Buffer.alloc(limits.dnsTcpQuerySizeBytes)),
    Buffer.from('00', 'hex'),
  ],
  pieces: ['0000', 'ffff', '0001', '000c', '8000'].map(text => Buffer.from(text, 'hex')),
}

/** What becomes of a connection when its bytes are sent. */
const endings = ['close', 'reset', 'stay', 'stay and not read'] as const
interface Client {
  readonly pieces: readonly Buffer[]
  readonly ending: (typeof endings)[number]
}

const makeClient = (draw: Draw): Client => {
  const bytes = draw.chance(30) ? draw.pick(streams.inputs) : mutated(draw, streams)
  const cut = draw.below(bytes.length + 1)
  return { pieces: [bytes.subarray(0, cut), bytes.subarray(cut)], ending: draw.pick(endings) }
}

t.test('TCP streams of every kind', async t => {
  const registry = await openExample()
  const clock = new FakeClock()
  const listener = new TcpListener(respond(registry), clock)
  const { port } = await listener.listen('127.0.0.1', 0)
  t.teardown(async () => {
    await listener.close()
    await registry.store.close()
  })
  const run = async (clients: readonly Client[]): Promise<void> => {
    const sockets = await Promise.all(clients.map(client => play(port, client)))
    const [answer] = await askTcp(port, framed(honest))
    if (answer === undefined || textOf(answer).length !== 2) throw new Error('an honest client')
    // Who stays is sent away when his patience is longer than ours.
    await clock.advance(limits.dnsTcpIdleMs + 2_000)
    for (let tries = 0; listener.connections > 0; tries++) {
      if (tries === 2_000) throw new Error(`${listener.connections} connections are left`)
      await settled(2)
    }
    for (const socket of sockets) socket.destroy()
  }
  const make = (draw: Draw): Client[] => Array.from({ length: BURST }, () => makeClient(draw))
  const show = (clients: readonly Client[]): string =>
    clients
      .map(({ pieces, ending }) => `${ending} ${pieces.map(one => one.toString('hex')).join(' ')}`)
      .join('\n')
  t.ok((await untilBudget('bursts of DNS streams', 1_000, casesOf({ make, run, show }))) > 0)
})

/** Sends a client's bytes and ends as it does. */
async function play(port: number, { pieces, ending }: Client): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  if (ending === 'stay and not read') socket.pause()
  else socket.resume()
  await Promise.race([once(socket, 'connect'), once(socket, 'close')])
  for (const piece of pieces) {
    if (socket.writable) socket.write(piece)
    await settled(1)
  }
  if (ending === 'close') socket.end()
  else if (ending === 'reset') socket.resetAndDestroy()
  return socket
}

t.test('noise by UDP', async t => {
  const registry = await openExample()
  const face = await startFace(registry)
  const socket = dgram.createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(async () => {
    socket.close()
    await face.close()
    await registry.store.close()
  })
  const noise: Stock = { inputs: [honest, queryOf('consul ANY', 65_535)], pieces: streams.pieces }
  const run = async (packets: readonly Buffer[]): Promise<void> => {
    for (const packet of packets) socket.send(packet, face.port, '127.0.0.1')
    // Its turn comes after what was sent before.
    const answer = parsed(await askUdp(face.port, honest))
    if (textOf(answer).length !== 2) throw new Error('an honest client')
  }
  const make = (draw: Draw): Buffer[] =>
    Array.from({ length: BURST }, () => mutated(draw, noise).subarray(0, 8_000))
  const show = (packets: readonly Buffer[]): string =>
    packets.map(packet => packet.toString('hex')).join('\n')
  t.ok((await untilBudget('bursts of DNS packets', 5_000, casesOf({ make, run, show }))) > 0)
})
