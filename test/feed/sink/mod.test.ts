/** All kinds of sinks: what each declares is whole. */
import t from 'tap'
import { sinkKinds } from '../../../src/feed/sink/mod.ts'
import { stateOf } from './health.ts'
import { settingsOf, wantedOf } from './world.ts'

const TEMPLATE = '{{#Services[web].Instances}}{{Address}}{{/Services[web].Instances}}'

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

/** What each kind is tried with. */
const given: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'haproxy-runtime': { socket: '/x' },
  'haproxy-file': { path: '/x', reload: ['x'], template: TEMPLATE },
  nginx: { path: '/x' },
  nftables: { table: 'x', set4: 'x' },
  file: { path: '/x', template: TEMPLATE },
}

t.test(
  'one that no target can take does not make a service that has nobody less empty',
  async t => {
    for (const [name, settings] of Object.entries(given)) {
      const kind = sinkKinds.find(one => one.kind === name)
      if (kind === undefined) return t.fail(name)
      const values = settingsOf(kind, { ...settings, on_empty: 'keep' })
      const first = wantedOf(kind, values, stateOf({ web: [{ address: '10.0.0.1' }] }))
      const odd = { id: 'odd', address: 'unix@/run/x' }
      const failing = { address: '10.0.0.1', status: 'critical' }
      const next = wantedOf(kind, values, stateOf({ web: [failing, odd] }), first.state)
      t.equal(next.digest, first.digest, name)
      t.match(next.problems, [/the last ones are kept/], name)
    }
  },
)
