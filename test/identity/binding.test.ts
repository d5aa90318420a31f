/**
 * Binding rules as tables: which can be written, and what a login is bound to.
 */
import fc from 'fast-check'
import t from 'tap'
import { Refusal, severalErrors } from '../../src/base/errors.ts'
import { identityOf, type LoginIdentity } from '../../src/identity/auth-method/identity.ts'
import {
  type BindingRuleFields,
  bindings,
  noBindings,
  refuseBindingRule,
} from '../../src/identity/binding.ts'
import { propertyRuns } from '../run/budget.ts'

const rule = (more: Partial<BindingRuleFields> = {}): BindingRuleFields => ({
  selector: '',
  bindType: 'service',
  bindName: 'web',
  bindVars: { name: '' },
  ...more,
})

const identity = (
  values: Readonly<Record<string, string>> = {},
  lists: Readonly<Record<string, readonly string[]>> = {},
): LoginIdentity => identityOf(new Map(Object.entries(values)), new Map(Object.entries(lists)))

t.test('which rules can be written', async t => {
  const blank = identity({ team: '', user: '' }, { groups: [] })
  const named = (bindName: string, more: Partial<BindingRuleFields> = {}) =>
    rule({ bindName, ...more })
  const failed = (type: string, why: string): string =>
    `Invalid Binding Rule: invalid BindName: failed to validate bindType "${type}": ${why}`
  const interpreting = 'error interpreting template: '
  const templated = { bindType: 'templated-policy' }
  const cases: [BindingRuleFields, string | undefined][] = [
    [rule(), undefined],
    [rule({ selector: 'value.team == "a" and "x" in list.groups' }), undefined],
    [
      rule({ selector: 'team == "a"' }),
      'invalid Binding Rule: Selector is invalid: Selector "team" is not valid',
    ],
    [rule({ bindType: '' }), 'Invalid Binding Rule: no BindType is set'],
    [rule({ bindName: '' }), 'Invalid Binding Rule: no BindName is set'],
    [rule({ bindType: 'user' }), 'Invalid Binding Rule: unknown BindType "user"'],
    [
      rule({ bindVars: { name: 'x' } }),
      'invalid Binding Rule: BindVars cannot be set when bind type is not templated-policy.',
    ],
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: the syntax of names
    [named('web-${value.team}'), undefined],
    [named('${ value.team }'), undefined],
    [
      named('${value.nope}'),
      failed('service', `${interpreting}unknown variable accessed: value.nope`),
    ],
    [
      named('${list.groups}'),
      failed('service', `${interpreting}unknown variable accessed: list.groups`),
    ],
    [named('${1 + 1}'), failed('service', `${interpreting}only variables may stand in a name`)],
    [
      named('${upper(value.team)}'),
      failed('service', `${interpreting}only variables may stand in a name`),
    ],
    [named('${value.team'), failed('service', `${interpreting}only variables may stand in a name`)],
    [named('$${value.team}'), failed('service', 'invalid bind name: "${value.team}"')],
    [named('-${value.team}'), failed('service', 'invalid bind name: "-fake"')],
    [named('Web'), failed('service', 'invalid bind name: "Web"')],
    [named('Web', { bindType: 'role' }), undefined],
    [named('a/b', { bindType: 'role' }), failed('role', 'invalid bind name: "a/b"')],
    [named('builtin/global-management', { bindType: 'policy' }), undefined],
    [
      named('x/${value.team}', { bindType: 'policy' }),
      failed('policy', 'invalid bind name: "x/fake"'),
    ],
    [named('builtin/dns', templated), undefined],
    [named('builtin/service', { ...templated, bindVars: { name: '${value.team}' } }), undefined],
    [
      named('builtin/service', templated),
      failed(
        'templated-policy',
        `templated policy failed validation: ${severalErrors(['Invalid type. Expected: object, given: null'])}`,
      ),
    ],
    [
      named('mine', templated),
      failed(
        'templated-policy',
        'Bind name for templated-policy bind type does not match existing template name: mine',
      ),
    ],
    [
      named('builtin/service', { ...templated, bindVars: { name: '${value.nope}' } }),
      failed(
        'templated-policy',
        'failed to interpret templated policy variables: unknown variable accessed: value.nope',
      ),
    ],
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: the syntax of names
  ]
  for (const [given, text] of cases) {
    const refusal = refuseBindingRule(given, blank)
    t.equal(refusal?.text, text, JSON.stringify(given))
    if (refusal !== undefined) t.equal(refusal.status, 500)
  }
})

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: the syntax of names
t.test('what a login is bound to', async t => {
  const someone = identity({ team: 'Payments', user: 'ann' }, { groups: ['ops', 'dev'] })
  const rules = [
    rule({ bindName: '${value.team}-${value.user}', selector: '"ops" in list.groups' }),
    rule({ bindName: 'never', selector: '"root" in list.groups' }),
    rule({ bindName: 'broken', selector: 'what is this' }),
    rule({ bindType: 'node', bindName: 'node-${value.user}' }),
    rule({ bindType: 'role', bindName: 'team-${value.team}' }),
    rule({ bindType: 'role', bindName: 'team-payments' }),
    rule({ bindType: 'policy', bindName: 'read-all' }),
    rule({
      bindType: 'templated-policy',
      bindName: 'builtin/service',
      bindVars: { name: '${value.team}' },
    }),
    rule({ bindType: 'templated-policy', bindName: 'builtin/dns' }),
  ]
  t.same(bindings(rules, someone, 'dc1'), {
    serviceIdentities: [{ service: 'payments-ann', datacenters: [] }],
    nodeIdentities: [{ node: 'node-ann', datacenter: 'dc1' }],
    templatedPolicies: [
      { template: 'builtin/service', name: 'payments', datacenters: [] },
      { template: 'builtin/dns', name: '', datacenters: [] },
    ],
    roles: ['team-payments'],
    policies: ['read-all'],
  })
  t.equal(bindings([], someone, 'dc1'), noBindings)
  t.equal(bindings(rules.slice(1, 3), someone, 'dc1'), noBindings)
  t.same([noBindings.status, noBindings.text], [403, 'Permission denied'])
})

