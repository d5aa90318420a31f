/** The child process: started, heard, ended, and never left behind. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { foregroundClock } from '../../../../src/base/clock.ts'
import { type LogFields, silentLog } from '../../../../src/base/log.ts'
import { MemberFolder } from '../../../../src/store/etcd/member/folder.ts'
import {
  endLeftovers,
  MemberProcess,
  type ProcessPorts,
  processesOn,
} from '../../../../src/store/etcd/member/process.ts'
import { findMemberProgram } from '../../../../src/store/etcd/member/program.ts'
import { memberWords } from '../../../../src/store/etcd/member/words.ts'
import { freshFolder } from '../../../fake/folder.ts'
import { absent } from '../../../run/clients.ts'
import { until } from '../stores.ts'
import { Root } from './pki.ts'
import { memberPort } from './ports.ts'

const skip = absent('etcd')

t.test('process: runs without our variables, and ends when asked', { skip }, async t => {
  const { folder, member, lines } = await start(t)
  t.equal(readFileSync(folder.pidFile, 'utf8'), `${member.pid}\n`)
  await until(() => lines.some(line => line.includes('serving client traffic')))
  const environment = readFileSync(`/proc/${member.pid}/environ`, 'utf8')
  t.notMatch(environment, 'planted')
  t.notMatch(readFileSync(`/proc/${member.pid}/cmdline`, 'utf8'), 'PRIVATE KEY')
  t.same(await processesOn(folder.data), [member.pid])
  t.ok(member.isRunning)
  await member.stop()
  const { how, wasRemoved } = await member.ended
  t.match(how, /^(code 0|SIGTERM)$/)
  t.notOk(wasRemoved)
  t.notOk(member.isRunning)
  t.notOk(existsSync(folder.pidFile))
  await member.stop()
})

t.test('process: one that does not end when asked is killed', { skip }, async t => {
  const { member, lines } = await start(t, { isHurried: true })
  // Before that it has no handler, and ends by the signal even while it is stopped.
  await until(() => lines.some(line => line.includes('serving client traffic')))
  process.kill(member.pid, 'SIGSTOP')
  await member.stop()
  t.equal((await member.ended).how, 'SIGKILL')
})

t.test('process: why it cannot start is its last complaint', { skip }, async t => {
  const { folder, member, lines } = await start(t)
  // Only then its ports are taken for sure.
  await until(() => lines.some(line => line.includes('serving client traffic')))
  const words = readFileSync(`/proc/${member.pid}/cmdline`, 'utf8').split('\0').slice(1, -1)
  const other = new MemberFolder(freshFolder(t))
  await other.prepare()
  const moved = words.map(word =>
    word.startsWith('--data-dir') ? `--data-dir=${other.data}` : word,
  )
  const program = await findMemberProgram(undefined, process.env.PATH)
  const second = await MemberProcess.start(program, moved, other.pidFile, ports([]))
  const { how, lastComplaint } = await second.ended
  t.equal(how, 'code 1')
  t.match(lastComplaint, /address already in use/)
  t.ok(existsSync(folder.pidFile))
})

t.test('process: runs where its id cannot be written', { skip }, async t => {
  const folder = await prepared(t)
  const lines: string[] = []
  const program = await findMemberProgram(undefined, process.env.PATH)
  const nowhere = `${folder.pidFile}/of/no/folder`
  const member = await MemberProcess.start(program, await wordsFor(folder), nowhere, ports(lines))
  t.match(lines[0], /the id of a process cannot be written/)
  t.ok(member.isRunning)
  await member.stop()
  t.match((await member.ended).how, /^(code 0|SIGTERM)$/)
})

t.test('process: what a killed agent left is ended by the next one', { skip }, async t => {
  const { folder, member, lines } = await start(t)
  await until(() => lines.some(line => line.includes('serving client traffic')))
  t.equal(await endLeftovers(folder.data, folder.pidFile, ports([])), 1)
  t.match((await member.ended).how, /^(code 0|SIGTERM)$/)
  t.equal(await endLeftovers(folder.data, folder.pidFile, ports([])), 0)
})

t.test('process: ends when its parent is killed', { skip }, async t => {
  const folder = await prepared(t)
  const words = JSON.stringify(await wordsFor(folder))
  const script = `
    import { foregroundClock } from '${url('base/clock.ts')}'
    import { silentLog } from '${url('base/log.ts')}'
    import { MemberProcess } from '${url('store/etcd/member/process.ts')}'
    import { findMemberProgram } from '${url('store/etcd/member/program.ts')}'
    const program = await findMemberProgram(undefined, process.env.PATH)
    const ports = { clock: foregroundClock, log: silentLog, environment: {} }
    await MemberProcess.start(program, ${words}, '${folder.pidFile}', ports)
    process.stdout.write('started')
    await new Promise(() => {})`
  const parent = spawn(
    process.execPath,
    ['--no-warnings', '--input-type=module-typescript', '-e', script],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  t.teardown(() => parent.kill('SIGKILL'))
  await once(parent.stdout, 'data')
  t.equal((await processesOn(folder.data)).length, 1)
  parent.kill('SIGKILL')
  await until(async () => (await processesOn(folder.data)).length === 0)
  t.ok(existsSync(folder.pidFile), 'nobody was there to remove it')
})

const url = (path: string): string => new URL(`../../../../src/${path}`, import.meta.url).href

async function prepared(t: Test): Promise<MemberFolder> {
  const folder = new MemberFolder(freshFolder(t))
  await folder.prepare()
  await folder.writePems(new Root().leaf())
  t.teardown(async () => {
    for (const pid of await processesOn(folder.data)) process.kill(pid, 'SIGKILL')
    await until(async () => (await processesOn(folder.data)).length === 0)
  })
  return folder
}

async function wordsFor(folder: MemberFolder): Promise<string[]> {
  const settings = {
    name: 'one',
    folder: folder.data,
    listen: ['127.0.0.1'],
    advertise: '127.0.0.1',
    peerPort: await memberPort(),
    clientPort: await memberPort(),
    quotaSizeBytes: 100_000_000,
  }
  const peerUrl = `https://127.0.0.1:${settings.peerPort}`
  const entry = { kind: 'found', members: [{ name: 'one', peerUrl }], token: 't' } as const
  const { version } = await findMemberProgram(undefined, process.env.PATH)
  return memberWords(settings, folder.files, entry, version)
}

function ports(lines: string[], isHurried = false): ProcessPorts {
  const note = (message: string, fields: LogFields = {}) =>
    void lines.push(`${message} ${JSON.stringify(fields)}`)
  const log = { ...silentLog, debug: note, warn: note, error: note }
  const after: typeof foregroundClock.after = (delayMs, run) =>
    foregroundClock.after(isHurried ? delayMs / 50 : delayMs, run)
  return { clock: { ...foregroundClock, after }, log, environment: { SECRET: 'planted' } }
}

async function start(t: Test, { isHurried = false } = {}) {
  const folder = await prepared(t)
  const lines: string[] = []
  const program = await findMemberProgram(undefined, process.env.PATH)
  const given = ports(lines, isHurried)
  const words = await wordsFor(folder)
  const member = await MemberProcess.start(program, words, folder.pidFile, given)
  return { folder, member, lines }
}
