/**
 * One address before several servers: each request, question and connection goes to the next one.
 *
 * Owns who is next, and what only the first may be asked: it is the agent that tests mean by
 * `/v1/agent`, and the node that sessions are of unless they name one. DNS and reads that may be
 * old are asked of a server only once it has caught up with what went through here, as tests ask
 * right after they wrote; default reads are not helped.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { pipeline } from 'node:stream'
import type { Test } from 'tap'
import { askPort } from './running.ts'

/** Where a server answers on this machine. */
export interface Place {
  readonly httpPort: number
  readonly dnsPort: number
}

/** What is asked of the agent that a client is beside, its cache too; what may be old on others. */
const OF_THE_AGENT = /^\/v1\/(agent\/|session\/create\b)|[?&]cached\b/
const MAY_BE_OLD = /[?&](stale|cached)\b|^\/v1\/event\/list/
/** Headers of one connection, which is not the other. */
const OF_CONNECTIONS = ['connection', 'keep-alive', 'transfer-encoding', 'expect']

/** Spreads what comes over the servers until the test ends; gives where it is to be sent. */
export async function spread(t: Test, servers: readonly Place[]): Promise<Place> {
  const turns = new Turns(servers)
  const http = createServer((asked, answer) => void relay(turns, asked, answer))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.teardown(() => {
    http.close()
    http.closeAllConnections()
  })
  const dnsPort = await spreadDns(t, turns)
  return { httpPort: (http.address() as AddressInfo).port, dnsPort }
}

class Turns {
  readonly #servers: readonly Place[]
  readonly #seen: number[]
  #turn = 0
  #writes = 0

  constructor(servers: readonly Place[]) {
    this.#servers = servers
    this.#seen = servers.map(() => 0)
  }

  get first(): Place {
    return this.#servers[0]!
  }

  next(): Place {
    this.#turn = (this.#turn + 1) % this.#servers.length
    return this.#servers[this.#turn]!
  }

  wrote(): void {
    this.#writes++
  }

  /** Resolves when the server knows all that was written through here. */
  async caughtUp(server: Place): Promise<void> {
    const at = this.#servers.indexOf(server)
    const writes = this.#writes
    if (this.#seen[at] === writes) return
    // A default read is answered from the newest state, in which the server is from then on.
    await askPort(server.httpPort, 'GET', '/v1/catalog/nodes')
    this.#seen[at] = Math.max(this.#seen[at]!, writes)
  }
}

async function relay(turns: Turns, asked: IncomingMessage, answer: ServerResponse): Promise<void> {
  const { method = 'GET', url = '/' } = asked
  const server = OF_THE_AGENT.test(url) ? turns.first : turns.next()
  if (MAY_BE_OLD.test(url)) await turns.caughtUp(server)
  const sent = request({
    ...{ host: '127.0.0.1', port: server.httpPort, method, path: url, agent: false },
    headers: [...headersOf(asked), 'Connection', 'close'],
  })
  sent.on('response', given => {
    if (method !== 'GET') turns.wrote()
    // A server may answer before it has all of it: then the rest goes by, as it does there.
    asked.unpipe(sent).resume()
    answer.writeHead(given.statusCode ?? 0, given.statusMessage ?? '', headersOf(given))
    // Half an answer is none; and a client that has left just now is no fault.
    given.on('error', () => answer.destroy()).pipe(answer.on('error', () => {}))
  })
  sent.on('error', () => {
    if (!answer.headersSent) answer.destroy()
  })
  answer.on('close', () => sent.destroy())
  asked.pipe(sent)
}

/** Names and values in turn, as they came. */
function headersOf({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter((_, at) => {
    const name = rawHeaders[at - (at % 2)]!
    return !OF_CONNECTIONS.includes(name.toLowerCase())
  })
}

/** UDP and TCP of one port. */
async function spreadDns(t: Test, turns: Turns): Promise<number> {
  const sockets = new Map<string, Socket>()
  const tcp = createTcpServer(from => {
    const server = turns.next()
    const forward = async (): Promise<void> => {
      await turns.caughtUp(server)
      const to = connect(server.dnsPort, '127.0.0.1')
      pipeline(from, to, from, () => {})
    }
    forward().catch(() => from.destroy())
  })
  tcp.listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const { port } = tcp.address() as AddressInfo
  const udp = createSocket({ type: 'udp4', lookup: noLookup })
  /** A socket for each who asks, and each server: answers find their way by it. */
  const between = (from: RemoteInfo, server: Place): Socket => {
    const key = `${from.address} ${from.port} ${server.dnsPort}`
    const known = sockets.get(key)
    if (known !== undefined) return known
    const socket = createSocket({ type: 'udp4', lookup: noLookup })
    socket.on('message', answer => udp.send(answer, from.port, from.address))
    sockets.set(key, socket)
    return socket
  }
  udp.on('message', (question, from) => {
    const server = turns.next()
    const forward = async (): Promise<void> => {
      await turns.caughtUp(server)
      between(from, server).send(question, server.dnsPort, '127.0.0.1')
    }
    void forward()
  })
  // Its lookup answers at once, and then it listens before `bind` returns.
  const isBound = once(udp, 'listening')
  udp.bind(port, '127.0.0.1')
  await isBound
  t.teardown(() => {
    tcp.close()
    udp.close()
    for (const socket of sockets.values()) socket.close()
  })
  return port
}

const noLookup = (
  host: string,
  _options: unknown,
  done: (error: null, address: string, family: number) => void,
): void => done(null, host, 4)
