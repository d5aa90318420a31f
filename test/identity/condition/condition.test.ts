/**
 * The rules of conditions, as tables.
 */
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import { everybody, type Who } from '../../../src/base/who.ts'
import { deleteCondition, putCondition } from '../../../src/identity/condition/condition.ts'
import { type Op, put } from '../../../src/store/store.ts'
import {
  type ConditionLevel,
  type ConditionOperation,
  type ConditionRow,
  conditionKey,
  conditions,
} from '../../../src/store/tables/acl-condition.ts'
import { ruled, viewOf } from '../../registry/rules.ts'

const about = (resource: string, more: Partial<ConditionOperation> = {}): ConditionOperation => ({
  resource,
  name: undefined,
  prefix: undefined,
  ...more,
})

const row = (more: Partial<ConditionRow> = {}): ConditionRow => ({
  name: 'by-day',
  description: '',
  expression: 'request.time.getHours() < 18',
  level: 'hard-mandatory',
  operations: [about('service')],
  enabled: true,
  ...more,
})
const stored = (one: ConditionRow): Op => put(conditions, conditionKey(one.name), one)
const nobody: Who = { accessor: 'anonymous', rights: 'none', may: () => false }
const lacking = ["403 Permission denied: anonymous token lacks permission 'acl:write'"]

const putting = (one: ConditionRow, before: readonly Op[] = [], who = everybody): string[] =>
  ruled(viewOf(...before), view => putCondition(view, who, one))

t.test('put', async t => {
  const answer = (one: ConditionRow): string => `answer ${JSON.stringify(one)}`
  t.same(putting(row()), ['put acl-conditions by-day', answer(row())])
  t.same(putting(row(), [stored(row())]), [answer(row())], 'an equal one changes nothing')
  const changed = row({ enabled: false })
  t.same(putting(changed, [stored(row())]), ['put acl-conditions by-day', answer(changed)])
  const upper = row({ name: 'BY-day' })
  t.same(putting(upper, [stored(row())]), ['put acl-conditions by-day', answer(upper)])
  t.same(putting(row(), [], nobody), lacking)
  const many = Array.from({ length: limits.conditions }, (_, at) => row({ name: `c${at}` }))
  t.same(putting(row(), many.map(stored)), [
    `400 Invalid condition: there are ${limits.conditions} conditions already`,
  ])
  t.equal(putting(row({ name: 'c7', enabled: false }), many.map(stored)).length, 2)
})

t.test('what a condition may not say', async t => {
  const resources =
    'acl, agent, event, identity, intention, key, keyring, login, mesh, node, operator, peering, ' +
    'query, service, session'
  const cases: [Partial<ConditionRow>, string][] = [
    [{ name: 'a b' }, "invalid Name. Only alphanumeric characters, '-' and '_' are allowed"],
    [
      { description: 'x'.repeat(limits.conditionTextChars + 1) },
      `Description is longer than ${limits.conditionTextChars} characters`,
    ],
    [
      { level: 'must' as ConditionLevel },
      'Level should be one of: advisory, soft-mandatory, hard-mandatory',
    ],
    [{ operations: [] }, 'Operations must say what is governed'],
    [
      { operations: Array.from({ length: limits.conditionOperations + 1 }, () => about('key')) },
      `Operations are more than ${limits.conditionOperations}`,
    ],
    [
      { operations: [about('key_prefix')] },
      `Resource of an operation should be one of: ${resources}`,
    ],
    [
      { operations: [about('key', { name: 'a', prefix: 'b' })] },
      'an operation cannot have both a Name and a Prefix',
    ],
    [{ operations: [about('operator', { name: 'a' })] }, 'the resource operator has no names'],
    [{ operations: [about('key', { prefix: '' })] }, 'a Name or Prefix of an operation is empty'],
    [
      { operations: [about('key', { name: 'x'.repeat(limits.conditionTextChars + 1) })] },
      `a Name or Prefix is longer than ${limits.conditionTextChars} characters`,
    ],
    [{ expression: '' }, 'Expression, line 1, column 1: it is empty'],
    [
      { expression: 'true &&\n  request.nme == "x"' },
      "Expression, line 2, column 10: undefined field 'request.nme'",
    ],
  ]
  for (const [more, problem] of cases) {
    t.same(putting(row(more)), [`400 Invalid condition: ${problem}`])
  }
})

t.test('delete', async t => {
  const deleting = (name: string, before: readonly Op[], who = everybody): string[] =>
    ruled(viewOf(...before), view => deleteCondition(view, who, name))
  t.same(deleting('By-Day', [stored(row())]), ['del acl-conditions by-day', 'answer true'])
  t.same(deleting('other', [stored(row())]), ['404 Cannot find condition to delete'])
  t.same(deleting('by-day', [stored(row())], nobody), lacking)
})
