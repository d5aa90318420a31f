/**
 * Plans and their doing, on a double of a server that keeps what it is sent.
 */
import t from 'tap'
import {
  type ApplyPorts,
  type Asked,
  applySteps,
  planEntries,
  planText,
} from '../../../src/secrets/declared/apply.run.ts'
import { type Entry, readDocument } from '../../../src/secrets/declared/document.ts'
import { matchData } from '../../../src/secrets/declared/match.ts'
import type { JsonObject } from '../../../src/secrets/field.ts'

const FIRST = { isFirst: true, rewritten: [] }
const AGAIN = { isFirst: false, rewritten: [] }

/** A server: rows by path; a few paths answer in their own way. */
class Double implements ApplyPorts {
  readonly rows = new Map<string, JsonObject>()
  readonly asked: string[] = []
  readonly refused = new Set<string>()
  readonly environment = { SECRET: 'canary' }

  readFile = async (path: string): Promise<string> => {
    if (path !== 'p.hcl') throw new Error('no such file')
    return 'path "a" {}\n'
  }

  ask: ApplyPorts['ask'] = async (operation, path, data): Promise<Asked> => {
    if (operation !== 'read') this.asked.push(`${operation} ${path}`)
    if (this.refused.has(path)) return { status: 403, data: {}, errors: ['permission denied'] }
    if (path.endsWith('/write-only')) return { status: 405, data: {}, errors: [] }
    if (operation === 'read') {
      const row = this.rows.get(path)
      const { password: _, ...shown } = row ?? {}
      return { status: row === undefined ? 404 : 200, data: shown, errors: [] }
    }
    if (operation === 'delete') this.rows.delete(path)
    else if (path.endsWith('/tune')) {
      const place = path.slice(0, -'/tune'.length)
      this.rows.set(place, { ...this.rows.get(place), ...data })
    } else this.rows.set(path, data)
    return { status: 204, data: {}, errors: [] }
  }
}

const entriesOf = (text: string): readonly Entry[] => {
  const { entries, problems } = readDocument([{ name: 'd', text, format: 'hcl' }])
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return entries
}

async function plan(server: Double, text: string, options = AGAIN) {
  const planned = await planEntries(entriesOf(text), server, options)
  return 'problem' in planned ? planned.problem : planned.steps
}

async function apply(server: Double, text: string, options = AGAIN): Promise<string | undefined> {
  const steps = await plan(server, text, options)
  return typeof steps === 'string' ? steps : applySteps(steps, server, () => {})
}

const TEXT = `
  mount "kv" { type = "kv" description = "old" }
  policy "p" { file = "p.hcl" }
  request "user" { path = "auth/u" data {
    password = { eval_source = "env", env_var = "SECRET" }
    policies = ["a", "b"]
    ttl = "1h"
  } }`

t.test('applying again changes nothing; what differs is changed alone', async t => {
  const server = new Double()
  t.equal(await apply(server, TEXT, FIRST), undefined)
  t.same(server.rows.get('auth/u'), { password: 'canary', policies: ['a', 'b'], ttl: '1h' })
  const before = server.asked.length
  t.equal(await apply(server, TEXT), undefined)
  t.equal(server.asked.length, before)
  server.rows.set('auth/u', { policies: 'b,a', ttl: 3_600 })
  t.equal(await apply(server, TEXT), undefined)
  t.equal(server.asked.length, before, 'the same in other words')
  const changed = TEXT.replace('old', 'new').replace('"1h"', '"2h"')
  const steps = await plan(server, changed)
  if (typeof steps === 'string') throw new Error(steps)
  t.equal(
    planText(steps),
    [
      '  ~ mount "kv": differs in description',
      '  ~ request "user": differs in ttl; not shown, so not compared: password',
      'Plan: 2 to change.',
    ].join('\n'),
  )
  t.equal(await apply(server, changed), undefined)
  t.same(server.asked.slice(before), ['update sys/mounts/kv/tune', 'update auth/u'])
})

t.test('what is not shown is written when asked for', async t => {
  const server = new Double()
  await apply(server, TEXT)
  const before = server.asked.length
  await apply(server, TEXT, { isFirst: false, rewritten: ['request "user"'] } as never)
  t.same(server.asked.slice(before), ['update auth/u'])
})

