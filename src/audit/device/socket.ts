/**
 * The device `socket`: records as lines over TCP or a socket in a file, or one a datagram over UDP.
 *
 * Owns its one connection, begun anew after any fault. Over a stream a record counts as taken once
 * the system has it; what a peer that goes away had not read is lost to it, as nothing answers.
 * Over UDP nothing is ever known of what arrives.
 */
import type { Socket } from 'node:net'
import { isAbsolute } from 'node:path'
import { socketTo } from '../../base/io/datagram.ts'
import { type Device, type DevicePorts, defineDevice, type Shipment, textIn } from '../device.ts'
import { addressesOf, connectFile, connectTcp, parsePlace, writeAll } from './connect.ts'

export const socketDevice = defineDevice({
  type: 'socket',
  doc: 'a socket that records are written to as lines',
  fields: {
    address: { kind: 'text', doc: 'host:port, or the path of a socket', isRequired: true },
    socket_type: { kind: 'text', doc: 'tcp unless given', oneOf: ['tcp', 'udp', 'unix'] },
  },
  problemOf(values) {
    const address = textIn(values, 'address')
    if (textIn(values, 'socket_type') === 'unix') {
      return isAbsolute(address) ? undefined : 'address: must be an absolute path'
    }
    return parsePlace(address) === undefined ? 'address: must be host:port' : undefined
  },
  open(values, ports) {
    const address = textIn(values, 'address')
    switch (textIn(values, 'socket_type')) {
      case 'udp':
        return udpDevice(address, ports, lines => lines)
      case 'unix':
        return new StreamDevice(signal => connectFile(address, signal))
      default:
        return new StreamDevice(signal => connectTcp(parsePlace(address)!, ports, signal))
    }
  },
})

/** How the bytes of a shipment stand in a stream. */
type Framing = (lines: readonly Buffer[]) => Buffer

/** One connection that lasts as long as nothing goes wrong on it. */
export class StreamDevice implements Device {
  readonly #connect: (signal: AbortSignal) => Promise<Socket>
  readonly #framing: Framing
  #socket: Socket | undefined

  constructor(
    connect: (signal: AbortSignal) => Promise<Socket>,
    framing: Framing = lines => Buffer.concat(lines),
  ) {
    this.#connect = connect
    this.#framing = framing
  }

  async write({ lines }: Shipment, signal: AbortSignal): Promise<void> {
    const socket = await this.#current(signal)
    await writeAll(socket, this.#framing(lines), signal)
  }

  async #current(signal: AbortSignal): Promise<Socket> {
    const socket = this.#socket
    if (socket !== undefined && !socket.destroyed && socket.writable) return socket
    const opened = await this.#connect(signal)
    opened.on('error', () => opened.destroy())
    // A peer that says it has read enough has closed: what is written then is lost.
    opened.on('end', () => opened.destroy())
    this.#socket = opened
    return opened
  }

  async reopen(): Promise<void> {
    await this.close()
  }

  async close(): Promise<void> {
    this.#socket?.destroy()
    this.#socket = undefined
  }
}

/** A device that sends one datagram a record. */
export function udpDevice(
  address: string,
  ports: DevicePorts,
  datagramsOf: (lines: readonly Buffer[]) => readonly Buffer[],
): Device {
  const { host, port } = parsePlace(address)!
  return {
    async write({ lines }, signal) {
      const [target = ''] = await addressesOf(host, ports)
      await sendAll(datagramsOf(lines), target, port, signal)
    },
    close: async () => {},
  }
}

/** One socket a shipment: it holds nothing in between, and hears of a closed port. */
async function sendAll(
  datagrams: readonly Buffer[],
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const socket = socketTo(address)
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.connect(port, address, resolve)
    })
    for (const datagram of datagrams) {
      signal.throwIfAborted()
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        socket.send(datagram, error => {
          socket.off('error', reject)
          if (error) reject(error)
          else resolve()
        })
      })
    }
  } finally {
    socket.on('error', () => {})
    socket.close()
  }
}
