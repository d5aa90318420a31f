/**
 * The bare limit of DNS: a node:dgram socket that gives one fixed answer to every query.
 *
 *     bare-dns.ts <port>
 */
import dgram from 'node:dgram'
import { once } from 'node:events'
import { twoAddresses } from './dns-load.ts'

const socket = dgram.createSocket({
  type: 'udp4',
  // As ours: without it every answer would wait a turn of the loop for the resolver.
  lookup: (name, _options, done) => done(null, name, 4),
})
socket.on('message', (query, { port, address }) => {
  const answer = Buffer.from(twoAddresses)
  answer[0] = query[0]!
  answer[1] = query[1]!
  socket.send(answer, port, address)
})
const bound = once(socket, 'listening')
socket.bind(Number(process.argv[2]), '127.0.0.1')
await bound
process.stdout.write('Ready.\n')
