/** The file of the registry key. */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { loadRegistryKey } from '../../src/identity/registry-key.run.ts'

t.test('is made once, for this user alone, and kept', async t => {
  const folder = t.testdir()
  const made = await loadRegistryKey(folder, systemRandom)
  const path = join(folder, 'registry.key')
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.match(await readFile(path, 'utf8'), /^[0-9a-f]{64}\n$/)
  const kept = await loadRegistryKey(folder, systemRandom)
  t.equal(kept.open(made.seal('x', 'p'), 'p'), 'x')
})

t.test('nothing is kept where there is no folder', async t => {
  const one = await loadRegistryKey(undefined, systemRandom)
  const two = await loadRegistryKey(undefined, systemRandom)
  t.not(one.hashOf('x'), two.hashOf('x'))
})

t.test('a file that holds no key is not written over', async t => {
  for (const text of ['', 'x', 'ab'.repeat(31), 'zz'.repeat(32), 'ab'.repeat(33)]) {
    const folder = t.testdir({ 'registry.key': text })
    await t.rejects(loadRegistryKey(folder, systemRandom), /holds no registry key/)
    t.equal(await readFile(join(folder, 'registry.key'), 'utf8'), text)
  }
  const folder = t.testdir()
  await writeFile(join(folder, 'registry.key'), `${'AB'.repeat(32)}\n`)
  await loadRegistryKey(folder, systemRandom)
})
