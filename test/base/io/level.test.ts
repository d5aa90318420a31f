/**
 * The ordered disk: what it promises to the level engine, and how its faults are named.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type OrderedDisk, openLevelDisk } from '../../../src/base/io/level.ts'
import { freshFolder } from '../../fake/folder.ts'

const key = (n: number): Buffer => Buffer.from(`k${String(n).padStart(6, '0')}`)
const ALL: [Buffer, Buffer] = [Buffer.from('k'), Buffer.from('l')]

async function keysOf(disk: OrderedDisk, range = ALL): Promise<string[]> {
  const keys: string[] = []
  for await (const page of disk.scan(...range)) keys.push(...page.map(([one]) => one.toString()))
  return keys
}

t.test('keeps keys in order, over many pages and a restart', async t => {
  const folder = freshFolder(t)
  let disk = await openLevelDisk(folder)
  const count = 5_000
  const ops = Array.from({ length: count }, (_, i) => ({
    key: key(i),
    value: Buffer.alloc(i % 90),
  }))
  await disk.batch(ops.toReversed(), { sync: true })
  const wanted = ops.map(op => op.key.toString())
  t.same(await keysOf(disk), wanted)
  t.same(await keysOf(disk, [key(10), key(13)]), wanted.slice(10, 13))
  t.same(await keysOf(disk, [key(13), key(13)]), [])
  t.equal((await disk.get(key(89)))?.length, 89)
  t.equal(await disk.get(Buffer.from('absent')), undefined)
  await disk.clear(key(5), key(count - 5))
  await disk.batch([{ key: key(0), value: undefined }], { sync: true })
  await disk.close()
  disk = await openLevelDisk(folder)
  t.same(await keysOf(disk), [...wanted.slice(1, 5), ...wanted.slice(-5)])
  await disk.close()
})

t.test('batches under way together, and one after another, write what is their own', async t => {
  const disk = await openLevelDisk(freshFolder(t))
  const of = (from: number, count: number, sizeBytes: number) =>
    Array.from({ length: count }, (_, i) => ({
      key: key(from + i),
      value: Buffer.alloc(sizeBytes, from + i),
    }))
  for (const start of [0, 1_000]) {
    await Promise.all([
      disk.batch(of(start, 3, 10), { sync: true }),
      disk.batch(of(start + 100, 400, 2_000), { sync: true }),
      disk.batch([{ key: key(start + 700), value: undefined }], { sync: true }),
      disk.batch([], { sync: true }),
    ])
    await disk.batch([{ key: key(start), value: undefined }, ...of(start + 1, 1, 5)], {
      sync: false,
    })
  }
  const wanted = [0, 1_000].flatMap(start => [
    ...of(start + 1, 2, 10),
    ...of(start + 100, 400, 2_000),
  ])
  t.same(
    await keysOf(disk),
    wanted.map(op => op.key.toString()),
  )
  t.same(await disk.get(key(1)), Buffer.alloc(5, 1))
  t.same(await disk.get(key(1_499)), Buffer.alloc(2_000, 1_499))
  await disk.close()
})

t.test('a scan may be left early, and sees one moment', async t => {
  const disk = await openLevelDisk(freshFolder(t))
  const ops = Array.from({ length: 3_000 }, (_, i) => ({ key: key(i), value: Buffer.alloc(50) }))
  await disk.batch(ops, { sync: false })
  for await (const page of disk.scan(...ALL)) {
    t.ok(page.length > 0)
    break
  }
  let seen = 0
  for await (const page of disk.scan(...ALL)) {
    if (seen === 0) await disk.clear(...ALL)
    seen += page.length
  }
  t.equal(seen, 3_000)
  t.same(await keysOf(disk), [])
  await disk.close()
})

t.test('faults have names', async t => {
  const folder = freshFolder(t)
  const disk = await openLevelDisk(folder)
  await disk.batch([{ key: key(1), value: key(1) }], { sync: true })
  await t.rejects(openLevelDisk(folder), { code: 'locked', outcome: 'none' })
  await disk.close()
  await t.rejects(disk.batch([{ key: key(1), value: key(1) }], { sync: true }), { name: /Error/ })
  rmSync(join(folder, 'CURRENT'))
  const before = readdirSync(folder).sort()
  await t.rejects(openLevelDisk(folder), { code: 'damaged', message: /CURRENT is missing/ })
  t.same(readdirSync(folder).sort(), before, 'and nothing was deleted')
  writeFileSync(join(folder, 'CURRENT'), 'MANIFEST-999999\n')
  await t.rejects(openLevelDisk(folder), { code: 'damaged', outcome: 'none' })
  const file = join(freshFolder(t), 'file')
  writeFileSync(file, '')
  await t.rejects(openLevelDisk(file))
  const taken = freshFolder(t)
  mkdirSync(join(taken, 'LOCK'))
  await t.rejects(openLevelDisk(taken))
})
