/**
 * Bodies of requests, each as one buffer.
 *
 * Owns their reading: each within its bound, and all that are held at a time within theirs, counted
 * until they are answered. What fits in a packet or two is never refused for what others send.
 * Knows no route and no listener. How fast a body must come is http-listener.ts's work.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Why a body is not handed on: it is too large, or there is too much of others' at the time. */
export type UnreadBody = 'too large' | 'too many'

/** Who takes a body. */
export interface BodyTaker {
  readonly bodySizeBytes: number
  readonly handle: (message: IncomingMessage, response: ServerResponse, body: Buffer) => void
  /** Answers what is not handed on. The rest of the body may still come. */
  readonly refuse: (message: IncomingMessage, response: ServerResponse, why: UnreadBody) => void
}

export const NO_BODY = Buffer.alloc(0)
/** Verbs whose bodies say nothing: Node lets them go by. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'LIST', 'SCAN', 'OPTIONS'])

/** The bound of all bodies at a time: of each counts what is beyond `uncountedSizeBytes`. */
export interface BodiesBound {
  readonly bodiesSizeBytes: number
  readonly uncountedSizeBytes: number
}

/** Bodies without a bound of all together. */
export const UNBOUNDED: BodiesBound = {
  bodiesSizeBytes: Number.POSITIVE_INFINITY,
  uncountedSizeBytes: Number.POSITIVE_INFINITY,
}

/**
 * Whether all of a body came, and nobody read of it yet. Node says that a message is complete only
 * after the turn in which the last of its bytes are told of: where its length is known, that is
 * earlier, and nobody has to listen for the rest.
 */
export const isHere = (message: IncomingMessage): boolean =>
  message.complete || message.readableLength === Number(message.headers['content-length'])

export class BodyReader {
  readonly #bound: BodiesBound
  readonly #share: Share

  constructor(bound: BodiesBound) {
    this.#bound = bound
    this.#share = new Share(bound.bodiesSizeBytes)
  }

  /** Reads a request's body; what has none is handed on at once. */
  read(taker: BodyTaker, message: IncomingMessage, response: ServerResponse): void {
    const { headers, method = '' } = message
    const said = headers['content-length']
    const isEmpty = said === undefined ? headers['transfer-encoding'] === undefined : said === '0'
    if (isEmpty || BODILESS.has(method)) taker.handle(message, response, NO_BODY)
    else if (Number(said) > taker.bodySizeBytes) taker.refuse(message, response, 'too large')
    // Most have come with their head: they are whole once its packet is parsed.
    else process.nextTick(this.#take, taker, message, response)
  }

  readonly #take = (taker: BodyTaker, message: IncomingMessage, response: ServerResponse): void => {
    const body = isHere(message) ? (message.read() as Buffer | null) : undefined
    const sizeBytes = body?.length ?? 0
    if (body === undefined || sizeBytes > this.#countedFrom(taker)) {
      new Coming(taker, this.#bound, this.#share, { message, response }).begin(body ?? undefined)
    } else if (!message.destroyed) taker.handle(message, response, body ?? NO_BODY)
  }

  /** What is larger is counted, or refused. */
  #countedFrom({ bodySizeBytes }: BodyTaker): number {
    return Math.min(bodySizeBytes, this.#bound.uncountedSizeBytes)
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
  readonly #taker: BodyTaker
  readonly #bound: BodiesBound
  readonly #share: Share
  readonly #message: IncomingMessage
  readonly #response: ServerResponse
  #pieces: Buffer[] = []
  #sizeBytes = 0
  #countedBytes = 0
  #isOver = false

  constructor(
    taker: BodyTaker,
    bound: BodiesBound,
    share: Share,
    { message, response }: { message: IncomingMessage; response: ServerResponse },
  ) {
    this.#taker = taker
    this.#bound = bound
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
    if (this.#sizeBytes > this.#taker.bodySizeBytes) this.#refuse('too large')
    else if (!this.#count()) this.#refuse('too many')
  }

  #count(): boolean {
    const beyond = this.#sizeBytes - this.#bound.uncountedSizeBytes - this.#countedBytes
    if (beyond <= 0) return true
    if (!this.#share.take(beyond)) return false
    this.#countedBytes += beyond
    return true
  }

  #refuse(why: UnreadBody): void {
    this.#leave()
    this.#release()
    this.#taker.refuse(this.#message, this.#response, why)
  }

  readonly #end = (): void => {
    if (this.#isOver) return
    this.#leave()
    const [first = NO_BODY] = this.#pieces
    const body = this.#pieces.length < 2 ? first : Buffer.concat(this.#pieces, this.#sizeBytes)
    this.#pieces = []
    if (!this.#message.destroyed || this.#message.complete) {
      this.#taker.handle(this.#message, this.#response, body)
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
