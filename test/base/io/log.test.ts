/**
 * The log: both forms, levels, and that no message can forge a line.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createLog, type LogOptions } from '../../../src/base/io/log.ts'

function capture(options: Omit<LogOptions, 'file'>) {
  const lines: string[] = []
  return { lines, log: createLog(options, { write: (line: string) => void lines.push(line) }) }
}

t.test('readable lines', async t => {
  const { lines, log } = capture({ level: 'info', json: false })
  log.debug('hidden')
  log.info('listening', { face: 'http', port: 8500, note: undefined })
  log.warn('two\nlines \u001b[31m', { text: 'a b="c"\n' })
  log.error('failed')
  t.match(lines[0], /^\d{4}-\d\d-\d\dT[\d:.]+Z \[INFO\] {2}listening: face=http port=8500\n$/)
  t.match(lines[1], / \[WARN\] {2}two lines {2}\[31m: text="a b=\\"c\\"\\n"\n$/)
  t.match(lines[2], / \[ERROR\] failed\n$/)
  t.equal(lines.length, 3)
})

t.test('JSON lines', async t => {
  const { lines, log } = capture({ level: 'debug', json: true })
  log.debug('x\ny', { a: 1 })
  const entry = JSON.parse(lines[0] ?? '')
  t.match(entry, { '@level': 'debug', '@message': 'x\ny', '@timestamp': /Z$/, a: 1 })
  t.same(Object.keys(entry).sort(), ['@level', '@message', '@timestamp', 'a'])
})

t.test('to stderr and to a file, all lines there when the process ends', async t => {
  const folder = t.testdir({})
  const module = fileURLToPath(new URL('../../../src/base/io/log.ts', import.meta.url))
  const program = (file: string) => `
    import { createLog } from ${JSON.stringify(module)}
    const path = ${file}
    const rotation = { rotateSizeBytes: 0, rotateAfterMs: 0, keptFiles: 0 }
    const file = path === undefined ? undefined : { path, ...rotation }
    const log = createLog({ level: 'info', json: false, file })
    for (let i = 0; i < 100; i++) log.info('line ' + i)
    process.exit(0)`
  const run = (file: string) =>
    spawnSync(process.execPath, ['--input-type=module-typescript', '-e', program(file)], {
      encoding: 'utf8',
    })
  t.equal(run('undefined').stderr.match(/\[INFO\] {2}line/g)?.length, 100)
  const file = join(folder, 'agent.log')
  t.equal(run(JSON.stringify(file)).stderr, '')
  t.equal(readFileSync(file, 'utf8').match(/\n/g)?.length, 100)
  t.equal(statSync(file).mode & 0o777, 0o600)
})

t.test('the level can change, and others follow at a level of their own', async t => {
  const { lines, log } = capture({ level: 'warn', json: false })
  const followed: string[] = []
  const stop = log.follow({ level: 'trace', json: true, take: line => followed.push(line) })
  log.trace('one', { a: 1 })
  t.same(lines, [])
  t.match(JSON.parse(followed[0] ?? ''), { '@level': 'trace', '@message': 'one', a: 1 })
  log.setLevel('trace')
  log.trace('two')
  t.match(lines, [/ \[TRACE\] two\n$/])
  t.equal(followed.length, 2)
  stop()
  log.error('three')
  t.equal(followed.length, 2)
  t.equal(lines.length, 2)
})
