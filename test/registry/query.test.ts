/**
 * The rules of prepared queries, as tables.
 */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { Caller, Lacked, ownCall, type Who } from '../../src/base/who.ts'
import {
  allQueries,
  createQuery,
  deleteQuery,
  type QueryRequest,
  queryById,
  updateQuery,
} from '../../src/registry/query.ts'
import { destroySession } from '../../src/registry/session.ts'
import type { Decide, Op } from '../../src/store/store.ts'
import type { QueryRow, QueryService } from '../../src/store/tables/query.ts'
import { everybody, only, putQuery, putSession, queryRow, table, viewOf } from './rules.ts'

const [ID, OTHER, SESSION] = ['1', '2', '3'].map(
  digit => `${digit.repeat(8)}-1111-4111-8111-${digit.repeat(12)}`,
) as [string, string, string]

type More = Partial<QueryRequest> & { readonly of?: Partial<QueryService> }
const request = ({ of = {}, ...more }: More = {}): QueryRequest => {
  const { id: _id, ...row } = queryRow(ID, { name: 'q', ...more })
  return { ...row, service: { ...row.service, ...of } }
}
const creating =
  (more?: More, who: Who = everybody): Decide<unknown> =>
  view =>
    createQuery(view, who, ID, request(more))
const updating =
  (id: string, more?: More, who: Who = everybody): Decide<unknown> =>
  view =>
    updateQuery(view, who, id, request(more))

const created = [`put queries ${ID}`, `answer "${ID}"`]
const invalid = (text: string): string[] => [`500 Invalid prepared query: ${text}`]
const failed = (text: string): string[] => [`500 raft apply failed: ${text}`]
const denied = (name: string): string[] => [
  `403 Permission denied: anonymous token lacks permission 'query:write'${name}`,
]
const template = { type: 'name_prefix_match', regexp: '', removeEmptyTags: false }

t.test('creating', async t => {
  const cases: [string, Op[], More | undefined, string[]][] = [
    ['with a name', [], undefined, created],
    ['without name or session', [], { name: '' }, invalid('Must be bound to a session')],
    ['bound to a session', [putSession(SESSION, 'n')], { name: '', session: SESSION }, created],
    ['to a session that is gone', [], { session: SESSION }, failed(`invalid session "${SESSION}"`)],
    [
      'to no session',
      [],
      { session: 'x' },
      failed('failed session lookup: index error: UUID must be 36 characters'),
    ],
    [
      'a hidden token',
      [],
      { token: '<hidden>' },
      invalid(
        `Bad Token '<hidden>', it looks like a query definition with a redacted token was submitted`,
      ),
    ],
    ['no service', [], { of: { service: '' } }, invalid('Must provide a Service name to query')],
    [
      'a bad TTL',
      [],
      { dnsTtl: 'soon' },
      invalid(`Bad DNS TTL 'soon': time: invalid duration "soon"`),
    ],
    ['a negative TTL', [], { dnsTtl: '-1s' }, invalid(`DNS TTL '-1000000000', must be >=0`)],
    ['a TTL', [], { dnsTtl: '10s' }, created],
    ['reserved meta', [], { of: { nodeMeta: { 'consul-version': '1' } } }, created],
    [
      'bad meta',
      [],
      { of: { nodeMeta: { '': '1' } } },
      invalid(`Invalid NodeMeta: couldn't load the pair of key '': Key cannot be blank`),
    ],
    [
      'a long name',
      [],
      { name: 'x'.repeat(1_025) },
      invalid('Name is too long (limit: 1024 bytes)'),
    ],
    [
      'a name that is taken',
      [putQuery(OTHER, { name: 'Q' })],
      undefined,
      failed(`name 'q' aliases an existing query name`),
    ],
    [
      'a name that is an id',
      [putQuery(OTHER)],
      { name: OTHER },
      failed(`name '${OTHER}' aliases an existing query ID`),
    ],
    ['the template of all names', [], { name: '', template }, created],
    [
      'a second one',
      [putQuery(OTHER, { name: '', template })],
      { name: '', template },
      failed('a query template with an empty name already exists'),
    ],
    [
      'a bad template',
      [],
      { template: { ...template, type: 'x' } },
      failed(`Bad Template.Type 'x'`),
    ],
  ]
  for (const [name, before, more, gives] of cases) {
    table(t, [{ name, before, rule: creating(more), gives }])
  }
  const failover = { nearestN: 0, datacenters: [], targets: [] }
  const targets = [{ peer: 'p', datacenter: '' }]
  const failovers: [object, string[]][] = [
    [{ nearestN: 2, datacenters: ['dc2'] }, created],
    [{ targets }, created],
    [{ nearestN: -1 }, invalid(`Bad NearestN '-1', must be >= 0`)],
    [{ nearestN: 1, targets }, invalid('Targets cannot be populated with NearestN or Datacenters')],
    [
      { datacenters: ['a'], targets },
      invalid('Targets cannot be populated with NearestN or Datacenters'),
    ],
  ]
  for (const [more, gives] of failovers) {
    const rule = creating({ of: { failover: { ...failover, ...more } } })
    table(t, [{ name: JSON.stringify(more), rule, gives }])
  }
})

