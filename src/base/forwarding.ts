/**
 * A request that reached another agent than the one that answers it, and where its answer goes.
 *
 * Owns the words between what carries forwarded requests (rpc) and what answers them (http), which
 * do not know each other. Bodies go in pieces, and nobody sends the next before the last was taken.
 */

/** The agent that a client spoke to. */
export interface ForwardingAgent {
  readonly node: string
  readonly nodeId: string
}

/** The head of a request as the first agent got it. */
export interface ForwardedHead {
  readonly method: string
  /** Path and query as they came, with their escapes. */
  readonly target: string
  /** Names in lower case, each once; nothing that concerns one connection alone. */
  readonly headers: Readonly<Record<string, string>>
  /** The client's address as the first agent saw it; '' for a socket in a file. */
  readonly remote: string
  readonly agent: ForwardingAgent
}

/** Where an answer goes. Nothing comes after `end` or `cut`. */
export interface AnswerSink {
  /** `lines` are names and values in turn. */
  head(status: number, lines: readonly string[]): void
  /** `taken` is called when the next piece may come. */
  body(piece: Buffer, taken: () => void): void
  end(): void
  /** The answer ends here although it is not whole. */
  cut(): void
}

/** How the body of a request is handed on, and that its client left. */
export interface RequestFeed {
  push(piece: Buffer): void
  end(): void
  leave(): void
}

/** What answers forwarded requests. `wanted` says that so many more bytes of the body may come. */
export type TakeForwarded = (
  head: ForwardedHead,
  sink: AnswerSink,
  wanted: (sizeBytes: number) => void,
) => RequestFeed

/**
 * Headers that concern one connection alone (RFC 9110 §7.6.1), and what the length and form of a
 * body are told by otherwise.
 */
const ofConnection: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
])

/** Whether a header travels on; `named` are those that Connection names, in lower case. */
export const travels = (name: string, named: readonly string[] = []): boolean =>
  !ofConnection.has(name) && !named.includes(name)

/** The names that a Connection header holds, in lower case. */
export const namedByConnection = (value: string | undefined): readonly string[] =>
  value === undefined
    ? []
    : value
        .toLowerCase()
        .split(',')
        .map(name => name.trim())
