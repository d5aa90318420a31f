/** The notes of what devices have: read as they were written, nothing where they are nonsense. */
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readNotes, writeNotes } from '../../src/audit/notes.run.ts'
import { freshFolder } from '../fake/folder.ts'

t.test('over a restart', async t => {
  const path = join(freshFolder(t), 'notes.json')
  t.strictSame(await readNotes(path), {})
  await writeNotes(path, { one: 5, 'the other': 2 ** 40 })
  t.strictSame(await readNotes(path), { one: 5, 'the other': 2 ** 40 })
  t.equal(statSync(path).mode & 0o777, 0o600)
})

t.test('nonsense notes nothing: a device is sent again what it has', async t => {
  const path = join(freshFolder(t), 'notes.json')
  for (const text of ['', '{', '[1]', 'null', '7', '{"one":"5"}', '{"one":-1}', '{"one":1.5}']) {
    writeFileSync(path, text)
    const notes = await readNotes(path)
    t.equal(Object.values(notes).filter(value => typeof value !== 'number').length, 0, text)
    t.equal(notes.one, undefined, text)
  }
})
