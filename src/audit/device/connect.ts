/**
 * How devices reach others: an address that the configuration names, looked up by our own resolver
 * and held against the guard before anything is connected to.
 *
 * Owns the reading of `host:port`, and connecting within a deadline. The system's own look-up is
 * never used, since it would wait in the thread pool that the disk needs.
 */
import { connect, isIP, type Socket } from 'node:net'
import { messageOf, OperatingCode, OperatingError } from '../../base/errors.ts'
import type { DevicePorts } from '../device.ts'

/** Where a device listens. */
export interface Place {
  readonly host: string
  readonly port: number
}

/** Reads `host:port` and `[::1]:port`; undefined where it is nothing of that form. */
export function parsePlace(text: string): Place | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  const host = bracketed ?? plain
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port }
}

/** The addresses of a host that may be connected to. Throws OperatingError where there are none. */
export async function addressesOf(host: string, ports: DevicePorts): Promise<readonly string[]> {
  const found = isIP(host) === 0 ? await ports.addressesOf(host) : [host]
  const allowed = found.filter(address => ports.mayReach(address))
  if (allowed.length > 0) return allowed
  const text = `${found[0]} may not be connected to (check_targets.allow)`
  throw new OperatingError(OperatingCode.unavailable, text)
}

/** Connects over TCP, to one address after the other. */
export async function connectTcp(
  { host, port }: Place,
  ports: DevicePorts,
  signal: AbortSignal,
): Promise<Socket> {
  let last: unknown
  for (const address of await addressesOf(host, ports)) {
    try {
      return await connected(connect({ host: address, port }), signal)
    } catch (error) {
      last = error
      signal.throwIfAborted()
    }
  }
  throw new OperatingError(OperatingCode.unavailable, messageOf(last))
}

/** Connects to a socket in a file. */
export const connectFile = (path: string, signal: AbortSignal): Promise<Socket> =>
  connected(connect({ path }), signal)

function connected(socket: Socket, signal: AbortSignal): Promise<Socket> {
  // What comes is thrown away, and devices must not hold the process.
  socket.resume().unref()
  return untilDone(socket, signal, (resolve, reject) => {
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Writes all of it; resolves once the system has taken it. */
export function writeAll(socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
  return untilDone(socket, signal, (resolve, reject) => {
    const closed = (): void => reject(new Error('the connection was closed'))
    socket.once('close', closed)
    socket.write(bytes, error => {
      socket.off('close', closed)
      if (error) reject(error)
      else resolve()
    })
  })
}

/** Runs work on a socket that the signal ends: then it is destroyed. */
function untilDone<T>(
  socket: Socket,
  signal: AbortSignal,
  work: (resolve: (result: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const ended = (): void => reject(signal.reason)
    if (signal.aborted) ended()
    signal.addEventListener('abort', ended, { once: true })
    work(
      result => {
        signal.removeEventListener('abort', ended)
        resolve(result)
      },
      error => {
        signal.removeEventListener('abort', ended)
        reject(error)
      },
    )
  }).catch((error: unknown) => {
    socket.on('error', () => {})
    socket.destroy()
    throw error
  })
}
