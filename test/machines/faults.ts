/**
 * Faults of a machine that a test brings about and takes back: pauses, clocks, disks.
 *
 * Owns how each is made without touching the program: a stopped process, a wall clock moved by
 * libfaketime (the monotonic clock stays true), syncs delayed through strace, a small disk that is
 * filled. Needs root; see `noFaults`. Nothing outlives the test.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Test } from 'tap'
import { outputOf, tempFolder } from '../clients/process.ts'
import { absent } from '../run/clients.ts'
import { noNamespaces } from './network.ts'

/** Why these faults cannot be made here, for tap's `skip`; false where they can. */
export const noFaults: string | false = noNamespaces || absent('etcd', 'strace', 'faketime')

/** The processes stand still until `resume`, as in a virtual machine that is moved. */
export function pause(pids: readonly number[]): { resume(): void } {
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  return {
    resume() {
      for (const pid of pids) signalIfThere(pid, 'SIGCONT')
    },
  }
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** A wall clock of its own for processes that are started with `env`. */
export interface WallClock {
  readonly env: NodeJS.ProcessEnv
  /** From now on it is so far ahead of (below zero: behind) the true time. */
  set(offsetS: number): void
}

const LIBRARY_FOLDERS: Readonly<Record<string, string>> = {
  x64: '/usr/lib/x86_64-linux-gnu',
  arm64: '/usr/lib/aarch64-linux-gnu',
}

/** Makes a clock that is right until it is set. Node reads it; a Go program does not. */
export function wallClock(t: Test): WallClock {
  const file = path.join(tempFolder(t), 'offset')
  const set = (offsetS: number): void => {
    writeFileSync(file, `${offsetS < 0 ? '-' : '+'}${Math.abs(offsetS)}\n`)
  }
  set(0)
  const library = path.join(LIBRARY_FOLDERS[process.arch] ?? '/usr/lib', 'faketime')
  return {
    set,
    env: {
      LD_PRELOAD: path.join(library, 'libfaketimeMT.so.1'),
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
  }
}

/** Each sync of the process takes so much longer, until the fault is ended. */
export async function slowDisk(
  t: Test,
  pid: number,
  delayMs: number,
): Promise<() => Promise<void>> {
  const delay = `inject=fsync,fdatasync:delay_enter=${delayMs * 1_000}`
  const words = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=fsync,fdatasync', '-e', delay]
  const tracer = spawn('strace', [...words, '-p', String(pid)], { stdio: 'ignore' })
  const ended = once(tracer, 'close')
  let isOver = false
  const end = async (): Promise<void> => {
    if (!isOver) tracer.kill('SIGTERM')
    isOver = true
    await ended
  }
  t.teardown(end)
  return end
}

/** A disk of its own under a folder, which can be filled and freed again. */
export interface SmallDisk {
  readonly folder: string
  fill(): void
  free(): void
}

export async function smallDisk(t: Test, sizeMib: number): Promise<SmallDisk> {
  const folder = path.join(tempFolder(t), 'disk')
  mkdirSync(folder)
  await outputOf(t, 'mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'gatehouse-test', folder])
  t.teardown(() => outputOf(t, 'umount', ['-l', folder]))
  const ballast = path.join(folder, 'ballast')
  return {
    folder,
    fill() {
      const { bavail, bsize } = statfsSync(folder)
      // What others write meanwhile may take the last blocks first.
      try {
        writeFileSync(ballast, Buffer.alloc(Number(bavail) * Number(bsize)))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    },
    free: () => rmSync(ballast, { force: true }),
  }
}
