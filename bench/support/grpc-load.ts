/**
 * A generator of unary calls of gRPC: HTTP/2 by hand, so that it costs little beside the server.
 *
 *     grpc-load.ts <port> <path> <request in base64> <connections> <in flight each> <seconds>
 *
 * Prints one line of JSON. Heads of requests are written without a table (RFC 7541 §6.2.2), heads
 * of answers are not decoded: of each stream it is counted that it ended, and how many bytes of
 * messages came.
 */
import { connect, type Socket } from 'node:net'

export interface GrpcLoadResult {
  readonly answers: number
  readonly bytesOfMessages: number
  readonly perSecond: number
  /** Streams that were reset, and connections that were closed. */
  readonly failures: number
}

const FRAME_HEAD_BYTES = 9
const DATA = 0
const HEADERS = 1
const RST_STREAM = 3
const SETTINGS = 4
const PING = 6
const GOAWAY = 7
const WINDOW_UPDATE = 8
const END_STREAM = 1
const ACK = 1
const END_HEADERS = 4
const WINDOW = 1_073_741_824

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A header field that goes into no table; texts are shorter than 127 bytes. */
function field(name: string, value: string): Buffer {
  const [n, v] = [Buffer.from(name), Buffer.from(value)]
  return Buffer.concat([Buffer.from([0, n.length]), n, Buffer.from([v.length]), v])
}

function openingOf(): Buffer {
  const settings = Buffer.alloc(6)
  settings.writeUInt16BE(4, 0)
  settings.writeUInt32BE(WINDOW, 2)
  const more = Buffer.alloc(4)
  more.writeUInt32BE(WINDOW)
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(SETTINGS, 0, 0, settings),
    frame(WINDOW_UPDATE, 0, 0, more),
  ])
}

/** One connection: so many calls are always under way. */
class Connection {
  answers = 0
  bytesOfMessages = 0
  failures = 0
  isStopping = false
  readonly #socket: Socket
  readonly #call: Buffer
  #next = 1
  #rest: Buffer = Buffer.alloc(0)

  constructor(port: number, call: Buffer, inFlight: number) {
    this.#call = call
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true })
    this.#socket.on('data', (data: Buffer) => this.#read(data))
    this.#socket.on('error', () => this.failures++)
    this.#socket.on('close', () => {
      if (!this.isStopping) this.failures++
    })
    this.#socket.write(openingOf())
    this.#socket.write(Buffer.concat(Array.from({ length: inFlight }, () => this.#callNow())))
  }

  stop(): void {
    this.isStopping = true
    this.#socket.destroy()
  }

  /** The frames of one call, with the number of its stream. */
  #callNow(): Buffer {
    const call = Buffer.from(this.#call)
    call.writeUInt32BE(this.#next, 5)
    const data = FRAME_HEAD_BYTES + call.readUIntBE(0, 3)
    call.writeUInt32BE(this.#next, data + 5)
    this.#next += 2
    return call
  }

  #read(data: Buffer): void {
    const bytes = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data])
    const answer: Buffer[] = []
    let at = 0
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const length = bytes.readUIntBE(at, 3)
      if (bytes.length - at < FRAME_HEAD_BYTES + length) break
      this.#take(
        bytes[at + 3]!,
        bytes[at + 4]!,
        bytes.subarray(at + FRAME_HEAD_BYTES, at + FRAME_HEAD_BYTES + length),
        answer,
      )
      at += FRAME_HEAD_BYTES + length
    }
    this.#rest = bytes.subarray(at)
    if (answer.length > 0 && !this.isStopping) this.#socket.write(Buffer.concat(answer))
  }

  #take(type: number, flags: number, payload: Buffer, answer: Buffer[]): void {
    if (type === DATA) this.bytesOfMessages += payload.length
    else if (type === HEADERS && (flags & END_STREAM) !== 0) {
      this.answers++
      answer.push(this.#callNow())
    } else if (type === RST_STREAM || type === GOAWAY) this.failures++
    else if (type === SETTINGS && (flags & ACK) === 0) {
      answer.push(frame(SETTINGS, ACK, 0, Buffer.alloc(0)))
    } else if (type === PING && (flags & ACK) === 0) answer.push(frame(PING, ACK, 0, payload))
    if (type === DATA && payload.length > 0) {
      const room = Buffer.alloc(4)
      room.writeUInt32BE(payload.length)
      answer.push(frame(WINDOW_UPDATE, 0, 0, room))
    }
  }
}

function callOf(path: string, request: Buffer): Buffer {
  const head = Buffer.concat([
    field(':method', 'POST'),
    field(':scheme', 'http'),
    field(':path', path),
    field(':authority', 'localhost'),
    field('content-type', 'application/grpc'),
    field('te', 'trailers'),
  ])
  const message = Buffer.alloc(5 + request.length)
  message.writeUInt32BE(request.length, 1)
  request.copy(message, 5)
  return Buffer.concat([frame(HEADERS, END_HEADERS, 0, head), frame(DATA, END_STREAM, 0, message)])
}

const MS_PER_S = 1_000

const [port, path = '', request = '', connections, inFlight, seconds] = process.argv.slice(2)
const call = callOf(path, Buffer.from(request, 'base64'))
const beganMs = performance.now()
const all = Array.from(
  { length: Number(connections) },
  () => new Connection(Number(port), call, Number(inFlight)),
)
await new Promise(resolve => setTimeout(resolve, Number(seconds) * MS_PER_S))
const tookMs = performance.now() - beganMs
for (const each of all) each.stop()
const sum = (of: (each: Connection) => number): number =>
  all.reduce((before, each) => before + of(each), 0)
const answers = sum(each => each.answers)
const result: GrpcLoadResult = {
  answers,
  bytesOfMessages: sum(each => each.bytesOfMessages),
  perSecond: (answers * MS_PER_S) / tookMs,
  failures: sum(each => each.failures),
}
process.stdout.write(`${JSON.stringify(result)}\n`)
