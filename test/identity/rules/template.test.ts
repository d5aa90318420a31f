/**
 * Rules that nobody writes: what each template gives, which names it takes, and in which words
 * others are refused.
 */
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { parseRules, printRules, RulesProblem, ruleText } from '../../../src/identity/rules/mod.ts'
import type { Rules } from '../../../src/identity/rules/rule.ts'
import {
  fillTemplate,
  globalRules,
  isIdentityName,
  nodeIdentity,
  type Synthetic,
  serviceIdentity,
  templates,
} from '../../../src/identity/rules/template.ts'

function good(result: Synthetic | RulesProblem): Synthetic {
  if (result instanceof RulesProblem) throw new Error(result.text)
  return result
}

const problem = (result: Synthetic | RulesProblem): string =>
  result instanceof RulesProblem ? result.text : 'accepted'

const lines = (rules: Rules): string[] => rules.map(ruleText)

t.test('the templates, with the ids that Consul gives them', async t => {
  const listed = [...templates.values()].map(({ name, id, schema }) => [name, id.slice(-3), schema])
  const schema =
    '{"type":"object","properties":{"name":{"type":"string","minLength":1}},"required":["name"]}'
  t.same(listed, [
    ['builtin/service', '003', schema],
    ['builtin/node', '004', schema],
    ['builtin/dns', '005', ''],
    ['builtin/nomad-server', '006', ''],
    ['builtin/workload-identity', '007', schema],
    ['builtin/api-gateway', '008', schema],
    ['builtin/nomad-client', '009', ''],
  ])
  for (const { id, description, text } of templates.values()) {
    t.match(id, /^0{8}-0{4}-0{4}-0{4}-0{9}\d{3}$/)
    t.not(description, '')
    t.notOk(parseRules(text) instanceof RulesProblem)
  }
  t.match(templates.get('builtin/node')?.text, 'node "{{.Name}}" {\n  policy = "write"\n}')
})

t.test('what each gives', async t => {
  const rules = (name: string) => lines(good(fillTemplate(name, { name: 'web' })).rules)
  const read = (kind: string) => `${kind}_prefix "" { policy = "read" }`
  const write = (name: string, kind = 'service') => `${kind} "${name}" { policy = "write" }`
  t.same(rules('builtin/service'), [
    write('web'),
    write('web-sidecar-proxy'),
    read('service'),
    read('node'),
  ])
  t.same(rules('builtin/node'), [write('web', 'node'), read('service')])
  t.same(rules('builtin/dns'), [read('node'), read('service'), read('query')])
  t.same(rules('builtin/workload-identity'), [write('web', 'identity')])
  t.same(rules('builtin/api-gateway'), [
    'mesh = "read"',
    read('node'),
    read('service'),
    write('web'),
  ])
  const nomad = [read('agent'), read('node'), write('', 'service_prefix')]
  t.same(rules('builtin/nomad-server'), ['acl = "write"', ...nomad])
  t.same(rules('builtin/nomad-client'), [...nomad, read('key')])
})

t.test('identities are templates; the result has a name of its own and reads back', async t => {
  const service = good(serviceIdentity('web'))
  t.same(service, good(fillTemplate('builtin/service', { name: 'web' })))
  t.same(good(nodeIdentity('n1')), good(fillTemplate('builtin/node', { name: 'n1' })))
  t.match(service.policyId, /^[0-9a-f]{64}$/)
  t.equal(service.policyName, `synthetic-policy-${service.policyId}`)
  t.match(service.description, /^synthetic policy generated from templated policy: builtin\/serv/)
  t.equal(service.text, printRules(service.rules))
  t.not(service.policyId, good(serviceIdentity('db')).policyId)
  const read = parseRules(service.text)
  t.same(lines(read as Rules), lines(service.rules))
})

t.test('variables that a template does not take mean nothing', async t => {
  t.same(fillTemplate('builtin/dns', undefined), fillTemplate('builtin/dns', { name: '"' }))
})

t.test('refusals, in the words of Consul', async t => {
  const only = "Only lowercase alphanumeric characters, '-' and '_' are allowed"
  const cases: [string, Synthetic | RulesProblem][] = [
    ['templated policy "builtin/x" does not exist', fillTemplate('builtin/x', {})],
    ['templated policy "constructor" does not exist', fillTemplate('constructor', {})],
    [`service identity "We" has an invalid name. ${only}`, serviceIdentity('We')],
    [`service identity "" has an invalid name. ${only}`, fillTemplate('builtin/service', {})],
    [`node identity "-a"  has an invalid name. ${only}`, nodeIdentity('-a')],
    [
      '1 error occurred:\n\t* Invalid type. Expected: object, given: null\n\n',
      fillTemplate('builtin/service', undefined),
    ],
    [
      '1 error occurred:\n\t* name is required\n\n',
      fillTemplate('builtin/api-gateway', { name: '' }),
    ],
    [
      "name \"a*\" is invalid. Only alphanumeric characters, '-', '_' and '.' are allowed",
      fillTemplate('builtin/api-gateway', { name: 'a*' }),
    ],
  ]
  for (const [words, result] of cases) t.equal(problem(result), words)
  t.equal(problem(fillTemplate('builtin/api-gateway', { name: 'My.Gateway_1' })), 'accepted')
})

t.test('names: at the bound and one past it', async t => {
  const longest = 'a'.repeat(limits.identityNameChars)
  t.ok(isIdentityName(longest))
  t.notOk(isIdentityName(`${longest}a`))
  for (const name of ['a', '0', 'a-b_c', 'a--1']) t.ok(isIdentityName(name), name)
  for (const name of ['', '-', 'a-', '_a', 'A', 'a.b', 'a\n', 'ä']) t.notOk(isIdentityName(name))
})

t.test('the two policies that every server has', async t => {
  const write = lines(globalRules('write'))
  t.equal(write.length, 13)
  t.ok(write.includes('acl = "write"'))
  t.ok(write.includes('service_prefix "" { policy = "write" intentions = "write" }'))
  t.same(
    lines(globalRules('read')),
    write.map(line => line.replaceAll('write', 'read')),
  )
})
