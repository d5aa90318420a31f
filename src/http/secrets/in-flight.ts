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

/** A request that is being answered. */
export class InFlightEntry {
  readonly id: string
  readonly startedMs: number
  /** By the monotonic clock. */
  readonly beganMs: number
  readonly message: IncomingMessage

  constructor(id: string, message: IncomingMessage, startedMs: number, beganMs: number) {
    this.id = id
    this.message = message
    this.startedMs = startedMs
    this.beganMs = beganMs
  }
}

export class InFlight {
  readonly #clock: Clock
  readonly #entries = new Set<InFlightEntry>()
  readonly #durations: Sample

  constructor(clock: Clock, metrics: Metrics) {
    this.#clock = clock
    const help = 'How long requests took to answer, milliseconds.'
    this.#durations = metrics.sample('core.handle_request', help)
    metrics.gauge('core.in_flight_requests', 'Requests that are being answered.', () => {
      return this.#entries.size
    })
  }

  begin(id: string, message: IncomingMessage): InFlightEntry {
    const clock = this.#clock
    const entry = new InFlightEntry(id, message, clock.wall(), clock.monotonic())
    this.#entries.add(entry)
    return entry
  }

  end(entry: InFlightEntry): void {
    this.#durations.add(this.#clock.monotonic() - entry.beganMs)
    this.#entries.delete(entry)
  }

  /** Those that are being answered now, as they came. */
  *all(): Iterable<RequestInFlight> {
    for (const { id, startedMs, message } of this.#entries) {
      const { socket, method = '', url = '' } = message
      const remote = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`
      yield { id, startedMs, remote, method, path: pathIn(url) }
    }
  }
}
