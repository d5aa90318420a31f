/**
 * Lines of metrics on their way to a collector: over UDP in datagrams, over TCP in one stream.
 *
 * Owns the sockets. Nothing here waits: what the collector does not take is dropped, with one line
 * in the log as long as that lasts. Names are resolved by what is passed in, each time anew.
 */
import { connect, type Socket } from 'node:net'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { socketTo } from './datagram.ts'

/** Where a collector listens. */
export interface Collector {
  readonly host: string
  readonly port: number
}

export interface SinkPorts {
  readonly log: Log
  /** The addresses of a name, at least one. */
  readonly addressesOf: (name: string) => Promise<readonly string[]>
}

export interface MetricsSink {
  send(lines: readonly string[]): Promise<void>
  close(): void
}

/** So much fits into one packet nearly everywhere. */
const DATAGRAM_SIZE_BYTES = 1_400

/** Sends lines over UDP. */
export function udpSink(collector: Collector, ports: SinkPorts): MetricsSink {
  const told = tellOnce(collector, ports.log)
  return {
    async send(lines) {
      try {
        const [address = ''] = await ports.addressesOf(collector.host)
        await sendDatagrams(datagramsOf(lines), address, collector.port)
        told(undefined)
      } catch (error) {
        told(error)
      }
    },
    close() {},
  }
}

/** Whole lines, as many as fit into each datagram. */
export function datagramsOf(lines: readonly string[]): string[] {
  const datagrams: string[] = []
  let datagram = ''
  for (const line of lines) {
    if (datagram !== '' && datagram.length + line.length + 1 > DATAGRAM_SIZE_BYTES) {
      datagrams.push(datagram)
      datagram = ''
    }
    datagram += `${line}\n`
  }
  if (datagram !== '') datagrams.push(datagram)
  return datagrams
}

/** A socket for each interval: it holds nothing between them, and the kernel's queue is its own. */
async function sendDatagrams(
  datagrams: readonly string[],
  address: string,
  port: number,
): Promise<void> {
  const socket = socketTo(address)
  try {
    for (const datagram of datagrams) {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        socket.send(datagram, port, address, error => {
          socket.off('error', reject)
          if (error) reject(error)
          else resolve()
        })
      })
    }
  } finally {
    socket.close()
  }
}

/** Sends lines over TCP, on one connection as long as it lasts. */
export function tcpSink(collector: Collector, ports: SinkPorts): MetricsSink {
  const told = tellOnce(collector, ports.log)
  let socket: Socket | undefined
  const open = async (): Promise<Socket> => {
    const [address = ''] = await ports.addressesOf(collector.host)
    const opened = connect({ host: address, port: collector.port })
    opened.unref()
    opened.on('error', told)
    opened.on('connect', () => told(undefined))
    opened.on('close', () => {
      if (socket === opened) socket = undefined
    })
    // Collectors say nothing; what comes is thrown away.
    opened.resume()
    return opened
  }
  return {
    async send(lines) {
      try {
        socket ??= await open()
        if (socket.writableLength > limits.metricsSinkSizeBytes) {
          socket.destroy(new Error('it does not read'))
        } else if (lines.length > 0) socket.write(`${lines.join('\n')}\n`)
      } catch (error) {
        told(error)
      }
    },
    close() {
      socket?.destroy()
    },
  }
}

/** Tells of the first fault of a row, and of the end of the row. */
function tellOnce({ host, port }: Collector, log: Log): (error: unknown) => void {
  let isFailing = false
  return error => {
    if (error !== undefined && !isFailing) {
      log.warn('metrics are not taken', { host, port, reason: messageOf(error) })
    } else if (error === undefined && isFailing) log.info('metrics are taken again', { host, port })
    isFailing = error !== undefined
  }
}
