/**
 * A machine of a test as a person has it: a shell in a folder, and an agent in a window of its own.
 *
 * Owns that what only reads is typed again until it prints what is wanted, as a person would, and
 * how long a new member has to be well before it gets a vote (a second here, 10 by default).
 */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Test } from 'tap'
import { root } from '../clients/daemon.ts'
import { type Launched, launch, until } from '../clients/process.ts'
import type { Machine } from './network.ts'

const FASTER = '-hcl=autopilot { server_stabilization_time = "1s" }'
const READ_MS = 60_000

export class Shell {
  readonly #t: Test
  readonly #machine: Machine
  readonly #folder: string
  readonly #name: string
  readonly #env: NodeJS.ProcessEnv
  readonly #shell: ReturnType<typeof spawn>
  #agent: Launched | undefined
  #printed = ''
  #typed = 0

  constructor(t: Test, machine: Machine, name: string, folder: string) {
    this.#t = t
    this.#machine = machine
    this.#name = name
    this.#folder = path.join(folder, name)
    mkdirSync(this.#folder)
    const tools = path.join(folder, 'tools')
    mkdirSync(tools, { recursive: true })
    writeFileSync(path.join(tools, 'scp'), `#!/bin/sh\ncp "$1" "${folder}/\${2%:}/"\n`)
    chmodSync(path.join(tools, 'scp'), 0o755)
    const { CONSUL_HTTP_TOKEN: _, ...env } = process.env
    this.#env = { ...env, PATH: `${path.join(root, 'bin')}:${tools}:${env.PATH}` }
    const [file, words] = machine.inside('unshare', ['--uts', 'bash'])
    this.#shell = spawn(file, words, { cwd: this.#folder, env: this.#env })
    const add = (text: string): void => {
      this.#printed += text
    }
    for (const stream of [this.#shell.stdout!, this.#shell.stderr!]) {
      stream.setEncoding('utf8').on('data', add)
    }
    t.teardown(() => void this.#shell.kill('SIGKILL'))
    this.#shell.stdin!.write(`hostname ${name}\n`)
  }

  get agentSaid(): string {
    return `${this.#name}: ${this.#agent?.stdout() ?? ''}\n${this.#agent?.stderr() ?? ''}`
  }

  /** Types it in a window of its own; gives what it printed until it was ready or ended. */
  async startAgent(command: string): Promise<string> {
    const before = this.#agent
    if (before !== undefined) await until('the agent before it ended', () => !before.isRunning())
    const line = `hostname ${this.#name}; exec ${command} '${FASTER}'`
    const words = this.#machine.inside('unshare', ['--uts', 'bash', '-c', line])
    this.#agent = launch(this.#t, ...words, { cwd: this.#folder, env: this.#env })
    const agent = this.#agent
    await until(
      `${this.#name} is ready`,
      () => !agent.isRunning() || agent.stdout().includes('\nReady.\n'),
      READ_MS,
    ).catch(() => {
      // What it printed is compared, and says it.
    })
    return agent.stdout().trim() === '' ? agent.stderr() : agent.stdout()
  }

  /** Types it; what only reads is typed again until it prints what is wanted, for a while. */
  async typeUntil(command: string, isWanted: (found: string) => boolean): Promise<string> {
    const end = performance.now() + READ_MS
    for (;;) {
      const found = await this.#type(command)
      const isRight = isWanted(found)
      if (isRight || !isRead(command) || performance.now() >= end) return found
    }
  }

  async #type(command: string): Promise<string> {
    const mark = `@end ${++this.#typed}@`
    this.#printed = ''
    this.#shell.stdin!.write(`${command}\necho '${mark}'\n`)
    await until(command, () => this.#printed.includes(mark), READ_MS)
    return this.#printed.slice(0, this.#printed.indexOf(mark))
  }
}

const READS = [
  ...['dig', 'curl (?!.*-X)', 'gatehouse members', 'gatehouse kv get', 'gatehouse catalog'],
  ...['gatehouse operator (raft list|autopilot|ca agents|ca roots)', 'gatehouse join-token list'],
]

const isRead = (command: string): boolean => new RegExp(`^(${READS.join('|')})`).test(command)
