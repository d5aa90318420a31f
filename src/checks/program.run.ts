/**
 * A program under way: started by its words, its output kept as far as it is wanted.
 *
 * Owns the process and its group. Nothing of the group outlives the run: not when the time is over,
 * not when the program ends and has left something behind. Never starts a shell.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { messageOf } from '../base/errors.ts'
import { CheckStatus } from '../store/tables/check.ts'
import type { CheckResult, Run } from './define.ts'
import { programTimeout } from './program.ts'
import { Tail } from './tail.ts'

/** A program to be run as a check. */
export interface ProgramRequest {
  readonly words: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs: number
  /** How much of what it says is kept. */
  readonly outputMaxSizeBytes: number
}

/** What an exit code and an output mean; the code is undefined for an end by a signal. */
export type ProgramJudge = (exitCode: number | undefined, output: Tail) => CheckResult

/** Runs a program; see StartRun. */
export function runProgram(
  request: ProgramRequest,
  judge: ProgramJudge,
  report: (result: CheckResult) => void,
): Run {
  const output = new Tail(request.outputMaxSizeBytes)
  let isOver = false
  let exit: { readonly code: number | undefined } | undefined
  const finish = (result: CheckResult): void => {
    if (isOver) return
    isOver = true
    report(result)
  }
  const failed = (fault: string): void => finish({ status: CheckStatus.critical, output: fault })
  const child = spawned(request)
  if (child instanceof Error) {
    failed(messageOf(child))
    return { end() {} }
  }
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk))
  child.on('error', error => failed(startFault(request.words[0] ?? '', error)))
  child.on('exit', code => {
    exit = { code: code ?? undefined }
    killGroup(child)
  })
  // All that was written is read by then.
  child.on('close', code => finish(judge(code ?? undefined, output)))
  return {
    end(why) {
      if (isOver) return
      killGroup(child)
      child.stdout?.destroy()
      child.stderr?.destroy()
      if (why === 'stopped') isOver = true
      // What it left behind may hold its output open: that says nothing of the program itself.
      else if (exit !== undefined) finish(judge(exit.code, output))
      else finish(programTimeout(request.timeoutMs, output))
    },
  }
}

function spawned({ words, environment }: ProgramRequest): ChildProcess | Error {
  const [command = '', ...rest] = words
  try {
    return spawn(command, rest, {
      // A group of its own, so that it can be ended with all that it started.
      detached: true,
      shell: false,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
    })
  } catch (error) {
    // Words that no program can be given, such as one with a NUL.
    return error instanceof Error ? error : new Error(messageOf(error))
  }
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left.
  }
}

function startFault(command: string, error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT' && !command.includes('/')) {
    return `exec: ${JSON.stringify(command)}: executable file not found in $PATH`
  }
  const causes: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    EACCES: 'permission denied',
    ENOEXEC: 'exec format error',
  }
  return `fork/exec ${command}: ${causes[error.code ?? ''] ?? messageOf(error)}`
}
