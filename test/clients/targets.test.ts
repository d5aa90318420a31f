/** That no foreign client is forgotten: whoever talks to a daemon talks to a cluster, too. */
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'

const here = import.meta.dirname
const clients = globSync('*.test.ts', { cwd: here }).filter(file => {
  return /\bstartDaemon\b.*from '.\/daemon.ts'/.test(readFileSync(path.join(here, file), 'utf8'))
})

for (const target of ['cluster', 'agent']) {
  t.test(`each client is tried before this target: ${target}`, async t => {
    const folder = path.join(here, target)
    const tried = globSync('*.test.ts', { cwd: folder }).map(file => file.replace('.long', ''))
    t.same(tried.sort(), clients.toSorted())
    t.ok(clients.length >= 12, `${clients.length} of them`)
    for (const file of globSync('*.test.ts', { cwd: folder })) {
      const text = readFileSync(path.join(folder, file), 'utf8')
      t.match(text, `GATEHOUSE_TEST_TARGET = '${target}'`, file)
      t.match(text, `import('../${file.replace('.long', '')}')`, file)
    }
  })
}
