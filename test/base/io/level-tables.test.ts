/**
 * The check of LevelDB's table files: whole ones pass, whatever they hold; damage is found before
 * LevelDB could trip over it.
 */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { type OrderedDisk, openLevelDisk } from '../../../src/base/io/level.ts'
import { checkLevelTables } from '../../../src/base/io/level-tables.ts'
import { freshFolder } from '../../fake/folder.ts'
import { seeded } from '../../fake/random.ts'
import { propertyRuns, untilBudget } from '../../run/budget.ts'

const isTable = (name: string): boolean => name.endsWith('.ldb')

async function contentOf(disk: OrderedDisk): Promise<string> {
  const entries: string[] = []
  for await (const page of disk.scan(Buffer.alloc(0), Buffer.alloc(20, 0xff))) {
    for (const [key, value] of page) entries.push(`${key.toString('hex')}=${value.toString('hex')}`)
  }
  return entries.join('\n')
}

/** A folder with a table file of each life. */
async function folderOf(t: Parameters<typeof freshFolder>[0], lives: [Buffer, Buffer][][]) {
  const folder = freshFolder(t)
  for (const entries of [...lives, []]) {
    const disk = await openLevelDisk(folder)
    await disk.batch(
      entries.map(([key, value]) => ({ key, value })),
      { sync: false },
    )
    await disk.close()
  }
  return folder
}

t.test('whole tables pass, whatever is in them', async t => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 30 }).map(array => Buffer.from(array))
  const value = fc.oneof(
    bytes,
    // Packed well, packed badly, and repeated at every distance.
    fc.integer({ min: 0, max: 100_000 }).map(size => Buffer.alloc(size, 'abc')),
    fc.integer({ min: 0, max: 70_000 }).map(size => {
      const draw = seeded(size)
      return Buffer.from(Array.from({ length: size }, () => draw.below(256)))
    }),
    fc
      .tuple(bytes, fc.nat(3_000))
      .map(([part, times]) =>
        Buffer.concat(
          Array.from({ length: times }, (_, i) => [part, Buffer.from([i % 251])]).flat(),
        ),
      ),
  )
  const entries = fc.array(fc.tuple(bytes, value), { maxLength: 40 })
  const property = fc.asyncProperty(fc.array(entries, { maxLength: 2 }), async lives => {
    const folder = await folderOf(t, lives as [Buffer, Buffer][][])
    checkLevelTables(folder)
    return true
  })
  await fc.assert(property, { numRuns: propertyRuns() / 4 })
  checkLevelTables(freshFolder(t))
  checkLevelTables(join(freshFolder(t), 'absent'))
  t.pass('no false alarm')
})

t.test('an index of many blocks, packed itself', async t => {
  const many = Array.from({ length: 20_000 }, (_, i): [Buffer, Buffer] => [
    Buffer.from(`some/long/prefix/that/many/keys/share/${String(i).padStart(6, '0')}`),
    Buffer.from(`value ${i} `.repeat(10)),
  ])
  const folder = await folderOf(t, [many])
  t.ok(readdirSync(folder).some(isTable))
  checkLevelTables(folder)
})

t.test('any damage to a table is found, or changes nothing', async t => {
  const draw = seeded(1)
  const entries = Array.from({ length: 400 }, (_, i): [Buffer, Buffer] => [
    Buffer.from(`key/${i % 7}/${i}`),
    Buffer.from(Array.from({ length: draw.below(60) }, () => draw.below(i % 5 === 0 ? 256 : 3))),
  ])
  const whole = await folderOf(t, [entries])
  const name = readdirSync(whole).find(isTable)!
  const table = readFileSync(join(whole, name))
  const disk = await openLevelDisk(whole)
  const content = await contentOf(disk)
  await disk.close()
  const work = join(freshFolder(t), 'copy')
  let found = 0
  const count = await untilBudget('damaged tables', 5_000, async index => {
    const draw = seeded(index)
    const damaged = Buffer.from(table)
    const at = draw.below(damaged.length)
    if (draw.chance(70)) damaged[at]! ^= 1 << draw.below(8)
    else damaged.fill(draw.below(256), at, Math.min(damaged.length, at + 1 + draw.below(300)))
    cpSync(whole, work, { recursive: true })
    writeFileSync(join(work, name), damaged)
    try {
      const disk = await openLevelDisk(work)
      const got = await contentOf(disk).finally(() => disk.close())
      if (got !== content) throw new Error(`case ${index}: other content`)
    } catch (error) {
      if ((error as { code?: string }).code !== 'damaged') throw error
      found++
    }
    rmSync(work, { recursive: true })
  })
  t.ok(found > 0.8 * count, `${found} of ${count}`)
})

t.test('a table without its end is left to LevelDB', async t => {
  const folder = await folderOf(t, [[[Buffer.from('a'), Buffer.from('b')]]])
  const name = readdirSync(folder).find(isTable)!
  // As a crash leaves one that was being written.
  writeFileSync(join(folder, '000099.ldb'), readFileSync(join(folder, name)).subarray(0, 60))
  writeFileSync(join(folder, '000098.ldb'), '')
  const disk = await openLevelDisk(folder)
  t.equal((await disk.get(Buffer.from('a')))?.toString(), 'b')
  await disk.close()
})
