/** Where our own files are found: from sources here, from what is emitted in cli/pack.test.ts. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import config from '../../rolldown.config.ts'
import { packageFile, startFile } from '../../src/base/places.ts'

const root = path.resolve(import.meta.dirname, '../..')

t.equal(packageFile('package.json'), path.join(root, 'package.json'))
t.equal(startFile('base/io/thread'), path.join(root, 'src/base/io/thread.ts'))

t.test('whatever is started by its path is emitted as a file of its own', async t => {
  const sources = globSync('src/**/*.ts', { cwd: root }).map(file => {
    return { file, text: readFileSync(path.join(root, file), 'utf8') }
  })
  const names = sources.flatMap(({ text }) =>
    [...text.matchAll(/\bstartFile\('([^']+)'\)/g)].map(([, name]) => name!),
  )
  t.ok(names.length > 0)
  for (const name of names) t.ok(existsSync(startFile(name)), name)
  t.same(new Set(['main', ...names]), new Set(Object.keys(config[0]!.input as object)))
  // Only a file that runs by itself may ask where it lies.
  const asking = sources.filter(({ text }) => /import\.meta\.(filename|dirname)/.test(text))
  t.same(asking.map(({ file }) => file).sort(), [
    'src/base/places.ts',
    'src/checks/program-child.run.ts',
    'src/main.ts',
  ])
})
