/** The way from any servers to any that are wanted, run on a model of HAProxy. */
import fc from 'fast-check'
import t from 'tap'
import { type PlanOptions, planBackend } from '../../../../src/feed/sink/haproxy-runtime/plan.ts'
import type { ServerRow } from '../../../../src/feed/sink/haproxy-runtime/rows.ts'
import type { WantedServer } from '../../../../src/feed/sink/haproxy-runtime/want.ts'
import { Model } from './model.ts'

const options: PlanOptions = {
  slots: '',
  mayAdd: false,
  mayWeigh: true,
  serverOptions: [],
  isHealthOurs: false,
  isOverdue: () => false,
}

const slot = (name: string, given: Partial<ServerRow> = {}): ServerRow => ({
  ...{ backend: 'web', name, address: '0.0.0.0', port: 0, mode: 'maint', weight: 1, sessions: 0 },
  ...given,
})

const server = (last: number, given: Partial<WantedServer> = {}): WantedServer => ({
  ...{ address: `10.0.0.${last}`, port: 80, weight: 1, mode: 'ready', ...given },
})

const at = (last: number) => ({ address: `10.0.0.${last}`, port: 80 })

/** The commands of a plan. */
function planned(
  rows: readonly ServerRow[],
  servers: readonly WantedServer[],
  given: Partial<PlanOptions> = {},
) {
  const plan = planBackend(
    rows,
    { backend: 'web', servers, isHeld: false },
    { ...options, ...given },
  )
  const commands = plan.steps.flatMap(step => step.commands.map(({ text }) => text))
  return { commands, problems: plan.problems, isDraining: plan.isDraining }
}

t.test('what comes takes a free slot, whole before it is ready', async t => {
  t.same(planned([slot('w1'), slot('w2')], [server(1, { weight: 7 })]), {
    commands: [
      'set server web/w1 addr 10.0.0.1 port 80',
      'set server web/w1 weight 7',
      'set server web/w1 state ready',
    ],
    problems: [],
    isDraining: false,
  })
})

t.test('what is as wanted is left alone', async t => {
  const rows = [slot('w1', { ...at(1), mode: 'ready' }), slot('w2')]
  t.same(planned(rows, [server(1)]).commands, [])
})

t.test('what fails goes at once, as the settings say; what returns is ready again', async t => {
  const rows = [slot('w1', { ...at(1), mode: 'ready', sessions: 3 })]
  for (const mode of ['maint', 'drain'] as const) {
    t.same(planned(rows, [server(1, { mode })]).commands, [`set server web/w1 state ${mode}`])
  }
  t.same(planned(rows, [server(1, { mode: 'down' })]).commands, ['set server web/w1 health down'])
  const down = [slot('w1', { ...at(1), mode: 'down' })]
  t.same(planned(down, [server(1)]).commands, [], 'checks of HAProxy’s own count')
  t.same(planned(down, [server(1)], { isHealthOurs: true }).commands, [
    'set server web/w1 health up',
  ])
})

t.test('what is gone drains, and its slot is freed when nothing is under way', async t => {
  const busy = slot('w1', { ...at(1), mode: 'ready', sessions: 2 })
  t.same(planned([busy], []), {
    commands: ['set server web/w1 state drain'],
    problems: [],
    isDraining: true,
  })
  const draining = { ...busy, mode: 'drain' } as const
  t.match(planned([draining], []), { commands: [], isDraining: true })
  const freed = ['set server web/w1 state maint']
  t.match(planned([{ ...draining, sessions: 0 }], []), { commands: freed, isDraining: false })
  t.match(planned([draining], [], { isOverdue: () => true }), { commands: freed })
})

