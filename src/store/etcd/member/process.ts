/**
 * The process of a managed member: started, heard, stopped, and never left behind.
 *
 * Owns that at most one process runs on a folder of data: whatever an agent that was killed has
 * left is ended first. The child is a process group of its own, so that Ctrl-C in a terminal
 * reaches us alone and we stop it last; where setpriv(1) is there, it ends when we do.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { type Clock, sleep } from '../../../base/clock.ts'
import { messageOf, OperatingCode, OperatingError } from '../../../base/errors.ts'
import { hasCode, removeFile, writeFileAtomic } from '../../../base/io/file.ts'
import { limits } from '../../../base/limits.ts'
import type { Log } from '../../../base/log.ts'
import { readMemberLine, saysRemoved } from './log-line.ts'
import type { MemberProgram } from './program.ts'
import { folderWord } from './words.ts'

/** How a process of a member ended. */
export interface MemberEnd {
  /** Its exit code, or the signal that ended it. */
  readonly how: string
  /** The others have removed it from the cluster. */
  readonly wasRemoved: boolean
  /** The last thing that it complained of. */
  readonly lastComplaint: string
}

export interface ProcessPorts {
  /** One whose timers hold this process open: nothing else may while a member ends. */
  readonly clock: Clock
  readonly log: Log
  /** The variables of our own process; of them the child sees what it cannot run without. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** A running member. */
export class MemberProcess {
  readonly pid: number
  readonly ended: Promise<MemberEnd>
  readonly #child: ChildProcess
  readonly #clock: Clock
  #isOver = false

  private constructor(child: ChildProcess, pid: number, pidFile: string, ports: ProcessPorts) {
    const { clock, log } = ports
    this.pid = pid
    this.#child = child
    this.#clock = clock
    let wasRemoved = false
    let lastComplaint = ''
    const lines = createInterface({ input: child.stderr! })
    lines.on('line', text => {
      const line = readMemberLine(text)
      if (line === undefined) return
      const { level, message, fields } = line
      wasRemoved ||= saysRemoved(text)
      if (level === 'warn' || level === 'error') {
        lastComplaint = fields.error === undefined ? message : `${message}: ${fields.error}`
      }
      log[level](`etcd: ${message}`, fields)
    })
    const read = once(lines, 'close')
    this.ended = once(child, 'exit').then(async ([code, signal]) => {
      this.#isOver = true
      // What it said last is still in the pipe; somebody who inherited it may keep that open.
      const late = clock.after(limits.memberLastWordsMs, () => lines.close())
      await read
      late.clear()
      await removeFile(pidFile).catch(() => {})
      return { how: signal ?? `code ${code}`, wasRemoved, lastComplaint }
    })
  }

  /** Starts etcd with these words. Rejects with OperatingError where it cannot be started. */
  static async start(
    { path, setpriv }: MemberProgram,
    words: readonly string[],
    pidFile: string,
    ports: ProcessPorts,
  ): Promise<MemberProcess> {
    const command = [path, ...words]
    // Terminated, not killed: it hands its leadership on and closes its files.
    const whole = setpriv === undefined ? command : [setpriv, '--pdeathsig', 'TERM', ...command]
    const child = spawn(whole[0]!, whole.slice(1), {
      env: environmentOf(ports.environment),
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    try {
      await once(child, 'spawn')
    } catch (error) {
      const why = `cannot start ${path}: ${(error as Error).message}`
      throw new OperatingError(OperatingCode.unavailable, why, 'none', error)
    }
    const { pid } = child
    if (pid === undefined) throw new Error('a child that was started has no id')
    const started = new MemberProcess(child, pid, pidFile, ports)
    // It is for people: what was left running is found by its words. A full disk ends nothing.
    await writeFileAtomic(pidFile, `${pid}\n`).catch((error: unknown) => {
      ports.log.warn('the id of a process cannot be written', { pid, error: messageOf(error) })
    })
    return started
  }

  /** Whether it is still there. */
  get isRunning(): boolean {
    return !this.#isOver
  }

  /** Ends it: asks first, and kills it when it takes too long. */
  async stop(): Promise<void> {
    if (this.#isOver) return
    this.#child.kill('SIGTERM')
    const late = this.#clock.after(limits.memberStopMs, () => this.kill())
    await this.ended
    late.clear()
  }

  /** Ends it at once, as a crash would. */
  kill(): void {
    if (!this.#isOver) this.#child.kill('SIGKILL')
  }
}

/** Variables that etcd asks for where it would not start otherwise; ETCD_* are ours to say. */
const INHERITED = ['ETCD_UNSUPPORTED_ARCH', 'GOMAXPROCS', 'TZ']

function environmentOf(all: ProcessPorts['environment']): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name of INHERITED) {
    const value = all[name]
    if (value !== undefined) kept[name] = value
  }
  return kept
}

/**
 * Ends every process that was started on this folder of data: those of an agent that was killed.
 * Gives how many there were. Throws OperatingError `locked` when one does not end.
 */
export async function endLeftovers(
  folder: string,
  pidFile: string,
  { clock, log }: Pick<ProcessPorts, 'clock' | 'log'>,
): Promise<number> {
  const found = await processesOn(folder)
  for (const pid of found) {
    log.warn('ending a member that an agent before this one left running', { pid })
    signal(pid, 'SIGTERM')
    if (await isGoneWithin(pid, folder, clock, limits.memberStopMs)) continue
    signal(pid, 'SIGKILL')
    if (await isGoneWithin(pid, folder, clock, limits.memberStopMs)) continue
    throw new OperatingError(
      OperatingCode.locked,
      `process ${pid} runs on ${folder} and does not end: end it, then start again`,
    )
  }
  await removeFile(pidFile)
  return found.length
}

/** The processes whose words name this folder as that of their data. */
export async function processesOn(folder: string): Promise<readonly number[]> {
  const names = await readdir('/proc').catch(() => [])
  const pids = names.filter(name => /^\d+$/.test(name)).map(Number)
  const ours = await Promise.all(pids.map(pid => isOn(pid, folder)))
  return pids.filter((_, at) => ours[at])
}

async function isOn(pid: number, folder: string): Promise<boolean> {
  // A process that has ended, and waits for its parent to notice, has no words.
  const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return words.split('\0').includes(folderWord(folder))
}

async function isGoneWithin(
  pid: number,
  folder: string,
  clock: Clock,
  boundMs: number,
): Promise<boolean> {
  const POLL_MS = 20
  for (let waitedMs = 0; waitedMs < boundMs; waitedMs += POLL_MS) {
    if (!(await isOn(pid, folder))) return true
    await sleep(clock, POLL_MS)
  }
  return !(await isOn(pid, folder))
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error
  }
}