t.test('it stops where something is refused, and goes on from there', async t => {
  const server = new Double()
  server.refused.add('sys/policies/acl/p')
  t.equal(await apply(server, TEXT), 'policy "p": 403 permission denied')
  t.same(server.asked, [], 'the plan was refused as a whole')
  server.refused.clear()
  const steps = await plan(server, TEXT)
  if (typeof steps === 'string') throw new Error(steps)
  server.refused.add('auth/u')
  const problem = await applySteps(steps, server, () => {})
  t.equal(problem, 'request "user": 403 permission denied')
  t.same([...server.rows.keys()], ['sys/mounts/kv', 'sys/policies/acl/p'])
  server.refused.clear()
  const before = server.asked.length
  t.equal(await apply(server, TEXT), undefined)
  t.same(server.asked.slice(before), ['update auth/u'])
})

t.test('paths that cannot be read, entries for the first time, deletions', async t => {
  const server = new Double()
  const text = 'request "w" { path = "a/write-only" }'
  t.match(await plan(server, text), /a\/write-only cannot be read/)
  const once = 'request "w" { path = "a/write-only" only_at_initialization = true }'
  t.match(await plan(server, once, FIRST), [{ action: 'create' }])
  t.match(await plan(server, once), [{ action: 'none' }])
  const gone = 'request "g" { path = "x" operation = "delete" }'
  t.match(await plan(server, gone), [{ action: 'none' }])
  server.rows.set('x', {})
  t.match(await plan(server, gone), [{ action: 'delete' }])
  t.equal(await apply(server, gone), undefined)
  t.notOk(server.rows.has('x'))
})

t.test('a mount of another type is not touched, places that hold nothing are told', async t => {
  const server = new Double()
  server.rows.set('sys/mounts/kv', { type: 'ssh' })
  t.match(await plan(server, 'mount "kv" { type = "kv" }'), /is there with the type "ssh"/)
  const file = 'policy "p" { file = "none.hcl" }'
  t.equal(await plan(server, file), 'policy "p": no such file')
  const env = 'request "r" { path = "a" data { b = { eval_source = "env", env_var = "NONE" } } }'
  t.equal(await plan(server, env), 'request "r": the variable NONE is not set')
  const other = `request "r" { path = "a" data {
    b = { eval_source = "read", path = "c", field = "id" } } }`
  t.match(await plan(server, other), [{ action: 'create' }])
  t.equal(await apply(server, other), 'request "r": c shows no id')
  server.rows.set('c', { id: '1' })
  t.equal(await apply(server, other), undefined)
  t.same(server.rows.get('a'), { b: '1' })
})

t.test('an alias is there when its entity has it', async t => {
  const server = new Double()
  const text = 'entity_alias "al" { entity = "e" auth = "u" }'
  t.match(await plan(server, text), [{ action: 'create' }])
  server.rows.set('sys/auth/u', { accessor: 'acc' })
  server.rows.set('identity/entity/name/e', { id: 'i', aliases: [] })
  t.match(await plan(server, text), [{ action: 'create' }])
  const aliases = [{ name: 'al', mount_accessor: 'acc' }]
  server.rows.set('identity/entity/name/e', { id: 'i', aliases })
  t.match(await plan(server, text), [{ action: 'none' }])
})

t.test('what counts as the same', async t => {
  const isSame = (wanted: JsonObject, shown: JsonObject) =>
    matchData(wanted, shown).differing.length === 0
  t.ok(isSame({ a: [] }, { a: null }))
  t.ok(isSame({ a: '24' }, { a: 24 }))
  t.ok(isSame({ a: 'x' }, { a: ['x'] }))
  t.ok(isSame({ a: {} }, { a: {} }))
  t.notOk(isSame({ a: '1h' }, { a: 60 }))
  t.notOk(isSame({ a: ['x', 'y'] }, { a: ['x'] }))
  t.notOk(isSame({ a: { b: 1 } }, { a: {} }))
  t.notOk(isSame({ a: true }, { a: false }))
  t.same(matchData({ a: '', b: 'x' }, {}), { differing: [], hidden: ['b'] })
})
