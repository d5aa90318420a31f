/**
 * Conditions behind a gate: whom they govern, and logins, which have no token yet.
 */
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { access, Caller, everybody, type Who } from '../../../src/base/who.ts'
import { loginTarget } from '../../../src/identity/condition/evaluate.ts'
import { conditionGate, judgeRequest } from '../../../src/identity/condition/gate.ts'
import { put } from '../../../src/store/store.ts'
import { type ConditionRow, conditions } from '../../../src/store/tables/acl-condition.ts'
import { type Gate, openGate } from '../../../src/store/writer.ts'
import { viewOf } from '../../registry/rules.ts'
import { factsOf, NOW } from './support.ts'

const row = (resource: string, expression: string): ConditionRow => ({
  name: 'c',
  description: '',
  expression,
  level: 'hard-mandatory',
  operations: [{ resource, name: undefined, prefix: undefined }],
  enabled: true,
})
const viewWith = (one?: ConditionRow) =>
  viewOf(...(one === undefined ? [] : [put(conditions, 'c', one)]))
const token = factsOf().token

/** What becomes of a write of a key through a gate. */
function written(gate: Gate, who: Who, one?: ConditionRow): string {
  const view = viewWith(one)
  const admitted = gate.admit(view, who, NOW)
  if (admitted instanceof Refusal) return admitted.text
  admitted.may(access('write', 'key', 'a'))
  return gate.judge(view, admitted, NOW)?.text ?? 'written'
}

t.test('a client is governed, the server itself is not', async t => {
  const gate = conditionGate(openGate, token)
  const client = new Caller(everybody, factsOf().request)
  const refusal = 'Permission denied: condition "c" (hard-mandatory) does not hold'
  t.equal(written(gate, client, row('key', 'false')), refusal)
  t.equal(written(gate, client, row('key', 'token.auth_method == "ci"')), 'written')
  t.equal(written(gate, client, row('service', 'false')), 'written')
  t.equal(written(gate, client), 'written')
  t.equal(written(gate, everybody, row('key', 'false')), 'written')
  t.equal(client.granted, undefined, 'the caller itself keeps no list')
})

t.test('the gate before it has the first word', async t => {
  const stranger = new Refusal(403, 'ACL not found')
  const client = new Caller(everybody, factsOf().request)
  const closed = { ...openGate, admit: () => stranger }
  t.equal(written(conditionGate(closed, token), client, row('key', 'false')), stranger.text)
  const late = { ...openGate, judge: () => stranger }
  t.equal(written(conditionGate(late, token), client, row('key', 'false')), stranger.text)
})

t.test('a rule that asks for no right has judged what it does itself', async t => {
  const gate = conditionGate(openGate, token)
  const view = viewWith({ ...row('login', 'false'), level: 'advisory' })
  const client = new Caller(everybody, factsOf().request)
  const run = (judges: boolean): readonly string[] => {
    const admitted = gate.admit(view, client, NOW)
    if (admitted instanceof Refusal) throw new Error(admitted.text)
    const facts = factsOf({ who: admitted, targets: [loginTarget('people')] })
    if (judges) judgeRequest(view, { ...facts, request: client.request }, NOW)
    t.equal(gate.judge(view, admitted, NOW), undefined)
    return client.request.advisories
  }
  t.strictSame(run(true), ['c'], 'what it noted stays')
  t.strictSame(run(false), [], 'and is no longer there where it runs again')
})

t.test('what refused is noted, and no longer where the rule runs again without it', async t => {
  const gate = conditionGate(openGate, token)
  const client = new Caller(everybody, factsOf().request)
  t.match(written(gate, client, row('key', 'false')), /does not hold/)
  t.strictSame(client.request.refusedBy, { name: 'c', level: 'hard-mandatory' })
  t.equal(written(gate, client, row('key', 'true')), 'written')
  t.equal(client.request.refusedBy, undefined)
  written(gate, client, row('key', 'false'))
  t.equal(written(gate, client), 'written', 'there is no condition any more')
  t.equal(client.request.refusedBy, undefined)
  written(gate, client, row('key', 'false'))
  const closed = { ...openGate, admit: () => new Refusal(403, 'ACL not found') }
  t.equal(written(conditionGate(closed, token), client, row('key', 'false')), 'ACL not found')
  t.equal(client.request.refusedBy, undefined, 'it is refused for something else')
})

t.test('logins: what the new token would be, by the method that gives it', async t => {
  const login = (expression: string, metadata: Record<string, string>): string => {
    const facts = factsOf({ targets: [loginTarget('people')], token: { metadata } })
    const judged = judgeRequest(viewWith(row('login', expression)), facts, NOW)
    return judged === undefined ? 'in' : judged.text
  }
  const expression = 'request.name == "people" && token.metadata.team in ["pay", "ops"]'
  t.equal(login(expression, { team: 'ops' }), 'in')
  t.match(login(expression, { team: 'x' }), /does not hold/)
  t.match(login(expression, {}), /does not hold/)
})
