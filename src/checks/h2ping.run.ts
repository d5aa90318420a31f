/**
 * One run of an HTTP/2 check: a connection, a session on it, one PING.
 *
 * Owns its socket and session, which are gone when the run is over, however it ended. The socket is
 * made here, so that the session goes where the address was judged, and nowhere else.
 */
import { type ClientHttp2Session, connect as connectSession } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { messageOf } from '../base/errors.ts'
import { CheckStatus } from '../store/tables/check.ts'
import { parseTarget, type Target, tlsOptions, toAddresses, withAddresses } from './connect.run.ts'
import type { CheckResult, Run, RunRequest, RunTools } from './define.ts'
import { faultText } from './fault.ts'

/** Starts one run; see StartRun. */
export function runH2ping(
  request: RunRequest,
  tools: RunTools,
  report: (result: CheckResult) => void,
): Run {
  const run = new H2pingRun(request, report)
  run.start(tools)
  return run
}

class H2pingRun implements Run {
  readonly #asked: RunRequest
  readonly #report: (result: CheckResult) => void
  #socket: Socket | undefined
  #session: ClientHttp2Session | undefined
  #isOver = false

  constructor(asked: RunRequest, report: (result: CheckResult) => void) {
    this.#asked = asked
    this.#report = report
  }

  get #text(): string {
    return this.#asked.definition.h2ping ?? ''
  }

  start(tools: RunTools): void {
    const target = parseTarget(this.#text)
    if (target === undefined) {
      this.#fail(`dial tcp: address ${this.#text}: missing port in address`)
      return
    }
    const found = (all: readonly string[]): void => this.#connect(target, all, tools)
    withAddresses(tools, target.host, found, e => this.#fail(`dial tcp: ${messageOf(e)}`))
  }

  end(why: 'timeout' | 'stopped'): void {
    if (why === 'stopped') this.#close()
    else if (this.#session === undefined) this.#fail(`dial tcp ${this.#text}: i/o timeout`)
    else this.#fail('context deadline exceeded')
  }

  #connect(target: Target, addresses: readonly string[], tools: RunTools): void {
    if (this.#isOver) return
    const { definition, timeoutMs } = this.#asked
    const options = { ...target, ...toAddresses(addresses, timeoutMs) }
    const isTls = definition.h2pingUseTls === true
    const secure = { ...tlsOptions(definition, target.host, tools), ALPNProtocols: ['h2'] }
    const socket = isTls ? connectTls({ ...options, ...secure }) : connect(options)
    this.#socket = socket
    socket.on('error', error => this.#fail(faultText(error)))
    socket.on(isTls ? 'secureConnect' : 'connect', () => this.#ping(target, socket))
  }

  #ping({ host, port }: Target, socket: Socket): void {
    if (this.#isOver) return
    const authority = new URL('http://localhost')
    authority.hostname = host.includes(':') ? `[${host}]` : host
    authority.port = `${port}`
    const session = connectSession(authority, { createConnection: () => socket })
    this.#session = session
    session.on('error', error => this.#fail(faultText(error)))
    session.on('close', () => this.#fail('EOF'))
    session.on('connect', () => {
      if (this.#isOver) return
      session.ping((error: Error | null) => {
        if (error !== null) this.#fail(faultText(error))
        else this.#finish({ status: CheckStatus.passing, output: 'HTTP2 ping was successful' })
      })
    })
  }

  #fail(fault: string): void {
    const what =
      this.#session === undefined ? `Failed to dial to ${this.#text}` : 'HTTP2 ping failed'
    this.#finish({ status: CheckStatus.critical, output: `${what}: ${fault}` })
  }

  #finish(result: CheckResult): void {
    if (this.#isOver) return
    this.#close()
    this.#report(result)
  }

  #close(): void {
    this.#isOver = true
    this.#session?.destroy()
    this.#socket?.destroy()
  }
}
