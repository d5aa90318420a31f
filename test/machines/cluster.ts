/**
 * Three servers on three machines of a test, each with an etcd member beside it.
 *
 * Owns how they are started, asked and ended; which faults they meet is the test's choice. The
 * members are run by the servers themselves, which takes one command on each machine, or are the
 * user's own (`external`). Either way the servers found their cluster by a join token.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
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
/** What a start takes on a busy machine. */
const READY_MS = 240_000

export interface ServerOptions {
  /** Where its data lies; a folder of the test's own unless given. */
  readonly folder?: string
  readonly env?: NodeJS.ProcessEnv
  readonly words?: readonly string[]
  /** Members are the user's own; else the servers run them. */
  readonly external?: boolean
  /** What is run instead of the program that users call: a file and its first words. */
  readonly program?: readonly [string, ...string[]]
}

interface ServerSetup extends ServerOptions {
  /** What all servers of the cluster know each other by. */
  readonly joinToken: string
}

/** One machine's member of etcd and its gatehouse server. */
export class ClusterServer {
  readonly machine: Machine
  readonly folder: string
  readonly #t: Test
  readonly #peers: readonly Machine[]
  readonly #options: ServerOptions
  readonly #joinToken: string
  #program: ServerOptions['program']
  #etcd: Launched | undefined
  #agent: Launched | undefined

  constructor(t: Test, machine: Machine, peers: readonly Machine[], options: ServerSetup) {
    this.#t = t
    this.machine = machine
    this.#joinToken = options.joinToken
    this.#peers = peers
    this.#options = options
    this.#program = options.program
    this.folder = options.folder ?? tempFolder(t)
  }

  /** Whether the server runs its member itself. */
  get isManaged(): boolean {
    return this.#options.external !== true
  }

  /** The process of its member; 0 while there is none. */
  get etcdPid(): number {
    if (!this.isManaged) return this.#etcd?.isRunning() === true ? this.#etcd.pid : 0
    const file = path.join(this.folder, 'data/member/etcd.pid')
    const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
    return pid > 0 && wordsOf(pid).some(word => word.includes(this.folder)) ? pid : 0
  }

  get isEtcdRunning(): boolean {
    return this.etcdPid !== 0
  }

  get agentPid(): number {
    return this.#agent?.pid ?? 0
  }

  /** The processes of the machine. */
  get pids(): number[] {
    const agent = this.#agent?.isRunning() === true ? this.#agent.pid : 0
    return [this.etcdPid, agent].filter(pid => pid !== 0)
  }

  /** Starts the user's own member; a server that runs one does so by itself. */
  startEtcd(): void {
    if (this.isManaged) return
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
    const store = this.isManaged
      ? 'autopilot { server_stabilization_time = "1s" }'
      : `store { engine = "etcd" etcd { endpoints = [${endpoints.join(', ')}] } }`
    const hcl = `acl { enabled = false } tls { https {} } ${store}
      limits { http_max_conns_per_client = -1 }`
    const [file, ...first] = this.#program ?? [program]
    const words = [
      ...[...first, 'agent', '-server', `-bootstrap-expect=${this.#peers.length}`],
      ...this.#peers.map(one => `-retry-join=${one.address}`),
      ...[`-data-dir=${path.join(this.folder, 'data')}`, `-node=${this.machine.name}`],
      ...[`-bind=${address}`, `-client=${address}`, `-hcl=${hcl}`, ...(this.#options.words ?? [])],
    ]
    const env = { ...this.#options.env, GATEHOUSE_JOIN_TOKEN: this.#joinToken }
    this.#agent = launch(this.#t, ...this.machine.inside(file, words), { env })
  }

  /** Another program is there from now on: the next start is of it. */
  install(other: ServerOptions['program']): void {
    this.#program = other
  }

  start(): void {
    this.startEtcd()
    this.startAgent()
  }

  /** Waits until it says that it is ready; throws with its words when it ends instead. */
  async ready(): Promise<void> {
    const agent = this.#agent!
    const isSettled = () => !agent.isRunning() || agent.stdout().includes('\nReady.\n')
    await until(`${this.machine.name} is ready`, isSettled, READY_MS)
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
    if (!this.isManaged) {
      this.#etcd?.signal(signal)
      await this.#etcd?.ended
      return
    }
    const pid = this.etcdPid
    if (pid === 0) return
    process.kill(pid, signal)
    await until('the member ended', () => wordsOf(pid).length === 0)
  }

  /** The machine loses power. */
  async kill(): Promise<void> {
    // Else the server that is left for a moment would start the member again.
    await this.killAgent()
    await this.killEtcd()
  }

  /** Its disk is lost; what it is mounted on stays. */
  wipe(): void {
    for (const name of readdirSync(this.folder)) {
      rmSync(path.join(this.folder, name), { recursive: true, force: true })
    }
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

/** The words of a process; none once it has ended. */
function wordsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean)
  } catch {
    return []
  }
}

/** Starts a server on each machine of the network and waits until all are ready. */
export async function startCluster(
  t: Test,
  { machines }: Network,
  optionsOf: (at: number) => ServerOptions = () => ({}),
): Promise<ClusterServer[]> {
  const joinToken = `${randomUUID()}.${randomBytes(32).toString('hex')}`
  const servers = machines.map((one, at) => {
    return new ClusterServer(t, one, machines, { ...optionsOf(at), joinToken })
  })
  for (const server of servers) server.start()
  await Promise.all(servers.map(server => server.ready()))
  return servers
}
