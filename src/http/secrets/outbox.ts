/**
 * Answers that leave together: those that were found in one turn of the loop.
 *
 * Owns when they go to their sockets: once the loop has read what came in, or there are so many
 * that the first should not wait for more. To write to a socket wakes whoever waits on it; on a
 * machine that the client shares, one that is awake takes the next answers at half the price.
 */
import type { ServerResponse } from 'node:http'
import { limits } from '../../base/limits.ts'
import { afterPoll } from '../../base/slices.ts'

export class Outbox {
  #responses: ServerResponse[] = []
  #bodies: (string | Buffer)[] = []

  /** Ends a response whose head is written, soon. */
  end(response: ServerResponse, body: string | Buffer): void {
    const { length } = this.#responses
    this.#responses.push(response)
    this.#bodies.push(body)
    if (length === 0) afterPoll(() => this.#send())
    else if (length + 1 >= limits.answersTogether) this.#send()
  }

  #send(): void {
    const [responses, bodies] = [this.#responses, this.#bodies]
    if (responses.length === 0) return
    this.#responses = []
    this.#bodies = []
    for (const [at, response] of responses.entries()) response.end(bodies[at])
  }
}
