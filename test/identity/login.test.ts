/**
 * The rule of logins as tables: what a token is made of, and when there is none.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { Caller, everybody, ownCall, type Who } from '../../src/base/who.ts'
import { identityOf, type LoginIdentity } from '../../src/identity/auth-method/identity.ts'
import { CHANGED, login, type Proven } from '../../src/identity/login.ts'
import { Recorder } from '../../src/store/recorder.ts'
import { type Op, put } from '../../src/store/store.ts'
import {
  type AuthMethodRow,
  authMethods,
  type BindingRuleRow,
  bindingRules,
  policies,
  roles,
  type TokenRow,
  tokens,
} from '../../src/store/tables/acl.ts'
import { type ConditionRow, conditions } from '../../src/store/tables/acl-condition.ts'
import { viewOf } from '../registry/rules.ts'
import { propertyRuns } from '../run/budget.ts'
import { NOW } from './condition/support.ts'

const method: AuthMethodRow = {
  name: 'Nomad',
  type: 'jwt',
  displayName: '',
  description: '',
  maxTokenTtlMs: 3_600_000,
  locality: '',
  config: {},
}
const fresh = { accessor: 'new', secret: { key: 'hash', sealed: 'sealed' } }
const noGrants = {
  policies: [],
  serviceIdentities: [],
  nodeIdentities: [],
  templatedPolicies: [],
}

const withMethod = (more: Partial<AuthMethodRow> = {}): Op =>
  put(authMethods, 'nomad', { ...method, ...more })

let rules = 0
function withRule(more: Partial<BindingRuleRow> = {}): Op {
  const id = `rule${rules++}`
  const row = { id, description: '', authMethod: 'nomad', selector: '', bindVars: { name: '' } }
  return put<BindingRuleRow>(bindingRules, id, {
    ...row,
    bindType: 'service',
    bindName: 'web',
    ...more,
  })
}

const reads = put(policies, 'p1', {
  ...{ id: 'p1', name: 'reads', rules: '', description: '', datacenters: [] },
})
const ops = put(roles, 'r1', {
  ...{ id: 'r1', name: 'ops', description: '', ...noGrants },
  policies: ['p1'],
})

interface Given {
  readonly rows?: readonly Op[]
  readonly who?: Who
  readonly meta?: Readonly<Record<string, string>>
  readonly proven?: Partial<Proven>
}

/** What comes of a login: its token, that it must be proved again, or the refusal as text. */
function loggedIn({
  rows = [],
  who = everybody,
  meta = {},
  proven = {},
}: Given = {}): TokenRow | string {
  const request = { authMethod: 'NOMAD', meta, datacenter: 'dc1' }
  const identity: LoginIdentity = identityOf(
    new Map([['job', 'web']]),
    new Map([['groups', ['a', 'b']]]),
  )
  const view = new Recorder(viewOf(...rows))
  const given = login(view, who, request, { method, identity, ...proven }, fresh, NOW)
  if (given instanceof Refusal) return `${given.status} ${given.text}`
  if (given.answer === CHANGED) return CHANGED
  const [written] = given.txn
  assert.deepEqual([written?.table, written?.key], [tokens, 'hash'])
  assert.equal(written?.row, given.answer)
  return given.answer as TokenRow
}

t.test('what a token is made of', async t => {
  const binds = (bindType: BindingRuleRow['bindType'], bindName: string) =>
    withRule({ bindType, bindName })
  const template = withRule({
    bindType: 'templated-policy',
    bindName: 'builtin/service',
    bindVars: { name: '$' + '{value.job}' },
  })
  const rows = [reads, ops, withMethod(), withRule(), template]
  const names = [binds('role', 'OPS'), binds('policy', 'Reads'), binds('node', 'n1')]
  const missing = [binds('role', 'none'), binds('policy', 'none')]
  t.strictSame(loggedIn({ rows: [...rows, ...names, ...missing], meta: { b: '2', a: '1' } }), {
    accessor: 'new',
    sealedSecret: 'sealed',
    description: 'token created via login: {"a":"1","b":"2"}',
    policies: ['p1'],
    roles: ['r1'],
    serviceIdentities: [{ service: 'web', datacenters: [] }],
    nodeIdentities: [{ node: 'n1', datacenter: 'dc1' }],
    templatedPolicies: [{ template: 'builtin/service', name: 'web', datacenters: [] }],
    local: true,
    authMethod: 'Nomad',
    metadata: { job: 'web', groups: ['a', 'b'] },
    ttlMs: 3_600_000,
    expiresAtMs: NOW + 3_600_000,
    createdAtMs: NOW,
  })
})

