/**
 * The requests to the secrets that are being answered.
 *
 * Owns what is told of them: never a query, a header or a body.
 */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import type { Metrics, Sample } from '../../base/metrics.ts'
import type { RequestInFlight } from '../../secrets/engine/sys/ports.ts'
import { pathIn } from '../path.ts'

interface Entry {
  readonly startedMs: number
  /** By the monotonic clock. */
  readonly beganMs: number
  readonly message: IncomingMessage
}

export class InFlight {
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()
  readonly #durations: Sample

  constructor(clock: Clock, metrics: Metrics) {
    this.#clock = clock
    const help = 'How long requests took to answer, milliseconds.'
    this.#durations = metrics.sample('core.handle_request', help)
    metrics.gauge('core.in_flight_requests', 'Requests that are being answered.', () => {
      return this.#entries.size
    })
  }

  begin(id: string, message: IncomingMessage): void {
    const [startedMs, beganMs] = [this.#clock.wall(), this.#clock.monotonic()]
    this.#entries.set(id, { startedMs, beganMs, message })
  }

  end(id: string): void {
    const entry = this.#entries.get(id)
    if (entry !== undefined) this.#durations.add(this.#clock.monotonic() - entry.beganMs)
    this.#entries.delete(id)
  }

  /** Those that are being answered now, as they came. */
  *all(): Iterable<RequestInFlight> {
    for (const [id, { startedMs, message }] of this.#entries) {
      const { socket, method = '', url = '' } = message
      const remote = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`
      yield { id, startedMs, remote, method, path: pathIn(url) }
    }
  }
}
