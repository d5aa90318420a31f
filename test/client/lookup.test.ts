/** Which instances count, what of them is a change, and which one is picked. */
import t from 'tap'
import type { WireHealth, WireInstance } from '../../src/client/api.ts'
import { Follower, type OpenFeed } from '../../src/client/follower.ts'
import { type Instance, instanceReader, lookupOf } from '../../src/client/lookup.ts'
import { FakeClock, settled } from '../fake/clock.ts'

function wire(id: string, status = 'PASSING', tags = ['v1'], output = ''): WireInstance {
  const health = `HEALTH_STATUS_${status}` as WireHealth
  return {
    node: { id: '', name: 'n1', address: '10.0.0.1', datacenter: 'dc1', meta: undefined },
    service: {
      id,
      name: 'web',
      tags,
      address: '',
      port: 80,
      meta: undefined,
      weights: { passing: id === 'heavy' ? 3 : 1, warning: 0 },
    },
    checks: [{ checkId: 'c', name: 'c', status: health, output, serviceId: id }],
    status: health,
  }
}

t.test('an instance has the address of its node, and the weight of its health', async t => {
  const read = instanceReader({ passing: false })
  t.match(read(wire('heavy')), { address: '10.0.0.1', weight: 3, status: 'passing', meta: {} })
  t.match(read(wire('heavy', 'WARNING')), { weight: 0, status: 'warning' })
})

t.test('which are wanted', async t => {
  const ids = (options: object, ...all: WireInstance[]): string[] =>
    all.flatMap(one => instanceReader(options)(one)?.id ?? [])
  const all = [wire('a'), wire('b', 'WARNING', ['V2']), wire('c', 'CRITICAL')]
  t.same(ids({}, ...all), ['a', 'b'])
  t.same(ids({ passing: 'strict' }, ...all), ['a'])
  t.same(ids({ passing: false }, ...all), ['a', 'b', 'c'])
  t.same(ids({ tags: ['v2'] }, ...all), ['b'])
})

async function lookUp(...all: WireInstance[]) {
  let listener: Parameters<OpenFeed<WireInstance>>[1] | undefined
  const open: OpenFeed<WireInstance> = async (_resume, its) => {
    listener = its
    return { server: 'a', cancel() {}, works() {}, failed() {}, renewToken: async () => false }
  }
  const { signal: closed } = new AbortController()
  const follower = new Follower<WireInstance, Instance>(open, instanceReader({}), {
    clock: new FakeClock(),
    closed,
  })
  let draws = 0
  const random = {
    uuid: () => '',
    bytes: () => Buffer.of(),
    fraction: () => (draws++ % 8) / 8,
  }
  const lookup = lookupOf('web', follower, random)
  await settled()
  let revision = 1
  const tell = (kind: 'snapshot' | 'delta', ...items: WireInstance[]): void => {
    revision++
    const frame = {
      items: items.map(value => ({ key: `n1/${value.service?.id}`, revision, value })),
      revision,
      resume: `${revision}`,
    }
    listener?.onFrame(
      kind === 'snapshot' ? { kind, ...frame } : { kind, ...frame, since: undefined, deletes: [] },
    )
  }
  tell('snapshot', ...all)
  await lookup.ready()
  return { lookup, tell }
}

t.test('instances are in order, and one that turns critical is gone', async t => {
  const { lookup, tell } = await lookUp(wire('b'), wire('a'))
  const told: string[] = []
  lookup.on('change', ({ kind, key }) => told.push(`${kind} ${key}`))
  const ids = (): string[] => lookup.instances().map(({ id }) => id)
  t.same(ids(), ['a', 'b'])
  t.equal(lookup.instances(), lookup.instances(), 'nothing is made anew while nothing changes')
  tell('delta', wire('a', 'CRITICAL'))
  t.same(ids(), ['b'])
  tell('delta', wire('a', 'PASSING'))
  tell('delta', wire('b', 'PASSING', ['v1'], 'another output'))
  t.same(told, ['removed n1/a', 'added n1/a'], 'what a check prints is no change')
})

t.test('picks in turn, and by weight', async t => {
  const { lookup } = await lookUp(wire('a'), wire('heavy'))
  t.same(
    [1, 2, 3].map(() => lookup.pick('turn')?.id),
    ['a', 'heavy', 'a'],
  )
  const picked = Array.from({ length: 8 }, () => lookup.pick()?.id)
  t.equal(picked.filter(id => id === 'heavy').length, 6)
  const { lookup: none } = await lookUp()
  t.equal(none.pick(), undefined)
  t.equal(none.pick('turn'), undefined)
  const { lookup: light } = await lookUp(wire('a', 'WARNING'), wire('b', 'WARNING'))
  t.ok(light.pick(), 'where all weigh nothing, any')
})
