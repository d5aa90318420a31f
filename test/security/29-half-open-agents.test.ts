/**
 * Class 29 on the port between agents: connections that begin no handshake, or none that ends
 * (CVE-2020-7219). They are cut, and agents are served meanwhile.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { openServerChannel } from '../../src/rpc/channels.ts'
import { agents, channelWorld, clientPair, materialOf, startTrial } from '../rpc/trial.ts'

const HALF_OPEN = 2_000

t.test('half-open connections by thousands', async t => {
  const { address, ca } = await startTrial(t)
  const port = Number(address.split(':')[1])
  const sockets: Socket[] = []
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  let cut = 0
  for (let at = 0; at < HALF_OPEN; at++) {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('error', () => {})
    socket.on('close', () => cut++)
    sockets.push(socket)
    await once(socket, 'connect')
    // Some begin what they do not end.
    if (at % 2 === 0) socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02]))
  }
  const material = materialOf(ca, clientPair(ca))
  const channel = openServerChannel(
    [{ nodeId: '', address }],
    channelWorld(() => material),
  )
  t.teardown(() => channel.close())
  t.match(await channel.call(agents, { text: 'hi' }, { timeoutMs: 5_000 }), { text: /^hi client/ })
  const rounds = (4 * limits.rpcHandshakeTimeoutMs) / 50
  for (let round = 0; round < rounds && cut < HALF_OPEN; round++) {
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  t.equal(cut, HALF_OPEN, 'each was cut')
  t.match(await channel.call(agents, { text: 'hi' }, { timeoutMs: 5_000 }), { text: /^hi client/ })
})
