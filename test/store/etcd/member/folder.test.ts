/** What a managed member keeps on the disk. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MemberFolder, type MemberState } from '../../../../src/store/etcd/member/folder.ts'
import { freshFolder } from '../../../fake/folder.ts'
import { Root } from './pki.ts'

const state: MemberState = { clusterId: 'c', phase: 'member', incarnation: 'i', members: [] }

t.test('folder: all of it is for its owner alone', async t => {
  const folder = new MemberFolder(freshFolder(t))
  await folder.prepare()
  const root = new Root()
  t.equal(await folder.writePems(root.leaf()), true, 'roots that were not there')
  await folder.writeState(state)
  for (const path of [folder.own, folder.data]) t.equal(statSync(path).mode & 0o777, 0o700)
  for (const path of [folder.files.cert, folder.files.roots, join(folder.own, 'state.json')]) {
    t.equal(statSync(path).mode & 0o777, 0o600, path)
  }
})

t.test('folder: a renewed certificate comes with its key; other roots are told of', async t => {
  const folder = new MemberFolder(freshFolder(t))
  await folder.prepare()
  const root = new Root()
  await folder.writePems(root.leaf())
  const renewed = root.leaf()
  t.equal(await folder.writePems(renewed), false, 'the same roots')
  t.equal(readFileSync(folder.files.cert, 'utf8'), renewed.cert + renewed.key)
  t.equal(folder.files.cert, folder.files.key, 'in one file')
  t.equal(await folder.writePems(root.leaf(new Root())), true, 'one more root')
})

t.test('folder: what is remembered comes back, and damage is said', async t => {
  const dataDir = freshFolder(t)
  const folder = new MemberFolder(dataDir)
  t.equal(await folder.readState(), undefined)
  await folder.prepare()
  await folder.writeState(state)
  t.same(await new MemberFolder(dataDir).readState(), state)
  for (const text of ['', '{', '{"clusterId":"c"}', '{"phase":"other"}', 'null']) {
    writeFileSync(join(folder.own, 'state.json'), text)
    await t.rejects(folder.readState(), { code: 'damaged', message: /restore the file/ }, text)
  }
  await folder.forgetState()
  t.equal(await folder.readState(), undefined)
})

t.test('folder: data is there once etcd has written its log, and can be put aside', async t => {
  const folder = new MemberFolder(freshFolder(t))
  await folder.prepare()
  t.equal(await folder.hasData(), false)
  mkdirSync(join(folder.data, 'member', 'wal'), { recursive: true })
  t.equal(await folder.hasData(), false, 'an empty folder of its log')
  writeFileSync(join(folder.data, 'member', 'wal', '0.wal'), 'x')
  t.equal(await folder.hasData(), true)
  const aside = await folder.putAside('removed', 'now')
  t.equal(await folder.hasData(), false)
  t.ok(existsSync(join(aside, 'member', 'wal', '0.wal')))
})
