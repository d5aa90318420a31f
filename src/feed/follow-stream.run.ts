/**
 * Following whole state over the event stream of an agent: what sinks outside of a server stand on.
 *
 * Owns the state in memory, its resume token, and the way back after a loss: another place is asked
 * each time, later each time, from where the state was. A stream that falls silent is given up.
 * What is kept is bounded. The token that it asks with is the opener's: it is never seen here.
 */
import type { Clock, Random, Timer } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { pause } from '../base/pause.ts'
import { EventStream, type ServerEvent } from './event-stream.ts'
import type { Followed, FollowPort } from './follow.ts'
import { type StateFrame, WholeState } from './whole.ts'

/** An answer whose body goes on. */
export interface StreamAnswer {
  readonly status: number
  readonly body: AsyncIterable<Uint8Array>
}

/**
 * Asks for a path; `tries` counts the failures in a row, so that another place can be asked each
 * time. Rejects where nobody answers.
 */
export type StreamOpener = (
  path: string,
  query: Readonly<Record<string, string | undefined>>,
  tries: number,
  signal: AbortSignal,
) => Promise<StreamAnswer>

export interface FollowStreamPorts {
  readonly clock: Clock
  readonly random: Random
  readonly open: StreamOpener
}

/** Follows over event streams, one for each following. */
export const followStream = (ports: FollowStreamPorts): FollowPort => ({
  follow(what, on) {
    const following = new Following(what, on, ports)
    const end = new AbortController()
    void following.run(end.signal)
    return { stop: () => end.abort() }
  },
})

type On = Parameters<FollowPort['follow']>[1]

class Following {
  readonly #what: Followed
  readonly #on: On
  readonly #ports: FollowStreamPorts
  readonly #state: WholeState
  #tries = 0

  constructor(what: Followed, on: On, ports: FollowStreamPorts) {
    this.#what = what
    this.#on = on
    this.#ports = ports
    this.#state = new WholeState(
      (items, revision) => on.state(items, revision),
      problem => on.lost(problem),
    )
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#ports
    while (!signal.aborted) {
      const problem = await this.#once(signal)
      if (signal.aborted) return
      this.#state.lost()
      this.#on.lost(problem)
      const delayMs = Math.min(limits.followRetryMs * 2 ** this.#tries, limits.followRetryMaxMs)
      this.#tries = Math.min(this.#tries + 1, MOST_TRIES)
      await pause(clock, delayMs * (0.5 + random.fraction() / 2), signal)
    }
  }

  /** Follows one stream to its end; gives why it ended. */
  async #once(signal: AbortSignal): Promise<string> {
    const silent = new AbortController()
    const either = AbortSignal.any([signal, silent.signal])
    let timer: Timer | undefined
    const alive = (): void => {
      timer?.clear()
      timer = this.#ports.clock.after(limits.followSilentMs, () => silent.abort())
    }
    try {
      alive()
      const answer = await this.#open(either)
      if (answer.status !== OK) {
        // It may be the token that is not taken.
        if (answer.status === BAD_REQUEST) this.#state.forget()
        return await refusalOf(answer)
      }
      const stream = new EventStream(limits.followEventSizeBytes)
      for await (const bytes of answer.body) {
        alive()
        for (const event of stream.push(bytes)) {
          const problem = this.#take(event)
          if (problem !== undefined) return problem
        }
      }
      return 'the stream ended'
    } catch (error) {
      return silent.signal.aborted ? 'the stream fell silent' : problemOf(error)
    } finally {
      timer?.clear()
    }
  }

  #open(signal: AbortSignal): Promise<StreamAnswer> {
    const { topic, subject, filter } = this.#what
    const path = `/v1/feed/${topic}${subject === '' ? '' : `/${partOf(subject)}`}`
    const query = {
      filter: filter || undefined,
      resume: this.#state.resume || undefined,
      strict: '',
      heartbeat: `${limits.followHeartbeatMs}ms`,
    }
    return this.#ports.open(path, query, this.#tries, signal)
  }

  /** Takes one event; a text says why the stream is of no use any more. */
  #take({ event, data, id }: ServerEvent): string | undefined {
    const problem = this.#state.take(event, JSON.parse(data) as StateFrame, id)
    if (problem === undefined && id !== undefined) this.#tries = 0
    return problem
  }
}

/** Node's word for a connection that ended in the middle of an answer says nothing to people. */
function problemOf(error: unknown): string {
  const problem = messageOf(error)
  return problem === 'aborted' ? 'the connection was cut' : problem
}

const OK = 200
const BAD_REQUEST = 400
const MOST_TRIES = 16

/** What stands in a path: a key may have slashes, which stay what they are. */
const partOf = (subject: string): string => subject.split('/').map(encodeURIComponent).join('/')

/** The beginning of an answer that is no stream. */
async function refusalOf({ status, body }: StreamAnswer): Promise<string> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    sizeBytes += chunk.length
    if (sizeBytes > limits.followRefusalSizeBytes) break
  }
  const text = Buffer.concat(chunks).toString('utf8', 0, limits.followRefusalSizeBytes).trim()
  return `answered ${status}: ${text}`
}
