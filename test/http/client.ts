/**
 * A client that holds every answer against its declaration: a field that is missing, too much or
 * of another type fails the test, whatever the test looks at.
 */
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import type { Test } from 'tap'
import type { Answer, Operation, PathDeclaration } from '../../src/http/declare.ts'

export interface ClientOptions {
  readonly t: Test
  readonly host: string
  readonly port: number
  readonly paths: readonly PathDeclaration[]
  /** What answers say of where no policy says anything. */
  readonly defaultPolicy?: 'allow' | 'deny'
  /** Shown with every request; '' for none. */
  readonly token?: string
}

export interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
  readonly text: string
  /** The body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it as they like
  readonly json: any
  /** X-Consul-Index; 0 where there is none. */
  readonly index: number
}

export interface Sent {
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

type Payload = string | Buffer | object | undefined

export class Client {
  readonly #options: ClientOptions
  readonly #agent: Agent

  constructor(options: ClientOptions, agent = new Agent({ keepAlive: true })) {
    this.#options = options
    this.#agent = agent
  }

  /** The same client for somebody with a token. */
  as(token: string): Client {
    return new Client({ ...this.#options, token }, this.#agent)
  }

  get(path: string, sent?: Sent): Promise<Answered> {
    return this.send('GET', path, undefined, sent)
  }

  put(path: string, body?: Payload, sent?: Sent): Promise<Answered> {
    return this.send('PUT', path, body, sent)
  }

  delete(path: string, sent?: Sent): Promise<Answered> {
    return this.send('DELETE', path, undefined, sent)
  }

  /** Sends a request; the answer is checked. Text and bytes go as they are, the rest as JSON. */
  async send(method: string, path: string, body?: Payload, sent: Sent = {}): Promise<Answered> {
    const answered = await this.raw(method, path, body, sent)
    const faults = this.#faultsOf(method, path, answered)
    if (faults.length > 0) this.#options.t.fail(`${method} ${path}`, { faults, got: answered.text })
    return answered
  }

  /** The same without the check, for what is not declared. */
  raw(method: string, path: string, body?: Payload, sent: Sent = {}): Promise<Answered> {
    const { host, port } = this.#options
    const headers = { ...this.#tokenHeader, ...sent.headers }
    const isPlain = body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
    const payload = isPlain ? body : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const options = { host, port, method, path, agent: this.#agent, ...sent, headers }
      const asked = request(options, response => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve(answeredOf(response.statusCode!, response.headers, Buffer.concat(chunks))),
        )
      })
      asked.on('error', reject)
      if (payload !== undefined) asked.setHeader('Content-Length', Buffer.byteLength(payload))
      asked.end(payload)
    })
  }

  /**
   * The status of an answer that may go on for ever: it is left once its head is there, and a text.
   */
  begun(method: string, path: string, until = ''): Promise<number> {
    const { host, port } = this.#options
    return new Promise((resolve, reject) => {
      const headers = this.#tokenHeader
      const asked = request({ host, port, method, path, headers, agent: false }, response => {
        let text = ''
        const over = (): void => {
          response.destroy()
          resolve(response.statusCode!)
        }
        response.on('error', () => {})
        response.on('end', over)
        response.on('data', (piece: Buffer) => {
          text += piece.toString()
          if (text.includes(until)) over()
        })
        if (until === '') over()
      })
      asked.on('error', reject)
      asked.end()
    })
  }

  get #tokenHeader(): Readonly<Record<string, string>> {
    const { token = '' } = this.#options
    return token === '' ? {} : { 'X-Consul-Token': token }
  }

  close(): void {
    this.#agent.destroy()
  }

  #faultsOf(method: string, url: string, answered: Answered): string[] {
    const operation = this.#operationOf(method, url)
    if (operation === undefined) return ['not declared']
    const faults: string[] = []
    const { defaultPolicy = 'allow' } = this.#options
    const told = answered.headers['x-consul-default-acl-policy']
    if (told !== defaultPolicy) faults.push('no ACL policy')
    const answer = operation.answers[answered.status]
    if (answer === undefined) return [...faults, ...refusalFaults(answered)]
    return [...faults, ...bodyFaults(answer, answered), ...metaFaults(operation, answered)]
  }

  /** The operation of the path that fits best: the one with most of its text fixed. */
  #operationOf(method: string, url: string): Operation | undefined {
    const path = url.split('?', 1)[0]!
    const fitting = this.#options.paths.filter(one => patternOf(one.path).test(path))
    const fixed = (one: PathDeclaration): number => one.path.replaceAll(/\{\w+\}/g, '').length
    const [best] = fitting.toSorted((a, b) => fixed(b) - fixed(a))
    return best?.operations[method as 'GET']
  }
}

const patternOf = (path: string): RegExp =>
  new RegExp(`^${path.replace(/\{\w+\}$/, '.*').replaceAll(/\{\w+\}/g, '[^/]*')}$`)

function answeredOf(status: number, headers: IncomingHttpHeaders, bytes: Buffer): Answered {
  const text = bytes.toString('utf8')
  return {
    status,
    headers,
    bytes,
    text,
    index: Number(headers['x-consul-index'] ?? 0),
    get json() {
      return JSON.parse(text)
    },
  }
}

const isText = ({ headers }: Answered): boolean =>
  headers['content-type']?.startsWith('text/plain') === true

function bodyFaults(answer: Answer, answered: Answered): string[] {
  if ('stream' in answer) {
    const { type } = answer
    return answered.headers['content-type'] === type ? [] : [`not of type ${type}`]
  }
  if ('empty' in answer) return answered.bytes.length === 0 ? [] : ['not empty']
  if ('text' in answer) return isText(answered) ? [] : ['not text']
  if (isText(answered)) return answer.orText === undefined ? ['text instead of JSON'] : []
  if (answered.headers['content-type'] !== 'application/json') return ['not said to be JSON']
  return answer.json.check(answered.json, '$')
}

/** Every read carries the whole of its meta headers, and no other answer an index. */
function metaFaults(operation: Operation, { headers, index }: Answered): string[] {
  const isRead = 'ask' in operation || operation.meta === true
  if (!isRead) return index === 0 ? [] : ['an index that is none']
  const faults: string[] = []
  if (!(index >= 1)) faults.push('no index')
  if (headers['x-consul-knownleader'] !== 'true') faults.push('no known leader')
  if (!/^\d+$/.test(String(headers['x-consul-lastcontact']))) faults.push('no last contact')
  const effective = headers['x-consul-effective-consistency'] !== undefined
  if (effective !== ('effective' in operation && operation.effective === true))
    faults.push('effective consistency')
  return faults
}

/** Statuses that are not declared are refusals: text that says why; two may say nothing. */
function refusalFaults(answered: Answered): string[] {
  const { status, text } = answered
  // Where no audit record can be kept, nothing is answered that needs one.
  const isUnaudited = status === 503 && text.includes('audit record')
  const isKnown = [400, 403, 413, 500, 501].includes(status) || isUnaudited
  if (!isKnown) return [`status ${status} is not declared`]
  if (text === '' && (status === 400 || status === 500)) return []
  return isText(answered) && text !== '' ? [] : ['a refusal without words']
}
