/**
 * A listener whose requests all go to one handler, each with its body as one buffer.
 *
 * Owns the reading of bodies: each within its bound, and all that are held at a time within theirs,
 * counted until they are answered. What fits in a packet or two is never refused for what others
 * send. Knows no route and no fastify: where one handler takes every path, a router costs half of
 * what Node itself does. Listening is http-listener.ts's work.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SecureOptions } from '../tls.ts'
import { HttpListeners, type ListenerOptions } from './http-listener.ts'
import { takeOriginForm } from './origin-form.ts'

/** Why a request does not reach its handler: its target, its body, or what others sent already. */
export type Unread = 'unreadable' | 'too large' | 'too many'

export interface WholeOptions extends ListenerOptions {
  /** Sees every request first, before its body is read; false when it has answered it. */
  readonly admit: (message: IncomingMessage, response: ServerResponse) => boolean
  readonly handle: (message: IncomingMessage, response: ServerResponse, body: Buffer) => void
  /** Answers what is not handed on. The rest of the body may still come. */
  readonly refuse: (message: IncomingMessage, response: ServerResponse, why: Unread) => void
  readonly bodySizeBytes: number
  /** Of all bodies at a time, of each what is beyond `uncountedSizeBytes`. */
  readonly bodiesSizeBytes: number
  readonly uncountedSizeBytes: number
}

export interface WholeServer {
  /**
   * Listens on one more address, in clear unless TLS is given; port 0 binds a free one. Throws the
   * system's error, with its `code`.
   */
  listen(
    host: string,
    port: number,
    secure?: SecureOptions,
  ): Promise<{ host: string; port: number }>
  /** Has TLS listeners speak by these options from now on; connections that are there go on. */
  secure(options: SecureOptions): void
  /** Changes how many connections a client may have that come from now on. */
  limitClients(connections: number): void
  /** Stops listening, ends idle connections, and resolves when the last request was answered. */
  close(): Promise<void>
  /** Cuts the connections that are still there. */
  cut(): void
}

const NO_BODY = Buffer.alloc(0)
/** Verbs whose bodies say nothing: Node lets them go by. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'LIST', 'SCAN', 'OPTIONS'])

/** Creates a server that is not listening yet. */
export function createWholeServer(options: WholeOptions): WholeServer {
  const share = new Share(options.bodiesSizeBytes)
  const listeners = new HttpListeners(options, (message, response) => {
    if (!takeOriginForm(message)) options.refuse(message, response, 'unreadable')
    else if (options.admit(message, response)) receive(options, share, message, response)
  })
  return {
    listen: (host, port, secure) => listeners.listen(host, port, secure),
    secure: secure => listeners.secure(secure),
    limitClients(connections) {
      listeners.connectionsPerClient = connections
    },
    close: () => listeners.close(),
    cut: () => listeners.cut(),
  }
}

function receive(
  options: WholeOptions,
  share: Share,
  message: IncomingMessage,
  response: ServerResponse,
): void {
  const { headers, method = '' } = message
  const said = headers['content-length']
  const isEmpty = said === undefined ? headers['transfer-encoding'] === undefined : said === '0'
  if (isEmpty || BODILESS.has(method)) options.handle(message, response, NO_BODY)
  else if (Number(said) > options.bodySizeBytes) options.refuse(message, response, 'too large')
  else {
    // Most have come with their head: they are whole once its packet is parsed.
    process.nextTick(() => {
      const body = message.complete ? (message.read() as Buffer | null) : undefined
      if (body === undefined || (body?.length ?? 0) > options.uncountedSizeBytes) {
        new Coming(options, share, { message, response }).begin(body ?? undefined)
      } else if (!message.destroyed) options.handle(message, response, body ?? NO_BODY)
    })
  }
}

/** How much of all bodies is held. */
class Share {
  readonly #sizeBytes: number
  #takenBytes = 0

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes
  }

  /** Takes so much, if it is there. */
  take(sizeBytes: number): boolean {
    if (this.#takenBytes + sizeBytes > this.#sizeBytes) return false
    this.#takenBytes += sizeBytes
    return true
  }

  giveBack(sizeBytes: number): void {
    this.#takenBytes -= sizeBytes
  }
}

/** A body that comes in several pieces, or is a large one. */
class Coming {
  readonly #options: WholeOptions
  readonly #share: Share
  readonly #message: IncomingMessage
  readonly #response: ServerResponse
  #pieces: Buffer[] = []
  #sizeBytes = 0
  #countedBytes = 0
  #isOver = false

  constructor(
    options: WholeOptions,
    share: Share,
    { message, response }: { message: IncomingMessage; response: ServerResponse },
  ) {
    this.#options = options
    this.#share = share
    this.#message = message
    this.#response = response
  }

  /** Reads on behind what was read, if anything was: then it is the whole. */
  begin(whole?: Buffer): void {
    const message = this.#message
    this.#response.once('close', () => this.#release())
    if (whole !== undefined) {
      this.#add(whole)
      this.#end()
      return
    }
    message.on('data', this.#add)
    message.once('end', this.#end)
    // Who left is answered nothing: the end of the connection tells everybody.
    message.on('error', () => {})
  }

  readonly #add = (piece: Buffer): void => {
    if (this.#isOver) return
    this.#sizeBytes += piece.length
    this.#pieces.push(piece)
    if (this.#sizeBytes > this.#options.bodySizeBytes) this.#refuse('too large')
    else if (!this.#count()) this.#refuse('too many')
  }

  #count(): boolean {
    const beyond = this.#sizeBytes - this.#options.uncountedSizeBytes - this.#countedBytes
    if (beyond <= 0) return true
    if (!this.#share.take(beyond)) return false
    this.#countedBytes += beyond
    return true
  }

  #refuse(why: Unread): void {
    this.#leave()
    this.#release()
    this.#options.refuse(this.#message, this.#response, why)
  }

  readonly #end = (): void => {
    if (this.#isOver) return
    this.#leave()
    const [first = NO_BODY] = this.#pieces
    const body = this.#pieces.length < 2 ? first : Buffer.concat(this.#pieces, this.#sizeBytes)
    this.#pieces = []
    if (!this.#message.destroyed || this.#message.complete) {
      this.#options.handle(this.#message, this.#response, body)
    }
  }

  /** Reads no further. */
  #leave(): void {
    this.#isOver = true
    this.#message.off('data', this.#add)
    this.#message.off('end', this.#end)
  }

  #release(): void {
    this.#isOver = true
    this.#pieces = []
    this.#share.giveBack(this.#countedBytes)
    this.#countedBytes = 0
  }
}