t.test('changing and deleting', async t => {
  const named = putQuery(ID, { name: 'q' })
  const deleting =
    (id: string, who: Who = everybody): Decide<unknown> =>
    view =>
      deleteQuery(view, who, id)
  table(t, [
    { name: 'under its own name', before: [named], rule: updating(ID), gives: created },
    { name: 'in capitals', before: [named], rule: updating(ID.toUpperCase()), gives: created },
    {
      name: 'one that is gone',
      rule: updating(ID),
      gives: [`500 Cannot modify non-existent prepared query: '${ID}'`],
    },
    {
      name: 'of no id',
      rule: updating('q'),
      gives: [
        '500 Prepared Query lookup failed: failed prepared query lookup: index error: ' +
          'UUID must be 36 characters',
      ],
    },
    {
      name: 'without a body',
      before: [named],
      rule: updating(ID, { name: '' }),
      gives: invalid('Must be bound to a session'),
    },
    {
      name: 'delete',
      before: [named],
      rule: deleting(ID),
      gives: [`del queries ${ID}`, `answer "${ID}"`],
    },
    {
      name: 'delete one that is gone',
      rule: deleting(ID),
      gives: [`500 Cannot modify non-existent prepared query: '${ID}'`],
    },
    {
      name: 'delete of no id',
      rule: deleting('x'.repeat(36)),
      gives: [
        '500 Prepared Query lookup failed: failed prepared query lookup: index error: invalid UUID',
      ],
    },
  ])
})

t.test('rights are on the name: of the new query and of the old one', async t => {
  const before = [putQuery(ID, { name: 'old' })]
  const deleting: Decide<unknown> = view => deleteQuery(view, only(), ID)
  table(t, [
    { name: 'create', rule: creating({}, only()), gives: denied(' on "q"') },
    { name: 'create its own', rule: creating({}, only('query:write q')), gives: created },
    {
      name: 'the new',
      before,
      rule: updating(ID, {}, only('query:write old')),
      gives: denied(' on "q"'),
    },
    {
      name: 'the old',
      before,
      rule: updating(ID, {}, only('query:write q')),
      gives: denied(' on "old"'),
    },
    { name: 'delete', before, rule: deleting, gives: denied(' on "old"') },
    {
      name: 'one without a name belongs to whoever knows its id',
      before: [putQuery(ID, { session: SESSION })],
      rule: deleting,
      gives: [`del queries ${ID}`, `answer "${ID}"`],
    },
  ])
})

t.test('a query ends with its session', async t => {
  table(t, [
    {
      name: 'destroyed',
      before: [putSession(SESSION, 'n'), putQuery(ID, { session: SESSION }), putQuery(OTHER)],
      rule: view => destroySession(view, everybody, SESSION),
      gives: [`del sessions ${SESSION}`, `del queries ${ID}`, 'answer true'],
    },
  ])
})

t.test('who sees which, and whose tokens', async t => {
  const view = viewOf(
    putQuery(ID, { name: 'a', token: 'sealed' }),
    putQuery(OTHER, { session: SESSION, token: 'sealed' }),
  ) as unknown as Parameters<ReturnType<typeof allQueries>['read']>[0]
  const sealer = { seal: () => 'sealed', open: () => 'secret' }
  const seen = (who: Who): string[] =>
    [...allQueries(who, sealer).read(view)].map(({ row }) => `${row.name} ${row.token}`)
  t.strictSame(seen(everybody), ['a secret', ' secret'])
  t.strictSame(seen(only('query:read')), ['a <hidden>'])
  t.strictSame(seen(only('acl:write')), ['a secret', ' secret'], 'who manages sees everything')
  t.strictSame(seen(only()), [])
  const lacked = new Lacked()
  t.strictSame(seen(new Caller(only(), ownCall(only(), 'GET /v1/query').request, lacked)), [])
  t.strictSame(
    lacked.rights.map(({ resource, name }) => `${resource} ${name}`),
    ['query a'],
    'what has no name, and a token that is hidden, is not said to be left out',
  )
  const one = (id: string, who: Who): QueryRow | string | undefined => {
    const question = queryById(who, id, sealer)
    if (question instanceof Refusal) return question.text
    const found = question.read(view)
    return found instanceof Refusal ? found.text : found?.row
  }
  t.match(one(ID, everybody), { token: 'secret' })
  t.match(one(ID, only('query:read a')), { token: '<hidden>' })
  t.match(one(OTHER, only()), { token: '<hidden>' })
  t.match(one(ID, only()), /^Permission denied: .*'query:read' on "a"$/)
  t.equal(one(SESSION, everybody), undefined)
  t.match(one('x', everybody), /UUID must be 36 characters$/)
})
