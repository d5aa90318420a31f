/** All or nothing, and names that must not become commands, on a model of HAProxy. */
import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../../../src/base/errors.ts'
import { haproxyRuntimeSink } from '../../../../src/feed/sink/haproxy-runtime/haproxy-runtime.ts'
import type { ServerRow } from '../../../../src/feed/sink/haproxy-runtime/rows.ts'
import { type Given, portsWith, stateOf } from '../health.ts'
import { Driver, settingsOf, wantedOf } from '../world.ts'
import { Model } from './model.ts'

const slot = (name: string, given: Partial<ServerRow> = {}): ServerRow => ({
  ...{ backend: 'web', name, address: '0.0.0.0', port: 0, mode: 'maint', weight: 1, sessions: 0 },
  ...given,
})

const at = (last: number) => ({ address: `10.0.0.${last}`, port: 80 })

const shown = (model: Model) =>
  model.rows.map(({ name, address, port, mode, weight }) => [name, address, port, mode, weight])

t.test('a command that is refused: all before it is undone', async t => {
  const model = new Model([
    slot('w1', { ...at(1), mode: 'ready', weight: 3 }),
    slot('w2', { ...at(2), mode: 'ready' }),
    slot('w3', { ...at(9), weight: 2 }),
  ])
  const before = shown(model)
  const driver = new Driver(haproxyRuntimeSink, { socket: await model.listen(t) }, portsWith())
  model.refuses = /web\/w2 state/
  const weights = { Passing: 7, Warning: 1 }
  const refused = await driver.try(
    stateOf({
      web: [
        { ...at(1), weights },
        { ...at(3), weights },
      ],
    }),
  )
  t.match(refused, { text: /w2 state maint: "refused"/, target: 'put back', mayRetry: true })
  t.same(shown(model), before)
  t.ok(model.commands.length > 4, 'something had been done')
  model.refuses = /web\/w2 state|addr 10.0.0.9/
  t.match(await driver.try(stateOf({ web: [at(1), at(3)] })), { target: 'unknown' })
})

t.test('a socket that is not of level admin, or is none', async t => {
  const model = new Model([slot('w1')])
  const socket = await model.listen(t)
  model.run = () => 'Permission denied\n\n'
  const driver = new Driver(haproxyRuntimeSink, { socket }, portsWith())
  t.match(await driver.try(stateOf({ web: [at(1)] })), { text: /of level admin/ })
  const none = new Driver(haproxyRuntimeSink, { socket: '/nowhere/x' }, portsWith())
  t.match(await none.try(stateOf({ web: [at(1)] })), { text: /ENOENT/, mayRetry: true })
})

t.test('health, where it is ours to say', async t => {
  const model = new Model([slot('w1', { ...at(1), mode: 'ready' })])
  const given = { socket: await model.listen(t), failing: 'down', on_empty: 'apply' }
  const driver = new Driver(haproxyRuntimeSink, given, portsWith())
  await driver.apply(stateOf({ web: [{ ...at(1), status: 'critical' }] }))
  t.match(shown(model), [['w1', '10.0.0.1', 80, 'down', 1]])
  await driver.apply(stateOf({ web: [at(1)] }))
  t.match(shown(model), [['w1', '10.0.0.1', 80, 'ready', 1]])
  await driver.apply(stateOf({ web: [{ ...at(1), maintenance: true }] }))
  t.match(shown(model), [['w1', '10.0.0.1', 80, 'drain', 1]])
})

t.test('settings', async t => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{}, /either this or address/],
    [{ socket: '/x', address: 'a:1' }, /either this or address/],
    [{ socket: 'x' }, /absolute/],
    [{ address: 'unix@/x' }, /host:port/],
    [{ socket: '/x', backends: { web: 'a b' } }, /no name of a backend/],
    [{ socket: '/x', backends: { a: 'x', b: 'x' } }, /once/],
    [{ socket: '/x', slots: 'a;b' }, /slots/],
    [{ socket: '/x', server_options: ['a;b'] }, /no word/],
  ]
  for (const [given, message] of wrong) {
    t.throws(() => settingsOf(haproxyRuntimeSink, given), message)
  }
  const values = settingsOf(haproxyRuntimeSink, { socket: '/x', backends: { a: 'b' } })
  const want = (services: Record<string, Given[]>) =>
    haproxyRuntimeSink.want(values, stateOf(services), undefined)
  t.match(want({ 'x y': [{}] }), { text: /needs a name/ })
  t.match(want({ a: [{}], b: [{}] }), { text: /two services/ })
})

t.test('whatever is registered, only addresses, ports and numbers reach HAProxy', async t => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(
      '127.0.0.1; shutdown',
      '10.0.0.1\nset server',
      'unix@/x',
      '::1',
      '10.0.0.1 port 1',
    ),
    fc.ipV4(),
    fc.ipV6(),
  )
  const instance: fc.Arbitrary<Given> = fc.record({
    id: text.filter(id => id !== ''),
    address: text,
    nodeAddress: text,
    port: fc.integer({ min: -1, max: 70_000 }),
    weights: fc.record({ Passing: fc.nat(), Warning: fc.nat() }),
  })
  const model = new Model([slot('w1'), slot('w2')])
  const socket = await model.listen(t)
  const values = settingsOf(haproxyRuntimeSink, { socket, on_empty: 'apply' })
  await fc.assert(
    fc.asyncProperty(fc.array(instance, { maxLength: 4 }), async list => {
      const wanted = wantedOf(haproxyRuntimeSink, values, stateOf({ web: list }))
      const target = haproxyRuntimeSink.open(values, portsWith())
      const applied = await target.apply(wanted, new AbortController().signal)
      if (!('changes' in applied)) throw new Error(applied.text)
    }),
    { numRuns: 60 },
  )
  t.notOk(haproxyRuntimeSink.want(values, stateOf({}), undefined) instanceof Refusal)
  const ip = '[0-9a-f:.]+'
  const known = new RegExp(
    [
      `^set server web/(w1|w2|gh-${ip}) (addr ${ip} port \\d+|weight \\d{1,3}|state (ready|drain|maint))$`,
      `^add server web/gh-${ip} (${ip}|\\[${ip}\\]:\\d+) weight \\d{1,3}$`,
      `^del server web/gh-${ip}$`,
    ].join('|'),
  )
  for (const command of model.commands) t.match(command, known)
})
