/**
 * What the tests of the command line share: an `Io` that remembers, and an agent of the tests'
 * own that answers as told.
 */
import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { foregroundClock, systemRandom } from '../../src/base/clock.ts'
import { startChild } from '../../src/base/io/child.ts'
import type { Io } from '../../src/cli/command.ts'
import { run } from '../../src/cli/run.ts'
import { type Daemon, startDaemon } from '../clients/daemon.ts'

export interface Outcome {
  readonly code: number
  readonly out: string
  readonly error: string
}

/** An `Io` that keeps what is printed, each print a line. */
export function fakeIo(
  environment: Record<string, string> = {},
  stdin = '',
  typed: readonly string[] = [],
) {
  const answers = [...typed]
  const out: string[] = []
  const errors: string[] = []
  const exits: number[] = []
  const handlers = new Set<readonly [string, () => void]>()
  const io: Io = {
    isTerminal: false,
    askSecret: async () => answers.shift() ?? Promise.reject(new Error('stdin is no terminal')),
    print: text => void out.push(Buffer.from(text).toString('latin1')),
    printError: text => void errors.push(text),
    environment,
    readStdin: async () => Buffer.from(stdin),
    onSignal(signal, handle) {
      const entry = [signal, handle] as const
      handlers.add(entry)
      return () => void handlers.delete(entry)
    },
    exit: code => void exits.push(code),
    write: bytes => void out.push(Buffer.from(bytes).toString('latin1')),
    start: startChild,
    clock: foregroundClock,
    random: systemRandom,
  }
  const signal = (name: string): void => {
    for (const [each, handle] of [...handlers]) if (each === name) handle()
  }
  const listens = (name: string): boolean => [...handlers].some(([each]) => each === name)
  return { io, out, errors, exits, listens, signal }
}

/** Runs a command line; its words are split at spaces unless given as a list. */
export async function call(
  line: string | string[],
  options: {
    environment?: Record<string, string>
    stdin?: string
    program?: string
    /** What is typed when a secret is asked for, one after the other. */
    typed?: readonly string[]
  } = {},
): Promise<Outcome> {
  const { io, out, errors } = fakeIo(options.environment, options.stdin, options.typed)
  const words = typeof line === 'string' ? line.split(' ').filter(Boolean) : line
  const code = await run(words, options.program ?? 'gatehouse', io)
  return { code, out: out.join('\n'), error: errors.join('\n') }
}

export interface Asked {
  readonly method: string
  readonly url: string
  readonly token: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface FakeAgent {
  readonly address: string
  readonly asked: Asked[]
  /** What is answered next and from then on. */
  answer(body: string | object, status?: number, headers?: Record<string, string>): void
  /** What is answered on one path, whatever its query. */
  answerOn(path: string, body: string | object, status?: number): void
  close(): void
}

/** A server on a free port, or on a socket file. */
export async function fakeAgent(socketPath?: string): Promise<FakeAgent> {
  const asked: Asked[] = []
  interface Told {
    readonly body: string
    readonly status: number
    readonly headers: Record<string, string>
  }
  let next: Told = { body: '', status: 200, headers: {} }
  const byPath = new Map<string, Told>()
  const told = (body: string | object, status = 200, headers = {}): Told => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return { body: text, status, headers }
  }
  const server: Server = createServer(async (request, response) => {
    asked.push({
      method: request.method ?? '',
      url: request.url ?? '',
      token: request.headers['x-consul-token'] as string | undefined,
      headers: request.headers,
      body: await bodyOf(request),
    })
    const { status, headers, body } = byPath.get(request.url?.split('?')[0] ?? '') ?? next
    response.writeHead(status, headers).end(Buffer.from(body, 'latin1'))
  })
  server.listen(socketPath === undefined ? { port: 0, host: '127.0.0.1' } : { path: socketPath })
  await once(server, 'listening')
  return {
    address: socketPath ?? `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    answer(body, status, headers) {
      next = told(body, status, headers)
    },
    answerOn: (path, body, status) => void byPath.set(path, told(body, status)),
    close: () => void server.close(),
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

/** A call of the command line on an agent of its own, and the agent. */
export interface OnAgent {
  readonly daemon: Daemon
  readonly environment: Record<string, string>
  ask(line: string | string[], stdin?: string): Promise<Outcome>
}

/** Starts a real agent, for all tests of a file. */
export async function realAgent(t: Test, words: readonly string[] = []): Promise<OnAgent> {
  const daemon = await startDaemon(t, { engine: 'memory', words: ['-node=n1', ...words] })
  const environment = { CONSUL_HTTP_ADDR: `127.0.0.1:${daemon.httpPort}` }
  const ask: OnAgent['ask'] = (line, stdin = '') => call(line, { environment, stdin })
  return { daemon, environment, ask }
}
