/**
 * The HTTP client of the verbs of secrets.
 *
 * Owns where the server is, who asks, what goes into headers, which answers are tried again and
 * which redirect is followed: as Vault's own client does it, since scripts read its errors.
 * A token is never printed.
 */

import { sleep } from '../../base/clock.ts'
import { parseExact } from '../../base/exact-json.ts'
import { tlsFrom } from '../client.ts'
import type { Call, Io } from '../command.ts'
import {
  ClientError,
  collect,
  type Method,
  type OpenAnswer,
  open,
  parseAddress,
  type Query,
  type Target,
  type TlsOptions,
  urlOf,
} from '../exchange.ts'
import { exactJson } from '../json.ts'
import { curlText } from './curl.ts'
import { Failure, OutputInstead } from './failure.ts'
import { given, isGiven, pairsOf, parseSeconds, variable } from './flags.ts'
import { policyText } from './needed-policy.ts'
import { type Data, isData, parseSecret, type Secret } from './secret.ts'
import { keptToken } from './token-file.ts'

/** What is asked for. */
export interface Ask {
  readonly method: Method
  /** Below `/v1/`, as a person writes it. */
  readonly path: string
  readonly query?: Query
  /** Data becomes JSON, bytes are sent as they are. */
  readonly body?: Data | Buffer
  readonly headers?: Readonly<Record<string, string>>
  /** A question that a command asks for itself: never wrapped, never printed instead. */
  readonly isAside?: boolean
  /** For answers that may take for ever, such as a log. */
  readonly isEndless?: boolean
  readonly signal?: AbortSignal
}

/** An answer with its body. */
export interface Reply {
  readonly status: number
  readonly headers: OpenAnswer['headers']
  readonly body: Buffer
}

/** The server said no. The message is Vault's, with the URL, the code and each error. */
export class ApiError extends ClientError {
  /** Of the answer; some refusals carry data. */
  readonly secret: Secret | undefined
  /** What it said, each for itself. */
  readonly errors: readonly string[]

  constructor(
    message: string,
    status: number,
    { secret, errors }: { secret: Secret | undefined; errors: readonly string[] },
  ) {
    super(message, status)
    this.secret = secret
    this.errors = errors
  }
}

const TIMEOUT_S = 60
const RETRY_MIN_MS = 1_000
const RETRY_MAX_MS = 1_500
/** A server may ask for more patience than this; nobody waits longer for a command. */
const RETRY_AFTER_MAX_S = 60
/** What sys/wrapping/wrap is asked with unless told otherwise. */
const WRAP_TTL = '5m'

/** How a server is asked, as flags and environment have it. */
interface Setting {
  readonly target: Target
  readonly tls: TlsOptions
  readonly proxy: string | undefined
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly wrapTtl: string | undefined
  readonly timeoutMs: number
  readonly retries: number
  readonly mayRedirect: boolean
}

/** A server, as one call of a command asks it. */
export class SecretsClient {
  readonly #call: Call
  readonly #setting: Setting
  /** The token that is asked with; undefined asks without one. */
  token: string | undefined
  /** Off once the answer that the user wanted wrapped is there. */
  isWrapping = true
  /** Ends whatever is asked, of questions that say nothing themselves. */
  signal: AbortSignal | undefined

  constructor(call: Call, setting: Setting, token: string | undefined) {
    this.#call = call
    this.#setting = setting
    this.token = token
  }

