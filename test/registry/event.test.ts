/**
 * The rules of events, and the index of a list of them.
 */
import t from 'tap'
import {
  type EventFilter,
  type EventRequest,
  eventIndex,
  fireEvent,
  isMeantFor,
  visibleEvents,
} from '../../src/registry/event.ts'
import { type Decide, type Op, put } from '../../src/store/store.ts'
import { type EventRow, events } from '../../src/store/tables/event.ts'
import { localServices } from '../../src/store/tables/local.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { everybody, only, ruled, serviceRow, table, viewOf } from './rules.ts'

const ID = 'b54fe110-7af5-cafc-d1fb-afc8ba432b1c'
const request = (more: Partial<EventRequest> = {}): EventRequest => ({
  ...{ name: 'deploy', payload: '', nodeFilter: '', serviceFilter: '', tagFilter: '' },
  ...more,
})
const event = (more: Partial<EventRow> = {}): EventRow => ({
  ...{ id: ID, ...request(), version: 1, ltime: 1 },
  ...more,
})
const firing =
  (more: Partial<EventRequest>, who = everybody): Decide<unknown> =>
  view =>
    fireEvent(view, who, ID, request(more))
const stored = (ltime: number): Op => put(events, String(ltime % 256), event({ ltime }))
const local = (id: string, tags: string[]): Op =>
  put(localServices, onNode('n', id), {
    ...{ node: 'n', service: serviceRow('n', id, { tags }), token: '', fromFile: false },
  })

t.test('firing', async t => {
  const fired = ['put events 1', `answer ${JSON.stringify(event())}`]
  table(t, [
    { name: 'the first', rule: firing({}), gives: fired },
    {
      name: 'into the slot of the oldest',
      before: [stored(255), stored(256)],
      rule: firing({}),
      gives: ['put events 1', `answer ${JSON.stringify(event({ ltime: 257 }))}`],
    },
    {
      name: 'a tag of no service',
      rule: firing({ tagFilter: 'x' }),
      gives: ['500 Cannot provide tag filter without service filter'],
    },
    {
      name: 'a bad expression',
      rule: firing({ nodeFilter: '(' }),
      gives: ['500 Invalid node filter: error parsing regexp: missing closing )'],
    },
    {
      name: 'a bad service filter',
      rule: firing({ serviceFilter: '*' }),
      gives: [
        '500 Invalid service filter: error parsing regexp: missing argument to repetition ' +
          'operator: `*`',
      ],
    },
    {
      name: 'too much',
      rule: firing({ nodeFilter: 'x'.repeat(200), serviceFilter: 'é'.repeat(154) }),
      gives: ['500 user event exceeds configured limit of 512 bytes before encoding'],
    },
    {
      name: 'by nobody',
      rule: firing({}, only()),
      gives: [`403 Permission denied: anonymous token lacks permission 'event:write' on "deploy"`],
    },
  ])
  const bound = firing({ nodeFilter: 'x'.repeat(200), serviceFilter: `${'é'.repeat(153)}` })
  t.equal(ruled(viewOf(), bound)[0], 'put events 1', 'and no more is just enough')
})

t.test('which agents it is meant for', async t => {
  const view = viewOf(local('web', ['v1', 'blue']), local('db', []))
  const cases: [Partial<EventRow>, boolean][] = [
    [{}, true],
    [{ nodeFilter: '^n$' }, true],
    [{ nodeFilter: '^m$' }, false],
    [{ serviceFilter: 'w.b' }, true],
    [{ serviceFilter: '^eb' }, false],
    [{ serviceFilter: 'web', tagFilter: 'bl' }, true],
    [{ serviceFilter: 'web', tagFilter: '^lue' }, false],
    [{ serviceFilter: 'db', tagFilter: '.*' }, false],
    [{ nodeFilter: '^m$', serviceFilter: 'web' }, false],
    [{ nodeFilter: '(' }, false],
  ]
  for (const [more, wanted] of cases) {
    t.equal(isMeantFor(view, 'n', event(more)), wanted, JSON.stringify(more))
  }
})

t.test('who sees which', async t => {
  const all = [event(), event({ name: 'other', nodeFilter: 'a' }), event({ serviceFilter: 's' })]
  const seen = (more: Partial<EventFilter>, who = everybody): number[] =>
    visibleEvents(who, { name: '', node: '', service: '', tag: '', ...more }, all).map(one =>
      all.indexOf(one),
    )
  t.strictSame(seen({}), [0, 1, 2])
  t.strictSame(seen({ name: 'deploy' }), [0, 2])
  t.strictSame(seen({ node: 'a' }), [0, 1, 2])
  t.strictSame(seen({ node: 'b' }), [0, 2])
  t.strictSame(seen({ service: 'x' }), [0, 1])
  t.strictSame(seen({}, only('event:read other')), [1])
})

t.test('trap 12: the index is made of the last id', async t => {
  t.equal(eventIndex([]), '1')
  t.equal(eventIndex([event({ id: '0'.repeat(8) }), event()]), eventIndex([event()]))
  t.equal(eventIndex([event()]), String(0xb54fe1107af5cafcn ^ 0xd1fbafc8ba432b1cn))
  const even = '00000000-0000-0001-0000-000000000001'
  t.equal(eventIndex([event({ id: even })]), '1', 'never 0')
})
