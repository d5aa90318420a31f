/**
 * One run of an HTTP check: a request, its redirects, and as much of the answer as is kept.
 *
 * Owns its sockets, which are gone when the run is over, however it ended. The host is resolved
 * once: redirects stay on its addresses, whatever its name says by then. No connection is kept.
 */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from 'node:https'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { tlsOptions, toAddresses, withAddresses } from './connect.run.ts'
import type { CheckResult, Run, RunRequest, RunTools } from './define.ts'
import { faultText } from './fault.ts'
import {
  firstRequest,
  type HttpRequest,
  httpFault,
  httpResult,
  redirected,
} from './http-exchange.ts'
import { Tail } from './tail.ts'

/** Starts a run; see StartRun. */
export function runHttp(
  request: RunRequest,
  tools: RunTools,
  report: (result: CheckResult) => void,
): Run {
  const run = new HttpRun(request, tools, report)
  run.start()
  return run
}

// One for all runs, as one a run costs more than the request. They keep no connection, and no TLS
// session either: a certificate is looked at every time.
const httpAgent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY })
const httpsAgent = new HttpsAgent({
  keepAlive: false,
  maxSockets: Number.POSITIVE_INFINITY,
  maxCachedSessions: 0,
})

const TIMEOUT_TEXT = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'

class HttpRun implements Run {
  readonly #asked: RunRequest
  readonly #report: (result: CheckResult) => void
  readonly #tools: RunTools
  #addresses: readonly string[] = []
  #url: string
  #socket: ClientRequest | undefined
  /** The last answer, once its head is there. */
  #answer: IncomingMessage | undefined
  readonly #body: Tail
  #isOver = false

  constructor(asked: RunRequest, tools: RunTools, report: (result: CheckResult) => void) {
    this.#asked = asked
    this.#tools = tools
    this.#report = report
    this.#url = asked.definition.http ?? ''
    this.#body = new Tail(asked.outputMaxSizeBytes)
  }

  start(): void {
    const first = firstRequest(this.#asked.definition)
    if ('status' in first) {
      this.#finish(first)
      return
    }
    const found = (addresses: readonly string[]): void => {
      this.#addresses = addresses
      this.#send(first, 0)
    }
    withAddresses(this.#tools, hostOf(first.url), found, error =>
      this.#fail(`dial tcp: ${messageOf(error)}`),
    )
  }

  end(why: 'timeout' | 'stopped'): void {
    if (why === 'stopped') this.#close()
    // Once the head is there it counts, even if the body never ends.
    else if (this.#answer === undefined) this.#fail(TIMEOUT_TEXT)
    else this.#judge(this.#answer)
  }

  #send(request: HttpRequest, hops: number): void {
    if (this.#isOver) return
    const { url, body } = request
    this.#url = hops === 0 ? this.#url : url.href
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    try {
      const sent = send(this.#optionsFor(request))
      this.#socket = sent
      sent.on('response', answer => this.#receive(request, answer, hops))
      // Errors of a request that a redirect replaced are of no interest.
      sent.on('error', error => this.#socket === sent && this.#fail(faultText(error)))
      sent.on('close', () => this.#socket === sent && this.#lost())
      sent.end(body)
    } catch (error) {
      // A method or header that cannot be sent; the text names it, not its value.
      this.#fail(messageOf(error))
    }
  }

  #optionsFor({ url, method, headers, body }: HttpRequest): RequestOptions {
    const { definition, timeoutMs } = this.#asked
    const host = hostOf(url)
    const length = body === '' ? {} : { 'content-length': Buffer.byteLength(body) }
    return {
      host,
      port: url.port,
      path: url.pathname + url.search,
      method,
      headers: { host: url.host, ...headers, ...length },
      agent: url.protocol === 'https:' ? httpsAgent : httpAgent,
      ...(url.username === '' ? {} : { auth: credentials(url) }),
      ...(url.protocol === 'https:' ? tlsOptions(definition, host, this.#tools) : {}),
      ...toAddresses(this.#addresses, timeoutMs),
    }
  }

  #receive(request: HttpRequest, answer: IncomingMessage, hops: number): void {
    const { statusCode = 0, headers } = answer
    const { definition } = this.#asked
    const next = redirected(definition, request, { statusCode, location: headers.location }, hops)
    if (next !== undefined) {
      this.#drop()
      if ('status' in next) this.#finish(next)
      else this.#send(next, hops + 1)
      return
    }
    this.#answer = answer
    answer.on('data', (chunk: Buffer) => {
      this.#body.push(chunk)
      if (this.#body.seenBytes > limits.checkBodySizeBytes) this.#judge(answer)
    })
    answer.on('end', () => this.#judge(answer))
    answer.on('error', () => this.#judge(answer))
  }

  /** The target closed the connection: what came before counts, if it was enough. */
  #lost(): void {
    if (this.#answer === undefined) this.#fail('EOF')
    else this.#judge(this.#answer)
  }

  #judge({ statusCode = 0, statusMessage = '' }: IncomingMessage): void {
    const answer = { statusCode, reason: statusMessage, body: this.#body.text() }
    this.#finish(httpResult(this.#asked.definition, answer))
  }

  #fail(text: string): void {
    this.#finish(httpFault(this.#asked.definition, this.#url, text))
  }

  #finish(result: CheckResult): void {
    if (this.#isOver) return
    this.#close()
    this.#report(result)
  }

  #close(): void {
    this.#isOver = true
    this.#drop()
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
  }
}

/** The host as sockets take it: an IPv6 address without its brackets. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')

const credentials = ({ username, password }: URL): string =>
  `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
