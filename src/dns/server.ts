/**
 * The DNS face: UDP and TCP on the same port, both answered by one responder.
 *
 * Owns the sockets. Rules, names and records are not known here.
 */
import type { Clock, Random } from '../base/clock.ts'
import { canShare } from '../base/io/datagram.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Metrics } from '../base/metrics.ts'
import type { Who } from '../base/who.ts'
import type { Asker } from '../store/ask.ts'
import { AnsweringThread, startWorker } from './answering-thread.ts'
import type { DnsConfig } from './config.ts'
import { DatagramListener } from './datagrams.ts'
import { type DnsStats, LATER, NONE, Responder } from './responder.ts'
import type { DnsRights } from './rights.ts'
import { TcpListener } from './tcp.ts'
import type { DnsViews } from './views.ts'
import type { Transport } from './writer.ts'

export interface DnsFaceOptions {
  readonly asker: Asker
  readonly random: Random
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly config: DnsConfig
  readonly rights: DnsRights
  /** Of an agent that keeps a part of a store; a server has none. */
  readonly views?: DnsViews | undefined
  /** Whether a thread of its own answers over UDP, where the system can have that. */
  readonly hasThread?: boolean
}

export interface DnsFace {
  /**
   * Listens on an address, over UDP and TCP on one port; port 0 takes one that is free for both.
   * May be called for several addresses. Rejects with the system's error (`code`, `port`).
   */
  listen(host: string, port: number): Promise<{ host: string; port: number }>
  /**
   * The answer to a query that came by another way than the sockets, as it would be over this
   * transport, by the rights of `seer` where there is one; undefined where none is sent.
   */
  ask(query: Buffer, transport: Transport, address: string, seer?: Who): Promise<Buffer | undefined>
  /** Goes on with other settings; domains and listeners stay as they are. */
  configure(dns: DnsConfig['dns']): void
  /** Closes every socket; resolves when they are gone. */
  close(): Promise<void>
  /** Counters since the start. */
  readonly stats: DnsStats
}

/** Makes the face; nothing listens yet. */
export function createDnsFace(options: DnsFaceOptions): DnsFace {
  const { log, clock } = options
  const responder = new Responder(options)
  const open: { close(): Promise<void> }[] = []
  const asked = askable(responder)
  const thread = options.hasThread === true && canShare ? threadOf(responder, options) : undefined
  return {
    ask: asked,
    async listen(host, port) {
      for (let tries = 1; ; tries++) {
        const tcp = new TcpListener(responder, clock)
        const bound = await tcp.listen(host, port)
        try {
          const udp = new DatagramListener({ ...{ responder, log, clock, thread }, ...bound })
          await udp.open()
          open.push(udp, tcp)
          return bound
        } catch (error) {
          await tcp.close()
          // A port that is free for TCP may be taken for UDP.
          if (port !== 0 || tries === limits.dnsPortTries) throw error
        }
      }
    },
    configure: dns => responder.configure(dns),
    async close() {
      responder.stop()
      await Promise.all([thread?.close(), ...open.splice(0).map(each => each.close())])
    },
    get stats() {
      return responder.stats
    },
  }
}

function threadOf(responder: Responder, { asker, log }: DnsFaceOptions): AnsweringThread {
  const data = { marks: asker.scopes.marks, generation: responder.generation }
  return new AnsweringThread(responder, log, () => startWorker(data))
}

/** The largest message that there is. */
const OUT_SIZE_BYTES = 65_535

/** Answers queries that came by no socket of ours, under no listener's own settings. */
function askable(responder: Responder): DnsFace['ask'] {
  const vias = { udp: responder.via('udp', ''), tcp: responder.via('tcp', '') }
  let out: Buffer | undefined
  return async (query, transport, address, seer) => {
    const via = vias[transport]
    out ??= Buffer.allocUnsafeSlow(OUT_SIZE_BYTES)
    const size = responder.answer(query, out, via, address, seer)
    if (size === LATER) return responder.answerLater(query, via, address, seer)
    return size > NONE ? Buffer.from(out.subarray(0, size)) : undefined
  }
}