t.test('no slot is free: one is added, or one that drains or fails gives its own', async t => {
  const rows = [
    slot('w1', { ...at(1), mode: 'ready', sessions: 1 }),
    slot('w2', { ...at(2), mode: 'drain', sessions: 5 }),
    slot('w3', { ...at(3), mode: 'ready' }),
  ]
  const wanted = [server(1), server(3, { mode: 'maint' }), server(4), server(5)]
  const given = { mayAdd: true, serverOptions: ['check', 'inter', '1s'] }
  t.same(planned(rows, wanted, given).commands, [
    'add server web/gh-10.0.0.4:80 10.0.0.4:80 weight 1 check inter 1s',
    'set server web/gh-10.0.0.4:80 state ready',
    'enable health web/gh-10.0.0.4:80',
    'add server web/gh-10.0.0.5:80 10.0.0.5:80 weight 1 check inter 1s',
    'set server web/gh-10.0.0.5:80 state ready',
    'enable health web/gh-10.0.0.5:80',
    'set server web/w3 state maint',
  ])
  t.same(planned(rows, wanted).commands, [
    'set server web/w2 addr 10.0.0.4 port 80',
    'set server web/w2 state ready',
    'set server web/w3 addr 10.0.0.5 port 80',
  ])
  const gone = [slot('w1', { ...at(1), mode: 'ready' })]
  t.same(planned(gone, [server(2)], given).commands, ['set server web/w1 addr 10.0.0.2 port 80'])
  t.match(planned(rows, [...wanted, server(6)]), {
    problems: ['backend web has no server free for 10.0.0.6:80'],
  })
})

t.test('only what we added is removed, and only slots of ours are used', async t => {
  const rows = [
    slot('own', { ...at(1), mode: 'ready' }),
    slot('gh-10.0.0.2:80', { ...at(2), mode: 'ready' }),
    slot('gh-10.0.0.3:80', { ...at(3), mode: 'maint' }),
  ]
  t.same(planned(rows, [], { slots: 'slot' }).commands, [
    'set server web/gh-10.0.0.2:80 state maint',
    'del server web/gh-10.0.0.2:80',
    'del server web/gh-10.0.0.3:80',
  ])
})

t.test(
  'from any servers to any wanted: all are ready, once, and then there is nothing to do',
  async t => {
    const mode = fc.constantFrom('ready', 'drain', 'maint', 'down')
    const row = fc.record({
      last: fc.nat({ max: 6 }),
      mode,
      weight: fc.nat({ max: 3 }),
      sessions: fc.nat({ max: 2 }),
    })
    const wanted = fc.uniqueArray(
      fc.record({ last: fc.nat({ max: 9 }), mode, weight: fc.nat({ max: 3 }) }),
      { selector: one => one.last, maxLength: 8 },
    )
    fc.assert(
      fc.property(
        fc.array(row, { maxLength: 8 }),
        wanted,
        fc.boolean(),
        fc.boolean(),
        (given, list, mayAdd, isHealthOurs) => {
          const rows = given.map((one, i) => slot(`w${i}`, { ...at(one.last), ...one }))
          const servers = list.map(one => server(one.last, one))
          const model = new Model(rows, ['web'])
          const usual = { mayAdd, isHealthOurs }
          const plan = planned(rows, servers, usual)
          let least = Number.POSITIVE_INFINITY
          const isUp = (one: WantedServer) =>
            model.rows.filter(
              r => r.address === one.address && r.port === one.port && r.mode === 'ready',
            ).length
          const ready = servers.filter(one => one.mode === 'ready')
          const before = ready.filter(one => isUp(one) > 0).length
          for (const command of plan.commands) {
            t.notMatch(model.run(command), /No such|refused|still has|Only/)
            least = Math.min(least, ready.filter(one => isUp(one) > 0).length)
          }
          if (plan.commands.length > 0) t.ok(least >= before, 'what may be used is never fewer')
          const missing = ready.filter(one => isUp(one) === 0)
          const isDown = (one: WantedServer) =>
            model.rows.some(r => r.address === one.address && r.mode === 'down')
          const unmet = missing.filter(one => isHealthOurs || !isDown(one))
          t.equal(unmet.length, plan.problems.length)
          if (mayAdd) t.equal(unmet.length, 0)
          t.ok(
            ready.every(one => isUp(one) <= 1),
            'none twice',
          )
          // Where several servers stood at one place, the second look puts the others right.
          for (const _ of [1, 2, 3]) {
            for (const command of planned(model.rows, servers, usual).commands) model.run(command)
          }
          t.same(planned(model.rows, servers, usual).commands, [])
        },
      ),
      { numRuns: 300 },
    )
  },
)
