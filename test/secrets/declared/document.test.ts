/**
 * The form of a document: which blocks there are, what they ask, and what is wrong with them.
 */
import fc from 'fast-check'
import t from 'tap'
import { Place, readDocument } from '../../../src/secrets/declared/document.ts'
import { propertyRuns } from '../../run/budget.ts'

const read = (text: string) => readDocument([{ name: 'd.hcl', text, format: 'hcl' }])

t.test('each block is an entry, mounts before what stands on them', async t => {
  const { entries, problems } = read(`
    request "r" { path = "/v1/kv/a" data { x = 1 } only_at_initialization = true }
    initialize "i" { request "gone" { operation = "delete" path = "kv/b/" shown_at = "kv/c" } }
    entity_alias "al" { entity = "e" auth = "userpass/" }
    policy "p" { file = "p.hcl" }
    auth "userpass" { type = "userpass" }
    mount "kv/" { type = "kv" options { version = "2" } }`)
  t.same(problems, [])
  t.same(
    entries.map(({ name, operation, path, shownAt, isOnce }) => [
      ...[name, operation, path, shownAt, isOnce],
    ]),
    [
      ['mount "kv/"', 'update', 'sys/mounts/kv', 'sys/mounts/kv', false],
      ['auth "userpass"', 'update', 'sys/auth/userpass', 'sys/auth/userpass', false],
      ['policy "p"', 'update', 'sys/policies/acl/p', 'sys/policies/acl/p', false],
      ['request "r"', 'update', 'kv/a', 'kv/a', true],
      ['request "gone"', 'delete', 'kv/b', 'kv/c', false],
      ['entity_alias "al"', 'update', 'identity/entity-alias', 'identity/entity/name/e', false],
    ],
  )
  t.same(entries[2]?.data, { policy: new Place('file', 'p.hcl') })
  t.same(entries[5]?.data.mount_accessor, new Place('read', 'sys/auth/userpass', 'accessor'))
})

t.test('places of values, also in lists', async t => {
  const { entries } = read(`request "r" { path = "a" data {
    one = { eval_source = "env", eval_type = "string", env_var = "A" }
    two = [{ eval_source = "read", path = "/b", field = "id" }]
  } }`)
  t.equal(entries[0]?.data.one instanceof Place, true)
  t.same(entries[0]?.data, { one: new Place('env', 'A'), two: [new Place('read', 'b', 'id')] })
})

t.test('what is wrong is said, and no value is', async t => {
  const cases: [string, RegExp][] = [
    ['mounts "a" {}', /unknown block "mounts"; known are mount, auth/],
    ['mount "a" {}', /mount "a": type: is missing/],
    ['mount { type = "kv" }', /mount has a name/],
    ['policy "p" {}', /policy "p": has either text or file/],
    ['policy "p" { text = "a" file = "b" }', /has either text or file/],
    ['request "r" {}', /path: is missing/],
    ['request "r" { path = "a" operation = "read" }', /operation: must be/],
    ['request "r" { path = "a" dta {} }', /unknown key "dta"/],
    ['request "r" { path = "a" data = 3 }', /data: must be a block/],
    ['request "r" { path = "a" only_at_initialization = 1 }', /must be true or false/],
    ['request "r" { path = "a" data { b = { eval_source = "response" } } }', /not served yet/],
    ['request "r" { path = "a" data { b = { eval_source = "env" } } }', /env with env_var/],
    ['request "r" { path = "a" } request "r" { path = "b" }', /request "r": stands more than once/],
    ['entity_alias "a" { entity = "e" }', /has entity/],
    ['mount "a" {', /d\.hcl: /],
  ]
  for (const [text, expected] of cases) t.match(read(text).problems.join('\n'), expected, text)
})

t.test('no JSON makes it throw, and no problem quotes a value', async () => {
  const SECRET = 'canary'
  const names = ['mount', 'auth', 'policy', 'request', 'entity_alias', 'initialize', 'x']
  const fields = ['type', 'path', 'data', 'text', 'operation', 'eval_source', 'entity', '__proto__']
  const { tree } = fc.letrec<{ tree: unknown }>(tie => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(SECRET, 1, true, null),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names, ...fields), tie('tree'), { maxKeys: 4 }),
    ),
  }))
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), tree), value => {
      const text = JSON.stringify(value)
      const { problems } = readDocument([{ name: 'x', text, format: 'json' }])
      return !problems.join('\n').includes(SECRET)
    }),
    { numRuns: propertyRuns() },
  )
})
