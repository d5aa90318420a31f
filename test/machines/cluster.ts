/**
 * Three servers on three machines of a test, each beside an etcd member of its own.
 *
 * Owns how they are started, asked and ended; which faults they meet is the test's choice. The
 * members are the user's own here (external mode): what gatehouse does with members that it runs
 * itself is for the tests of managed members.
 */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import path from 'node:path'
import type { Test } from 'tap'
import { type Answer, program } from '../clients/daemon.ts'
import { type Launched, launch, tempFolder, until } from '../clients/process.ts'
import { clientFile } from '../run/clients.ts'
import type { Machine, Network } from './network.ts'

const CLIENT_PORT = 2379
const PEER_PORT = 2380
const HTTP_PORT = 8500
const ASK_TIMEOUT_MS = 15_000

export interface ServerOptions {
  /** Where its data lies; a folder of the test's own unless given. */
  readonly folder?: string
  readonly env?: NodeJS.ProcessEnv
  readonly words?: readonly string[]
  /** What is run instead of the program that users call: a file and its first words. */
  readonly program?: readonly [string, ...string[]]
}

/** One machine's member of etcd and its gatehouse server. */
export class ClusterServer {
  readonly machine: Machine
  readonly folder: string
  readonly #t: Test
  readonly #peers: readonly Machine[]
  readonly #options: ServerOptions
  #etcd: Launched | undefined
  #agent: Launched | undefined

  constructor(t: Test, machine: Machine, peers: readonly Machine[], options: ServerOptions) {
    this.#t = t
    this.machine = machine
    this.#peers = peers
    this.#options = options
    this.folder = options.folder ?? tempFolder(t)
  }

  get etcdPid(): number {
    return this.#etcd?.pid ?? 0
  }

  get isEtcdRunning(): boolean {
    return this.#etcd?.isRunning() ?? false
  }

  get agentPid(): number {
    return this.#agent?.pid ?? 0
  }

  /** The processes of the machine. */
  get pids(): number[] {
    return [this.#etcd, this.#agent].filter(one => one?.isRunning()).map(one => one!.pid)
  }

  startEtcd(): void {
    const { address } = this.machine
    const peer = `http://${address}:${PEER_PORT}`
    const client = `http://${address}:${CLIENT_PORT}`
    const members = this.#peers.map(one => `${one.name}=http://${one.address}:${PEER_PORT}`)
    const words = [
      ...['--name', this.machine.name, '--data-dir', path.join(this.folder, 'etcd')],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', members.join(','), '--logger', 'zap', '--log-level', 'error'],
    ]
    this.#etcd = launch(this.#t, ...this.machine.inside(clientFile('etcd'), words))
  }

  startAgent(): void {
    const { address } = this.machine
    const others = this.#peers.filter(one => one !== this.machine)
    const endpoints = [this.machine, ...others].map(one => `"http://${one.address}:${CLIENT_PORT}"`)
    const hcl = `acl { enabled = false } tls { https {} }
      store { engine = "etcd" etcd { endpoints = [${endpoints.join(', ')}] } }
      limits { http_max_conns_per_client = -1 }`
    const [file, ...first] = this.#options.program ?? [program]
    const words = [
      ...first,
      ...['agent', `-data-dir=${path.join(this.folder, 'data')}`, `-node=${this.machine.name}`],
      ...[`-bind=${address}`, `-client=${address}`, `-hcl=${hcl}`, ...(this.#options.words ?? [])],
    ]
    const env = this.#options.env ?? {}
    this.#agent = launch(this.#t, ...this.machine.inside(file, words), { env })
  }

  /** Gets the key of another server's, as an operator can hand it over. */
  takeClusterKey(other: ClusterServer): void {
    const [from, to] = [other, this].map(({ folder }) => path.join(folder, 'data', 'cluster.key'))
    mkdirSync(path.dirname(to!), { recursive: true, mode: 0o700 })
    copyFileSync(from!, to!)
  }

  start(): void {
    this.startEtcd()
    this.startAgent()
  }

  /** Waits until it says that it is ready; throws with its words when it ends instead. */
  async ready(): Promise<void> {
    const agent = this.#agent!
    await until(`${this.machine.name} is ready`, () => {
      return !agent.isRunning() || agent.stdout().includes('\nReady.\n')
    })
    if (!agent.isRunning()) throw new Error(`${this.machine.name} ended: ${agent.stderr()}`)
  }

  /** All that its agent said since it was started last. */
  get said(): string {
    return `${this.#agent?.stdout() ?? ''}${this.#agent?.stderr() ?? ''}`
  }

  async killAgent(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#agent?.signal(signal)
    await this.#agent?.ended
  }

  async killEtcd(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#etcd?.signal(signal)
    await this.#etcd?.ended
  }

  /** The machine loses power. */
  async kill(): Promise<void> {
    await Promise.all([this.killAgent(), this.killEtcd()])
  }

  /** Its disk is lost. */
  wipe(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** One request on a connection of its own; rejects when there is no whole answer. */
  ask(method: string, url: string, body: string | object = ''): Promise<Answer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const asked = request({
        ...{ host: this.machine.address, port: HTTP_PORT, method, path: url, agent: false },
        headers: { 'Content-Length': Buffer.byteLength(text), Connection: 'close' },
        timeout: ASK_TIMEOUT_MS,
      })
      asked.on('response', response => {
        let answer = ''
        response.setEncoding('utf8').on('data', part => {
          answer += part
        })
        response.on('error', reject)
        response.on('end', () => {
          const { statusCode: status = 0, headers, complete } = response
          if (complete) resolve({ status, headers, text: answer })
          else reject(new Error('the answer was cut'))
        })
      })
      asked.on('timeout', () => asked.destroy(new Error('no answer in time')))
      asked.on('error', reject)
      asked.end(text)
    })
  }
}

/** Starts a server on each machine of the network and waits until all are ready. */
export async function startCluster(
  t: Test,
  { machines }: Network,
  optionsOf: (at: number) => ServerOptions = () => ({}),
): Promise<ClusterServer[]> {
  const servers = machines.map((one, at) => new ClusterServer(t, one, machines, optionsOf(at)))
  const [first, ...others] = servers
  for (const server of servers) server.startEtcd()
  first!.startAgent()
  await first!.ready()
  for (const server of others) {
    server.takeClusterKey(first!)
    server.startAgent()
  }
  await Promise.all(others.map(server => server.ready()))
  return servers
}
