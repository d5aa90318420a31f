/**
 * Servers in this process, behind the port of links: they answer what a test says, are away, or
 * keep silent.
 */

import type { Random } from '../../src/base/clock.ts'
import { GatehouseError } from '../../src/client/errors.ts'
import type { ApiMethod, Link, LinkCall, LinkListener } from '../../src/client/link.ts'
import { ServerPool, Servers, type ServersWorld, type Tokens } from '../../src/client/servers.ts'
import { givenToken } from '../../src/client/token.ts'
import { FakeClock } from '../fake/clock.ts'

/** A call as a server sees it. */
export interface Seen {
  readonly server: string
  /** `KV/Put`. */
  readonly method: string
  readonly request: Readonly<Record<string, unknown>>
  readonly token: string
  readonly timeoutMs: number
}

/** A stream as a server sees it. */
export interface SeenStream extends Seen {
  readonly listener: LinkListener<never>
  isCancelled: boolean
}

type Answer = object | Promise<object>

/** What every server does with a call: an answer, or a GatehouseError that is thrown. */
export type Handler = (seen: Seen) => Answer

export class FakeServers {
  readonly clock = new FakeClock()
  readonly seen: Seen[] = []
  readonly streams: SeenStream[] = []
  readonly down = new Set<string>()
  /** They take calls and never answer. */
  readonly silent = new Set<string>()
  readonly closed = new AbortController()
  readonly world: ServersWorld
  handle: Handler = () => ({})
  /** Connections that were opened. */
  links = 0
  #draws = 0

  constructor() {
    this.world = {
      clock: this.clock,
      random: this.random,
      closed: this.closed.signal,
      dial: address => Promise.resolve(this.#link(address)),
    }
  }

  /** Not random at all: 0, then 1/8, 2/8 … */
  readonly random: Random = {
    uuid: () => '00000000-0000-4000-8000-000000000000',
    fraction: () => (this.#draws++ % 8) / 8,
    bytes: sizeBytes => Buffer.alloc(sizeBytes, 7),
  }

  /** What calls go out by, to these servers. */
  to(addresses: readonly string[] = ['a:1'], tokens: Tokens = givenToken('')): Servers {
    return new Servers(new ServerPool(addresses, this.world), tokens, this.world)
  }

  /** The methods that were called, in order. */
  get methods(): string[] {
    return this.seen.map(({ method }) => method)
  }

  #link(server: string): Link {
    this.links++
    const see = (
      { path }: ApiMethod<never, object>,
      request: object,
      metadata: LinkCall['metadata'],
      timeoutMs: number,
    ): Seen => ({
      server,
      method: path.replace('gatehouse.v1.', ''),
      request: request as Seen['request'],
      token: metadata['x-consul-token'] ?? '',
      timeoutMs,
    })
    return {
      ready: () =>
        this.down.has(server)
          ? Promise.reject(new GatehouseError('UNAVAILABLE', `no connection to ${server}`))
          : Promise.resolve(),
      call: async (method, request, { metadata, timeoutMs, signal }) => {
        const seen = see(method as never, request, metadata, timeoutMs)
        this.seen.push(seen)
        if (this.silent.has(server)) await this.#silence(timeoutMs, signal)
        return (await this.handle(seen)) as never
      },
      listen: async (method, request, metadata, listener) => {
        const seen = see(method as never, request, metadata, Number.POSITIVE_INFINITY)
        const stream: SeenStream = {
          ...seen,
          listener: listener as LinkListener<never>,
          isCancelled: false,
        }
        this.streams.push(stream)
        return {
          cancel() {
            stream.isCancelled = true
          },
        }
      },
      close() {},
    }
  }

  #silence(timeoutMs: number, signal: AbortSignal): Promise<never> {
    return new Promise((_resolve, reject) => {
      const timer = this.clock.after(timeoutMs, () =>
        reject(new GatehouseError('DEADLINE_EXCEEDED', 'too late', { mayHaveHappened: true })),
      )
      signal.addEventListener('abort', () => {
        timer.clear()
        reject(new GatehouseError('CANCELLED', 'given up', { mayHaveHappened: true }))
      })
    })
  }
}
