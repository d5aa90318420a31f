/** Files are private from then on; what was private before stays so. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const module = fileURLToPath(new URL('../../../src/base/io/umask.ts', import.meta.url))
const PROGRAM = `
  import { statSync, writeFileSync, rmSync } from 'node:fs'
  import { makeFilesPrivate, inheritedUmask } from ${JSON.stringify(module)}
  const path = process.argv[1]
  const before = inheritedUmask()
  makeFilesPrivate()
  makeFilesPrivate()
  writeFileSync(path, '', { mode: 0o777 })
  const mode = statSync(path).mode & 0o777
  rmSync(path)
  process.stdout.write([before, inheritedUmask().toString(8), mode.toString(8)].join(' '))`

t.test('whatever it was started with', async t => {
  const path = `${t.testdir({})}/file`
  for (const [mask, wanted] of [
    ['022', ' 22 700'],
    ['000', ' 0 700'],
    ['027', ' 27 700'],
    ['177', ' 177 600'],
  ] as const) {
    const node = [process.execPath, '--input-type=module-typescript', '-e', PROGRAM, path]
    const words = ['-c', `umask ${mask}; exec "$0" "$@"`, ...node]
    const { stdout, stderr } = spawnSync('sh', words, { encoding: 'utf8' })
    t.equal(stdout, wanted, `${mask} ${stderr}`)
  }
})
