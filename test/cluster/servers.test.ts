/**
 * The rules of who is a server, as tables: what is there, what is asked, what is written.
 */
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { ownLevels } from '../../src/cluster/features.ts'
import {
  deadToExpel,
  enterServer,
  expel,
  failureTolerance,
  forgetServer,
  isReplaced,
  knownServers,
  noteFailed,
  overdueServers,
  refuseLeaving,
  type ServerSelf,
  setState,
} from '../../src/cluster/servers.ts'
import { type Op, put } from '../../src/store/store.ts'
import {
  aliveServers,
  type ServerRow,
  ServerState,
  servers,
} from '../../src/store/tables/server.ts'
import { applyOps, ruled, viewOf } from '../registry/rules.ts'

const NOW = wallMs(5_000)

const selfNamed = (name: string): ServerSelf => ({
  nodeId: `id-${name}`,
  name,
  address: '10.0.0.1',
  ports: { server: 8300, serfLan: 8301, serfWan: 8302 },
  version: '1.0.0',
  hasAcl: false,
  meta: {},
  sinceMs: 1_000,
})

const rowOf = (name: string, state: ServerState = ServerState.in): ServerRow => ({
  ...selfNamed(name),
  ...{ level: 1, state, stateAtMs: 1_000 },
})

/** A server with its state; alive unless said. */
const server = (name: string, state: ServerState = ServerState.in, isAlive = true): Op[] => [
  put(servers, `id-${name}`, rowOf(name, state)),
  ...(isAlive ? [put(aliveServers, `id-${name}`, { run: 'r' })] : []),
]

const dead = (name: string, state: ServerState = ServerState.failed) => server(name, state, false)

t.test('a server is what its row and its lease say', async t => {
  const { in: isIn, draining, failed, left } = ServerState
  const view = viewOf(
    ...server('a', isIn),
    ...server('b', draining),
    ...dead('c', isIn),
    ...dead('d', failed),
    ...server('e', left),
    ...server('f', failed),
  )
  t.strictSame(
    knownServers(view).map(({ row, status }) => [row.name, status]),
    [
      ['a', 'alive'],
      ['b', 'leaving'],
      ['c', 'failed'],
      ['d', 'failed'],
      ['e', 'left'],
      ['f', 'alive'],
    ],
  )
})

t.test('entering', async t => {
  const tried = (name: string, ...ops: Op[]): string[] =>
    ruled(viewOf(...ops), view => enterServer(view, selfNamed(name), ownLevels, NOW))
  t.strictSame(tried('a'), ['put servers id-a', 'answer true'])
  t.strictSame(tried('a', ...server('a')), ['answer true'], 'as it was')
  t.strictSame(tried('a', ...dead('a')), ['put servers id-a', 'answer true'], 'it is not dead')
  t.strictSame(tried('a', ...dead('a', ServerState.left)), ['put servers id-a', 'answer true'])
  const other = put(servers, 'id-b', { ...rowOf('b'), name: 'A' })
  t.strictSame(tried('a', other), ['put servers id-a', 'answer true'], 'its name was a dead one’s')
  t.strictSame(tried('a', other, put(aliveServers, 'id-b', { run: 'r' })), [
    '409 another server that is alive is named a: id-b at 10.0.0.1',
  ])
})

t.test('a server that lives is neither expelled nor forgotten nor found dead', async t => {
  const { in: isIn, left } = ServerState
  const of = (...ops: Op[]) => {
    const view = viewOf(...ops)
    return [
      ruled(view, v => noteFailed(v, 'id-a', NOW)),
      ruled(view, v => expel(v, 'id-a', NOW)),
      ruled(view, v => forgetServer(v, 'id-a')),
    ].map(lines => lines.join(', '))
  }
  const nothing = 'answer false'
  const written = 'put servers id-a, answer true'
  t.strictSame(of(...server('a')), [nothing, nothing, nothing])
  t.strictSame(of(...dead('a', isIn)), [written, written, 'del servers id-a, answer true'])
  t.strictSame(of(...dead('a')), [nothing, written, 'del servers id-a, answer true'])
  t.strictSame(of(...dead('a', left)), [nothing, 'answer true', 'del servers id-a, answer true'])
  t.strictSame(of(...server('b')), [nothing, nothing, nothing], 'nobody knows it')
})

