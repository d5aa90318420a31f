/**
 * A program under way: started by its words, its output kept as far as it is wanted.
 *
 * Owns the process and its group. Nothing of the group outlives the run: not when the time is over,
 * not when the program ends and has left something behind. Never starts a shell. To start a process
 * holds the loop for as long as it takes to copy the tables of this process's memory: a large one
 * has it done by program-host.run.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { messageOf } from '../base/errors.ts'
import type { Run } from './define.ts'
import type { ProgramEnd, ProgramRequest } from './program.ts'
import { Tail } from './tail.ts'

/** Starts a program; `ended` is called once, unless the run is stopped before. */
export function startProgram(
  request: ProgramRequest,
  environment: Readonly<Record<string, string>>,
  ended: (end: ProgramEnd) => void,
): Run {
  const tail = new Tail(request.outputMaxSizeBytes)
  let isOver = false
  let exit: { readonly code: number | undefined } | undefined
  const finish = (end: ProgramEnd): void => {
    if (isOver) return
    isOver = true
    ended(end)
  }
  const output = () => ({
    text: tail.text(),
    seenBytes: tail.seenBytes,
    keptBytes: tail.keptBytes,
  })
  const exited = (code: number | undefined): void =>
    finish({ what: 'exit', code, output: output() })
  const child = spawned(request, environment)
  if (child instanceof Error) {
    finish({ what: 'fault', text: messageOf(child) })
    return { end() {} }
  }
  // One that reads nothing, or ends early, closes its input before it has all of it.
  child.stdin?.on('error', () => {})
  child.stdin?.end(request.input)
  child.stdout?.on('data', (chunk: Buffer) => tail.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => tail.push(chunk))
  child.on('error', error => {
    finish({ what: 'fault', text: startFault(request.words[0] ?? '', error) })
  })
  child.on('exit', code => {
    exit = { code: code ?? undefined }
    killGroup(child)
  })
  // All that was written is read by then.
  child.on('close', code => exited(code ?? undefined))
  return {
    end(why) {
      if (isOver) return
      killGroup(child)
      child.stdin?.destroy()
      child.stdout?.destroy()
      child.stderr?.destroy()
      if (why === 'stopped') isOver = true
      // What it left behind may hold its output open: that says nothing of the program itself.
      else if (exit !== undefined) exited(exit.code)
      else finish({ what: 'timeout', output: output() })
    },
  }
}

function spawned(
  { words: [command = '', ...rest], input }: ProgramRequest,
  environment: Readonly<Record<string, string>>,
): ChildProcess | Error {
  try {
    return spawn(command, rest, {
      // A group of its own, so that it can be ended with all that it started.
      detached: true,
      shell: false,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
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
