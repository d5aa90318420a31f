/**
 * A DNS server of another's: what recursors are in the tests.
 */
import dgram from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import type { Test } from 'tap'
import type { DnsRecord, Message } from '../../src/wire/dns/mod.ts'
import { encoded, parsed } from '../wire/dns/arbitraries.ts'
import { framed } from './support.ts'

/** What it says to a query: changes of the bare answer, bytes as they are, or nothing. */
export type Said = Partial<Message> | Buffer[] | undefined

export interface Upstream {
  readonly host: string
  readonly port: number
  /** What it was asked, with the transport in front. */
  readonly asked: { readonly transport: 'udp' | 'tcp'; readonly query: Message }[]
}

/** Starts one on a free port of the loopback; it stops with the test. */
export async function startUpstream(
  t: Test,
  say: (query: Message, transport: 'udp' | 'tcp', bytes: Buffer) => Said,
): Promise<Upstream> {
  const asked: Upstream['asked'] = []
  const answers = (bytes: Buffer, transport: 'udp' | 'tcp'): Buffer[] => {
    const query = parsed(bytes)
    asked.push({ transport, query })
    const said = say(query, transport, bytes)
    if (said === undefined || Array.isArray(said)) return said ?? []
    return [encoded({ ...query, response: true, recursionAvailable: true, ...said })]
  }
  const tcp = createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', (data: Buffer) => {
      for (const answer of answers(data.subarray(2), 'tcp')) socket.write(framed(answer))
    })
  })
  tcp.listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const { port } = tcp.address() as AddressInfo
  const udp = dgram.createSocket('udp4')
  udp.on('message', (data, from) => {
    for (const answer of answers(data, 'udp')) udp.send(answer, from.port, from.address)
  })
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')
  t.teardown(() => {
    udp.close()
    tcp.close()
  })
  return { host: '127.0.0.1', port, asked }
}

/** An address record. */
export const a = (name: string, data: string, ttlS = 60): DnsRecord => ({
  name,
  class: 1,
  ttlS,
  type: data.includes(':') ? 'AAAA' : 'A',
  data,
})