t.test('a state is said once', async t => {
  const view = viewOf(...server('a'))
  const drain = () => ruled(view, v => setState(v, 'id-a', ServerState.draining, NOW))
  t.strictSame(drain(), ['put servers id-a', 'answer true'])
  applyOps(view, setState(view, 'id-a', ServerState.draining, NOW).txn)
  t.strictSame(drain(), ['answer true'])
  t.equal(view.get(servers, 'id-a')?.row.stateAtMs, NOW)
})

t.test('dead servers go as long as enough stay', async t => {
  const settings = { cleanupDeadServers: true, minQuorum: 0 }
  const expelled = (given: Partial<typeof settings>, ...ops: Op[]): string[] =>
    deadToExpel(knownServers(viewOf(...ops)), { ...settings, ...given }).map(({ name }) => name)
  const alive = (names: string): Op[] => [...names].flatMap(name => server(name))
  t.strictSame(expelled({}, ...alive('ab'), ...dead('c')), [], 'one of three is half of them')
  t.strictSame(expelled({}, ...alive('abd'), ...dead('c')), ['c'])
  t.strictSame(expelled({}, ...alive('abde'), ...dead('c', ServerState.in)), [], 'not sure yet')
  t.strictSame(expelled({}, ...alive('abc'), ...dead('d'), ...dead('e')), [])
  t.strictSame(expelled({ cleanupDeadServers: false }, ...alive('abd'), ...dead('c')), [])
  t.strictSame(expelled({ minQuorum: 4 }, ...alive('abd'), ...dead('c')), [])
  t.strictSame(expelled({ minQuorum: 3 }, ...alive('abd'), ...dead('c')), ['c'])
  const left = dead('x', ServerState.left)
  t.strictSame(expelled({}, ...alive('ab'), ...dead('c'), ...left), [], 'who left does not count')
  const before = (name: string, state: ServerState = ServerState.failed): Op[] => [
    put(servers, `old-${name}`, { ...rowOf(name, state), nodeId: `old-${name}` }),
  ]
  const both = [...alive('abc'), ...before('b'), ...before('c')]
  t.strictSame(expelled({}, ...both), ['b', 'c'], 'others have come in their places')
  t.strictSame(expelled({ cleanupDeadServers: false }, ...both), [])
  t.strictSame(expelled({}, ...alive('abc'), ...before('b', ServerState.in)), [], 'not sure yet')
  const list = knownServers(viewOf(...both))
  t.strictSame(
    list.filter(one => isReplaced(list, one)).map(({ row }) => row.nodeId),
    ['old-b', 'old-c'],
  )
})

const KEPT_MS = 10_000

t.test('what is long gone is forgotten', async t => {
  const view = viewOf(...server('a'), ...dead('b'), ...dead('c', ServerState.left))
  const at = (now: number): string[] =>
    overdueServers(knownServers(view), wallMs(now), KEPT_MS).map(({ name }) => name)
  t.strictSame(at(1_000 + KEPT_MS - 1), [])
  t.strictSame(at(1_000 + KEPT_MS), ['b', 'c'])
})

t.test('how many may fail, and who may leave', async t => {
  const tolerances = [
    [1, 1, true, 0],
    [3, 3, true, 1],
    [3, 2, true, 0],
    [5, 5, true, 2],
    [5, 2, true, 0],
    [3, 3, false, 2],
    [3, 1, false, 0],
  ] as const
  for (const [voters, healthy, isManaged, want] of tolerances) {
    t.equal(failureTolerance(voters, healthy, isManaged), want, `${voters} ${healthy}`)
  }
  const leave = (isManaged: boolean, ...ops: Op[]) =>
    refuseLeaving(knownServers(viewOf(...ops)), 'id-a', isManaged)
  t.equal(leave(true, ...server('a')), undefined, 'the last one takes nothing from anybody')
  t.equal(leave(true, ...server('a'), ...server('b'), ...server('c')), undefined)
  t.match(leave(true, ...server('a'), ...server('b'), ...dead('c')), {
    status: 500,
    text: /1 of the 2/,
  })
  t.equal(leave(false, ...server('a'), ...dead('b'), ...dead('c')), undefined)
  t.equal(leave(true, ...server('a'), ...dead('b', ServerState.left)), undefined)
})
