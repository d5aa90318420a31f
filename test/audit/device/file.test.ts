/**
 * The file device: whose the file is, where it may be, and what becomes of it when it is renamed,
 * deleted, cut or full.
 */

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fileDevice } from '../../../src/audit/device/file.ts'
import type { Device } from '../../../src/audit/device.ts'
import { LineProof } from '../../../src/audit/line.ts'
import { freshFolder } from '../../fake/folder.ts'
import { cannotMount, mountSmallDisk } from '../../faults/disks.ts'
import { devicePorts, never, shipment } from '../support.ts'

function openIn(
  t: Test,
  folder: string,
  path = join(folder, 'audit.log'),
  folders = [folder],
): Device {
  const device = fileDevice.open({ path }, { ...devicePorts, folders })
  t.teardown(() => device.close())
  return device
}

const proofOf = (path: string) => {
  const proof = new LineProof()
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  for (const [at, line] of lines.entries()) proof.take(line, `${at}`)
  return proof.result()
}

t.test('lines are appended, for this user alone', async t => {
  const folder = freshFolder(t)
  const path = join(folder, 'audit.log')
  const device = openIn(t, folder)
  t.equal(await device.newest?.(), undefined)
  const first = shipment(3)
  await device.write(first, never())
  await device.write(shipment(2, first.records.at(-1)), never())
  await device.settle?.()
  t.match(proofOf(path), { count: 5, last: 5, faults: [] })
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(await device.newest?.(), 5)
  await device.close()
  chmodSync(path, 0o644)
  await device.write(shipment(1, first.records.at(-1)), never())
  t.equal(statSync(path).mode & 0o777, 0o600, 'rights that are too wide are narrowed')
})

t.test('a renamed file is the old one from then on, a deleted one is made anew', async t => {
  const folder = freshFolder(t)
  const path = join(folder, 'audit.log')
  const device = openIn(t, folder)
  const first = shipment(3)
  await device.write(first, never())
  renameSync(path, `${path}.1`)
  const second = shipment(2, first.records.at(-1))
  await device.write(second, never())
  t.match(proofOf(`${path}.1`), { last: 3, faults: [] })
  t.match(proofOf(path), { first: 4, last: 5, faults: [] })
  rmSync(path)
  await device.write(shipment(1, second.records.at(-1)), never())
  t.match(proofOf(path), { first: 6, count: 1 })
  await device.reopen?.()
  t.equal(await device.newest?.(), 6)
})

t.test('a line that a crash cut off is taken away, whole ones stay', async t => {
  const folder = freshFolder(t)
  const path = join(folder, 'audit.log')
  const first = shipment(3)
  const device = openIn(t, folder)
  await device.write(first, never())
  await device.close()
  const whole = statSync(path).size
  const last = first.lines.at(-1)!.length
  for (const cut of [1, 2, 20, last - 1]) {
    truncateSync(path, whole - cut)
    t.equal(await device.newest?.(), 2, `${cut} bytes are missing`)
    await device.write({ records: first.records.slice(2), lines: first.lines.slice(2) }, never())
    t.match(proofOf(path), { count: 3, faults: [], repeated: 0 })
    await device.close()
  }
})

t.test('a file of something else is refused, and left as it is', async t => {
  const folder = freshFolder(t)
  const path = join(folder, 'audit.log')
  writeFileSync(path, 'root:x:0:0')
  await t.rejects(openIn(t, folder).write(shipment(1), never()), /holds something else/)
  t.equal(readFileSync(path, 'utf8'), 'root:x:0:0')
  appendFileSync(path, '\n')
  await openIn(t, folder).write(shipment(1), never())
  t.match(readFileSync(path, 'utf8'), /^root:x:0:0\n\{"v":1/, 'a whole line of others may precede')
})

t.test('only in a folder that is allowed, wherever links lead', async t => {
  const [folder, outside] = [freshFolder(t), freshFolder(t)]
  const refuses = (device: Device) => device.write(shipment(1), never())
  await t.rejects(refuses(openIn(t, folder, join(outside, 'a'))), /none of the folders/)
  await t.rejects(refuses(openIn(t, folder, join(folder, '..', 'a'))), /none of the folders/)
  await t.rejects(refuses(openIn(t, folder, join(folder, 'a'), [])), /none of the folders/)
  await t.rejects(
    refuses(openIn(t, folder, join(folder, 'a'), [`${folder}x`])),
    /none of the folders/,
  )
  symlinkSync(outside, join(folder, 'link'))
  await t.rejects(refuses(openIn(t, folder, join(folder, 'link', 'a'))), /none of the folders/)
  writeFileSync(join(outside, 'target'), '')
  symlinkSync(join(outside, 'target'), join(folder, 'audit.log'))
  await t.rejects(refuses(openIn(t, folder)), { code: 'ELOOP' })
  t.notOk(existsSync(join(outside, 'a')))
  t.equal(statSync(join(outside, 'target')).size, 0)
  mkdirSync(join(folder, 'below'))
  const below = openIn(t, folder, join(folder, 'below', '..hidden'))
  await below.write(shipment(1), never())
  t.ok(existsSync(join(folder, 'below', '..hidden')))
  const gone = openIn(t, folder, join(folder, 'nowhere', 'a'))
  await t.rejects(refuses(gone), { code: 'ENOENT' })
})

t.test('only a plain file: a pipe or a folder would hold everything up', async t => {
  const folder = freshFolder(t)
  execFileSync('mkfifo', [join(folder, 'pipe')])
  await t.rejects(openIn(t, folder, join(folder, 'pipe')).write(shipment(1), never()))
  mkdirSync(join(folder, 'sub'))
  await t.rejects(openIn(t, folder, join(folder, 'sub')).write(shipment(1), never()))
})

t.test(
  'a full disk: nothing is half written, and more room heals',
  { skip: cannotMount },
  async t => {
    const small = mountSmallDisk(t, 64)
    const path = join(small.folder, 'audit.log')
    const device = openIn(t, small.folder)
    let mark = shipment(1)
    await device.write(mark, never())
    let failure: unknown
    for (let i = 0; i < 1_000 && failure === undefined; i++) {
      const next = shipment(40, mark.records.at(-1))
      try {
        await device.write(next, never())
        mark = next
      } catch (error) {
        failure = error
      }
    }
    t.match(failure, { code: 'ENOSPC' })
    t.match(proofOf(path), { last: mark.records.at(-1)!.sequence, faults: [] })
    small.remount('size=1024k')
    await device.write(shipment(40, mark.records.at(-1)), never())
    t.match(proofOf(path), { last: mark.records.at(-1)!.sequence + 40, faults: [], repeated: 0 })
    await device.close()
  },
)

t.test('its settings: an absolute path, and no rotation of ours', async t => {
  t.equal(fileDevice.problemOf({ path: 'data/audit.json' }), 'path: must be absolute')
  t.equal(fileDevice.problemOf({ path: '/data/audit.json' }), undefined)
  t.match(fileDevice.fields.rotate_bytes, { refused: /rename the file/ })
})