t.test('a claim that makes no name gives nothing at all', async t => {
  for (const team of ['', 'a b', '../x', 'a/b', '*', 'x"', 'x\n', '${value.user}', 'ä', 'a.b']) {
    const given = bindings(
      [rule({ bindName: '${value.team}' }), rule({ bindName: 'web' })],
      identity({ team, user: 'ann' }),
      'dc1',
    )
    t.ok(given instanceof Refusal && given.status === 403, JSON.stringify(team))
  }
})

t.test('no claim reaches the policy of everything, but a rule does', async t => {
  for (const team of ['global-management', 'Global-Management', 'builtin/global-management']) {
    const given = bindings(
      [rule({ bindType: 'policy', bindName: '${value.team}' })],
      identity({ team }),
      'dc1',
    )
    t.ok(given instanceof Refusal, team)
  }
  const meant = bindings(
    [rule({ bindType: 'policy', bindName: 'global-management' })],
    identity(),
    'dc1',
  )
  t.same(meant instanceof Refusal ? [] : meant.policies, ['global-management'])
})

t.test(
  'whatever claims say, a name is a name, and a value is not looked through again',
  async () => {
    const text = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.constantFrom('${value.b}', '$${value.b}', '${', '}', 'A', 'ok'),
    )
    fc.assert(
      fc.property(text, text, (a, b) => {
        const given = bindings([rule({ bindName: 'x${value.a}y' })], identity({ a, b }), 'dc1')
        if (given instanceof Refusal) return
        const serviceName = given.serviceIdentities[0]?.service ?? ''
        if (!/^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/.test(serviceName)) throw new Error(serviceName)
        if (serviceName !== `x${a.toLowerCase()}y`) throw new Error(`${serviceName} of ${a}`)
      }),
      { numRuns: propertyRuns() },
    )
  },
)
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: the syntax of names
