/**
 * A daemon that runs as a child process: when it is ready, where it answers, and how it is asked.
 *
 * Owns both ways of ending it, and what it is asked by; who starts it says how.
 */
import { request } from 'node:http'
import { request as requestSecure } from 'node:https'
import path from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { type Launched, until } from './process.ts'

export const root = path.resolve(import.meta.dirname, '../..')

/** The program that users call. */
export const program = path.join(root, 'bin/gatehouse')

export interface DaemonOptions {
  readonly engine?: 'level' | 'memory' | 'etcd'
  /** Where its data is kept; a folder of the test's own unless given. */
  readonly dataDir?: string
  /** More words of the command line; ports are free ones unless these name them. */
  readonly words?: readonly string[]
  /** Added to its environment. */
  readonly env?: NodeJS.ProcessEnv
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

export interface Daemon extends Launched {
  readonly httpPort: number
  /** 0 where HTTPS is not served. */
  readonly httpsPort: number
  /** 0 where secrets are not served. */
  readonly secretsPort: number
  /** 0 where gRPC is not served in clear. */
  readonly grpcPort: number
  /** 0 where it is not served over TLS. */
  readonly grpcTlsPort: number
  readonly dnsPort: number
  readonly dataDir: string
  /** Sends one request on a connection of its own; rejects when there is no whole answer. */
  ask(method: string, url: string, body?: string | object): Promise<Answer>
  /** The answer's JSON; throws unless the status is 200. */
  read<T>(url: string): Promise<T>
  /** SIGTERM; gives the exit code. */
  stop(): Promise<number | string>
  /** SIGKILL. */
  kill(): Promise<void>
}

/** Waits until a daemon says that it is ready; throws with its words when it ends instead. */
export async function whenReady(launched: Launched): Promise<void> {
  await until('the daemon is ready', () => {
    if (!launched.isRunning()) return true
    return launched.stdout().includes('\nReady.\n')
  })
  if (!launched.isRunning()) throw new Error(`the daemon ended: ${launched.stderr()}`)
}

/** A daemon that said Ready, with its ports as it printed them, or others before them. */
export function daemonOf(
  launched: Launched,
  dataDir: string,
  before?: Pick<Daemon, 'httpPort' | 'dnsPort'>,
): Daemon {
  const lineOf = (name: string): RegExpExecArray | null =>
    new RegExp(`^ +${name} .*:(\\d+)\\b`, 'm').exec(launched.stdout())
  const portOf = (name: string): number => {
    const line = lineOf(name)
    if (line === null) throw new Error(`it named no port of ${name}: ${launched.stdout()}`)
    return Number(line[1])
  }
  const httpPort = before?.httpPort ?? portOf('HTTP')
  const ask: Daemon['ask'] = (method, url, body) => askPort(httpPort, method, url, body)
  return {
    ...launched,
    httpPort,
    httpsPort: Number(lineOf('HTTPS')?.[1] ?? 0),
    secretsPort: Number(lineOf('secrets')?.[1] ?? 0),
    grpcPort: Number(lineOf('gRPC')?.[1] ?? 0),
    grpcTlsPort: Number(lineOf('gRPC, TLS')?.[1] ?? 0),
    dnsPort: before?.dnsPort ?? portOf('DNS'),
    dataDir,
    ask,
    async read<T>(url: string): Promise<T> {
      const { status, text } = await ask('GET', url)
      if (status !== 200) throw new Error(`GET ${url}: ${status} ${text}`)
      return JSON.parse(text) as T
    },
    stop: () => {
      launched.signal('SIGTERM')
      return launched.ended
    },
    kill: async () => {
      launched.signal('SIGKILL')
      await launched.ended
    },
  }
}

/** Sends one request to a port of this machine, over TLS where it is said how. */
export function askPort(
  port: number,
  method: string,
  url: string,
  body: string | object = '',
  tls?: ConnectionOptions,
): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Length': Buffer.byteLength(text), Connection: 'close' }
    const options = { host: '127.0.0.1', port, method, path: url, headers, agent: false }
    const send = tls === undefined ? request : requestSecure
    const asked = send({ ...tls, ...options }, response => {
      let answer = ''
      response.setEncoding('utf8')
      response.on('data', part => {
        answer += part
      })
      response.on('error', reject)
      response.on('end', () => {
        if (!response.complete) reject(new Error('the answer was cut'))
        else {
          const { statusCode: status = 0, headers: its } = response
          resolve({ status, headers: its, text: answer })
        }
      })
    })
    asked.on('error', reject)
    asked.end(text)
  })
}
