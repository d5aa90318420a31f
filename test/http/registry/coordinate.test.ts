/**
 * Coordinates over HTTP, and the lists that are sorted by them. On every engine.
 */
import t from 'tap'
import { putService } from '../../registry/rules.ts'
import type { Client } from '../client.ts'
import { onEveryEngine } from '../engines.ts'
import { NODE, startFace, until } from '../harness.ts'

const coord = (x: number) => ({
  Vec: [x, 0, 0, 0, 0, 0, 0, 0],
  Error: 0.5,
  Adjustment: 0,
  Height: 0,
})

/** Nodes n1 to n3 at 1, 2 and 3; n4 is nowhere. Each has an instance of web and a check. */
async function fill(client: Client): Promise<void> {
  for (const at of [3, 1, 2, 4]) {
    await client.put('/v1/catalog/register', {
      Node: `n${at}`,
      Address: `10.0.0.${at}`,
      Service: { ID: `w${at}`, Service: 'web' },
      Check: { CheckID: `c${at}`, Name: 'c', Status: 'passing', ServiceID: `w${at}` },
    })
  }
  for (const at of [1, 2, 3]) {
    const { status } = await client.put('/v1/coordinate/update', {
      Node: `n${at}`,
      Coord: coord(at),
    })
    if (status !== 200) throw new Error(`status ${status}`)
  }
  await until(async () => (await client.get('/v1/coordinate/nodes')).json.length === 4)
}

interface Item {
  readonly Node: string | { readonly Node: string }
}

const nodesOf = (items: readonly Item[]): string =>
  items.map(({ Node }) => (typeof Node === 'string' ? Node : Node.Node)).join()

onEveryEngine(t, async (t, newStore) => {
  t.test('what was said of a node can be read a moment later', async t => {
    const { client, waiting } = await startFace(t, { open: newStore(t) })
    await fill(client)
    const all = await client.get('/v1/coordinate/nodes')
    t.equal(nodesOf(all.json), `${NODE},n1,n2,n3`)
    t.match(all.json[1], { Node: 'n1', Segment: '', Coord: coord(1) })
    const one = await client.get('/v1/coordinate/node/N2')
    t.strictSame(one.json, [{ Node: 'n2', Segment: '', Coord: coord(2) }])
    t.equal((await client.get('/v1/coordinate/node/n4')).status, 404)
    const woken = client.get(`/v1/coordinate/node/n2?index=${one.index}&wait=60s`)
    await waiting(1)
    await client.put('/v1/coordinate/update', { Node: 'n2', Segment: '', Coord: coord(5) })
    t.strictSame((await woken).json[0].Coord, coord(5))
  })

  t.test('lists are sorted by the distance from a node', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await fill(client)
    const lists = [
      '/v1/catalog/service/web?',
      '/v1/health/service/web?',
      '/v1/health/checks/web?',
      '/v1/health/state/passing?filter=ServiceName==web&',
      '/v1/catalog/nodes?filter=Node!=alpha&',
    ]
    for (const list of lists) {
      const order = async (near: string) => nodesOf((await client.get(`${list}${near}`)).json)
      t.equal(await order('near=n3'), 'n3,n2,n1,n4', list)
      t.equal(await order('near=N2'), 'n2,n1,n3,n4', 'equally far ones keep their order')
      t.equal(await order('near=_agent'), 'n1,n2,n3,n4')
      t.equal(await order('near=n4'), 'n1,n2,n3,n4', 'where it has none, in their order')
      t.equal(await order('near=nobody'), 'n1,n2,n3,n4')
    }
  })
})

t.test('an address, a long list, and a coordinate that is new', async t => {
  const { client, store } = await startFace(t)
  await fill(client)
  const url = '/v1/catalog/service/web?near=_ip'
  const headers = { 'X-Forwarded-For': '10.0.0.3, 10.0.0.1' }
  t.equal(nodesOf((await client.get(url, { headers })).json), 'n3,n2,n1,n4')
  t.equal(nodesOf((await client.get(url)).json), 'n1,n2,n3,n4', "the agent's own address")

  const ids = Array.from({ length: 1_500 }, (_, at) => at)
  const txn = ids.map(at => putService(`n${1 + (at % 4)}`, `many${at}`, { name: 'many' }))
  await store.write(() => ({ txn, answer: true }))
  const { json } = await client.get('/v1/catalog/service/many?near=n3')
  const nodes: string[] = json.map(({ Node }: { Node: string }) => Node)
  t.equal(nodes.length, ids.length)
  t.strictSame(
    nodes,
    nodes.toSorted((one, other) => 'n3n2n1n4'.indexOf(one) - 'n3n2n1n4'.indexOf(other)),
  )

  const order = async () => nodesOf((await client.get('/v1/catalog/service/web?near=_agent')).json)
  t.equal(await order(), 'n1,n2,n3,n4')
  await client.put('/v1/coordinate/update', { Node: 'n1', Coord: coord(9) })
  await until(async () => (await order()) === 'n2,n3,n1,n4')
})

t.test('where the servers stand, and this one', async t => {
  const { client } = await startFace(t)
  const own = { Vec: Array(8).fill(0), Error: 1.5, Adjustment: 0, Height: 1e-5 }
  const Coordinates = [{ Node: `${NODE}.dc1`, Segment: '', Coord: own }]
  t.strictSame((await client.get('/v1/coordinate/datacenters')).json, [
    { Datacenter: 'dc1', AreaID: 'wan', Coordinates },
  ])
  t.strictSame((await client.get('/v1/agent/self')).json.Coord, own)
  await client.put('/v1/coordinate/update', { Node: NODE, Coord: coord(1) })
  await until(async () => (await client.get('/v1/agent/self')).json.Coord.Vec[0] === 1)
})

t.test('what is refused', async t => {
  const { client } = await startFace(t)
  const cases: [object | string, number, string][] = [
    [{ Node: NODE, Coord: { Vec: [1] } }, 500, 'incompatible coordinate'],
    [{ Node: NODE }, 500, 'incompatible coordinate'],
    [
      { Node: NODE, Coord: { ...coord(1), Error: 'x' } },
      400,
      'Request decode failed: json: cannot',
    ],
    ['', 400, 'Request decode failed: EOF'],
    [{ Node: NODE, Nothing: 1 }, 400, 'Request decode failed: json: unknown field "Nothing"'],
    [
      { Node: NODE, Segment: 'x', Coord: coord(1) },
      500,
      'Network segments are not supported in this version of Consul',
    ],
  ]
  for (const [body, status, text] of cases) {
    const answered = await client.put('/v1/coordinate/update', body)
    t.equal(answered.status, status)
    t.ok(answered.text.startsWith(text), answered.text)
  }
})
