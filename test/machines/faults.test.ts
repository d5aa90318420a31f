/** Faults that are made from outside do what they say, and end. */
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { launch, until } from '../clients/process.ts'
import { noFaults, pause, slowDisk, smallDisk, wallClock } from './faults.ts'

const TICK = `setInterval(() => console.log(Date.now(), Math.round(performance.now())), 20)`
const SYNC = `
const fs = require('node:fs')
const file = fs.openSync(process.argv[1], 'w')
setInterval(() => {
  const begun = performance.now()
  fs.fsyncSync(file)
  console.log(performance.now() - begun > 200 ? 'slow' : 'fast')
}, 20)
`

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? ''

t.test('a wall clock is moved, the monotonic one is not', { skip: noFaults }, async t => {
  const clock = wallClock(t)
  const ticking = launch(t, process.execPath, ['-e', TICK], { env: clock.env })
  const read = (): number[] => lastLine(ticking.stdout()).split(' ').map(Number)
  const isAbout = (offsetS: number) => () => {
    const [wall = 0] = read()
    return Math.abs(wall - Date.now() - offsetS * 1_000) < 30_000
  }
  await until('it is right', isAbout(0))
  clock.set(600)
  await until('it is ahead', isAbout(600))
  clock.set(-365 * 86_400)
  await until('it is behind', isAbout(-365 * 86_400))
  t.ok(read()[1]! < 600_000, 'the monotonic clock went on')
})

t.test('a paused process stands still', { skip: noFaults }, async t => {
  const ticking = launch(t, process.execPath, ['-e', TICK])
  await until('it ticks', () => ticking.stdout() !== '')
  const paused = pause([ticking.pid])
  await until('it stands', async () => {
    const before = ticking.stdout()
    await new Promise(resolve => setTimeout(resolve, 200))
    return ticking.stdout() === before
  })
  const before = ticking.stdout()
  paused.resume()
  await until('it ticks again', () => ticking.stdout() !== before)
  t.pass('it went on')
})

t.test('syncs are slow until they are not', { skip: noFaults }, async t => {
  const file = path.join(t.testdir(), 'file')
  const syncing = launch(t, process.execPath, ['-e', SYNC, file])
  await until('it syncs', () => lastLine(syncing.stdout()) === 'fast')
  const end = await slowDisk(t, syncing.pid, 300)
  await until('it is slow', () => lastLine(syncing.stdout()) === 'slow')
  await end()
  await until('it is fast again', () => lastLine(syncing.stdout()) === 'fast')
  t.pass('it went on')
})

t.test('a disk is full until it is freed', { skip: noFaults }, async t => {
  const disk = await smallDisk(t, 2)
  const write = (): void => {
    const file = openSync(path.join(disk.folder, 'file'), 'a')
    try {
      writeFileSync(file, Buffer.alloc(8_192))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  }
  write()
  disk.fill()
  t.throws(write, { code: 'ENOSPC' })
  disk.free()
  write()
  t.pass('there is room again')
})
