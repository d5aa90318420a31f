#!/usr/bin/env node
/**
 * The program: hands the command line to its verb.
 *
 * Owns the process itself (arguments, streams, signals, exit code) and the compile cache of
 * sources, which is kept in the user's own cache folder. Nothing else happens here.
 */
import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import type { Io } from './cli/command.ts'

// What is emitted loads as fast without one, of which Node would keep all in memory.
if (import.meta.filename.endsWith('.ts')) {
  enableCompileCache(process.env.NODE_COMPILE_CACHE ?? join(homedir(), '.cache', 'gatehouse'))
}

const { run } = await import('./cli/run.ts')
const { limits } = await import('./base/limits.ts')
const { foregroundClock, systemRandom } = await import('./base/clock.ts')

const io: Io = {
  print(text) {
    process.stdout.write(text)
    process.stdout.write('\n')
  },
  write: bytes => void process.stdout.write(bytes),
  printError(text) {
    process.stderr.write(`${text}\n`)
  },
  environment: process.env,
  async readStdin() {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length
      if (sizeBytes > limits.cliBodySizeBytes) throw new Error('stdin holds too much')
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  },
  isTerminal: process.stdout.isTTY === true,
  askSecret: async prompt => (await import('./cli/terminal.ts')).askSecret(prompt),
  onSignal(signal, handle) {
    process.on(signal, handle)
    return () => void process.off(signal, handle)
  },
  start: async (words, options) => (await import('./base/io/child.ts')).startChild(words, options),
  clock: foregroundClock,
  random: systemRandom,
  exit: code => process.exit(code),
}

/** A reader that went away, as `head` does, ends us as a signal would: what is held is released. */
process.stdout.on('error', () => {
  if (!process.emit('SIGTERM', 'SIGTERM')) process.exit(1)
})

/** The launcher hands on the name it was called by as the title; without it the path tells. */
const names = [process.title, basename(process.argv[1] ?? '')]
const program = ['consul', 'vault', 'bao'].find(name => names.includes(name)) ?? 'gatehouse'
process.exit(await run(process.argv.slice(2), program, io))