t.test('what the method says of its tokens', async t => {
  const with_ = (more: Partial<AuthMethodRow>) => {
    const proven = { method: { ...method, ...more } }
    return loggedIn({ rows: [withMethod(more), withRule()], proven })
  }
  t.match(with_({ locality: 'local' }), { local: true })
  t.match(with_({ locality: 'global' }), { local: false })
  t.match(with_({ maxTokenTtlMs: 0 }), { ttlMs: 0, expiresAtMs: 0 })
})

t.test('when there is none', async t => {
  const unknown = '403 ACL not found: auth method "NOMAD" not found'
  t.equal(loggedIn({ rows: [withRule()] }), unknown)
  t.equal(loggedIn({ rows: [withMethod()] }), '403 Permission denied')
  const role = withRule({ bindType: 'role', bindName: 'ops' })
  t.equal(loggedIn({ rows: [withMethod(), role] }), '403 Permission denied', 'no such role')
  t.match(loggedIn({ rows: [withMethod(), role, ops] }), { roles: ['r1'] }, 'there it is')
  const others = withRule({ authMethod: 'other' })
  t.equal(loggedIn({ rows: [withMethod(), others] }), '403 Permission denied')
  const long = loggedIn({ rows: [withMethod(), withRule()], meta: { a: 'x'.repeat(5_000) } })
  t.equal(long, '500 Invalid Token: the Description is too long')
})

t.test('a proof that was looked at by another method is looked at again', async t => {
  const rows = [withMethod({ config: { BoundIssuer: 'new' } }), withRule()]
  t.equal(loggedIn({ rows }), CHANGED)
  t.equal(loggedIn({ rows: [withMethod({ maxTokenTtlMs: 0 }), withRule()] }), CHANGED)
  const again = { method: { ...method, config: { BoundIssuer: 'new' } } }
  t.match(loggedIn({ rows, proven: again }), { accessor: 'new' })
})

t.test('conditions know the token that would be', async t => {
  const caller = (): Caller =>
    new Caller(everybody, ownCall(everybody, 'POST /v1/acl/login').request)
  const condition = (expression: string, level: ConditionRow['level']): Op =>
    put(conditions, 'c', {
      ...{ name: 'c', description: '', expression, level, enabled: true },
      operations: [{ resource: 'login', name: 'nomad', prefix: undefined }],
    })
  const role = withRule({ bindType: 'role', bindName: 'ops' })
  const rows = [reads, ops, withMethod(), role]
  const facts =
    'token.roles == ["ops"] && token.policies == ["reads"] && token.auth_method == "Nomad" && ' +
    'token.accessor == "new" && token.metadata == {"job": "web", "groups": ["a", "b"]}'
  const hard = (expression: string) =>
    loggedIn({ rows: [...rows, condition(expression, 'hard-mandatory')], who: caller() })
  t.match(hard(facts), { roles: ['r1'] })
  t.equal(
    hard('token.policies == []'),
    '403 Permission denied: condition "c" (hard-mandatory) does not hold',
  )
  const who = caller()
  t.match(loggedIn({ rows: [...rows, condition('false', 'advisory')], who }), { accessor: 'new' })
  t.strictSame(who.request.advisories, ['c'])
})

t.test('a description is the JSON of what the client noted, fit for HTML', async t => {
  const rows = [withMethod(), withRule()]
  const beginning = 'token created via login: '
  const notes = fc.dictionary(fc.string({ maxLength: 20 }), fc.string({ maxLength: 20 }), {
    minKeys: 1,
    maxKeys: 8,
  })
  fc.assert(
    fc.property(notes, meta => {
      const given = loggedIn({ rows, meta })
      if (typeof given === 'string') return false
      const said = given.description.slice(beginning.length)
      const names = Object.keys(JSON.parse(said))
      const sorted = [...names].sort()
      return (
        given.description.startsWith(beginning) &&
        !/[<>&]/.test(said) &&
        (names.some(name => /^\d+$/.test(name)) || names.join('\n') === sorted.join('\n')) &&
        Object.entries(meta).every(([name, text]) => JSON.parse(said)[name] === text)
      )
    }),
    { numRuns: propertyRuns() },
  )
  t.match(loggedIn({ rows }), { description: 'token created via login' })
})
