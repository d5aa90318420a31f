/**
 * Runs the programs of checks in a small process beside this one, which is started when the first
 * of them is run: a large process that starts another holds its own loop for long, a small one does
 * not, and it ends all that it started when this one is gone, however that came about.
 *
 * Owns that process (program-child.run.ts) and the messages between the two. When it ends too soon,
 * the runs that were under way say so, and the next run starts another one.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { inheritedUmask } from '../base/io/umask.ts'
import { startFile } from '../base/places.ts'
import type { Programs, Run } from './define.ts'
import type { ProgramEnd, ProgramRequest } from './program.ts'

/** From us to the child: a program to be started, or one to be ended. */
export type HostMessage =
  | { readonly id: number; readonly start: ProgramRequest }
  | { readonly id: number; readonly end: 'timeout' | 'stopped' }

/** From the child: how a program was over. */
export interface HostAnswer {
  readonly id: number
  readonly end: ProgramEnd
}

const CHILD = startFile('checks/program-child.run')

const LOST: ProgramEnd = { what: 'fault', text: 'the process that runs programs of checks ended' }

export class ProgramHost implements Programs {
  readonly #environment: Readonly<Record<string, string>>
  readonly #runs = new Map<number, (end: ProgramEnd) => void>()
  #child: ChildProcess | undefined
  #lastId = 0

  /** The environment is that of the programs; the child sees no other. */
  constructor(environment: Readonly<Record<string, string>>) {
    this.#environment = environment
  }

  start(request: ProgramRequest, ended: (end: ProgramEnd) => void): Run {
    const id = ++this.#lastId
    this.#runs.set(id, ended)
    this.#child ??= this.#fork()
    this.#send({ id, start: request })
    return {
      end: why => {
        if (!this.#runs.has(id)) return
        if (why === 'stopped') this.#forget(id)
        this.#send({ id, end: why })
      },
    }
  }

  async close(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    this.#runs.clear()
    if (child?.connected !== true) return
    const gone = once(child, 'exit')
    child.ref()
    child.disconnect()
    await gone
  }

  #fork(): ChildProcess {
    const mask = inheritedUmask()
    const child = fork(CHILD, mask === undefined ? [] : [String(mask)], {
      execArgv: ['--no-warnings', '--disable-sigusr1', '--disable-proto=throw'],
      env: { ...this.#environment },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      serialization: 'json',
    })
    const lost = (): void => {
      if (this.#child !== child) return
      this.#child = undefined
      const under = [...this.#runs.values()]
      this.#runs.clear()
      for (const ended of under) ended(LOST)
    }
    child.on('message', ({ id, end }: HostAnswer) => {
      const ended = this.#runs.get(id)
      this.#forget(id)
      ended?.(end)
    })
    child.on('error', lost)
    // Whichever comes first; nothing else tells of the end while nobody waits for the process.
    child.on('disconnect', lost)
    child.on('exit', lost)
    child.unref()
    return child
  }

  #send(message: HostMessage): void {
    const child = this.#child
    // This process stays as long as a run is under way, and no longer.
    if (this.#runs.size > 0) child?.channel?.ref()
    else child?.channel?.unref()
    // A message that cannot be sent any more is answered by the end of the child.
    child?.send(message, () => {})
  }

  #forget(id: number): void {
    this.#runs.delete(id)
    if (this.#runs.size === 0) this.#child?.channel?.unref()
  }
}
