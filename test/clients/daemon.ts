/**
 * The real daemon as a child process on free ports, as a person starts it: by bin/gatehouse.
 *
 * Owns the start (until it says Ready), both ways of ending it, and the way to ask it. With
 * GATEHOUSE_TEST_TARGET it is one of several (target.ts), and whoever asks it need not know.
 */
import { request } from 'node:http'
import { request as requestSecure } from 'node:https'
import path from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import type { Test } from 'tap'
import { type Launched, launch, tempFolder, until } from './process.ts'

export const root = path.resolve(import.meta.dirname, '../..')

/** The program that users call. */
export const program = path.join(root, 'bin/gatehouse')

/** What a test is run against. */
export type Target = 'server' | 'cluster' | 'agent'

const TARGETS: readonly string[] = ['server', 'cluster', 'agent'] satisfies Target[]

/** One server; three of them behind one address; an agent of those that is no server. */
export const target = (): Target => {
  const { GATEHOUSE_TEST_TARGET: named = 'server' } = process.env
  if (!TARGETS.includes(named)) throw new Error(`GATEHOUSE_TEST_TARGET is ${named}`)
  return named as Target
}

/** What there is behind a target. */
interface Shape {
  /** Whether the agent that is asked is a server. */
  readonly isServer: boolean
  readonly servers: number
  /** Agents of either kind. */
  readonly members: number
}

const shapes: Readonly<Record<Target, Shape>> = {
  server: { isServer: true, servers: 1, members: 1 },
  cluster: { isServer: true, servers: 3, members: 3 },
  agent: { isServer: false, servers: 3, members: 4 },
}

export const shape = (): Shape => shapes[target()]

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

/** The words that start an agent of the given kind. */
export function agentWords(dataDir: string, options: DaemonOptions = {}): string[] {
  const ports = ['-http-port=0', '-dns-port=0', '-server-port=0']
  const engine = `-hcl=store { engine = "${options.engine ?? 'level'}" }`
  return ['agent', `-data-dir=${dataDir}`, engine, ...ports, ...(options.words ?? [])]
}

/**
 * Starts a daemon and waits until it is ready; it is ended with the test at the latest. Where the
 * environment says so, it is one of several: what holds for clients holds there too.
 */
export async function startDaemon(t: Test, options: DaemonOptions = {}): Promise<Daemon> {
  // Who names an engine that servers share has it for himself.
  if (target() !== 'server' && options.engine !== 'etcd') {
    const { startBehindOne, startBeside } = await import('./target.ts')
    return target() === 'cluster' ? startBehindOne(t, options) : startBeside(t, options)
  }
  const dataDir = options.dataDir ?? tempFolder(t)
  const launched = launch(t, program, agentWords(dataDir, options), { env: options.env ?? {} })
  await whenReady(launched)
  return daemonOf(launched, dataDir)
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
