/**
 * `Transit.EncryptStream` and `DecryptStream`: large data in chunks, as one authenticated whole.
 *
 * Owns the order of messages, whose rights hold (those of `encrypt` and `decrypt` of the key, asked
 * again while data comes), the records of beginning and end, and that no message holds the loop.
 * The format is src/base/sealed-stream.ts's; the stream's own key is sealed by the path `encrypt`.
 */
import type { Timer } from '../../base/clock.ts'
import { messageOf, Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import {
  isChunkSize,
  readHead,
  STREAM_KEY_SIZE_BYTES,
  STREAM_PREFIX_SIZE_BYTES,
  StreamFault,
  StreamOpener,
  StreamSealer,
  usualChunkSizeBytes,
} from '../../base/sealed-stream.ts'
import { afterPoll, loopMs } from '../../base/slices.ts'
import type { SecretsRequest } from '../../secrets/decide.ts'
import type { JsonObject } from '../../secrets/field.ts'
import {
  decidedInside,
  duplex,
  type GrpcCall,
  GrpcFailure,
  type GrpcIn,
  type GrpcMethod,
  type GrpcOut,
} from '../declare.ts'
import { type Ending, endingOf } from '../status.ts'
import { Door, dataIn, type SecretsGrpcPorts, type Told } from './door.ts'

interface Begin {
  readonly mount: string
  readonly key: string
  readonly context: Buffer
  readonly associatedData: Buffer
  readonly namespace: string
}

interface SealBegin extends Begin {
  readonly keyVersion: number
  readonly chunkSizeBytes: number
}

/** Either is null or not there where the message holds the other one. */
interface Part<B> {
  readonly begin?: B | null
  readonly data?: Buffer | null
}

interface AnswerPart {
  readonly data?: Buffer
  readonly end?: object
}

const protoFile = 'gatehouse/v1/transit.proto'
const SERVICE = 'gatehouse.v1.Transit'
const DEFAULT_MOUNT = 'transit'

/** The path of an operation with a key. */
export const transitPath = (
  operation: string,
  { mount, key }: { readonly mount: string; readonly key: string },
): string => `${mount || DEFAULT_MOUNT}/${operation}/${key}`

/** The two methods. */
export function streamMethods(ports: SecretsGrpcPorts): readonly GrpcMethod[] {
  const slots = new Slots()
  return [
    duplex<Part<SealBegin>, AnswerPart>({
      ...{ protoFile, path: `${SERVICE}/EncryptStream`, effect: 'reads', access: decidedInside },
      summary: 'Encrypts data of any size as one stream.',
      open: (call, out) => new Sealing(ports, slots, call, out).input,
    }),
    duplex<Part<Begin>, AnswerPart>({
      ...{ protoFile, path: `${SERVICE}/DecryptStream`, effect: 'reads', access: decidedInside },
      summary: 'Decrypts a stream.',
      open: (call, out) => new Opening(ports, slots, call, out).input,
    }),
  ]
}

const TOO_MANY = new Refusal(
  429,
  `more than ${limits.transitStreams} streams are encrypted or decrypted`,
)
/** Streams whose clients were found to have the right: those alone take up room. */
class Slots {
  readonly #taken = new Set<object>()

  /** A refusal where there is no room for one more. */
  take(stream: object): Refusal | undefined {
    if (this.#taken.size >= limits.transitStreams) return TOO_MANY
    this.#taken.add(stream)
    return undefined
  }

  give(stream: object): void {
    this.#taken.delete(stream)
  }
}

const NO_BEGIN = new Refusal(400, 'begin: the first message must hold it')
const BEGUN_TWICE = new Refusal(400, 'begin: the stream has begun already')
const TOO_LONG = new Refusal(
  413,
  `a stream holds no more than ${limits.transitStreamSizeBytes} bytes. See docs/limits.md.`,
)

/** The life of a stream, whichever way it goes. */
abstract class Streaming<B extends Begin> {
  protected readonly door: Door
  protected readonly ports: SecretsGrpcPorts
  protected readonly call: GrpcCall
  protected plaintextSizeBytes = 0
  readonly #out: GrpcOut<AnswerPart>
  readonly #slots: Slots
  #idle: Timer | undefined
  #hasBegun = false
  /** What the stream stands on, once it was asked for. */
  #told: Told | undefined
  /** The same request without the key of the stream: what must be allowed as long as it goes. */
  #lasting: SecretsRequest | undefined
  #askedMs = 0
  #isOver = false
  /** What came of one message after the other. Never rejects. */
  #work: Promise<void> = Promise.resolve()

  constructor(ports: SecretsGrpcPorts, slots: Slots, call: GrpcCall, out: GrpcOut<AnswerPart>) {
    this.door = new Door(ports)
    this.ports = ports
    this.call = call
    this.#out = out
    this.#slots = slots
    this.#wait()
  }

  /** Begins; a stream whose key is not known yet asks for it in `ready`. */
  protected abstract begin(begin: B): Promise<Refusal | undefined>
  /** What of data that came is for `push`. */
  protected abstract ready(data: Buffer): Promise<Buffer | Refusal>
  /** Takes data; gives what is to be sent, step by step. */
  protected abstract push(data: Buffer): Generator<Buffer>
  /** The last data, and what the end says. */
  protected abstract last(): { readonly data: Buffer; readonly end: object }
  protected abstract get chunks(): number
  protected abstract wipe(): void

  get input(): GrpcIn<Part<B>> {
    const next = (step: () => Promise<Refusal | undefined>): Promise<void> => {
      this.#work = this.#work.then(() => this.#trying(step))
      return this.#work
    }
    return {
      onMessage: ({ begin, data }) => next(() => this.#take(begin ?? undefined, data ?? undefined)),
      onEnd: () => void next(() => this.#finish()),
    }
  }

  /** Whoever sends nothing for long is not waited for. */
  #wait(): void {
    this.#idle?.clear()
    this.#idle = this.ports.clock.after(limits.transitStreamIdleMs, () => {
      if (!this.#isOver) void this.#end(IDLE)
    })
  }

  /** Asks for the stream's key, or for it to be kept: by the path, for whoever may use that. */
  protected async asked(
    { mount, key, namespace, context }: Begin,
    operation: 'encrypt' | 'decrypt',
    data: JsonObject,
  ): Promise<Told | Refusal> {
    const told = await this.door.get(this.call, {
      operation: 'update',
      path: transitPath(operation, { mount, key }),
      namespace,
      data: { ...data, ...(context.length > 0 && { context: context.toString('base64') }) },
      stream: { phase: 'begin' },
    })
    if (told instanceof Refusal) return told
    const refused = this.#slots.take(this)
    if (refused !== undefined) return refused
    const { plaintext: _key, ...lasting } = told.request.data
    this.#told = told
    this.#lasting = { ...told.request, data: lasting }
    this.#askedMs = this.ports.clock.monotonic()
    return told
  }

  async #trying(step: () => Promise<Refusal | undefined>): Promise<void> {
    if (this.#isOver) return
    try {
      const refused = await step()
      if (!this.#isOver) this.#wait()
      if (refused !== undefined) await this.#end(refused)
    } catch (error) {
      await this.#end(error instanceof StreamFault ? changed(error) : error)
    }
  }

  async #take(begin: B | undefined, data: Buffer | undefined): Promise<Refusal | undefined> {
    if (begin !== undefined) return this.#hasBegun ? BEGUN_TWICE : this.#begin(begin)
    if (!this.#hasBegun) return NO_BEGIN
    if (data === undefined || data.length === 0) return undefined
    if (this.plaintextSizeBytes + data.length > limits.transitStreamSizeBytes) return TOO_LONG
    const refused = this.#refuseAgain()
    if (refused !== undefined) return refused
    const ready = await this.ready(data)
    return ready instanceof Refusal ? ready : this.#pass(ready)
  }

  #begin(begin: B): Promise<Refusal | undefined> | Refusal {
    this.#hasBegun = true
    const bound = limits.transitStreamAssociatedSizeBytes
    return begin.associatedData.length > bound
      ? new Refusal(400, `associated_data: more than ${bound} bytes`)
      : this.begin(begin)
  }

  /** Sends what comes of data: small chunks together, as each message has its price. */
  async #pass(data: Buffer): Promise<undefined> {
    let startedMs = loopMs()
    let parts: Buffer[] = []
    let sizeBytes = 0
    for (const part of this.push(data)) {
      parts.push(part)
      sizeBytes += part.length
      const isLate = loopMs() - startedMs >= limits.sliceMs / 2
      if (!isLate && sizeBytes < TOGETHER_SIZE_BYTES) continue
      await this.#send(parts)
      if (this.#isOver) return
      parts = []
      sizeBytes = 0
      if (isLate) await giveBack()
      startedMs = loopMs()
    }
    await this.#send(parts)
  }

  /** Rights are asked for again from time to time: what was revoked goes on no longer. */
  #refuseAgain(): Refusal | undefined {
    const nowMs = this.ports.clock.monotonic()
    const isDue = nowMs - this.#askedMs >= limits.secretsStreamRightsMs
    if (!isDue || this.#lasting === undefined) return undefined
    this.#askedMs = nowMs
    const plan = this.door.permits(this.#lasting)
    return plan instanceof Refusal ? plan : undefined
  }

  async #send(parts: readonly Buffer[]): Promise<void> {
    const data = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    if (data.length > 0 && !this.#out.send({ data })) await this.#out.drained()
  }

  async #finish(): Promise<Refusal | undefined> {
    // Of a client that leaves, the end of its data is heard before that it left.
    await giveBack()
    if (this.#isOver) return undefined
    if (this.call.signal.aborted) throw LEFT
    if (!this.#hasBegun) return NO_BEGIN
    const refused = this.#refuseAgain()
    if (refused !== undefined) return refused
    const { data, end } = this.last()
    await this.#send([data])
    await this.#end(undefined, end)
    return undefined
  }

  /** Ends the stream: the record of that first, then the client is told. */
  async #end(fault: unknown, end?: object): Promise<void> {
    this.#isOver = true
    this.#idle?.clear()
    this.#slots.give(this)
    const { plaintextSizeBytes, chunks } = this
    this.wipe()
    const facts = { phase: 'end', plaintextSizeBytes, chunks, isWhole: end !== undefined } as const
    const ending = fault === undefined ? undefined : endingOf(fault)
    if (ending?.code === 'INTERNAL' && !(fault instanceof Refusal)) {
      this.ports.log.error('a stream failed', { error: messageOf(fault) })
    }
    const status = fault instanceof GrpcFailure && fault.code === 'DATA_LOSS' ? 400 : ending?.status
    const refusal = ending && new Refusal(status ?? 500, ending.text)
    try {
      if (this.#told !== undefined) await this.door.note(this.#told, facts, refusal)
    } catch (error) {
      this.#out.end(failureOf(endingOf(error)))
      return
    }
    if (end !== undefined) this.#out.send({ end })
    this.#out.end(ending && failureOf(ending))
  }
}

const TOGETHER_SIZE_BYTES = 131_072
const giveBack = (): Promise<void> => new Promise(afterPoll)
const IDLE = new GrpcFailure('DEADLINE_EXCEEDED', 'nothing came for too long')
const LEFT = new GrpcFailure('CANCELLED', 'the client left')
const changed = ({ message }: StreamFault): GrpcFailure =>
  new GrpcFailure('DATA_LOSS', message, { reason: 'NOT_AUTHENTIC' })
const failureOf = ({ code, text, details }: Ending): GrpcFailure =>
  new GrpcFailure(code, text, details)

class Sealing extends Streaming<SealBegin> {
  #sealer: StreamSealer | undefined
  #version = 0
  #sizeBytes = 0

  protected get chunks(): number {
    return this.#sealer?.chunks ?? 0
  }

  protected async begin(begin: SealBegin): Promise<Refusal | undefined> {
    const chunkSizeBytes = begin.chunkSizeBytes || usualChunkSizeBytes
    if (!isChunkSize(chunkSizeBytes)) return WRONG_CHUNKS
    const { random } = this.ports
    const key = random.bytes(STREAM_KEY_SIZE_BYTES)
    const { keyVersion, associatedData } = begin
    const told = await this.asked(begin, 'encrypt', {
      plaintext: key.toString('base64'),
      ...(keyVersion > 0 && { key_version: keyVersion }),
    })
    if (told instanceof Refusal) return told
    const given = dataIn<{ ciphertext: string; key_version: number }>(told.answer)
    if (given.ciphertext === undefined) return NO_TRANSIT
    const prefix = random.bytes(STREAM_PREFIX_SIZE_BYTES)
    const head = { chunkSizeBytes, prefix, wrappedKey: given.ciphertext }
    this.#sealer = new StreamSealer(key, head, associatedData)
    key.fill(0)
    this.#version = given.key_version ?? 0
    return undefined
  }

  protected ready(data: Buffer): Promise<Buffer> {
    return Promise.resolve(data)
  }

  protected *push(data: Buffer): Generator<Buffer> {
    yield* this.#head()
    this.plaintextSizeBytes += data.length
    for (const sealed of this.#sealer!.push(data)) yield this.#counted(sealed)
  }

  *#head(): Generator<Buffer> {
    if (this.#sizeBytes === 0) yield this.#counted(this.#sealer!.head)
  }

  #counted(bytes: Buffer): Buffer {
    this.#sizeBytes += bytes.length
    return bytes
  }

  protected last() {
    const head = [...this.#head()]
    const data = Buffer.concat([...head, this.#counted(this.#sealer!.end())])
    const { plaintextSizeBytes, chunks } = this
    const end = {
      plaintextSizeBytes,
      sizeBytes: this.#sizeBytes,
      chunks,
      keyVersion: this.#version,
    }
    return { data, end }
  }

  protected wipe(): void {
    this.#sealer?.wipe()
  }
}

const WRONG_CHUNKS = new Refusal(
  400,
  'chunk_size_bytes: must be a power of two from 4096 to 1048576',
)
const NO_TRANSIT = new Refusal(400, 'the mount is none of transit')

class Opening extends Streaming<Begin> {
  #begun: Begin | undefined
  /** What came before the head was whole. */
  #held: Buffer = NOTHING
  #opener: StreamOpener | undefined
  #version = 0

  protected get chunks(): number {
    return this.#opener?.chunks ?? 0
  }

  protected begin(begin: Begin): Promise<undefined> {
    this.#begun = begin
    return Promise.resolve(undefined)
  }

  /** The key stands in the head. */
  protected async ready(data: Buffer): Promise<Buffer | Refusal> {
    if (this.#opener !== undefined) return data
    this.#held = Buffer.concat([this.#held, data])
    const read = readHead(this.#held)
    if (read === undefined) return NOTHING
    const { head, sizeBytes } = read
    const { associatedData } = this.#begun!
    // A text of transit that can be spelt otherwise would be a change that nobody notices.
    if (!isCanonical(head.wrappedKey)) throw new StreamFault('the head holds no key')
    const told = await this.asked(this.#begun!, 'decrypt', { ciphertext: head.wrappedKey })
    if (told instanceof Refusal) return told
    const { plaintext } = dataIn<{ plaintext: string }>(told.answer)
    if (plaintext === undefined) return NO_TRANSIT
    const key = Buffer.from(plaintext, 'base64')
    if (key.length !== STREAM_KEY_SIZE_BYTES) throw new StreamFault('the head holds no key')
    this.#opener = new StreamOpener(key, head, associatedData)
    key.fill(0)
    this.#version = Number(/^\w+:v(\d+):/.exec(head.wrappedKey)?.[1] ?? 0)
    const rest = this.#held.subarray(sizeBytes)
    this.#held = NOTHING
    return rest
  }

  protected *push(data: Buffer): Generator<Buffer> {
    if (data.length === 0) return
    for (const plaintext of this.#opener!.push(data)) yield this.#counted(plaintext)
  }

  #counted(plaintext: Buffer): Buffer {
    this.plaintextSizeBytes += plaintext.length
    return plaintext
  }

  protected last() {
    if (this.#opener === undefined) throw new StreamFault('the stream was cut off')
    const data = this.#counted(this.#opener.end())
    const { plaintextSizeBytes, chunks } = this
    return { data, end: { plaintextSizeBytes, chunks, keyVersion: this.#version } }
  }

  protected wipe(): void {
    this.#opener?.wipe()
    this.#held = NOTHING
  }
}

const NOTHING = Buffer.alloc(0)

function isCanonical(wrappedKey: string): boolean {
  const payload = /^[a-z]+:v[1-9]\d*:(.+)$/.exec(wrappedKey)?.[1]
  return payload !== undefined && Buffer.from(payload, 'base64').toString('base64') === payload
}
