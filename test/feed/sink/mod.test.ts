/** All kinds of sinks: what each declares is whole. */
import t from 'tap'
import { sinkKinds } from '../../../src/feed/sink/mod.ts'

t.test('each kind has a name of its own', async t => {
  const names = sinkKinds.map(({ kind }) => kind)
  t.equal(new Set(names).size, names.length)
})

for (const { kind, summary, fields, isLocal } of sinkKinds) {
  t.test(`${kind}: settings`, async t => {
    t.match(summary, /^\S.{10,}[^.]$/)
    for (const [name, { help }] of Object.entries(fields)) {
      t.match(name, /^[a-z][a-z0-9_]*$/)
      t.match(help, /^\S.*[^.]$/, name)
    }
    // Programs, files and sockets are named by the machine's own configuration.
    const local = Object.entries(fields).filter(([, field]) => field.isLocal === true)
    if (isLocal) t.ok(local.length > 0, 'what makes it local is said of the fields, too')
  })
}
