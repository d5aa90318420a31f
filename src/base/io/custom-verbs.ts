/**
 * Verbs that Node's HTTP parser does not know: Vault's LIST and SCAN.
 *
 * Owns the bytes of a connection until Node's own listener gets them. At the beginning of a
 * message, and nowhere else, a verb of ours is written as one that the parser knows, and read back
 * when the head is through. Everything after the verb is Node's: heads, bodies, bounds of time,
 * errors. Rests on what node:http does inside (docs/hacking.md), which is asserted as far as it
 * can be when a connection comes.
 */
import assert from 'node:assert/strict'
import { type IncomingMessage, METHODS } from 'node:http'
import type { Socket } from 'node:net'

/** A verb of ours, and the parser's that stands for it on the way through. */
interface Verb {
  readonly name: string
  readonly standIn: string
  /** How many letters the two begin with alike: these may pass before it is clear which it is. */
  readonly shared: number
}

/** Reads what a connection sends instead of Node, which gets it from here. */
export type TakeVerbs = (socket: Socket) => void

/** Node's parser, as far as it is used here. */
interface Parser {
  readonly constructor: { readonly kOnMessageBegin: number }
  onIncoming: (message: IncomingMessage, keepAlive: boolean) => number
  [event: number]: unknown
}

const CR = 0x0d
const LF = 0x0a

/**
 * Makes what is to be called with each connection once Node listens to it ('connection', and over
 * TLS 'secureConnection'). Throws for verbs with the same first letter.
 */
export function takingVerbs(names: readonly string[]): TakeVerbs {
  const verbs = new Map(names.map(name => [name.charCodeAt(0), verbOf(name)]))
  assert.equal(verbs.size, names.length, 'two verbs begin with the same letter')
  return socket => {
    new VerbReader(verbs, socket)
  }
}

function verbOf(name: string): Verb {
  const [first = ''] = name
  const standIn = METHODS.find(method => method.startsWith(first))
  assert.ok(!METHODS.includes(name) && standIn !== undefined, `no verb can stand in for ${name}`)
  let shared = 1
  while (name[shared] === standIn[shared]) shared++
  return { name, standIn, shared }
}

/** One connection. */
class VerbReader {
  readonly #verbs: ReadonlyMap<number, Verb>
  /** Node's own listener: hands bytes to the parser, and sees to what it says of them. */
  readonly #parse: (chunk: Buffer) => void
  /** What was read of a verb of ours that is not whole yet, of which its shared part has passed. */
  #begun = ''
  /** The verb of ours that the message under way has, if it has one. */
  #verb: Verb | undefined
  /** The parser has seen the first letter of a message, and `#message` is not it yet. */
  #isInHead = false
  #message: IncomingMessage | undefined

  constructor(verbs: ReadonlyMap<number, Verb>, socket: Socket) {
    this.#verbs = verbs
    const { parser } = socket as Socket & { parser: Parser }
    const [parse, ...others] = socket.listeners('data')
    assert.ok(
      parse !== undefined && others.length === 0,
      'node:http listens for data in another way',
    )
    this.#parse = parse as (chunk: Buffer) => void
    const { kOnMessageBegin } = parser.constructor
    assert.equal(typeof kOnMessageBegin, 'number', 'node:http begins messages in another way')
    const { onIncoming } = parser
    assert.equal(typeof onIncoming, 'function', 'node:http gives messages in another way')
    // Node takes both back when it puts the parser by for another connection.
    parser[kOnMessageBegin] = () => {
      this.#isInHead = true
    }
    parser.onIncoming = (message, keepAlive) => {
      this.#isInHead = false
      this.#message = message
      if (this.#verb !== undefined) message.method = this.#verb.name
      this.#verb = undefined
      return onIncoming(message, keepAlive)
    }
    socket.removeListener('data', this.#parse)
    // A listener of ours takes the socket from the parser, which would read it without asking us.
    socket.on('data', (chunk: Buffer) => {
      // A connection that was given up has no parser: it serves another one by now.
      if ((socket as { parser?: unknown }).parser === parser) this.#read(chunk)
    })
  }

  #read(chunk: Buffer): void {
    if (this.#begun !== '') this.#goOn(chunk)
    else if (this.#isBetween()) this.#begin(chunk)
    else this.#parse(chunk)
  }

  /** Whether the next letter is the first of a message. */
  #isBetween(): boolean {
    return !this.#isInHead && this.#message?.complete !== false
  }

  #begin(chunk: Buffer): void {
    let start = 0
    // Empty lines before a message are none (RFC 9112 §2.2).
    while (chunk[start] === CR || chunk[start] === LF) start++
    const verb = this.#verbs.get(chunk[start] ?? LF)
    if (verb === undefined) this.#parse(chunk)
    else this.#decide(verb, '', chunk.subarray(start))
  }

  #goOn(chunk: Buffer): void {
    const verb = this.#verbs.get(this.#begun.charCodeAt(0))
    assert.ok(verb !== undefined, 'what was begun is a verb')
    const begun = this.#begun
    this.#begun = ''
    this.#decide(verb, begun, chunk)
  }

  /** `begun` is what was read of the message before; its shared part the parser has. */
  #decide(verb: Verb, begun: string, chunk: Buffer): void {
    const { name, standIn, shared } = verb
    const whole = `${name} `
    const missing = whole.length - begun.length
    const text = begun + chunk.toString('latin1', 0, missing)
    const passed = Math.min(begun.length, shared)
    const rest = chunk.subarray(missing)
    if (text === whole) {
      this.#verb = verb
      this.#parse(Buffer.concat([Buffer.from(`${standIn} `.slice(passed)), rest]))
    } else if (whole.startsWith(text)) {
      this.#begun = text
      // The parser's bounds of time begin with the first letter that it sees.
      const passing = text.slice(passed, shared)
      if (passing !== '') this.#parse(Buffer.from(passing))
    } else if (passed === begun.length) this.#parse(chunk)
    else this.#parse(Buffer.concat([Buffer.from(begun.slice(passed)), chunk]))
  }
}
