/** That no foreign client is forgotten: whoever talks to a daemon talks to a cluster, too. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'

const here = import.meta.dirname
const using = (start: RegExp): string[] =>
  globSync('*.test.ts', { cwd: here }).filter(file =>
    start.test(readFileSync(path.join(here, file), 'utf8')),
  )
/**
 * Of gRPC, before whose ports nothing stands that spreads calls: three servers are asked by
 * `test/system/client.cluster.test.ts`, agents that are none by `test/agent/client/calls.test.ts`.
 */
const OF_ONE = ['grpc.test.ts']
const clients = using(/\bstartDaemon\b.*from '.\/daemon.ts'/).filter(file => !OF_ONE.includes(file))
/** Of the secrets. */
const ofSecrets = using(/\bstartSecrets\b.*from '.\/secrets.ts'/)

for (const target of ['cluster', 'agent']) {
  t.test(`each client is tried before this target: ${target}`, async t => {
    const folder = path.join(here, target)
    const tried = globSync('*.test.ts', { cwd: folder }).map(file => file.replace('.long', ''))
    // Others may be tried too: pages that are followed, for one.
    const forgotten = [...clients, ...ofSecrets].filter(file => !tried.includes(file))
    t.same(forgotten, [], 'none is forgotten')
    t.same(
      tried.filter(file => !existsSync(path.join(here, file))),
      [],
      'and none is gone',
    )
    t.ok(clients.length >= 12, `${clients.length} of them`)
    t.ok(ofSecrets.length >= 3, `${ofSecrets.length} of the secrets`)
    for (const file of globSync('*.test.ts', { cwd: folder })) {
      const text = readFileSync(path.join(folder, file), 'utf8')
      t.match(text, `GATEHOUSE_TEST_TARGET = '${target}'`, file)
      t.match(text, `import('../${file.replace('.long', '')}')`, file)
    }
  })
}
