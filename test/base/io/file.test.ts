/**
 * Small files: whole or not at all, with the rights that were promised.
 */
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  ensurePrivateFolder,
  hasCode,
  readFileIfExists,
  writeFileAtomic,
} from '../../../src/base/io/file.ts'

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o7777

t.test('reads what is there, and undefined for what is not', async t => {
  const folder = t.testdir({ a: 'one' })
  t.equal((await readFileIfExists(join(folder, 'a')))?.toString(), 'one')
  t.equal(await readFileIfExists(join(folder, 'b')), undefined)
  await t.rejects(readFileIfExists(folder), { code: 'EISDIR' })
})

t.test('replaces a file with private rights and leaves nothing beside it', async t => {
  const folder = t.testdir({ a: 'old' })
  await writeFileAtomic(join(folder, 'a'), 'new')
  await writeFileAtomic(join(folder, 'b'), Buffer.from([1]), { modeBits: 0o644 })
  t.equal(await readFile(join(folder, 'a'), 'utf8'), 'new')
  t.equal(await modeOf(join(folder, 'a')), 0o600)
  t.equal(await modeOf(join(folder, 'b')), 0o644)
  t.same((await readdir(folder)).sort(), ['a', 'b'])
})

t.test('a failed write keeps the old file and leaves nothing beside it', async t => {
  const folder = t.testdir({ a: { inside: 'x' } })
  await t.rejects(writeFileAtomic(join(folder, 'a'), 'new'), 'a folder cannot be replaced')
  t.same(await readdir(folder), ['a'])
  await t.rejects(writeFileAtomic(join(folder, 'missing', 'a'), 'new'), { code: 'ENOENT' })
})

t.test('folders are private', async t => {
  const folder = t.testdir({})
  await ensurePrivateFolder(join(folder, 'new', 'inner'))
  t.equal(await modeOf(join(folder, 'new', 'inner')), 0o700)

  await mkdir(join(folder, 'empty'), { mode: 0o755 })
  await ensurePrivateFolder(join(folder, 'empty'))
  t.equal(await modeOf(join(folder, 'empty')), 0o700, 'an empty one is narrowed')

  await mkdir(join(folder, 'used'))
  await chmod(join(folder, 'used'), 0o755)
  await writeFile(join(folder, 'used', 'x'), '')
  await ensurePrivateFolder(join(folder, 'used'))
  t.equal(await modeOf(join(folder, 'used')), 0o755, 'one in use is left alone')

  await mkdir(join(folder, 'shared'))
  await chmod(join(folder, 'shared'), 0o1777)
  await ensurePrivateFolder(join(folder, 'shared'))
  t.equal(await modeOf(join(folder, 'shared')), 0o1777, 'a shared one is left alone')
})

t.test('hasCode looks only at errors', async t => {
  t.equal(hasCode(Object.assign(new Error('x'), { code: 'ENOENT' }), 'ENOENT'), true)
  t.equal(hasCode({ code: 'ENOENT' }, 'ENOENT'), false)
})
