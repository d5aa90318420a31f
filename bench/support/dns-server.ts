/**
 * The two servers of the DNS bench, each a process of its own.
 *
 *     dns-server.ts ours <port>    our face on a store in memory with the bench's services
 *     dns-server.ts bare <port>    a node:dgram socket that gives one fixed answer with the query's id
 */
import dgram from 'node:dgram'
import { once } from 'node:events'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { everybody } from '../../src/base/who.ts'
import { createDnsFace } from '../../src/dns/server.ts'
import { register } from '../../src/registry/catalog.ts'
import { Asker } from '../../src/store/ask.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { config, instances, twoAddresses } from './dns-load.ts'

const [kind = '', portText = ''] = process.argv.slice(2)
const port = Number(portText)
await (kind === 'ours' ? serveOurs() : serveBare())
process.stdout.write('Ready.\n')

async function serveOurs(): Promise<void> {
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock: systemClock, random: systemRandom })
  for (const instance of instances()) {
    await store.write(view => register(view, everybody, instance))
  }
  const face = createDnsFace({
    asker: new Asker(store, new Timeouts(systemClock)),
    random: systemRandom,
    clock: systemClock,
    log: silentLog,
    config,
  })
  await face.listen('127.0.0.1', port)
}

async function serveBare(): Promise<void> {
  const socket = dgram.createSocket({
    type: 'udp4',
    // As ours: a turn of the loop for each answer would be saved at the wrong place.
    lookup: (name, _options, done) => done(null, name, 4),
  })
  socket.on('message', (query, { port: to, address }) => {
    const answer = Buffer.from(twoAddresses)
    answer[0] = query[0]!
    answer[1] = query[1]!
    socket.send(answer, to, address)
  })
  const bound = once(socket, 'listening')
  socket.bind(port, '127.0.0.1')
  await bound
}
