/**
 * The test command: runs the stages, prints what each took and reached, and ends with the line
 * `N passed, N failed`.
 *
 *     main.ts [--long] [stage or test file …]
 *
 * Must never hide a skip: where CI=true, it counts as a failure.
 */
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { longBoundMs, runBoundMs, type Stage, stageOf, stages } from '../stages.ts'
import { installClients } from './clients.ts'
import { type FileResult, killRunning, runFile } from './file.ts'

const root = path.resolve(import.meta.dirname, '../..')
const isCi = process.env.CI === 'true'
const isTerminal = process.stdout.isTTY
const LEAST_BUDGET_MS = 250
/**
 * In which the processes of this run find what others have compiled: a quarter of what a start
 * costs, some thousand times.
 */
const compiled = mkdtempSync(path.join(tmpdir(), 'gatehouse-compiled-'))
process.once('exit', () => rmSync(compiled, { recursive: true, force: true }))

process.chdir(root)
process.exitCode = await main(process.argv.slice(2))

async function main(words: string[]): Promise<number> {
  const isLong = words.includes('--long')
  const wanted = words.filter(word => word !== '--long')
  const unknown = wanted.filter(word => !existsSync(word) && !stages.some(s => s.name === word))
  if (unknown.length > 0) {
    print(`no stage and no file: ${unknown.join(', ')}`)
    return 2
  }
  const plan = planOf(wanted, isLong)
  process.once('exit', killRunning)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))
  if (plan.some(({ stage }) => stage.name !== 'tidy')) print(installClients())
  const endAt = performance.now() + (isLong ? longBoundMs : runBoundMs)
  const results: FileResult[] = []
  for (const { stage, files } of plan) {
    const done = await runStage(stage, files, isLong, endAt)
    results.push(...done)
  }
  return conclude(results)
}

/**
 * The stages with their files; only those that `wanted` names, when it names any. Files named
 * `*.long.test.ts` run in long mode, or when they are named themselves.
 */
function planOf(wanted: string[], isLong: boolean): { stage: Stage; files: string[] }[] {
  const named = wanted.filter(word => existsSync(word)).map(word => path.relative('.', word))
  const files = globSync('test/**/*.test.ts').sort()
  const chosen = files.filter(file => {
    const stage = stageOf(file)?.name ?? ''
    if (named.includes(file)) return true
    if (file.endsWith('.long.test.ts') && !isLong) return false
    return wanted.length === 0 || wanted.includes(stage)
  })
  return stages
    .map(stage => ({ stage, files: chosen.filter(file => stageOf(file) === stage) }))
    .filter(one => one.files.length > 0)
}

async function runStage(
  stage: Stage,
  files: string[],
  isLong: boolean,
  endAt: number,
): Promise<FileResult[]> {
  const budget = stage.budgetMs > 0 ? `, budget ${seconds(stage.budgetMs)}` : ''
  print(`\n${stage.name}: ${files.length} files${isLong ? '' : budget}`)
  const startedAt = performance.now()
  const env = {
    NODE_COMPILE_CACHE: compiled,
    GATEHOUSE_MODE: isLong ? 'long' : 'short',
    GATEHOUSE_BUDGET_MS: String(budgetOfLoop(stage, files)),
  }
  const { first = [], alone = [] } = stage
  const begun = [...first.filter(file => files.includes(file)), ...files]
  const beside = [...new Set(begun)].filter(file => !alone.includes(file))
  const results: FileResult[] = []
  const worker = async (queue: string[]): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const leftMs = Math.max(1, endAt - performance.now())
      const boundMs = Math.min(isLong ? longBoundMs : stage.fileBoundMs, leftMs)
      const result = await runFile(file, boundMs, env)
      report(result)
      results.push(result)
    }
  }
  await Promise.all(Array.from({ length: stage.parallel }, () => worker(beside)))
  await worker(files.filter(file => alone.includes(file)))
  for (const [what, count] of reachedBy(results)) {
    print(`  reached ${count.toLocaleString('en')} ${what}`)
  }
  print(`  ${stage.name} took ${seconds(performance.now() - startedAt)}`)
  return results
}

/** The stage's budget divided among the counted loops that its files write down. */
function budgetOfLoop(stage: Stage, files: string[]): number {
  const loops = files
    .map(file => readFileSync(file, 'utf8').match(/\buntilBudget\(/g)?.length ?? 0)
    .reduce((sum, count) => sum + count, 0)
  const together = Math.max(1, Math.min(stage.parallel, loops))
  const share = (stage.budgetMs * together) / Math.max(1, loops)
  return Math.max(LEAST_BUDGET_MS, Math.floor(share))
}

function reachedBy(results: FileResult[]): Map<string, number> {
  const sums = new Map<string, number>()
  for (const [what, count] of results.flatMap(result => [...result.reached])) {
    sums.set(what, (sums.get(what) ?? 0) + count)
  }
  return sums
}

function report(result: FileResult): void {
  const bad = result.failures.length
  const skips = result.skipped.length > 0 ? `, ${result.skipped.length} skipped` : ''
  const word = bad > 0 ? red('FAIL') : 'ok  '
  print(`  ${word} ${result.file}: ${result.passed} passed${skips}, ${seconds(result.tookMs)}`)
  for (const { name, detail } of result.failures) {
    print(`       ${red(name)}`)
    if (detail) print(detail.trimEnd().replaceAll(/^/gm, '         '))
  }
}

/** Prints the end of the report and returns the exit code. */
function conclude(results: FileResult[]): number {
  const sum = (of: (result: FileResult) => number) => results.reduce((n, r) => n + of(r), 0)
  const skipped = results.flatMap(r => r.skipped.map(name => `${r.file}: ${name}`))
  const failed = sum(r => r.failures.length) + (isCi ? skipped.length : 0)
  print('')
  for (const name of skipped) print(`skipped${isCi ? ' (a failure here)' : ''}: ${name}`)
  for (const { file, failures } of results) {
    for (const { name } of failures) print(`failed: ${file}: ${name}`)
  }
  const skips = skipped.length > 0 && !isCi ? `, ${skipped.length} skipped` : ''
  print(`${sum(r => r.passed)} passed, ${failed} failed${skips}`)
  return failed > 0 || results.length === 0 ? 1 : 0
}

function print(line: string | undefined): void {
  if (line !== undefined) process.stdout.write(`${line}\n`)
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}

function red(text: string): string {
  return isTerminal ? `\x1b[31m${text}\x1b[0m` : text
}
