/**
 * Log files: when they are renamed, what is kept, and that a folder that is gone loses no line.
 */
import { appendFileSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type LogFileOptions, RotatingFile } from '../../../src/base/io/log-file.ts'
import { FakeClock } from '../../fake/clock.ts'

function fileIn(t: Test, options: Partial<LogFileOptions>) {
  const folder = t.testdir({ kept: {} })
  const path = join(folder, 'kept', 'agent.log')
  const clock = new FakeClock()
  let open = 0
  const output = (file: string) => {
    open++
    appendFileSync(file, '')
    return { write: (line: string) => appendFileSync(file, line), end: () => void open-- }
  }
  const all = { path, rotateSizeBytes: 0, rotateAfterMs: 0, keptFiles: 0, ...options }
  return {
    folder,
    path,
    clock,
    names: () => readdirSync(join(folder, 'kept')).sort(),
    opened: () => open,
    start: () => new RotatingFile(all, output, clock),
  }
}

t.test('by size, counting what was there before', async t => {
  const { path, names, start, opened } = fileIn(t, { rotateSizeBytes: 10 })
  writeFileSync(path, 'old line\n')
  const file = start()
  file.write('b\n')
  t.same(names(), ['agent.log'])
  file.write('c\n')
  file.write('d\n')
  t.equal(names().length, 2)
  t.match(names()[0], /^agent-\d{13}\.log$/)
  t.equal(readFileSync(path, 'utf8'), 'c\nd\n')
  t.equal(readFileSync(join(path, '..', names()[0]!), 'utf8'), 'old line\nb\n')
  t.equal(opened(), 1, 'the old one is closed')
})

t.test('by age, but never an empty one', async t => {
  const { names, start, clock } = fileIn(t, { rotateAfterMs: 60_000 })
  const file = start()
  clock.elapse(120_000)
  file.write('a\n')
  t.equal(names().length, 1)
  file.write('b\n')
  t.equal(names().length, 2)
  file.write('c\n')
  t.equal(names().length, 2, 'its age starts over')
})

t.test('only so many old ones are kept, each with a name of its own', async t => {
  for (const [keptFiles, left] of [
    [0, 6],
    [2, 3],
    [-1, 1],
  ] as const) {
    const { names, start } = fileIn(t, { rotateSizeBytes: 1, keptFiles })
    const file = start()
    for (let i = 0; i < 6; i++) file.write('x\n')
    t.equal(names().length, left, `max files ${keptFiles}`)
  }
})

t.test('files of others are left alone', async t => {
  const { folder, names, start } = fileIn(t, { rotateSizeBytes: 1, keptFiles: -1 })
  writeFileSync(join(folder, 'kept', 'agent-notes.log'), '')
  const file = start()
  for (let i = 0; i < 3; i++) file.write('x\n')
  t.same(names(), ['agent-notes.log', 'agent.log'])
})

t.test('a file that somebody moved away is begun anew', async t => {
  const { folder, path, names, start } = fileIn(t, { rotateSizeBytes: 1 })
  const file = start()
  file.write('a\n')
  renameSync(path, join(folder, 'moved'))
  file.write('b\n')
  t.same(names(), ['agent.log'])
  t.equal(readFileSync(path, 'utf8'), 'b\n')
})

t.test('a folder that is gone loses no line that the open file takes', async t => {
  const { folder, start, path } = fileIn(t, { rotateSizeBytes: 1 })
  const file = start()
  file.write('a\n')
  renameSync(join(folder, 'kept'), join(folder, 'away'))
  t.throws(() => file.write('b\n'), { code: 'ENOENT' }, 'the double opens it at each write')
  renameSync(join(folder, 'away'), join(folder, 'kept'))
  file.write('c\n')
  t.equal(readFileSync(path, 'utf8'), 'a\nc\n')
})
