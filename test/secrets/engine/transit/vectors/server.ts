/**
 * A server of Vault's interface, asked about transit by whatever way a test has.
 *
 * Owns what of an answer is looked at.
 */

/** What came back. */
export interface Answer {
  readonly status: number
  readonly errors: readonly string[]
  // What a server gives is looked at where it is used.
  // biome-ignore lint/suspicious/noExplicitAny: answers of every path
  readonly data: any
}

export type Ask = (
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
) => Promise<Answer>

/** A way to ask, and what must succeed. */
export class Server {
  readonly ask: Ask

  constructor(ask: Ask) {
    this.ask = ask
  }

  /** Reads data that must be there. */
  readonly get = (path: string) => this.#must('GET', path)

  /** Writes what must be taken. */
  readonly post = (path: string, body: object = {}) => this.#must('POST', path, body)

  async #must(method: 'GET' | 'POST', path: string, body?: object): Promise<Answer['data']> {
    const { status, errors, data } = await this.ask(method, path, body)
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${errors.join(', ')}`)
    return data
  }
}

/** A server that is asked over HTTP. */
export const serverAt = (address: string, token: string): Server =>
  new Server(async (method, path, body) => {
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      headers: { 'X-Vault-Token': token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const { errors = [], data = null } = text === '' ? {} : JSON.parse(text)
    return { status: response.status, errors, data }
  })