  /** The server's address, without anything secret in it. */
  get address(): string {
    return urlOf(this.#setting.target, '')
  }

  /** An answer whose body the caller reads; a refusal is an ApiError. */
  async open(asked: Ask): Promise<OpenAnswer> {
    const ask = this.signal === undefined ? asked : { signal: this.signal, ...asked }
    if (!ask.isAside) this.#printInstead(ask)
    let target = this.#setting.target
    let path = `/v1/${encodePath(ask.path)}`
    let query = ask.query ?? {}
    let answer = await this.#tried(ask, target, path, query)
    const { location } = answer.headers
    if (isRedirect(answer.status) && this.#setting.mayRedirect && typeof location === 'string') {
      const to = new URL(location, urlOf(target, path))
      if (target.isTls && to.protocol !== 'https:') {
        throw new ClientError('redirect would cause protocol downgrade')
      }
      target = parseAddress(to.origin, false)
      path = to.pathname + to.search
      query = {}
      await collect(answer.body)
      answer = await this.#tried(ask, target, path, query)
    }
    if (answer.status >= 200 && answer.status < 400) return answer
    if (answer.status === 429 && ask.path === 'sys/health') return answer
    const url = urlOf(target, path, query)
    const reply = { ...answer, body: await collect(answer.body) }
    throw apiError(ask.method, url, reply, this.#call.program)
  }

  /** The whole answer; a refusal is an ApiError. */
  async ask(ask: Ask): Promise<Reply> {
    const answer = await this.open(ask)
    return { ...answer, body: await collect(answer.body) }
  }

  /** The JSON of an answer that has no envelope; undefined where the body is empty. */
  async json(ask: Ask): Promise<Data | undefined> {
    const { body } = await this.ask(ask)
    if (body.length === 0) return undefined
    const parsed = parseExact(body.toString('utf8'))
    if (!isData(parsed)) throw new ClientError('the answer is no JSON object')
    return parsed
  }

  /** What an answer carries in its envelope, or bare; empty where it carries nothing. */
  async data(ask: Ask): Promise<Data> {
    return parseSecret((await this.ask(ask)).body)?.data ?? {}
  }

  /** What stands at a path; undefined when nothing does. */
  read(path: string, query: Query = {}, isAside = false): Promise<Secret | undefined> {
    return this.#sought({ method: 'GET', path, query, isAside })
  }

  /** The names below a path; undefined when there are none. */
  list(path: string, query: Query = {}): Promise<Secret | undefined> {
    return this.#sought({ method: 'GET', path, query: { list: 'true', ...query } })
  }

  /** The same with all names below those. */
  scan(path: string, query: Query = {}): Promise<Secret | undefined> {
    return this.#sought({ method: 'GET', path, query: { scan: 'true', ...query } })
  }

  /** Writes; undefined when the answer is empty. */
  async write(path: string, body?: Data, method: Method = 'PUT'): Promise<Secret | undefined> {
    const ask = { method, path, ...(body === undefined ? {} : { body }) }
    return parseSecret((await this.ask(ask)).body)
  }

  /** Merges, by RFC 7396. */
  async patch(path: string, body: Data): Promise<Secret | undefined> {
    const headers = { 'Content-Type': 'application/merge-patch+json' }
    return parseSecret((await this.ask({ method: 'PATCH', path, body, headers })).body)
  }

  async remove(path: string, query: Query = {}): Promise<Secret | undefined> {
    return parseSecret((await this.ask({ method: 'DELETE', path, query })).body)
  }

  /** What was put away for a token: the given one, or the one that is asked with. */
  async unwrap(token?: string): Promise<Secret | undefined> {
    const isOther = token !== undefined && this.token !== undefined && token !== this.token
    if (token !== undefined && !isOther) this.token = token
    this.isWrapping = false
    return this.write('sys/wrapping/unwrap', isOther ? { token } : undefined)
  }

  /** A 404 with nothing in it is no error, it is nothing. */
  async #sought(ask: Ask): Promise<Secret | undefined> {
    try {
      return parseSecret((await this.ask(ask)).body)
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error
      const { secret } = error
      const isFull = secret?.warnings?.length || Object.keys(secret?.data ?? {}).length > 0
      if (isFull) return secret
      // Nothing is here for a reason, such as a namespace that there is not.
      if (!ask.isAside) for (const text of error.errors) this.#call.io.printError(text.trim())
      return undefined
    }
  }

  /** Sends until an answer is final, or the retries are over. */
  async #tried(ask: Ask, target: Target, path: string, query: Query): Promise<OpenAnswer> {
    const { io } = this.#call
    for (let left = this.#setting.retries; ; left--) {
      let pauseMs = RETRY_MIN_MS + io.random.fraction() * (RETRY_MAX_MS - RETRY_MIN_MS)
      try {
        const answer = await this.#sent(ask, target, path, query)
        if (left <= 0 || !isRetried(answer.status)) return answer
        const waitS = Number(answer.headers['retry-after'])
        if (waitS > 0) pauseMs = Math.min(waitS, RETRY_AFTER_MAX_S) * 1000
        await collect(answer.body)
      } catch (error) {
        if (left <= 0 || !(error instanceof ClientError) || ask.signal?.aborted) throw error
      }
      await sleep(io.clock, pauseMs)
    }
  }

