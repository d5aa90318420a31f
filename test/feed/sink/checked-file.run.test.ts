/** Files that programs live by: checked, loaded, put back; and what a kill in between leaves. */
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { CheckedFile, fileFields, fileProblem } from '../../../src/feed/sink/checked-file.run.ts'
import { readSettings, type SettingsOf } from '../../../src/feed/sink/schema.ts'
import { tempFolder, until } from '../../clients/process.ts'
import { must, realPorts } from './world.ts'

type Settings = SettingsOf<typeof fileFields>

/** A folder with a program `ok` of the given text, and a file that settings are about. */
function setUp(t: Test, given: Record<string, unknown> = {}) {
  const folder = tempFolder(t)
  const file = path.join(folder, 'file.conf')
  const read = readSettings(fileFields, { path: file, ...given }, 'local')
  if ('problems' in read) throw new Error(JSON.stringify(read.problems))
  const settings = read.values as Settings
  const checked = new CheckedFile(settings, realPorts(t))
  const signal = new AbortController().signal
  return {
    folder,
    file,
    settings,
    text: () => (existsSync(file) ? readFileSync(file, 'utf8') : undefined),
    apply: (text: string, stop = signal) => checked.apply(text, stop),
    plan: async (text: string) => must(await checked.plan(text)),
    names: () => readdirSync(folder).sort(),
  }
}

const shell = (script: string) => ['/bin/sh', '-c', script, 'sh', '{file}']
/** Refuses what has `bad` in it. */
const checkCopy = shell('! grep -q bad "$1"')

t.test('it is written with its rights, and not again', async t => {
  // Only root may give a file away.
  const isRoot = process.getuid?.() === 0
  const owner = isRoot ? { owner: 'root:daemon' } : {}
  const { file, text, apply, plan, names } = setUp(t, { mode: '0640', ...owner })
  t.same((await plan('a\n')).changes, [`+ ${file}`, '+ a'])
  t.same(names(), [], 'a plan touches nothing')
  await apply('a\n')
  t.equal(text(), 'a\n')
  t.equal(statSync(file).mode & 0o777, 0o640)
  if (isRoot) t.equal(statSync(file).gid, 1)
  t.same(must(await apply('a\n')).changes, [])
  t.same((await plan('b\n')).changes, [`~ ${file}`, '- a', '+ b'])
  t.same(names(), ['file.conf'])
})

t.test('a copy that the check refuses never stands there', async t => {
  const { text, apply, names } = setUp(t, { check: checkCopy })
  await apply('good')
  const refused = await apply('bad')
  t.match(refused, { text: '/bin/sh ended with 1', mayRetry: true, target: 'as it was' })
  t.equal(text(), 'good')
  t.same(names(), ['file.conf'])
})

t.test('a check in its place: the last good one is put back', async t => {
  const folder = tempFolder(t)
  const script = `! grep -q bad ${folder}/file.conf || { echo it is bad; exit 2; }`
  const given = { path: path.join(folder, 'file.conf'), check: ['/bin/sh', '-c', script] }
  const { apply } = setUp(t, given)
  const text = () => readFileSync(given.path, 'utf8')
  t.match(await apply('bad'), { text: '/bin/sh ended with 2: it is bad', target: 'put back' })
  t.notOk(existsSync(given.path), 'there was none before')
  await apply('good')
  t.match(await apply('bad'), { target: 'put back' })
  t.equal(text(), 'good')
  t.same(readdirSync(folder), ['file.conf'])
})

t.test('a reload that fails: the last good one is put back and loaded again', async t => {
  const folder = tempFolder(t)
  const file = path.join(folder, 'file.conf')
  const log = path.join(folder, 'log')
  const script = `cat ${file} >>${log}; ! grep -q bad ${file}`
  const { apply } = setUp(t, { path: file, reload: ['/bin/sh', '-c', script] })
  await apply('good ')
  t.match(await apply('bad '), { target: 'put back' })
  t.equal(readFileSync(log, 'utf8'), 'good bad good ')
  t.equal(readFileSync(file, 'utf8'), 'good ')
})

t.test('a reload that fails always: that is said, too', async t => {
  const { text, apply } = setUp(t, { reload: ['/bin/false'] })
  t.match(await apply('a'), { target: 'unknown', text: /put back, and loading it failed as well/ })
  t.equal(text(), undefined)
})

t.test('killed before it was loaded: it is checked and loaded, or put back', async t => {
  for (const isBad of [false, true]) {
    const folder = tempFolder(t)
    const file = path.join(folder, 'file.conf')
    const log = path.join(folder, 'log')
    const reload = ['/bin/sh', '-c', `cat ${file} >>${log}; ! grep -q bad ${file}`]
    const { apply, plan } = setUp(t, { path: file, reload })
    const wanted = isBad ? 'bad ' : 'new '
    // What is on the disk between the replacement and the reload.
    writeFileSync(file, wanted)
    writeFileSync(path.join(folder, '.file.conf.gatehouse'), '{"good":"old "}')
    t.match((await plan(wanted)).changes, [/check and load what was begun before/])
    const applied = await apply(wanted)
    t.match(applied, isBad ? { target: 'put back' } : { changes: [/begun before/] })
    t.equal(readFileSync(file, 'utf8'), isBad ? 'old ' : 'new ')
    t.equal(readFileSync(log, 'utf8'), isBad ? 'bad old ' : 'new ')
    t.same(readdirSync(folder).sort(), ['file.conf', 'log'])
  }
})

t.test('stopped in the middle: the last good one stands there', async t => {
  const folder = tempFolder(t)
  const file = path.join(folder, 'file.conf')
  const begun = path.join(folder, 'begun')
  const script = `grep -q a ${file} && exit; touch ${begun}; exec sleep 600`
  const { apply } = setUp(t, { path: file, reload: ['/bin/sh', '-c', script] })
  await apply('a')
  const stop = new AbortController()
  const applying = apply('b', stop.signal)
  await until('it is being loaded', () => existsSync(begun))
  stop.abort()
  t.match(await applying, { text: /stopped/, target: 'put back' })
  t.equal(readFileSync(file, 'utf8'), 'a')
  t.same(readdirSync(folder).sort(), ['begun', 'file.conf'])
})

t.test('no plain file, no folder, nobody: told, and nothing is left', async t => {
  const { file, folder, apply, names } = setUp(t)
  writeFileSync(path.join(folder, 'other'), 'x')
  symlinkSync(path.join(folder, 'other'), file)
  t.match(await apply('a'), { text: /no plain file/ })
  t.same(names(), ['file.conf', 'other'])
  const gone = setUp(t, { path: '/nowhere/at/all' })
  t.match(await gone.apply('a'), { text: /ENOENT/ })
  const nobody = setUp(t, { owner: 'no-such-user' })
  t.match(await nobody.apply('a'), { text: /no user "no-such-user"/ })
  t.same(nobody.names(), [])
})

t.test('a private one shows nothing of what is in it', async t => {
  const { file, apply, plan } = setUp(t, { private: true })
  await apply('geheim')
  t.same((await plan('other')).changes, [`~ ${file}`])
})

t.test('settings that are wrong', async t => {
  const { settings } = setUp(t)
  t.equal(fileProblem(settings), undefined)
  t.match(fileProblem({ ...settings, path: 'a' }), /absolute/)
  t.match(fileProblem({ ...settings, mode: '999' }), /octal/)
  t.match(fileProblem({ ...settings, check: [] }), /check/)
  t.match(fileProblem({ ...settings, reload: [] }), /reload/)
  chmodSync(path.dirname(settings.path), 0o700)
})
