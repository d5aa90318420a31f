/**
 * Programs that a person told us to start: the children of `lock` and the handlers of `watch`.
 *
 * Owns that each is a process group of its own, so that a signal reaches what it started too (a
 * shell that is killed alone leaves its command behind). Secrets travel in the environment only,
 * never in the words.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** How a child ended. */
export interface ChildEnd {
  /** undefined when a signal ended it. */
  readonly code: number | undefined
  readonly signal: string | undefined
}

export interface Child {
  readonly pid: number
  readonly ended: Promise<ChildEnd>
  /** Sends a signal to it and to all that it started; one that is gone is no fault. */
  signal(name: NodeJS.Signals): void
}

export interface ChildOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What it reads: our own input, these bytes, or nothing. */
  readonly stdin: 'ours' | 'none' | Buffer
  /** Takes what it prints, on stdout and stderr; ours unless given. */
  readonly output?: (chunk: Buffer) => void
}

/** Starts a program by its words. Rejects when it cannot be started. */
export async function startChild(
  [file = '', ...words]: readonly string[],
  { environment, stdin, output }: ChildOptions,
): Promise<Child> {
  const input = stdin === 'ours' ? 'inherit' : stdin === 'none' ? 'ignore' : 'pipe'
  const child = spawn(file, words, {
    env: environment,
    detached: true,
    stdio: output === undefined ? [input, 'inherit', 'inherit'] : [input, 'pipe', 'pipe'],
  })
  if (output !== undefined) {
    child.stdout?.on('data', output)
    child.stderr?.on('data', output)
  }
  const ended = new Promise<ChildEnd>(resolve => {
    child.once('close', (code, signal) => {
      resolve({ code: code ?? undefined, signal: signal ?? undefined })
    })
  })
  await once(child, 'spawn')
  // A child that reads nothing may close its input before it has all of it.
  child.stdin?.on('error', () => {})
  if (Buffer.isBuffer(stdin)) child.stdin?.end(stdin)
  const { pid } = child
  if (pid === undefined) throw new Error('a child that was started has no id')
  return {
    pid,
    ended,
    signal(name) {
      try {
        process.kill(-pid, name)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
    },
  }
}
