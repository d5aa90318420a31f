/**
 * Runs every bench in turn, each in a process of its own, and prints their rows in one table.
 *
 *     run.ts [--quick] [word …]     only benches whose file name contains one of the words
 *
 * A bench prints each figure as a line `#row {"figure":…}` (see Row) and exits with an error
 * only when an answer was wrong: a missed limit is a row, not a failure.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { machine } from './support/cores.ts'

/** One line of the table; the texts carry their units. */
export interface Row {
  /** What was measured: `KV GET, 32 connections`. */
  readonly figure: string
  readonly ours: string
  /** The bare thing measured in the same run, and the share of it that is to be met. */
  readonly limit: string
  readonly goal: string
  readonly met: boolean
  /** A peer's figure; says so when it is a recorded one. */
  readonly peer: string
  readonly note: string
}

const columns = ['figure', 'ours', 'limit', 'goal', 'met', 'peer'] as const

const root = path.resolve(import.meta.dirname, '..')
process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  const options = args.filter(arg => arg.startsWith('--'))
  const words = args.filter(arg => !arg.startsWith('--'))
  const startedMs = performance.now()
  const files = globSync('bench/*.bench.ts', { cwd: root })
    .filter(file => words.length === 0 || words.some(word => path.basename(file).includes(word)))
    .sort()
  const rows: Row[] = []
  const wrong: string[] = []
  for (const file of files) {
    process.stdout.write(`\n${file}\n`)
    if (!(await runBench(file, options, rows))) wrong.push(file)
  }
  printTable(rows)
  for (const { figure, note } of rows) if (note !== '') process.stdout.write(`${figure}: ${note}\n`)
  const seconds = Math.round((performance.now() - startedMs) / 1_000)
  const met = rows.filter(row => row.met).length
  process.stdout.write(`\n${machine()}; ${seconds} s; ${met} of ${rows.length} met\n`)
  for (const file of wrong) process.stdout.write(`ended with an error: ${file}\n`)
  return wrong.length > 0 || files.length === 0 ? 1 : 0
}

/** True when the bench ended without an error. Its other lines are shown as they come. */
async function runBench(file: string, options: readonly string[], rows: Row[]): Promise<boolean> {
  const child = spawn(process.execPath, ['--no-warnings', file, ...options], {
    cwd: root,
    stdio: ['inherit', 'pipe', 'inherit'],
  })
  const stop = () => child.kill()
  process.once('SIGTERM', stop)
  const ended = new Promise<boolean>(resolve => child.on('close', code => resolve(code === 0)))
  for await (const line of createInterface(child.stdout)) {
    if (line.startsWith('#row ')) rows.push(JSON.parse(line.slice('#row '.length)) as Row)
    else process.stdout.write(`  ${line}\n`)
  }
  process.removeListener('SIGTERM', stop)
  return ended
}

function printTable(rows: readonly Row[]): void {
  const cells = rows.map(row => columns.map(name => cell(row, name)))
  const widths = columns.map((name, at) =>
    Math.max(name.length, ...cells.map(line => line[at]?.length ?? 0)),
  )
  const lines = [[...columns], widths.map(width => '-'.repeat(width)), ...cells]
  const padded = lines.map(line => line.map((text, at) => text.padEnd(widths[at] ?? 0)))
  process.stdout.write(`\n${padded.map(line => `| ${line.join(' | ')} |\n`).join('')}\n`)
}

function cell(row: Row, name: keyof Row): string {
  return name === 'met' ? (row.met ? 'met' : 'missed') : String(row[name] ?? '')
}
