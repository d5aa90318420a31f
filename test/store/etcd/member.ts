/**
 * A real etcd of one member for tests: started on free loopback ports in a folder of its own,
 * ended by its process id.
 *
 * Ports are looked for below those that the system hands out to connections, so that a member
 * which is started again finds its own still free.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { clientFile } from '../../run/clients.ts'

/** An etcd that runs until the test ends. */
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

const FIRST_PORT = 22_000
const LAST_PORT = 22_499
const START_TRIES = 5
const READY_POLLS = 500
const POLL_MS = 20

/** Starts etcd; with `flags` in addition to what a single member needs. */
export async function startEtcd(t: Test, ...flags: string[]): Promise<Member> {
  const folder = t.testdir()
  for (let tries = 1; ; tries++) {
    const ports = [await freePort(), await freePort()]
    const member = new OneMember(`${folder}/try-${tries}`, ports, flags)
    t.teardown(() => member.kill())
    try {
      await member.start()
      return member
    } catch (error) {
      // Somebody else took one of the ports meanwhile.
      if (tries === START_TRIES) throw error
    }
  }
}

class OneMember implements Member {
  readonly endpoint: string
  readonly #folder: string
  readonly #words: string[]
  #process: ChildProcess | undefined

  constructor(folder: string, [client, peer]: number[], flags: readonly string[]) {
    this.endpoint = `http://127.0.0.1:${client}`
    this.#folder = folder
    const peers = `http://127.0.0.1:${peer}`
    this.#words = [
      ...['--name', 'test', '--data-dir', folder, '--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint],
      ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
      ...['--initial-cluster', `test=${peers}`],
      // Short elections: a member is ready at once, and leases of one second are granted.
      ...['--heartbeat-interval', '20', '--election-timeout', '200'],
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
      const answer = await fetch(`${this.endpoint}/health`)
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
