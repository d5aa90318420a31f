/**
 * Calls with one request and one answer, straight on streams of HTTP/2.
 *
 * Owns the wire of such calls (grpc/grpc, doc/PROTOCOL-HTTP2.md and doc/compression.md): the one
 * message in its frame, bounded while it is read, the deadline, the answer with its trailers, and
 * what is said of a call that is none. The library could serve them too, at twice the price: see
 * decision 48. Decodes no message and knows no method; connections and streams of messages are the
 * library's.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { gunzip, inflate } from 'node:zlib'
import type { Clock, Timer } from '../clock.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../duration.ts'
import { limits } from '../limits.ts'
import { codeNumbers, type RpcCode } from '../rpc.ts'
import { type BoundCode, IncomingCall, type IncomingCalls } from './grpc-incoming.ts'
import type { OneAnswer, OneRequest, PublicMethod, PublicStatus } from './grpc-public.ts'
import type { GrpcConnection } from './grpc-sessions.ts'

/** Names calls, and says what those are told that end before anybody took them. */
export interface CallNames {
  /** An id that no other call has. */
  nextId(): string
  /** How a call of this id ends. */
  statusOf(code: RpcCode, text: string, id: string): PublicStatus
}

export interface UnaryPorts {
  readonly clock: Clock
  readonly calls: IncomingCalls
  readonly names: CallNames
}

type UnaryMethod = Extract<PublicMethod, { form: 'unary' }>

/** A stream that a client opened. */
export interface OpenedStream {
  readonly stream: ServerHttp2Stream
  readonly headers: IncomingHttpHeaders
  readonly connection: GrpcConnection
}

/** Takes a stream that was opened for a method. */
export function takeUnary(ports: UnaryPorts, method: UnaryMethod, opened: OpenedStream): void {
  new UnaryCall(ports, method, opened).open()
}

type Metadata = PublicStatus['metadata']

/** A message stands behind a flag that tells whether it is packed, and its length in four bytes. */
const FRAME_HEAD_BYTES = 5
const PLAIN = 0
const PACKED = 1
const NOTHING = Buffer.alloc(0)
const IDENTITY = 'identity'
const ENCODINGS = 'identity,deflate,gzip'

class UnaryCall extends IncomingCall implements OneRequest, OneAnswer {
  readonly path: string
  readonly remote: string
  request: Buffer = NOTHING
  readonly #connection: GrpcConnection
  readonly #ports: UnaryPorts
  readonly #method: UnaryMethod
  readonly #stream: ServerHttp2Stream
  readonly #headers: IncomingHttpHeaders
  /** What came of the request, with its frame's head. */
  #bytes: Buffer = NOTHING
  /** The memory that it grows in, where it came in pieces. */
  #room: Buffer = NOTHING
  #id: string | undefined
  #deadlineMs = Number.POSITIVE_INFINITY
  #deadline: Timer | undefined
  /** Whether it was answered, well or not; nothing more is read or said then. */
  #isAnswered = false
  #isOver = false
  #trailers: Readonly<Record<string, string>> | undefined
  #overs: (() => void)[] | undefined

  constructor(
    ports: UnaryPorts,
    method: UnaryMethod,
    { stream, headers, connection }: OpenedStream,
  ) {
    super()
    this.#ports = ports
    this.#method = method
    this.#stream = stream
    this.#headers = headers
    this.path = headers[':path'] ?? ''
    this.#connection = connection
    this.remote = connection.remote
  }

