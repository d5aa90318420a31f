/**
 * A service of second factors for tests: HTTPS on loopback, with what it was asked, what it found
 * wrong with that, and every way to answer wrongly.
 *
 * What a service itself answers is in a file of its own beside this one, written after the pages
 * that it is documented on. Each looks at requests harder than the real one may.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Test } from 'tap'

/** A request as it came. */
export interface Asked {
  readonly method: string
  /** With its query. */
  readonly target: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly text: string
  /** What is sent in place of the text. */
  readonly bytes?: Buffer
}

/** What happens in place of an answer. */
export type Fault = 'silent' | 'cut' | 'half' | 'endless' | 'slow'

/** Stands in all texts of answers that are for people: no reason may hold it. */
export const CANARY = 'canary-of-an-answer'

export abstract class FakeService {
  readonly asked: Asked[] = []
  /** What is wrong with requests: nothing, where a test does not say otherwise. */
  readonly wrong: string[] = []
  /** What is done to the answer to the request of that number, from 0 on. */
  spoil: (answer: Answer, number: number) => Answer | Fault | Promise<Answer> = answer => answer
  readonly #server
  readonly #sockets = new Set<Socket>()

  constructor(tls: { readonly cert: string; readonly key: string }) {
    this.#server = createServer(tls, (request, response) => {
      this.#take(request, response).catch(error => this.wrong.push(String(error)))
    })
    this.#server.on('secureConnection', socket => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    this.#server.on('tlsClientError', () => {})
  }

  /** Listens on a free port of loopback until the test ends. */
  async listen(t: Test): Promise<this> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      this.#server.closeAllConnections()
      this.#server.close()
    })
    return this
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#sockets.size
  }

  get paths(): string[] {
    return this.asked.map(({ method, target }) => `${method} ${target.replace(/\?.*/, '')}`)
  }

  /** What the service says. */
  protected abstract answer(asked: Asked): Answer | Promise<Answer>

  protected check(holds: boolean, what: string): void {
    if (!holds) this.wrong.push(what)
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const { method = '', url: target = '', headers } = request
    const asked = { method, target, headers, body: Buffer.concat(pieces).toString('utf8') }
    const number = this.asked.push(asked) - 1
    this.check(headers['transfer-encoding'] === undefined, 'the length is not said')
    this.check(/^[\w./ -]+$/.test(String(headers['user-agent'])), 'no user agent')
    this.check(String(headers.accept).includes('application/json'), 'JSON is not accepted')
    const given = await this.spoil(await this.answer(asked), number)
    if (typeof given === 'string') fail(given, response)
    else {
      const headers = { 'content-type': 'application/json', ...given.headers }
      response.writeHead(given.status ?? 200, headers).end(given.bytes ?? given.text)
    }
  }
}

function fail(fault: Fault, response: ServerResponse): void {
  switch (fault) {
    case 'silent':
      return
    case 'cut':
      response.destroy()
      return
    case 'half':
      response.writeHead(200, { 'content-length': '1000' }).write('{"stat"', () => {
        response.destroy()
      })
      return
    case 'slow':
      response.writeHead(200).write('{')
      return
    default: {
      response.writeHead(200)
      const more = (): void => {
        while (!response.destroyed && response.write(' '.repeat(65_536)));
      }
      response.on('drain', more)
      more()
    }
  }
}
