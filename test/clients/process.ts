/**
 * Processes that a test starts: foreign programs and the daemon itself.
 *
 * Owns that none outlives its test, whatever happens: each is ended by its own id in a teardown.
 * Also the bounded poll, by which tests wait for the outside world.
 */
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

/** A program that was started. */
export interface Launched {
  readonly pid: number
  /** The exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>
  isRunning(): boolean
  /** All that it printed so far. */
  stdout(): string
  stderr(): string
  signal(name: NodeJS.Signals): void
}

export interface LaunchOptions {
  /** Added to the environment. */
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** What it starts itself is ended with it, as for npm, which passes no SIGKILL on. */
  readonly group?: boolean
}

/** Starts `file` with `words`. */
export function launch(
  t: Test,
  file: string,
  words: readonly string[],
  { env, cwd, group = false }: LaunchOptions = {},
): Launched {
  const child = spawn(file, words, {
    env: { ...withoutConsul(process.env), ...env },
    ...(cwd === undefined ? {} : { cwd }),
    detached: group,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', text => {
      texts[name] += text
    })
  }
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  const isRunning = () => child.exitCode === null && child.signalCode === null
  t.teardown(async () => {
    if (group) killGroup(child.pid)
    else if (isRunning()) child.kill('SIGKILL')
    await ended
  })
  return {
    pid: child.pid ?? 0,
    ended,
    isRunning,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    signal: name => void child.kill(name),
  }
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // All of it ended by itself.
  }
}

/** What a program prints on stdout when it runs to its end; throws when it fails. */
export async function outputOf(t: Test, file: string, words: readonly string[]): Promise<string> {
  const launched = launch(t, file, words)
  const code = await launched.ended
  if (code !== 0) {
    throw new Error(`${file} ${words.join(' ')} ended with ${code}: ${launched.stderr()}`)
  }
  return launched.stdout()
}

/** Clients obey these variables; the ones of whoever runs the tests must not reach them. */
function withoutConsul(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('CONSUL_')))
}

const POLL_MS = 50

/**
 * Asks `probe` again and again until it gives something other than undefined or false, and
 * returns that. Throws after `boundMs`, naming `what` and what `probe` threw last.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  boundMs = 40_000,
): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + boundMs
  let fault: unknown
  while (performance.now() < end) {
    try {
      const found = await probe()
      if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>
      fault = undefined
    } catch (error) {
      fault = error
    }
    await sleep(POLL_MS)
  }
  throw new Error(`not within ${boundMs / 1_000} s: ${what}`, { cause: fault })
}

/** A folder of the test's own, gone when the test is over. */
export function tempFolder(t: Test): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The TAP that a script prints is counted here: each of its lines becomes an assertion. */
export async function assertScript(t: Test, script: Launched): Promise<void> {
  const code = await script.ended
  const lines = script.stdout().split('\n')
  for (const line of lines) {
    const [, fault, what = ''] = /^(not )?ok - (.*)$/.exec(line) ?? []
    if (fault !== undefined) t.fail(what)
    else if (what !== '') t.pass(what)
  }
  t.equal(lines.at(-2), 'done', `it ran to its end: ${script.stderr()}`)
  t.equal(code, 0)
}

const given = new Set<number>()

/**
 * A TCP port that was free a moment ago, for programs that cannot choose one themselves. It lies
 * below those that the system gives to outgoing connections.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 22_000)
    if (given.has(port)) continue
    given.add(port)
    const server = createServer()
    const isFree = await new Promise<boolean>(resolve => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
