/**
 * A daemon whose living memory can be asked for: what is left after all garbage was collected.
 *
 * Owns the way in (collector.ts). Resident memory is no measure of a few MiB: it goes up and down
 * by fifty of them as V8 collects when it likes.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { type Daemon, type DaemonOptions, startDaemon } from '../clients/daemon.ts'
import { tempFolder, until } from '../clients/process.ts'
import { LIVING_FILE } from './collector.ts'

/** Starts one, and gives what asks it for the bytes that live: of its heap and outside of it. */
export async function startMeasured(
  t: Test,
  options: DaemonOptions = {},
): Promise<{ daemon: Daemon; livingBytes: () => Promise<number> }> {
  const file = path.join(tempFolder(t), 'living')
  const loaded = fileURLToPath(new URL('./collector.ts', import.meta.url))
  const env = { NODE_OPTIONS: `--no-warnings --import ${loaded}`, [LIVING_FILE]: file }
  const daemon = await startDaemon(t, { ...options, env: { ...options.env, ...env } })
  return { daemon, livingBytes: () => askLiving(daemon, file) }
}

/** How often all garbage is collected: compiled code that rests goes only after some of them. */
const READINGS = 5

/** The least of some readings: something short may be under way. */
async function askLiving(daemon: Daemon, file: string): Promise<number> {
  const readings: number[] = []
  while (readings.length < READINGS) {
    rmSync(file, { force: true })
    daemon.signal('SIGUSR2')
    readings.push(await until('garbage is collected', () => readLiving(file)))
  }
  return Math.min(...readings)
}

function readLiving(file: string): number | undefined {
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined
}
