/**
 * The target of the sink `webhook`: whoever listens at an address.
 *
 * Owns the exchange: only an answer from 200 to 299 means that it was taken; redirects are none,
 * since whoever answers must not choose whom this machine talks to. The host is looked up for each
 * request, and what was held against the outbound guard is what is connected to. Keys are read for
 * each request and shown nowhere, nor is more of the URL than its host.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { messageOf } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { pause } from '../../../base/pause.ts'
import {
  type Applied,
  type Plan,
  type SinkPorts,
  type SinkTarget,
  TargetRefusal,
  type Wanted,
} from '../declare.ts'
import { bounded } from '../lines.ts'
import { shown } from '../place.ts'
import type { WebhookSettings } from './settings.ts'
import { keysIn, signatureOf } from './sign.ts'
import type { WebhookWanted } from './webhook.ts'

/** What came of one request. */
type Outcome =
  | { readonly isTaken: true }
  | {
      readonly isTaken: false
      readonly text: string
      readonly mayRetry: boolean
      /** When the other end wants to be asked again. */
      readonly afterMs?: number | undefined
    }

export class WebhookTarget implements SinkTarget<WebhookWanted> {
  readonly #settings: WebhookSettings
  readonly #ports: SinkPorts
  readonly #url: URL
  /** The digest of what was taken last. */
  #taken: string | undefined

  constructor(settings: WebhookSettings, ports: SinkPorts) {
    this.#settings = settings
    this.#ports = ports
    this.#url = new URL(settings.url)
  }

