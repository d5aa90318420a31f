/**
 * HTTP by hand, for what no client would send: the bytes that go out and those that come back.
 */
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A connection of its own; closed at the end of the test. */
export interface RawConnection {
  readonly socket: Socket
  write(text: string | Buffer): void
  /** Resolves with all that came so far once it matches. */
  received(pattern: RegExp): Promise<string>
  /** Resolves with all that came once the other side has closed. */
  closed(): Promise<string>
  /** The same, or with the beginning of an answer that goes on. */
  answered(): Promise<string>
}

/** The first event of a stream of them. */
const GOES_ON = /^content-type: text\/event-stream[\s\S]*^event: /im

/** Connects to a face. */
export async function connectRaw(
  t: Test,
  { host, port }: { host: string; port: number },
): Promise<RawConnection> {
  const socket = connect({ host, port })
  t.teardown(() => socket.destroy())
  let text = ''
  let isClosed = false
  let notify = (): void => {}
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    notify()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    isClosed = true
    notify()
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  const until = (isDone: () => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      notify = () => {
        if (isDone()) resolve(text)
        else if (isClosed) reject(new Error(`closed after: ${text}`))
      }
      notify()
    })
  return {
    socket,
    write: given => void socket.write(given),
    received: pattern => until(() => pattern.test(text)),
    closed: () => until(() => isClosed),
    answered: () => until(() => isClosed || GOES_ON.test(text)),
  }
}
