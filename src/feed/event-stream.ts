/**
 * Server-sent events as they come in: bytes to events (HTML Living Standard, section 9.2).
 *
 * Owns the grammar and its bound: an event that is larger is an error, and nothing is kept of it.
 * Knows no feed. Pure.
 */

/** One event. */
export interface ServerEvent {
  /** `message` where none is named. */
  readonly event: string
  readonly data: string
  /** The id that came with this event; undefined where none did. */
  readonly id: string | undefined
}

export class EventStream {
  readonly #maxSizeBytes: number
  readonly #decoder = new TextDecoder()
  /** The line that has not ended yet, in the pieces that it came in. */
  #pieces: string[] = []
  #sizeBytes = 0
  #event = ''
  #data: string[] = []
  #id: string | undefined

  constructor(maxSizeBytes: number) {
    this.#maxSizeBytes = maxSizeBytes
  }

  /** Takes bytes; gives the events that ended in them. Throws where one is too large. */
  push(bytes: Uint8Array): ServerEvent[] {
    const events: ServerEvent[] = []
    const lines = this.#decoder.decode(bytes, { stream: true }).split('\n')
    const last = lines.pop()!
    for (const end of lines) {
      this.#grow(end)
      const line = this.#pieces.join('')
      this.#pieces = []
      const found = this.#line(line.endsWith('\r') ? line.slice(0, -1) : line)
      if (found !== undefined) events.push(found)
    }
    this.#grow(last)
    return events
  }

  #grow(piece: string): void {
    if (piece === '') return
    this.#sizeBytes += piece.length
    if (this.#sizeBytes > this.#maxSizeBytes) throw new Error('an event of the feed is too large')
    this.#pieces.push(piece)
  }

  #line(line: string): ServerEvent | undefined {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    // A comment, by which a server shows that it is there.
    if (colon === 0) return undefined
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') this.#event = value
    else if (field === 'data') this.#data.push(value)
    else if (field === 'id' && !value.includes('\0')) this.#id = value
    return undefined
  }

  #dispatch(): ServerEvent | undefined {
    const [event, data, id] = [this.#event || 'message', this.#data, this.#id]
    this.#event = ''
    this.#id = undefined
    this.#data = []
    this.#sizeBytes = 0
    return data.length === 0 ? undefined : { event, data: data.join('\n'), id }
  }
}
