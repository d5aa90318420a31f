/**
 * The rules of binding rules as tables: to which method one belongs, and that it stays so.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import type { Who } from '../../src/base/who.ts'
import {
  allBindingRules,
  type BindingRuleRequest,
  bindingRuleById,
  createBindingRule,
  deleteBindingRule,
  updateBindingRule,
} from '../../src/identity/binding-rule.ts'
import { isRefusal, type Op, put } from '../../src/store/store.ts'
import { authMethods, type BindingRuleRow, bindingRules } from '../../src/store/tables/acl.ts'
import type { Reader } from '../../src/store/view.ts'
import { applyOps, only, ruled, table, viewOf } from '../registry/rules.ts'
import { rsa } from './auth-method/tokens.ts'

const writer = only('acl:write', 'acl:read')
const method = (name: string, more: object = {}): Op =>
  put(authMethods, name.toLowerCase(), {
    ...{ name, type: 'jwt', displayName: '', description: '', maxTokenTtlMs: 0, locality: '' },
    config: { JWTValidationPubKeys: [rsa.pem], ClaimMappings: { sub: 'job' }, ...more },
  })
const request: BindingRuleRequest = {
  description: 'd',
  authMethod: 'nomad',
  selector: '',
  bindType: 'service',
  bindName: 'web',
  bindVars: { name: '' },
}
const row = (id: string, more: Partial<BindingRuleRow> = {}): BindingRuleRow => ({
  ...{ id, ...request, authMethod: 'Nomad', bindType: 'service' },
  ...more,
})
const rule = (id: string, more: Partial<BindingRuleRow> = {}): Op =>
  put(bindingRules, id, row(id, more))

const DENIED = "403 Permission denied: anonymous token lacks permission 'acl:write'"
const create =
  (more: Partial<BindingRuleRequest> = {}, who: Who = writer) =>
  (view: Reader) =>
    createBindingRule(view, who, 'r', { ...request, ...more })
const update =
  (more: Partial<BindingRuleRequest> = {}, who: Who = writer) =>
  (view: Reader) =>
    updateBindingRule(view, who, 'r', { ...request, ...more })

const written = (more: Partial<BindingRuleRow> = {}): string[] => [
  'put acl-binding-rules r',
  `answer ${JSON.stringify(row('r', more))}`,
]

t.test('create', async t => {
  const before = [method('Nomad')]
  table(t, [
    { name: 'of a method by any spelling', before, rule: create(), gives: written() },
    { name: 'without the right', before, rule: create({}, only()), gives: [DENIED] },
    {
      name: 'of no method',
      before,
      rule: create({ authMethod: '' }),
      gives: ['500 Invalid Binding Rule: no AuthMethod is set'],
    },
    {
      name: 'of one that is not there',
      rule: create(),
      gives: ['500 cannot find auth method with name "nomad"'],
    },
    {
      name: 'of one that cannot be read any more',
      before: [method('nomad', { Nosuch: 1 })],
      rule: create(),
      gives: [
        '500 Invalid Binding Rule: its auth method cannot be used: ' +
          "error decoding config: '' has invalid keys: Nosuch",
      ],
    },
    {
      name: 'with a variable that the method does not map',
      before,
      rule: create({ bindName: '$' + '{value.team}' }),
      gives: [
        '500 Invalid Binding Rule: invalid BindName: failed to validate bindType "service": ' +
          'error interpreting template: unknown variable accessed: value.team',
      ],
    },
    {
      name: 'too long',
      before,
      rule: create({ selector: 'x'.repeat(limits.aclDescriptionChars + 1) }),
      gives: [
        '500 Invalid Binding Rule: the Description, Selector, BindName or BindVars is too long',
      ],
    },
  ])
})

t.test('a method has no more rules than a token may have links', async t => {
  const view = viewOf(method('nomad'), method('other'))
  const many = Array.from({ length: limits.bindingRulesOfMethod - 1 }, (_, at) => rule(`r${at}`))
  applyOps(view, many)
  t.equal(ruled(view, create())[0], 'put acl-binding-rules r', 'the last one')
  applyOps(view, [rule('last')])
  const full = `500 Invalid Binding Rule: the auth method has ${many.length + 1} rules already`
  t.strictSame(ruled(view, create()), [full])
  t.equal(ruled(view, create({ authMethod: 'other' }))[0], 'put acl-binding-rules r')
})

t.test('update and delete', async t => {
  const before = [method('Nomad'), method('other'), rule('r')]
  const remove = (who: Who) => (view: Reader) => deleteBindingRule(view, who, 'r')
  table(t, [
    {
      name: 'the method stays where none is named',
      before,
      rule: update({ authMethod: '', bindName: 'api' }),
      gives: written({ bindName: 'api' }),
    },
    {
      name: 'in another spelling',
      before,
      rule: update({ authMethod: 'NOMAD' }),
      gives: written(),
    },
    {
      name: 'for another method',
      before,
      rule: update({ authMethod: 'other' }),
      gives: ['500 the AuthMethod field of an Binding Rule is immutable'],
    },
    { name: 'what is not there', rule: update(), gives: ['500 cannot find binding rule "r"'] },
    { name: 'without the right', before, rule: update({}, only()), gives: [DENIED] },
    {
      name: 'delete',
      before,
      rule: remove(writer),
      gives: ['del acl-binding-rules r', 'answer true'],
    },
    { name: 'delete what is not there', rule: remove(writer), gives: ['answer false'] },
    { name: 'delete without the right', before, rule: remove(only()), gives: [DENIED] },
  ])
})

t.test('reads', async t => {
  const view = viewOf(rule('r1'), rule('r2', { authMethod: 'other' }))
  const ids = (authMethod: string): string[] => {
    const all = allBindingRules(writer, authMethod)
    if (isRefusal(all)) throw new Error(all.text)
    return [...all.read(view)].map(cell => cell.row.id)
  }
  t.strictSame(ids(''), ['r1', 'r2'])
  t.strictSame(ids('NOMAD'), ['r1'])
  t.strictSame(ids('none'), [])
  const one = bindingRuleById(writer, 'r2')
  if (isRefusal(one)) throw new Error(one.text)
  t.equal(one.read(view)?.row.authMethod, 'other')
  t.ok(isRefusal(allBindingRules(only(), '')))
  t.ok(isRefusal(bindingRuleById(only(), 'r1')))
})