  /** Begins to read. */
  open(): void {
    const stream = this.#stream
    // Whatever went wrong, the stream closes.
    stream.on('error', ignore)
    stream.on('close', () => this.#close())
    this.#connection.enter()
    if (!this.#ports.calls.enter(this)) return
    const { ':method': verb, 'content-type': type = '', 'grpc-timeout': timeout } = this.#headers
    if (verb !== 'POST') this.#turnAway(NOT_POST)
    else if (!isGrpc(type)) this.#turnAway(NOT_GRPC)
    else if (timeout !== undefined) this.#limitTime(`${timeout}`)
    if (this.#isAnswered) return
    stream.on('data', (chunk: Buffer) => this.#read(chunk))
    stream.on('end', () => this.#whole())
  }

  // --- the request

  #read(chunk: Buffer): void {
    if (this.#isAnswered || !this.#ports.calls.took(this, chunk.length)) return
    this.#bytes = this.#bytes.length === 0 ? chunk : this.#gathered(chunk)
    const bytes = this.#bytes
    if (bytes.length < FRAME_HEAD_BYTES) return
    const sizeBytes = bytes.readUInt32BE(1)
    const most = limits.grpcMessageSizeBytes
    if (sizeBytes > most) {
      const text = `Received message larger than max (${sizeBytes} vs ${most})`
      this.#fail('RESOURCE_EXHAUSTED', text)
    } else if (bytes.length > FRAME_HEAD_BYTES + sizeBytes) {
      this.#fail('UNIMPLEMENTED', 'the method takes one message, and a second one came')
    }
  }

  /** Pieces may be as small as their sender likes: each is copied to what is there. */
  #gathered(chunk: Buffer): Buffer {
    const before = this.#bytes
    const sizeBytes = before.length + chunk.length
    if (this.#room.length < sizeBytes) {
      const most = FRAME_HEAD_BYTES + limits.grpcMessageSizeBytes
      this.#room = Buffer.allocUnsafeSlow(Math.max(sizeBytes, Math.min(2 * sizeBytes, most)))
      before.copy(this.#room)
    }
    chunk.copy(this.#room, before.length)
    return this.#room.subarray(0, sizeBytes)
  }

  /** The client has sent everything, or left. */
  #whole(): void {
    if (this.#isAnswered || this.#stream.closed || this.#stream.destroyed) return
    const bytes = this.#bytes
    if (bytes.length === 0) {
      this.#fail('UNIMPLEMENTED', 'the method takes one message, and none came')
      return
    }
    const isWhole =
      bytes.length >= FRAME_HEAD_BYTES && bytes.length === FRAME_HEAD_BYTES + bytes.readUInt32BE(1)
    const flag = bytes[0]
    if (!isWhole) this.#fail('INTERNAL', 'the request ends within its message')
    else if (flag === PLAIN) this.#take(bytes.subarray(FRAME_HEAD_BYTES))
    else if (flag === PACKED) this.#unpack(bytes.subarray(FRAME_HEAD_BYTES))
    else this.#fail('INTERNAL', `a frame of a message begins with 0 or 1, not ${flag}`)
  }

  #unpack(packed: Buffer): void {
    const encoding = this.header('grpc-encoding') ?? IDENTITY
    const unpack = UNPACKERS.get(encoding)
    if (unpack === undefined) {
      if (encoding === IDENTITY) {
        this.#fail('INTERNAL', 'a message is packed, and grpc-encoding does not say how')
      } else {
        const shown = JSON.stringify(encoding.slice(0, SHOWN))
        this.#fail('UNIMPLEMENTED', `no messages are read that are packed by ${shown}`)
      }
      return
    }
    const most = limits.grpcMessageSizeBytes
    unpack(packed, { maxOutputLength: most }, (error, bytes) => {
      if (this.#isAnswered || this.#isOver) return
      if (error === null) this.#take(bytes)
      else if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        const text = `Received message that decompresses to a size larger than ${most}`
        this.#fail('RESOURCE_EXHAUSTED', text)
      } else this.#fail('INTERNAL', 'Failed to decompress message')
    })
  }

  #take(request: Buffer): void {
    this.request = request
    this.#ports.calls.handed(this)
    this.#method.take(this, this)
  }

  // --- the deadline

  #limitTime(text: string): void {
    const timeoutMs = timeoutOf(text)
    if (timeoutMs === undefined) {
      this.#fail('INTERNAL', `Invalid grpc-timeout value ${JSON.stringify(text.slice(0, SHOWN))}`)
      return
    }
    this.#deadlineMs = this.#ports.clock.monotonic() + timeoutMs
    this.#expire()
  }

  /** Timers are shorter than deadlines may be. */
  #expire(): void {
    const { clock } = this.#ports
    const leftMs = this.#deadlineMs - clock.monotonic()
    if (leftMs > 0) this.#deadline = clock.after(leftMs, () => this.#expire())
    else this.#fail('DEADLINE_EXCEEDED', 'Deadline exceeded')
  }

  // --- what whoever takes it sees

  get id(): string {
    this.#id ??= this.#ports.names.nextId()
    return this.#id
  }

  get leftMs(): number | undefined {
    if (this.#deadlineMs === Number.POSITIVE_INFINITY) return undefined
    return Math.max(0, this.#deadlineMs - this.#ports.clock.monotonic())
  }

  header(name: string): string | undefined {
    const value = this.#headers[name]
    return Array.isArray(value) ? value.join(',') : value
  }

  get metadata(): Metadata {
    const metadata: Record<string, string | Buffer> = Object.create(null)
    for (const name in this.#headers) {
      if (name.startsWith(':') || OF_THE_WIRE.has(name)) continue
      const value = this.header(name)!
      metadata[name] = name.endsWith('-bin') ? Buffer.from(value, 'base64') : value
    }
    return metadata
  }

  onOver(over: () => void): void {
    if (this.#isOver) over()
    else if (this.#overs === undefined) this.#overs = [over]
    else this.#overs.push(over)
  }

  // --- the answer

  answer(message: Buffer, metadata: Readonly<Record<string, string>>): void {
    if (!this.#mayAnswer()) return
    const stream = this.#stream
    const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + message.length)
    frame[0] = PLAIN
    frame.writeUInt32BE(message.length, 1)
    message.copy(frame, FRAME_HEAD_BYTES)
    stream.respond(HEAD, WITH_TRAILERS)
    this.#trailers = metadata
    stream.on('wantTrailers', () => this.#sendTrailers())
    stream.end(frame)
  }

  refuse(status: PublicStatus): void {
    if (!this.#mayAnswer()) return
    const { code, text, metadata } = status
    const head: Record<string, string> = {
      ...HEAD_OF_REFUSALS,
      'grpc-status': `${codeNumbers[code]}`,
      'grpc-message': encodedText(text),
    }
    for (const name in metadata) head[name] = fieldOf(metadata[name]!)
    this.#stream.respond(head, { endStream: true })
    this.#leave()
  }

  /** For its bounds: too many, too much, too slow. */
  end(code: BoundCode, text: string): void {
    this.#fail(code, text)
  }

  reset(): void {
    this.#stream.close()
  }

  #sendTrailers(): void {
    const trailers: Record<string, string> = { 'grpc-status': '0' }
    for (const name in this.#trailers) trailers[name] = this.#trailers[name]!
    this.#stream.sendTrailers(trailers)
  }

  #fail(code: RpcCode, text: string): void {
    this.refuse(this.#ports.names.statusOf(code, text, this.id))
  }

  /** An answer of HTTP alone: whoever asks so does not speak gRPC. */
  #turnAway(head: Readonly<Record<string, string>>): void {
    if (!this.#mayAnswer()) return
    this.#stream.respond({ ...head, 'x-request-id': this.id }, { endStream: true })
    this.#leave()
  }

  /** The first who asks may, unless nobody is there any more. */
  #mayAnswer(): boolean {
    const stream = this.#stream
    if (this.#isAnswered || stream.destroyed || stream.closed) return false
    this.#isAnswered = true
    this.#deadline?.clear()
    return true
  }

  /** It was refused: whoever works at it hears so, and what its client still sends goes by. */
  #leave(): void {
    this.#bytes = NOTHING
    this.#room = NOTHING
    if (!this.#stream.readableEnded) this.#ports.calls.ended(this)
    this.#stream.resume()
    this.#tellOver()
  }

  #close(): void {
    this.#deadline?.clear()
    this.#connection.leave()
    this.#ports.calls.leave(this)
    this.#tellOver()
  }

  #tellOver(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const over of this.#overs ?? []) over()
    this.#overs = undefined
  }
}

const ignore = (): void => {}

/** As a list, which Node neither copies nor changes as long as it adds no date. */
const HEAD = [
  ...[':status', '200'],
  ...['content-type', 'application/grpc'],
  ...['grpc-accept-encoding', ENCODINGS],
]
const HEAD_OF_REFUSALS = {
  ':status': '200',
  'content-type': 'application/grpc',
  'grpc-accept-encoding': ENCODINGS,
}
const WITH_TRAILERS = { waitForTrailers: true, sendDate: false }
const NOT_GRPC = { ':status': '415' }
const NOT_POST = { ':status': '405', allow: 'POST' }

const UNPACKERS: ReadonlyMap<string, typeof gunzip> = new Map([
  ['gzip', gunzip],
  ['deflate', inflate],
])

/** What is said of a call itself, and is no metadata. */
const OF_THE_WIRE: ReadonlySet<string> = new Set([
  ...['grpc-timeout', 'grpc-encoding', 'grpc-accept-encoding'],
  ...['accept-encoding', 'te', 'content-type'],
])

/** `application/grpc`, with what the messages are in behind a `+`. */
const isGrpc = (type: string): boolean => /^application\/grpc($|[+;])/.test(type)

const TIMEOUT = /^([0-9]{1,8})([HMSmun])$/
const UNIT_MS: Readonly<Record<string, number>> = {
  ...{ H: HOUR_MS, M: MINUTE_MS, S: SECOND_MS },
  ...{ m: 1, u: 0.001, n: 0.000_001 },
}
/** How much of a value that is wrong is shown. */
const SHOWN = 32

/** A timeout in milliseconds; undefined where it is none. */
function timeoutOf(text: string): number | undefined {
  const [, digits, unit] = TIMEOUT.exec(text) ?? []
  return digits === undefined ? undefined : Number(digits) * UNIT_MS[unit!]!
}

const READABLE = /^[\x20-\x24\x26-\x7e]*$/

/** Text as `grpc-message` has it: of UTF-8, what is no visible ASCII as `%` and two digits. */
function encodedText(text: string): string {
  if (READABLE.test(text)) return text
  let encoded = ''
  for (const byte of Buffer.from(text)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25
    encoded += isPlain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

const fieldOf = (value: string | Buffer): string =>
  typeof value === 'string' ? value : value.toString('base64')
