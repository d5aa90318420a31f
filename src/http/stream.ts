/**
 * Answers that go on: parts are sent as they come, no faster than the client reads.
 *
 * Owns their life: the source is asked for the next part only when the last one was taken, and told
 * when the client leaves or the server stops. What goes wrong after the head is sent cuts the
 * connection, so that no client takes half an answer for a whole one.
 */
import type { ServerResponse } from 'node:http'
import { letGo } from '../base/begun.ts'
import { messageOf, OperatingCode, OperatingError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { StreamedReply } from './declare.ts'

export class OpenStreams {
  readonly #log: Log
  readonly #open = new Set<AbortController>()
  #isStopping = false

  constructor(log: Log) {
    this.#log = log
  }

  /** How many are under way. */
  get size(): number {
    return this.#open.size
  }

  /** Whether one more may begin; lets go of it and throws what the client is told otherwise. */
  admit(reply: Pick<StreamedReply, 'parts'>): void {
    if (this.#open.size < limits.httpStreams && !this.#isStopping) return
    void letGo(reply.parts)
    throw new OperatingError(OperatingCode.busy, 'too many answers that go on')
  }

  /**
   * Sends the head and then all parts. Never rejects. `until` is given what ends the answer early,
   * and gives what it must undo when the answer is over.
   */
  async send(
    response: ServerResponse,
    lines: string[],
    reply: StreamedReply,
    until: (ended: () => void) => () => void = () => () => {},
  ): Promise<void> {
    const ending = new AbortController()
    const unwatch = until(() => ending.abort())
    const leave = (): void => ending.abort()
    // Of who left before, nobody tells any more.
    if (response.destroyed) leave()
    else response.once('close', leave)
    this.#open.add(ending)
    try {
      response.writeHead(reply.status, lines)
      response.flushHeaders()
      for await (const part of reply.parts(ending.signal)) {
        if (ending.signal.aborted) break
        if (!response.write(part)) await drained(response, ending.signal)
      }
      response.end()
    } catch (error) {
      if (!ending.signal.aborted) {
        this.#log.error('an answer was cut', { error: messageOf(error) })
      }
      response.destroy()
    } finally {
      unwatch()
      response.off('close', leave)
      this.#open.delete(ending)
    }
  }

  /** Ends all that are under way, in order: clients get what was sent, and the end. */
  stop(): void {
    this.#isStopping = true
    for (const ending of this.#open) ending.abort()
  }
}

/** Resolves when the client has taken what was written, or nobody waits for it any more. */
function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      response.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    response.once('drain', done)
    signal.addEventListener('abort', done)
  })
}