  async #sent(ask: Ask, target: Target, path: string, query: Query): Promise<OpenAnswer> {
    const { tls, proxy, timeoutMs } = this.#setting
    const stop = new AbortController()
    ask.signal?.addEventListener('abort', () => stop.abort(), { once: true })
    const isTimed = !ask.isEndless && timeoutMs > 0
    const timer = isTimed ? this.#call.io.clock.after(timeoutMs, () => stop.abort()) : undefined
    try {
      const answer = await open({
        method: ask.method,
        path,
        query,
        body: bodyOf(ask.body),
        headers: this.#headersOf(ask),
        target,
        tls,
        proxy,
        signal: stop.signal,
      })
      return { ...answer, body: timer ? endingWith(answer.body, () => timer.clear()) : answer.body }
    } catch (error) {
      timer?.clear()
      if (!stop.signal.aborted || ask.signal?.aborted) throw error
      throw new ClientError(`${error instanceof Error ? error.message : ''}: deadline exceeded`)
    }
  }

  #headersOf({ path, body, headers, isAside }: Ask): Record<string, string | readonly string[]> {
    const isWrap = path === 'sys/wrapping/wrap'
    const wrapTtl = this.#setting.wrapTtl ?? (isWrap ? WRAP_TTL : undefined)
    const isWrapped = wrapTtl !== undefined && this.isWrapping && !isAside
    return {
      ...this.#setting.headers,
      ...(isData(body) ? { 'Content-Type': 'application/json' } : {}),
      'X-Vault-Request': 'true',
      ...(this.token === undefined ? {} : { 'X-Vault-Token': this.token }),
      ...(isWrapped ? { 'X-Vault-Wrap-TTL': wrapTtl } : {}),
      ...headers,
    }
  }

  /** Throws what the user wants to see instead of the request. */
  #printInstead(ask: Ask): void {
    const { flags, program } = this.#call
    if (flags.isOn('output-policy')) {
      throw new OutputInstead(policyText(ask.method, ask.path, ask.query ?? {}))
    }
    if (!flags.isOn('output-curl-string')) return
    const url = urlOf(this.#setting.target, `/v1/${encodePath(ask.path)}`, ask.query ?? {})
    const sent = { method: ask.method, url, headers: this.#headersOf(ask), body: bodyOf(ask.body) }
    throw new OutputInstead(curlText(sent, { flags, program }))
  }
}

/** The client of one call, by its flags and environment. Throws Failure or ClientError. */
export async function secretsClientOf(call: Call, withToken = true): Promise<SecretsClient> {
  const { io } = call
  const address =
    call.flags.text('agent-address') ||
    call.flags.text('address') ||
    variable(io, 'VAULT_AGENT_ADDR') ||
    variable(io, 'VAULT_ADDR') ||
    defaultAddress(call.program)
  const target = parseAddress(address, false)
  const wrapTtl = given(call, 'wrap-ttl', 'VAULT_WRAP_TTL')
  const timeout = variable(io, 'VAULT_CLIENT_TIMEOUT')
  const retries = Number(variable(io, 'VAULT_MAX_RETRIES') ?? 0)
  if (!Number.isInteger(retries) || retries < 0) {
    throw new Failure('VAULT_MAX_RETRIES must be a number', 1)
  }
  const timeoutS = timeout === undefined ? TIMEOUT_S : parseSeconds(timeout, 'VAULT_CLIENT_TIMEOUT')
  const setting: Setting = {
    target,
    tls: target.isTls ? await secretsTlsOf(call) : { rejectUnauthorized: true },
    proxy: proxyOf(io, target),
    headers: headersOf(call),
    wrapTtl: wrapTtl && `${parseSeconds(wrapTtl, 'flag -wrap-ttl')}s`,
    timeoutMs: timeoutS * 1000,
    retries,
    mayRedirect: !isGiven(call, 'disable-redirects', 'VAULT_DISABLE_REDIRECTS'),
  }
  const token = withToken ? (variable(io, 'VAULT_TOKEN') ?? (await keptToken(io))) : undefined
  return new SecretsClient(call, setting, token?.trim())
}

/** Vault's tools expect TLS; under our own name we are where our own server is. */
const defaultAddress = (program: string): string =>
  /^(vault|bao)$/.test(program) ? 'https://127.0.0.1:8200' : 'http://127.0.0.1:8200'

/** Vault's own variables for any server, those that all programs read for one that is not here. */
export function proxyOf(
  io: Pick<Io, 'environment'>,
  { isTls, host }: Pick<Target, 'isTls' | 'host'>,
): string | undefined {
  const own = variable(io, 'VAULT_PROXY_ADDR') ?? variable(io, 'VAULT_HTTP_PROXY')
  if (own !== undefined) return own
  const { environment } = io
  const name = isTls ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const common = environment[name] || environment[name.toLowerCase()]
  const excluded = environment.NO_PROXY || environment.no_proxy || ''
  const isHere = /^(localhost|127\..*|::1)$/.test(host)
  return isHere || isExcluded(host, excluded) ? undefined : common || undefined
}

/** Whether a list of hosts and domains, with commas between, names this host. */
function isExcluded(host: string, list: string): boolean {
  const names = list.split(',').map(name =>
    name
      .trim()
      .replace(/^\*?\./, '')
      .replace(/:\d+$/, ''),
  )
  return names.some(name => name === '*' || (name !== '' && `.${host}`.endsWith(`.${name}`)))
}