  async plan({ what, digest }: Wanted<WebhookWanted>): Promise<Plan> {
    if (digest === this.#taken) return { changes: [], problems: [] }
    return { changes: [`POST ${this.#url.origin}`, ...bounded(what.lines)], problems: [] }
  }

  async apply(
    wanted: Wanted<WebhookWanted>,
    signal: AbortSignal,
  ): Promise<Applied | TargetRefusal> {
    const plan = await this.plan(wanted)
    if (plan.changes.length === 0) return { ...plan, againMs: undefined }
    const { clock, random } = this.#ports
    const id = this.#idOf(wanted)
    const body = this.#bodyOf(wanted, id)
    for (let tried = 1; ; tried++) {
      const outcome = await this.#try(body, id, wanted.what.revision, signal)
      if (outcome.isTaken) {
        this.#taken = wanted.digest
        return { ...plan, againMs: undefined }
      }
      const { text, mayRetry, afterMs } = outcome
      const waitMs =
        afterMs ?? limits.sinkRequestRetryMs * 2 ** (tried - 1) * (0.5 + random.fraction())
      const isLast = tried >= this.#settings.tries || waitMs > limits.sinkRequestRetryMaxMs
      if (!mayRetry || isLast || signal.aborted) {
        const times = tried === 1 ? '' : ` (${tried} tries)`
        return new TargetRefusal(`${this.#url.host}: ${text}${times}`, mayRetry, 'unknown')
      }
      await pause(clock, waitMs, signal)
    }
  }

  async close(): Promise<void> {}

  /** The same for the same state of the same task, however often it is told. */
  #idOf({ what, digest }: Wanted<WebhookWanted>): string {
    const parts = [this.#ports.task, what.revision, digest]
    return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
  }

  #bodyOf({ what }: Wanted<WebhookWanted>, id: string): string {
    const own = JSON.stringify({ Id: id, Task: this.#ports.task })
    return `${own.slice(0, -1)},${what.json.slice(1)}`
  }

  async #try(body: string, id: string, revision: number, signal: AbortSignal): Promise<Outcome> {
    const { clock } = this.#ports
    const time = new AbortController()
    const text = 'no answer in time'
    const timer = clock.after(this.#settings.timeout, () => time.abort(new Error(text)))
    try {
      const seconds = Math.floor(clock.wall() / 1_000)
      const keys = await this.#keys()
      const signed = keys.length === 0 ? undefined : signatureOf(keys, seconds, body)
      const headers = {
        ...this.#settings.headers,
        ...{ host: this.#url.host, 'content-type': 'application/json' },
        ...{ 'content-length': `${Buffer.byteLength(body)}`, 'user-agent': 'gatehouse' },
        ...{ 'gatehouse-task': this.#ports.task, 'gatehouse-id': id },
        ...{ 'gatehouse-revision': `${revision}`, 'gatehouse-timestamp': `${seconds}` },
        ...(signed === undefined ? {} : { 'gatehouse-signature': signed }),
      }
      const both = AbortSignal.any([signal, time.signal])
      const answer = await this.#send(await this.#options(headers, both), body, both)
      return judged(answer, clock.wall())
    } catch (error) {
      const why = time.signal.aborted ? text : signal.aborted ? 'stopped' : messageOf(error)
      return { isTaken: false, text: why, mayRetry: true }
    } finally {
      timer.clear()
    }
  }

  async #keys(): Promise<readonly string[]> {
    const { secret, secret_file: file, secret_env: variable } = this.#settings
    if (file !== undefined) return named('secret_file', keysIn, await readFile(file, 'utf8'))
    if (variable === undefined) return secret === undefined ? [] : [secret]
    return named('secret_env', keysIn, this.#ports.variable(variable) ?? '')
  }

  async #options(
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<RequestOptions> {
    const { tls_server_name: serverName, ca_file: authorities } = this.#settings
    const url = this.#url
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const found = isIP(host) === 0 ? await this.#ports.addressesOf(host) : [host]
    const allowed = found.find(address => this.#ports.mayReach(address))
    if (allowed === undefined) {
      throw new Error(`${found[0]} may not be connected to (check_targets.allow)`)
    }
    const isTls = url.protocol === 'https:'
    const tls = {
      servername: serverName ?? (isIP(host) === 0 ? host : ''),
      ...(authorities === undefined ? {} : { ca: await readFile(authorities) }),
    }
    return {
      ...{ host: allowed, port: url.port || (isTls ? 443 : 80), headers, signal },
      ...{ path: url.pathname + url.search, method: 'POST', agent: false as const },
      ...(isTls ? tls : {}),
    }
  }

  #send(options: RequestOptions, body: string, signal: AbortSignal): Promise<Answer> {
    const send = this.#url.protocol === 'https:' ? httpsRequest : httpRequest
    return new Promise((resolve, reject) => {
      const sent = send(options)
      sent.on('error', error => reject(signal.aborted ? signal.reason : error))
      sent.on('response', (message: IncomingMessage) => {
        const { statusCode = 0, headers } = message
        let text = ''
        const over = (): void => {
          resolve({ statusCode, retryAfter: headers['retry-after'], text })
          sent.destroy()
        }
        message.setEncoding('utf8')
        message.on('error', reject)
        message.on('end', over)
        message.on('data', (part: string) => {
          text += part
          if (text.length > ANSWER_CHARS) over()
        })
      })
      sent.end(body)
    })
  }
}

/** As much of an answer as is looked at. */
interface Answer {
  readonly statusCode: number
  readonly retryAfter: string | undefined
  readonly text: string
}

const ANSWER_CHARS = 1_000

/** What an answer means (RFC 9110 section 15). */
function judged({ statusCode, retryAfter, text }: Answer, nowMs: number): Outcome {
  if (statusCode >= 200 && statusCode <= 299) return { isTaken: true }
  const said = text.trim() === '' ? '' : `: ${shown(text.trim())}`
  const no = `it answered ${statusCode}`
  if (statusCode >= 300 && statusCode <= 399) {
    return { isTaken: false, text: `${no}, and redirects are not followed`, mayRetry: false }
  }
  if (statusCode >= 500 || [408, 425, 429].includes(statusCode)) {
    const afterMs = retryAfterMs(retryAfter, nowMs)
    return { isTaken: false, text: no + said, mayRetry: true, afterMs }
  }
  return {
    isTaken: false,
    text: `${no}, which trying again does not change${said}`,
    mayRetry: false,
  }
}

/** Seconds, or a date (RFC 9110 section 10.2.3). */
function retryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}

/** Says which setting is wrong. */
function named<T>(name: string, read: (text: string) => T, text: string): T {
  try {
    return read(text)
  } catch (error) {
    throw new Error(`${name}: ${messageOf(error)}`)
  }
}
