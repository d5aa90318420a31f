/**
 * The rules of auth methods as tables: what is written, and what ends with one.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import type { Who } from '../../src/base/who.ts'
import {
  type AuthMethodRequest,
  allAuthMethods,
  authMethodByName,
  deleteAuthMethod,
  putAuthMethod,
} from '../../src/identity/auth-method.ts'
import { isRefusal, type Op, put } from '../../src/store/store.ts'
import {
  type AuthMethodRow,
  authMethods,
  type BindingRuleRow,
  bindingRules,
  type TokenRow,
  tokens,
} from '../../src/store/tables/acl.ts'
import type { Reader } from '../../src/store/view.ts'
import { applyOps, only, ruled, table, viewOf } from '../registry/rules.ts'
import { rsa } from './auth-method/tokens.ts'

const writer = only('acl:write', 'acl:read')
const config = { JWTValidationPubKeys: [rsa.pem] }
const request: AuthMethodRequest = {
  name: 'Nomad',
  type: 'jwt',
  displayName: '',
  description: '',
  maxTokenTtlMs: 0,
  tokenLocality: '',
  config,
}
const row: AuthMethodRow = {
  name: 'nomad',
  type: 'jwt',
  displayName: '',
  description: '',
  maxTokenTtlMs: 0,
  locality: '',
  config,
}
const method = (more: Partial<AuthMethodRow> = {}): Op =>
  put(authMethods, (more.name ?? 'nomad').toLowerCase(), { ...row, ...more })
const rule = (id: string, authMethod = 'nomad'): Op =>
  put<BindingRuleRow>(bindingRules, id, {
    ...{ id, description: '', authMethod, selector: '', bindVars: { name: '' } },
    ...{ bindType: 'service', bindName: 'web' },
  })
const token = (accessor: string, authMethod = 'nomad'): Op =>
  put(tokens, accessor, { accessor, authMethod, policies: [], roles: [] } as unknown as TokenRow)

const DENIED = "403 Permission denied: anonymous token lacks permission 'acl:write'"
const put_ =
  (more: Partial<AuthMethodRequest>, who: Who = writer) =>
  (view: Reader) =>
    putAuthMethod(view, who, { ...request, ...more })

t.test('put: what is taken', async t => {
  const taken = (before: readonly Op[], more: Partial<AuthMethodRequest>) => {
    const given = putAuthMethod(viewOf(...before), writer, { ...request, ...more })
    return isRefusal(given) ? given.text : given.answer
  }
  const written = { ...row, name: 'Nomad' }
  t.strictSame(taken([], {}), written)
  t.strictSame(taken([method()], { type: '' }), written, 'the type is known')
  t.strictSame(taken([], { maxTokenTtlMs: 86_400_000, tokenLocality: 'global' }), {
    ...written,
    maxTokenTtlMs: 86_400_000,
    locality: 'global',
  })
  t.equal(ruled(viewOf(method()), put_({ description: 'd' }))[0], 'put acl-auth-methods nomad')
})

t.test('put: what is refused', async t => {
  const refused = (
    name: string,
    more: Partial<AuthMethodRequest>,
    text: string,
    before: Op[] = [],
  ) => ({ name, before, rule: put_(more), gives: [text] }) as const
  const long = 'x'.repeat(limits.aclDescriptionChars + 1)
  table(t, [
    { name: 'without the right', rule: put_({}, only()), gives: [DENIED] },
    refused('no name', { name: '' }, '500 Invalid Auth Method: no Name is set'),
    refused(
      'no type',
      { type: '' },
      '500 Invalid Auth Method: Type should be one of: [aws-iam jwt kubernetes]',
    ),
    refused(
      'a type of later',
      { type: 'kubernetes' },
      '501 not served yet: auth methods of type "kubernetes"',
    ),
    refused('another type', {}, '500 the Type field of an Auth Method is immutable', [
      method({ type: 'oidc' }),
    ]),
    refused(
      'too long a text',
      { displayName: long },
      '500 Invalid Auth Method: the DisplayName or Description is too long',
    ),
    refused(
      'tokens for too long',
      { maxTokenTtlMs: 86_401_000 },
      '500 MaxTokenTTL 24h0m1s cannot be more than 24h0m0s',
    ),
    refused(
      'tokens for too short',
      { maxTokenTtlMs: 59_000 },
      '500 MaxTokenTTL 59s cannot be less than 1m0s',
    ),
  ])
})

t.test('delete', async t => {
  const remove = (who: Who = writer) => ({
    rule: (view: Reader) => deleteAuthMethod(view, who, 'NOMAD'),
  })
  table(t, [
    { name: 'one that is not there', ...remove(), gives: ['answer "none"'] },
    { name: 'without the right', before: [method()], ...remove(only()), gives: [DENIED] },
    {
      name: 'with all that is its own',
      before: [
        ...[method(), method({ name: 'other' }), rule('r1'), rule('r2', 'other')],
        ...[token('t1', 'Nomad'), token('t2', 'other'), token('t3', '')],
      ],
      ...remove(),
      gives: [
        ...['del acl-binding-rules r1', 'del acl-tokens t1', 'del acl-auth-methods nomad'],
        'answer "done"',
      ],
    },
  ])
})

t.test('many tokens go in steps, the rules first and the asker last', async t => {
  const most = limits.tokensEndedAtOnce
  const own: Who = { ...writer, accessor: 't00001' }
  const all = Array.from({ length: 2 * most + 1 }, (_, at) =>
    token(`t${String(at).padStart(5, '0')}`),
  )
  const view = viewOf()
  applyOps(view, [method(), rule('r1'), ...all])
  const steps: string[] = []
  const left = () => view.find(tokens, 'method', 'nomad').map(cell => cell.row.accessor)
  for (let at = 0; at < 3; at++) {
    const given = deleteAuthMethod(view, own, 'nomad')
    if (isRefusal(given)) throw new Error(given.text)
    applyOps(view, given.txn)
    const rules = view.find(bindingRules, 'method', 'nomad').length
    const isThere = view.get(authMethods, 'nomad') !== undefined
    steps.push(`${given.answer}: ${left().length} tokens, ${rules} rules, ${isThere}`)
    if (given.answer === 'more') t.ok(left().includes(own.accessor))
  }
  t.strictSame(steps, [
    `more: ${most + 1} tokens, 0 rules, true`,
    'more: 1 tokens, 0 rules, true',
    'done: 0 tokens, 0 rules, false',
  ])
})

t.test('reads', async t => {
  const view = viewOf(method({ name: 'b' }), method({ name: 'A' }))
  const all = allAuthMethods(writer)
  if (isRefusal(all)) throw new Error(all.text)
  t.strictSame(
    [...all.read(view)].map(cell => cell.row.name),
    ['A', 'b'],
  )
  const one = authMethodByName(writer, 'a')
  if (isRefusal(one)) throw new Error(one.text)
  t.equal(one.read(view)?.row.name, 'A')
  t.ok(isRefusal(allAuthMethods(only())))
  t.ok(isRefusal(authMethodByName(only(), 'a')))
})
