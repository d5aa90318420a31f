/**
 * One DNS message to a server and its answer back, as bytes.
 *
 * Owns the sockets of both transports. Each exchange over UDP has a socket of its own, connected:
 * the kernel chooses a port that nobody can foresee, drops what others send to it, and tells at
 * once that nobody listens. What does not belong to the query is passed over until the time is up.
 */
import { connect } from 'node:net'
import type { Clock } from '../clock.ts'
import { OperatingCode, OperatingError } from '../errors.ts'
import { socketTo } from './datagram.ts'

export interface ExchangeOptions {
  /** An IP address. */
  readonly host: string
  readonly port: number
  readonly timeoutMs: number
  readonly clock: Clock
}

export interface DatagramExchange extends ExchangeOptions {
  /** Whether a datagram is the answer; others may have been forged. */
  readonly isAnswer: (datagram: Buffer) => boolean
}

/** Asks over UDP. Rejects with OperatingError when no answer comes, or the system's error. */
export function exchangeOverUdp(
  query: Buffer,
  { host, port, timeoutMs, clock, isAnswer }: DatagramExchange,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = socketTo(host)
    const end = (result: Buffer | Error): void => {
      timer.clear()
      socket.removeAllListeners()
      socket.on('error', () => {})
      socket.close()
      if (result instanceof Error) reject(result)
      else resolve(result)
    }
    const timer = clock.after(timeoutMs, () => end(timedOut()))
    socket.on('error', end)
    socket.on('message', datagram => {
      if (isAnswer(datagram)) end(datagram)
    })
    socket.on('connect', () => socket.send(query))
    socket.connect(port, host)
  })
}

/** Asks over TCP. Rejects with OperatingError when no whole answer comes, or the system's error. */
export function exchangeOverTcp(
  query: Buffer,
  { host, port, timeoutMs, clock }: ExchangeOptions,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(query.length)
    const socket = connect({ host, port })
    const timer = clock.after(timeoutMs, () => {
      reject(timedOut())
      socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => {
      timer.clear()
      reject(new OperatingError(OperatingCode.unavailable, 'the connection was closed'))
    })
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
      resolve(received.subarray(2, 2 + received.readUInt16BE(0)))
      socket.destroy()
    })
    socket.write(Buffer.concat([length, query]))
  })
}

const timedOut = (): OperatingError =>
  new OperatingError(OperatingCode.unavailable, 'no answer in time')
