/**
 * Templates: what stands for what, and that no value widens a path.
 */
import fc from 'fast-check'
import t from 'tap'
import {
  capabilitiesAt,
  compilePolicies,
  type PolicyIdentity,
  PolicyProblem,
  parsePolicy,
} from '../../../src/secrets/policy/mod.ts'
import { fillPath, isSelector, isTemplate } from '../../../src/secrets/policy/template.ts'
import { propertyRuns } from '../../run/budget.ts'

const alias = {
  id: 'a-1',
  name: 'ann@example.org',
  mountAccessor: 'auth_userpass_1',
  metadata: { 'team.name': 'core' },
  customMetadata: { rank: 'first' },
}
const identity: PolicyIdentity = {
  id: 'e-1',
  name: 'ann',
  metadata: { team: 'core', 'a.b': 'dotted', empty: '' },
  aliases: [alias, { ...alias, id: 'a-2', name: 'ann-k8s', mountAccessor: 'auth_kubernetes_2' }],
  groups: [
    { id: 'g-1', name: 'admins', namespace: '', metadata: { floor: '3' } },
    { id: 'g-2', name: 'admins', namespace: 'team/', metadata: { floor: '4' } },
  ],
}

const fill = (selector: string, who: PolicyIdentity | undefined = identity, namespace = '') =>
  fillPath(`a/{{${selector}}}/b`, who, namespace)

t.test('what stands for what', async t => {
  const cases: [string, string][] = [
    ['identity.entity.id', 'e-1'],
    [' identity.entity.name\t', 'ann'],
    ['identity.entity.metadata.team', 'core'],
    ['identity.entity.metadata.a.b', 'dotted'],
    ['identity.entity.aliases.auth_userpass_1.id', 'a-1'],
    ['identity.entity.aliases.auth_userpass_1.name', 'ann@example.org'],
    ['identity.entity.aliases.auth_userpass_1.metadata.team.name', 'core'],
    ['identity.entity.aliases.auth_userpass_1.custom_metadata.rank', 'first'],
    ['identity.entity.aliases.auth_kubernetes_2.name', 'ann-k8s'],
    ['identity.groups.ids.g-1.name', 'admins'],
    ['identity.groups.ids.g-2.metadata.floor', '4'],
    ['identity.groups.names.admins.id', 'g-1'],
    ['identity.groups.names.admins.metadata.floor', '3'],
  ]
  for (const [selector, value] of cases) {
    t.equal(fill(selector), `a/${value}/b`, selector)
    t.ok(isSelector(selector.trim()))
  }
  t.equal(fill('identity.groups.names.admins.id', identity, 'team/'), 'a/g-2/b', 'in its namespace')
  t.equal(fillPath('{{identity.entity.id}}/{{identity.entity.name}}*', identity, ''), 'e-1/ann*')
  t.equal(fillPath('a/b', identity, ''), 'a/b')
})

t.test('what stands for nothing', async t => {
  const selectors = [
    '',
    'identity.entity',
    'identity.entity.age',
    'identity.entity.metadata',
    'identity.entity.metadata.none',
    'identity.entity.metadata.empty',
    'identity.entity.metadata.constructor',
    'identity.entity.metadata.__proto__',
    'identity.entity.aliases.none.name',
    'identity.entity.aliases.auth_userpass_1',
    'identity.entity.aliases.auth_userpass_1.metadata.none',
    'identity.entity.aliases.0.name',
    'identity.groups.names.none.id',
    'identity.groups.ids.admins.name',
    'identity.groups.names.admins',
    'identity.groups.id.g-1.name',
    'time.now',
    'IDENTITY.entity.id',
  ]
  for (const selector of selectors) t.equal(fill(selector), undefined, selector)
  t.equal(fillPath('{{identity.entity.id}}', undefined, ''), undefined, 'nobody')
  for (const one of ['identity.entity.age', 'time.now', '']) t.notOk(isSelector(one), one)
})

t.test('of two aliases of one mount none is meant', async t => {
  const twice = { ...identity, aliases: [alias, { ...alias, name: 'bob' }] }
  t.equal(fill('identity.entity.aliases.auth_userpass_1.name', twice), undefined)
})

