/**
 * Syslog: the lines that `logger` is given, and what happens without it. The program is a double.
 */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openSyslog } from '../../../src/base/io/syslog.ts'
import { until } from '../../clients/process.ts'
import { FakeClock } from '../../fake/clock.ts'

t.test('each line has facility and severity, and one child gets them all', async t => {
  const folder = t.testdir({})
  const got = join(folder, 'got')
  const script = `#!/bin/sh\necho "$@" >> ${got}.words\nexec cat >> ${got}\n`
  writeFileSync(join(folder, 'logger'), script)
  chmodSync(join(folder, 'logger'), 0o700)
  const path = `${folder}:${process.env.PATH}`
  const syslog = openSyslog({ facility: 'LOCAL3', path })
  for (const level of ['trace', 'debug', 'info', 'warn', 'error'] as const) {
    syslog.write(level, `at ${level}`)
  }
  const LOCAL3 = 19 * 8
  const wanted = [
    `<${LOCAL3 + 7}>at trace`,
    `<${LOCAL3 + 7}>at debug`,
    `<${LOCAL3 + 6}>at info`,
    `<${LOCAL3 + 4}>at warn`,
    `<${LOCAL3 + 3}>at error`,
  ]
  const linesOf = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [])
  await until('all lines', () => linesOf(got).length > wanted.length)
  t.same(linesOf(got).slice(0, -1), wanted)
  t.same(linesOf(`${got}.words`), ['--tag gatehouse --prio-prefix', ''])
  syslog.close()
})

t.test('a child that ends is started again, but not at once', async t => {
  const folder = t.testdir({})
  const got = join(folder, 'got')
  writeFileSync(join(folder, 'logger'), `#!/bin/sh\necho started >> ${got}\n`)
  chmodSync(join(folder, 'logger'), 0o700)
  const clock = new FakeClock()
  const syslog = openSyslog({ facility: 'daemon', path: folder, clock })
  const starts = () => (existsSync(got) ? readFileSync(got, 'utf8').split('\n').length - 1 : 0)
  const write = () => syslog.write('info', 'x')
  write()
  await until('the first', () => starts() === 1)
  await until('the second', () => {
    write()
    clock.elapse(1_000)
    return starts() === 2
  })
  t.ok(clock.monotonic() > 5_000)
  syslog.close()
})

t.test('without the program the start fails, by name', async t => {
  const open = () => openSyslog({ facility: 'daemon', path: t.testdir({}) })
  t.throws(open, { message: /enable_syslog needs the program logger/ })
})
