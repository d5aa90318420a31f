/**
 * HAProxy's Runtime API: one command, one connection, one answer.
 *
 * Owns the connection, its time and the size of what is read. A command is one line: what would
 * hold a second one is never sent. An address over TCP is looked up by our own resolver and held
 * against the outbound guard.
 */
import { connect, isIP, type Socket } from 'node:net'
import { assert } from '../../../base/assert.ts'
import { OperatingCode, OperatingError } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import type { SinkPorts } from '../declare.ts'
import { parsePlace } from '../place.ts'

/** Where HAProxy listens. */
export interface RuntimePlace {
  readonly socket: string | undefined
  readonly address: string | undefined
}

/** Sends a command; the answer without what stands around it. Rejects with OperatingError. */
export async function askHaproxy(
  place: RuntimePlace,
  ports: SinkPorts,
  command: string,
  signal: AbortSignal,
): Promise<string> {
  assert(!/[\n\r;\0]/.test(command), 'a command is one')
  const socket = connect(await whereTo(place, ports))
  try {
    return (await answerOf(socket, ports, command, signal)).trim()
  } finally {
    socket.destroy()
  }
}

async function whereTo({ socket, address = '' }: RuntimePlace, ports: SinkPorts) {
  if (socket !== undefined) return { path: socket }
  const place = parsePlace(address)
  assert(place !== undefined, 'the settings were read')
  const { host, port } = place
  const found = isIP(host) === 0 ? await ports.addressesOf(host) : [host]
  const allowed = found.find(one => ports.mayReach(one))
  if (allowed !== undefined) return { host: allowed, port }
  throw unavailable(`${found[0]} may not be connected to (check_targets.allow)`)
}

function answerOf(
  socket: Socket,
  { clock }: SinkPorts,
  command: string,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    const over = (): void => {
      timer.clear()
      signal.removeEventListener('abort', stopped)
    }
    const fail = (text: string): void => {
      over()
      reject(unavailable(`HAProxy: ${text}`))
    }
    const stopped = (): void => fail('stopped before it answered')
    const timer = clock.after(limits.sinkExchangeMs, () => fail('no answer in time'))
    signal.addEventListener('abort', stopped, { once: true })
    if (signal.aborted) stopped()
    socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message))
    socket.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes > limits.sinkAnswerSizeBytes) fail('an answer that is too large')
      else chunks.push(chunk)
    })
    socket.on('end', () => {
      over()
      resolve(Buffer.concat(chunks).toString('utf8'))
    })
    socket.on('close', () => fail('the connection was closed'))
    socket.write(`${command}\n`)
  })
}

const unavailable = (text: string): OperatingError =>
  new OperatingError(OperatingCode.unavailable, text)
