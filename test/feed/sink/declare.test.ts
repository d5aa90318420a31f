/** What is the same for all kinds of sinks: what becomes of a service that has nobody left. */
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { defineSink, type SinkKind, TargetRefusal } from '../../../src/feed/sink/declare.ts'
import { digestOf } from '../../../src/feed/sink/digest.ts'
import { readSettings } from '../../../src/feed/sink/schema.ts'
import { isUsable } from '../../../src/feed/sink/state.ts'
import { portsWith, stateOf } from './health.ts'

/** A sink whose target is a list of ids. */
const listing = (onEmpty: 'keep' | 'apply'): SinkKind =>
  defineSink({
    ...{ kind: 'listing', summary: 'a list', isLocal: false, onEmpty },
    fields: { limit: { type: 'count', help: 'how many it takes', byDefault: 9 } },
    problemOf: ({ limit }) => (limit === 1 ? 'limit: one is none' : undefined),
    render({ use, limit }, { services, held }) {
      const all = [...services].flatMap(([, list]) => list)
      const what = all.filter(one => isUsable(one, use as 'warning')).map(({ id }) => id)
      if (what.length > limit) return new Refusal(400, 'too many')
      const problems = [...held].map(name => `held ${name}`)
      return { what, digest: digestOf(what), summary: what.join(' '), problems }
    },
    open() {
      let has: readonly string[] = []
      return {
        plan: async ({ what }) => ({ changes: what.filter(id => !has.includes(id)), problems: [] }),
        async apply({ what }) {
          if (what.includes('bad')) return new TargetRefusal('bad is refused', false)
          const changes = what.filter(id => !has.includes(id))
          has = what
          return { changes, problems: [], againMs: undefined }
        },
        close: async () => {},
      }
    },
  })

function settings(kind: SinkKind, given: Record<string, unknown> = {}) {
  const read = readSettings(kind.fields, given, 'local')
  if ('problems' in read) throw new Error(JSON.stringify(read.problems))
  return read.values
}

const two = stateOf({ web: [{ id: 'a' }, { id: 'b', status: 'critical' }] })
const none = stateOf({ web: [{ id: 'a', status: 'critical' }] })

t.test('the usual settings are there, with the default of the kind', async t => {
  const kind = listing('apply')
  t.match(settings(kind), { use: 'warning', on_empty: 'apply', limit: 9 })
  t.match(settings(listing('keep')), { on_empty: 'keep' })
  t.equal(kind.problemOf(settings(kind, { limit: 1 })), 'limit: one is none')
  t.match(readSettings(kind.fields, { use: 'all' }, 'api'), { problems: [{ field: 'use' }] })
})

t.test('a service without usable instances is kept as it was applied last', async t => {
  const kind = listing('keep')
  const values = settings(kind)
  const first = kind.want(values, two, undefined)
  t.match(first, { what: ['a'], problems: [] })
  if (first instanceof Refusal) return
  const kept = kind.want(values, none, first.state)
  t.match(kept, { what: ['a'], problems: [/"web".*the last ones are kept/] })
  if (kept instanceof Refusal) return
  t.equal(kept.digest, first.digest)
  // What was kept is kept on.
  t.match(kind.want(values, stateOf({ web: [] }), kept.state), { what: ['a'] })
})

t.test('where nothing is known from before, the kind is told to hold it', async t => {
  const kind = listing('keep')
  const held = kind.want(settings(kind), none, undefined)
  t.match(held, { what: [], problems: [/what stands of it is kept/, 'held web'] })
})

t.test('or it is applied that there is none, and told', async t => {
  const kind = listing('apply')
  const empty = kind.want(settings(kind), none, two)
  t.match(empty, { what: [], problems: [/has no usable instance$/] })
})

t.test('a target plans, applies, refuses', async t => {
  const kind = listing('keep')
  const values = settings(kind)
  const target = kind.open(values, portsWith())
  const { signal } = new AbortController()
  const wanted = kind.want(values, two, undefined)
  if (wanted instanceof Refusal) throw new Error(wanted.text)
  t.same(await target.plan(wanted, signal), { changes: ['a'], problems: [] })
  t.match(await target.apply(wanted, signal), { changes: ['a'] })
  t.match(await target.apply(wanted, signal), { changes: [] })
  const bad = kind.want(values, stateOf({ web: [{ id: 'bad' }] }), undefined)
  if (bad instanceof Refusal) throw new Error(bad.text)
  const refused = await target.apply(bad, signal)
  t.ok(refused instanceof TargetRefusal)
  t.match(refused, { text: 'bad is refused', mayRetry: false, target: 'as it was' })
  t.match(kind.want(settings(kind, { limit: 0 }), two, undefined), { status: 400 })
  await target.close()
})
