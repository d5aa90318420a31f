/**
 * A real etcd for tests, of one member or several: each is started on free loopback ports in a
 * folder of its own and ended by its process id.
 *
 * Ports are looked for below those that the system hands out to connections, so that a member
 * which is started again finds its own still free.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { clientFile } from '../../run/clients.ts'

/** A member of an etcd that runs until the test ends. */
export interface Member {
  /** `http://host:port`, for clients. */
  readonly endpoint: string
  /** Kills it at once, as a crash would. */
  kill(): Promise<void>
  /** Kills it and takes its data away. */
  wipe(): Promise<void>
  /** Starts it again on the same folder and ports; resolves when it answers. */
  start(): Promise<void>
  /** Stops it from running without ending it: connections stay open and nothing is answered. */
  pause(): void
  resume(): void
}

/** Files of TLS for clients' connections, all three of them; clients must show a certificate. */
export interface MemberTls {
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
}

/** How a test's etcd is started, where that is not the usual way. */
export interface ClusterOptions {
  readonly flags?: readonly string[]
  readonly tls?: MemberTls
}

const FIRST_PORT = 22_000
const LAST_PORT = 22_999
const START_TRIES = 5
const READY_POLLS = 500
const POLL_MS = 20

/** Starts etcd; with `flags` in addition to what a single member needs. */
export async function startEtcd(t: Test, ...flags: string[]): Promise<Member> {
  const [member] = await startCluster(t, 1, { flags })
  return member!
}

/** The flags by which idle watches are told more often where they are: renamed in etcd 3.6. */
export function progressEvery(pause: string): string[] {
  const said = execFileSync(clientFile('etcd'), ['--version'], { encoding: 'utf8' })
  const [, minor] = /^etcd Version: 3\.(\d+)/.exec(said) ?? []
  const isRenamed = minor !== undefined && Number(minor) >= 6
  return [`--${isRenamed ? '' : 'experimental-'}watch-progress-notify-interval`, pause]
}

/** Starts an etcd of several members. */
export async function startCluster(
  t: Test,
  size: number,
  options: ClusterOptions = {},
): Promise<Member[]> {
  const folder = t.testdir()
  for (let tries = 1; ; tries++) {
    const places: Place[] = []
    for (let at = 0; at < size; at++) {
      const ports = [await freePort(), await freePort()] as const
      const name = size === 1 ? 'test' : `m${at + 1}`
      places.push({ name, folder: `${folder}/try-${tries}-${name}`, ports })
    }
    const members = places.map(place => new OneMember(place, places, options))
    t.teardown(() => Promise.all(members.map(member => member.kill())))
    try {
      await Promise.all(members.map(member => member.start()))
      return members
    } catch (error) {
      // Somebody else took one of the ports meanwhile.
      await Promise.all(members.map(member => member.kill()))
      if (tries === START_TRIES) throw error
    }
  }
}

/** Where a member lies: its folder, its ports for clients and for the other members. */
interface Place {
  readonly name: string
  readonly folder: string
  readonly ports: readonly [number, number]
}

class OneMember implements Member {
  readonly endpoint: string
  readonly #folder: string
  readonly #metrics: string
  readonly #words: string[]
  #process: ChildProcess | undefined

  constructor(place: Place, all: readonly Place[], { flags = [], tls }: ClusterOptions) {
    const peersOf = ({ ports }: Place): string => `http://127.0.0.1:${ports[1]}`
    this.endpoint = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${place.ports[0]}`
    // Health is asked for in clear, also where clients must show certificates.
    this.#metrics = tls === undefined ? this.endpoint : `http://127.0.0.2:${place.ports[0]}`
    this.#folder = place.folder
    const peers = peersOf(place)
    this.#words = [
      ...['--name', place.name, '--data-dir', place.folder, '--logger', 'zap'],
      ...['--log-level', 'error'],
      ...['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint],
      ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
      ...['--initial-cluster', all.map(one => `${one.name}=${peersOf(one)}`).join(',')],
      ...(tls === undefined ? [] : ['--listen-metrics-urls', this.#metrics]),
      ...(tls === undefined ? [] : ['--client-cert-auth', '--trusted-ca-file', tls.caFile]),
      ...(tls === undefined ? [] : ['--cert-file', tls.certFile, '--key-file', tls.keyFile]),
      // Short elections: a member is ready at once, and leases of one second are granted.
      ...(all.length === 1 ? ['--heartbeat-interval', '20', '--election-timeout', '200'] : []),
      ...flags,
    ]
  }

  async start(): Promise<void> {
    const child = spawn(clientFile('etcd'), this.#words, { stdio: 'ignore' })
    this.#process = child
    for (let polls = 0; polls < READY_POLLS && child.exitCode === null; polls++) {
      if (await this.#isReady()) return
      await sleep(POLL_MS)
    }
    await this.kill()
    throw new Error(`etcd did not start: ${this.#words.join(' ')}`)
  }

  async #isReady(): Promise<boolean> {
    try {
      const answer = await fetch(`${this.#metrics}/health`)
      return (await answer.text()).includes('"true"')
    } catch {
      return false
    }
  }

  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  async wipe(): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true })
  }

  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }
}

const tried = new Set<number>()

async function freePort(): Promise<number> {
  const count = LAST_PORT - FIRST_PORT + 1
  for (let step = 0; step < count; step++) {
    // Files that run at the same time begin at different places.
    const port = FIRST_PORT + ((process.pid * 37 + step) % count)
    if (tried.has(port) || !(await isFree(port))) continue
    tried.add(port)
    return port
  }
  throw new Error(`no port is free between ${FIRST_PORT} and ${LAST_PORT}`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