t.test('braces in order', async t => {
  const cases: [string, boolean | undefined][] = [
    ['a', false],
    ['a{b}c', false],
    ['{{a}}', true],
    ['{{a}}{{b}}c', true],
    ['{{', undefined],
    ['}}', undefined],
    ['{{a}}}}', undefined],
    ['{{a', undefined],
    ['{{a{{b}}', undefined],
  ]
  for (const [path, wanted] of cases) t.equal(isTemplate(path), wanted, path)
})

/** What somebody named so may do by a policy of a folder for each, at some paths. */
function reach(name: string, paths: readonly string[]): string[] {
  const document = parsePolicy(`
    path "secret/{{identity.entity.name}}/*" { capabilities = ["read"] }
    path "one/{{identity.entity.name}}" { capabilities = ["read"] }
    path "own/{{identity.entity.name}}*" { capabilities = ["read"] }
    path "plain" { capabilities = ["read"] }`)
  if (document instanceof PolicyProblem) throw new Error(document.text)
  const who = { ...identity, name }
  const compiled = compilePolicies([{ policy: 'p', namespace: '', document }], { identity: who })
  return paths.filter(path => capabilitiesAt(compiled, path, 0)[0] !== 'deny')
}

const others = [
  'secret/bob/x',
  'secret/bob/x/y',
  'one/bob',
  'one/bob/x',
  'own/bob',
  'secret/x',
  'one/',
]

t.test('every sign that could widen a path has its block dropped, and that alone', async t => {
  const controls = Array.from({ length: 33 }, (_, at) => String.fromCharCode(at === 32 ? 0x7f : at))
  const signs = ['*', '+', '/', '..', '.', '\u0085', '\ud800', ...controls]
  for (const sign of signs) {
    for (const name of [sign, `bo${sign}`, `${sign}b`, `b${sign}b`]) {
      const isDots = /^\.+$/.test(sign)
      t.same(reach(name, others), [], JSON.stringify(name))
      if (!isDots || name === sign) {
        t.same(reach(name, [`secret/${name}/x`, `one/${name}`, 'plain']), ['plain'], 'dropped')
      }
    }
  }
  for (const name of [
    'ann',
    'ann b',
    'é',
    'a.b',
    '{{identity.entity.id}}',
    '}}',
    '"',
    '\\',
    '%2f',
    '?',
  ]) {
    t.same(reach(name, [`secret/${name}/x`, `one/${name}`, 'plain']), [
      ...[`secret/${name}/x`, `one/${name}`, 'plain'],
    ])
  }
})

t.test('no name reaches what is another’s', async () => {
  const sign = fc.constantFrom('*', '+', '/', '.', 'bob', 'b', '{{', '}}', '\n', ' ', 'x')
  const name = fc.array(sign, { minLength: 1, maxLength: 5 }).map(parts => parts.join(''))
  const property = fc.property(name, one => {
    if (one === 'bob') return
    // `own/…*` is for all whose names begin so: that is what it says.
    const reached = reach(one, others).filter(path => !path.startsWith('own/'))
    if (reached.length > 0) throw new Error(`reaches ${reached}`)
  })
  fc.assert(property, { numRuns: propertyRuns() * 10 })
})

t.test('what another block gives is left when one is dropped', async t => {
  const document =
    parsePolicy(`path "{{identity.entity.metadata.none}}/*" { capabilities = ["deny"] }
    path "*" { capabilities = ["read"] }`)
  if (document instanceof PolicyProblem) throw new Error(document.text)
  t.equal(document.isTemplated, true)
  for (const who of [undefined, identity]) {
    const compiled = compilePolicies([{ policy: 'p', namespace: '', document }], { identity: who })
    t.same(capabilitiesAt(compiled, 'a', 0), ['read'])
  }
})

t.test('a filled path has its bound', async t => {
  const long = { ...identity, name: 'a'.repeat(4_000) }
  t.equal(fillPath('{{identity.entity.name}}{{identity.entity.name}}', long, ''), undefined)
})
