/**
 * An issuer of tokens for tests: an HTTP server that answers as it is told, and remembers what it
 * was asked.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Pair } from './tokens.ts'

export interface IssuerAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly text?: string
  readonly json?: unknown
  /** A key set of these. */
  readonly keys?: readonly (Pair & { readonly kid?: string })[]
  /** Goes on until the asker leaves. */
  readonly endless?: boolean
  /** Never answers. */
  readonly silent?: boolean
  /** Closes the connection behind the text. */
  readonly isCut?: boolean
}

type Answers = Readonly<Record<string, () => IssuerAnswer>>

export class Issuer {
  readonly paths: string[] = []
  readonly hosts: string[] = []
  readonly #server: Server
  readonly #scheme: string

  private constructor(server: Server, scheme: string) {
    this.#server = server
    this.#scheme = scheme
  }

  /** Starts one on a free port of loopback; it ends with the test. */
  static async start(
    t: Test,
    answers: Answers,
    tls?: { readonly key: string; readonly cert: string },
  ): Promise<Issuer> {
    const server = tls === undefined ? createServer() : createTlsServer(tls)
    const issuer = new Issuer(server, tls === undefined ? 'http' : 'https')
    server.on('request', (request, response) => issuer.#answer(answers, request, response))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    return issuer
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`
  }

  #answer(answers: Answers, request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? ''
    this.paths.push(path)
    this.hosts.push(request.headers.host ?? '')
    const answer = answers[path]?.() ?? { status: 404 }
    if (answer.silent === true) return
    response.writeHead(answer.status ?? 200, answer.headers)
    if (answer.endless === true) {
      const more = (): void => {
        while (response.write('x'.repeat(65_536)));
      }
      response.on('drain', more)
      more()
      return
    }
    const body = bodyOf(answer)
    if (answer.isCut === true) response.write(body, () => response.destroy())
    else response.end(body)
  }
}

function bodyOf({ text, json, keys }: IssuerAnswer): string {
  if (text !== undefined) return text
  if (keys === undefined) return JSON.stringify(json ?? {})
  const all = keys.map(({ publicKey, kid }) => {
    const jwk = publicKey.export({ format: 'jwk' })
    return kid === undefined ? jwk : { ...jwk, kid }
  })
  return JSON.stringify({ keys: all })
}