async function secretsTlsOf(call: Call): Promise<TlsOptions> {
  const bytes = variable(call.io, 'VAULT_CACERT_BYTES')
  const tls = await tlsFrom({
    caFile: given(call, 'ca-cert', 'VAULT_CACERT'),
    caPath: given(call, 'ca-path', 'VAULT_CAPATH'),
    certFile: given(call, 'client-cert', 'VAULT_CLIENT_CERT'),
    keyFile: given(call, 'client-key', 'VAULT_CLIENT_KEY'),
    servername: given(call, 'tls-server-name', 'VAULT_TLS_SERVER_NAME'),
    isChecked: !isGiven(call, 'tls-skip-verify', 'VAULT_SKIP_VERIFY'),
  })
  return bytes === undefined || tls.ca !== undefined ? tls : { ...tls, ca: [Buffer.from(bytes)] }
}

function headersOf(call: Call): Setting['headers'] {
  const { flags } = call
  const namespace = given(call, 'namespace', 'VAULT_NAMESPACE')
  const path = canonicalNamespace(flags.text('ns') ?? namespace ?? '')
  const own = { ...headersOfVariable(call), ...pairsOf(call, 'header') }
  const reserved = Object.keys(own).filter(name => /^x-vault-/i.test(name))
  if (reserved.length > 0) {
    throw new Failure(`headers that begin with X-Vault- are ours: ${reserved.join(', ')}`, 2)
  }
  const factors = flags.list('mfa')
  const mfa = factors.length > 0 ? factors : [variable(call.io, 'VAULT_MFA') ?? []].flat()
  return {
    ...own,
    ...(path === '' ? {} : { 'X-Vault-Namespace': path }),
    ...(mfa.length === 0 ? {} : { 'X-Vault-MFA': mfa }),
    ...(flags.isOn('policy-override') ? { 'X-Vault-Policy-Override': 'true' } : {}),
  }
}

/** Headers as JSON, `{"NAME": "VALUE"}`. */
function headersOfVariable({ io }: Call): Record<string, string> {
  const text = variable(io, 'VAULT_HEADERS')
  if (text === undefined) return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    parsed = undefined
  }
  if (!isData(parsed)) throw new Failure('VAULT_HEADERS must be a JSON object', 1)
  return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, String(value)]))
}

/** `/a/b` is `a/b/`; the root is ''. */
export function canonicalNamespace(path: string): string {
  const bare = path.trim().replace(/^\/+|\/+$/g, '')
  return bare === '' || bare === 'root' ? '' : `${bare}/`
}

function apiError(method: string, url: string, reply: Reply, program: string): ApiError {
  const { status, headers, body } = reply
  const text = body.toString('utf8')
  let parsed: unknown
  try {
    parsed = parseExact(text)
  } catch {
    parsed = undefined
  }
  const errors = isData(parsed) && Array.isArray(parsed.errors) ? parsed.errors.map(String) : []
  const isRead = isData(parsed)
  const namespace = String(headers['x-vault-namespace'] ?? '')
  const message = [
    'Error making API request.\n',
    ...(namespace === '' || namespace === 'root/' ? [] : [`Namespace: ${namespace}`]),
    `URL: ${method} ${url}`,
    `Code: ${status}. ${isRead ? 'Errors' : 'Raw Message'}:\n`,
    isRead ? errors.map(one => `* ${one}`).join('\n') : text,
  ].join('\n')
  const why = whyOf(reply, errors, program)
  return new ApiError(message + why, status, {
    secret: isRead ? parseSecret(body) : undefined,
    errors,
  })
}

/** How to learn why a right was lacking, where the server remembers it. */
function whyOf({ status, headers }: Reply, errors: readonly string[], program: string): string {
  const text = errors.join(' ')
  const isDenied = status === 403 && text.includes('permission denied')
  const request = String(headers['x-request-id'] ?? '')
  if (!isDenied || text.includes('invalid token') || !/^[\w-]{1,64}$/.test(request)) return ''
  return `\nWhy: ${program} policy explain -request=${request}`
}

/** Slashes stay, everything that would end the path is escaped. */
const encodePath = (path: string): string =>
  encodeURI(path).replace(/[?#]/g, char => encodeURIComponent(char))

const isRedirect = (status: number): boolean => [301, 302, 307, 308].includes(status)

const isRetried = (status: number): boolean =>
  status === 412 || status === 429 || (status >= 500 && status !== 501)

const bodyOf = (body: Ask['body']): Buffer | undefined =>
  body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(exactJson(body, 0))

async function* endingWith(body: AsyncIterable<Buffer>, done: () => void): AsyncIterable<Buffer> {
  try {
    yield* body
  } finally {
    done()
  }
}
