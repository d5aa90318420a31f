/**
 * Runs one test file in a process and a session of its own and reads the TAP that it prints.
 *
 * Owns what counts as a failure: a failed assertion, an unfinished one, a file that asserts
 * nothing, ends with an error, outlives its bound or leaves processes behind.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { inspect } from 'node:util'
import { type FinalResults, Parser, type Result } from 'tap-parser'
import { killAll, MARK, sweep } from './processes.ts'

/** What one file came to. Skips are named, as they must not be overlooked. */
export interface FileResult {
  readonly file: string
  passed: number
  readonly failures: { name: string; detail: string }[]
  readonly skipped: string[]
  /** Counts of cases by name, as printed by run/budget.ts. */
  readonly reached: Map<string, number>
  tookMs: number
}

const STDERR_SHOWN_CHARS = 4_000
const running = new Map<number, string>()

/** Ends every test file that runs now, with all that they started. */
export function killRunning(): void {
  for (const [session, mark] of running) killAll(session, mark)
}

/** Runs `file` for at most `boundMs` with `env` added to the environment. */
export async function runFile(
  file: string,
  boundMs: number,
  env: Record<string, string>,
): Promise<FileResult> {
  const result = emptyResult(file)
  const startedAt = performance.now()
  // A runner under test keeps the outer runner's mark in front of its own.
  const mark = `${process.env[MARK] ?? ''}/${randomUUID()}`
  const child = spawn(process.execPath, ['--no-warnings', file], {
    detached: true,
    env: { ...process.env, ...env, GATEHOUSE_VERIFY: '1', TAP_TIMEOUT: '0', [MARK]: mark },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const session = child.pid as number
  running.set(session, mark)
  const bound = setTimeout(() => {
    fail(result, `took longer than ${boundMs / 1_000} s and was killed`)
    killAll(session, mark)
  }, boundMs)
  const output = collect(child)
  const closed = once(child, 'close')
  const [code, signal] = await once(child, 'exit')
  clearTimeout(bound)
  for (const left of await sweep(session, mark)) fail(result, `left a process behind: ${left}`)
  await closed
  running.delete(session)
  await readTap(output.stdout(), result)
  if (result.failures.length === 0 && code !== 0) fail(result, `ended with ${code ?? signal}`)
  if (result.passed + result.failures.length + result.skipped.length === 0) {
    fail(result, 'asserted nothing')
  }
  const last = result.failures.at(-1)
  if (last) last.detail += output.stderr().slice(-STDERR_SHOWN_CHARS)
  result.tookMs = performance.now() - startedAt
  return result
}

function emptyResult(file: string): FileResult {
  return { file, passed: 0, failures: [], skipped: [], reached: new Map(), tookMs: 0 }
}

function fail(result: FileResult, name: string, detail = ''): void {
  result.failures.push({ name, detail })
}

function collect(child: ChildProcess): { stdout(): string; stderr(): string } {
  const parts = { stdout: [] as string[], stderr: [] as string[] }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (text: string) => parts[stream].push(text))
  }
  return { stdout: () => parts.stdout.join(''), stderr: () => parts.stderr.join('') }
}

async function readTap(tap: string, result: FileResult): Promise<void> {
  for (const [, what = '', count] of tap.matchAll(/^\s*# reached (.+): (\d+)$/gm)) {
    result.reached.set(what, (result.reached.get(what) ?? 0) + Number(count))
  }
  const parser = new Parser()
  parser.on('pass', () => {
    result.passed += 1
  })
  parser.on('skip', (point: Result) => result.skipped.push(`${named(point)}: ${point.skip}`))
  parser.on('todo', (point: Result) => fail(result, `left to do: ${named(point)}`))
  parser.on('fail', (point: Result) => {
    fail(result, named(point), detailOf(point.diag))
  })
  const complete = once(parser, 'complete') as Promise<[FinalResults]>
  parser.end(tap)
  const [results] = await complete
  if (results.bailout) fail(result, `bailed out: ${results.bailout}`)
  for (const failure of results.failures) {
    if (failure.tapError) fail(result, `broken report: ${failure.tapError}`)
  }
}

function named(point: Result): string {
  return point.fullname || point.name
}

/** What the report says beside the name, without the parts that repeat the test's source. */
function detailOf(diag: Record<string, unknown> | null): string {
  const { at, source, stack, ...rest } = diag ?? {}
  const { fileName, lineNumber } = (at ?? {}) as { fileName?: string; lineNumber?: number }
  const where = fileName ? `at ${fileName}:${lineNumber}\n` : ''
  const parts = Object.entries(rest).map(([key, value]) => {
    return `${key}: ${typeof value === 'string' ? value.trimEnd() : inspect(value, { depth: 6 })}\n`
  })
  return where + parts.join('')
}
