/**
 * Processes of a bench: started on given cores, asked over their own channel, stopped by their id.
 *
 * Owns every child that a bench starts; none outlives it. What a child does is not known here.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { pinned } from './cores.ts'

/** What the probe inside a child tells of its loop, in milliseconds. */
export interface LoopFigures {
  /** The longest slice of ours since the last reset. */
  readonly longestSliceMs: number
  readonly delayP99Ms: number
  readonly delayMaxMs: number
}

export interface Child {
  readonly pid: number
  /** Asks the probe; resolves with its answer. */
  ask<T>(question: string, detail?: unknown): Promise<T>
  /** Resident memory in bytes; undefined where the system does not tell. */
  rssSizeBytes(): number | undefined
  /** Processor time that it took so far; 0 where the system does not tell. */
  cpuMs(): number
  /** Ends it and resolves when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

const probe = fileURLToPath(new URL('./probe.ts', import.meta.url))

/** Flags that put the probe into a process of ours. */
export const probed: readonly string[] = ['--no-warnings', '--import', probe]

/** Starts node on some cores. With `isReady` it resolves once a line of stdout matches. */
export const startNode = (
  cores: string,
  words: readonly string[],
  options: StartOptions = {},
): Promise<Child> => start(cores, process.execPath, words, options)

/** Starts the program itself, by the launcher that users call, with the probe beside it or not. */
export function startProgram(
  cores: string,
  words: readonly string[],
  { isProbed = true, env = {}, ...options }: StartOptions = {},
): Promise<Child> {
  const loaded = isProbed ? { NODE_OPTIONS: probed.join(' ') } : {}
  return start(cores, program, words, { isProbed, env: { ...env, ...loaded }, ...options })
}

/** Starts any other program on some cores. */
export const startFile = (cores: string, file: string, words: readonly string[]): Promise<Child> =>
  start(cores, file, words, { isProbed: false })

const program = fileURLToPath(new URL('../../bin/gatehouse', import.meta.url))

/** Runs a verb of the program in a folder; throws when it fails. */
export function runProgram(words: readonly string[], folder: string): void {
  const { status, stderr } = spawnSync(program, words, { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr}`)
}

async function start(
  cores: string,
  file: string,
  words: readonly string[],
  { isReady, isProbed = true, env = {} }: StartOptions,
): Promise<Child> {
  const [command = '', ...rest] = pinned(cores, file, words)
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe', ...(isProbed ? (['ipc'] as const) : [])],
    env: { ...process.env, ...env },
  })
  running.add(child)
  const gone = once(child, 'exit').then(() => running.delete(child))
  const ended = await readyOrEnded(child, gone, isReady)
  if (ended !== undefined) throw new Error(`${words.join(' ')} ended:\n${ended}`)
  return childOf(child, gone)
}

export interface StartOptions {
  readonly isReady?: RegExp
  /** False for a process that is to run just as users run it. */
  readonly isProbed?: boolean
  readonly env?: Readonly<Record<string, string>>
}

/** Resolves with undefined when it is ready, with what it printed when it ended instead. */
function readyOrEnded(
  child: ChildProcess,
  gone: Promise<unknown>,
  isReady: RegExp | undefined,
): Promise<string | undefined> {
  let printed = ''
  return new Promise(resolve => {
    const read = (chunk: Buffer): void => {
      if (printed.length < MAX_PRINTED_CHARS) printed += chunk.toString()
      if (isReady?.test(printed) === true) resolve(undefined)
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    void gone.then(() => resolve(printed))
    if (isReady === undefined) child.once('spawn', () => resolve(undefined))
  })
}

const MAX_PRINTED_CHARS = 65_536

function childOf(child: ChildProcess, gone: Promise<unknown>): Child {
  let asked = 0
  return {
    pid: child.pid ?? 0,
    async ask<T>(question: string, detail?: unknown) {
      const id = ++asked
      const answer = new Promise<T>((resolve, reject) => {
        const onMessage = (message: unknown): void => {
          const given = message as { id?: number; answer?: T; failure?: string }
          if (given.id !== id) return
          child.off('message', onMessage)
          if (given.failure === undefined) resolve(given.answer as T)
          else reject(new Error(given.failure))
        }
        child.on('message', onMessage)
        void gone.then(() => reject(new Error(`the child ended before it answered ${question}`)))
      })
      child.send({ id, question, detail })
      return await answer
    },
    rssSizeBytes: () => rssOf(child.pid ?? 0),
    cpuMs: () => cpuMsOf(child.pid ?? 0),
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      const patience = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      await gone
      clearTimeout(patience)
    },
  }
}

const STOP_TIMEOUT_MS = 10_000

function rssOf(pid: number): number | undefined {
  try {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return line === null ? undefined : Number(line[1]) * 1_024
  } catch {
    return undefined
  }
}

/** What Linux counts processor time in. */
const TICK_MS = 10

function cpuMsOf(pid: number): number {
  try {
    // Behind the name, which may hold anything: state is the first field, utime the twelfth.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS
  } catch {
    return 0
  }
}

const FIRST_PORT = 25_000
const LAST_PORT = 25_999
let nextPort = FIRST_PORT + (process.pid % 900)

/** A free TCP port of the range that benches use. */
export async function freePort(): Promise<number> {
  for (let tries = LAST_PORT - FIRST_PORT; tries > 0; tries--) {
    nextPort = nextPort === LAST_PORT ? FIRST_PORT : nextPort + 1
    if (await isFree(nextPort)) return nextPort
  }
  throw new Error(`no free port from ${FIRST_PORT} to ${LAST_PORT}`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
